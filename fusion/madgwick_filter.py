"""Madgwick's filter of the package `ahrs`: the fallback where vqf cannot be installed.

Source: S. Madgwick, "An efficient orientation filter for inertial and inertial/magnetic sensor
arrays", 2010.
"""

from __future__ import annotations

import numpy as np
from ahrs.filters import Madgwick

from camm.frames import Array, from_matrix, multiply

_ENU_FROM_NWU = np.sqrt([0.5, 0.0, 0.0, 0.5])
_GAIN = 0.041
"""The package's own for nine axes; left to itself it takes the lower one for six, 0.033."""


class MadgwickFilter:
    """Madgwick's filter, turned from the north-west-up that it really works in.

    The package keeps no state and takes one sample at a time, so this is a loop: some 80 us a
    sample, fifty times what vqf needs, and the reason why this is not the first choice.
    """

    name = "madgwick"

    def __init__(self, period_s: float) -> None:
        self._madgwick = Madgwick(Dt=period_s, frequency=1 / period_s, gain=_GAIN)
        self._nwu: Array = np.array([1.0, 0.0, 0.0, 0.0])
        self._knows_up = False
        self._knows_north = False

    def update(self, gyro: Array, accel: Array, mag: Array) -> Array:
        self._begin(accel, mag)
        # An angular rate of exactly zero makes the package return without any correction.
        still = ~gyro.any(axis=1, keepdims=True)
        rates = np.where(still, (1e-12, 0.0, 0.0), gyro)
        q = self._nwu
        nwu = np.empty((len(gyro), 4))
        for row, (rate, force, field) in enumerate(zip(rates, accel, mag, strict=True)):
            # Without a field, or without a force, it goes on by what there is.
            q = nwu[row] = self._madgwick.updateMARG(q, rate, force, field)
        self._nwu = q
        return multiply(_ENU_FROM_NWU, nwu)

    def restart(self) -> None:
        self._knows_up = False
        self._knows_north = False

    def _begin(self, accel: Array, mag: Array) -> None:
        """Set out from the attitude that the first rows show, or north as soon as one shows it.

        Its gain is 2 deg/s: from a wrong north the filter would need more than a minute.
        """
        has_up = accel.any(axis=1)
        has_north = has_up & mag.any(axis=1)
        if has_north.any() and not self._knows_north:
            row = int(np.argmax(has_north))
            self._nwu = _attitude(accel[row], mag[row])
            self._knows_up = self._knows_north = True
        elif has_up.any() and not self._knows_up:
            force = accel[np.argmax(has_up)]
            # Any direction across gravity will do for north: that of the flattest axis.
            self._nwu = _attitude(force, np.eye(3)[np.argmin(np.abs(force))])
            self._knows_up = True


def _attitude(force: Array, northward: Array) -> Array:
    """Sensor -> NWU: up is the specific force, west is across it and `northward` (TRIAD)."""
    up = force / np.linalg.norm(force)
    west = np.cross(up, northward)
    west /= np.linalg.norm(west)
    return from_matrix(np.stack([np.cross(west, up), west, up]))
