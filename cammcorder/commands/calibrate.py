"""Find what the sensors get wrong, and keep it in a file that recording then corrects by.

gyro: at rest for ten seconds. accel: at rest for two seconds in twelve poses and more. mag: turned
every way. noise: at rest for ten minutes and more. These read a rig (--sim, -c, or the options of
`record`), or clips that were recorded so. mount, sync: of a clip that was filmed while the camera
turned about all axes: how the motion sensor sits on the camera, and how far their times are apart.

What does not suffice is refused, and nothing is written. docs/CALIBRATION.md tells how to hold the
rig, what the file says, and what it is good for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cammcorder.commands.record import add_rig_arguments

if TYPE_CHECKING:
    from daemon.calibration import Calibration
    from daemon.measurement import Listening, Measurement, Place
    from daemon.rig import Rig

_SECONDS = {"gyro": 10.0, "accel": 180.0, "mag": 180.0, "noise": 600.0}
"""For how long a rig is read, at the most for accel and mag: they end when they have enough."""
_MUTE_S = 2.0
"""After so long a magnetometer that has said nothing is taken not to be there."""
_HELP = {
    "gyro": "bias of the gyroscope: leave the rig alone",
    "accel": "bias, scale and axes of the accelerometer: rest the rig in twelve poses",
    "mag": "hard and soft iron of the magnetometer: turn the rig every way",
    "noise": "noise of both motion sensors, by their Allan deviation: leave the rig alone",
    "mount": "how the motion sensor sits on the camera, by a clip",
    "sync": "how far the times of pictures and motion are apart, by a clip",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, text in _HELP.items():
        action = actions.add_parser(name, help=text, description=text)
        if name in _SECONDS:
            _add_sources(action, name)
        else:
            _add_clip(action)
        action.add_argument(
            "-o",
            "--output",
            metavar="FILE",
            type=Path,
            default=Path("calibration.toml"),
            help="the calibration, whose other tables stay (%(default)s)",
        )
        action.set_defaults(act=_calibrate, what=name)
    show = actions.add_parser("show", help="say what a calibration says")
    show.add_argument("file", metavar="FILE", type=Path)
    show.set_defaults(act=_show)


def _add_sources(action: argparse.ArgumentParser, name: str) -> None:
    action.add_argument("clips", metavar="CLIP", nargs="*", type=Path, help="recorded before")
    rig = action.add_argument_group("the rig, where there is no CLIP")
    rig.add_argument("--sim", metavar="SCENARIO", help="a simulated rig")
    rig.add_argument("-c", "--config", metavar="FILE", type=Path, help="the rig of a rig.toml")
    add_rig_arguments(rig)
    action.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=_SECONDS[name],
        help="how long a rig is read, at the most (%(default)g)",
    )
    if name in ("accel", "mag"):
        action.add_argument(
            "--position",
            metavar="LAT,LON",
            help="where it is, for gravity or the Earth's field, in degrees (by the GPS)",
        )
    if name == "accel":
        action.add_argument("--gravity", metavar="M_S2", type=float, help="gravity there")


def _add_clip(action: argparse.ArgumentParser) -> None:
    action.add_argument("clip", metavar="CLIP", type=Path)
    action.add_argument(
        "--hfov",
        metavar="DEG",
        type=float,
        help="how wide the picture is (found on the way)",
    )
    action.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        default=60.0,
        help="how much of the clip is looked at (%(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(options.act(options))


def _show(options: argparse.Namespace) -> int:
    from cammcorder.commands.calibrate_text import sentences
    from daemon.calibration import load

    sys.stdout.writelines(f"{line}\n" for line in sentences(load(options.file)))
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from camm import UsageError
    from cammcorder.commands.calibrate_text import sentences
    from cammcorder.commands.outputs import writable_folder
    from daemon.calibration import Calibration, load, save

    if not options.seconds > 0:
        raise UsageError(f"--seconds must be above 0, found {options.seconds:g}")
    output: Path = options.output
    writable_folder(output.parent)
    known = load(output) if output.exists() else Calibration()
    found = _FOUND[options.what](options)
    save(output, replace(known, **{options.what: getattr(found, options.what)}))
    sys.stdout.writelines(f"{line}\n" for line in sentences(found))
    sys.stdout.write(f"{output}: [{options.what}] is written\n")
    return 0


def _gyro(options: argparse.Namespace) -> Calibration:
    from daemon.calibrating import gyro
    from daemon.calibration import Calibration

    with _bar("leave the rig alone") as watch:
        measured = _measured(options, lambda part, _: watch(part))
    return Calibration(gyro=gyro(measured, at_rest_all_the_time=not options.clips))


def _accel(options: argparse.Namespace) -> Calibration:
    from daemon.calibrating import accel, poses
    from daemon.calibration import Calibration
    from fusion.calibration.accel import FEWEST_POSES, missing_pose, normal_gravity

    gravity: float | None = options.gravity
    if gravity is None and (place := _place(options)) is not None:
        gravity = normal_gravity(place.latitude, place.height_m)
    with _bar("rest it in a pose") as watch:

        def enough(_part: float, heard: Listening) -> bool:
            found = poses([heard.measurement()])
            missing = missing_pose(found)
            if missing is not None:
                watch(len(found) / FEWEST_POSES, f"{len(found)} poses; next: {missing} up")
            return missing is None

        measured = _measured(options, enough)
    return Calibration(accel=accel(measured, gravity))


def _mag(options: argparse.Namespace) -> Calibration:
    from rich.console import Console
    from rich.live import Live

    from camm import UsageError
    from cammcorder.commands.calibrate_text import sphere
    from daemon.calibrating import mag
    from daemon.calibration import Calibration
    from fusion.calibration.mag import covered, suffices

    if len(options.clips) > 1:
        raise UsageError("the magnetometer is calibrated by one clip: name the best")
    place = _place(options)
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:

        def enough(part: float, heard: Listening) -> bool:
            field = heard.measurement().field
            if not len(field):
                return bool(part * options.seconds > _MUTE_S)
            seen = covered(field)
            if console.is_terminal:
                live.update(sphere(seen), refresh=True)
            return suffices(seen)

        (measured,) = _measured(options, enough)
    table, earth = mag(measured, place)
    if earth is None:
        sys.stderr.write(
            "cammcorder: where the rig is is not known: the field's strength and dip are not "
            "checked; tell it with --position LAT,LON\n"
        )
    return Calibration(mag=table)


def _noise(options: argparse.Namespace) -> Calibration:
    from camm import UsageError
    from cammcorder.commands.calibrate_text import curves
    from daemon.calibrating import noise
    from daemon.calibration import Calibration

    if len(options.clips) > 1:
        raise UsageError("noise is measured in one go: name one clip, a long one")
    with _bar("leave the rig alone") as watch:
        (measured,) = _measured(options, lambda part, _: watch(part))
    found = noise(measured)
    for curve, unit in ((found.gyro, "gyro rad/s"), (found.accel, "accel m/s²")):
        sys.stdout.write(curves(curve, unit) + "\n\n")
    return Calibration(noise=found.table)


def _mount(options: argparse.Namespace) -> Calibration:
    from daemon.calibrating import frames
    from daemon.calibration import Calibration

    with _bar("following points") as watch:
        mount, _, fit = frames(options.clip, options.hfov, options.seconds, watch)
    fit.require_mount()
    return Calibration(mount=mount)


def _sync(options: argparse.Namespace) -> Calibration:
    from daemon.calibrating import frames
    from daemon.calibration import Calibration

    with _bar("following points") as watch:
        _, sync, fit = frames(options.clip, options.hfov, options.seconds, watch)
    fit.require_offset()
    return Calibration(sync=sync)


_FOUND: dict[str, Callable[[argparse.Namespace], Calibration]] = {
    "gyro": _gyro,
    "accel": _accel,
    "mag": _mag,
    "noise": _noise,
    "mount": _mount,
    "sync": _sync,
}


def _measured(
    options: argparse.Namespace, enough: Callable[[float, Listening], bool]
) -> Sequence[Measurement]:
    """What was recorded before, a measurement for each clip, or what the rig says now."""
    from daemon.measurement import listen, of_clip

    if options.clips:
        _refuse_rig(options)
        return [of_clip(clip) for clip in options.clips]
    with _rig(options) as rig:
        return [listen(rig, options.seconds, enough)]


def _rig(options: argparse.Namespace) -> Rig:
    from camm import UsageError
    from cammcorder.commands.record import configuration
    from daemon.rig import hardware_rig, make_rig, simulated_rig
    from daemon.service import load

    wired = options.i2c is not None
    if [options.sim is not None, options.config is not None, wired].count(True) != 1:
        raise UsageError("say what to calibrate: a CLIP, --sim SCENARIO, -c rig.toml, or --i2c N")
    if options.sim is not None:
        return simulated_rig(options.sim, None, with_truth=False)
    if options.config is not None:
        return make_rig(replace(load(options.config), camera=None))
    return hardware_rig(configuration(options))


def _refuse_rig(options: argparse.Namespace) -> None:
    from camm import UsageError

    for name in ("sim", "config", "i2c", "gps"):
        if getattr(options, name) is not None:
            raise UsageError(f"a CLIP needs no rig: leave --{name} out")


def _place(options: argparse.Namespace) -> Place | None:
    from camm import UsageError
    from daemon.measurement import Place

    if options.position is None:
        return None
    try:
        latitude, longitude = map(float, options.position.split(","))
    except ValueError:
        latitude = longitude = float("nan")
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise UsageError(f"--position takes LAT,LON in degrees, found {options.position!r}")
    return Place(latitude, longitude)


@contextmanager
def _bar(description: str) -> Iterator[Callable[..., bool]]:
    """A bar on standard error, at a terminal; gives what moves it, which always says no."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=1.0)

        def watch(part: float, text: str = description) -> bool:
            bar.update(task, completed=part, description=text)
            return False

        yield watch
