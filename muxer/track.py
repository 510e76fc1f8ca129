"""One track of a clip, and what makes one a track of camera motion metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import gcd
from typing import Literal

import numpy as np
import numpy.typing as npt

from camm import PACKET_SIZES, PacketType
from muxer.errors import Mp4Error
from muxer.motion import Motion, stretches
from muxer.movie import EditList, Handler
from muxer.pcm import CODECS
from muxer.projection import Projection
from muxer.records import Records, sort_out, windows
from muxer.sample_table import Ints, SampleTable
from muxer.source import ByteSource, read_samples
from muxer.stored_table import Piece, Stored

_READ_AT_ONCE = 1 << 24
"""Bytes of samples, and of what lies between them, that are in memory for one block of records."""
_RECOGNISED_BY = 64
"""Samples that are looked at to tell what a track holds."""
_HARMLESS = {"padding behind the packet", "samples with more than one packet"}
_UNKNOWN_DURATION = 0xFFFFFFFF


@dataclass(frozen=True, eq=False, kw_only=True)
class Track:
    """One track of a clip.

    `entries`    the codes of all its sample entries; more than one is rare
    `timescale`  ticks a second; `table` counts in them
    `duration`   what its header claims, which may be 0 or all ones; `duration_ns` is what it is
    `stored`     its sample tables as they lie in the file
    `stsd_at`    byte of the file at which its sample entries' box begins
    `edits`      its edit list, durations in `movie_timescale`
    `projection` of pictures: what they are a map of, None for ordinary ones
    """

    number: int
    handler: Handler
    entries: tuple[str, ...]
    timescale: int
    duration: int
    stored: Stored
    stsd_at: int
    edits: EditList
    movie_timescale: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    projection: Projection | None = None

    @property
    def codec(self) -> str:
        """Code of the first sample entry: "avc1", "mp4a", "camm"; empty where there is none."""
        return self.entries[0] if self.entries else ""

    @cached_property
    def table(self) -> SampleTable:
        """All samples, one row each: 41 bytes of memory for every one.

        Of PCM each frame is a sample, 172 million in an hour; there a chunk of them is a row.
        """
        return self.stored.whole(by_chunk=self.codec in CODECS)

    @cached_property
    def count(self) -> int:
        """How many samples there are."""
        return self.stored.count

    @property
    def pts_ns(self) -> Ints:
        """Presentation time of every row of the table, nanoseconds of the movie."""
        return self.movie_ns(self.table.dts + self.table.cts_offset)

    @cached_property
    def duration_ns(self) -> int:
        """From movie time zero to the end of the track's last sample."""
        last = self.stored.last_shown()
        if last is None:
            return 0
        begin, length = (np.array([ticks]) for ticks in last)
        return int(self.movie_ns(begin)[0]) + int(_nanoseconds(length, self.timescale)[0])

    def movie_ns(self, ticks: Ints) -> Ints:
        """Times of the track as times of the movie: where its edit list puts them.

        Empty edits are pauses, and each other edit begins where those before it end, as in a
        player. But a player leaves out what no edit shows, and here nothing is: such a sample keeps
        its distance from the edit before it (from the first one, where it lies before all), and so
        is not lost to a duration that is 0 or a few milliseconds short. What several edits show is
        there once.
        """
        starts, starts_ns = self._segments
        if len(starts) == 1:
            own: Ints | slice = slice(0, 1)
        else:
            own = np.maximum(np.searchsorted(starts, ticks, side="right") - 1, 0)
        return _nanoseconds(ticks - starts[own], self.timescale) + starts_ns[own]

    @cached_property
    def _segments(self) -> tuple[Ints, Ints]:
        """Where each edit begins in the track, in ticks that rise, and in the movie."""
        begins: dict[int, int] = {}
        at = 0
        for edit in self.edits.edits:
            if edit.media_time >= 0:
                begins.setdefault(edit.media_time, at)
            if edit.duration != _UNKNOWN_DURATION:
                at += edit.duration
        rows = sorted(begins.items()) or [(0, at)]
        starts_ns = [begin * 1_000_000_000 // max(self.movie_timescale, 1) for _, begin in rows]
        if max(starts_ns) >= 1 << 62:
            raise Mp4Error(
                f"track {self.number} is said to begin after {max(starts_ns) / 1e9:.3g} s"
            )
        return np.array([start for start, _ in rows]), np.array(starts_ns)


@dataclass(frozen=True, eq=False, kw_only=True)
class CammTrack(Track, Motion):
    """A track of camera motion metadata.

    `recognised_by`  what tells that it is one: its sample entry "camm", the MIME type of its sample
                     entry "mett", or that its samples are such records
    `entry`          which of its sample entries its records belong to, from 1 on; None for any
    """

    source: ByteSource
    recognised_by: Literal["camm", "mett", "records"]
    entry: int | None

    def record_blocks(self, seconds: float | None = None) -> Iterator[Records]:
        """All packets in the order of the file. Mp4Error where a sample lies outside the file."""
        room = self.source.size
        for piece in self.stored.pieces(self.entry):
            room -= int(piece.size.sum())
            if room < 0:
                raise Mp4Error(
                    f"{self.source.name}: the samples of a track lie on top of one another"
                )
            t_ns = self.movie_ns(piece.dts + piece.cts_offset)
            for stretch in stretches(t_ns, seconds):
                for part in _readable(piece[stretch], self.source.gap):
                    yield self._records(piece[stretch][part], t_ns[stretch][part])

    def places(self, kind: PacketType) -> Iterator[tuple[Ints, Ints]]:
        """Times and bytes of the file of the packets of one type that fill a sample each."""
        for piece in self.stored.pieces(self.entry):
            mine = piece[piece.size == PACKET_SIZES[kind]]
            for part in _readable(mine, self.source.gap) if len(mine) else ():
                payload, place = _read(self.source, mine[part])
                rows = windows(payload, "<u4")[place] == kind << 16
                own = mine[part][rows]
                yield self.movie_ns(own.dts + own.cts_offset), own.offset

    def holds_records(self) -> bool:
        """Whether the first samples are camm packets and nothing else, and not all zeros."""
        for piece in self.stored.pieces(self.entry):
            if len(piece):
                head = piece[:_RECOGNISED_BY]
                if int(head.size.sum()) > _READ_AT_ONCE:
                    return False
                records = self._records(head, np.zeros(len(head), np.int64))
                return bool(records.payload.any()) and records.faults.keys() <= _HARMLESS
        return False

    def _records(self, piece: Piece, t_ns: Ints) -> Records:
        payload, place = _read(self.source, piece)
        return sort_out(payload, place, piece.size, t_ns)


def _readable(piece: Piece, gap: int) -> Iterator[slice]:
    """Slices of samples that can be in memory at once, with what lies between them."""
    between = np.diff(piece.offset, append=piece.offset[-1:]) - piece.size
    cost = np.cumsum(piece.size + np.clip(between, 0, gap))
    edges = [0, *(np.flatnonzero(np.diff((cost - 1) // _READ_AT_ONCE)) + 1).tolist(), len(piece)]
    for first, last in pairwise(edges):
        if first < last:
            yield slice(first, last)


def _read(source: ByteSource, piece: Piece) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of samples, and where in them each begins; runs without a gap are one read."""
    offset, size = piece.offset, piece.size
    if offset.min() < 0 or offset.max() > source.size:
        raise Mp4Error(
            f"{source.name}: samples lie at the bytes {offset.min()} to {offset.max()}, the file "
            f"has {source.size}"
        )
    end = offset + size
    breaks = np.flatnonzero(offset[1:] != end[:-1]) + 1
    firsts, lasts = np.append(0, breaks), np.append(breaks, len(piece)) - 1
    begin = offset[firsts]
    payload, place = read_samples(source, begin, end[lasts] - begin)
    return payload, offset + np.repeat(place - begin, lasts - firsts + 1)


def _nanoseconds(ticks: Ints, timescale: int) -> Ints:
    """Ticks as nanoseconds, rounded to the nearest."""
    common = gcd(1_000_000_000, timescale)
    length, parts = 1_000_000_000 // common, timescale // common
    if parts == 1:
        return ticks * length
    seconds = ticks // timescale
    rest = ticks - seconds * timescale
    result: Ints = seconds * 1_000_000_000 + (rest * length + parts // 2) // parts
    return result
