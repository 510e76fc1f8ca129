"""From what sensors said to the tables of a calibration file: what each kind of it asks for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm import UsageError
from camm.allan import Allan, allan_deviation
from camm.frames import Array
from daemon.calibration import (
    AccelTable,
    GyroTable,
    MagTable,
    Matrix,
    MountTable,
    NoiseTable,
    SyncTable,
    Vector,
)
from daemon.correction import SaidBySensors
from daemon.measurement import Measurement, Place, of_clip
from daemon.video_tracks import follow_points
from fusion.calibration.accel import distinct_poses, fit_accel, normal_gravity
from fusion.calibration.errors import CalibrationError
from fusion.calibration.frames_against_gyro import FramesFit, fit_frames
from fusion.calibration.gyro import fit_gyro, refuse_tilting
from fusion.calibration.mag import fit_mag
from fusion.calibration.rest import stretches_at_rest
from fusion.declination import EarthField, earth_field
from muxer import reader

REST_S, POSE_S, NOISE_S = 5.0, 1.0, 60.0
"""How long a stretch of rest must be to tell a bias, a pose, the noise."""
_DIP_OFF_DEG = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """The figures, and the curves that they come from, of both sensors."""

    table: NoiseTable
    gyro: Allan
    accel: Allan


def gyro(measured: Sequence[Measurement], *, at_rest_all_the_time: bool) -> GyroTable:
    """The gyroscope's bias, and its slope where the measurements are of different temperatures.

    The longest rest of each is used. CalibrationError where it is too short, and where the rig
    moved though it was to be `at_rest_all_the_time`.
    """
    rates, warmth, seconds, first = [], [], [], 0
    for part in measured:
        rest = _longest_rest(part, REST_S)
        if at_rest_all_the_time and rest.stop - rest.start < 0.9 * len(part.imu_t_ns):
            raise CalibrationError(
                f"the rig was at rest for {_length_s(part, rest):.1f} s of "
                f"{_length_s(part, slice(0, len(part.imu_t_ns))):.1f} only: put it down on "
                "something firm and leave it alone"
            )
        refuse_tilting(part.accel[rest])
        number = (part.imu_t_ns[rest] - part.imu_t_ns[rest.start]) // 1_000_000_000 + first
        first = int(number[-1]) + 1
        rates.append(part.gyro[rest])
        warmth.append(part.temperature_c[rest])
        seconds.append(number)
    fit = fit_gyro(np.concatenate(rates), np.concatenate(warmth), np.concatenate(seconds))
    return GyroTable(
        when=measured[-1].when,
        chip=_chip([part.imu_chip for part in measured]),
        samples=fit.samples,
        residual=fit.residual,
        bias=_vector(fit.bias),
        bias_per_c=None if fit.bias_per_c is None else _vector(fit.bias_per_c),
        temperature_c=fit.temperature_c,
    )


def poses(measured: Sequence[Measurement]) -> Array:
    """The mean forces (K, 3) of the different poses in which the rig was at rest."""
    means = [
        part.accel[rest].mean(axis=0)
        for part in measured
        for rest in stretches_at_rest(part.imu_t_ns, part.gyro, part.accel, POSE_S)
    ]
    return distinct_poses(np.array(means).reshape(-1, 3))


def accel(measured: Sequence[Measurement], gravity: float | None = None) -> AccelTable:
    """The accelerometer's bias and matrix, by `gravity`, or that of the place where it is known."""
    place = measured[0].place
    if gravity is None:
        gravity = normal_gravity(*(() if place is None else (place.latitude, place.height_m)))
    fit = fit_accel(poses(measured), gravity)
    return AccelTable(
        when=measured[-1].when,
        chip=_chip([part.imu_chip for part in measured]),
        samples=fit.poses,
        residual=fit.residual,
        bias=_vector(fit.correction.bias),
        matrix=_matrix(fit.correction.matrix),
        temperature_c=_warmth(measured),
    )


def mag(measured: Measurement, place: Place | None = None) -> tuple[MagTable, EarthField | None]:
    """The magnetometer's bias and matrix, and the field that there should be, if that is known.

    CalibrationError also where the field dips otherwise than it does at the place.
    """
    if not len(measured.field):
        raise CalibrationError("there is no magnetometer: nothing to calibrate")
    place = place or measured.place
    earth = None
    if place is not None:
        earth = earth_field(place.latitude, place.longitude, place.height_m, measured.when)
    fit = fit_mag(
        measured.mag_t_ns,
        measured.field,
        measured.imu_t_ns,
        measured.gyro,
        measured.accel,
        None if earth is None else earth.strength_ut,
    )
    if earth is not None and not math.isnan(fit.dip_deg):
        should = math.degrees(earth.dip)
        if abs(fit.dip_deg - should) > _DIP_OFF_DEG:
            raise CalibrationError(
                f"the field dips by {fit.dip_deg:.0f}°, at this place it should by {should:.0f}°: "
                "go outside, away from iron and reinforced concrete"
            )
    table = MagTable(
        when=measured.when,
        chip=measured.mag_chip,
        samples=fit.samples,
        residual=fit.residual,
        bias=_vector(fit.correction.bias),
        matrix=_matrix(fit.correction.matrix),
        strength_ut=fit.strength_ut,
        dip_deg=None if math.isnan(fit.dip_deg) else fit.dip_deg,
    )
    return table, earth


