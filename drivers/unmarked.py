"""Samples of a chip that never says when there is a new one: they are told apart by their bytes.

Two samples of which every byte is the same pass for one. With some tens of bits of noise in each
that happens to one in many thousands, at rest; time then says that one was passed over.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from drivers.clock import Clock
from drivers.clock_fit import ClockFit

_NOISE_NS = 20_000.0  # between the sample and its appearance in the registers
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_ADDRESSING_BITS = 30  # start, address, register, repeated start, address, before the first byte
_SIGMAS = 3.0  # by which a sample may seem too young or too old to be the next ...
_DOUBT = 0.25  # ... at most, of a period
_NONE = slice(0, 0)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A sample that was not there at the last look; times and losses as in `drivers.imu`."""

    count: int
    raw: bytes
    earliest_ns: int
    latest_ns: int
    noise_ns: float
    lost: int


class UnmarkedSamples:
    """Counts the samples behind some registers and says when they came.

    `nominal_period_ns`  of the chip
    `beside`             those of the bytes that are another sensor's, and say nothing
    """

    def __init__(self, nominal_period_ns: float, beside: slice = _NONE) -> None:
        self._nominal = nominal_period_ns
        self._beside = beside
        self._polls = 0
        self._fit = ClockFit(nominal_period_ns)
        self._told = b""
        self._count = -1
        self._looked_ns = 0

    @property
    def poll_interval_ns(self) -> int:
        """About 0.7 periods, different each time in a fixed pattern.

        Always shorter than the chip's period, so that no sample is missed, and never in step with
        it: every look then says something new about when the samples come.
        """
        return round(0.7 * self._nominal * (0.75 + 0.5 * (self._polls * _GOLDEN % 1.0)))

    def begin(self, clock: Clock, raw: bytes) -> None:
        """Count from 0; `raw` is what the registers hold already."""
        self._fit = ClockFit(self._nominal)
        self._told = self._tell(raw)
        self._count = -1
        self._looked_ns = clock.now_ns()

    def look(self, clock: Clock, read: Callable[[], bytes]) -> Fresh | None:
        """What has come since the last look; `read` reads the registers in one transaction."""
        self._polls += 1
        before = clock.now_ns()
        raw = read()
        took = clock.now_ns() - before
        looked = before + took * _ADDRESSING_BITS // (_ADDRESSING_BITS + 9 * len(raw))
        before_that, self._looked_ns = self._looked_ns, looked
        if (told := self._tell(raw)) == self._told:
            return None
        self._told = told
        noise = _NOISE_NS + took * _SPREAD
        count = self._number(looked, noise)
        if count <= self._count:
            return None
        lost, self._count = count - self._count - 1, count
        # Not there at the last look, and the newest: less than a period old.
        earliest = max(before_that, looked - round(self._fit.longest_period_ns))
        self._fit.observe(count, earliest, looked, noise)
        return Fresh(count, raw, earliest, looked, noise, lost)

    def _tell(self, raw: bytes) -> bytes:
        return raw[: self._beside.start] + raw[self._beside.stop :]

    def _number(self, looked: int, noise: float) -> int:
        """The count of the newest sample: the next one, unless time contradicts."""
        following = self._count + 1
        if not self._fit.locked:
            return following
        reached = self._fit.count_at(looked)
        sigma = math.hypot(self._fit.sigma_ns, noise) / self._fit.period_ns
        doubt = min(_SIGMAS * sigma, _DOUBT)
        if following - doubt <= reached < following + 1 + doubt:
            return following
        return math.floor(reached)
