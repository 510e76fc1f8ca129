"""Scenarios: how a simulated rig moves, what its sensors get wrong, what it films.

A scenario is a TOML file. It says everything: the same file and seed give the same recording, byte
for byte. docs/SIMULATOR.md explains the keys.
"""

from __future__ import annotations

import difflib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Interval, Len, MultipleOf

from camm import UsageError
from camm.declared import declared, parse

_BUILT_IN = Path(__file__).with_name("scenarios")

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
"""Rows."""
Wave = tuple[float, float, float]
"""Amplitude, frequency in Hz, phase in degrees of one sine."""
_Pixels = Annotated[int, Gt(0), MultipleOf(2)]
Band = tuple[NotNegative, NotNegative, Positive]
"""Rms, lowest and highest frequency in Hz of a random shaking."""
Waypoint = tuple[float, float, float, NotNegative, NotNegative]
"""East, north, up of the place, m; speed there, m/s; seconds spent there, where that is 0."""

_NONE: Vector = (0.0, 0.0, 0.0)
_UNCHANGED: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

_DIRECTIONS = {
    "right": (1, 0, 0),
    "left": (-1, 0, 0),
    "down": (0, 1, 0),
    "up": (0, -1, 0),
    "forward": (0, 0, 1),
    "backward": (0, 0, -1),
}
"""The ways an axis can point, in camera axes (X right, Y down, Z forward)."""


@declared
class Place:
    """The centre of the walk: degrees, metres above the WGS 84 ellipsoid, gravity there."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    gravity_m_s2: float


@declared
class MagneticField:
    """The Earth's field at the place: declination east of true north, inclination down."""

    declination_deg: float
    inclination_deg: float
    strength_ut: float


@declared
class Circle:
    """Round a circle, clockwise, from a place on it in degrees from north; 0 m/s: at rest there."""

    speed_m_s: NotNegative
    radius_m: Positive
    start_deg: float


@declared
class Route:
    """From waypoint to waypoint on a smooth line, from the last to the first, and round again."""

    waypoints: Annotated[tuple[Waypoint, ...], Len(3)]

    def __post_init__(self) -> None:
        following = (*self.waypoints[1:], self.waypoints[0])
        for here, there in zip(self.waypoints, following, strict=True):
            if here[:2] == there[:2]:
                raise UsageError(f"two waypoints are at {list(here[:2])}: wait there instead")
            if not here[3] and not there[3]:
                raise UsageError(
                    f"nobody gets from {list(here[:2])} to {list(there[:2])} at 0 m/s: "
                    "put a waypoint with a speed between them"
                )
            if here[3] and here[4]:
                raise UsageError(f"who waits at {list(here[:2])} has no speed there: set it to 0")


@declared
class RandomRoute:
    """A route round the place by chance: bends `radius_m` from it at the most, least and greatest
    height and speed.
    """

    bends: Annotated[int, Ge(3)]
    radius_m: Positive
    height_m: tuple[float, float]
    speed_m_s: tuple[Positive, Positive]


@declared
class TrajectoryParameters:
    """A way, and what shakes and turns the camera on it.

    The way is one of `circle`, `route` and `random`; its direction is where the camera looks but
    for `yaw`, clockwise. `sway_m` is across the way, `bob_m` up and down. `lean` is how much of the
    roll of a motorcycle the turns bring: 1 all of it, less than 0 for a car. `shake_m` (across and
    up) and `shake_deg` (about all three axes) are by chance.
    """

    circle: Circle | None = None
    route: Route | None = None
    random: RandomRoute | None = None
    lean: float = 0.0
    sway_m: tuple[Wave, ...] = ()
    bob_m: tuple[Wave, ...] = ()
    yaw_mean_deg: float = 0.0
    yaw_deg: tuple[Wave, ...] = ()
    pitch_mean_deg: float = 0.0
    pitch_deg: tuple[Wave, ...] = ()
    roll_mean_deg: float = 0.0
    roll_deg: tuple[Wave, ...] = ()
    shake_m: tuple[Band, ...] = ()
    shake_deg: tuple[Band, ...] = ()

    def __post_init__(self) -> None:
        ways = [way for way in (self.circle, self.route, self.random) if way is not None]
        if len(ways) != 1:
            raise UsageError(f"needs one way, circle, route or random, found {len(ways)}")


@declared
class Mount:
    """Which way each axis of the IMU points, in words of the camera."""

    x: str
    y: str
    z: str

    def __post_init__(self) -> None:
        self.matrix()

    def matrix(self) -> npt.NDArray[np.float64]:
        """The rotation from IMU axes to camera axes, 3x3; UsageError where it is none."""
        for way in (self.x, self.y, self.z):
            if way not in _DIRECTIONS:
                raise UsageError(f"an axis points {', '.join(_DIRECTIONS)}; found {way!r}")
        matrix = np.array([_DIRECTIONS[way] for way in (self.x, self.y, self.z)], np.float64).T
        if round(float(np.linalg.det(matrix))) != 1:
            raise UsageError(
                f"x {self.x}, y {self.y}, z {self.z} are no right-handed axes: turn one round"
            )
        return matrix


