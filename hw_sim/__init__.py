"""The rig in software: chips behind a register bus, GPS behind a pty, a camera that sees."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hw_sim.clock import VirtualClock
    from hw_sim.replay import ReplayedReceiver
    from hw_sim.rig import SimulatedRig
    from hw_sim.scenario import Scenario, load_scenario, scenario_names

__all__ = [
    "ReplayedReceiver",
    "Scenario",
    "SimulatedRig",
    "VirtualClock",
    "load_scenario",
    "scenario_names",
]

_HOME = {
    "ReplayedReceiver": "hw_sim.replay",
    "Scenario": "hw_sim.scenario",
    "SimulatedRig": "hw_sim.rig",
    "VirtualClock": "hw_sim.clock",
    "load_scenario": "hw_sim.scenario",
    "scenario_names": "hw_sim.scenario",
}


def __getattr__(name: str) -> object:
    """Import on first use: a recorder with real hardware never loads the simulator's codec."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    return value
