"""Finding the samples of delimited codecs in media of which no table is left.

The walk goes from sample to sample. Where none is found in its place, the next is searched for, and
what lies between is a gap: sound in the best case, damage in the worst. No size is taken on trust
and none is refused for being unlike those of the reference: what counts is evidence, in bits, that
a sample is no coincidence, of its own bytes and of what follows them.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from math import inf, log2

import numpy as np

from muxer.salvage.codecs.scanner import Bools, Filler, Readable, Run, Scanner
from muxer.sample_table import Ints

_EXPECTED, _SOUGHT = 14.0, 16.0
"""Bits that make a sample where one is due, and anywhere else beside the chances of the search."""
_LOOK = 4
"""Samples that are looked at before they are believed."""
_REACH = 1 << 20
"""Bytes of sound or damage behind a sample over which the next one still speaks for it."""
_WEAK = 25.0
_SURE = 8.0
"""Bits beyond what is needed with which a sample is sure enough not to look for one inside it."""
_SHORTEST = 5
"""Bytes of sound that comes between pictures: a silent frame of AAC has so many."""
_DIVIDED = 8.0
"""Bits that whole samples of sound in the gap behind a sample say for it."""
_MOST_GAPS = 256
_NO_GAPS = np.empty(0, np.int64)
_KEPT = 64
_SMALLEST_READ, _LARGEST_READ = 1 << 10, 1 << 22
_SIGNATURE = 64
_ALL = 1 << 62


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What was found of one codec, in the order of the file; columns as in a `Run`."""

    offset: Ints
    size: Ints
    keyframe: Bools
    order: Ints
    fresh: Bools
    reference: Bools

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, rows: Bools | Ints | slice) -> Samples:
        return Samples(
            self.offset[rows],
            self.size[rows],
            self.keyframe[rows],
            self.order[rows],
            self.fresh[rows],
            self.reference[rows],
        )

    @property
    def end(self) -> Ints:
        """The byte behind each."""
        return self.offset + self.size


