"""Motion JPEG: pictures whose segments say their lengths, and whose scans end at a marker.

ITU-T T.81, Annex B. What lies inside of a segment, such as a thumbnail, is passed over with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from muxer.salvage.codecs.scanner import Readable, Run, plain_run

_START, _SCAN, _END = 0xD8, 0xDA, 0xD9
_FIRST_READ, _LARGEST = 1 << 18, 1 << 27
_MOST_SEGMENTS = 128
_EVIDENCE = 48.0
"""Bits of the two markers at the start, the one at the end and a few between them."""

_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd9-\xdf\xe0-\xef\xfe])")
_AFTER_SCAN = re.compile(rb"\xff+[^\0\xd0-\xd7\xff]")
"""A marker that is no stuffing and no restart."""


class JpegScanner:
    """Finds pictures.

    `samples` are some of the reference: where its samples do not end with their picture, they are
    padded with zeros to a multiple of some bytes, and so are those looked for.
    """

    wrap = 0
    signature = re.compile(rb"\xff\xd8\xff[\xc0-\xcf\xda-\xef\xfe]")

    def __init__(self, samples: Sequence[bytes] = ()) -> None:
        self._unit = 1
        if samples and not all(sample.endswith(b"\xff\xd9") for sample in samples):
            while self._unit < 4096 and not any(len(s) % (2 * self._unit) for s in samples):
                self._unit *= 2

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        here = at
        while len(sizes) < most and (size := self._picture(media, here)):
            sizes.append(size)
            here += size
        return plain_run(at, sizes, _EVIDENCE * len(sizes))

    def _picture(self, media: Readable, at: int) -> int:
        """Bytes of the sample that begins at `at`; 0 where there is no whole one."""
        length, size = _FIRST_READ, None
        if not self.signature.match(media.read(at, 4)):
            return 0
        while size is None and length <= _LARGEST:
            data = media.read(at, length)
            size = _size(data)
            if len(data) < length:
                break
            length *= 4
        if not size:
            return 0
        padding = -size % self._unit
        return size + padding if not media.read(at + size, padding).strip(b"\0") else size


def _size(data: bytes) -> int | None:
    """Bytes of the picture at the start of `data`; 0 where there is none, None where it is cut."""
    at, scanned = 2, False
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.match(data, at)
        if marker is None:
            break
        at = marker.end()
        kind = data[at - 1]
        if kind == _END:
            return at if scanned else 0
        at += max(int.from_bytes(data[at : at + 2]), 2)
        if kind == _SCAN:
            scanned = True
            behind = _AFTER_SCAN.search(data, at)
            if behind is None:
                return None
            at = behind.start()
    return 0 if at + 2 <= len(data) else None
