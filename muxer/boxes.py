"""Boxes: the grammar of an MP4 file (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from muxer.errors import Mp4Error

Piece: TypeAlias = bytes | bytearray
"""Part of a box that is kept in pieces, one behind another: large tables need no copies then."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies: [start, body) is its header, [body, end) its content."""

    kind: bytes
    start: int
    body: int
    end: int

    def content(self, data: bytes) -> bytes:
        """What the box holds, of the bytes in which it was found."""
        return data[self.body : self.end]


def parse_header(data: bytes, start: int, end: int) -> Box:
    """The box that begins at `start` of `data`, which belongs to a parent that ends at `end`.

    A size of 0 means "to the end of the parent". Mp4Error where there is no room for a header or
    where the size cannot be true; a box that ends behind its parent is returned as it says, for the
    caller to judge (a cut file's last box does so).
    """
    if end - start < 8 or len(data) - start < 8:
        raise Mp4Error(f"expected a box header at byte {start}, found the end of its parent")
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + 8
    if size == 1:
        if end - start < 16 or len(data) - start < 16:
            raise Mp4Error(f"box {kind_name(kind)} at byte {start} is cut inside its 64-bit size")
        (size,) = struct.unpack_from(">Q", data, start + 8)
        body += 8
    elif size == 0:
        size = end - start
    if size < body - start:
        raise Mp4Error(f"box {kind_name(kind)} at byte {start} claims a size of {size}")
    return Box(kind, start, body, start + size)


def children(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie side by side in `data[start:end]`, which are all in memory.

    Four zero bytes at the end are allowed: QuickTime ends `udta` so. Mp4Error where a box does not
    fit its parent.
    """
    if end is None:
        end = len(data)
    while end - start >= 8:
        box = parse_header(data, start, end)
        if box.end > end:
            raise Mp4Error(
                f"box {kind_name(box.kind)} at byte {start} ends at {box.end}, its parent at {end}"
            )
        yield box
        start = box.end


def find(data: bytes, *path: bytes) -> bytes | None:
    """The content of the first box along a path of kinds; None where there is none."""
    for kind in path:
        for box in children(data):
            if box.kind == kind:
                data = box.content(data)
                break
        else:
            return None
    return data


def require(data: bytes, *path: bytes) -> bytes:
    """As `find`, but Mp4Error where the box is missing."""
    content = find(data, *path)
    if content is None:
        raise Mp4Error(f"the file has no {'/'.join(kind_name(kind) for kind in path)} box")
    return content


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box as bytes."""
    return b"".join(nested(kind, parts))


def nested(kind: bytes, pieces: Sequence[Piece]) -> list[Piece]:
    """A box around pieces, in pieces."""
    size = sum(map(len, pieces)) + 8
    if size < 1 << 32:
        return [struct.pack(">I4s", size, kind), *pieces]
    return [struct.pack(">I4sQ", 1, kind, size + 8), *pieces]


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """A box whose content begins with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def version_and_flags(content: bytes) -> tuple[int, int]:
    """The first word of a full box; Mp4Error where it is too short to have one."""
    if len(content) < 4:
        raise Mp4Error("a full box is too short for its version")
    (word,) = struct.unpack_from(">I", content)
    return word >> 24, word & 0xFFFFFF


def kind_name(kind: bytes) -> str:
    """A box's kind in quotes, for messages; whatever cannot be printed is escaped."""
    return repr(kind.decode("latin-1"))
