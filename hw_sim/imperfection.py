"""What a motion sensor makes of the truth: wrong axes, biases that wander and follow warmth."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hw_sim.rotation import Floats
from hw_sim.scenario import ImuErrors

_SINES = 48
_SLOWEST, _FASTEST = 0.01, 10.0  # of the sines, in cycles per correlation time


class Wander:
    """Three values that wander about nothing: a first-order Gauss-Markov process, near enough.

    A sum of sines by chance with that process' spectrum, so that it is known at any moment without
    what was before. `sigma` is of each of the three, `time_s` after which 1/e of it is left.
    """

    def __init__(self, sigma: float, time_s: float, chance: np.random.Generator) -> None:
        # Equal shares of the power: the quantiles of its Lorentzian spectrum.
        edges = np.arctan(2 * math.pi * np.array([_SLOWEST, _FASTEST]))
        share = edges[0] + (edges[1] - edges[0]) * chance.random((_SINES, 3))
        self._omega = np.tan(share) / time_s
        self._phase = chance.uniform(0, 2 * math.pi, (_SINES, 3))
        self._amplitude = sigma * math.sqrt(2 / _SINES)

    def at(self, t_s: Floats) -> Floats:
        """The values, (N, 3)."""
        if not self._amplitude:
            return np.zeros((len(t_s), 3))
        angle = t_s[:, None, None] * self._omega + self._phase
        value: Floats = self._amplitude * np.sin(angle).sum(axis=1)
        return value


class Imperfection:
    """The errors of one motion sensor but for its noise, its clock and its resolution."""

    def __init__(self, errors: ImuErrors, start_ns: int, seed: int) -> None:
        self._errors = e = errors
        self._start_ns = start_ns
        chance = np.random.default_rng((seed, 1))  # not the one of the noise
        time_s = e.instability_time_s
        self._matrices = np.array(e.gyro_matrix).T, np.array(e.accel_matrix).T
        self._biases = np.radians(e.gyro_bias_deg_s), np.array(e.accel_bias_m_s2)
        self._per_c = np.radians(e.gyro_bias_deg_s_per_c), np.array(e.accel_bias_m_s2_per_c)
        self._wanders = (
            Wander(math.radians(e.gyro_instability_deg_s), time_s, chance),
            Wander(e.accel_instability_m_s2, time_s, chance),
        )

    def temperature_c(self, t_ns: int) -> float:
        """Of the chip, at a moment of CLOCK_MONOTONIC."""
        return self._errors.temperature_c - float(self._cold_c(np.array([t_ns]))[0])

    def gyro(self, t_ns: npt.NDArray[np.int64], rate: Floats) -> Floats:
        """What it says of angular rates, (N, 3)."""
        return self._of(0, t_ns, rate)

    def accel(self, t_ns: npt.NDArray[np.int64], force: Floats) -> Floats:
        """What it says of specific forces, (N, 3)."""
        return self._of(1, t_ns, force)

    def _of(self, sensor: int, t_ns: npt.NDArray[np.int64], truth: Floats) -> Floats:
        wander = self._wanders[sensor].at((t_ns - self._start_ns) / 1e9)
        warmth = -self._cold_c(t_ns)[:, None] * self._per_c[sensor]
        out: Floats = truth @ self._matrices[sensor] + self._biases[sensor] + wander + warmth
        return out

    def _cold_c(self, t_ns: npt.NDArray[np.int64]) -> Floats:
        """By how much it is colder than it will be."""
        t_s = (t_ns - self._start_ns) / 1e9
        cold: Floats = self._errors.warm_up_c * np.exp(-t_s / self._errors.warm_up_s)
        return cold
