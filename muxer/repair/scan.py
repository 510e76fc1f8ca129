"""Finding what is left of a recording: its fragments and `moov` boxes, wherever they lie.

Nothing is taken from the order of the boxes, for a single damaged header breaks that chain. A box
counts by itself: its kind stands where it should, its parts fit one another, and of a fragment the
checksum tells whether it is as it was written. What has been found is not searched again; the rest
is searched in large blocks, so that zeros and lost media cost no more than reading them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from muxer.boxes import parse_header, require
from muxer.errors import Mp4Error
from muxer.fragments import CHECKSUM_UUID, count_samples, is_intact, read_fragment
from muxer.moov_first import HEAD
from muxer.recording_file import METADATA_UUID
from muxer.repair.movie import Movie, read_movie
from muxer.sample_table import Ints, SampleTable

_SMALLEST_READ, _LARGEST_READ = 1 << 8, 1 << 22
_ROW = 16
"""Bytes that our `moof` spends on each sample."""


class Readable(Protocol):
    """Bytes with a size: a file, or one as it would be."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on, fewer than `length` only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes that were inserted where they do not belong: what lies behind them belongs before."""

    start: int
    end: int

    def place(self, offset: Ints) -> Ints:
        """Where what lay at these bytes before the insertion lies now."""
        moved: Ints = np.where(offset >= self.start, offset + (self.end - self.start), offset)
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class Fragment:
    """A fragment whose `moof` is whole.

    `end`     where its data end, or would
    `tables`  by track, with places in the file as it is and times as fragments have them
    `intact`  whether all of it is as it was written; else each sample has to be judged
    `hole`    what an interrupted insertion has left in the middle of it
    """

    start: int
    end: int
    number: int
    tables: dict[int, SampleTable]
    intact: bool
    hole: Hole | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MovieBox:
    """A `moov` that can be read."""

    start: int
    end: int
    content: bytes
    movie: Movie
    hole: Hole | None = None


def scan(source: Readable, watch: Callable[[int], None]) -> Iterator[Fragment | MovieBox]:
    """All fragments and `moov` boxes of ours in the order of the file.

    `watch` is told now and then how many bytes have been looked at.
    """
    at = 0
    while (found := _next_signature(source, at, watch)) is not None:
        at, kind = found
        box = _fragment(source, at) if kind == b"moof" else _movie_box(source, at)
        if box is None:
            at += 1
            continue
        yield box
        whole = box.intact if isinstance(box, Fragment) else not box.movie.spoilt
        # What is not whole may be cut, with something else behind it.
        at = box.end if whole else at + 8
        watch(at)
    watch(source.size)


def _next_signature(
    source: Readable, at: int, watch: Callable[[int], None]
) -> tuple[int, bytes] | None:
    """Where, from byte `at` on, a box begins that looks like one of the two kinds."""
    length = _SMALLEST_READ
    while source.size - at >= 8:
        block = source.read(at, length)
        place = block.find(b"moo", 4)
        while place >= 0:
            kind = block[place : place + 4]
            if kind in {b"moof", b"moov"}:
                return at + place - 4, kind
            place = block.find(b"moo", place + 1)
        at += max(len(block) - 7, 1)
        length = min(length * 4, _LARGEST_READ)
        watch(at)
    return None


def _fragment(source: Readable, at: int) -> Fragment | None:
    found = _read_fragment(source, at)
    if found is not None and found.intact:
        return found
    hole = _first_blank(source, at, found.end if found is not None else _claimed_end(source, at))
    if hole is not None:
        closed = _read_fragment(_Closed(source, hole), at)
        if closed is not None and closed.intact:  # a checksum is no coincidence
            return replace(
                closed,
                end=closed.end + hole.end - hole.start,
                tables={
                    track: replace(table, offset=hole.place(table.offset))
                    for track, table in closed.tables.items()
                },
                hole=hole,
            )
    return found


