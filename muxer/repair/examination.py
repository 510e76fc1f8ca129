"""Examining a recording: what of it is whole, what is lost, and what has to be done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from muxer.boxes import Box, parse_header
from muxer.errors import Mp4Error
from muxer.fragments import CHECKSUM_UUID
from muxer.moov_first import HEAD, Journal, read_journal
from muxer.reader import top_level
from muxer.recording_file import METADATA_UUID
from muxer.repair.findings import Stretch, TrackFindings, findings
from muxer.repair.index import Index, build_index, in_order
from muxer.repair.scan import Fragment, Hole, MovieBox, scan
from muxer.sample_table import SampleTable
from muxer.source import ByteSource, LocalFile

_NS = 1_000_000_000
_BLOCK = 1 << 22
_PLACES, _GLANCE = 4, 1 << 24


class NotOurRecordingError(Mp4Error):
    """A file that the recorder has not written: nothing in it says how to repair it."""


class Remedy(Enum):
    """What makes a plain file of a recording."""

    NOTHING = "nothing to repair"
    CUT_TAIL = "cut off what the last step of finalising has left behind the end"
    COMPLETE_MOVE = "complete the interrupted move of the moov to the front"
    FINALISE = "finalise it with the moov that it has"
    REBUILD = "build a new moov for the samples that are left"


@dataclass(frozen=True, slots=True)
class Torn:
    """A sample that an interrupted insertion has torn in two: its row, and where its halves lie."""

    track: int
    row: int
    halves: tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """What a recording holds, and what it takes to bring it to its end.

    `fragments`  how many were found; `intact` of them are as they were written
    `gaps`       where there were fragments of which nothing is left
    `moov`       content of the `moov` that describes the tracks; empty where none is left
    `metadata`   the clip's own metadata
    `moov_at`    where that `moov` begins in the file
    `end`        where the last byte ends that the remedy needs
    `claimed`    up to where a fragment says that it has samples, though the file may have ended
    `body`       where the `mdat` begins, or can begin, that spans everything
    `hole`       what an interrupted insertion has left, `torn` the samples on both sides of it
    `journal`    of the move that is under way
    """

    path: str
    size: int
    remedy: Remedy
    fragments: int
    intact: int
    tracks: tuple[TrackFindings, ...]
    gaps: tuple[Stretch, ...]
    moov: bytes
    metadata: Mapping[str, Any]
    moov_at: int
    end: int
    claimed: int
    body: int
    hole: Hole | None
    torn: tuple[Torn, ...]
    journal: Journal | None

    @property
    def recovered(self) -> bool:
        """Whether there is anything to keep."""
        return any(len(found.table) for found in self.tracks)

    @property
    def complete(self) -> bool:
        """Whether everything that is known of is kept."""
        return not self.gaps and not any(found.lost for found in self.tracks)

    def report(self) -> dict[str, Any]:
        """For scripts, as JSON can say it."""
        return {
            "path": self.path,
            "size": self.size,
            "remedy": self.remedy.value,
            "recovered": self.recovered,
            "complete": self.complete,
            "fragments": {"found": self.fragments, "intact": self.intact},
            "gaps": [gap.report() for gap in self.gaps],
            "tracks": [found.report() for found in self.tracks],
        }


def bears_marks(path: str | os.PathLike[str]) -> bool:
    """Whether a look at some places tells that the recorder has written a file.

    None of its fragments is as long as what is read at each of them, unless it was filmed at more
    than 128 Mbit/s: `examine` reads all.
    """
    marks = (CHECKSUM_UUID.bytes, METADATA_UUID.bytes)
    with LocalFile(path) as source:
        for part in range(_PLACES):
            data = source.read(max(source.size - _GLANCE, 0) * part // (_PLACES - 1), _GLANCE)
            if any(mark in data for mark in marks):
                return True
    return False


def examine(
    path: str | os.PathLike[str], watch: Callable[[int], None] = lambda at: None
) -> Examination:
    """Read all of a recording and find out what is left of it. Nothing is written.

    `watch` is told now and then how many bytes have been looked at. UsageError where there is no
    such file, NotOurRecordingError where the file bears no mark of the recorder.
    """
    with LocalFile(path) as source:
        journal = read_journal(source.read(0, HEAD), source.size)
        found = list(scan(source, watch))
        moovs = [box for box in found if isinstance(box, MovieBox)]
        fragments = in_order([box for box in found if isinstance(box, Fragment)])
        if not fragments and all(moov.movie.metadata is None for moov in moovs):
            raise NotOurRecordingError(
                f"{source.name} bears no mark of cammcorder (its metadata, its checksums): only "
                "its own recordings can be finished"
            )
        return _judged(source, moovs, fragments, journal)


def _judged(
    source: ByteSource,
    moovs: Sequence[MovieBox],
    fragments: Sequence[Fragment],
    journal: Journal | None,
) -> Examination:
    counts = next((box.start for box in _chain(source) if box.kind == b"moov"), -1)
    index = build_index(moovs, fragments, journal, counts)
    intact = [fragment for fragment in fragments if fragment.intact]
    occupied = sorted(
        [(box.start, box.end) for box in intact]
        + [(box.start, box.end) for box in moovs if not box.movie.spoilt]
    )
    tracks = tuple(findings(source, track, occupied) for track in index.tracks) if index else ()
    gaps = () if index and index.final else tuple(_gaps(source, moovs, fragments, index))
    lossless = not gaps and not any(found.lost for found in tracks)
    tables = [found.table for found in tracks if len(found.table)]
    end = max((int((table.offset + table.size).max()) for table in tables), default=0)
    torn = tuple(_torn(tracks, index.hole)) if index and index.hole else ()
    body = _body(source)
    told = [index.moov, *moovs] if index else []
    metadata = next((moov.movie.metadata for moov in told if moov.movie.metadata), {})
    remedy = Remedy.REBUILD
    if index is not None and index.final and lossless and not index.moov.movie.spoilt:
        first = min((int(table.offset.min()) for table in tables), default=0)
        remedy, end = _remedy(source, index, journal, counts, first, end)
    return Examination(
        source.name,
        source.size,
        remedy,
        len(fragments),
        len(intact),
        tracks,
        gaps,
        index.moov.content if index else b"",
        metadata,
        index.moov.start if index else 0,
        end,
        max((fragment.end for fragment in fragments), default=0),
        body,
        index.hole if index else None,
        torn,
        journal,
    )


def _chain(source: ByteSource) -> Iterator[Box]:
    """The boxes of the file up to the first that cannot be one."""
    try:
        for box in top_level(source):
            if box.end > source.size or not box.kind.isalnum():
                return
            yield box
    except Mp4Error:
        return


def _spanning(source: ByteSource) -> Box | None:
    """The one `mdat` of a plain file; None where the file is in fragments or in disorder."""
    boxes = list(_chain(source))
    if any(box.kind == b"moof" for box in boxes):
        return None
    return next((box for box in boxes if box.kind == b"mdat"), None)


def _body(source: ByteSource) -> int:
    mdat = _spanning(source)
    return HEAD if mdat is None else mdat.start


def _remedy(
    source: ByteSource, index: Index, journal: Journal | None, counts: int, first: int, end: int
) -> tuple[Remedy, int]:
    """What to do with a recording that has lost nothing and has its final `moov`.

    Samples lie from `first` to `end`; the `moov` at `counts` is what readers go by. Returned is
    also where the last byte ends that is needed.
    """
    moov = index.moov
    if journal is not None and first >= HEAD + journal.shift:
        return Remedy.COMPLETE_MOVE, end
    if index.hole is not None or moov.hole is not None:
        return Remedy.REBUILD, end
    mdat = _spanning(source)
    plain = mdat is not None and counts == moov.start and mdat.start < first and end <= mdat.end
    last = max(moov.end, mdat.end if mdat is not None and plain else end)
    tail = _what_stands(source, last)
    if plain and tail not in {b"moov", b"zeros"}:
        return Remedy.NOTHING, last
    if plain and moov.start < first:
        return Remedy.CUT_TAIL, last
    if moov.start >= end and tail in {b"", b"zeros"}:
        return Remedy.FINALISE, last
    return Remedy.REBUILD, end


def _what_stands(source: ByteSource, at: int) -> bytes:
    """The kind of the box at this byte; "zeros" where nothing else follows, empty at the end."""
    if at >= source.size:
        return b""
    if _is_blank(source, at, source.size):
        return b"zeros"
    return source.read(at + 4, 4)


def _is_blank(source: ByteSource, start: int, end: int) -> bool:
    return not any(
        source.read(at, min(_BLOCK, end - at)).strip(b"\0") for at in range(start, end, _BLOCK)
    )


def _torn(tracks: Sequence[TrackFindings], hole: Hole) -> Iterator[Torn]:
    for found in tracks:
        table = found.table
        across = (table.offset < hole.start) & (table.offset + table.size > hole.start)
        for row in np.flatnonzero(across).tolist():
            start, size = int(table.offset[row]), int(table.size[row])
            first = (start, hole.start)
            second = (hole.end, hole.end + size - (hole.start - start))
            yield Torn(found.track.number, row, (first, second))


def _gaps(
    source: ByteSource,
    moovs: Sequence[MovieBox],
    fragments: Sequence[Fragment],
    index: Index | None,
) -> Iterator[Stretch]:
    """Where fragments should be and are not."""
    first = next((moov for moov in moovs if moov.movie.fragmented), None)
    number, at, until_ns = 0, first.end if first is not None else HEAD, None
    for fragment in fragments:
        missing = fragment.number - number - 1
        from_ns = _time(index, fragment, first=True)
        if missing:
            reason = f"{missing} fragments of which nothing is left"
            yield Stretch(min(at, fragment.start), fragment.start, 0, until_ns, from_ns, reason)
        number, at = fragment.number, fragment.end
        until_ns = _time(index, fragment, first=False)
    tail = _behind_final_boxes(source, at)
    if tail < source.size:
        blank = _is_blank(source, tail, source.size)
        reason = "zeros at the end" if blank else "a fragment that was not written to its end"
        yield Stretch(tail, source.size, 0, until_ns, None, reason)


def _behind_final_boxes(source: ByteSource, at: int) -> int:
    """Where what finalising appends has ended, though its last box may be cut; `at` without it."""
    while at < source.size:
        try:
            box = parse_header(source.read(at, 16), 0, source.size - at)
        except Mp4Error:
            break
        if box.kind not in {b"moov", b"mdat"}:
            break
        at += box.end
    return at


def _time(index: Index | None, fragment: Fragment, *, first: bool) -> int | None:
    """When the first sample of a fragment is due, or its last; None where no clock is left."""
    times = []
    for track in index.tracks if index is not None else ():
        table = fragment.tables.get(track.track.number, SampleTable.empty())
        if len(table):
            pts = table.dts + table.cts_offset - track.track.shift
            ticks = int(pts.min() if first else pts.max())
            times.append(ticks * _NS // track.track.timescale)
    if not times:
        return None
    return min(times) if first else max(times)
