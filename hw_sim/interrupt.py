"""The wire from a chip's interrupt pin to the host, as the kernel stamps its edges."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hw_sim.clock import VirtualClock

_LATE_NS = (2_000, 9_000)  # of an interrupt on a quiet host


class Pin(Protocol):
    """An interrupt pin."""

    def rises(self, until_ns: int) -> list[int]:
        """When it went high since the last call, CLOCK_MONOTONIC ns."""
        ...


class SimulatedInterrupt:
    """What a driver of a GPIO line would tell: when the line rose, a little late each time."""

    name = "simulated interrupt line"

    def __init__(self, clock: VirtualClock, pin: Pin, seed: int) -> None:
        self._clock = clock
        self._pin = pin
        self._chance = np.random.default_rng((seed, 2))  # not the one of the chip's noise

    def edges(self) -> list[int]:
        """Rising edges since the last call, by the moments at which their interrupt was served."""
        rises = self._pin.rises(self._clock.now_ns() - _LATE_NS[1])
        return [rise + int(self._chance.integers(*_LATE_NS)) for rise in rises]

    def close(self) -> None:
        """Nothing is held."""
