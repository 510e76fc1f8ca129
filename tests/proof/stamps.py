"""Reads the stamps of simulated pictures, as docs/SIMULATOR.md says and by nothing else."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np


@dataclass(frozen=True)
class Stamp:
    """What is printed in a picture's corner; times in nanoseconds."""

    number: int
    centre_ns: int
    exposure_ns: int
    skew_ns: int


def read_stamp(picture: np.ndarray) -> Stamp:
    """The stamp of a picture, of its luma."""
    cells = picture[:48, :256].reshape(6, 8, 32, 8)[:, 2:6, :, 2:6].mean(axis=(1, 3))
    data = np.packbits(cells > 128).tobytes()
    assert zlib.crc32(data[:20]) == int.from_bytes(data[20:], "big"), "no stamp, or a damaged one"
    return Stamp(*struct.unpack(">IQII", data[:20]))


def lumas(path: Path) -> list[np.ndarray]:
    """The pictures of a film in the order of showing, luma alone."""
    with av.open(str(path)) as film:
        return [luma(frame) for frame in film.decode(video=0)]


def luma(frame: av.VideoFrame) -> np.ndarray:
    """As it was encoded: a conversion to "gray" would stretch it."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]


def stamps(path: Path) -> list[Stamp]:
    """Of every picture of a film, in the order of showing."""
    return [read_stamp(luma) for luma in lumas(path)]
