"""Every built-in scenario with every fault, and those that bring their own."""

from __future__ import annotations

import pytest
from faulty_films import FAULTS, SCENARIOS, film, scenario

from hw_sim.scenario import load_scenario, scenario_names

pytestmark = pytest.mark.proof


TROUBLED = [name for name in scenario_names() if load_scenario(name).fault]
QUIET = [name for name in scenario_names() if name not in TROUBLED]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("name", QUIET)
def test_every_fault_in_every_scenario(tmp_path, name, fault):
    made = film(tmp_path, scenario(tmp_path, name, *fault.tables), fault.seconds)
    made.assert_sound(fault.hurts)


@pytest.mark.parametrize("name", TROUBLED)
def test_a_scenario_with_faults_of_its_own(tmp_path, name):
    parts = {fault.part for fault in load_scenario(name).fault} - {"camera"}  # stalled, not gone
    on_the_bus = {"imu", "mag"} if parts & {"imu", "mag", "bus"} else set()
    made = film(tmp_path, SCENARIOS / f"{name}.toml", 17)
    made.assert_sound(parts | on_the_bus)
