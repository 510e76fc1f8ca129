"""Writing a movie that was salvaged: as a new file, or in the place of the damaged one.

In place not a byte of media is moved:

1. append the `moov`, sync                          the file is as before, with something behind it
2. let the `mdat` reach up to it, sync              4 to 16 bytes; the `moov` counts
3. call a wrong `moov` before the media free, sync  4 bytes

A power cut on the way leaves a file that can be repaired again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from camm import UsageError
from muxer.boxes import Box
from muxer.disk import copy_watched, opened, write_all, write_pieces, written_whole
from muxer.errors import Mp4Error
from muxer.moov_first import Build
from muxer.new_file import NewFile, spanning_header, whole_ftyp
from muxer.reader import top_level
from muxer.source import ByteSource, LocalFile

_LONG, _SHORT = 16, 8
"""Bytes of the header of a box, with a size of 64 bits and of 32."""
_ROOM = frozenset({b"free", b"skip", b"wide"})


@dataclass(frozen=True, slots=True, eq=False)
class Rescued:
    """A movie around the media of a damaged file of `size` bytes.

    `media`  where they begin and end in it
    `ftyp`   of the healthy file, for where the damaged one has none
    `build`  what makes the `moov` for media that lie so many bytes further on
    """

    path: str
    size: int
    media: tuple[int, int]
    ftyp: bytes
    build: Build


@dataclass(frozen=True, slots=True)
class Patches:
    """What is changed in place: (byte, new bytes), each synced before the next.

    `append_at`  where the `moov` comes
    """

    append_at: int
    changes: tuple[tuple[int, bytes], ...]


def write_new(
    rescued: Rescued, out: Path, watch: Callable[[int], None] = lambda copied: None
) -> None:
    """Write a plain MP4, `moov` first; a file of that name is replaced.

    It has a hidden name until it is whole. `watch` is told how many bytes have been copied.
    """
    with opened(rescued.path, os.O_RDONLY) as source:
        _require_unchanged(source, rescued)
        new = NewFile(whole_ftyp(source) or rescued.ftyp, rescued.media, rescued.build)
        with written_whole(out) as target:
            new.write(partial(copy_watched, source, watch=watch), target)


def patches(rescued: Rescued) -> Patches:
    """What has to be changed to repair the file in its place.

    UsageError where that cannot be: where no header stands before the media, or one of 32 bits that
    cannot say how long they are.
    """
    with LocalFile(rescued.path) as source:
        moovs = [found for found in _before(source, rescued.media[0]) if found.kind == b"moov"]
        changes = _spanning(source, rescued)
    return Patches(rescued.size, (*changes, *((moov.start + 4, b"free") for moov in moovs)))


def write_in_place(rescued: Rescued) -> None:
    """Make a plain MP4 of the file itself.

    UsageError where that cannot be, Mp4Error where the file has changed since.
    """
    planned = patches(rescued)
    with opened(rescued.path, os.O_RDWR) as fd:
        _require_unchanged(fd, rescued)
        write_pieces(fd, rescued.build(0), planned.append_at)
        os.fdatasync(fd)
        for at, data in planned.changes:
            write_all(fd, data, at)
            os.fdatasync(fd)


def _spanning(source: ByteSource, rescued: Rescued) -> list[tuple[int, bytes]]:
    """The changes that let the `mdat` before the media reach to the end of the file."""
    start, end = rescued.media[0], rescued.size
    head = source.read(max(start - _LONG, 0), min(start, _LONG)).rjust(_LONG, b"\0")
    if head[:8] == b"\0\0\0\1mdat":
        return [(start - 8, struct.pack(">Q", end - start + _LONG))]
    if head[12:] != b"mdat":
        raise UsageError(
            f"{rescued.path} has no header before its media, and no room for one: repair it to a "
            "new file (-o)"
        )
    if end - start + _SHORT < 1 << 32:
        return [(start - _SHORT, struct.pack(">I", end - start + _SHORT))]
    free = next((b for b in _before(source, start) if b.end == start - _SHORT), None)
    left = free.end - free.body if free is not None else 0
    if free is None or free.kind not in _ROOM or 0 < left < _SHORT:
        raise UsageError(
            f"{rescued.path} has 4 GiB and more behind a header of 32 bits, and no room for a "
            "longer one: repair it to a new file (-o)"
        )
    shorter = [(free.start, struct.pack(">I", left))] if left else []
    return [*shorter, (start - _LONG, spanning_header(end - start + _LONG))]


def _before(source: ByteSource, end: int) -> list[Box]:
    """The boxes of the file up to a byte."""
    found = []
    try:
        for box in top_level(source):
            if box.end > end:
                break
            found.append(box)
    except Mp4Error:
        pass  # what comes before the damage counts
    return found


def _require_unchanged(fd: int, rescued: Rescued) -> None:
    if os.fstat(fd).st_size != rescued.size:
        raise Mp4Error(f"{rescued.path} has changed meanwhile: is it still being written?")
