"""Uncompressed sound: any bytes are samples, as many as whole PCM frames fit.

A row is a packet: what is divided, or found, is one, and the table is written frame by frame
(muxer.pcm). Noise or zeros from a damage cannot be told from sound.
"""

from __future__ import annotations

import numpy as np

from muxer.errors import Mp4Error
from muxer.pcm import frame_size
from muxer.salvage.codecs.scanner import Readable
from muxer.sample_table import Ints


class PcmFiller:
    """Divides bytes into whole PCM frames of the sample entry; Mp4Error for one of no PCM."""

    refuses = False

    def __init__(self, entry: bytes) -> None:
        self._frame = frame_size(entry)
        if not self._frame:
            raise Mp4Error(f"the sample entry {entry[4:8]!r} does not say the size of a PCM frame")

    def begins(self, media: Readable, at: int) -> float:
        del media, at  # sound looks like anything
        return 0.0

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        del media, due  # the bytes leave nothing open
        if (end - start) % self._frame:
            return None
        return np.array([start] if end > start else [], np.int64)

    def head(self, media: Readable, start: int, end: int) -> Ints:
        del media
        return np.unique([start, end - (end - start) % self._frame])

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        del media
        return np.unique([start + (end - start) % self._frame, end])

    def find(self, media: Readable, start: int, end: int) -> int:
        del media, start  # sound looks like anything
        return end
