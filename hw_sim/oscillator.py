"""The crystal of a chip: time as the chip counts it, against the host's."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hw_sim.rotation import Floats


class Crystal(Protocol):
    """What a chip counts by: chip seconds against host nanoseconds of CLOCK_MONOTONIC."""

    def begin(self, at_ns: int, period_s: float, delay_ns: int) -> float:
        """Chip seconds from which the chip counts that begins to sample then.

        It will have a sample every `period_s` of its own, of what was `delay_ns` before.
        """
        ...

    def chip_s(self, host_ns: int) -> float:
        """What the chip's counter shows at a moment."""
        ...

    def host_ns(self, chip_s: Floats) -> npt.NDArray[np.int64]:
        """When the chip's counter shows `chip_s`."""
        ...


class Oscillator:
    """A clock that is `ppm` too fast and drifts by +-`drift_ppm` in a slow sine.

    Chip seconds and host nanoseconds both count from when the rig was made. Drift stands for
    temperature: no chip of the kind keeps its rate over ten minutes. `cold_ppm` is what its warming
    up adds in the beginning, and is nearly gone after `warm_up_s`.
    """

    def __init__(
        self,
        ppm: float,
        drift_ppm: float,
        drift_period_s: float,
        start_ns: int,
        cold_ppm: float = 0.0,
        warm_up_s: float = 1.0,
    ) -> None:
        self._rate = 1 + ppm * 1e-6
        self._omega = 2 * math.pi / drift_period_s
        self._swing_s = drift_ppm * 1e-6 / self._omega
        self._warm_up_s = warm_up_s
        self._cold_s = cold_ppm * 1e-6 * warm_up_s
        self._start_ns = start_ns

    def begin(self, at_ns: int, period_s: float, delay_ns: int) -> float:
        """Chip seconds at a moment: it begins wherever it is."""
        return self.chip_s(at_ns)

    def chip_s(self, host_ns: int) -> float:
        """What the chip's counter shows at a moment of CLOCK_MONOTONIC, in its own seconds."""
        t_s = (host_ns - self._start_ns) / 1e9
        return t_s * self._rate + float(self._astray_s(np.float64(t_s)))

    def host_ns(self, chip_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """When the chip's counter shows `chip_s`, in nanoseconds of CLOCK_MONOTONIC."""
        t_s = chip_s / self._rate
        for _ in range(3):  # each round shrinks the error by the drift, some 1e-4
            t_s = (chip_s - self._astray_s(t_s)) / self._rate
        return self._start_ns + np.rint(t_s * 1e9).astype(np.int64)

    def _astray_s(self, t_s: Floats | np.float64) -> Floats:
        """What drift and cold have added to the count."""
        cold = -self._cold_s * np.expm1(-t_s / self._warm_up_s)
        out: Floats = self._swing_s * np.sin(self._omega * t_s) + cold
        return out
