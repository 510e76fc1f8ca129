"""What a rig is made of and how it is set: the tables of `rig.toml`, and of the command line.

docs/HARDWARE.md explains the keys.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Literal, TypeAlias, get_args

from annotated_types import Ge, Gt

from camm import UsageError
from camm.declared import declared
from camm.frames import Array, mount_from_axes, mount_from_euler, mount_from_matrix
from camm.media import ProjectionKind
from daemon.control_client import DEFAULT_SOCKET
from drivers import find, find_magnetometer
from drivers.camera import CameraOptions
from drivers.find_camera import CameraKind, kind_of
from drivers.microphone import MicrophoneOptions
from drivers.receiver import DynamicModel
from drivers.sound_encoder import MOST_CHANNELS

_Three: TypeAlias = tuple[float, float, float]


@declared
class Mount:
    """How a sensor sits on the camera: by names, angles or a matrix.

    `x`, `y`, `z`  where its axes point, as seen from behind the camera
    `euler_deg`    the turns about the camera's own X (right), then Y (down), then Z (forward) that
                   bring the camera's axes to the sensor's
    `matrix`       its rows make camera vectors of the sensor's
    """

    x: str = "right"
    y: str = "forward"
    z: str = "up"
    euler_deg: _Three | None = None
    matrix: tuple[_Three, _Three, _Three] | None = None

    def __post_init__(self) -> None:
        named = (self.x, self.y, self.z) != ("right", "forward", "up")
        if named + (self.euler_deg is not None) + (self.matrix is not None) > 1:
            raise UsageError("a mount is x, y and z, or euler_deg, or matrix: leave the others out")
        self.rotation()

    def rotation(self) -> Array:
        """R_camera,sensor (3, 3)."""
        if self.matrix is not None:
            return mount_from_matrix(self.matrix)
        if self.euler_deg is not None:
            return mount_from_euler(*self.euler_deg)
        return mount_from_axes(x=self.x, y=self.y, z=self.z)


@declared
class ImuSettings:
    """The motion sensor: where it is, which it is, and what it is set to.

    `bus` is a device, or `unix:PATH` of a simulated rig that another process serves. `interrupt` is
    the GPIO line that its INT pin is wired to, as "gpiochip0:17". `calibration` is a file of
    `cammcorder calibrate`: it is applied to the whole rig. The service records without it
    unless it is `required`, as with any other device.
    """

    bus: str = "/dev/i2c-1"
    chip: str = "auto"
    rate_hz: Annotated[float, Gt(0)] = 225.0
    gyro_range_dps: Annotated[float, Gt(0)] = 1000.0
    accel_range_g: Annotated[float, Gt(0)] = 8.0
    low_pass_hz: Annotated[float, Gt(0)] | None = None
    mount: Mount = Mount()
    interrupt: str | None = None
    calibration: str | None = None
    required: bool = True

    def __post_init__(self) -> None:
        _known(self.chip, find.DRIVERS)


@declared
class MagnetometerSettings:
    """A magnetometer of its own package, on the IMU's bus unless it is said to be on another.

    Without a mount its axes are taken to be those of the IMU.
    """

    chip: str = "auto"
    bus: str | None = None
    rate_hz: Annotated[float, Gt(0)] = 100.0
    mount: Mount | None = None
    required: bool = False

    def __post_init__(self) -> None:
        _known(self.chip, find_magnetometer.DRIVERS)


def _known(chip: str, drivers: Iterable[str]) -> None:
    if chip not in (find.AUTO, *drivers):
        raise UsageError(f"no driver for {chip!r}; there are: {find.AUTO}, {', '.join(drivers)}")


@declared
class GpsSettings:
    """The receiver: at a serial port, or `gpsd://HOST:PORT`.

    A u-blox is set up for `rate_hz` fixes a second at `baud`, and for what carries it to move as
    `model` says, or left alone with 0. `pps` is the device of its time pulse, without which
    messages are taken to come `latency_ms` (the least, the most) after their moment.
    """

    port: str
    baud: Annotated[int, Gt(0)] = 115_200
    rate_hz: Annotated[int, Ge(0)] = 10
    latency_ms: tuple[Annotated[float, Ge(0)], Annotated[float, Gt(0)]] = (180.0, 250.0)
    pps: str | None = None
    model: DynamicModel | None = None
    required: bool = False

    def __post_init__(self) -> None:
        least, most = self.latency_ms
        if least >= most:
            raise UsageError(f"latency_ms is [least, most], found [{least:g}, {most:g}]")
        if self.pps is not None and self.port.startswith("gpsd://"):
            raise UsageError("gpsd tells of its time pulses by itself: leave pps out")
        if self.model is not None and (self.rate_hz == 0 or self.port.startswith("gpsd://")):
            raise UsageError(f"model {self.model!r} is for a receiver that we set up")


@declared
class AudioSettings:
    """The microphone: "default", or a device of ALSA as "hw:1"."""

    device: str = "default"
    rate_hz: Annotated[int, Gt(0)] = 48_000
    channels: Annotated[int, Ge(1)] = 1
    bitrate_kbit: Annotated[int, Gt(0)] = 128

    def __post_init__(self) -> None:
        if self.channels > MOST_CHANNELS:
            raise UsageError(f"channels is 1 or {MOST_CHANNELS}, found {self.channels}")

    def options(self) -> MicrophoneOptions:
        """The same as drivers take it."""
        return MicrophoneOptions(self.device, self.rate_hz, self.channels, self.bitrate_kbit)


@declared
class CameraSettings:
    """The camera, by the names of `drivers.find_camera`; a film is played again and again.

    What comes encoded is passed on as it is: a film or a stream takes no size, rate or encoder.
    """

    device: str
    width: Annotated[int, Gt(0)] = 1920
    height: Annotated[int, Gt(0)] = 1080
    fps: Annotated[float, Gt(0)] = 30.0
    input: str = "auto"
    encoder: str = "auto"
    bitrate_kbit: Annotated[int, Gt(0)] | None = None
    line_time_us: Annotated[float, Ge(0)] | None = None
    projection: ProjectionKind = "rectilinear"
    audio: AudioSettings | None = None
    required: bool = True

    def __post_init__(self) -> None:
        kind = kind_of(self.device)
        if kind in (CameraKind.FILM, CameraKind.STREAM):
            self._refuse(kind, "it is passed on as it is", *_OF_CAMERAS, "input")
        elif kind is not CameraKind.V4L2:
            self._refuse(kind, "that is for a V4L2 device", "input")

    def _refuse(self, kind: CameraKind, reason: str, *names: str) -> None:
        """A setting that nobody would heed is a mistake."""
        for field in fields(self):
            if field.name in names and getattr(self, field.name) != field.default:
                raise UsageError(f"{field.name} is of no use to a {kind}: {reason}; leave it out")

    def options(self) -> CameraOptions:
        """The same as drivers take it."""
        line_us = self.line_time_us
        return CameraOptions(
            self.device,
            self.width,
            self.height,
            self.fps,
            self.input,
            self.encoder,
            self.bitrate_kbit,
            None if line_us is None else line_us * 1e3,
        )


_OF_CAMERAS = ("width", "height", "fps", "encoder", "bitrate_kbit", "line_time_us")


@declared
class SimulatorSettings:
    """A simulated rig in the place of the devices: a built-in scenario or a TOML file."""

    scenario: str = "walk"
    speed: Annotated[float, Gt(0)] = 1.0


@declared
class FusionSettings:
    """How orientation and position are worked out.

    `output` says when there is one: "imu" with each inertial sample, "frame" with each video frame,
    or so many a second. `position` is by the receiver and the motion sensor ("gps"), or what a
    program beside ours tells ("tracker"), who may tell the orientation as well. `refine` works the
    orientation out again when a clip is finished, knowing what came later as well, as `cammcorder
    fuse` does.
    """

    filter: Literal[
        "vqf",
        "madgwick",
        "imufusion",
        "vqf-6d",
        "mahony",
        "ekf",
        "aqua",
        "complementary",
        "chip",
        "tracker",
    ] = "vqf"
    position: Literal["off", "gps", "tracker"] = "off"
    output: str | float = "imu"
    refine: bool = False

    def __post_init__(self) -> None:
        known = self.output in ("imu", "frame")
        if not (known or (isinstance(self.output, float) and 0 < self.output <= 10_000)):
            raise UsageError(
                f'output is "imu", "frame" or a number of Hz up to 10000, found {self.output!r}'
            )
        if self.refine and self.filter in ("chip", "tracker"):
            raise UsageError(
                f"refine would put our orientation in the place of the {self.filter}'s"
            )
        if self.position == "gps" and self.filter in ("vqf-6d", "tracker"):
            raise UsageError(
                f'position "gps" wants an orientation from north, and {self.filter!r} tells none'
            )
        if self.filter == "tracker" and self.output != "imu":
            raise UsageError("a tracker says by itself when there is a pose: leave output out")


@declared
class StorageSettings:
    """Where clips go and how long they stay.

    A clip is followed by another after `segment_s` or `segment_mb`; it begins `pre_roll_s` before
    it is asked for. When less than `keep_free_mb` is free, the oldest clips that are not protected
    are deleted (`delete_oldest`), or recording halts.
    """

    folder: str = "/var/lib/cammcorder"
    segment_s: Annotated[float, Ge(1)] = 300.0
    segment_mb: Annotated[float, Gt(0)] | None = None
    pre_roll_s: Annotated[float, Ge(0)] = 2.0
    keep_free_mb: Annotated[float, Gt(0)] = 500.0
    delete_oldest: bool = True


@declared
class ControlSettings:
    """Who may tell the camcorder what to do.

    `socket` is for the command line; its `group` and the service's user may control the rig.
    `http` is the address of the web page and its API; any other than this host's own wants
    `token_file`, a file with the token that clients must show; "" serves none.
    """

    socket: str = DEFAULT_SOCKET
    group: str | None = None
    http: str | None = "127.0.0.1:8080"
    token_file: str | None = None

    def __post_init__(self) -> None:
        address = self.address()
        if address is not None and self.token_file is None and not _is_loopback(address[0]):
            raise UsageError(
                f"http = {self.http!r} is open to other hosts: set token_file, a file with the "
                "token that they must show"
            )

    def address(self) -> tuple[str, int] | None:
        """Host and port of `http`; None where nothing is served."""
        if not self.http:
            return None
        found = _ADDRESS.fullmatch(self.http)
        if found is None or int(found["port"]) > _LAST_PORT:
            raise UsageError(f"http must be HOST:PORT, found {self.http!r}")
        return found["six"] or found["host"], int(found["port"])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>\d{1,5})")
_LAST_PORT = 65_535


@declared
class MotionSettings:
    """Record while the rig moves.

    It moves while its turning varies by more than `gyro_dps` within two seconds, or its
    acceleration by more than `accel_g`: neither a bias nor gravity counts.
    """

    gyro_dps: Annotated[float, Gt(0)] = 5.0
    accel_g: Annotated[float, Gt(0)] = 0.05
    start_after_s: Annotated[float, Ge(0)] = 2.0
    stop_after_s: Annotated[float, Ge(0)] = 60.0


@declared
class SpeedSettings:
    """Record while the rig is under way, by the speed of its fixes."""

    start_km_h: Annotated[float, Gt(0)] = 10.0
    stop_km_h: Annotated[float, Gt(0)] = 5.0
    start_after_s: Annotated[float, Ge(0)] = 3.0
    stop_after_s: Annotated[float, Ge(0)] = 60.0

    def __post_init__(self) -> None:
        if self.stop_km_h > self.start_km_h:
            raise UsageError(
                f"stop_km_h must not be above start_km_h, found {self.stop_km_h:g} and "
                f"{self.start_km_h:g}"
            )


Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
"""From Monday on, as `datetime.weekday` counts."""


@declared
class TimesSettings:
    """Record at times of the day, as "07:30-09:00", by the host's time zone.

    One that ends before it begins ends on the next day; `days` are those on which they begin.
    """

    between: tuple[str, ...]
    days: tuple[Day, ...] = DAYS

    def __post_init__(self) -> None:
        if not self.between or not self.days:
            raise UsageError("between and days must not be empty: leave [triggers.times] out")
        self.spans()

    def spans(self) -> list[tuple[int, int]]:
        """Minutes of the day, (from, until) of each."""
        return [_span(text) for text in self.between]


def _span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UsageError(f'between is a list of "HH:MM-HH:MM", found {text!r}')
    hour, minute, until_hour, until_minute = map(int, found.groups())
    begins, ends = hour * 60 + minute, until_hour * 60 + until_minute
    if ends > 24 * 60 or begins == ends:
        raise UsageError(f"between: {text!r} has no end: a day has 24:00 hours")
    return begins, ends


_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


@declared
class TriggerSettings:
    """What begins and ends a recording besides a command.

    `at_start` records from the start on. `button` and `led` are GPIO lines, as "gpiochip0:27". The
    tables are kinds of automatic recording: it goes on while at least one of them asks for it.
    """

    at_start: bool = False
    button: str | None = None
    led: str | None = None
    motion: MotionSettings | None = None
    speed: SpeedSettings | None = None
    times: TimesSettings | None = None


@declared
class Configuration:
    """A rig and what it does; devices that are left out are not there."""

    imu: ImuSettings | None = None
    magnetometer: MagnetometerSettings | None = None
    gps: GpsSettings | None = None
    camera: CameraSettings | None = None
    simulator: SimulatorSettings | None = None
    fusion: FusionSettings = FusionSettings()
    storage: StorageSettings = StorageSettings()
    control: ControlSettings = ControlSettings()
    triggers: TriggerSettings = TriggerSettings()

    def __post_init__(self) -> None:
        if self.magnetometer is not None and self.imu is None:
            raise UsageError("a magnetometer alone tells no orientation: add the [imu]")
        placed = self.simulator or (self.imu and self.gps)
        if self.fusion.position == "gps" and not placed:
            raise UsageError('fusion.position "gps" wants a receiver and a motion sensor')
