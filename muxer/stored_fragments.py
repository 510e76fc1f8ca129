"""The fragments of a file, opened out one by one when the samples of a track are asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.boxes import Box, children, find, require, version_and_flags
from muxer.errors import Mp4Error
from muxer.fragments import TrackDefaults, count_samples, is_intact, read_fragment, read_mvex
from muxer.sample_table import SampleTable
from muxer.source import ByteSource
from muxer.stored_table import PIECE, Piece, StoredTable, last_of

_LARGEST = 1 << 28
"""Bytes of a `moof`, and of an `mdat` whose checksum is taken."""
_HELD = 1 << 25
"""Bytes up to which all `moof` boxes together stay in memory, once read."""
_AT_ONCE = 64
_SIGNATURE = b"moof\0\0\0\x10mfhd"
_STEP = 1 << 18

Damage: TypeAlias = set[tuple[int, int]]
"""Bytes of a file, from and to, that were passed over."""


@dataclass(frozen=True, slots=True)
class StoredFragments:
    """The `moof` boxes of a file.

    `media`     the `mdat` boxes, by where they begin
    `defaults`  what `mvex` says for all fragments, by track, and `entries` of which sample entry
                their samples are
    `room`      how many samples all of them can have at most
    `held`      their contents, where that is not too much to be kept
    `damage`    of fragments that were left out; grows while tables are read
    """

    source: ByteSource
    moofs: Sequence[Box]
    media: Mapping[int, Box]
    defaults: dict[int, TrackDefaults]
    entries: Mapping[int, int]
    room: int
    held: Sequence[bytes] | None
    damage: Damage

    @classmethod
    def open(
        cls,
        source: ByteSource,
        boxes: Sequence[Box],
        mvex: bytes,
        room: int,
        damage: Damage,
    ) -> Self:
        """Those among the boxes of a file, but for what a power cut has left of the last ones.

        `mvex` is the whole box. A fragment that has been cut off keeps the samples that are there;
        one that contradicts itself is left out, and at the end one that does so its checksum.
        """
        moofs = [box for box in boxes if box.kind == b"moof" and box.end <= source.size]
        media = {box.start: box for box in boxes if box.kind == b"mdat"}
        few = sum(moof.end - moof.body for moof in moofs) <= _HELD
        held = _contents(source, moofs) if few else None
        self = cls(source, moofs, media, read_mvex(mvex), _entries(mvex), room, held, damage)
        count = len(moofs)
        while count and not self._is_as_written(moofs[count - 1]):
            count -= 1
            damage.add(self._extent(moofs[count]))
        return replace(self, moofs=moofs[:count], held=None if held is None else held[:count])

    def tables(self, track: int, end: int) -> Iterator[tuple[SampleTable, bytes]]:
        """What each fragment adds to a track whose samples so far end at tick `end`.

        With it the content of its `moof`.
        """
        room = self.room
        for moof, content in self._walk():
            try:
                found = self._tables(moof, content, {track: end}, room)
            except Mp4Error:
                self.damage.add(self._extent(moof))
                continue
            room -= count_samples(content)
            if len(found.get(track, ())):
                yield found[track], content
                end = found[track].end

    def _walk(self) -> Iterator[tuple[Box, bytes]]:
        for first in range(0, len(self.moofs), _AT_ONCE):
            batch = slice(first, first + _AT_ONCE)
            moofs = self.moofs[batch]
            held = _contents(self.source, moofs) if self.held is None else self.held[batch]
            yield from zip(moofs, held, strict=True)

    def _is_as_written(self, moof: Box) -> bool:
        try:
            (content,) = _contents(self.source, [moof])
            self._tables(moof, content, {}, self.room)
        except Mp4Error:
            return False
        mdat = self.media.get(moof.end)
        whole = self.source.read(moof.start, moof.body - moof.start) + content
        if mdat is None or mdat.end > self.source.size or is_intact(whole, b"") is None:
            return True
        length = mdat.end - mdat.body
        return length > _LARGEST or is_intact(whole, self.source.read(mdat.body, length)) is True

    def _tables(
        self, moof: Box, content: bytes, ends: dict[int, int], room: int
    ) -> dict[int, SampleTable]:
        """Mp4Error where a fragment contradicts itself or has more samples than there is `room`."""
        if count_samples(content) > room:
            raise Mp4Error("a fragment claims more samples than the file has bytes")
        tables = read_fragment(content, moof.start, self.defaults, ends, self.source.size)
        mdat = self.media.get(moof.end)
        if mdat is not None and is_intact(content, b"") is not None:
            # One of ours has all its samples in the `mdat` behind it.
            for table in filter(len, tables.values()):
                last = int((table.offset + table.size).max())
                if table.offset.min() < mdat.body or last > mdat.end or table.size.min() < 0:
                    raise Mp4Error("a fragment has samples outside of its own data")
        return tables

    def _extent(self, moof: Box) -> tuple[int, int]:
        return moof.start, min(self.media.get(moof.end, moof).end, self.source.size)


def next_fragment(source: ByteSource, start: int) -> int | None:
    """Where the first fragment behind byte `start` begins; None where there is none."""
    for at in range(start, source.size, _STEP):
        found = source.read(at, _STEP + len(_SIGNATURE) + 3).find(_SIGNATURE, 4)
        if found >= 0:
            return at + found - 4
    return None


def _entries(mvex: bytes) -> dict[int, int]:
    """Of which sample entry the samples of fragments are that do not say so themselves."""
    content = find(mvex, b"mvex") or b""
    found = (child.content(content) for child in children(content) if child.kind == b"trex")
    return dict(struct.unpack_from(">II", trex, 4) for trex in found if len(trex) >= 12)


def _entries_of(content: bytes, track: int, default: int) -> Iterator[tuple[int, int]]:
    """Of each `traf` of a track in a `moof`: its sample entry, and how many samples it claims."""
    for traf in children(content):
        if traf.kind != b"traf":
            continue
        tfhd = require(traf.content(content), b"tfhd")
        _, flags = version_and_flags(tfhd)
        if int.from_bytes(tfhd[4:8]) == track:
            at = 16 if flags & 0x1 else 8
            entry = int.from_bytes(tfhd[at : at + 4]) if flags & 0x2 else default
            yield entry, count_samples(content[traf.start : traf.end])


def _contents(source: ByteSource, moofs: Sequence[Box]) -> Sequence[bytes]:
    for moof in moofs:
        if moof.end - moof.body > _LARGEST:
            raise Mp4Error(f"{source.name}: a 'moof' box of {moof.end - moof.body} bytes")
    return source.read_many([(moof.body, moof.end - moof.body) for moof in moofs])


@dataclass(frozen=True, slots=True)
class FragmentedTable:
    """The samples of a track: those that its `stbl` has, and those of all fragments."""

    stored: StoredTable
    fragments: StoredFragments
    track: int

    @property
    def count(self) -> int:
        """How many there are; all fragments are read for it."""
        return sum(map(len, self.pieces()))

    @property
    def entries(self) -> frozenset[int]:
        """Of which of the track's sample entries the samples are said to be, from 1 on."""
        found = set(self.stored.entries) if self.stored.count else set()
        for _, content in self._tables():
            found.update(entry for entry, _ in self._own_entries(content))
        return frozenset(found)

    def pieces(self, entry: int | None = None) -> Iterator[Piece]:
        """All samples in decoding order, or those of one sample entry."""
        yield from self.stored.pieces(entry)
        few: list[SampleTable] = []
        wanted: list[npt.NDArray[np.bool_]] = []
        for table, content in self._tables():
            few.append(table)
            wanted.append(self._wanted(content, len(table), entry))
            if sum(map(len, few)) >= PIECE:
                yield _piece(few)[np.concatenate(wanted)]
                few, wanted = [], []
        if few:
            yield _piece(few)[np.concatenate(wanted)]

    def last_shown(self) -> tuple[int, int] | None:
        """When the last sample to be shown begins, and how long the last one lasts, in ticks."""
        return last_of(self.pieces())

    def whole(self, *, by_chunk: bool = False) -> SampleTable:
        """All samples at once; in fragments PCM mostly has a packet a sample, and no chunks."""
        before = self.stored.whole(by_chunk=by_chunk)
        return SampleTable.join([before, *(table for table, _ in self._tables())])

    def _tables(self) -> Iterator[tuple[SampleTable, bytes]]:
        return self.fragments.tables(self.track, self.stored.end()[0])

    def _own_entries(self, content: bytes) -> Iterator[tuple[int, int]]:
        return _entries_of(content, self.track, self.fragments.entries.get(self.track, 1))

    def _wanted(self, content: bytes, count: int, entry: int | None) -> npt.NDArray[np.bool_]:
        """Which of a fragment's samples are of that entry; its last ones may be cut off."""
        if entry is None:
            return np.full(count, True)
        said = [*self._own_entries(content)]
        own = np.repeat([number == entry for number, _ in said], [claimed for _, claimed in said])
        return own[:count]


def _piece(tables: Sequence[SampleTable]) -> Piece:
    table = SampleTable.join(tables)
    return Piece(table.offset, table.size, table.dts, table.cts_offset, table.duration)
