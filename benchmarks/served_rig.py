"""A simulated rig for a recording that is measured (`benchmarks.live`), in a process of its own.

As `cammcorder sim serve`, but its bus takes no time for the bits on the wire: whoever reads it is
kept waiting by nothing but this process. It ends when its standard input does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hw_sim.real_time import RealTimeClock
from hw_sim.rig import SimulatedRig
from hw_sim.scenario import load_scenario
from hw_sim.serve import BusServer

_NO_TIME = 10**12  # bits a second


def main(scenario_path: str, socket_path: str, link: str) -> None:
    """Serve until there is nobody any more."""
    scenario = load_scenario(scenario_path)
    rig = SimulatedRig(scenario, RealTimeClock(int(scenario.start.timestamp() * 1e6) * 1000))
    rig.bus.bit_rate = _NO_TIME
    with BusServer(rig.bus, Path(socket_path)):
        Path(link).symlink_to(rig.gps_port)
        rig.start()
        print("ready", flush=True)
        sys.stdin.read()
    rig.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
