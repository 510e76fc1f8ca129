"""What a disk may hold after a power cut, from a log of what was asked of it.

The log has every write, sync, insertion and truncation of one file. What was synced is there. Of
what was asked for after the last sync, any part may have reached the disk, in any order:

* appended: each page of 4 KiB is there or reads as zeros, and the file ends at the old end, at the
  new one, or at any page in between;
* overwritten: each sector of 512 bytes is old or new;
* inserted: not, wholly, or with only what lies behind some block moved so far, as file systems move
  extents from the end of a file to its front;
* cut off: or not yet.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

PAGE, SECTOR = 4096, 512


@dataclass(frozen=True)
class Write:
    at: int
    data: bytes


@dataclass(frozen=True)
class Insert:
    at: int
    length: int


@dataclass(frozen=True)
class Truncate:
    size: int


@dataclass(frozen=True)
class Sync:
    pass


Operation = Write | Insert | Truncate | Sync


class DiskLog:
    """Stands between the program and one file, and takes down what is asked of it."""

    def __init__(self, monkeypatch, path: Path) -> None:
        self.log: list[Operation] = []
        self._path = path
        real_pwrite, real_ftruncate = os.pwrite, os.ftruncate

        def pwrite(fd, data, at):
            if self._is_ours(fd):
                self.log.append(Write(at, bytes(data)))
            return real_pwrite(fd, data, at)

        def ftruncate(fd, size):
            if self._is_ours(fd):
                self.log.append(Truncate(size))
            real_ftruncate(fd, size)

        def sync(fd):
            if self._is_ours(fd):
                self.log.append(Sync())

        def insert_range(fd, offset, length):
            if self._is_ours(fd):
                self.log.append(Insert(offset, length))
            size = os.fstat(fd).st_size
            behind = os.pread(fd, size - offset, offset)
            real_pwrite(fd, bytes(length) + behind, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "ftruncate", ftruncate)
        monkeypatch.setattr(os, "fdatasync", sync)
        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr("muxer.moov_first.insert_range", insert_range)

    def _is_ours(self, fd: int) -> bool:
        return Path(f"/proc/self/fd/{fd}").readlink() == self._path


@dataclass(frozen=True)
class Cut:
    """A file after a power cut; `between` where an insertion was carried out in part."""

    data: bytes
    between: bool


def after(log: list[Operation], count: int, chance: random.Random, start: bytes = b"") -> Cut:
    """The file after `count` operations and a power cut."""
    synced = next((n for n in range(count, 0, -1) if isinstance(log[n - 1], Sync)), 0)
    content = bytearray(start)
    for operation in log[:synced]:
        _whole(content, operation)
    between = [_torn(content, operation, chance) for operation in log[synced:count]]
    return Cut(bytes(content), any(between))


def exactly_after(log: list[Operation], count: int, start: bytes = b"") -> bytes:
    """The file after `count` operations, if nothing is held back."""
    content = bytearray(start)
    for operation in log[:count]:
        _whole(content, operation)
    return bytes(content)


def _whole(content: bytearray, operation: Operation) -> None:
    match operation:
        case Write(at, data):
            content.extend(bytes(max(at + len(data) - len(content), 0)))
            content[at : at + len(data)] = data
        case Insert(at, length):
            content[at:at] = bytes(length)
        case Truncate(size):
            del content[size:]


def _torn(content: bytearray, operation: Operation, chance: random.Random) -> bool:
    """Carry out a part of it; whether that is an insertion between its two ends."""
    match operation:
        case Write(at, data):
            _torn_write(content, at, data, chance)
        case Insert(at, length):
            return _torn_insert(content, at, length, chance)
        case Truncate(size) if chance.random() < 0.5:
            del content[size:]
    return False


def _torn_write(content: bytearray, at: int, data: bytes, chance: random.Random) -> None:
    old_size, end = len(content), at + len(data)
    for sector in range(at // SECTOR * SECTOR, min(end, old_size), SECTOR):
        if chance.random() < 0.5:
            first, last = max(sector, at), min(sector + SECTOR, end, old_size)
            content[first:last] = data[first - at : last - at]
    if end <= old_size:
        return
    pages = list(range(old_size // PAGE * PAGE, end, PAGE))
    arrived = set(_some(pages, chance))
    size = chance.choice([old_size, end, end, end, *(page for page in pages if page > old_size)])
    content.extend(bytes(size - old_size))
    for page in arrived:
        first, last = max(page, old_size, at), min(page + PAGE, end, size)
        if first < last:
            content[first:last] = data[first - at : last - at]


def _some(pages: list[int], chance: random.Random) -> list[int]:
    """None, all, those before or behind one, all but one, or any."""
    cut = chance.randrange(len(pages) + 1)
    return chance.choice(
        [
            [],
            pages,
            pages[:cut],
            pages[cut:],
            pages[:cut] + pages[cut + 1 :],
            [page for page in pages if chance.random() < 0.5],
            [page for page in pages if chance.random() < 0.9],
        ]
    )


def _torn_insert(content: bytearray, at: int, length: int, chance: random.Random) -> bool:
    blocks = list(range(at, len(content), PAGE))
    moved_from = chance.choice([None, at, chance.choice(blocks)])
    if moved_from is not None:
        content[moved_from:moved_from] = bytes(length)
    return moved_from not in {None, at}
