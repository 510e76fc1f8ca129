"""AMR speech: frames whose type tells their size (3GPP TS 26.101 and 26.201, RFC 4867, 5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log2

import numpy as np

from muxer.salvage.codecs.scanner import Readable, Run, plain_run
from muxer.sample_table import Ints

_SIZES = {
    b"samr": (13, 14, 16, 18, 20, 21, 27, 32, 6),
    b"sawb": (18, 24, 33, 37, 41, 47, 51, 59, 61, 6),
}
_NO_DATA = 15
_WINDOW = 1 << 14
_ANY_BITS = 4.5
"""Of 256 octets some ten begin a frame."""


class AmrScanner:
    """Finds samples of as many frames as those of the reference have.

    `entry` is the sample entry of its track, `samples` are some of its samples. Types that these
    have not are frames, but no evidence. Frames without data are one octet: they count only where
    the reference has them.
    """

    wrap = 0

    def __init__(self, entry: bytes, samples: Sequence[bytes]) -> None:
        sizes = dict(enumerate(_SIZES[entry[4:8]]))
        if any(bytes([_header(_NO_DATA)]) == sample[:1] for sample in samples):
            sizes[_NO_DATA] = 1
        # An octet holds the type and says that the frame is good; the rest of its bits are zero.
        frame = b"|".join(
            rb"%b.{%d}" % (re.escape(bytes([_header(kind)])), size - 1)
            for kind, size in sizes.items()
        )
        headers = b"".join(re.escape(bytes([_header(kind)])) for kind in sizes)
        self.signature = re.compile(rb"(?:%b)(?=[%b])" % (frame, headers), re.DOTALL)
        self._frames = re.compile(rb"(?:%b)*+" % frame, re.DOTALL)
        self._frame = re.compile(frame, re.DOTALL)
        self._largest = max(sizes.values())
        self._size = np.zeros(256, np.int64)
        for kind, size in sizes.items():
            self._size[_header(kind)] = size
        studied = [self._headers(sample) for sample in samples]
        counts = [len(frames) for frames in studied]
        self._frames_per_sample = max(set(counts), key=counts.count) if counts else 1
        seen = np.unique(np.concatenate(studied)) if any(counts) else ()
        self._bits = np.where(self._size > 0, 0 if len(seen) else _ANY_BITS, 0.0)
        self._bits[list(seen)] = 8 - log2(max(len(seen), 1))

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        together = max(self._frames_per_sample, 1)
        found: list[Ints] = []
        here, left = at, most * together
        while left > 0:
            headers = self._headers(media.read(here, min(_WINDOW, left * self._largest)))[:left]
            if not len(headers):
                break
            found.append(headers)
            here += int(self._size[headers].sum())
            left -= len(headers)
        frames = np.concatenate(found) if found else np.empty(0, np.int64)
        samples = len(frames) // together
        frames = frames[: samples * together]
        size = self._size[frames].reshape(samples, together).sum(axis=1)
        return plain_run(at, size, float(self._bits[frames].sum()))

    def _headers(self, block: bytes) -> Ints:
        """Of the frames that follow one another from the start of the block."""
        frames = self._frames.match(block)
        end = frames.end() if frames is not None else 0
        return np.array([frame[0] for frame in self._frame.findall(block, 0, end)], np.int64)


def _header(kind: int) -> int:
    return kind << 3 | 4
