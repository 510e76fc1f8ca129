"""Where a clip's bytes come from: something with a size that can be read at any place."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from camm import UsageError
from muxer.errors import Mp4Error
from muxer.sample_table import Ints


class ByteSource(Protocol):
    """A file, wherever it is."""

    name: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on, fewer than `length` only at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalFile:
    """A file on this machine, read in place and never as a whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        if Path(path).is_dir():
            raise UsageError(f"{self.name} is a folder: expected an MP4 file")
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(f"there is no file {self.name}") from None
        except OSError as error:
            raise UsageError(f"cannot read {self.name}: {error.strerror}") from None
        self.size = os.fstat(self._fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_samples(
    source: ByteSource, offset: Ints, size: Ints, *, gap: int = 4096
) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of many samples in few reads: a buffer, and where in it each sample begins.

    Samples that lie within `gap` bytes of one another are fetched together. Mp4Error where the
    file ends before a sample does.
    """
    if not len(offset):
        return np.empty(0, np.uint8), np.empty(0, np.int64)
    outside = (offset < 0) | (offset > source.size - size)
    if outside.any():
        raise Mp4Error(
            f"{source.name}: a sample lies at byte {offset[outside][0]}, the file has {source.size}"
        )
    if int(size.sum()) > source.size:
        raise Mp4Error(f"{source.name}: the samples of a track lie on top of one another")
    end = offset + size
    order = np.argsort(offset, kind="stable")
    first, last = offset[order], np.maximum.accumulate(end[order])
    breaks = np.flatnonzero(first[1:] > last[:-1] + gap) + 1
    starts, stops = first[np.append(0, breaks)], last[np.append(breaks - 1, len(last) - 1)]
    parts = [
        source.read(start, stop - start)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    buffer = np.frombuffer(b"".join(parts), np.uint8)
    if len(buffer) != int((stops - starts).sum()):
        raise Mp4Error(f"{source.name} ended while it was read: is it still being written?")
    group = np.searchsorted(starts, offset, side="right") - 1
    shift = np.cumsum(stops - starts) - stops  # where a group lies in the buffer less in the file
    return buffer, offset + shift[group]