@declared
class ImuErrors:
    """A motion sensor as it is: its address, its crystal, what calibration leaves, its noise.

    It says `matrix @ truth + bias + noise`. The biases wander by `instability` (one sigma) in a
    time of `instability_time_s`. The chip begins `warm_up_c` colder than `temperature_c` and comes
    near it in `warm_up_s`; what is `per_c` follows, and is nothing once it is warm. `interrupt`
    says whether its pin is wired to the host.
    """

    address: int
    clock_ppm: float
    clock_drift_ppm: float
    clock_drift_period_s: float
    gyro_bias_deg_s: Vector
    gyro_noise_deg_s_rthz: float
    accel_bias_m_s2: Vector
    accel_noise_m_s2_rthz: float
    temperature_c: float
    chip: Literal[
        "BMI160",
        "BMI270",
        "BNO055",
        "BNO085",
        "ICM-20948",
        "ICM-42688-P",
        "LSM6DS3TR-C",
        "LSM6DSOX",
        "LSM9DS1",
        "MPU-6050",
        "MPU-6500",
        "MPU-9250",
        "MPU-9255",
    ] = "ICM-20948"
    gyro_matrix: Matrix = _UNCHANGED
    accel_matrix: Matrix = _UNCHANGED
    gyro_instability_deg_s: NotNegative = 0.0
    accel_instability_m_s2: NotNegative = 0.0
    instability_time_s: Positive = 100.0
    warm_up_c: float = 0.0
    warm_up_s: Positive = 120.0
    gyro_bias_deg_s_per_c: Vector = _NONE
    accel_bias_m_s2_per_c: Vector = _NONE
    interrupt: bool = False
    clock_ppm_per_c: float = 0.0


@declared
class MagErrors:
    """The magnetometer: the one in the IMU's package ("internal"), or one of its own.

    It says `soft_iron @ truth + hard_iron` in the axes of its package, and noise; both are what
    calibration leaves. One of its own is at `address`, the chip's usual one unless it is given, and
    sits as `mount` says, which is as the IMU does unless it is given.
    """

    clock_ppm: float
    clock_drift_ppm: float
    clock_drift_period_s: float
    hard_iron_ut: Vector
    noise_ut: float
    soft_iron: Matrix = _UNCHANGED
    chip: Literal["internal", "LIS3MDL", "HMC5883L", "QMC5883L", "QMC5883P", "MMC5983MA"] = (
        "internal"
    )
    address: int | None = None
    mount: Mount | None = None
    temperature_c: float = 25.0


@declared
class GpsQuality:
    """The receiver: what it is and speaks, how late, how wrong, and how wrong it says it is.

    `generation`     of u-blox; "none": of another maker, and says nothing when it is asked
    `protocol`, `rate_hz` and `baud` hold until it is told otherwise
    `time_pulse`     whether there is a pulse at each whole second on a wire of its own
    `latency_ms`      least, median and greatest delay from an epoch to its first byte
    `host_clock_ppm`  how much faster than GPS time the host's CLOCK_MONOTONIC runs
    `satellites`      that it uses while nothing is wrong
    """

    protocol: Literal["ubx", "nmea", "both"]
    rate_hz: Annotated[int, Gt(0)]
    baud: Annotated[int, Gt(0)]
    latency_ms: Vector
    host_clock_ppm: float
    geoid_separation_m: float
    horizontal_error_m: float
    vertical_error_m: float
    error_time_s: Positive
    velocity_error_m_s: float
    horizontal_accuracy_m: float
    vertical_accuracy_m: float
    speed_accuracy_m_s: float
    generation: Literal["M8", "M9", "M10", "F9", "none"] = "M9"
    time_pulse: bool = False
    satellites: Annotated[int, Interval(ge=4, le=99)] = 14

    def __post_init__(self) -> None:
        least, median, greatest = self.latency_ms
        if not 0 <= least <= median <= greatest:
            raise UsageError("latency_ms must be [least, median, greatest]")
        if 1000 % self.rate_hz:
            raise UsageError(f"rate_hz must divide 1000, found {self.rate_hz}")


