"""H.264 as an MP4 holds it (ITU-T H.264, 7.3 and 7.4; ISO/IEC 14496-15, 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muxer.bits import Bits
from muxer.errors import Mp4Error
from muxer.salvage.codecs.nal import ONLY_ONE, NalScanner, Role, Unit
from muxer.salvage.codecs.scanner import UNORDERED

_SLICE, _IDR, _SEI, _SPS, _PPS, _DELIMITER = 1, 5, 6, 7, 8, 9
_END_OF_SEQUENCE, _END_OF_STREAM, _FILLER = 10, 11, 12
_INTRA = frozenset({2, 7})
_RECOVERY_POINT = b"\6"
_WITH_CHROMA_FORMAT = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


@dataclass(frozen=True, slots=True)
class _Sps:
    """Of a sequence parameter set what slice headers depend on."""

    macroblocks: int
    frame_number_bits: int
    order_type: int
    order_bits: int
    frames_only: bool
    colour_planes: bool


def h264_scanner(avcc: bytes, samples: Sequence[bytes] = ()) -> NalScanner:
    """For the samples of a track with this `avcC`. Mp4Error where it cannot be read."""
    if len(avcc) < 7:
        raise Mp4Error("box 'avcC' is too short")
    at, sets = 5, []
    for mask in (0x1F, 0xFF):
        count = avcc[at] & mask if at < len(avcc) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(avcc[at : at + 2])
            sets.append(avcc[at + 2 : at + 2 + length])
            at += 2 + length
    return NalScanner(H264(sets), (avcc[4] & 3) + 1, samples)


class H264:
    """The headers of a stream with these parameter sets.

    Streams that change their parameter sets in band are read by those they began with, of which
    slice headers need what an encoder does not change.
    """

    # Of a picture's first slice: it begins with the first macroblock, and its type is below 10.
    first_bytes = (
        rb"(?:[\x01\x21\x41\x61\x25\x45\x65][\x88-\xff]"
        rb"|[\x06\x27\x47\x67\x28\x48\x68]|\x09[\x10\x30\x50\x70\x90\xb0\xd0\xf0])"
    )

    def __init__(self, parameter_sets: list[bytes]) -> None:
        sps = [unit for unit in parameter_sets if unit and unit[0] & 0x1F == _SPS]
        pps = [unit for unit in parameter_sets if unit and unit[0] & 0x1F == _PPS]
        if not sps or not pps:
            raise Mp4Error("the H.264 track has no SPS and PPS in its 'avcC'")
        self._known = frozenset(parameter_sets)
        self._sps = _read_sps(sps[0])
        self._pps = frozenset(Bits(_payload(unit, 16)).exp_golomb(255) for unit in pps)
        number_values = 1 << self._sps.frame_number_bits
        self.wrap = {0: 1 << self._sps.order_bits, 2: 2 * number_values}.get(
            self._sps.order_type, 0
        )

    def unit(self, head: bytes, size: int) -> Unit | None:
        kind, importance = head[0] & 0x1F, head[0] >> 5
        if importance > 3:  # the forbidden bit
            return None
        if kind in {_SLICE, _IDR}:
            return self._slice(head, kind, importance)
        return self._other(head, size, kind, importance)

    def _other(self, head: bytes, size: int, kind: int, importance: int) -> Unit | None:
        """A unit that holds no slice."""
        role, evidence, fits, recovers = Role.OPENS, 0, False, False
        match kind:
            case 9:  # its one byte: three bits of picture types, then the end
                fits, evidence = size == 2 and len(head) > 1 and head[1] & 0x1F == 0x10, 25
            case 7 | 8:
                fits, evidence = importance > 0, 30 if head[:size] in self._known else 8
            case 6:
                fits, evidence = not importance and len(head) > 2 and _sei_fits(head, size), 12
                recovers = head[1:2] == _RECOVERY_POINT and head[3:4] >= b"\x80"  # with this one
            case 10 | 11 | 12:
                fits, evidence = not importance and (kind == _FILLER or size == 1), 5
                role = Role.CLOSES
        opening = ONLY_ONE if kind == _DELIMITER else 1
        return Unit(role, evidence, recovers, opening=opening) if fits else None

    def _slice(self, head: bytes, kind: int, importance: int) -> Unit | None:
        """By the first fields of its header (7.3.3)."""
        sps = self._sps
        try:
            bits = Bits(_payload(head, 40))
            first = bits.exp_golomb(sps.macroblocks - 1)
            slice_type = bits.exp_golomb(9)
            if bits.exp_golomb(255) not in self._pps:
                return None
            if sps.colour_planes:
                bits.take(2)
            number = bits.take(sps.frame_number_bits)
            field = not sps.frames_only and bits.take(1)
            parity = bits.take(1) if field else 0
            if kind == _IDR:
                bits.exp_golomb(65535)
            order = self._order(bits, number, importance)
        except Mp4Error:
            return None
        if kind == _IDR and (slice_type not in _INTRA or not importance or number):
            return None
        return Unit(
            Role.SLICE if first else Role.PICTURE,
            10 if kind == _IDR else 8,
            kind == _IDR,
            order,
            kind == _IDR,
            bool(importance),
            (number, parity) if field else None,
        )

    def _order(self, bits: Bits, number: int, importance: int) -> int:
        """Picture order count (8.2.1), modulo `wrap`."""
        match self._sps.order_type:
            case 0:
                return bits.take(self._sps.order_bits)
            case 2:
                return (2 * number - (not importance)) % self.wrap
        return UNORDERED


def _payload(unit: bytes, most: int) -> bytes:
    """The first bytes behind a unit's header, without what keeps them from looking like a start."""
    return unit[1:most].replace(b"\0\0\3", b"\0\0")


