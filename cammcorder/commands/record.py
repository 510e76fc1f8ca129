"""Film and record motion into one MP4, from sensors, from a simulated rig or from recorded logs.

Ends after --duration, at the end of all replayed input, or with Ctrl-C (or SIGTERM), which finishes
the clip properly. While it records, the file is called NAME.unfinished.mp4.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camm.media import ProjectionKind
    from daemon.configuration import Configuration
    from daemon.rig import Rig
    from daemon.session import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `record` can be told."""
    source = parser.add_argument_group("where the motion comes from")
    source.add_argument("--sim", metavar="SCENARIO", help='a simulated rig: "walk" or a TOML file')
    source.add_argument(
        "--replay",
        metavar="LOG",
        type=Path,
        nargs="+",
        help="recorded logs: NMEA or UBX bytes, GPX, a clip of any maker, what `extract` makes of "
        "one (CSV by folder or stem, JSON Lines), or Gyroflow's .gcsv",
    )
    source.add_argument(
        "--replay-video", metavar="FILE", type=Path, help="a film beside the log (a clip's own)"
    )
    source.add_argument(
        "--replay-exact",
        action="store_true",
        help="hand recorded motion over as it is, and not through the registers of a chip",
    )
    add_rig_arguments(source)
    parser.add_argument(
        "--projection",
        choices=("rectilinear", "equirectangular"),
        default="rectilinear",
        help="equirectangular: the picture is the whole sphere, and players shall know it",
    )
    parser.add_argument("-o", "--output", metavar="CLIP", type=Path, required=True)
    parser.add_argument("--force", action="store_true", help="replace CLIP if it exists")
    parser.add_argument(
        "--duration", metavar="S", type=_positive, help="seconds from the first frame on"
    )
    parser.add_argument(
        "--speed",
        metavar="X",
        type=_speed,
        help="of simulation and replay: times real time, or max (1)",
    )
    parser.add_argument(
        "--timescale",
        metavar="N",
        type=int,
        default=1_000_000,
        help="ticks a second of the metadata's times (%(default)s)",
    )
    parser.add_argument(
        "--faststart",
        action="store_true",
        help="copy the clip if need be so that its moov is in front (done anyway where the file "
        "system can without copying)",
    )
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        type=Path,
        help="take away the errors that `calibrate` has found",
    )
    parser.add_argument(
        "--filter",
        default="vqf",
        help="orientation: %(default)s, madgwick, imufusion, vqf-6d, mahony, ekf, aqua, "
        "complementary, or chip for that of a sensor with its own",
    )


def add_rig_arguments(source: argparse._ArgumentGroup) -> None:
    """What can be said of a rig of real devices."""
    source.add_argument(
        "--i2c",
        metavar="N",
        help="motion sensor on /dev/i2c-N, or on unix:PATH where `sim serve` has it",
    )
    source.add_argument(
        "--imu", metavar="CHIP", default="auto", help="which, as MPU-9250; %(default)s finds it"
    )
    source.add_argument(
        "--imu-rate", metavar="HZ", type=float, default=225.0, help="its samples (%(default)g)"
    )
    source.add_argument(
        "--low-pass",
        metavar="HZ",
        type=float,
        help="the most that its filter may let pass (the widest there is below half the rate)",
    )
    source.add_argument(
        "--mount",
        metavar="X,Y,Z",
        help="where its axes point, seen from behind the camera (right,forward,up)",
    )
    source.add_argument(
        "--interrupt",
        metavar="LINE",
        help="GPIO line of its INT pin, as gpiochip0:17: samples are dated by it",
    )
    source.add_argument(
        "--mag",
        metavar="CHIP",
        help="magnetometer of its own package on that bus, as QMC5883L, or auto",
    )
    source.add_argument(
        "--mag-mount", metavar="X,Y,Z", help="where its axes point (as those of --imu)"
    )
    source.add_argument(
        "--gps",
        metavar="PORT",
        help="GPS receiver, such as /dev/ttyACM0, or gpsd://HOST:PORT where gpsd has it",
    )
    source.add_argument(
        "--baud",
        type=int,
        default=115_200,
        help="of the receiver; a u-blox is found at the usual rates and set to it (%(default)s)",
    )
    source.add_argument(
        "--gps-rate",
        metavar="HZ",
        type=int,
        choices=(0, 1, 2, 4, 5, 8, 10, 20, 25),
        default=10,
        help="fixes a second for which a u-blox is set up, in its RAM alone; 0 leaves it as it is "
        "(%(default)s)",
    )
    source.add_argument(
        "--gps-model",
        metavar="MODEL",
        help="how what carries a u-blox moves: portable, pedestrian, automotive, bike, sea, "
        "airborne1g, ... (left as it is)",
    )
    source.add_argument(
        "--gps-latency",
        metavar="MIN..MAX",
        type=_latency,
        default="180..250",
        help="ms from the moment of a fix to its message (%(default)s)",
    )
    source.add_argument(
        "--pps",
        metavar="DEVICE",
        help="time pulse of the receiver, such as /dev/pps0: fixes are stamped by it",
    )
    source.add_argument(
        "--camera",
        metavar="DEVICE",
        help="picamera2, rpicam-vid (picamera2:1 for the second), /dev/video0, rtsp://HOST/PATH, "
        "or a film",
    )
    source.add_argument(
        "--size", metavar="WxH", type=_size, help="of its picture, as 1280x720 (1920x1080)"
    )
    source.add_argument("--fps", metavar="N", type=_positive, help="its pictures a second (30)")
    source.add_argument(
        "--input",
        metavar="NAME",
        help="what /dev/videoN is to deliver: h264, passed on as it is, mjpeg, yuyv, ... (the best "
        "that it has)",
    )
    source.add_argument(
        "--encoder",
        metavar="NAME",
        help="FFmpeg's, as libx264, libx265, h264_v4l2m2m (the hardware's, or libx264)",
    )
    source.add_argument("--bitrate", metavar="KBIT", type=int, help="a second (by size and rate)")
    source.add_argument(
        "--line-time",
        metavar="US",
        type=float,
        help="from one line to the next as the sensor is read out, 0 for a global shutter (as the "
        "sensor tells)",
    )
    source.add_argument(
        "--microphone",
        metavar="DEVICE",
        help="its sound beside the picture: default, or plughw:NAME as `doctor` lists them",
    )