@declared
class CameraParameters:
    """A camera without distortion. `clock_ppm`: its crystal against the host.

    `exposure_ns`          of each line, for all of the film; or
    `longest_exposure_ns`  from `exposure_ns` to this and back again, every four seconds
    `line_time_ns`         from line to line of the rolling shutter; 0: a global shutter
    `hand_over_jitter_ms`  how much later than they could be its pictures are handed over
    `blur`                 whether what moves while a line is exposed is smeared
    `stamp`                whether number, time and shutter of a picture are printed in its corner,
                           where it is large enough
    """

    width: _Pixels
    height: _Pixels
    fps: Annotated[int, Gt(0)]
    exposure_ns: Annotated[int, Gt(0)]
    line_time_ns: Annotated[int, Ge(0)]
    hfov_deg: Annotated[float, Interval(gt=0, lt=180)]
    clock_ppm: float
    hand_over_jitter_ms: NotNegative = 0.0
    longest_exposure_ns: int | None = None
    blur: bool = True
    stamp: bool = True

    def __post_init__(self) -> None:
        frame_ns = 1_000_000_000 / self.fps
        longest_ns = self.exposure_ns
        if self.longest_exposure_ns is not None:
            longest_ns = self.longest_exposure_ns
        if not self.exposure_ns <= longest_ns <= frame_ns:
            raise UsageError(
                f"a line is exposed for {longest_ns:,} ns at the longest: make it at least "
                f"exposure_ns, {self.exposure_ns:,}, and at most a frame, {frame_ns:,.0f}"
            )
        if (self.height - 1) * self.line_time_ns > frame_ns:
            raise UsageError(
                f"{self.height} lines of {self.line_time_ns:,} ns take longer than a frame of "
                f"{frame_ns:,.0f}: lower line_time_ns or fps"
            )


@declared
class MicrophoneParameters:
    """A microphone that hears a click every so often, at known times, and a quiet hiss.

    `clock_ppm` is its crystal against the host. Samples come in blocks of `period_ms`, up to
    `hand_over_jitter_ms` later than they could; they wait in a buffer of `buffer_ms`.
    """

    rate_hz: Annotated[int, Gt(0)] = 48_000
    channels: Annotated[int, Interval(ge=1, le=2)] = 1
    clock_ppm: float = 0.0
    click_every_s: Positive = 1.0
    period_ms: Positive = 20.0
    hand_over_jitter_ms: NotNegative = 0.0
    buffer_ms: Positive = 500.0


_PARTS = {
    "unplug": ("imu", "mag", "gps", "camera", "microphone"),
    "nack": ("imu", "mag"),
    "short_read": ("imu", "mag"),
    "stall": ("imu", "mag", "gps", "camera", "microphone"),
    "bus_stuck": ("bus",),
    "baud_garbage": ("gps",),
    "gps_silent": ("gps",),
    "partial_message": ("gps",),
    "fix_lost": ("gps",),
    "fix_2d": ("gps",),
    "drop_frames": ("camera",),
    "disk_full": ("disk",),
    "power_cut": ("disk",),
}
"""What can go wrong, and with what."""


@declared
class Fault:
    """Something that breaks `at_s` seconds after the rig was made and lasts `for_s`, or for good.

    `part` is the one it happens to, where there are several. `chance` is how likely a transaction
    meets with `nack`. docs/SIMULATOR.md says what each kind does.
    """

    kind: Literal[
        "unplug",
        "nack",
        "short_read",
        "stall",
        "bus_stuck",
        "baud_garbage",
        "gps_silent",
        "partial_message",
        "fix_lost",
        "fix_2d",
        "drop_frames",
        "disk_full",
        "power_cut",
    ]
    at_s: NotNegative
    for_s: Positive | None = None
    part: str = ""
    chance: Annotated[float, Interval(gt=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        parts = _PARTS[self.kind]
        if not self.part and len(parts) == 1:
            object.__setattr__(self, "part", parts[0])
        if self.part not in parts:
            raise UsageError(
                f"{self.kind} happens to part {' or '.join(map(repr, parts))}, found {self.part!r}"
            )
        if self.kind in ("stall", "drop_frames") and self.for_s is None:
            raise UsageError(f"{self.kind} needs an end: set for_s")


@declared
class Scenario:
    """Everything that a simulated recording depends on."""

    name: str
    seed: int
    start: datetime
    place: Place
    magnetic_field: MagneticField
    trajectory: TrajectoryParameters
    mount: Mount
    imu: ImuErrors
    mag: MagErrors
    gps: GpsQuality
    camera: CameraParameters
    microphone: MicrophoneParameters | None = None
    about: str = ""
    """One line for a list of scenarios."""
    fault: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise UsageError("start needs an offset from UTC (end it with Z)")


def scenario_names() -> list[str]:
    """The names of the scenarios that come with the program."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.toml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """The scenario of a built-in name, or of a TOML file.

    UsageError where there is none, and where a key is missing, unknown or of the wrong type.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = _BUILT_IN / f"{name_or_path}.toml"
        if path.stem not in scenario_names():
            close = difflib.get_close_matches(str(name_or_path), scenario_names(), 1, 0)
            raise UsageError(
                f"no scenario is called {str(name_or_path)!r}; did you mean {close[0]!r}? "
                f"There are: {', '.join(scenario_names())}, or the path of a .toml file"
            )
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no scenario file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    return parse(Scenario, text, str(path), name=path.stem)
