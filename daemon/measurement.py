"""What sensors said for a while, in their own axes: of a rig that is there, or of a clip."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import CammError, PacketType, Samples
from camm.frames import Array
from daemon.correction import SaidBySensors
from daemon.rig import Rig
from daemon.sources import Delivery, Inertial, Magnetic, Source
from muxer import reader
from muxer.clip import Clip
from muxer.extract.track import with_fix

Times = npt.NDArray[np.int64]

_LOOK_NS = 200_000_000
_SETTLING_NS = 500_000_000
"""The first samples after a chip was set up are left out: its filters have not settled."""


class MeasurementError(CammError):
    """The sensors were not there, or what was measured is not in a clip."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where it was: degrees, and metres above the ellipsoid."""

    latitude: float
    longitude: float
    height_m: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """Raw samples of one time and rig. Times are nanoseconds of whatever clock.

    `gyro`, `accel`   (N, 3) in rad/s and m/s^2 at `imu_t_ns`, the sensor's axes
    `temperature_c`   (N,), NaN where it is not known
    `field`           (M, 3) in uT at `mag_t_ns`, the motion sensor's axes
    `imu_chip`, `mag_chip`  names, "" where they are not known
    """

    when: datetime
    imu_chip: str
    mag_chip: str
    imu_t_ns: Times
    gyro: Array
    accel: Array
    temperature_c: Array
    mag_t_ns: Times
    field: Array
    place: Place | None


class Listening:
    """What has been heard of a rig's sensors so far."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._lock = threading.Lock()
        self._inertial: list[tuple[Inertial, float]] = []
        self._magnetic: list[Magnetic] = []
        self._place: Place | None = None
        self._begun_ns = rig.clock.now_ns()

    def take(self, delivery: Delivery) -> None:
        """Called by the sources, each in a thread of its own."""
        match delivery.content:
            case Inertial() as block:
                warm = _describe(self._rig.imu).get("temperature_c", np.nan)
                with self._lock:
                    self._inertial.append((block, float(warm)))
            case Magnetic() as block:
                with self._lock:
                    self._magnetic.append(block)
            case Samples() as fixes:
                place = _place_of(fixes)
                self._place = self._place or place

    @property
    def begun(self) -> bool:
        """Whether there is something to measure by."""
        with self._lock:
            return bool(self._inertial)

    def measurement(self) -> Measurement:
        """All of it; MeasurementError where no motion sensor has said anything."""
        with self._lock:
            inertial, magnetic = list(self._inertial), list(self._magnetic)
        if not inertial:
            raise MeasurementError("the motion sensor gives no sample: ask `cammcorder doctor` why")
        rig = self._rig
        imu_t_ns = np.concatenate([block.t_ns for block, _ in inertial])
        gyro = np.concatenate([block.gyro for block, _ in inertial])
        accel = np.concatenate([block.accel for block, _ in inertial])
        warm = np.repeat([c for _, c in inertial], [len(block.t_ns) for block, _ in inertial])
        mag_t_ns = np.concatenate([np.empty(0, np.int64), *(block.t_ns for block in magnetic)])
        field = np.concatenate([np.empty((0, 3)), *(block.field for block in magnetic)])
        settled = imu_t_ns >= self._begun_ns + _SETTLING_NS
        mag_settled = mag_t_ns >= self._begun_ns + _SETTLING_NS
        return Measurement(
            datetime.fromtimestamp(rig.clock.utc_ns() // 1_000_000_000, UTC),
            str(_describe(rig.imu).get("chip", "")),
            str(_describe(rig.mag).get("chip", "")),
            imu_t_ns[settled],
            gyro[settled],
            accel[settled],
            warm[settled],
            mag_t_ns[mag_settled],
            field[mag_settled],
            self._place,
        )


def listen(
    rig: Rig, seconds: float, enough: Callable[[float, Listening], bool] = lambda part, heard: False
) -> Measurement:
    """Read the sensors of a rig for so long, or until `enough` says so: it is told how far it is.

    It is asked from the first sample on.
    MeasurementError where the motion sensor says nothing; CammError where a sensor cannot be opened
    or fails on its way. A receiver may fail: it only tells the place.
    """
    clock = rig.clock
    opened: list[Source] = []
    try:
        for source in rig.sensors:
            opened.append(source)
            try:
                source.open()
            except CammError:
                if source is not rig.gps:
                    raise
                opened.remove(source)
        heard = Listening(rig)
        for source in opened:
            source.start(heard.take)
        begin_ns, span_ns = clock.now_ns(), round(seconds * 1e9) + _SETTLING_NS
        while (passed_ns := clock.now_ns() - begin_ns) < span_ns:
            if heard.begun and enough(passed_ns / span_ns, heard):
                break
            clock.sleep_until(min(begin_ns + span_ns, clock.now_ns() + _LOOK_NS))
    finally:
        for source in opened:
            source.stop()
        for source in opened:
            source.join()
            source.close()
    for source in opened:
        if source is not rig.gps and source.statistics.failures:
            raise MeasurementError(
                f"{source.name} failed on its way: {source.statistics.error}; ask `cammcorder "
                "doctor` why"
            )
    return heard.measurement()


def of_clip(path: str | os.PathLike[str]) -> Measurement:
    """What the sensors said while a clip was recorded: what was applied to it is taken off again.

    In a clip of another maker, the camera's axes stand for the sensor's. MeasurementError where it
    has no angular rates or no forces.
    """
    with reader.open(path) as clip:
        reader.require_motion(clip)
        return _read(clip)


def _read(clip: Clip) -> Measurement:
    sources = clip.metadata.get("sources", {})
    imu, mag = (sources.get(name, {}) for name in ("imu", "mag"))
    gyro, accel, field = clip.gyro, clip.acceleration, clip.magnetic_field
    if len(gyro) < 2 or len(accel) < 2:
        raise MeasurementError(
            f"{clip.path} has no angular rates with forces: record one with a motion sensor"
        )
    said = SaidBySensors(clip.metadata)
    forces = said.accel(accel.data)
    if not np.array_equal(gyro.t_ns, accel.t_ns):
        forces = np.stack([np.interp(gyro.t_ns, accel.t_ns, axis) for axis in forces.T], axis=1)
    fixes = [s for s in (clip.gps, clip.min_gps) if len(s)]
    return Measurement(
        clip.created or datetime.now(UTC),
        str(imu.get("chip", "")),
        str(mag.get("chip", "")),
        gyro.t_ns,
        said.gyro(gyro.t_ns, gyro.data),
        forces,
        np.full(len(gyro), float(imu.get("temperature_c", np.nan))),
        field.t_ns,
        said.mag(field.data),
        next((place for place in map(_place_of, fixes) if place is not None), None),
    )


def _describe(source: Source | None) -> Any:  # noqa: ANN401 - names and numbers
    return {} if source is None else source.describe()


def _place_of(fixes: Samples) -> Place | None:
    """That of the first fix."""
    if fixes.kind not in (PacketType.GPS, PacketType.MIN_GPS):
        return None
    there = with_fix(fixes)
    if not len(there):
        return None
    latitude, longitude, height = (
        float(there.data[name][0]) for name in ("latitude", "longitude", "altitude")
    )
    return Place(latitude, longitude, height if np.isfinite(height) else 0.0)
