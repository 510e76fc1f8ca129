"""When a rig was at rest, by its gyroscope and accelerometer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array

Times = npt.NDArray[np.int64]

_WINDOW_NS = 250_000_000
_GYRO_SIGMA, _ACCEL_SIGMA = np.radians(1.0), 0.2  # within a window: a hand shakes more
_GYRO_STEP, _ACCEL_STEP = np.radians(1.0), 0.1  # from one window to the next
_GREATEST_BIAS = np.radians(40.0)  # datasheets allow up to 30 deg/s (LSM9DS1)


def stretches_at_rest(t_ns: Times, gyro: Array, accel: Array, least_s: float) -> list[slice]:
    """The stretches of samples in which nothing moved, each `least_s` long or longer.

    int64[N], rad/s (N, 3), m/s^2 (N, 3). A bias is no motion. Windows of a quarter of a second are
    looked at; a turn so steady that neither sensor tells it from a bias counts as rest.
    """
    if not len(t_ns):
        return []
    window = (t_ns - t_ns[0]) // _WINDOW_NS
    starts = np.flatnonzero(np.diff(window, prepend=-1))
    ends = np.append(starts[1:], len(t_ns))
    gyro_mean, gyro_sigma = _moments(gyro, starts, ends)
    accel_mean, accel_sigma = _moments(accel, starts, ends)
    still = (gyro_sigma < _GYRO_SIGMA).all(axis=1) & (accel_sigma < _ACCEL_SIGMA).all(axis=1)
    still &= (np.abs(gyro_mean) < _GREATEST_BIAS).all(axis=1)
    steady = (np.abs(np.diff(gyro_mean, axis=0)) < _GYRO_STEP).all(axis=1)
    steady &= (np.abs(np.diff(accel_mean, axis=0)) < _ACCEL_STEP).all(axis=1)
    steady &= np.diff(window[starts]) == 1
    # A stretch is a run of still windows, each steady against the one before.
    joined = still[1:] & still[:-1] & steady
    begins = np.flatnonzero(still & ~np.insert(joined, 0, False))
    stops = np.flatnonzero(still & ~np.append(joined, False))
    found = [slice(int(starts[b]), int(ends[e])) for b, e in zip(begins, stops, strict=True)]
    return [s for s in found if t_ns[s.stop - 1] - t_ns[s.start] >= 0.95e9 * least_s]


def _moments(
    values: Array, starts: npt.NDArray[np.intp], ends: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Mean and deviation (K, 3) of the rows from each start to its end."""
    count = (ends - starts)[:, None]
    centred = values - values.mean(axis=0)  # squares of what is small keep their digits
    mean = np.add.reduceat(centred, starts) / count
    square = np.add.reduceat(centred**2, starts) / count
    return mean + values.mean(axis=0), np.sqrt(np.maximum(square - mean**2, 0.0))
