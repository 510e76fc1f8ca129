"""An MP4 or QuickTime file that is to be written again: what of it stays, and how it moves.

Media move together, by one distance. Boxes are kept as they are, byte for byte, but for the chunk
offsets. What stands behind the last box (some cameras have data of their own there) is told apart.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Self

import numpy as np

from muxer import file_boxes
from muxer.boxes import Box, Piece, box, children, nested, parse_header
from muxer.clip import Clip
from muxer.errors import Mp4Error
from muxer.moov_first import HEAD, read_journal
from muxer.movie import TrackHeader
from muxer.new_file import LONGEST_FTYP
from muxer.reader import top_level
from muxer.recording_file import METADATA_UUID
from muxer.salvage.movie import rebuilt
from muxer.source import ByteSource

_MADE_ANEW = frozenset(b"ftyp moov mdat free skip wide".split())
_OF_FRAGMENTS = frozenset(b"moof mfra sidx ssix styp prft emsg".split())
_ROAD = frozenset(b"trak mdia minf stbl".split())
"""Boxes on the way to chunk offsets."""


@dataclass(frozen=True, slots=True, eq=False)
class OldFile:
    """A file that has been looked through.

    `media`    from the beginning of its first `mdat`'s content to the end of its last one
    `moov`     the content of its `moov`, that of a plain file
    `beside`   whole boxes that stand beside `moov` and are of neither media nor fragments
    `trailer`  the byte from which on it is no box; the size of the file where there is no such
    """

    source: ByteSource
    ftyp: bytes
    media: tuple[int, int]
    moov: bytes
    beside: tuple[bytes, ...]
    trailer: int

    @classmethod
    def read(cls, source: ByteSource, clip: Clip, without: Collection[int]) -> Self:
        """Of an opened clip, less the tracks of these numbers.

        Mp4Error where the file is cut or was left in the middle of a move.
        """
        if read_journal(source.read(0, HEAD), source.size) is not None:
            raise Mp4Error(f"{source.name} was not finished: `cammcorder repair` finishes it")
        boxes, trailer = _boxes(source)
        moov = next((found for found in boxes if found.kind == b"moov"), None)
        media = [found for found in boxes if found.kind == b"mdat"]
        if moov is None or not media:
            raise Mp4Error(f"{source.name} has no media: expected 'moov' and 'mdat' boxes")
        content = _moov(source, moov, without)
        ftyp = b"".join(_whole(source, found) for found in boxes[:1] if found.kind == b"ftyp")
        if len(ftyp) > LONGEST_FTYP:
            raise Mp4Error(f"box 'ftyp' of {len(ftyp)} bytes: expected {LONGEST_FTYP} at most")
        gone = _MADE_ANEW | (_OF_FRAGMENTS if clip.fragmented else frozenset())
        return cls(
            source,
            ftyp,
            (min(found.body for found in media), max(found.end for found in media)),
            _plain(content, clip) if clip.fragmented else content,
            tuple(_whole(source, found) for found in boxes if found.kind not in gone),
            trailer,
        )

    def moov_with(
        self, header: bytes, trak: Sequence[Piece], metadata: bytes, shift: int
    ) -> list[Piece]:
        """The new `moov` for media that lie `shift` bytes further on, and the boxes beside it.

        `header` and `metadata`, whole boxes, take the places of its own; `trak` is added.
        """
        traks: list[Piece] = []
        rest: list[Piece] = []
        for child in children(self.moov):
            content = child.content(self.moov)
            if child.kind == b"trak":
                traks += self._moved(child, self.moov, shift)
            elif child.kind != b"mvhd" and not content.startswith(METADATA_UUID.bytes):
                rest.append(self.moov[child.start : child.end])
        return [*nested(b"moov", [header, *traks, *trak, *rest, metadata]), *self.beside]

    def _moved(self, child: Box, data: bytes, shift: int) -> list[Piece]:
        content = child.content(data)
        if child.kind in _ROAD:
            inside = (self._moved(inner, content, shift) for inner in children(content))
            return nested(child.kind, [piece for pieces in inside for piece in pieces])
        if child.kind in {b"stco", b"co64"}:
            return self._offsets(content, ">u4" if child.kind == b"stco" else ">u8", shift)
        if child.kind == b"saio":
            raise Mp4Error(f"{self.source.name} is encrypted: its samples cannot be moved")
        return [data[child.start : child.end]]

    def _offsets(self, content: bytes, dtype: str, shift: int) -> list[Piece]:
        """`stco`, or `co64` where it has to be or was."""
        count = int.from_bytes(content[4:8])
        offsets = np.frombuffer(content, dtype, count, 8).astype(np.int64)
        if count and (offsets.min() < self.media[0] or offsets.max() > self.media[1]):
            raise Mp4Error(
                f"{self.source.name}: samples lie at the bytes {offsets.min()} to {offsets.max()}, "
                f"the media at {self.media[0]} to {self.media[1]}: `cammcorder repair` it first"
            )
        offsets += shift
        if dtype == ">u4" and (not count or offsets.max() < 1 << 32):
            return nested(b"stco", [content[:8], offsets.astype(">u4").tobytes()])
        return nested(b"co64", [content[:8], offsets.astype(">u8").tobytes()])


def movie_header(mvhd: bytes, created: int, duration: int, track: int) -> bytes:
    """The `mvhd` box of this content for a movie at least so long, with a track of this number.

    It is dated where it had no date.
    """
    header = bytearray(mvhd)
    word, at = (">Q", 24) if header[0] else (">I", 16)
    size = struct.calcsize(word)
    if not any(header[4 : 4 + size]):
        struct.pack_into(word, header, 4, created)
    (before,) = struct.unpack_from(word, header, at)
    struct.pack_into(word, header, at, min(max(before, duration), (1 << 8 * size) - 1))
    (free,) = struct.unpack_from(">I", header, len(header) - 4)
    struct.pack_into(">I", header, len(header) - 4, max(free, track + 1))
    return box(b"mvhd", bytes(header))


def _boxes(source: ByteSource) -> tuple[list[Box], int]:
    """The boxes of the file, and where they end; Mp4Error where the last of them is cut."""
    found: list[Box] = []
    with suppress(Mp4Error):  # of what is no box
        found.extend(top_level(source))
    whole = [*takewhile(lambda each: each.end <= source.size, found)]
    for cut in found[len(whole) :]:
        if cut.kind in _MADE_ANEW | _OF_FRAGMENTS:
            raise Mp4Error(
                f"{source.name} is cut: its last box would end at byte {cut.end}, the file does at "
                f"{source.size}: `cammcorder repair` it first"
            )
    return whole, whole[-1].end if whole else 0


def _whole(source: ByteSource, box: Box) -> bytes:
    return source.read(box.start, box.body - box.start) + file_boxes.content(source, box)


def _moov(source: ByteSource, moov: Box, without: Collection[int]) -> bytes:
    """Its content less some tracks, whose tables are not even read."""
    kept = []
    for child in file_boxes.children(source, moov.body, moov.end):
        if child.kind == b"trak":
            tkhd = file_boxes.content(source, file_boxes.require(source, child, b"tkhd"))
            if TrackHeader.read(tkhd).track in without:
                continue
        kept.append(source.read(child.start, child.end - child.start))
    return b"".join(kept)


def _plain(moov: bytes, clip: Clip) -> bytes:
    """The `moov` that a file in fragments would have without them."""
    tables = {track.number: track.table for track in clip.tracks}
    if any("damaged fragment" in fault for fault in clip.faults):
        raise Mp4Error(f"{clip.path} has damaged fragments: `cammcorder repair` it first")
    if any(len(track.entries) > 1 for track in clip.tracks):
        raise Mp4Error(
            f"{clip.path} is in fragments and has a track of several sample entries: make a plain "
            "MP4 of it first (ffmpeg -c copy)"
        )
    whole = rebuilt(moov, tables, of_the_same_file=True)
    return parse_header(whole, 0, len(whole)).content(whole)
