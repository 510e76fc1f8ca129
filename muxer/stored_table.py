"""Sample tables as they lie in a file: run lengths and chunks, opened out piece by piece.

The tables of ten hours at a kilohertz are half a gigabyte, and as one row a sample three times as
much. Here only the places of their boxes are kept, and rows are read when their turn comes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from muxer.boxes import Box, kind_name
from muxer.errors import Mp4Error
from muxer.file_boxes import children
from muxer.sample_table import Ints, SampleTable
from muxer.source import ByteSource

PIECE = 1 << 15
"""Samples that are opened out at once: their columns fit a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Some samples of a track that follow one another; columns as in a `SampleTable`."""

    offset: Ints
    size: Ints
    dts: Ints
    cts_offset: Ints
    duration: int

    def __len__(self) -> int:
        return len(self.size)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_]) -> Piece:
        """The samples of a slice or a mask."""
        return Piece(
            self.offset[rows], self.size[rows], self.dts[rows], self.cts_offset[rows], self.duration
        )


class Stored(Protocol):
    """The samples of a track, wherever their tables are."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def entries(self) -> frozenset[int]:
        """Of which of the track's sample entries they are said to be, from 1 on; empty: of any."""

    def pieces(self, entry: int | None = None) -> Iterator[Piece]:
        """All samples in decoding order, or those of one sample entry."""

    def last_shown(self) -> tuple[int, int] | None:
        """When the last sample to be shown begins, and how long the last one lasts, in ticks."""

    def whole(self, *, by_chunk: bool = False) -> SampleTable:
        """All samples at once; `by_chunk` a row for each chunk of them, where sizes are equal."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """The boxes of one `stbl`.

    `shift`  how many bytes further on the media lies than the chunks say
    """

    sizes: _Sizes
    times: _Rows
    shifts: _Rows | None
    key_frames: _Rows | None
    chunk_runs: _Rows
    chunks: _Rows
    shift: int = 0

    @classmethod
    def find(cls, source: ByteSource, stbl: Box, room: int, shift: int = 0) -> Self:
        """The tables inside an `stbl` box. Mp4Error where one lacks or is too short for its rows.

        No file has more samples than bytes: `room` is how many there may be at most, without which
        a box of twenty bytes could claim four thousand million samples.
        """
        boxes: dict[bytes, Box] = {}
        for child in children(source, stbl.body, stbl.end):
            boxes.setdefault(child.kind, child)

        def rows(kind: bytes, columns: int, *, dtype: str = ">u4") -> _Rows:
            return _Rows.of(source, kind, boxes.get(kind), columns, dtype=dtype)

        def rows_if_any(kind: bytes, columns: int) -> _Rows | None:
            return rows(kind, columns) if kind in boxes else None

        return cls(
            _Sizes.find(source, boxes, room),
            rows(b"stts", 2),
            rows_if_any(b"ctts", 2),
            rows_if_any(b"stss", 1),
            rows(b"stsc", 3),
            rows(b"co64", 1, dtype=">u8") if b"co64" in boxes else rows(b"stco", 1),
            shift,
        )

    @property
    def count(self) -> int:
        """How many samples there are."""
        return self.sizes.count

    @property
    def entries(self) -> frozenset[int]:
        """Of which of the track's sample entries the samples are said to be, from 1 on."""
        found: set[int] = set()
        for rows in self.chunk_runs.batches() if self.count else ():
            found.update(np.unique(rows[:, 2]).tolist())
        return frozenset(found)

    def pieces(self, entry: int | None = None) -> Iterator[Piece]:
        """All samples in decoding order, or those of one sample entry.

        Mp4Error where chunks and sizes contradict each other.
        """
        chunks = _Runs(self._chunks())
        durations = _Runs(self.times.runs())
        shifts = _Runs(self.shifts.runs()) if self.shifts is not None else None
        tick = 0
        behind = np.zeros(1, np.int64)  # where the last sample of the piece before ends
        for first in range(0, self.count, PIECE):
            size = self.sizes.read(first, min(first + PIECE, self.count))
            counts, values = chunks.take(len(size))
            if (held := int(counts.sum())) < len(size):
                raise Mp4Error(
                    f"the chunks of a track hold {first + held} samples, its sizes are {self.count}"
                )
            starts, entries = values.T
            if chunks.resumed:
                starts = np.append(behind, starts[1:])
            offset = _offsets(starts, counts, size)
            behind = offset[-1:] + size[-1:]
            duration = durations.expand(len(size))
            ends = tick + np.cumsum(duration)
            tick = int(ends[-1])
            if shifts is None:
                cts_offset = np.zeros(len(size), np.int64)
            else:
                # Version 0 is unsigned by the standard, but QuickTime and many cameras write it
                # signed.
                signed = shifts.expand(len(size)).astype(np.uint32).view(np.int32)
                cts_offset = signed.astype(np.int64)
            piece = Piece(offset, size, ends - duration, cts_offset, int(duration[-1]))
            yield piece if entry is None else piece[np.repeat(entries == entry, counts)]

    def end(self) -> tuple[int, int]:
        """When the last sample has been decoded, and how long it lasts, in ticks."""
        left, tick, last = self.count, 0, 0
        for counts, values in self.times.runs():
            used = np.diff(np.minimum(np.cumsum(counts), left), prepend=0)
            left -= int(used.sum())
            tick += int((used * values).sum())
            last = int(values[used > 0][-1]) if used.any() else last
        return tick + left * last, last

    def last_shown(self) -> tuple[int, int] | None:
        """When the last sample to be shown begins, and how long the last one lasts, in ticks."""
        if self.shifts is not None:
            return last_of(self.pieces())
        end, last = self.end()
        return (end - last, last) if self.count else None

    def whole(self, *, by_chunk: bool = False) -> SampleTable:
        """All samples at once; `by_chunk` a row for each chunk of them, where sizes are equal."""
        if by_chunk and self.sizes.common and self.shifts is None and self.key_frames is None:
            pieces = [*self._by_chunk()]
            return joined(pieces, np.full(sum(map(len, pieces)), True))
        keyframe = np.full(self.count, self.key_frames is None)
        if self.key_frames is not None:
            numbers = self.key_frames.read(0, self.key_frames.count)[:, 0].astype(np.int64)
            keyframe[numbers[(numbers >= 1) & (numbers <= self.count)] - 1] = True
        return joined(self.pieces(), keyframe)

    def _by_chunk(self) -> Iterator[Piece]:
        """Chunks as if each were one sample: an hour of PCM has 172 million of them."""
        durations = _Runs(self.times.runs())
        tick, left = 0, self.count
        for held, values in self._chunks():
            if not left:
                break
            ends = np.minimum(np.cumsum(held), left)
            counts, lengths = durations.take_all(int(ends[-1]))
            left -= int(ends[-1])
            run_ends, run_ticks = np.cumsum(counts), tick + np.cumsum(counts * lengths)
            run = np.searchsorted(run_ends, ends)
            until = run_ticks[run] - (run_ends[run] - ends) * lengths[run]
            size = np.diff(ends, prepend=0) * self.sizes.common
            filled = size > 0
            begin = np.append(tick, until[:-1])
            if filled.any():
                duration = int((until - begin)[filled][-1])
                none = np.zeros(len(size), np.int64)
                yield Piece(values[:, 0], size, begin, none, duration)[filled]
            tick = int(until[-1])
        if left:
            raise Mp4Error(
                f"the chunks of a track hold {self.count - left} samples, its sizes are "
                f"{self.count}"
            )

    def _chunks(self) -> Iterator[tuple[Ints, Ints]]:
        """Of each chunk: how many samples, and (its byte, their sample entry)."""
        spans = _Runs(self._chunk_spans())
        for first in range(0, self.chunks.count, PIECE):
            offset = self.chunks.read(first, min(first + PIECE, self.chunks.count))
            counts, values = spans.take(len(offset))
            held, entry = np.repeat(values, counts, axis=0).T
            # A place behind 2^63 becomes one before the file, which is refused as well.
            yield held, np.stack([offset[:, 0].astype(np.int64) + self.shift, entry], axis=1)

    def _chunk_spans(self) -> Iterator[tuple[Ints, Ints]]:
        """Runs of chunks: how many, and (samples in each, their sample entry)."""
        rows, count = self.chunk_runs, self.chunk_runs.count
        if not count:
            raise Mp4Error("box 'stsc' is empty: where samples lie is unknown")
        after = 1
        for start in range(0, count, PIECE):
            end = min(start + PIECE, count)
            batch = rows.read(start, min(end + 1, count)).astype(np.int64)
            first = batch[:, 0]
            if first[0] != after or (np.diff(first) <= 0).any() or (batch[:, 1] < 1).any():
                raise Mp4Error(
                    "box 'stsc' does not start at chunk 1 and rise: where samples lie is unknown"
                )
            after = int(first[-1])
            if end == count:
                first = np.append(first, max(self.chunks.count + 1, after))
            yield np.diff(first), batch[: end - start, 1:]


