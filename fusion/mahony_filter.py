"""Mahony's complementary filter of the package `ahrs`.

Source: R. Mahony, T. Hamel, J.-M. Pflimlin, "Nonlinear Complementary Filters on the Special
Orthogonal Group", IEEE Transactions on Automatic Control 53(5), 2008.
"""

from __future__ import annotations

import numpy as np
from ahrs.filters import Mahony

from camm.frames import Array
from fusion.stepped_filter import ENU, SteppedFilter

_PROPORTIONAL, _INTEGRAL = 0.74, 0.0012
"""The package's own, 1 and 0.3, swing: 30 degrees of error in the mean of a public benchmark."""


class MahonyFilter(SteppedFilter):
    """Mahony's filter; its world is east-north-up, as wanted."""

    name = "mahony"
    world = ENU

    def __init__(self, period_s: float) -> None:
        super().__init__(period_s)
        self._mahony = Mahony(Dt=period_s, frequency=1 / period_s, k_P=_PROPORTIONAL, k_I=_INTEGRAL)

    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        if field is None:
            return np.asarray(self._mahony.updateIMU(q, rate, force))
        return np.asarray(self._mahony.updateMARG(q, rate, force, field))