def _sei_fits(head: bytes, size: int) -> bool:
    """Whether the first message ends within the unit (7.3.2.3.1)."""
    kind = 0
    while kind + 1 < len(head) and head[kind + 1] == 0xFF:
        kind += 1
    at, length = kind + 2, 0
    while at < len(head) and head[at] == 0xFF:
        length += 255
        at += 1
    length += head[at] if at < len(head) else 0
    return length < size and at + length <= size


def _read_sps(unit: bytes) -> _Sps:
    """7.3.2.1.1, up to what says whether there are fields."""
    bits = Bits(_payload(unit, len(unit)))
    profile = bits.take(8)
    bits.take(16)
    bits.exp_golomb(31)
    planes = False
    if profile in _WITH_CHROMA_FORMAT:
        chroma = bits.exp_golomb(3)
        planes = chroma == 3 and bool(bits.take(1))
        bits.exp_golomb(6), bits.exp_golomb(6)
        bits.take(1)
        if bits.take(1):
            for number in range(12 if chroma == 3 else 8):
                if bits.take(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    number_bits = bits.exp_golomb(12) + 4
    order_type = bits.exp_golomb(2)
    order_bits = 0
    if order_type == 0:
        order_bits = bits.exp_golomb(12) + 4
    elif order_type == 1:
        bits.take(1)
        bits.exp_golomb(), bits.exp_golomb()
        for _ in range(bits.exp_golomb(255)):
            bits.exp_golomb()
    bits.exp_golomb(16)
    bits.take(1)
    width, height = bits.exp_golomb(1023) + 1, bits.exp_golomb(1023) + 1
    frames_only = bool(bits.take(1))
    macroblocks = width * height * (1 if frames_only else 2)
    return _Sps(macroblocks, number_bits, order_type, order_bits, frames_only, planes)


def _skip_scaling_list(bits: Bits, count: int) -> None:
    """7.3.2.1.1.1."""
    last = following = 8
    for _ in range(count):
        if following:
            code = bits.exp_golomb()
            delta = (code + 1) // 2 if code & 1 else -(code // 2)
            following = (last + delta) % 256
        last = following or last
