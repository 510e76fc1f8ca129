"""Madgwick's filter of the package `ahrs`: the fallback where vqf cannot be installed.

Source: S. Madgwick, "An efficient orientation filter for inertial and inertial/magnetic sensor
arrays", 2010.
"""

from __future__ import annotations

import numpy as np
from ahrs.filters import Madgwick

from camm.frames import Array
from fusion.stepped_filter import ENU_FROM_NWU, SteppedFilter

_GAIN = 0.041
"""The package's own for nine axes; left to itself it takes the lower one for six, 0.033."""


class MadgwickFilter(SteppedFilter):
    """Madgwick's filter, turned from the north-west-up that it really works in."""

    name = "madgwick"
    world = ENU_FROM_NWU

    def __init__(self, period_s: float) -> None:
        super().__init__(period_s)
        self._madgwick = Madgwick(Dt=period_s, frequency=1 / period_s, gain=_GAIN)

    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        if field is None:
            return np.asarray(self._madgwick.updateIMU(q, rate, force))
        return np.asarray(self._madgwick.updateMARG(q, rate, force, field))
