"""Which samples a recording has, by its final `moov` where that can be trusted, else by fragments.

A final `moov` knows of samples whose fragments are gone, so it comes first. It has no checksum of
its own; it is trusted where it says the same as every intact fragment.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from muxer.moov_first import HEAD, Journal
from muxer.pcm import contiguous, frame_size
from muxer.repair.movie import MovieTrack
from muxer.repair.scan import Fragment, Hole, MovieBox
from muxer.sample_table import SampleTable

_LONGEST = 1 << 31
"""Ticks by which a fragment with nothing intact behind it may run on."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class TrackIndex:
    """The samples of one track, in the file as it is, ticks from movie time zero.

    `sure`   which of them a checksum vouches for
    `jumps`  before which of them fragments are missing
    """

    track: MovieTrack
    table: SampleTable
    sure: Bools
    jumps: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """All samples.

    `moov`   the box that describes the tracks
    `final`  whether it is also the one that says where the samples are
    `hole`   what an interrupted insertion has left somewhere in the file
    """

    moov: MovieBox
    tracks: tuple[TrackIndex, ...]
    final: bool
    hole: Hole | None


def in_order(fragments: Sequence[Fragment]) -> list[Fragment]:
    """Those that follow one another in number and in time.

    What does not was in blocks of the disk that another recording has had before. A fragment that
    is not intact may say anything: it has to fit between those that are.
    """
    kept: list[Fragment] = []
    for fragment in fragments:
        if fragment.intact and _fits(fragment, kept, len(kept)):
            kept.append(fragment)
    for fragment in fragments:
        if not fragment.intact:
            place = bisect(kept, fragment.start, key=lambda other: other.start)
            if _fits(fragment, kept, place):
                kept.insert(place, fragment)
    return kept


def _fits(fragment: Fragment, kept: Sequence[Fragment], place: int) -> bool:
    """Whether it can stand at this place among fragments that do follow one another."""
    if place and fragment.number <= kept[place - 1].number:
        return False
    if place < len(kept) and fragment.number >= kept[place].number:
        return False
    for track, table in fragment.tables.items():
        before = _nearest(kept, range(place - 1, -1, -1), track)
        first = int(before.dts[-1]) if before is not None else 0
        if table.dts[0] < first:
            return False
        behind = _nearest(kept, range(place, len(kept)), track)
        last = int(behind.dts[0]) if behind is not None else first + _LONGEST
        if not fragment.intact and table.dts[-1] > last:
            return False
    return True


def _nearest(kept: Sequence[Fragment], places: range, track: int) -> SampleTable | None:
    return next((kept[n].tables[track] for n in places if track in kept[n].tables), None)


def build_index(
    moovs: Sequence[MovieBox], fragments: Sequence[Fragment], journal: Journal | None, counts: int
) -> Index | None:
    """The best index there is; None where no `moov` is left.

    `counts` is where the `moov` begins that other readers go by: others may be remains of repairs.
    """
    holes = [*dict.fromkeys(_holes(moovs, fragments, journal))]
    finals = sorted(
        (moov for moov in moovs if not moov.movie.fragmented),
        key=lambda moov: (moov.start != counts, moov.movie.spoilt),
    )
    intact = [fragment for fragment in fragments if fragment.intact]
    for hole in (None, *holes):
        for moov in finals:
            tracks = _by_moov(moov, intact, hole)
            if tracks is not None:
                return Index(moov, tracks, final=True, hole=hole)
    first = next((moov for moov in moovs if moov.movie.fragmented), None)
    described = _described(first, finals)
    if described is None:
        return None
    tracks = tuple(
        _by_fragments(track, first.movie.tracks[number].shift if first else track.shift, fragments)
        for number, track in described.movie.tracks.items()
    )
    return Index(described, tracks, final=False, hole=holes[0] if holes else None)


def _holes(
    moovs: Sequence[MovieBox], fragments: Sequence[Fragment], journal: Journal | None
) -> Iterator[Hole]:
    """Where bytes may have been inserted: inside a box, between two neighbours, in front of all."""
    for inside in [box.hole for box in fragments] + [box.hole for box in moovs]:
        if inside is not None:
            yield inside
    for one, other in pairwise(fragments):
        if one.intact and other.number == one.number + 1 and other.start > one.end:
            yield Hole(one.end, other.start)
    if journal is not None:
        yield Hole(HEAD, HEAD + journal.shift)


