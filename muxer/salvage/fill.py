"""Dividing what lies between delimited samples among codecs whose samples do not say their size.

How many samples of sound a gap should hold follows from the pictures before it and from the lead
that sound had over pictures in the healthy file. It is a hint that saves work: where the bytes say
otherwise, they are believed.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, floor, inf

import numpy as np

from muxer.file_boxes import Memory
from muxer.pcm import frame_size
from muxer.salvage.carve import Carved, Samples
from muxer.salvage.codecs.scanner import UNORDERED, Filler, Readable
from muxer.salvage.reference import Reference, ReferenceTrack
from muxer.sample_table import Ints

_ROUNDING = 1e-6
_UNKNOWN = range(0)
_LIKELY = 2
"""How much longer than the longest in the healthy file samples may be that tell nothing."""
_SLACK_FRAMES = 1024
"""PCM frames by which a gap may differ from what is due: those of a packet."""


@dataclass(frozen=True, eq=False)
class Filling:
    """A filling codec and the tracks of the healthy file that have it."""

    filler: Filler
    tracks: tuple[ReferenceTrack, ...]

    @cached_property
    def telling(self) -> bool:
        """Whether the codec can tell where its samples begin."""
        samples = self.tracks[0].samples[:1]
        return all(self.filler.begins(Memory(sample), 0) > 0 for sample in samples)

    @cached_property
    def frame(self) -> int:
        """Bytes of a PCM frame, of which a row holds many; 0 where each row is a sample."""
        return frame_size(self.tracks[0].entry)

    def count(self, edges: Ints) -> int:
        """Samples between edges."""
        return int(edges[-1] - edges[0]) // self.frame if self.frame else len(edges) - 1

    def first(self, edges: Ints, most: int) -> Ints:
        """At most so many samples of them, from the beginning."""
        if self.frame:
            return np.unique([edges[0], min(int(edges[-1]), int(edges[0]) + most * self.frame)])
        return edges[: most + 1]

    def last(self, edges: Ints, most: int) -> Ints:
        """At most so many samples of them, from the end."""
        if self.frame:
            return np.unique([max(int(edges[0]), int(edges[-1]) - most * self.frame), edges[-1]])
        return edges[-(most + 1) :]

    def plausible(self, starts: Ints, end: int, due: range) -> bool:
        """Whether there are about as many as are due, where the bytes leave that open."""
        if not self.frame and not self.filler.refuses:
            longest = int(self.tracks[0].sizes.max())
            return end - int(starts[0]) <= _LIKELY * longest * max(due.stop - 1, len(starts))
        if not self.frame or not due:
            return True
        count = self.count(np.append(starts[:1], end))
        slack = max(_SLACK_FRAMES, due.stop // 10)
        return due.start - slack <= count < due.stop + slack


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """What was found.

    `found`   by filling codec
    `carved`  by delimited codec, with open ends closed
    `lost`    bytes that belong to no track, int64[M, 2]
    """

    found: tuple[Samples, ...]
    carved: tuple[Samples, ...]
    lost: Ints


def fill(
    media: Readable,
    carved: Carved,
    open_ended: Sequence[bool],
    fillings: Sequence[Filling],
    reference: Reference,
    pictures: int | None,
    watch: Callable[[int], None],
) -> Filled:
    """Divide the gaps.

    `open_ended` tells of which scanners' samples the end is not known, `pictures` which scanner's
    are those of the first video track.
    """
    offset = carved.found[pictures].offset if pictures is not None else np.empty(0, np.int64)
    clocks = [_Clock(filling, reference) for filling in fillings]
    found = [array("q") for _ in fillings]
    lost = array("q")
    cut = {
        number: carved.found[number].size.copy() for number, loose in enumerate(open_ended) if loose
    }
    places = sorted(_places(carved, cut))
    following = np.searchsorted(offset, [end for _, end, _, _ in places])
    for (start, end, number, row), after in zip(places, following.tolist(), strict=True):
        shown = after < len(offset) and int(offset[after]) == end
        dues = [
            clock.due(after, shown=shown or (filling.frame > 0 and end >= media.size))
            for clock, filling in zip(clocks, fillings, strict=True)
        ]
        if number >= 0:
            parts = _behind_open(media, start, end, fillings, dues)
            begin = min((int(edges[0]) for _, edges in parts), default=end)
            damaged = False
            for group, (filling, due) in enumerate(zip(fillings, dues, strict=True)):
                samples = sum(filling.count(edges) for owner, edges in parts if owner == group)
                damaged |= samples < due.start
            for group, edges in parts:
                _keep(found[group], edges)
            if damaged:  # whatever the picture has in it, it is not a picture alone
                lost.extend((start, begin))
                begin = start
            cut[number][row] = begin - start
            _went_on(clocks, fillings, parts, after, shown=shown, damaged=damaged)
        else:
            bounds = _divide(media, start, end, fillings, dues, last=end >= media.size)
            at = start
            for group, edges in bounds:
                if edges[0] > at:
                    lost.extend((at, int(edges[0])))
                _keep(found[group], edges)
                at = int(edges[-1])
            if at < end:
                lost.extend((at, end))
            whole = sum(int(edges[-1] - edges[0]) for _, edges in bounds) == end - start
            _went_on(clocks, fillings, bounds, after, shown=shown, damaged=not whole)
        watch(end)
    return Filled(
        tuple(_samples(rows) for rows in found),
        tuple(
            replace(samples, size=cut[number])[cut[number] > 0] if number in cut else samples
            for number, samples in enumerate(carved.found)
        ),
        np.array(lost, np.int64).reshape(-1, 2),
    )


def _places(carved: Carved, cut: dict[int, Ints]) -> Iterator[tuple[int, int, int, int]]:
    """Gaps, and open-ended samples with their scanner and row: begin, end, scanner or -1, row."""
    for start, end in carved.gaps.tolist():
        yield start, end, -1, 0
    for number in cut:
        samples = carved.found[number]
        ends = zip(samples.offset.tolist(), samples.end.tolist(), strict=True)
        yield from ((start, end, number, row) for row, (start, end) in enumerate(ends))


class _Clock:
    """Counts the samples of one filling codec against the pictures.

    In the healthy file their clock is ahead of that of the picture behind them by `least` to `most`
    seconds. Behind damage, where some of both are missing, all of that is shifted by what has to be
    found anew: between `low` and `high` seconds.
    """

    def __init__(self, filling: Filling, reference: Reference) -> None:
        self._count = 0
        video = reference.video
        tracks = filling.tracks
        leads = [lead for track in tracks if (lead := reference.lead_s(track)) is not None]
        self._known = (
            video is not None
            and video.steady
            and len(leads) == len(tracks)
            and all(track.steady and track.duration for track in tracks)
        )
        self._low = self._high = 0.0
        if video is not None and self._known:
            self._pictures = video.start / video.timescale, video.period_s
            self._start = min(track.start / track.timescale for track in tracks)
            self._period = 1 / sum(1 / track.period_s for track in tracks)
            self._least, self._most = min(lead[0] for lead in leads), max(lead[1] for lead in leads)

    def due(self, picture: int, *, shown: bool) -> range:
        """How many samples come before this picture; an empty range where nobody knows.

        `shown` where that picture comes next: before anything else, and behind the last picture,
        some of them may be missing.
        """
        if not self._known or not shown or self._high - self._low > self._period:
            return _UNKNOWN
        now = self._time(picture) - self._start
        first = ceil((now + self._least + self._low) / self._period - _ROUNDING) - self._count
        last = floor((now + self._most + self._high) / self._period + _ROUNDING) - self._count
        return range(max(first, 0), max(first, last, 0) + 1)

    def went_on(self, samples: int, picture: int, *, shown: bool, damaged: bool) -> None:
        """Count what was found up to a picture, or up to something else before it."""
        self._count += samples
        if not self._known or not (shown or damaged):
            return
        if damaged:
            self._low, self._high = -inf, inf
            return
        lead = self._start + self._count * self._period - self._time(picture)
        self._low = max(self._low, lead - self._most - _ROUNDING)
        self._high = min(self._high, lead - self._least + _ROUNDING)
        if self._low > self._high:  # clocks drift apart, or something was taken for what it is not
            self._low, self._high = -inf, inf

    def _time(self, picture: int) -> float:
        start, period = self._pictures
        return start + picture * period


def _divide(
    media: Readable,
    start: int,
    end: int,
    fillings: Sequence[Filling],
    dues: Sequence[range],
    *,
    last: bool,
) -> list[tuple[int, Ints]]:
    """The samples of a gap: of which codec, where each begins and where the last of them ends."""
    expected = [n for n, due in enumerate(dues) if not due or due.stop > 1]
    for group in expected:
        others = [due for n, due in enumerate(dues) if n != group]
        if any(due.start for due in others):
            continue
        starts = fillings[group].filler.divide(media, start, end, dues[group])
        if (
            starts is not None
            and len(starts)
            and fillings[group].plausible(starts, end, dues[group])
        ):
            return [(group, np.append(starts, end))]
    if len(expected) > 1:
        whole = _in_turn(media, start, end, fillings, dues, expected)
        if whole is not None:
            return whole
    return _rescue(media, start, end, fillings, dues, expected, last=last)


def _in_turn(
    media: Readable,
    start: int,
    end: int,
    fillings: Sequence[Filling],
    dues: Sequence[range],
    expected: Sequence[int],
) -> list[tuple[int, Ints]] | None:
    """Two or more codecs behind one another, each with as many samples as are due."""
    for order in (expected, expected[::-1]):
        at, parts = start, []
        for group in order[:-1]:
            edges = fillings[group].filler.head(media, at, end)
            if dues[group]:
                edges = fillings[group].first(edges, dues[group].stop - 1)
            parts.append((group, edges))
            at = int(edges[-1])
        starts = fillings[order[-1]].filler.divide(media, at, end, dues[order[-1]])
        if starts is not None and len(starts):
            return [
                *(part for part in parts if len(part[1]) > 1),
                (order[-1], np.append(starts, end)),
            ]
    return None


def _rescue(
    media: Readable,
    start: int,
    end: int,
    fillings: Sequence[Filling],
    dues: Sequence[range],
    expected: Sequence[int],
    *,
    last: bool,
) -> list[tuple[int, Ints]]:
    """What can be had of a damaged gap: from its two ends, and between them where bytes tell."""
    parts: list[tuple[int, Ints]] = []

    def keep(group: int, edges: Ints) -> None:
        if len(edges) > 1:
            parts.append((group, edges))

    def at() -> int:
        return int(parts[-1][1][-1]) if parts else start

    def certain(group: int) -> int:
        """Samples of a codec that takes anything, which are there for sure."""
        had = sum(fillings[group].count(edges) for owner, edges in parts if owner == group)
        return max(dues[group].start - had, 0)

    heads = [(group, fillings[group].filler.head(media, start, end)) for group in expected]
    for group, edges in sorted(heads, key=lambda found: int(found[1][-1]))[-1:]:
        filling = fillings[group]
        limited = not filling.filler.refuses and dues[group]
        keep(group, filling.first(edges, certain(group)) if limited else edges)
    telling = [group for group in expected if fillings[group].filler.refuses]
    place = at()
    while telling and place < end:
        found = [(fillings[group].filler.find(media, place + 1, end), group) for group in telling]
        place, group = min(found)
        if place < end:
            keep(group, fillings[group].filler.head(media, place, end))
            place = max(place, at())
    if last or at() >= end:
        return parts
    tails = [(group, fillings[group].filler.tail(media, at(), end)) for group in expected]
    for group, edges in sorted(tails, key=lambda found: int(found[1][0]))[:1]:
        filling = fillings[group]
        limited = not filling.filler.refuses and dues[group]
        keep(group, filling.last(edges, certain(group)) if limited else edges)
    return parts


def _behind_open(
    media: Readable, start: int, end: int, fillings: Sequence[Filling], dues: Sequence[range]
) -> list[tuple[int, Ints]]:
    """Samples at the end of one that may have others behind it."""
    parts: list[tuple[int, Ints]] = []
    for group, (filling, due) in enumerate(zip(fillings, dues, strict=True)):
        if filling.frame and not due:
            continue  # anything could be sound
        edges = filling.filler.tail(media, start + 1, end)
        if due:
            edges = filling.last(edges, due.stop - 1)
        if len(edges) > 1:
            parts.append((group, edges))
            end = int(edges[0])
    return parts


def _went_on(
    clocks: Sequence[_Clock],
    fillings: Sequence[Filling],
    parts: Sequence[tuple[int, Ints]],
    picture: int,
    *,
    shown: bool,
    damaged: bool,
) -> None:
    """Tell the clocks what was found up to a picture, or up to something else before it."""
    for group, (clock, filling) in enumerate(zip(clocks, fillings, strict=True)):
        samples = sum(filling.count(edges) for owner, edges in parts if owner == group)
        clock.went_on(samples, picture, shown=shown, damaged=damaged)


def _keep(rows: array[int], edges: Ints) -> None:
    rows.frombytes(np.stack([edges[:-1], np.diff(edges)], axis=1).astype(np.int64).tobytes())


def _samples(rows: array[int]) -> Samples:
    offset, size = np.frombuffer(rows, np.int64).reshape(-1, 2).T
    yes = np.ones(len(offset), np.bool_)
    return Samples(offset, size, yes, np.full(len(offset), UNORDERED), ~yes, yes)
