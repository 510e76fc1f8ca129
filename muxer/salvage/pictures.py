"""Which picture of the movie each one is: order of showing, and what is lost between them.

Pictures carry a count of their own (picture order count, time increment), which wraps and begins
anew at key frames. It puts them in order within a period, and across damage it tells how many are
lost but for multiples of where it wraps; the bytes that are lost tell those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot, log, sqrt

import numpy as np

from muxer.salvage.carve import Samples
from muxer.salvage.codecs.scanner import UNORDERED
from muxer.sample_table import Ints

_FARTHEST_STEP = 64
_FAR = 5.0
"""Misfit beyond which more of it hardly matters."""
_NEW_PERIOD, _GOES_ON, _TOO_LONG, _TOO_SHORT = 1.0, 3.0, 2.0, 10.0
"""In the same unit: what speaks against a key frame among what is lost, for counts that go on, and
against a period that is longer, or much shorter, than any other."""
_NEIGHBOURS = 25
"""Pictures on each side of damage that are like those in it."""


@dataclass(frozen=True, slots=True)
class Break:
    """Bytes lost before the sample in row `row`."""

    row: int
    lost: int


def breaks(offset: Ints, lost: Ints) -> list[Break]:
    """What of the lost bytes, int64[M, 2], lies between the samples at these offsets."""
    rows = np.searchsorted(offset, lost[:, 0])
    inside = (rows > 0) & (rows < len(offset))
    total = np.bincount(rows[inside], lost[inside, 1] - lost[inside, 0])
    return [Break(row, int(total[row])) for row in np.flatnonzero(total).tolist()]


@dataclass(frozen=True, slots=True)
class _Costs:
    """Bytes of media that a picture stands for, and a key frame beyond that."""

    picture: float
    key: float

    def of(self, pictures: int, keys: int) -> float:
        return pictures * self.picture + keys * self.key

    def misfit(self, pictures: int, keys: int, lost: int) -> float:
        """How far a guess is from the bytes that are lost, in what sizes of pictures vary by."""
        spread = hypot(
            0.4 * self.picture * sqrt(pictures), 0.3 * self.key * sqrt(keys), 0.5 * self.picture
        )
        misfit = abs(self.of(pictures, keys) - lost) / spread
        # Of codecs with pictures that are not shown, bytes tell little.
        return misfit if misfit < _FAR else _FAR + log(1 + misfit - _FAR)


def picture_numbers(samples: Samples, wrap: int, lost: Ints, media: int) -> Ints:
    """Number of each picture in showing order, from 0 on, with gaps where pictures are lost.

    `wrap` is the modulus of their order, `lost` the ranges that hold nothing known, `media` how
    many bytes the pictures share with the other tracks.
    """
    count = len(samples)
    if not count:
        return np.empty(0, np.int64)
    gone = breaks(samples.offset, lost)
    shared = media - int((lost[:, 1] - lost[:, 0]).sum()) - int(samples.size.sum())
    costs = _Prices(samples, max(shared / count, 0.0))
    if not wrap or (samples.order == UNORDERED).all():
        number = np.arange(count)
        for gap in gone:
            number[gap.row :] += round(gap.lost / costs.mean(gap.row))
        return number
    order = _unwrapped(_all_ordered(samples, wrap), wrap)
    step = _step(order, samples.fresh)
    return _Numbering(samples, order // step, wrap // step, gone, costs).numbers()


class _Prices:
    """What pictures cost in bytes, with `other` bytes of other tracks for each."""

    def __init__(self, samples: Samples, other: float) -> None:
        self._size, self._key, self._other = samples.size, samples.keyframe, other

    def mean(self, row: int) -> float:
        """Of any picture at some place of the file."""
        rows = slice(max(0, row - _NEIGHBOURS), row + _NEIGHBOURS)
        return max(float(self._size[rows].mean()) + self._other, 1.0)

    def near(self, row: int) -> _Costs:
        """At some place of the file."""
        rows = slice(max(0, row - _NEIGHBOURS), row + _NEIGHBOURS)
        size, key = self._size[rows], self._key[rows]
        if key.all() or not (self._key.any()):
            return _Costs(max(float(size.mean()) + self._other, 1.0), 0.0)
        picture = float(size[~key].mean())
        wider = slice(max(0, row - 10 * _NEIGHBOURS), row + 10 * _NEIGHBOURS)
        keys = self._size[wider][self._key[wider]]
        extra = float(keys.mean()) - picture if len(keys) else 0.0
        return _Costs(max(picture + self._other, 1.0), max(extra, 0.0))


def _all_ordered(samples: Samples, wrap: int) -> Samples:
    """With an order for those that tell none: they show what was decoded before, when it is due."""
    rows = np.arange(len(samples))
    told = np.maximum.accumulate(np.where(samples.order == UNORDERED, 0, rows))
    order = (np.where(samples.order == UNORDERED, 0, samples.order)[told] + rows - told) % wrap
    return replace(samples, order=order)


def _unwrapped(samples: Samples, wrap: int) -> Ints:
    """Orders without the wrapping, each counted from the last sample that is a reference.

    ITU-T H.264, 8.2.1.1; ITU-T H.265, 8.3.1.
    """
    order, fresh = samples.order, samples.fresh
    rows = np.arange(len(order))
    refers = np.where(samples.reference, rows, 0)
    before = np.maximum.accumulate(np.append(0, refers[:-1]))
    delta = (order - order[before] + wrap // 2) % wrap - wrap // 2
    delta[fresh | (rows == 0)] = 0
    steps = np.cumsum(np.where(samples.reference, delta, 0))
    period = np.maximum.accumulate(np.where(fresh, rows, 0))
    unwrapped: Ints = steps[before] + delta - steps[period] + order[period]
    unwrapped[fresh] = order[fresh]
    unwrapped[0] = order[0]
    return unwrapped


def _step(order: Ints, fresh: np.ndarray) -> int:
    """By how much the order of a picture differs from that of the next one shown."""
    period = np.cumsum(fresh)
    rows = np.lexsort((order, period))
    steps = np.diff(order[rows])[np.diff(period[rows]) == 0]
    steps = steps[(steps > 0) & (steps <= _FARTHEST_STEP)]
    return int(np.bincount(steps).argmax()) if len(steps) else 1


class _Numbering:
    """Goes through the periods one by one."""

    def __init__(
        self, samples: Samples, frame: Ints, wrap: int, gone: list[Break], costs: _Prices
    ) -> None:
        self._count = len(samples)
        self._frame = frame
        self._fresh = samples.fresh
        self._wrap = max(wrap, 1)
        self._gone = {gap.row: gap.lost for gap in gone}
        self._costs = costs
        self._starts = np.unique(np.append(0, np.flatnonzero(samples.fresh)))
        self._usual, self._shortest, self._longest = self._periods()

    def _periods(self) -> tuple[int, int, int]:
        """Pictures of most undamaged periods (0: they differ), of the shortest and the longest."""
        ends = np.append(self._starts[1:], self._count)
        whole = [
            end - start
            for start, end in zip(self._starts.tolist(), ends.tolist(), strict=True)
            if end < self._count and not any(start < row <= end for row in self._gone)
        ]
        if len(whole) < 2:
            return 0, 0, 0
        counts = np.bincount(whole)
        usual = int(counts.argmax())
        return (usual if counts[usual] >= 0.6 * len(whole) else 0), min(whole), max(whole)

    def numbers(self) -> Ints:
        number = np.empty(self._count, np.int64)
        base = 0
        ends = np.append(self._starts[1:], self._count)
        for start, end in zip(self._starts.tolist(), ends.tolist(), strict=True):
            if start in self._gone:
                base += self._lost_before_key(start, number, base)
            edges = [start, *(row for row in sorted(self._gone) if start < row < end), end]
            base = self._period(edges, number, base)
        return number

    def _period(self, edges: list[int], number: Ints, base: int) -> int:
        """Numbers of the pictures from one key frame to the next; returned is what comes next."""
        start, end = edges[0], edges[1]
        part = self._frame[start:end]
        if len(edges) == 2 and end < self._count:  # the last one may be cut, with some not there
            number[start:end] = base + np.argsort(np.argsort(part, kind="stable"), kind="stable")
            return base + end - start
        opened, shift = base, base - int(part.min())
        number[start:end] = part + shift
        top, had = int(number[start:end].max()) + 1, end - start
        holes = 0
        for row, stop in pairwise(edges[1:]):
            part, costs = self._frame[row:stop], self._costs.near(row)
            had += stop - row
            best = None
            about = int(self._gone[row] / costs.picture)
            for guess, keys in self._shifts(part, shift, opened, top, about):
                reached = max(top, int(part.max()) + guess + 1)
                missing = reached - base - had - holes
                if missing < 0:
                    continue
                fit = costs.misfit(missing, keys, self._gone[row])
                # Counting on as if nothing were lost is seldom a coincidence.
                fit += _NEW_PERIOD * bool(keys) - _GOES_ON * (guess == shift and not missing)
                fit += _TOO_LONG * (not keys and 0 < self._longest < reached - opened)
                begun = guess + int(part.min()) // self._wrap * self._wrap - opened
                fit += _TOO_SHORT * (keys > 0 and begun < 0.8 * self._shortest)
                if best is None or fit < best[0]:
                    best = (fit, guess, keys, reached)
            if best is not None:
                _, shift, keys, top = best
                if keys:
                    opened = shift + int(part.min()) - int(part.min()) % self._wrap
            number[row:stop] = part + shift
            holes = max(top - base - had, 0)
        return top

    def _shifts(
        self, part: Ints, shift: int, opened: int, top: int, about: int
    ) -> Iterator[tuple[int, int]]:
        """What may have to be added to the frame numbers behind damage, and with it how many key
        frames are lost: none, those of periods as usual, or one that came sooner.
        """
        low = int(part.min())
        since_key = low - low % self._wrap
        for turn in range(-2, about // self._wrap + 3):
            yield shift + turn * self._wrap, 0
        if self._usual:
            for keys in range(1, about // self._usual + 3):
                yield opened + keys * self._usual - since_key, keys
        for sooner in range(about + 2):
            yield top + sooner - since_key, 1

    def _lost_before_key(self, start: int, number: Ints, base: int) -> int:
        """Pictures lost at the end of a period, and whole periods behind it."""
        lost, costs = self._gone[start], self._costs.near(start)
        if not self._usual:
            return round(lost / costs.picture)
        begin = int(self._starts[np.searchsorted(self._starts, start) - 1])
        had = base - int(number[begin:start].min())
        rest = self._usual - had
        most = int(lost / costs.picture) // self._usual + 2
        guesses = [(rest + n * self._usual, n) for n in range(most)]
        best = min(
            (guess for guess in guesses if guess[0] >= 0),
            key=lambda guess: costs.misfit(guess[0], guess[1], lost),
        )
        free = round(lost / costs.picture)
        # A period may be shorter than usual: a scene has changed.
        if costs.misfit(best[0], best[1], lost) > 2 + 0.5 * best[0]:
            return free
        return best[0]
