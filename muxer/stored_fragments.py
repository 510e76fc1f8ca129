"""The fragments of a file, opened out one by one when the samples of a track are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from muxer.boxes import Box
from muxer.errors import Mp4Error
from muxer.fragments import TrackDefaults, count_samples, is_intact, read_fragment
from muxer.sample_table import SampleTable
from muxer.source import ByteSource
from muxer.stored_table import PIECE, Piece, StoredTable, last_of

_LARGEST = 1 << 28
"""Bytes of a `moof`, and of an `mdat` whose checksum is taken."""
_HELD = 1 << 25
"""Bytes up to which all `moof` boxes together stay in memory, once read."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class StoredFragments:
    """The `moof` boxes of a file; `room` is how many samples all of them can have at most.

    `held` is their contents, where that is not too much to be kept.
    """

    source: ByteSource
    moofs: Sequence[Box]
    defaults: dict[int, TrackDefaults]
    room: int
    held: Sequence[bytes] | None

    @classmethod
    def open(
        cls,
        source: ByteSource,
        moofs: Sequence[Box],
        media: Mapping[int, Box],
        defaults: dict[int, TrackDefaults],
        room: int,
    ) -> Self:
        """All fragments but those at the end that a power cut has left damaged.

        `media` are the `mdat` boxes by where they begin. A fragment that has been cut off keeps the
        samples that are there; one that contradicts itself or its checksum is left out.
        """
        few = sum(moof.end - moof.body for moof in moofs) <= _HELD
        held = _contents(source, moofs) if few else None
        self = cls(source, moofs, defaults, room, held)
        count = len(moofs)
        while count and not self._is_sound(moofs[count - 1], media.get(moofs[count - 1].end)):
            count -= 1
        return replace(self, moofs=moofs[:count], held=None if held is None else held[:count])

    def tables(self, track: int, end: int) -> Iterator[SampleTable]:
        """What each fragment adds to a track whose samples so far end at tick `end`."""
        room = self.room
        for moof, content in self._walk():
            room -= count_samples(content)
            if room < 0:
                raise Mp4Error(
                    f"{self.source.name}: its fragments claim more samples than it has bytes"
                )
            found = self._tables(moof, content, {track: end})
            if len(found.get(track, ())):
                yield found[track]
                end = found[track].end

    def _walk(self) -> Iterator[tuple[Box, bytes]]:
        for first in range(0, len(self.moofs), _AT_ONCE):
            batch = slice(first, first + _AT_ONCE)
            moofs = self.moofs[batch]
            held = _contents(self.source, moofs) if self.held is None else self.held[batch]
            yield from zip(moofs, held, strict=True)

    def _is_sound(self, moof: Box, mdat: Box | None) -> bool:
        try:
            (content,) = _contents(self.source, [moof])
            if count_samples(content) <= self.room:
                self._tables(moof, content, {})
        except Mp4Error:
            return False
        whole = self.source.read(moof.start, moof.body - moof.start) + content
        if mdat is None or mdat.end > self.source.size or is_intact(whole, b"") is None:
            return True
        length = mdat.end - mdat.body
        return length > _LARGEST or is_intact(whole, self.source.read(mdat.body, length)) is True

    def _tables(self, moof: Box, content: bytes, ends: dict[int, int]) -> dict[int, SampleTable]:
        return read_fragment(content, moof.start, self.defaults, ends, self.source.size)


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
        """Those of the `stbl`; what fragments say of it is not looked at."""
        return self.stored.entries if self.stored.count else frozenset()

    def pieces(self, entry: int | None = None) -> Iterator[Piece]:
        """All samples in decoding order; `entry` holds for those of the `stbl` only."""
        yield from self.stored.pieces(entry)
        few: list[SampleTable] = []
        for table in self.fragments.tables(self.track, self.stored.end()[0]):
            few.append(table)
            if sum(map(len, few)) >= PIECE:
                yield _piece(few)
                few = []
        if few:
            yield _piece(few)

    def last_shown(self) -> tuple[int, int] | None:
        """When the last sample to be shown begins, and how long the last one lasts, in ticks."""
        return last_of(self.pieces())

    def whole(self) -> SampleTable:
        """All samples at once."""
        before = self.stored.whole()
        return SampleTable.join([before, *self.fragments.tables(self.track, before.end)])


def _piece(tables: Sequence[SampleTable]) -> Piece:
    table = SampleTable.join(tables)
    return Piece(table.offset, table.size, table.dts, table.cts_offset, table.duration)
