"""The revised Madgwick filter of the package `imufusion`, in C: the extra `imufusion`.

Source: S. Madgwick, "AHRS algorithms and calibration solutions to facilitate new applications using
low-cost MEMS", PhD thesis, University of Bristol, 2014, chapter 7.
"""

from __future__ import annotations

import imufusion
import numpy as np

from camm.frames import Array
from fusion.stepped_filter import ENU_FROM_NWU, SteppedFilter

_STANDARD_GRAVITY = 9.80665
_GAIN, _REJECTION_DEG, _TIMEOUT_S = 0.1, 10.0, 5.0


class ImufusionFilter(SteppedFilter):
    """The filter, turned from north-west-up; it learns the gyroscope's bias while at rest."""

    name = "imufusion"
    world = ENU_FROM_NWU

    def __init__(self, period_s: float) -> None:
        super().__init__(period_s)
        settings = imufusion.AhrsSettings(
            sample_rate=1 / period_s,
            gain=_GAIN,
            acceleration_rejection=_REJECTION_DEG,
            magnetic_rejection=_REJECTION_DEG,
            rejection_timeout=_TIMEOUT_S,
        )
        # As an argument of the constructor it is read and never stored (1.3.3).
        settings.convention = imufusion.CONVENTION_NWU
        self._ahrs = imufusion.Ahrs()
        self._ahrs.set_settings(settings)
        self._ahrs.skip_startup()
        self._bias = imufusion.Bias()
        self._bias.set_settings(imufusion.BiasSettings(sample_rate=1 / period_s))

    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        self._ahrs.set_quaternion(q)
        rate_deg, force_g = self._bias.update(np.degrees(rate)), force / _STANDARD_GRAVITY
        if field is None:
            self._ahrs.update_no_magnetometer(rate_deg, force_g)
        else:
            self._ahrs.update(rate_deg, force_g, field)
        found = np.asarray(self._ahrs.get_quaternion(), np.float64)
        return np.asarray(found / np.linalg.norm(found))  # it counts in 32 bits
