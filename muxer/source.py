"""Where a clip's bytes come from: something with a size that can be read at any place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from camm import UsageError
from muxer.errors import Mp4Error, RemoteError
from muxer.sample_table import Ints

_BLOCK = 1 << 16
_KEPT_BLOCKS = 8
_AT_ONCE = 16
_NOT_FOUND = 404


class ByteSource(Protocol):
    """A file, wherever it is.

    `gap` is how many bytes are cheaper to read for nothing than to ask once more; `requests` and
    `fetched` (bytes) count what has gone over a network.
    """

    name: str
    size: int
    gap: int
    requests: int
    fetched: int

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from `offset` on, fewer than `length` only at the end."""
        ...

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        """The bytes of many ranges, each given as (offset, length), at once where that helps."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_source(path: str | os.PathLike[str]) -> ByteSource:
    """A path on this machine, or a URL of any kind that fsspec knows: https://, s3://, memory://.

    UsageError where there is no such file or nothing that could fetch it.
    """
    name = os.fspath(path)
    return RemoteFile(name) if "://" in name else LocalFile(path)


class LocalFile:
    """A file on this machine, read in place and never as a whole."""

    gap = 4096
    requests = fetched = 0

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        try:
            if not Path(path).is_file():  # a pipe would make us wait for its writer
                Path(path).stat()
                raise UsageError(f"{self.name} is no file: expected an MP4")
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(f"there is no file {self.name}") from None
        except OSError as error:
            raise UsageError(f"cannot read {self.name}: {error.strerror}") from None
        self.size = os.fstat(self._fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [os.pread(self._fd, length, offset) for offset, length in ranges]

    def fileno(self) -> int:
        """Its descriptor, for what copies inside the kernel."""
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RemoteFile:
    """A file behind a URL, of which only what is asked for is fetched.

    Small reads, which walk from box to box, come out of blocks that are kept; large ones and
    `read_many` fetch exactly what they want, many at the same time.
    """

    gap = 1 << 16

    def __init__(self, url: str) -> None:
        self.name = url
        self.requests = 0
        self.fetched = 0
        self._blocks: dict[int, bytes] = {}
        try:
            import fsspec
        except ModuleNotFoundError:
            raise UsageError(
                f"reading {url} needs fsspec: pip install 'cammcorder[remote]'"
            ) from None
        try:
            self._files, self._path = fsspec.core.url_to_fs(url)
            self.requests += 1
            size = self._files.size(self._path)
        except FileNotFoundError as error:
            cause = error.__cause__  # over HTTP that is how fsspec tells of whatever went wrong
            if not isinstance(cause, Exception) or getattr(cause, "status", None) == _NOT_FOUND:
                raise UsageError(f"there is no file {url}") from None
            raise RemoteError(f"cannot read {url}: {_reason(cause)}") from None
        except (ImportError, ValueError) as error:
            raise UsageError(f"cannot read {url}: {error}") from None
        except Exception as error:  # of whatever library fsspec has for the URL
            raise RemoteError(f"cannot read {url}: {_reason(error)}") from None
        if size is None:
            raise RemoteError(
                f"{url} does not say how long it is: its server must serve byte ranges"
            )
        self.size = int(size)

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        if length > _BLOCK // 2:
            return self.read_many([(offset, length)])[0]
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK if length else -1
        for number in range(first, last + 1):
            if number not in self._blocks:
                if len(self._blocks) == _KEPT_BLOCKS:
                    del self._blocks[next(iter(self._blocks))]
                start = number * _BLOCK
                (self._blocks[number],) = self.read_many([(start, min(_BLOCK, self.size - start))])
        joined = b"".join(self._blocks[number] for number in range(first, last + 1))
        start = offset - first * _BLOCK
        return joined[start : start + length]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        starts = [offset for offset, _ in ranges]
        ends = [offset + length for offset, length in ranges]
        try:
            parts: list[bytes] = self._files.cat_ranges(
                [self._path] * len(ranges), starts, ends, on_error="raise", batch_size=_AT_ONCE
            )
        except Exception as error:
            raise RemoteError(f"{self.name} cannot be read on: {_reason(error)}") from None
        self.requests += len(ranges)
        self.fetched += sum(map(len, parts))
        for part, (_, length) in zip(parts, ranges, strict=True):
            if len(part) != length:
                raise RemoteError(
                    f"{self.name}: asked for {length} bytes, got {len(part)}: its server must "
                    "serve byte ranges"
                )
        return parts

    def close(self) -> None:
        self._blocks.clear()


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def read_samples(
    source: ByteSource, offset: Ints, size: Ints
) -> tuple[npt.NDArray[np.uint8], Ints]:
    """The bytes of many samples in few reads: a buffer, and where in it each sample begins.

    Samples that lie near one another are fetched together. Mp4Error where the file ends before a
    sample does.
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
    breaks = np.flatnonzero(first[1:] > last[:-1] + source.gap) + 1
    starts, stops = first[np.append(0, breaks)], last[np.append(breaks - 1, len(last) - 1)]
    parts = source.read_many(list(zip(starts.tolist(), (stops - starts).tolist(), strict=True)))
    buffer = np.frombuffer(b"".join(parts), np.uint8)
    if len(buffer) != int((stops - starts).sum()):
        raise Mp4Error(f"{source.name} ended while it was read: is it still being written?")
    group = np.searchsorted(starts, offset, side="right") - 1
    shift = np.cumsum(stops - starts) - stops  # where a group lies in the buffer less in the file
    return buffer, offset + shift[group]