def noise(measured: Measurement) -> Noise:
    """Random walk and bias instability of both sensors, over the longest rest."""
    rest = _longest_rest(measured, NOISE_S)
    period_s = float(np.median(np.diff(measured.imu_t_ns[rest]))) / 1e9
    of_gyro = allan_deviation(measured.gyro[rest], period_s)
    of_accel = allan_deviation(measured.accel[rest], period_s)
    table = NoiseTable(
        when=measured.when,
        chip=measured.imu_chip,
        samples=rest.stop - rest.start,
        gyro_random_walk=_random_walk(of_gyro),
        gyro_bias_instability=_vector(of_gyro.bias_instability),
        accel_random_walk=_random_walk(of_accel),
        accel_bias_instability=_vector(of_accel.bias_instability),
        temperature_c=_warmth([measured]),
    )
    return Noise(table, of_gyro, of_accel)


def frames(
    path: str | os.PathLike[str],
    hfov_deg: float | None,
    seconds: float,
    watch: Callable[[float], object] = lambda part: None,
) -> tuple[MountTable, SyncTable, FramesFit]:
    """What a clip's pictures tell against its gyroscope, and how surely.

    An offset that was applied to the clip is part of the one that comes out.
    """
    if hfov_deg is not None and not 0 < hfov_deg < 180:
        raise UsageError(
            f"a picture is more than 0 and less than 180 degrees wide, found {hfov_deg:g}"
        )
    measured = of_clip(path)
    with reader.open(path) as clip:
        tracks = follow_points(clip, seconds, watch)
        applied = SaidBySensors(clip.metadata).applied
    fit = fit_frames(tracks, measured.imu_t_ns, measured.gyro, hfov_deg)
    before_ms = 0.0 if applied.sync is None else applied.sync.offset_ms
    mount = MountTable(
        when=measured.when,
        chip=measured.imu_chip,
        samples=fit.pairs,
        residual=fit.residual_px,
        matrix=_matrix(fit.mount),
        uncertainty_deg=math.degrees(fit.mount_sigma),
        hfov_deg=fit.hfov_deg,
    )
    sync = SyncTable(
        when=measured.when,
        chip=measured.imu_chip,
        samples=fit.pairs,
        residual=fit.residual_px,
        offset_ms=before_ms + 1e3 * fit.offset_s,
        uncertainty_ms=1e3 * fit.offset_sigma_s,
        hfov_deg=fit.hfov_deg,
    )
    return mount, sync, fit


def strength_as_said(table: MagTable) -> float:
    """The mean strength of the field by the sensor's own scale, uT."""
    return table.strength_ut / float(np.cbrt(np.linalg.det(np.array(table.matrix))))


def _longest_rest(measured: Measurement, least_s: float) -> slice:
    found = stretches_at_rest(measured.imu_t_ns, measured.gyro, measured.accel, 0.0)
    longest = max(found, key=lambda rest: _length_s(measured, rest), default=slice(0, 1))
    if _length_s(measured, longest) < least_s:
        raise CalibrationError(
            f"the rig was at rest for {_length_s(measured, longest):.1f} s, expected "
            f"{least_s:.0f}: put it down on something firm and leave it alone"
        )
    return longest


def _length_s(measured: Measurement, part: slice) -> float:
    t_ns = measured.imu_t_ns[part]
    return float(t_ns[-1] - t_ns[0]) / 1e9 if len(t_ns) else 0.0


def _chip(names: Sequence[str]) -> str:
    different = sorted(set(names))
    if len(different) > 1:
        raise CalibrationError(f"the clips are of {', '.join(different)}: name clips of one sensor")
    return different[0]


def _warmth(measured: Sequence[Measurement]) -> float | None:
    warmth = np.concatenate([part.temperature_c for part in measured])
    return float(warmth.mean()) if np.isfinite(warmth).all() else None


def _random_walk(curve: Allan) -> Vector:
    if not np.isfinite(curve.random_walk).all():
        raise CalibrationError(
            "the noise is not white over any time: the rig trembles; put it on something firm, "
            "away from fans and feet"
        )
    return _vector(curve.random_walk)


def _vector(values: npt.NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _matrix(values: Array) -> Matrix:
    first, second, third = (_vector(row) for row in values)
    return first, second, third