def joined(pieces: Iterable[Piece], keyframe: npt.NDArray[np.bool_]) -> SampleTable:
    """One table of pieces; `keyframe` is that of all their samples."""
    parts = list(pieces)
    if not parts:
        return SampleTable.empty()
    return SampleTable(
        np.concatenate([part.offset for part in parts]),
        np.concatenate([part.size for part in parts]),
        np.concatenate([part.dts for part in parts]),
        np.concatenate([part.cts_offset for part in parts]),
        parts[-1].duration,
        keyframe,
    )


def last_of(pieces: Iterable[Piece]) -> tuple[int, int] | None:
    """When the last sample to be shown begins, and how long the last one lasts, in ticks."""
    found = None
    for piece in pieces:
        begin = int((piece.dts + piece.cts_offset).max())
        found = (begin if found is None else max(found[0], begin)), piece.duration
    return found


def _offsets(starts: Ints, counts: Ints, size: Ints) -> Ints:
    """Byte of every sample: chunks say where one begins, the sizes of those before it the rest."""
    ends = np.cumsum(size)
    firsts = np.cumsum(counts) - counts
    offset: Ints = np.repeat(starts - (ends[firsts] - size[firsts]), counts) + (ends - size)
    return offset


@dataclass(frozen=True, slots=True)
class _Sizes:
    """`stsz` or `stz2`: bytes of every sample.

    `common`  what all have; 0 where `rows` tell
    `nibbles` whether two sizes share a byte of them
    """

    count: int
    common: int
    rows: _Rows
    nibbles: bool = False

    @classmethod
    def find(cls, source: ByteSource, boxes: Mapping[bytes, Box], room: int) -> Self:
        """The one that is there. Mp4Error where none is, or where it claims more than `room`."""
        kind = b"stsz" if b"stsz" in boxes else b"stz2"
        box = boxes.get(kind)
        if box is None:
            raise Mp4Error("a track has no 'stsz' box: the sizes of its samples are unknown")
        head = source.read(box.body, min(12, box.end - box.body))
        if len(head) < 12:
            raise Mp4Error(f"box {kind_name(kind)} is too short: {len(head)} bytes")
        size, count = struct.unpack_from(">II", head, 4)
        if kind == b"stsz":
            if count * size > room:
                raise Mp4Error(
                    f"box 'stsz' claims {count} samples of {size} bytes in a smaller file"
                )
            return cls(
                count,
                size,
                _Rows(source, 0, 0, 1) if size else _Rows.of(source, kind, box, 1, head=12),
            )
        bits = size & 0xFF  # the rest of the word is reserved
        if bits == 4:
            rows = _Rows.within(source, kind, box, 12, -(-count // 2), 1, ">u1")
        elif bits in (8, 16):
            rows = _Rows.within(source, kind, box, 12, count, 1, f">u{bits // 8}")
        else:
            raise Mp4Error(f"box 'stz2' has sizes of {bits} bits: expected 4, 8 or 16")
        return cls(count, 0, rows, nibbles=bits == 4)

    def read(self, first: int, last: int) -> Ints:
        """Of the samples from `first` up to `last`."""
        if self.common:
            return np.full(last - first, self.common, np.int64)
        if not self.nibbles:
            return self.rows.read(first, last)[:, 0].astype(np.int64)
        octets = self.rows.read(first // 2, (last + 1) // 2)
        halves = np.hstack([octets >> 4, octets & 15]).ravel().astype(np.int64)
        return halves[first % 2 :][: last - first]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table box: `count` of `columns` numbers each, from byte `at` on."""

    source: ByteSource
    at: int
    count: int
    columns: int
    dtype: str = ">u4"

    @classmethod
    def of(
        cls,
        source: ByteSource,
        kind: bytes,
        box: Box | None,
        columns: int,
        head: int = 8,
        dtype: str = ">u4",
    ) -> Self:
        """The rows of a box; their number ends its first `head` bytes."""
        name = kind_name(kind)
        if box is None:
            raise Mp4Error(f"a track has no {name} box: its samples cannot be found")
        room = box.end - box.body - head
        if room < 0:
            raise Mp4Error(f"box {name} is too short: {room + head} bytes")
        count = int.from_bytes(source.read(box.body + head - 4, 4))
        return cls.within(source, kind, box, head, count, columns, dtype)

    @classmethod
    def within(
        cls,
        source: ByteSource,
        kind: bytes,
        box: Box,
        head: int,
        count: int,
        columns: int,
        dtype: str,
    ) -> Self:
        """So many rows behind the first `head` bytes of a box; Mp4Error where they do not fit."""
        room = box.end - box.body
        if count * columns * np.dtype(dtype).itemsize > room - head:
            raise Mp4Error(f"box {kind_name(kind)} claims {count} rows in {room} bytes")
        return cls(source, box.body + head, count, columns, dtype)

    def read(self, first: int, last: int) -> npt.NDArray[Any]:
        """Rows as they are in the file, shape (rows, columns)."""
        width = self.columns * np.dtype(self.dtype).itemsize
        data = self.source.read(self.at + first * width, (last - first) * width)
        if len(data) != (last - first) * width:
            raise Mp4Error(
                f"{self.source.name} ended while it was read: is it still being written?"
            )
        return np.frombuffer(data, self.dtype).reshape(-1, self.columns)

    def batches(self) -> Iterator[npt.NDArray[Any]]:
        """All rows, a piece of them at a time."""
        for first in range(0, self.count, PIECE):
            yield self.read(first, min(first + PIECE, self.count))

    def runs(self) -> Iterator[tuple[Ints, Ints]]:
        """Rows of a run length and a value."""
        for rows in self.batches():
            yield rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)


class _Runs:
    """Runs of equal values, of which a number of samples is taken at a time.

    `resumed` tells whether the first run that was taken last had been begun before.
    """

    def __init__(self, batches: Iterator[tuple[Ints, Ints]]) -> None:
        self._batches = batches
        self._counts = np.empty(0, np.int64)
        self._values = np.empty(0, np.int64)
        self._last = 0
        self._split = False
        self.resumed = False

    def take(self, wanted: int) -> tuple[Ints, Ints]:
        """Lengths and values of the runs that make up the next `wanted` samples, or fewer."""
        counts, values = [np.empty(0, np.int64)], []
        self.resumed, self._split = self._split, False
        while wanted:
            if not len(self._counts):
                batch = next(self._batches, None)
                if batch is None:
                    break
                self._counts, self._values = batch
            ends = np.cumsum(self._counts)
            used = int(np.searchsorted(ends, wanted, side="right"))
            counts.append(self._counts[:used])
            values.append(self._values[:used])
            self._counts, self._values = self._counts[used:], self._values[used:]
            wanted -= int(ends[used - 1]) if used else 0
            if wanted and len(self._counts):
                counts.append(np.array([wanted]))
                values.append(self._values[:1])
                self._counts[0] -= wanted
                self._split = True
                break
        return np.concatenate(counts), np.concatenate(values) if values else self._values

    def expand(self, wanted: int) -> Ints:
        """Values of the next samples; the last one goes on where rows lack."""
        counts, values = self.take_all(wanted)
        single = len(values) == wanted and bool((counts == 1).all())
        return values if single else np.repeat(values, counts)

    def take_all(self, wanted: int) -> tuple[Ints, Ints]:
        """As `take`, but the last run goes on where rows lack; some cameras write one too few."""
        counts, values = self.take(wanted)
        if len(values):
            self._last = int(values[-1])
        if lacking := wanted - int(counts.sum()):
            counts, values = np.append(counts, lacking), np.append(values, self._last)
        return counts, values
