"""The simulated rig on its own: what scenarios there are, and a rig for other processes to use.

`sim serve` sets up a scenario's motion sensor and receiver in real time, the sensor's bus at a Unix
socket and the receiver at a pseudo-terminal, until Ctrl-C. `record --i2c unix:PATH --gps TERMINAL`
films with them, through the drivers that it has for real ones. `sim list` names the scenarios.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    serve = actions.add_parser("serve", help="let other processes use a simulated rig")
    serve.add_argument("scenario", metavar="SCENARIO", help="a name of `sim list`, or a TOML file")
    serve.add_argument(
        "--socket",
        metavar="PATH",
        type=Path,
        help="where its I2C bus is served (default: SCENARIO.i2c in the user's runtime folder)",
    )
    serve.add_argument(
        "--gps-link",
        metavar="PATH",
        type=Path,
        help="a symbolic link to make to the receiver's terminal, whose own name changes",
    )
    serve.set_defaults(act=_serve)
    actions.add_parser("list", help="name the built-in scenarios").set_defaults(act=_list)


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(options.act(options))


def _list(_options: argparse.Namespace) -> int:
    from hw_sim.scenario import load_scenario, scenario_names

    for name in scenario_names():
        sys.stdout.write(f"{name:<12}{load_scenario(name).about}\n")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from cammcorder.commands.outputs import end_tidily
    from hw_sim.real_time import RealTimeClock
    from hw_sim.rig import SimulatedRig
    from hw_sim.scenario import load_scenario
    from hw_sim.serve import BusServer

    scenario = load_scenario(options.scenario)
    end_tidily()
    clock = RealTimeClock(int(scenario.start.timestamp() * 1e6) * 1000)
    rig = SimulatedRig(scenario, clock)
    path = (options.socket or _runtime_folder() / f"{scenario.name}.i2c").absolute()
    link: Path | None = options.gps_link
    try:
        with BusServer(rig.bus, path):
            if link is not None:
                _link(link, rig.gps_port)
            rig.start()
            mount = scenario.mount
            _tell(f"cammcorder: {scenario.name}, {scenario.imu.chip}; end with Ctrl-C")
            _tell(
                f"record --i2c unix:{path} --gps {link or rig.gps_port} "
                f"--baud {scenario.gps.baud} --mount {mount.x},{mount.y},{mount.z}"
            )
            threading.Event().wait()
    except KeyboardInterrupt:
        pass  # the way to end it
    finally:
        if link is not None and link.is_symlink() and str(link.readlink()) == rig.gps_port:
            link.unlink()
        rig.close()
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # whoever started us waits for it


def _runtime_folder() -> Path:
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())


def _link(link: Path, target: str) -> None:
    from camm import UsageError

    if link.exists():
        raise UsageError(f"{link} exists: name another link")
    link.unlink(missing_ok=True)  # one that a server has left when it was killed leads nowhere
    link.symlink_to(target)
