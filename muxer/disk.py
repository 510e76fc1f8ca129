"""What a recording asks of a file system beyond reading and writing."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_COPIED_AT_ONCE = _WRITTEN_AT_ONCE = 1 << 20
_TOLD_EVERY = 1 << 26
_FALLOC_FL_INSERT_RANGE = 0x20
_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def write_all(fd: int, data: bytes | bytearray, at: int) -> None:
    """Write all of it, however much of it the system takes at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        at += written
        view = view[written:]


def write_pieces(fd: int, pieces: Iterable[bytes | bytearray], at: int) -> None:
    """Write pieces one behind another: the small ones together, the large ones uncopied."""
    small = bytearray()
    for piece in pieces:
        if len(small) + len(piece) < _WRITTEN_AT_ONCE:
            small += piece
        else:
            for data in (small, piece):
                write_all(fd, data, at)
                at += len(data)
            small = bytearray()
    write_all(fd, small, at)


def insert_range(fd: int, offset: int, length: int) -> None:
    """Make room in the middle of a file, by whole blocks and without copying what is behind it.

    OSError where the file system cannot; ext4, XFS and f2fs can (man 2 fallocate).
    """
    if _fallocate(fd, _FALLOC_FL_INSERT_RANGE, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def copy_range(source: int, offset: int, target: int, at: int, length: int) -> None:
    """Copy bytes from file to file inside the kernel, shared rather than copied if it can."""
    while length:
        try:
            done = os.copy_file_range(source, target, length, offset, at)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            block = os.pread(source, min(length, _COPIED_AT_ONCE), offset)
            write_all(target, block, at)
            done = len(block)
        if not done:
            raise OSError(errno.EIO, "the file ended while it was copied")
        offset, at, length = offset + done, at + done, length - done


def copy_watched(
    source: int, offset: int, target: int, at: int, length: int, watch: Callable[[int], None]
) -> None:
    """As `copy_range`; `watch` is told now and then how many bytes have been copied."""
    for done in range(0, length, _TOLD_EVERY):
        part = min(_TOLD_EVERY, length - done)
        copy_range(source, offset + done, target, at + done, part)
        watch(done + part)


@contextmanager
def opened(path: str | os.PathLike[str], flags: int) -> Iterator[int]:
    """A file's descriptor, closed in the end."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def written_whole(path: Path) -> Iterator[int]:
    """A new file under a hidden name, which gets its own once it has been written and synced.

    A file of that name is replaced. Nothing is left if anything goes wrong; OSError names the file.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming(path):
            with opened(part, os.O_RDWR | os.O_CREAT | os.O_EXCL) as fd:
                yield fd
                os.fsync(fd)
            part.replace(path)
            sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """A full disk, which the system tells of a descriptor only, is told with the file's name."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a synced file without its name is lost."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
