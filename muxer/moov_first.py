"""Bringing the `moov` of a finished file to its front, without copying the media.

A file begins with a `free` box that ends at a block boundary, behind which everything else lies.
Where the file system can insert a range (ext4, XFS, f2fs), room for the `moov` is made there, and
the media behind it moves along by changing a few extents. For a moment the boxes do not follow one
another; a journal in the `free` box says then how far everything has moved, and `read_journal`
tells readers.

1. write the journal, sync                        the file is as before
2. insert the range, sync                         the journal tells where things are
3. write the new `moov` into the room, sync       likewise
4. shorten the `free` box to before it, sync      the new `moov` counts; 4 bytes in one sector
5. cut off the old `moov` at the end              only after this is there one `moov` again
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from muxer.boxes import Piece, box
from muxer.disk import copy_range, insert_range, write_all, write_pieces

HEAD = 4096
"""Bytes before everything that is recorded: a block of every usual file system."""

Build: TypeAlias = Callable[[int], Sequence[Piece]]
"""What gives the `moov` for media that lie so many bytes further on."""

_SECTOR = 512
_MAGIC = b"cammcorder moves:"


@dataclass(frozen=True, slots=True)
class Journal:
    """A file of `size` bytes was about to get `shift` bytes inserted at HEAD.

    The file's `moov` then lay at `moov_at`.
    """

    shift: int
    size: int
    moov_at: int

    def write(self) -> bytes:
        """The content of the `free` box."""
        fields = _MAGIC + struct.pack(">QQQ", self.shift, self.size, self.moov_at)
        return fields + struct.pack(">I", zlib.crc32(fields))


def read_journal(head: bytes, size: int) -> Journal | None:
    """The journal in the first bytes of a file of `size` bytes, if its move is under way.

    None where there is none, where nothing has been inserted yet, and where all is done.
    """
    at = head.find(_MAGIC, 0, HEAD)
    end = at + len(_MAGIC) + 24
    if at < 8 or len(head) < end + 4:
        return None
    if zlib.crc32(head[at:end]) != int.from_bytes(head[end : end + 4]):
        return None
    journal = Journal(*struct.unpack_from(">QQQ", head, at + len(_MAGIC)))
    (free_size,) = struct.unpack_from(">I", head, at - 8)
    under_way = (
        journal.shift and size == journal.size + journal.shift and free_size + at - 8 == HEAD
    )
    return journal if under_way else None


def room_for(moov: Sequence[Piece]) -> int:
    """How many bytes must be inserted for a `moov` and a `free` box behind it to fit in front."""
    missing = _SECTOR + _size(moov) + 8 - HEAD
    return max(0, -(-missing // HEAD) * HEAD)


def fitting(build: Build) -> tuple[int, Sequence[Piece]]:
    """How far media must move for the `moov` to fit before it, and the `moov` for that."""
    moov = build(0)
    while (shift := room_for(moov)) and _size(moved := build(shift)) != _size(moov):
        moov = moved  # its offsets have become 64-bit ones
    return shift, moved if shift else moov


def bring_moov_first(fd: int, free_at: int, moov_at: int, build: Build) -> bool:
    """Bring the `moov` at `moov_at`, the last box of a finished file, to the front.

    `free_at` is where the `free` box before HEAD begins. False where the file system cannot insert
    a range; the file is then as it was.
    """
    shift, moov = fitting(build)
    if shift:
        size = os.fstat(fd).st_size
        write_all(fd, Journal(shift, size, moov_at).write(), free_at + 8)
        os.fdatasync(fd)
        try:
            insert_range(fd, HEAD, shift)
        except OSError:
            return False
        os.fsync(fd)
    complete_move(fd, free_at, moov_at, shift, moov)
    return True


def complete_move(fd: int, free_at: int, moov_at: int, shift: int, moov: Sequence[Piece]) -> None:
    """Steps 3 to 5, for which the room has been made."""
    write_pieces(fd, [*moov, _padding(shift, moov)], _SECTOR)
    os.fdatasync(fd)
    write_all(fd, struct.pack(">I", _SECTOR - free_at), free_at)
    os.fdatasync(fd)
    os.ftruncate(fd, moov_at + shift)
    os.fdatasync(fd)


def copy_moov_first(fd: int, out: int, free_at: int, moov_at: int, build: Build) -> None:
    """Write a finished file to the empty file `out` with its `moov` first, copying the media."""
    shift, moov = fitting(build)
    write_pieces(out, front(os.pread(fd, free_at, 0), shift, moov), 0)
    copy_range(fd, HEAD, out, HEAD + shift, moov_at - HEAD)
    os.fsync(out)


def front(ftyp: bytes, shift: int, moov: Sequence[Piece]) -> list[Piece]:
    """What stands before media at HEAD + `shift`, up to the header of the last `free` box."""
    return [ftyp, free_box(_SECTOR - len(ftyp)), *moov, _padding(shift, moov)]


def _padding(shift: int, moov: Sequence[Piece]) -> bytes:
    """The header of the `free` box between the `moov` and the media."""
    return struct.pack(">I4s", HEAD + shift - _SECTOR - _size(moov), b"free")


def _size(pieces: Sequence[Piece]) -> int:
    return sum(map(len, pieces))


def free_box(size: int) -> bytes:
    """A `free` box of that many bytes."""
    return box(b"free", bytes(size - 8))
