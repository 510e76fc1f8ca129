"""Boxes where they lie in a file: found by their headers, read only when they are wanted.

A `moov` of ten hours is mostly tables, and they are larger than what one wants in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from muxer.boxes import Box, kind_name, parse_header
from muxer.errors import Mp4Error
from muxer.source import ByteSource

_LARGEST = 1 << 26
"""Bytes of a box that is read as a whole: they hold headers and texts, not tables."""


class Memory:
    """A stretch of a file that has been read already, as a source of its bytes; `at` its place."""

    gap = 0

    requests = fetched = 0

    def __init__(self, data: bytes, *, at: int = 0, name: str = "") -> None:
        self.name = name
        self.size = at + len(data)
        self._data = data
        self._at = at

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset - self._at : offset - self._at + length]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(offset, length) for offset, length in ranges]

    def close(self) -> None:
        """Nothing is open."""


def children(source: ByteSource, start: int, end: int) -> Iterator[Box]:
    """The boxes that lie side by side from byte `start` to byte `end`.

    Mp4Error where a box does not fit its parent.
    """
    while end - start >= 8:
        found = parse_header(source.read(start, 16), 0, end - start)
        if start + found.end > end:
            raise Mp4Error(
                f"box {kind_name(found.kind)} at byte {start} ends at {start + found.end}, "
                f"its parent at {end}"
            )
        yield Box(found.kind, start, start + found.body, start + found.end)
        start += found.end


def find(source: ByteSource, parent: Box, *path: bytes) -> Box | None:
    """The first box inside `parent` along a path of kinds; None where there is none."""
    for kind in path:
        inside = children(source, parent.body, parent.end)
        found = next((child for child in inside if child.kind == kind), None)
        if found is None:
            return None
        parent = found
    return parent


def require(source: ByteSource, parent: Box, *path: bytes) -> Box:
    """As `find`, but Mp4Error where the box is missing."""
    found = find(source, parent, *path)
    if found is None:
        raise Mp4Error(f"the file has no {'/'.join(map(kind_name, path))} box")
    return found


def content(source: ByteSource, box: Box) -> bytes:
    """What a box holds, of those that are not tables."""
    length = box.end - box.body
    if length > _LARGEST:
        raise Mp4Error(f"box {kind_name(box.kind)} of {length} bytes: expected {_LARGEST} at most")
    return source.read(box.body, length)