class Found:
    """Samples as they come, 32 bytes each."""

    def __init__(self) -> None:
        self._rows = array("q")

    def add(self, run: Run) -> None:
        rows = np.empty((len(run), 4), np.int64)
        rows[:, 0] = run.start + np.cumsum(run.size) - run.size
        rows[:, 1] = run.size
        rows[:, 2] = run.order
        rows[:, 3] = run.keyframe | run.fresh << 1 | run.reference << 2
        self._rows.frombytes(rows.tobytes())

    def samples(self) -> Samples:
        """All of them."""
        rows = np.frombuffer(self._rows, np.int64).reshape(-1, 4)
        offset, size, order, flags = rows.T
        return Samples(offset, size, flags & 1 > 0, order, flags & 2 > 0, flags & 4 > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Carved:
    """`found` by scanner, and the gaps between them, int64[M, 2]: where each begins and ends."""

    found: tuple[Samples, ...]
    gaps: Ints


class _Turns:
    """By how much the order of a codec's samples differs from run to run."""

    def __init__(self, wrap: int) -> None:
        self._wrap = wrap
        self._last = 0
        self._seen: set[int] = set()

    def went_on(self, run: Run) -> None:
        if self._wrap:
            self._seen.add((int(run.order[0]) - self._last) % self._wrap)
            self._last = int(run.order[-1])

    def evidence(self, run: Run) -> float:
        """Bits that a run says which comes in its turn."""
        if not self._wrap or (int(run.order[0]) - self._last) % self._wrap not in self._seen:
            return 0.0
        return log2(self._wrap / len(self._seen))


class Carver:
    """Carves the bytes from `start` to `end`.

    `telling` says that all fillers can tell where one of their samples begins. `gaps` are lengths
    that gaps have in the healthy file, where they say more than that.
    """

    def __init__(
        self,
        media: Readable,
        scanners: Sequence[Scanner],
        fillers: Sequence[Filler],
        start: int,
        end: int,
        telling: bool = True,
        gaps: Ints = _NO_GAPS,
    ) -> None:
        self._media = media
        self._scanners = scanners
        self._fillers = fillers
        self._telling = telling
        self._start = start
        self._end = end
        self._gaps = gaps if len(gaps) <= _MOST_GAPS else _NO_GAPS
        span = int(self._gaps[-1]) if len(self._gaps) else 1
        self._gap_bits = max(log2(span / max(len(self._gaps), 1)), 0)
        # The same places are asked for several times.
        self._look = lru_cache(_KEPT)(self._first_samples)
        self._behind = lru_cache(_KEPT)(self._following)
        self._turns = [_Turns(scanner.wrap) for scanner in scanners]
        self._ahead: tuple[int, tuple[int, Run] | None] | None = None

    def carve(self, watch: Callable[[int], None]) -> Carved:
        """Everything that can be found. `watch` is told how far it has come."""
        found = [Found() for _ in self._scanners]
        gaps = array("q")
        at = self._start
        while at < self._end:
            here = self._at(at)
            if here is None:
                behind = self._next(at, watch)
                gaps.extend((at, behind))
                at = behind
                if at >= self._end:
                    break
                here = self._at(at, sought=True)
                if here is None:
                    continue
            number, run = here
            found[number].add(run)
            self._turns[number].went_on(run)
            at = run.end
            watch(at)
        return Carved(
            tuple(column.samples() for column in found),
            np.array(gaps, np.int64).reshape(-1, 2),
        )

    def _at(self, at: int, *, sought: bool = False) -> tuple[int, Run] | None:
        """The samples that begin at a byte, by the codec that has most to say for it."""
        best: tuple[int, Run] | None = None
        most = _EXPECTED
        for number in range(len(self._scanners)):
            run = self._look(number, at)
            if run is None:
                continue
            bits = run.evidence + self._behind(run.end)
            if bits >= most or (sought and best is None):
                best, most = (number, run), bits
        if best is None:
            return None
        number, run = best
        if len(run) == _LOOK:
            run = self._scanners[number].run(self._media, at, _ALL) or run
        return number, self._trimmed(number, run)

    def _trimmed(self, number: int, run: Run) -> Run:
        """Without a last sample that is another codec's first and only looks like one, or that ends
        in damage.
        """
        if len(run) < 2 or self._behind(run.end) > 0:
            return run
        if self._telling and not self._cut_short(run.end):
            return run.head(len(run) - 1)
        last = run.end - int(run.size[-1])
        own = self._scanners[number].run(self._media, last, 1)
        rivals = [self._look(n, last) for n in range(len(self._scanners)) if n != number]
        weak = own is None or own.evidence < _WEAK
        if any(rivals) or (weak and self._sound(last)):
            return run.head(len(run) - 1)
        return run

    def _cut_short(self, at: int) -> bool:
        """Whether a sample may begin at a byte that the end of the file has cut."""
        head = self._media.read(at, _SIGNATURE)
        return any(scanner.signature.match(head) for scanner in self._scanners)

    def _first_samples(self, number: int, at: int) -> Run | None:
        """The first samples of one codec at a byte."""
        return self._scanners[number].run(self._media, at, _LOOK)

    def _following(self, at: int) -> float:
        """Bits that what stands at a byte says for a sample that ends there."""
        if at >= self._end:
            return _EXPECTED
        samples = max((run.evidence for run in self._looks(at) if run is not None), default=0.0)
        return samples or self._sound(at)

    def _looks(self, at: int) -> list[Run | None]:
        """What each scanner finds at a byte."""
        return [self._look(number, at) for number in range(len(self._scanners))]

    def _sound(self, at: int) -> float:
        """Bits that a filling codec's sample begins at a byte."""
        return max((filler.begins(self._media, at) for filler in self._fillers), default=0.0)

    def _next(self, at: int, watch: Callable[[int], None]) -> int:
        """Where, behind byte `at`, the next sample begins that is no coincidence; else the end."""
        usual = self._usual_gap(at)
        if usual is not None:
            return usual
        sound = max((f.begins(self._media, at) for f in self._fillers if f.refuses), default=0.0)
        needed = _SOUGHT + min(sound, _SOUGHT / 8)  # for something is there already
        first = at + 1 if not sound else at + _SHORTEST
        for place, number, run, tried in self._candidates(first, watch):
            enough = needed + log2(tried + 1)
            if self._chained(number, run, enough) >= enough:
                return self._truer(place, number, run, enough, watch)
        return self._end

    def _truer(
        self, best: int, number: int, run: Run, enough: float, watch: Callable[[int], None]
    ) -> int:
        """The place of a sample that begins inside of what seems to be one, if more speaks for it.

        A false one may be made of the first bytes of the true one, and reach far behind it.
        """
        most = self._chained(number, run, enough + _SURE)
        start, last = best, best + int(run.size[0]) - 1
        if most >= enough + _SURE:
            last = min(last, best + _SIGNATURE)
        for place, other, inside, _ in self._candidates(best + 1, watch, last - best):
            if place > last:
                break
            bits = self._chained(other, inside, inf) - log2(place - start)
            if bits > most and best == start:  # with all that can be said for it
                most = self._chained(number, run, inf)
            if bits > most:
                best, most = place, bits
                last = min(last, place + int(inside.size[0]) - 1, place + _SIGNATURE)
        return best

    def _usual_gap(self, at: int) -> int | None:
        """Where a sample begins that stands as far from byte `at` as in the healthy file."""
        best, most = None, 1.5 * _SOUGHT + log2(len(self._gaps) + 1)
        for length in self._gaps.tolist():
            for number in range(len(self._scanners)):
                run = self._look(number, at + length)
                if run is not None and (bits := self._chained(number, run, most)) > most:
                    best, most = at + length, bits
        return best

    def _chained(self, number: int, run: Run, enough: float) -> float:
        """Bits for a run, with those of what stands behind it if its own are not enough."""
        bits = run.evidence
        if len(run) == _LOOK:
            return bits
        bits += self._turns[number].evidence(run)
        bits += self._behind(run.end) if bits < enough + _SOUGHT else 0
        ahead = self._first(run.end) if bits < enough else None
        if ahead is not None:
            # A place taken at random lies this near before a sample by chance.
            distance, following = ahead
            near = log2((distance + int(following.size[0])) / (distance + 1))
            if distance in self._gaps:
                near = max(near, self._gap_bits)
            bits += max(min(near, following.evidence - log2(distance + 1)), 0)
            if bits < enough and self._telling and 0 < distance < _REACH >> 4:
                bits += _DIVIDED * self._is_whole(run.end, run.end + distance)
        return bits

    def _is_whole(self, start: int, end: int) -> bool:
        """Whether samples of one filling codec fill a gap exactly."""
        return any(
            filler.refuses and filler.divide(self._media, start, end, range(0)) is not None
            for filler in self._fillers
        )

    def _first(self, at: int) -> tuple[int, Run] | None:
        """The next candidate within reach, and how far it is."""
        if self._ahead is None or self._ahead[0] != at:
            found = next(self._candidates(at, lambda _: None, _REACH), None)
            self._ahead = (at, None if found is None else (found[0] - at, found[2]))
        return self._ahead[1]

    def _candidates(
        self, at: int, watch: Callable[[int], None], reach: int = _ALL
    ) -> Iterator[tuple[int, int, Run, int]]:
        """Places from byte `at` on where samples seem to begin: where, of which codec, the samples,
        and how many places have been tried.
        """
        length, stop, tried = _SMALLEST_READ, min(self._end, at + reach), 0
        while at < stop:
            length = min(length, stop - at)
            window = self._media.read(at, length + _SIGNATURE)
            places = merge(
                *(_matches(n, scanner, window, length) for n, scanner in enumerate(self._scanners))
            )
            for place, number in places:
                run = self._look(number, at + place)
                if run is not None and run.evidence >= _EXPECTED:
                    yield at + place, number, run, tried + place
            at += length
            tried += length - window.count(0, 0, length)  # nothing begins in a run of zeros
            length = min(2 * length, _LARGEST_READ)
            watch(at)


def _matches(
    number: int, scanner: Scanner, window: bytes, length: int
) -> Iterator[tuple[int, int]]:
    """Where its signature matches in the first bytes; one match may begin inside another."""
    search = scanner.signature.search
    match = search(window)
    while match is not None and (place := match.start()) < length:
        yield place, number
        match = search(window, place + 1)
