"""AAC as broadcasts and raw files carry it, each frame behind a header of its own.

An MP4 says once, in an AudioSpecificConfig, what these headers repeat. Sources: ISO/IEC 14496-3,
1.A.2.2 (adts_frame) and 1.6.2.1 (AudioSpecificConfig).
"""

from __future__ import annotations

from muxer.errors import Mp4Error

_HEADER, _HEADER_WITH_CHECKSUM = 7, 9


def is_adts(data: bytes) -> bool:
    """Whether it begins with the sync word; no AudioSpecificConfig does."""
    return len(data) >= _HEADER and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def audio_specific_config(frame: bytes) -> bytes:
    """What the header of a frame says, in the form an MP4 has it."""
    profile, rate = frame[2] >> 6, frame[2] >> 2 & 0xF
    channels = (frame[2] & 1) << 2 | frame[3] >> 6
    if rate > 12 or not channels:
        raise Mp4Error(
            f"the ADTS header {frame[:_HEADER].hex()} has no rate or channels that an MP4 can say"
        )
    return ((profile + 1) << 11 | rate << 7 | channels << 3).to_bytes(2)


def raw_frame(frame: bytes) -> bytes:
    """The frame without its header."""
    return frame[_HEADER if frame[1] & 1 else _HEADER_WITH_CHECKSUM :]