def run(options: argparse.Namespace) -> int:
    """Record one clip."""
    from cammcorder.commands.outputs import free_file

    inputs = filter(None, [*(options.replay or ()), options.replay_video])
    output = free_file(options.output, force=options.force, inputs=inputs)
    truth = output.with_suffix(".truth.npz")
    if options.sim is not None:
        free_file(truth, force=options.force)
    with choose_rig(options) as rig:
        _project(rig, options.projection)
        result = film(rig, output, options)
        if rig.save_truth is not None:
            rig.save_truth(truth)
    sys.stdout.write("\n".join(summary(result)) + "\n")
    return 0


def _project(rig: Rig, projection: ProjectionKind) -> None:
    """Say what the pictures show; UsageError where there are none to say it of."""
    from camm.errors import UsageError

    if rig.camera is not None:
        rig.camera.projection = projection
    elif projection != "rectilinear":
        raise UsageError(f"--projection {projection} is of pictures: add a camera or a film")


def choose_rig(options: argparse.Namespace) -> Rig:
    """The rig that the options ask for; UsageError where they contradict each other."""
    from camm.errors import UsageError

    replayed = options.replay is not None or options.replay_video is not None
    wired = any(part is not None for part in (options.i2c, options.gps, options.camera))
    if [options.sim is not None, replayed, wired].count(True) != 1:
        raise UsageError(
            "say where the motion comes from: --sim SCENARIO, or --replay LOG "
            "[--replay-video FILE], or --i2c N, --gps PORT and --camera DEVICE"
        )
    if options.speed is not None and wired:
        raise UsageError("--speed is for --sim and --replay: real sensors keep their own time")
    if options.calibration is not None and replayed:
        raise UsageError("--calibration is for sensors: what is replayed has been corrected before")
    if options.replay_exact and options.replay is None:
        raise UsageError("--replay-exact goes with --replay LOG")
    devices = configuration(options)
    speed = None if options.speed == 0 else options.speed or 1.0
    from daemon.calibration import NOTHING, load
    from daemon.replay import replay_rig
    from daemon.rig import hardware_rig, simulated_rig

    calibration = NOTHING if options.calibration is None else load(options.calibration)
    if options.sim is not None:
        rig = simulated_rig(options.sim, speed)
    elif replayed:
        return replay_rig(
            options.replay or [], options.replay_video, speed, exact=options.replay_exact
        )
    else:
        rig = hardware_rig(devices)
    rig.calibrate(calibration)
    return rig


