"""Quantities side by side that were measured at times of their own: rows for the angular rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from camm import PacketType, Samples
from muxer.clip import Clip
from muxer.extract.cells import comma_separated, integers, text_of
from muxer.extract.columns import columns
from muxer.records import Records
from muxer.sample_table import Ints

_EVER = 1 << 62


def rates_and_followers(
    clip: Clip,
    records: Iterable[Records],
    followers: Sequence[PacketType],
    *,
    from_zero: bool = False,
) -> Iterator[list[Samples]]:
    """Angular rates with the followers of the same times, interpolated where theirs differ.

    A list for each block of records, and one more: the rates in order of time and then each of the
    followers, all of equal length, which may be 0. Followers are held beyond both ends; `from_zero`
    holds the first rate back to time zero, where the sensor began later.
    """
    waiting = Samples.empty(PacketType.GYRO)
    beside = [_Beside(clip, kind) for kind in followers]
    for block in records:
        for each in beside:
            each.take(block.samples(each.kind))
        rates = block.samples(PacketType.GYRO)
        if from_zero and len(rates):
            rates, from_zero = _from_zero(rates), False
        waiting = in_order(waiting, rates)
        known = waiting.t_ns <= min((each.known_until_ns for each in beside), default=_EVER)
        ready, waiting = waiting[known], waiting[~known]
        yield [ready, *(each.at(ready.t_ns) for each in beside)]
    yield [waiting, *(each.at(waiting.t_ns) for each in beside)]


def printed_beside(rows: Sequence[Samples]) -> bytes:
    """Such rows as text: nanoseconds, and all values divided by commas."""
    printed = [column.printed() for samples in rows for column in columns(samples)]
    return text_of(comma_separated([integers(rows[0].t_ns), *printed]))


def in_order(samples: Samples, more: Samples) -> Samples:
    """Both, in order of time."""
    both = Samples.concatenate(samples.kind, [samples, more])
    return both[np.argsort(both.t_ns, kind="stable")]


def _from_zero(rates: Samples) -> Samples:
    if rates.t_ns[0] <= 0:
        return rates
    first = Samples(rates.kind, np.zeros(1, np.int64), rates.data[:1])
    return in_order(first, rates)


class _Beside:
    """A quantity that is wanted at other times than its own."""

    def __init__(self, clip: Clip, kind: PacketType) -> None:
        self.kind = kind
        self._last_ns = clip.survey.extents[kind].last_ns
        self._samples = Samples.empty(kind)

    @property
    def known_until_ns(self) -> int:
        """Up to when it can be told with what has been read: for good, once that is all."""
        if not len(self._samples):
            return -_EVER
        newest_ns = int(self._samples.t_ns[-1])
        return _EVER if newest_ns >= self._last_ns else newest_ns

    def take(self, samples: Samples) -> None:
        """Note what comes next."""
        self._samples = in_order(self._samples, samples)

    def at(self, t_ns: Ints) -> Samples:
        """Interpolated to times that do not go back, and held beyond both ends.

        What lies before the last of them is forgotten.
        """
        if not len(t_ns):
            return Samples.empty(self.kind)
        times, data = self._samples.t_ns, self._samples.data
        # Counted from the first, times have no more digits than a float.
        axes = [np.interp(t_ns - times[0], times - times[0], axis) for axis in data.T]
        values = np.stack(axes, axis=1).astype(np.float32)
        near = np.minimum(np.searchsorted(times, t_ns), len(times) - 1)
        same = times[near] == t_ns
        values[same] = data[near[same]]
        self._samples = self._samples[max(int(np.searchsorted(times, t_ns[-1])) - 1, 0) :]
        return Samples(self.kind, t_ns, values)
