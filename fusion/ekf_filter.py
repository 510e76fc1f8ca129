"""The extended Kalman filter of the package `ahrs`.

Source: its documentation, and J. Sabatini, "Kalman-Filter-Based Orientation Determination Using
Inertial/Magnetic Sensors", Sensors 11(10), 2011.
"""

from __future__ import annotations

import numpy as np
from ahrs.filters import EKF

from camm.frames import Array
from fusion.stepped_filter import ENU_FROM_NED, SteppedFilter


class EkfFilter(SteppedFilter):
    """The filter in its north-east-down, for which it wants gravity and not the specific force.

    Of the field it gets the horizontal part, so that the dip of the place need not be known.
    """

    name = "ekf"
    world = ENU_FROM_NED

    def __init__(self, period_s: float) -> None:
        super().__init__(period_s)
        # A dip of 0: the reference is north itself.
        self._ekf = EKF(Dt=period_s, frequency=1 / period_s, frame="NED", magnetic_ref=0.0)

    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        if field is not None:
            field = field - force * (field @ force) / (force @ force)
        # It looks at this attribute, not at the argument, to know whether there is a field.
        self._ekf.mag = field
        return np.asarray(self._ekf.update(q, rate, -force, field))

    def restart(self) -> None:
        super().restart()
        self._ekf.P = np.identity(4)
