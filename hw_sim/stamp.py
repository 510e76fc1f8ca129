"""The time stamp in the corner of a simulated picture, for whoever has nothing but the picture.

docs/SIMULATOR.md says how it is read. It is large enough to outlive a lossy encoder, and has no
more contrast than the scene, so that who looks for features does not find them all in it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_CELL = 8  # pixels along a side, as wide as a transform block of most codecs
_DARK, _LIGHT, _GREY = 80, 176, 128
_WORDS, _BITS = 6, 32  # rows and columns of cells
_WIDTH, _HEIGHT = _CELL * _BITS, _CELL * _WORDS


def stamp(
    planes: Sequence[npt.NDArray[np.uint8]],
    number: int,
    centre_ns: int,
    exposure_ns: int,
    skew_ns: int,
) -> None:
    """Print it onto luma (H, W) and both chroma planes (H/2, W/2): rows of 32 bits.

    Times are nanoseconds, of CLOCK_MONOTONIC. A picture without room for all of it stays as it is.
    """
    luma, *chroma = planes
    height, width = luma.shape
    if height < _HEIGHT or width < _WIDTH:
        return
    data = struct.pack(">IQII", number, centre_ns, exposure_ns, skew_ns)
    data += zlib.crc32(data).to_bytes(4, "big")
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(_WORDS, _BITS)
    cells = np.where(bits, np.uint8(_LIGHT), np.uint8(_DARK))
    luma[:_HEIGHT, :_WIDTH] = cells.repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    for plane in chroma:
        plane[: _HEIGHT // 2, : _WIDTH // 2] = _GREY
