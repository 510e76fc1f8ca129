"""Scenarios: how a simulated rig moves, what its sensors get wrong, what it films.

A scenario is a TOML file. It says everything: the same file and seed give the same recording, byte
for byte. docs/SIMULATOR.md explains the keys.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from camm import UsageError

_Record = TypeVar("_Record")

_BUILT_IN = Path(__file__).with_name("scenarios")

Vector = tuple[float, float, float]
Wave = tuple[float, float, float]
"""Amplitude, frequency in Hz, phase in degrees of one sine."""

_DIRECTIONS = {
    "right": (1, 0, 0),
    "left": (-1, 0, 0),
    "down": (0, 1, 0),
    "up": (0, -1, 0),
    "forward": (0, 0, 1),
    "backward": (0, 0, -1),
}
"""The ways an axis can point, in camera axes (X right, Y down, Z forward)."""


@dataclass(frozen=True, slots=True)
class Place:
    """The centre of the walk: degrees, metres above the WGS 84 ellipsoid, gravity there."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    gravity_m_s2: float


@dataclass(frozen=True, slots=True)
class MagneticField:
    """The Earth's field at the place: declination east of true north, inclination down."""

    declination_deg: float
    inclination_deg: float
    strength_ut: float


@dataclass(frozen=True, slots=True)
class TrajectoryParameters:
    """A walk round a circle, clockwise, with the gait on the path and the hand on the camera.

    `sway_m` is across the path, `bob_m` up and down. `yaw` is against the direction of travel.
    """

    speed_m_s: float
    radius_m: float
    start_deg: float
    sway_m: tuple[Wave, ...]
    bob_m: tuple[Wave, ...]
    yaw_mean_deg: float
    yaw_deg: tuple[Wave, ...]
    pitch_mean_deg: float
    pitch_deg: tuple[Wave, ...]
    roll_mean_deg: float
    roll_deg: tuple[Wave, ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """Which way each axis of the IMU points, in words of the camera."""

    x: str
    y: str
    z: str

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


@dataclass(frozen=True, slots=True)
class ImuErrors:
    """A motion sensor as it is: its address, its crystal, what calibration leaves, its noise."""

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
        "ICM-20948", "ICM-42688-P", "LSM6DSOX", "MPU-6050", "MPU-6500", "MPU-9250", "MPU-9255"
    ] = "ICM-20948"


@dataclass(frozen=True, slots=True)
class MagErrors:
    """The magnetometer in the same package. The hard iron is what calibration leaves, IMU axes."""

    clock_ppm: float
    clock_drift_ppm: float
    clock_drift_period_s: float
    hard_iron_ut: Vector
    noise_ut: float


@dataclass(frozen=True, slots=True)
class GpsQuality:
    """The receiver: what it is and speaks, how late, how wrong, and how wrong it says it is.

    `generation`     of u-blox; "none": of another maker, and says nothing when it is asked
    `protocol`, `rate_hz` and `baud` hold until it is told otherwise
    `time_pulse`     whether there is a pulse at each whole second on a wire of its own
    `latency_ms`      least, median and greatest delay from an epoch to its first byte
    `host_clock_ppm`  how much faster than GPS time the host's CLOCK_MONOTONIC runs
    """

    protocol: Literal["ubx", "nmea", "both"]
    rate_hz: int
    baud: int
    latency_ms: Vector
    host_clock_ppm: float
    geoid_separation_m: float
    horizontal_error_m: float
    vertical_error_m: float
    error_time_s: float
    velocity_error_m_s: float
    horizontal_accuracy_m: float
    vertical_accuracy_m: float
    speed_accuracy_m_s: float
    generation: Literal["M8", "M9", "M10", "none"] = "M9"
    time_pulse: bool = False


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """A rolling-shutter camera without distortion. `clock_ppm`: its crystal against the host."""

    width: int
    height: int
    fps: int
    exposure_ns: int
    line_time_ns: int
    hfov_deg: float
    clock_ppm: float


@dataclass(frozen=True, slots=True)
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
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no scenario file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}") from None
    scenario = _record(Scenario, {"name": path.stem, **table}, path, "")
    _check(scenario, path)
    return scenario


def _check(scenario: Scenario, path: Path) -> None:
    """What types alone do not tell; UsageError."""
    scenario.mount.matrix()
    camera, gps = scenario.camera, scenario.gps
    least, median, greatest = gps.latency_ms
    wrong = {
        "start needs an offset from UTC (end it with Z)": scenario.start.tzinfo is None,
        "camera.width and camera.height must be even and positive": camera.width <= 0
        or camera.height <= 0
        or (camera.width | camera.height) & 1,
        "camera.fps must be positive": camera.fps <= 0,
        "camera.hfov_deg must lie between 0 and 180": not 0 < camera.hfov_deg < 180,
        "gps.rate_hz must divide 1000": gps.rate_hz <= 0 or 1000 % max(gps.rate_hz, 1),
        "gps.baud must be positive": gps.baud <= 0,
        "gps.latency_ms must be [least, median, greatest]": not 0 <= least <= median <= greatest,
        "trajectory.radius_m must be positive": scenario.trajectory.radius_m <= 0,
    }
    for complaint, holds in wrong.items():
        if holds:
            raise UsageError(f"{path}: {complaint}")


def _record(kind: type[_Record], table: Mapping[str, object], path: Path, key: str) -> _Record:
    """A dataclass of a TOML table, checked field by field."""
    hints = typing.get_type_hints(kind)
    prefix = f"{key}." if key else ""
    for name in table:
        if name not in hints:
            close = difflib.get_close_matches(name, hints, 1)
            meant = f", did you mean {close[0]!r}?" if close else f"; there are: {', '.join(hints)}"
            raise UsageError(f"{path}: unknown key {prefix + name!r}{meant}")
    fields = dataclasses.fields(typing.cast("typing.Any", kind))
    for name in (field.name for field in fields if field.default is dataclasses.MISSING):
        if name not in table:
            raise UsageError(f"{path}: the key {prefix + name!r} is missing")
    return kind(**{name: _value(hints[name], table[name], path, prefix + name) for name in table})


def _value(kind: object, value: object, path: Path, key: str) -> object:
    """A TOML value as the type of its field: whole numbers pass for floats, lists for tuples."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _record(kind, value, path, key)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (int, bool, str, datetime) and type(value) is kind:
        return value
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        items = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(items) == len(value):
            pairs = zip(items, value, strict=True)
            return tuple(_value(item, v, path, f"{key}[{i}]") for i, (item, v) in enumerate(pairs))
    raise UsageError(f"{path}: {key} must be {_in_words(kind)}, found {value!r}")


def _in_words(kind: object) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each item {_in_words(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)} numbers"
    if kind is datetime:
        return "a date and time"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return words.get(typing.cast("type", kind), "a table")
