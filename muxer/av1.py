"""Open bitstream units of AV1, and the decoder configuration an MP4 wants for them.

Encoders and raw files put a temporal delimiter before every picture; an MP4 has its own times and
wants none, and the sequence header apart, in `av1C`. Sources: AV1 Bitstream & Decoding Process
Specification, 5.3 (units), 5.5 (sequence header); AV1 Codec ISO Media File Format Binding, 2.3
(av1C) and 2.4 (samples).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from muxer.bits import Bits
from muxer.errors import Mp4Error

_SEQUENCE_HEADER = 1
_HAS_EXTENSION, _HAS_SIZE = 0x04, 0x02

# What a sample should not (delimiter, redundant header, padding) or must not (tile list) hold.
_LEFT_OUT = frozenset({2, 7, 8, 15})

_SUBSAMPLING = ((1, 1), (0, 0), (1, 0))
"""Whether colour is halved across and down, by profile; of 12 bits the header says it itself."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """An open bitstream unit: its type, all its bytes, its header of 1 or 2, and what it holds."""

    kind: int
    whole: bytes
    header: bytes
    payload: bytes


def _units(data: bytes) -> Iterator[_Unit]:
    """The units of a low-overhead bitstream; one without a size goes to the end."""
    start = 0
    while start < len(data):
        first = data[start]
        at = body = start + (2 if first & _HAS_EXTENSION else 1)
        end = len(data)
        if first & _HAS_SIZE:
            size, body = _leb128(data, at)
            end = body + size
        if first & 0x80 or end > len(data):
            raise Mp4Error(f"no AV1 unit at byte {start} of a packet: expected a raw OBU stream")
        yield _Unit(first >> 3 & 0xF, data[start:end], data[start:at], data[body:end])
        start = end


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """The number of at most eight bytes at `at`, seven bits each, and where it ends."""
    number = 0
    for place, octet in enumerate(data[at : at + 8]):
        number |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            return number, at + place + 1
    raise Mp4Error("an AV1 unit is cut inside its size")


def av1_sample(data: bytes) -> bytes:
    """A temporal unit as an MP4 holds it: without delimiter and padding."""
    return b"".join(unit.whole for unit in _units(data) if unit.kind not in _LEFT_OUT)


def av1c(data: bytes) -> bytes:
    """The `av1C` record of the first sequence header among the units."""
    header = next((unit for unit in _units(data) if unit.kind == _SEQUENCE_HEADER), None)
    if header is None:
        raise Mp4Error("the AV1 stream gives no sequence header before its first picture")
    size = len(header.payload)
    if size >> 14:
        raise Mp4Error(f"an AV1 sequence header of {size} bytes: expected a few dozen")
    leb128 = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    whole = bytes([header.header[0] | _HAS_SIZE]) + header.header[1:] + leb128 + header.payload
    return b"\x81" + _profile_and_colours(header.payload) + b"\0" + whole


def _profile_and_colours(sequence_header: bytes) -> bytes:
    """The two bytes of `av1C` that repeat fields of the sequence header (5.5.1, 5.5.2)."""
    bits = Bits(sequence_header)
    profile = bits.take(3)
    if profile >= len(_SUBSAMPLING):
        raise Mp4Error(f"the AV1 stream has profile {profile}, expected 0, 1 or 2")
    bits.take(1)  # still_picture
    reduced = bits.take(1)
    level, tier = (bits.take(5), 0) if reduced else _first_operating_point(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width_bits + height_bits)
    if not reduced and bits.take(1):  # frame_id_numbers_present_flag
        bits.take(4 + 3)
    bits.take(3)  # 128x128 superblocks, filter intra, intra edge filter
    if not reduced:
        _skip_inter_tools(bits)
    bits.take(3)  # superres, cdef, restoration
    return bytes([profile << 5 | level, tier << 7 | _colours(bits, profile)])


def _first_operating_point(bits: Bits) -> tuple[int, int]:
    """Level and tier of the first operating point; reads over the others, and over timing."""
    delay_bits = 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(32 + 32)
        if bits.take(1):  # equal_picture_interval
            bits.exp_golomb()
        if bits.take(1):  # decoder_model_info_present_flag
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display_delay = bits.take(1)
    points = []
    for _ in range(bits.take(5) + 1):
        bits.take(12)  # operating_point_idc
        level = bits.take(5)
        points.append((level, bits.take(1) if level > 7 else 0))
        if delay_bits and bits.take(1):  # decoder_model_present_for_this_op
            bits.take(2 * delay_bits + 1)
        if display_delay and bits.take(1):
            bits.take(4)
    return points[0]


def _skip_inter_tools(bits: Bits) -> None:
    bits.take(4)  # interintra and masked compound, warped motion, dual filter
    order_hint = bits.take(1)
    if order_hint:
        bits.take(2)
    # Where the choice is left to each frame (1), screen content tools count as possible.
    screen_content = bits.take(1) or bits.take(1)
    if screen_content and not bits.take(1):  # seq_choose_integer_mv
        bits.take(1)
    if order_hint:
        bits.take(3)


def _colours(bits: Bits, profile: int) -> int:
    """color_config() as the low seven bits of the record's third byte."""
    deep = bits.take(1)
    twelve = bits.take(1) if profile == 2 and deep else 0
    grey = 0 if profile == 1 else bits.take(1)
    described = (bits.take(8), bits.take(8), bits.take(8)) if bits.take(1) else (2, 2, 2)
    position = 0
    if grey:
        across = down = 1
    elif described == (1, 13, 0):  # BT.709, sRGB, identity: RGB
        across = down = 0
    else:
        bits.take(1)  # color_range
        across, down = _SUBSAMPLING[profile]
        if twelve:
            across = bits.take(1)
            down = bits.take(1) if across else 0
        if across and down:
            position = bits.take(2)
    return deep << 6 | twelve << 5 | grey << 4 | across << 3 | down << 2 | position
