"""ProRes: every frame begins with its size and `icpf` (SMPTE RDD 36, 5.1)."""

from __future__ import annotations

import re

from muxer.salvage.codecs.scanner import Readable, Run, plain_run

_HEADER = 28
_EVIDENCE = 46.0
"""Bits of `icpf`, of a version of 0 or 1 and of a size under 256 MiB, which no frame exceeds."""


class ProResScanner:
    """Finds frames by their header."""

    wrap = 0
    signature = re.compile(rb"[\0-\x0f](?=.{3}icpf..\0[\0\1])", re.DOTALL)

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        here = at
        while len(sizes) < most:
            header = media.read(here, _HEADER)
            size = int.from_bytes(header[:4])
            if not self.signature.match(header) or not _HEADER <= size <= media.size - here:
                break
            sizes.append(size)
            here += size
        return plain_run(at, sizes, _EVIDENCE * len(sizes))
