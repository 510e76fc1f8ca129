"""The crystal of a chip: time as the chip counts it, against the host's."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


class Oscillator:
    """A clock that is `ppm` too fast and drifts by +-`drift_ppm` in a slow sine.

    Chip seconds and host nanoseconds both count from when the rig was made. Drift stands for
    temperature: no chip of the kind keeps its rate over ten minutes.
    """

    def __init__(self, ppm: float, drift_ppm: float, drift_period_s: float, start_ns: int) -> None:
        self._rate = 1 + ppm * 1e-6
        self._omega = 2 * math.pi / drift_period_s
        self._swing_s = drift_ppm * 1e-6 / self._omega
        self._start_ns = start_ns

    def chip_s(self, host_ns: int) -> float:
        """What the chip's counter shows at a moment of CLOCK_MONOTONIC, in its own seconds."""
        t_s = (host_ns - self._start_ns) / 1e9
        return t_s * self._rate + self._swing_s * math.sin(self._omega * t_s)

    def host_ns(self, chip_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """When the chip's counter shows `chip_s`, in nanoseconds of CLOCK_MONOTONIC."""
        t_s = chip_s / self._rate
        for _ in range(3):  # each round shrinks the error by the drift, some 1e-4
            t_s = (chip_s - self._swing_s * np.sin(self._omega * t_s)) / self._rate
        return self._start_ns + np.rint(t_s * 1e9).astype(np.int64)
