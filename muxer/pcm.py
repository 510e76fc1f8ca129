"""Uncompressed sound: a sample for each PCM frame, though it comes by the packet.

A PCM frame is one value of every channel. In a plain MP4 each is a sample that lasts one tick,
48,000 of them a second, and readers of the QuickTime school count on it. In memory and in the
fragments of a recording a packet is one row; it becomes its frames when the tables are written.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

_WIDTH = {
    **dict.fromkeys(["sowt", "twos", "raw ", "NONE", "lpcm", "ipcm", "fpcm"], 0),
    **dict.fromkeys(["ulaw", "alaw"], 8),
    "in24": 24,
    **dict.fromkeys(["in32", "fl32"], 32),
    "fl64": 64,
}
"""Bits of a value by the type of the sample entry; 0 where a field of the entry says it."""

CODECS = frozenset(_WIDTH)
"""Sample entries of uncompressed sound, of whatever maker."""

_TOLERANCE_S = 0.005
"""How far stamps may stray from the count of frames before they are believed: Matroska rounds them
to milliseconds."""


def frame_size(entry: bytes) -> int:
    """Bytes of a PCM frame by the sample entry of its track; 0 where it is not of PCM.

    AudioSampleEntry (ISO/IEC 14496-12, 12.2.3), its forms in the QuickTime File Format ("Sound
    sample descriptions"), and the `pcmC` of ISO/IEC 23003-5.
    """
    kind = entry[4:8].decode("latin-1")
    if len(entry) < 28 or kind not in _WIDTH:
        return 0
    version, channels, bits = struct.unpack_from(">16xH6xHH", entry)
    pcmc = entry.find(b"pcmC", 36)
    if version == 2 and len(entry) >= 60:
        channels, bits = struct.unpack_from(">I4xI", entry, 48)
    elif kind in {"ipcm", "fpcm"} and 0 < pcmc <= len(entry) - 10:
        bits = entry[pcmc + 9]
    return int(channels * (_WIDTH[kind] or bits) // 8)


def reversed_24(data: bytes) -> bytes:
    """Samples of 24 bits with their bytes the other way round."""
    return np.frombuffer(data, np.uint8, len(data) // 3 * 3).reshape(-1, 3)[:, ::-1].tobytes()


def contiguous(
    dts: npt.NDArray[np.int64], frames: npt.NDArray[np.int64], rate: int
) -> npt.NDArray[np.int64]:
    """Times of packets of so many frames each that follow from the count of frames.

    `rate` is frames and ticks a second. Where the stamps have strayed too far from the count (sound
    was lost, or the sound card's clock is not that of the movie) the count begins anew at the
    stamp, though never before the packet ahead of it.
    """
    result = np.empty_like(dts)
    counted = np.cumsum(frames) - frames
    start = 0
    while start < len(dts):
        begin = max(dts[start], result[start - 1]) if start else dts[start]
        steady = begin + counted[start:] - counted[start]
        strayed = np.abs(dts[start:] - steady) > _TOLERANCE_S * rate
        strayed[0] = False
        end = start + int(np.argmax(strayed)) if strayed.any() else len(dts)
        result[start:end] = steady[: end - start]
        start = end
    return result
