"""When the samples of a sound card were taken, of which it is only known when they came.

They come in blocks, soon after the last sample of each, but for a host that is busy: then they wait
in the card's buffer, and where that runs over some are lost. So it is the promptest block of some
time that tells.
"""

from __future__ import annotations

import numpy as np

from drivers.clock_fit import ClockFit, ClockFitStatistics

_CRYSTAL, _DRIFT_PPM = 1e-3, 0.1
_WINDOW_NS = 1_000_000_000
_FIRST_WINDOW_NS = 500_000_000
_PROMPT_NS, _NOISE_NS = 500_000, 200_000.0
"""So soon after its last sample the promptest block comes; how far the truth may lie outside."""
_LATE_NS = 20_000_000
"""A block that comes so late has waited; if all of them do, samples are missing before them."""
_SLEW = 2e-3
"""Times are put right by this part of the time that passes, so that packets follow evenly."""


class SampleClock:
    """Maps counts of samples to CLOCK_MONOTONIC.

    While it is `settling`, after the start and whenever a block is late, no times can be told. A
    look at the blocks of half a second shows what was the matter: whether the host was late, or
    samples were lost, whose number nobody knows. `gaps` counts the latter; the times of all that
    came since the late block are then as much later.
    """

    def __init__(self, rate_hz: int) -> None:
        self._fit = ClockFit(1e9 / rate_hz, _CRYSTAL, _DRIFT_PPM)
        self._count = 0
        self._began_ns: int | None = None  # of the window
        self._promptest: tuple[int, int, int] | None = None  # lateness, count, arrival
        self._last: tuple[int, int] | None = None  # count and time that were told
        self.settling = True
        """Whether it is not known yet when the newest samples were taken."""
        self.gaps = 0
        """How many times samples were lost."""

    @property
    def statistics(self) -> ClockFitStatistics:
        """How the fit has fared since the last gap."""
        return self._fit.statistics

    def take(self, samples: int, came_ns: int) -> None:
        """So many samples more have come."""
        self._count += samples
        fit = self._fit
        late_ns = came_ns - (
            fit.forecast(self._count)[0] if fit.locked else round(self._count * fit.period_ns)
        )
        if not self.settling and late_ns > _LATE_NS:
            self.settling, self._began_ns = True, None
        if self._began_ns is None:
            self._began_ns, self._promptest = came_ns, None
        if self._promptest is None or late_ns <= self._promptest[0]:
            self._promptest = late_ns, self._count, came_ns
        if came_ns - self._began_ns >= (_FIRST_WINDOW_NS if self.settling else _WINDOW_NS):
            self._learn(*self._promptest)

    def time_ns(self, count: int) -> int:
        """When a sample began to be taken, by its number from 0; ask in their order."""
        t_ns = int(self._fit.times(np.array([count]))[0])
        if self._last is not None:
            last_count, last_ns = self._last
            passed_ns = (count - last_count) * self._fit.period_ns
            most_ns = _SLEW * passed_ns
            wrong_ns = t_ns - last_ns - passed_ns
            t_ns = last_ns + round(passed_ns + min(max(wrong_ns, -most_ns), most_ns))
        self._last = count, t_ns
        return t_ns

    def _learn(self, late_ns: int, count: int, came_ns: int) -> None:
        """From the promptest block of a window."""
        if self.settling and self._fit.locked and late_ns > _LATE_NS:
            self.gaps += 1
            self._fit = ClockFit(self._fit.period_ns, _CRYSTAL, _DRIFT_PPM)
            self._last = None
        self._fit.observe(count, came_ns - _PROMPT_NS, came_ns, _NOISE_NS)
        self.settling, self._began_ns = False, None
