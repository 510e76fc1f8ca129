"""NAL units of H.264 and H.265, and the decoder configuration an MP4 wants for them.

Encoders speak Annex B (start codes between units); an MP4 holds units behind their length, and the
parameter sets apart, in `avcC` or `hvcC`. Sources: ITU-T H.264 Annex B and 7.3; ITU-T H.265 Annex B
and 7.3; ISO/IEC 14496-15, 5.3.3.1 (avcC) and 8.3.3.1 (hvcC).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from muxer.bits import Bits
from muxer.errors import Mp4Error

_H264_SPS, _H264_PPS = 7, 8
_H265_VPS, _H265_SPS, _H265_PPS = 32, 33, 34


def is_annex_b(data: bytes) -> bool:
    """Whether the units are divided by start codes; a configuration record begins with 1."""
    return data.startswith((b"\0\0\1", b"\0\0\0\1"))


def annex_b_units(data: bytes) -> Iterator[bytes]:
    """The units between the start codes, without the zero bytes that may pad them."""
    for between in data.split(b"\0\0\1")[1:]:
        if unit := between.rstrip(b"\0"):
            yield unit


def length_prefixed(data: bytes, without: AbstractSet[bytes] = frozenset()) -> bytes:
    """Annex B as an MP4 holds it: four bytes of length before each unit.

    Units that are in `without` are left out: the parameter sets that encoders repeat at every key
    frame, which a track of `avc1` or `hvc1` has in its sample entry.
    """
    return b"".join(
        struct.pack(">I", len(unit)) + unit for unit in annex_b_units(data) if unit not in without
    )


def h264_parameter_sets(data: bytes) -> list[bytes]:
    """The SPS and PPS in Annex B, each once, whatever else there is."""
    units = dict.fromkeys(annex_b_units(data))
    return [unit for unit in units if unit[0] & 0x1F in (_H264_SPS, _H264_PPS)]


def h265_parameter_sets(data: bytes) -> list[bytes]:
    """The VPS, SPS and PPS in Annex B, each once, whatever else there is."""
    units = dict.fromkeys(annex_b_units(data))
    return [unit for unit in units if unit[0] >> 1 & 0x3F in (_H265_VPS, _H265_SPS, _H265_PPS)]


def avcc(data: bytes) -> bytes:
    """The `avcC` record of the H.264 parameter sets in Annex B."""
    units = h264_parameter_sets(data)
    sps = [unit for unit in units if unit[0] & 0x1F == _H264_SPS]
    pps = [unit for unit in units if unit[0] & 0x1F == _H264_PPS]
    if not sps or not pps or len(sps[0]) < 4:
        raise Mp4Error("the H.264 stream gives no SPS and PPS before its first picture")
    record = bytes([1, *sps[0][1:4], 0xFF, 0xE0 | len(sps)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in sps)
    record += bytes([len(pps)])
    record += b"".join(struct.pack(">H", len(unit)) + unit for unit in pps)
    if sps[0][1] not in (66, 77, 88):  # the High profiles repeat what decoders ask for first
        chroma, luma_depth, chroma_depth = _high_profile_fields(sps[0])
        record += bytes([0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0])
    return record


def hvcc(data: bytes) -> bytes:
    """The `hvcC` record of the H.265 parameter sets in Annex B."""
    units = h265_parameter_sets(data)
    arrays = [
        (kind, [unit for unit in units if unit[0] >> 1 & 0x3F == kind])
        for kind in (_H265_VPS, _H265_SPS, _H265_PPS)
    ]
    if not all(found for _, found in arrays):
        raise Mp4Error("the H.265 stream gives no VPS, SPS and PPS before its first picture")
    sps = _without_emulation(arrays[1][1][0][2:])
    bits = Bits(sps)
    bits.take(4)
    sub_layers, nested = bits.take(3), bits.take(1)
    bits.take(8 * 12)  # the general part of profile_tier_level
    if sub_layers:
        present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
        bits.take(2 * (8 - sub_layers))
        for profile, level in present:
            bits.take(88 * profile + 8 * level)
    bits.exp_golomb()
    chroma = bits.exp_golomb(3)
    if chroma == 3:
        bits.take(1)
    for _ in ("width", "height"):
        bits.exp_golomb()
    if bits.take(1):
        for _ in range(4):
            bits.exp_golomb()
    luma_depth, chroma_depth = bits.exp_golomb(7), bits.exp_golomb(7)
    depths = (0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth)
    layers = (sub_layers + 1) << 3 | nested << 2 | 3  # 3: lengths of four bytes
    record = b"\1" + sps[1:13] + struct.pack(">HBBBBHB", 0xF000, 0xFC, *depths, 0, layers)
    record += bytes([len(arrays)])
    for kind, found in arrays:
        record += struct.pack(">BH", 0x80 | kind, len(found))
        record += b"".join(struct.pack(">H", len(unit)) + unit for unit in found)
    return record


def _high_profile_fields(sps: bytes) -> tuple[int, int, int]:
    """chroma_format_idc and the two bit depths minus 8 (H.264, 7.3.2.1.1)."""
    bits = Bits(_without_emulation(sps[4:]))
    bits.exp_golomb()  # seq_parameter_set_id
    chroma = bits.exp_golomb(3)
    if chroma == 3:
        bits.take(1)
    return chroma, bits.exp_golomb(7), bits.exp_golomb(7)


def _without_emulation(unit: bytes) -> bytes:
    """Without the 3 that keeps payload from looking like a start code."""
    return unit.replace(b"\0\0\3", b"\0\0")
