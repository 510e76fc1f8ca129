"""VQF: the most accurate filter there is for this, and the quickest.

Source: D. Laidig, T. Seel, "VQF: Highly Accurate IMU Orientation Estimation with Bias Estimation
and Magnetic Disturbance Rejection", Information Fusion 91, 2023; package `vqf`.
"""

from __future__ import annotations

import numpy as np
from vqf import VQF, offlineVQF

from camm.frames import Array, conjugate, rotate

NORTH_S = 15.0
"""Time constant of the heading. Its author's 9 s follow a passing disturbance too readily: over the
30 trials of BROAD 2.43 degrees of error in the mean, with 15 s 2.24."""


class VqfFilter:
    """VQF while samples come in; its world is east-north-up, as wanted.

    It ignores rows of zeros by design, so the 9D orientation serves in every case: it goes on by
    gyro and gravity while there is no magnetic sample, and where there never was one it is the
    6D orientation.
    """

    name = "vqf"
    acausal = False
    _orientation = "quat9D"

    def __init__(self, period_s: float) -> None:
        self._vqf = VQF(period_s, tauMag=NORTH_S)

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        # updateBatch runs over the rows from the present state; it takes C-contiguous float64 only.
        return np.asarray(self._vqf.updateBatch(gyro, accel, mag)[self._orientation])

    def restart(self) -> None:
        bias, sigma = self._vqf.getBiasEstimate()
        self._vqf.resetState()
        self._vqf.setBiasEstimate(bias, sigma)


class Vqf6dFilter(VqfFilter):
    """The same without the field: smoother, for it has no north to correct."""

    name = "vqf-6d"
    _orientation = "quat6D"


class OfflineVqfFilter:
    """VQF over all samples at once: it knows what comes, so it lags nowhere and starts settled.

    Every call is a stretch by itself. A row takes some 400 bytes while it runs.
    """

    name = "vqf-offline"
    acausal = True

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        there = np.abs(mag).max(axis=1) > 0
        if not there.any():
            return np.asarray(offlineVQF(gyro, accel, None, self._period_s)["quat6D"])
        if not there.all():
            # Rows of zeros are not ignored here but taken to point north. As seen from the world
            # of gyro and gravity the field stands nearly still, and is interpolated there.
            six = np.asarray(offlineVQF(gyro, accel, None, self._period_s)["quat6D"])
            rows, known = np.arange(len(mag)), np.flatnonzero(there)
            field = rotate(six[known], mag[known])
            filled = np.stack([np.interp(rows, known, axis) for axis in field.T], axis=1)
            mag = np.where(there[:, None], mag, rotate(conjugate(six), filled))
        found = offlineVQF(
            gyro, accel, np.ascontiguousarray(mag), self._period_s, {"tauMag": NORTH_S}
        )
        return np.asarray(found["quat9D"])

    def restart(self) -> None:
        """Nothing is kept."""
