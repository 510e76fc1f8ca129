"""Chips that hold one sample at a time: when to look, which sample was found, when it came.

Nothing but looks tells when a sample came, so they are spread over all phases of the chip's period.
Where the chip says that a sample was overwritten before it was seen, one look a sample will do once
the chip's clock is known: soon after the sample is due, and now and then just before, which is what
keeps the clock known. Where it does not, or says not even that there is a new one, no period may
pass without a look, and time tells the count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.clock_fit import ClockFit

_NOISE_NS = 20_000.0  # between the sample and its appearance in the registers
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_KNOWN = 0.02
"""Of a period, one sigma: a sample whose time is known so well is looked for when it is due ..."""
_AROUND, _BEFORE = 0.3, 0.1
"""... within such a part of a period, of which in turn such a part lies before that moment."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sample that was not there at the last look; times and losses as in `drivers.imu`."""

    count: int
    earliest_ns: int
    latest_ns: int
    noise_ns: float
    lost: int


class Looks:
    """Counts the samples of a chip from 0, by the looks at it.

    `nominal_period_ns`  of the chip
    `share`              of a period between two looks, as long as they are not aimed
    `aimed`              whether the chip tells of samples that were overwritten
    """

    def __init__(self, nominal_period_ns: float, share: float, *, aimed: bool) -> None:
        self._nominal = nominal_period_ns
        self._share = share
        self._aimed = aimed
        self._number = 0
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        """Count from 0, what comes from now on."""
        self._fit = ClockFit(self._nominal)
        self._newest = -1
        self._unsure = False
        self._asked_ns = self._looked_ns = now_ns

    @property
    def interval_ns(self) -> int:
        """From the beginning of the last look to the next, different each time.

        In a fixed pattern that is never in step with the chip: every look then says something new
        about when the samples come.
        """
        phase = self._number * _GOLDEN % 1.0
        if self._aimed:
            due_ns, sigma_ns = self._fit.forecast(self._newest + 1)
            after_ns = due_ns - self._asked_ns + round(_AROUND * (phase - _BEFORE) * self._nominal)
            if sigma_ns < _KNOWN * self._nominal and after_ns > 0:
                return after_ns
        return round(self._share * self._nominal * (0.75 + 0.5 * phase))

    def doubt(self, asked_ns: int) -> None:
        """A look that failed, begun at `asked_ns`, may have taken a sample with it."""
        self._number += 1
        self._asked_ns = asked_ns
        self._unsure = True

    def look(
        self, asked_ns: int, looked_ns: int, took_ns: int, *, new: bool, overrun: bool
    ) -> Found | None:
        """A look that began at `asked_ns` has shown how it was at `looked_ns`.

        Its transaction took `took_ns`; `new` and `overrun` are what it has told. None where there
        is no new sample, or where it may be the one or the other of two: that one is given up, and
        the next, which is not in doubt, tells the count again.
        """
        self._number += 1
        self._asked_ns = asked_ns
        before_ns, self._looked_ns = self._looked_ns, looked_ns
        if not new:
            return None
        # Not there at the last look, and the newest: less than a period old.
        earliest_ns = max(before_ns, looked_ns - round(self._fit.longest_period_ns))
        if not self._fit.locked and earliest_ns > before_ns:
            # Nobody has looked yet, the other devices of a rig had to be opened: count from the
            # next one, of which more is known.
            return None
        count = self._count_of(earliest_ns, looked_ns, overrun)
        if count is None:
            return None
        lost, self._newest = count - self._newest - 1, count
        noise_ns = _NOISE_NS + took_ns * _SPREAD
        self._fit.observe(count, earliest_ns, looked_ns, noise_ns)
        return Found(count, earliest_ns, looked_ns, noise_ns, lost)

    def _count_of(self, earliest_ns: int, looked_ns: int, overrun: bool) -> int | None:
        """Which sample came between the two; None where that is in doubt."""
        following = self._newest + 1
        if not (overrun or self._unsure) or not self._fit.locked:
            return following
        reached = self._fit.count_at((earliest_ns + looked_ns) // 2)
        nearest = round(reached)
        # The sample's own count cannot be farther than this: then neither neighbour may be nearer.
        radius = ((looked_ns - earliest_ns) / 2 + 2.0 * self._fit.sigma_ns) / self._fit.period_ns
        doubtful = abs(reached - nearest) + radius > 1.0 or nearest < following
        self._unsure = overrun or doubtful
        return None if doubtful else nearest