def _described(first: MovieBox | None, finals: Sequence[MovieBox]) -> MovieBox | None:
    """Of which `moov` to take tracks and metadata: the final one, if it knows the same tracks."""
    for final in finals:
        entries = {number: track.entry for number, track in final.movie.tracks.items()}
        if first is None or (
            final.movie.metadata is not None
            and entries == {number: track.entry for number, track in first.movie.tracks.items()}
        ):
            return final
    return first


def _by_moov(
    moov: MovieBox, intact: Sequence[Fragment], hole: Hole | None
) -> tuple[TrackIndex, ...] | None:
    """The samples that a final `moov` knows; None where it contradicts a fragment."""
    # A repair leaves out samples that are whole, where no key frame is left before them.
    partial = "repaired" in (moov.movie.metadata or {})
    starts = np.array([fragment.start for fragment in intact], np.int64)
    ends = np.array([fragment.end for fragment in intact] + [0], np.int64)
    tracks = []
    for track in moov.movie.tracks.values():
        table = track.table
        if hole is not None:
            table = replace(table, offset=hole.place(table.offset))
        there, frame = _join(track.number, intact), frame_size(track.entry)
        if frame:
            there = _frames_of(there, frame)
        # The times of sound are counted anew when a recording is finalised.
        sure = _found(table, there, timed=not frame)
        if sure is None or (sure.sum() < len(there) and not partial):
            return None
        # Whatever else it knows lies where no fragment is.
        before = np.searchsorted(starts, table.offset, side="right") - 1
        elsewhere = (before < 0) | (table.offset >= ends[before])
        if not (sure | elsewhere).all() or (table.offset < HEAD).any():
            return None
        tracks.append(TrackIndex(track, table, sure, np.zeros(len(table), np.bool_)))
    return tuple(tracks)


def _found(table: SampleTable, there: SampleTable, *, timed: bool) -> Bools | None:
    """Which samples are among those of the fragments; None where they are not the same there."""
    row = np.searchsorted(there.offset, table.offset)
    found = row < len(there)
    found[found] = there.offset[row[found]] == table.offset[found]
    row = row[found]
    shift = there.dts[row] - table.dts[found]
    same = (
        np.array_equal(there.size[row], table.size[found])
        and np.array_equal(there.cts_offset[row], table.cts_offset[found])
        and np.array_equal(there.keyframe[row], table.keyframe[found])
        and (not timed or (shift == shift[:1]).all())
    )
    return found if same else None


def _by_fragments(track: MovieTrack, shift: int, fragments: Sequence[Fragment]) -> TrackIndex:
    mine = [fragment for fragment in fragments if track.number in fragment.tables]
    numbers = np.array([fragment.number for fragment in fragments], np.int64)
    after_gap = dict(zip(numbers.tolist(), np.diff(numbers, prepend=0) != 1, strict=True))
    table = _join(track.number, mine)
    sure, jumps = np.zeros(len(table), np.bool_), np.zeros(len(table), np.bool_)
    row = 0
    for fragment in mine:
        count = len(fragment.tables[track.number])
        sure[row : row + count] = fragment.intact
        jumps[row] = after_gap[fragment.number]
        row += count
    frame = frame_size(track.entry)
    if frame and len(table):
        frames = table.size // frame
        dts = contiguous(table.dts, frames, track.timescale)
        table = replace(table, dts=dts, duration=int(frames[-1]))
    return TrackIndex(track, replace(table, dts=table.dts - shift), sure, jumps)


def _frames_of(table: SampleTable, frame: int) -> SampleTable:
    """Packets of PCM as a final `moov` has them: each frame of so many bytes a sample."""
    count = table.size // frame
    packet = np.repeat(np.arange(len(table)), count)
    number = np.arange(len(packet)) - np.repeat(np.cumsum(count) - count, count)
    return SampleTable(
        table.offset[packet] + number * frame,
        np.full(len(packet), frame),
        table.dts[packet] + number,
        table.cts_offset[packet],
        1,
        table.keyframe[packet],
    )


def _join(track: int, fragments: Sequence[Fragment]) -> SampleTable:
    return SampleTable.join(
        [fragment.tables[track] for fragment in fragments if track in fragment.tables]
    )
