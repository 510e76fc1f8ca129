"""How steadily the records of one type come: rate, jitter, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muxer.motion import Extent
from muxer.report.series import Floats, Series
from muxer.sample_table import Ints

GAP = 2
"""An interval of more than so many times the usual one: something is missing in it."""

_LONGEST = 1000
"""Intervals that are kept; of more gaps than that it is only known that there are as many."""
_DECADES = 12
"""From a nanosecond to a quarter of an hour."""
_BINS = 1000
"""To a decade: the usual interval is known to a quarter of a percent."""
_BARS = 40


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which something is missing, and how many records that would be."""

    t_s: float
    seconds: float
    missing: int


class Intervals:
    """The intervals between records of one type, counted block by block."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self.series = Series(extent, 1)
        self._before: int | None = None
        self._counts = np.zeros(_DECADES * _BINS, np.int64)
        self._sums = np.zeros(_DECADES * _BINS)
        self._squares = np.zeros(_DECADES * _BINS)
        self._longest = np.empty((0, 2), np.int64)  # and where they begin; the shortest first

    def add(self, t_ns: Ints) -> None:
        """Take the times of more records. Steps back in time are no interval."""
        if not len(t_ns):
            return
        steps = np.diff(t_ns) if self._before is None else np.diff(t_ns, prepend=self._before)
        ends = t_ns[len(t_ns) - len(steps) :]
        self._before = int(t_ns[-1])
        steps, ends = steps[steps >= 0], ends[steps >= 0]
        # A time that comes twice has no place on a logarithmic axis but its foot.
        self.series.add(ends, np.maximum(steps, 1000)[:, None] / 1e6)
        bins = (np.log10(np.maximum(steps, 1)) * _BINS).astype(np.int64)
        bins = np.minimum(bins, _DECADES * _BINS - 1)
        self._counts += np.bincount(bins, minlength=_DECADES * _BINS)
        self._sums += np.bincount(bins, steps, _DECADES * _BINS)
        self._squares += np.bincount(bins, np.square(steps, dtype=np.float64), _DECADES * _BINS)
        long = steps > (self._longest[0, 0] if len(self._longest) == _LONGEST else -1)
        longest = np.stack([steps[long], ends[long] - steps[long]], axis=1)
        longest = np.concatenate([self._longest, longest])
        self._longest = longest[np.argsort(longest[:, 0], kind="stable")[-_LONGEST:]]

    @property
    def usual_s(self) -> float | None:
        """The median interval; None for less than two records, or all at one time."""
        positive = np.where(self._sums > 0, self._counts, 0)
        if not positive.any():
            return None
        half = int(np.searchsorted(np.cumsum(positive), (positive.sum() + 1) // 2))
        return float(self._sums[half] / self._counts[half]) / 1e9

    @property
    def rate_hz(self) -> float | None:
        """Records a second from the first to the last, gaps included."""
        length_ns = self.extent.last_ns - self.extent.first_ns
        return (self.extent.count - 1) * 1e9 / length_ns if length_ns else None

    @property
    def gaps(self) -> list[Gap]:
        """The intervals of more than GAP times the usual one, longest first; some may be left out.

        See `gaps_left_out`.
        """
        usual_s = self.usual_s
        if usual_s is None:
            return []
        found = self._longest[self._longest[:, 0] > GAP * usual_s * 1e9]
        return [
            Gap(begin / 1e9, step / 1e9, round(step / 1e9 / usual_s) - 1)
            for step, begin in found[np.argsort(-found[:, 0], kind="stable")].tolist()
        ]

    @property
    def gaps_left_out(self) -> bool:
        """Whether there are so many gaps that not all were kept."""
        return len(self.gaps) == _LONGEST

    @property
    def longest_s(self) -> float | None:
        """The longest interval."""
        return float(self._longest[:, 0].max()) / 1e9 if len(self._longest) else None

    @property
    def jitter_s(self) -> float | None:
        """Standard deviation of the intervals between half the usual one and twice it.

        Longer ones are gaps. A short one stands at the beginning of our own clips, whose first
        record is made for time zero.
        """
        usual_s = self.usual_s
        if usual_s is None:
            return None
        octave = round(np.log10(2) * _BINS)
        middle = int(np.log10(usual_s * 1e9) * _BINS)
        near = slice(max(middle - octave, 0), middle + octave + 1)
        counts, sums, squares = (
            float(column[near].sum()) for column in (self._counts, self._sums, self._squares)
        )
        if not counts:
            return None
        return float(np.sqrt(max(squares / counts - (sums / counts) ** 2, 0.0))) / 1e9

    @property
    def histogram(self) -> tuple[Floats, Sequence[int]]:
        """Edges in milliseconds, one more than there are counts; few where intervals are alike."""
        (there,) = np.nonzero(self._counts)
        if not len(there):
            return np.empty(0), []
        first, last = int(there[0]), int(there[-1]) + 1
        width = -(-(last - first) // _BARS)
        starts = np.arange(first, last, width)
        counts = np.add.reduceat(self._counts[:last], starts)
        edges = 10 ** (np.append(starts, starts[-1] + width) / _BINS) / 1e6
        return edges, counts.tolist()
