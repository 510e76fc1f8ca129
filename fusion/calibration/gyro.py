"""What a gyroscope says at rest: its bias, and how that follows the temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camm.frames import Array
from fusion.calibration.errors import CalibrationError

_LEAST_SPREAD_C = 4.0
"""Over fewer degrees a slope would be made of noise."""
_TILT = np.radians(0.5)
_UNSTEADY = np.radians(0.2)


@dataclass(frozen=True, slots=True, eq=False)
class GyroFit:
    """The bias (3,) at `temperature_c`, rad/s; a degree more adds `bias_per_c`, None if not known.

    `residual` is what the means of a second are off, rms. `temperature_c` is None where the chip
    has no thermometer.
    """

    bias: Array
    bias_per_c: Array | None
    temperature_c: float | None
    samples: int
    residual: float


def fit_gyro(gyro: Array, temperature_c: Array, seconds: Array) -> GyroFit:
    """The bias of samples at rest: rad/s (N, 3), degrees C (N,), which are NaN if not known.

    `seconds` (N,) numbers the second, of whatever stretch, that a sample belongs to; it grows.
    CalibrationError where the bias did not stay what it was.
    """
    starts = np.flatnonzero(np.diff(seconds, prepend=-1.0))
    count = np.diff(np.append(starts, len(gyro)))[:, None]
    mean = np.add.reduceat(gyro, starts) / count
    warmth = np.add.reduceat(temperature_c, starts) / count[:, 0]
    known = bool(np.isfinite(warmth).all())
    middle_c = float(np.average(warmth, weights=count[:, 0]))
    design = np.ones((len(mean), 1))
    if known and np.ptp(warmth) >= _LEAST_SPREAD_C:
        design = np.column_stack([design, warmth - middle_c])
    weight = np.sqrt(count)
    solution = np.linalg.lstsq(design * weight, mean * weight, rcond=None)[0]
    residual = float(np.sqrt(np.mean((mean - design @ solution) ** 2)))
    if residual > _UNSTEADY:
        raise CalibrationError(
            f"at rest the gyroscope wandered by {np.degrees(residual):.2f} °/s: put the rig down "
            "on something firm and wait until it has warmed up"
        )
    slope = solution[1] if len(solution) > 1 else None
    return GyroFit(solution[0], slope, middle_c if known else None, len(gyro), residual)


def refuse_tilting(accel: Array) -> None:
    """CalibrationError where gravity moved in a stretch of rest: a slow turn looks like a bias."""
    tenth = max(len(accel) // 10, 1)
    first, last = accel[:tenth].mean(axis=0), accel[-tenth:].mean(axis=0)
    tilt = float(np.arctan2(np.linalg.norm(np.cross(first, last)), first @ last))
    if tilt > _TILT:
        raise CalibrationError(
            f"the rig tilted by {np.degrees(tilt):.1f}° while at rest: put it down on something "
            "firm"
        )
