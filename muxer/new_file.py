"""A new file around the media of an old one: `moov` first, media shared where that can be."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from muxer.disk import write_all, write_pieces
from muxer.moov_first import HEAD, Build, fitting, front

SPANNING_HEADER = 16
"""Bytes of the header of an `mdat` of any size."""
LONGEST_FTYP = 256

Copy: TypeAlias = Callable[[int, int, int, int], None]
"""Copies from the old file: from which byte on, to which open file, at which byte, how many."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to be written.

    `media`  bytes of the old file that it takes over: begin and end
    `build`  what makes the `moov` for media that lie so many bytes further on than there; it may
             have other boxes behind it
    `added`  how many bytes will come behind the media, in the same `mdat`
    """

    ftyp: bytes
    media: tuple[int, int]
    build: Build
    added: int = 0

    def write(self, copy: Copy, target: int) -> int:
        """Write it to an empty file; where in it the caller has to write what is added.

        The media stay where they were within a block, for a file system can share whole blocks
        only; bytes before them that come along are covered by the header of their `mdat`.
        """
        first, end = self.media
        begin = (first - SPANNING_HEADER) // HEAD * HEAD
        shift, moov = fitting(lambda shift: self.build(HEAD - begin + shift))
        media = HEAD + shift
        write_pieces(target, front(self.ftyp, shift, moov), 0)
        copied = max(begin, 0)  # below it: media that begin with the file have no room for a header
        copy(copied, target, media + copied - begin, end - copied)
        write_all(target, spanning_header(end - begin + self.added), media)
        return media + end - begin


def spanning_header(size: int) -> bytes:
    """The header of an `mdat` of that many bytes, itself included."""
    return struct.pack(">I4sQ", 1, b"mdat", size)


def whole_ftyp(fd: int) -> bytes:
    """The `ftyp` box of a file; empty where it is damaged."""
    head = os.pread(fd, LONGEST_FTYP, 0)
    size = int.from_bytes(head[:4])
    sound = head[4:8] == b"ftyp" and 16 <= size <= len(head) and size % 4 == 0
    return head[:size] if sound else b""