def _movie_box(source: Readable, at: int) -> MovieBox | None:
    found = _read_movie_box(source, at)
    if found is None:
        hole = _first_blank(source, at, _claimed_end(source, at))
        if hole is not None:
            found = _read_movie_box(_Closed(source, hole), at)
            if found is not None:
                return replace(found, end=found.end + hole.end - hole.start, hole=hole)
    return found


def _claimed_end(source: Readable, at: int) -> int:
    try:
        return at + parse_header(source.read(at, 16), 0, source.size - at).end
    except Mp4Error:
        return at


def _read_fragment(source: Readable, at: int) -> Fragment | None:
    """The fragment of ours whose `moof` begins at this byte, if there is one."""
    size = _claimed_end(source, at) - at
    moof = source.read(at, size) if 0 < size <= source.size - at else b""
    if moof[-20:-4] != CHECKSUM_UUID.bytes:
        return None
    try:
        number, tables = _read_moof(moof, at)
    except Mp4Error:
        return None
    media = end = at + size + 8
    for table in tables.values():  # the writer puts the tracks' data one behind the other
        if not len(table) or table.offset[0] != end:
            return None
        end = int(table.offset[-1] + table.size[-1])
    data = source.read(media, end - media) if end <= source.size else b""
    intact = len(data) == end - media and bool(is_intact(moof, data))
    if not intact:
        # Without the checksum the parts of the `moof` have to vouch for one another.
        if end - media >= 1 << 31 or any((table.size <= 0).any() for table in tables.values()):
            return None
        header = source.read(media - 8, 8)
        says = struct.pack(">I4s", end - media + 8, b"mdat")
        if any(found not in {0, said} for found, said in zip(header, says, strict=False)):
            return None
    return Fragment(at, end, number, tables, intact)


def _read_moof(moof: bytes, at: int) -> tuple[int, dict[int, SampleTable]]:
    """The number and the tables of a fragment; Mp4Error where it is none of ours."""
    content = moof[8:]
    if count_samples(content) * _ROW > len(moof):
        raise Mp4Error("a fragment claims more samples than it describes")
    mfhd = require(content, b"mfhd")
    if len(mfhd) < 8:
        raise Mp4Error(f"box 'mfhd' is too short: {len(mfhd)} bytes")
    number = int.from_bytes(mfhd[4:8])
    return number, read_fragment(content, at, {}, {}, 1 << 62)


def _read_movie_box(source: Readable, at: int) -> MovieBox | None:
    end = _claimed_end(source, at)
    if not at + 8 < end <= source.size:
        return None
    content = source.read(at + 8, end - at - 8)
    if METADATA_UUID.bytes not in content and b"mvex" not in content:
        return None  # of another maker, whose tables may be too long to be opened out
    try:
        return MovieBox(at, end, content, read_movie(content, source.size))
    except Mp4Error:
        return None


def _first_blank(source: Readable, start: int, end: int) -> Hole | None:
    """The first run of whole blocks of zeros that begins in these bytes, if it ends in the file."""
    begin = -(-start // HEAD) * HEAD
    while begin < end and source.read(begin, HEAD).strip(b"\0"):
        begin += HEAD
    stop = begin
    while begin < end and (block := source.read(stop, _LARGEST_READ)):
        rest = block.lstrip(b"\0")
        if rest:
            stop += (len(block) - len(rest)) // HEAD * HEAD
            return Hole(begin, stop) if stop > begin else None
        stop += len(block)
    return None


@dataclass(slots=True)
class _Closed:
    """A file as it would be without the hole."""

    source: Readable
    hole: Hole

    @property
    def size(self) -> int:
        return self.source.size - (self.hole.end - self.hole.start)

    def read(self, offset: int, length: int) -> bytes:
        before = min(max(self.hole.start - offset, 0), length)
        behind = max(offset, self.hole.start) + self.hole.end - self.hole.start
        return self.source.read(offset, before) + self.source.read(behind, length - before)
