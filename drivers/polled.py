"""What magnetometers without a FIFO have in common: looks, often enough to miss nothing.

A chip supplies how it is started and what one look at its registers says; the rest is here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError
from drivers.imu import MagBurst

_NOISE_NS = 20_000.0  # between the end of a measurement and data ready
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the registers say: a new sample, others overwritten before it, a field too strong.

    `field` is (3,), microtesla; a magnetometer inside an IMU gives it in the axes of that IMU.
    """

    overrun: bool
    saturated: bool
    field: npt.NDArray[np.float64]


class PolledMagnetometer(ABC):
    """A magnetometer that measures by itself; then as `drivers.imu.Magnetometer`.

    `delay_ns`   from the middle of a measurement, which it is of, to its end
    `saturated`  counts the samples that were thrown away because the field was too strong
    """

    name: ClassVar[str]
    rate_hz: ClassVar[float]
    delay_ns: ClassVar[int]

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._polls = 0
        self._looked_ns = 0
        self._newest_count = -1
        self._lost = 0
        self.saturated = 0

    @abstractmethod
    def _reset(self, clock: Clock) -> None:
        """Bring the chip to where only the mode is missing."""

    @abstractmethod
    def _begin(self) -> None:
        """Let it measure: one transaction."""

    @abstractmethod
    def _look(self) -> Look | None:
        """Status and field in one transaction, so they belong together; None if nothing is new."""

    @abstractmethod
    def _sleep(self) -> None:
        """Stop measuring."""

    @property
    def poll_interval_ns(self) -> int:
        """About 0.7 periods, different each time in a fixed pattern.

        Always shorter than the chip's period, so that no sample is missed, and never in step with
        it: every look then says something new about when the samples come.
        """
        usual = 0.7e9 / self.rate_hz
        return round(usual * (0.75 + 0.5 * (self._polls * _GOLDEN % 1.0)))

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "rate_hz": self.rate_hz,
            "group_delay_ns": self.delay_ns,
        }

    def configure(self, clock: Clock) -> None:
        """Reset the chip and let it measure."""
        self._reset(clock)
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._newest_count = -1
        self._lost = self.saturated = 0
        self._looked_ns = clock.now_ns()
        self._begin()

    def read_burst(self, clock: Clock) -> MagBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        self._polls += 1
        before = clock.now_ns()
        look = self._look()
        after = clock.now_ns()
        looked, noise = (before + after) // 2, _NOISE_NS + (after - before) * _SPREAD
        before_that, self._looked_ns = self._looked_ns, looked
        if look is None:
            return None
        # Not there at the last look, and the newest: less than a period old.
        earliest = max(before_that, looked - round(self._fit.longest_period_ns))
        self._newest_count += 1
        if look.overrun and self._fit.locked:
            # At least one was overwritten; how many, time tells.
            newest = max(math.floor(self._fit.count_at(looked)), self._newest_count + 1)
            self._lost += newest - self._newest_count
            self._newest_count = newest
        self._fit.observe(self._newest_count, earliest, looked, noise)
        if look.saturated:
            self.saturated += 1
            return None
        lost, self._lost = self._lost, 0
        return MagBurst(
            first_count=self._newest_count,
            field=look.field[np.newaxis],
            earliest_ns=earliest,
            latest_ns=looked,
            noise_ns=noise,
            lost=lost,
            group_delay_ns=self.delay_ns,
        )

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._sleep()
