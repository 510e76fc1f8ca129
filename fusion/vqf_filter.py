"""VQF: the most accurate filter there is for this, and the quickest.

Source: D. Laidig, T. Seel, "VQF: Highly Accurate IMU Orientation Estimation with Bias Estimation
and Magnetic Disturbance Rejection", Information Fusion 91, 2023; package `vqf`.
"""

from __future__ import annotations

import numpy as np
from vqf import VQF

from camm.frames import Array


class VqfFilter:
    """VQF with its author's parameters; its world is east-north-up, as wanted.

    It ignores rows of zeros by design, so the 9D orientation serves in every case: it goes on by
    gyro and gravity while there is no magnetic sample, and where there never was one it is the
    6D orientation.
    """

    name = "vqf"

    def __init__(self, period_s: float) -> None:
        self._vqf = VQF(period_s)

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        # updateBatch runs over the rows from the present state; it takes C-contiguous float64 only.
        return np.asarray(self._vqf.updateBatch(gyro, accel, mag)["quat9D"])

    def restart(self) -> None:
        bias, sigma = self._vqf.getBiasEstimate()
        self._vqf.resetState()
        self._vqf.setBiasEstimate(bias, sigma)
