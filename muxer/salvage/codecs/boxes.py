"""Boxes between samples: those of fragments, and room that was left free.

A recording in fragments has the headers and tables of each among its media. They belong to no
track, and taken for samples they would seem to be anything.
"""

from __future__ import annotations

import re

from muxer.salvage.codecs.scanner import Readable, Run, plain_run

_KINDS = rb"moof|mdat|styp|sidx|emsg|prft|mfra|free|skip|wide|uuid"
_EVIDENCE = 40.0
"""Bits of a kind that is one of a few, and of a size that leads to another box or to samples."""


class BoxScanner:
    """Finds whole boxes of fragments (ISO/IEC 14496-12, 8.8), and of an `mdat` its header alone."""

    wrap = 0
    signature = re.compile(rb"\0[\x00-\xff]{3}(?:%b)" % _KINDS)  # of 16 MiB at most
    _box = re.compile(rb"[\x00-\xff]{4}(?:%b)" % _KINDS)

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        while len(sizes) < most:
            head = media.read(at, 16)
            if self._box.match(head) is None:
                break
            size = int.from_bytes(head[:4])
            if head[4:8] == b"mdat":
                size = 16 if size == 1 else 8
            if not 8 <= size <= media.size - at:
                break
            sizes.append(size)
            at += size
        return plain_run(at - sum(sizes), sizes, _EVIDENCE * len(sizes))
