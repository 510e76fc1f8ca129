"""AQUA, the algebraic quaternion algorithm of the package `ahrs`.

Source: R. Valenti, I. Dryanovski, J. Xiao, "Keeping a Good Attitude", Sensors 15(8), 2015.
"""

from __future__ import annotations

from ahrs.filters import AQUA

from camm.frames import Array, conjugate
from fusion.stepped_filter import ENU_FROM_NWU, SteppedFilter

_UP_S, _NORTH_S = 3.0, 12.0
"""Time constants; the package's own gains, 0.01 a sample, follow every shake of the hand."""


class AquaFilter(SteppedFilter):
    """AQUA, which gives the orientation the wrong way round: north-west-up -> sensor."""

    name = "aqua"
    world = ENU_FROM_NWU

    def __init__(self, period_s: float) -> None:
        super().__init__(period_s)
        self._aqua = AQUA(
            Dt=period_s,
            frequency=1 / period_s,
            alpha=min(period_s / _UP_S, 1.0),
            beta=min(period_s / _NORTH_S, 1.0),
        )

    def step(self, q: Array, rate: Array, force: Array, field: Array | None) -> Array:
        inverse = conjugate(q)
        if field is None:
            return conjugate(self._aqua.updateIMU(inverse, rate, force))
        return conjugate(self._aqua.updateMARG(inverse, rate, force, field))