def configuration(options: argparse.Namespace) -> Configuration:
    """The rig of real devices that the options describe; UsageError where they contradict."""
    from camm.declared import make
    from camm.errors import UsageError
    from daemon.configuration import Configuration

    if options.i2c is None:
        for name in ("imu", "mount", "interrupt", "mag"):
            if (value := getattr(options, name)) not in (None, "auto"):
                raise UsageError(f"--{name} {value}: say on which bus with --i2c N")
    for name in ("pps", "gps_model"):
        if options.gps is None and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} goes with --gps PORT")
    table: dict[str, object] = {}
    if options.i2c is not None:
        bus = f"/dev/i2c-{options.i2c}" if options.i2c.isdecimal() else options.i2c
        table["imu"] = {
            "bus": bus,
            "chip": options.imu,
            "rate_hz": options.imu_rate,
            "low_pass_hz": options.low_pass,
            "mount": _axes("mount", options.mount) or {},
            "interrupt": options.interrupt,
        }
    if options.mag is not None:
        table["magnetometer"] = {
            "chip": options.mag,
            "mount": _axes("mag-mount", options.mag_mount),
        }
    if options.gps is not None:
        table["gps"] = {
            "port": options.gps,
            "baud": options.baud,
            "rate_hz": options.gps_rate,
            "latency_ms": options.gps_latency,
            "pps": options.pps,
            "model": options.gps_model,
        }
    camera = _camera(options)
    if options.camera is not None:
        table["camera"] = {"device": options.camera, **camera}
    elif camera:
        raise UsageError(f"{', '.join(camera)}: say of which camera with --camera DEVICE")
    return make(Configuration, table)


def _camera(options: argparse.Namespace) -> dict[str, object]:
    """What was said of the camera, by the keys of `rig.toml`."""
    width, height = options.size or (None, None)
    said = {
        "width": width,
        "height": height,
        "fps": options.fps,
        "input": options.input,
        "encoder": options.encoder,
        "bitrate_kbit": options.bitrate,
        "line_time_us": options.line_time,
        "audio": None if options.microphone is None else {"device": options.microphone},
    }
    return {key: value for key, value in said.items() if value is not None}


def film(rig: Rig, output: Path, options: argparse.Namespace) -> Result:
    """Record with a progress bar on the terminal, if there is one."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from cammcorder import __version__
    from daemon.session import Progress as Filmed
    from daemon.session import RecordingSession

    duration_ns = None if options.duration is None else round(options.duration * 1e9)
    session = RecordingSession(
        rig,
        output,
        filter_name=options.filter,
        timescale=options.timescale,
        faststart=options.faststart,
        version=__version__,
    )
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("recording {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} s"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[counts]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    task = progress.add_task(output.name, total=options.duration, counts="")

    def watch(filmed: Filmed) -> None:
        counts = "  ".join(f"{name} {count}" for name, count in filmed.delivered.items())
        progress.update(task, completed=filmed.filmed_ns / 1e9, counts=counts)

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with progress:
            return session.record(duration_ns, watch)
    finally:
        signal.signal(signal.SIGTERM, previous)


def summary(result: Result) -> list[str]:
    """What was recorded and what was not, in two lines."""
    statistics = result.statistics
    records = ", ".join(
        f"{kind.label} {count}" for kind, count in sorted(statistics.written.items()) if count
    )
    sources = result.metadata["sources"]
    lost = {name: source["lost"] for name, source in sources.items() if source["lost"]}
    trouble = [f"{name} lost {count}" for name, count in lost.items()]
    trouble += [f"{name} late {count}" for name, count in result.metadata["late"].items()]
    trouble += [f"{name}: {source['error']}" for name, source in sources.items() if source["error"]]
    return [
        f"{result.path}: {result.duration_ns / 1e9:.1f} s, {statistics.frames} frames, "
        + ("; ".join(trouble) or "nothing lost"),
        f"  {records or 'no metadata'}",
    ]


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return value


def _size(text: str) -> tuple[int, int]:
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 1280x720, found {text!r}")
    return int(width), int(height)


def _speed(text: str) -> float:
    """0 stands for "as fast as it goes"."""
    return 0.0 if text == "max" else _positive(text)


def _axes(option: str, text: str | None) -> dict[str, str] | None:
    from camm.errors import UsageError

    if text is None:
        return None
    try:
        x, y, z = text.split(",")
    except ValueError:
        raise UsageError(f"--{option} takes three directions, found {text!r}") from None
    return {"x": x, "y": y, "z": z}


def _latency(text: str) -> tuple[float, float]:
    """Milliseconds: the least and the most."""
    try:
        least, most = map(float, text.split(".."))
    except ValueError:
        least, most = 1.0, 0.0
    if not 0 <= least < most < float("inf"):
        raise argparse.ArgumentTypeError(f"expected MIN..MAX such as 180..250, found {text!r}")
    return least, most
