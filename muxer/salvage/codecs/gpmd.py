"""GoPro's telemetry: items of a key, a type and a size (the GPMF introduction, "Length")."""

from __future__ import annotations

import re
from collections.abc import Sequence

from muxer.salvage.codecs.scanner import Readable, Run, plain_run

_HEADER = 8
_EVIDENCE = 60.0
"""Bits of `DEVC`, its type, and the key of what it holds first."""

_ITEM = re.compile(rb"[\x20-\x7e]{4}[\0-\x7e]")


class GpmdScanner:
    """Finds samples of one or more devices (`DEVC`), with zeros behind them where so in `samples`.

    `samples` are some of the reference.
    """

    wrap = 0
    signature = re.compile(rb"DEVC\0...[\x20-\x7e]{4}", re.DOTALL)

    def __init__(self, samples: Sequence[bytes]) -> None:
        counts = [len(_devices(sample)) for sample in samples]
        self._devices = max(max(set(counts), key=counts.count), 1) if counts else 1
        sizes = {len(sample) for sample in samples}
        padded = any(
            sample.endswith(b"\0") and len(sample) > sum(_devices(sample)) for sample in samples
        )
        self._size = sizes.pop() if padded and len(sizes) == 1 else 0

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        here = at
        while len(sizes) < most and (size := self._sample(media, here)):
            sizes.append(size)
            here += size
        return plain_run(at, sizes, _EVIDENCE * len(sizes))

    def _sample(self, media: Readable, at: int) -> int:
        """Bytes of the sample that begins at `at`; 0 where there is no whole one."""
        here = at
        for _ in range(self._devices):
            header = media.read(here, _HEADER + 4)
            if not self.signature.match(header):
                return 0
            device = media.read(here, _length(header, 0))
            if _devices(device) != [len(device)]:
                return 0
            here += len(device)
        if not self._size:
            return here - at
        padding = media.read(here, max(self._size - (here - at), 0))
        whole = here + len(padding) - at == self._size
        return self._size if whole and not padding.strip(b"\0") else 0


def _devices(data: bytes) -> list[int]:
    """Bytes of the whole devices that follow one another from the start."""
    found: list[int] = []
    at = 0
    while data.startswith(b"DEVC\0", at):
        end = at + _length(data, at)
        item = at + _HEADER
        while item + _HEADER <= end <= len(data) and _ITEM.match(data, item):
            item += _length(data, item)
        if item != end:
            break
        found.append(end - at)
        at = end
    return found


def _length(data: bytes, at: int) -> int:
    """Bytes of the item at `at`: a header, and values padded to four bytes."""
    values = data[at + 5] * int.from_bytes(data[at + 6 : at + 8]) if len(data) >= at + 8 else 0
    return _HEADER + values + -values % 4
