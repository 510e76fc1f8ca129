"""What a recording asks of a file system beyond reading and writing."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_COPIED_AT_ONCE = 1 << 20
_FALLOC_FL_INSERT_RANGE = 0x20
_fallocate = ctypes.CDLL(None, use_errno=True).fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write all of it, however much of it the system takes at a time."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        at += written
        view = view[written:]


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


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk: a synced file without its name is lost."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
