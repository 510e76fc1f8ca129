"""When the newest sample of a burst was taken: what looks, time stamps and interrupts say of it.

A look at a FIFO tells a sample's time to a period. A chip that stamps its samples by a counter
which can be read tells it to a tick of that, and an interrupt line to microseconds. Either can be
wrong: a counter is misread, an edge is missed, comes twice or belongs to something else. So neither
is more than an opinion on where in the period it was, and one that leads out of it is not heard.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drivers.clock_fit import ClockFit
from drivers.interrupt import Interrupt

_log = logging.getLogger(__name__)

_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_LATENESS_NS = 20_000.0  # of an interrupt, one sigma; on a host that is busy
_MARGIN = 3.0
_STRAY_TICKS = 3.0  # by which stamps may be off the steps that samples make
_SILENT_BURSTS = 50  # about a second


@dataclass(frozen=True, slots=True)
class Dating:
    """The sample was taken after `earliest_ns` and not later than `latest_ns`, CLOCK_MONOTONIC.

    `noise_ns` is how far, one sigma, the truth may lie outside of that.
    """

    earliest_ns: int
    latest_ns: int
    noise_ns: float

    def agrees(self, at_ns: float, noise_ns: float) -> bool:
        """Whether the sample can have been taken then, as far as this can tell."""
        margin = _MARGIN * (self.noise_ns + noise_ns)
        return self.earliest_ns - margin <= at_ns <= self.latest_ns + margin


@dataclass(frozen=True, slots=True)
class Counter:
    """The counter of time that a chip stamps its samples with.

    `sample_ticks`  from one sample to the next: a matter of the chip's design and exact, since one
                    oscillator makes both, whatever its error
    `wrap_ticks`    after which it begins anew
    `aligned`       whether samples have no stamps, and need none: each is taken at a whole multiple
                    of `sample_ticks`
    """

    sample_ticks: float
    wrap_ticks: int
    aligned: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What the counter showed at some moment between these two, those of a transaction."""

    ticks: int
    before_ns: int
    after_ns: int


class StampedSamples:
    """Samples dated, and counted over a gap, by a chip's time stamps."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._known: tuple[int, int] | None = None

    @property
    def aligned(self) -> bool:
        """Whether stamps are those of `stamp_of_newest`, rather than of the samples."""
        return self._counter.aligned

    def newest_of(self, stamps: npt.NDArray[np.int64]) -> int | None:
        """The last stamp of a burst; None where the first is not as far away as its sample is."""
        first, last = int(stamps[0]), int(stamps[-1])
        apart = (len(stamps) - 1) * self._counter.sample_ticks
        return last if abs(self._wrapped(last - first - apart)) <= _STRAY_TICKS else None

    def stamp_of_newest(self, reading: Reading, asked_ns: int, fit: ClockFit) -> int | None:
        """The stamp of the newest sample, as found in the FIFO after `asked_ns` at the earliest.

        Of a counter that samples are aligned to. None where another sample may have come before
        the counter was read.
        """
        since = reading.ticks % self._counter.sample_ticks
        since_ns = since * fit.period_ns / self._counter.sample_ticks
        return None if since_ns < reading.after_ns - asked_ns else round(reading.ticks - since)

    def date(
        self, stamp: int, reading: Reading, count: int, fit: ClockFit, dating: Dating
    ) -> Dating:
        """The dating of sample `count`, narrowed to a tick, or as it was."""
        read_ns = (reading.before_ns + reading.after_ns) / 2
        about = (fit.count_at(round(read_ns)) - count) * self._counter.sample_ticks
        age = about + self._wrapped(reading.ticks - stamp - about)  # in ticks
        if self._counter.aligned:
            age += 0.5  # the stamp is exact, the reading at least that
        tick_ns = fit.period_ns / self._counter.sample_ticks
        at_ns = read_ns - age * tick_ns
        noise_ns = (reading.after_ns - reading.before_ns) * _SPREAD + _stretch_ns(
            fit, age / self._counter.sample_ticks
        )
        if not dating.agrees(at_ns, noise_ns):
            return dating
        return Dating(math.floor(at_ns - tick_ns), math.ceil(at_ns + tick_ns), noise_ns)

    def remember(self, count: int, stamp: int) -> None:
        """A sample whose number is beyond doubt."""
        self._known = count, stamp

    def miscounted(self, count: int, stamp: int, time_says: float) -> int:
        """How many more samples there have been than `count` says, by the stamps of two of them.

        Stamps that have wrapped meanwhile are right but for whole turns, so the count is believed
        to half a turn. `time_says` what the sample's number should be: to a sample and a thousandth
        of the gap, or the stamp is misread.
        """
        if self._known is None:
            return 0
        known_count, known_stamp = self._known
        expected = (count - known_count) * self._counter.sample_ticks
        more = self._wrapped(stamp - known_stamp - expected) / self._counter.sample_ticks
        told = count + round(more)
        doubt = 1.0 + 1e-3 * (count - known_count)
        return round(more) if abs(time_says - told) < doubt else 0

    def _wrapped(self, ticks: float) -> float:
        """Of all that the difference may be, what is nearest to nothing."""
        half = self._counter.wrap_ticks / 2
        return (ticks + half) % self._counter.wrap_ticks - half


class InterruptEdges:
    """Samples dated by the edges of an interrupt line.

    `watermark`  how many samples in the FIFO make the line rise; None where each sample does
    """

    def __init__(self, line: Interrupt, chip: str, watermark: int | None) -> None:
        self._line = line
        self._chip = chip
        self._watermark = watermark
        self._pending: list[int] = []
        self._without = 0
        self._warned = False
        line.edges()  # those of before are of no use

    def date(
        self, asked: tuple[int, int], emptied_ns: int, count: int, fit: ClockFit, dating: Dating
    ) -> Dating:
        """The dating of the newest of `count` samples, narrowed to an edge, or as it was.

        `asked` is the host time before and after the look that found them in the FIFO, `emptied_ns`
        when the reading before that ended. Edges are heard only where there are as many as there
        should be: one for each sample, or one for the watermark.
        """
        edges = self._pending + self._line.edges()
        new = [edge for edge in edges if edge <= asked[1]]
        self._pending = edges[len(new) :]
        if self._watermark is None:
            if len(new) == count + 1 and new[-1] > asked[0]:
                self._pending.insert(0, new.pop())  # it came in the middle, and too late
            edge, steps = new[-1] if len(new) == count else None, 0
        else:
            # While a FIFO is read its level falls and rises: what comes then is of no sample.
            new = [edge for edge in new if edge > emptied_ns]
            edge, steps = new[0] if len(new) == 1 else None, count - self._watermark
        if edge is not None and steps >= 0:
            noise_ns = _LATENESS_NS + _stretch_ns(fit, steps)
            at_ns = round(edge + steps * fit.period_ns)
            if dating.agrees(at_ns, noise_ns):
                self._without = 0
                return Dating(at_ns, at_ns, noise_ns)
        self._without += 1
        if self.silent and not self._warned:
            self._warned = True
            _log.warning(
                "interrupt line %s tells nothing of the samples of the %s: is its INT pin wired "
                "to it? Going on without",
                self._line.name,
                self._chip,
            )
        return dating

    @property
    def silent(self) -> bool:
        """Whether the line has told nothing for so long that the wire is in doubt."""
        return self._without >= _SILENT_BURSTS


def _stretch_ns(fit: ClockFit, samples: float) -> float:
    """One sigma of so many periods."""
    return abs(samples) * (fit.longest_period_ns - fit.period_ns) / 3.0
