"""H.265 as an MP4 holds it (ITU-T H.265, 7.3 and 7.4; ISO/IEC 14496-15, 8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from muxer.bits import Bits
from muxer.errors import Mp4Error
from muxer.salvage.codecs.nal import ONLY_ONE, NalScanner, Role, Unit

_IRAP = range(16, 24)
_IDR = frozenset({19, 20})
_RANDOM_ACCESS_SKIPPED = range(6, 10)
_SPS, _PPS = 33, 34
_OPENING = frozenset({32, 33, 34, 35, 39, *range(41, 45), *range(48, 56)})
_CLOSING = frozenset({36, 37, 38, 40, *range(45, 48), *range(56, 64)})


@dataclass(frozen=True, slots=True)
class _Pps:
    """Of a picture parameter set what slice headers depend on."""

    output_flag: bool
    extra_bits: int


def h265_scanner(hvcc: bytes, samples: Sequence[bytes] = ()) -> NalScanner:
    """For the samples of a track with this `hvcC`. Mp4Error where it cannot be read."""
    if len(hvcc) < 23:
        raise Mp4Error("box 'hvcC' is too short")
    at, sets = 23, []
    for _ in range(hvcc[22]):
        count = int.from_bytes(hvcc[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            length = int.from_bytes(hvcc[at : at + 2])
            sets.append(hvcc[at + 2 : at + 2 + length])
            at += 2 + length
    return NalScanner(H265(sets), (hvcc[21] & 3) + 1, samples)


class H265:
    """The headers of a stream with these parameter sets."""

    first_bytes = rb"(?:[\x00-\x13\x20-\x2b][\x01-\x07][\x80-\xff]|[\x40-\x47\x4e][\x01-\x07])"

    def __init__(self, parameter_sets: list[bytes]) -> None:
        sps = [unit for unit in parameter_sets if _kind(unit) == _SPS]
        pps = [unit for unit in parameter_sets if _kind(unit) == _PPS]
        if not sps or not pps:
            raise Mp4Error("the H.265 track has no SPS and PPS in its 'hvcC'")
        self._known = frozenset(parameter_sets)
        self._planes, self._order_bits = _read_sps(sps[0])
        self._pps = dict(_read_pps(unit) for unit in pps)
        self.wrap = 1 << self._order_bits

    def unit(self, head: bytes, size: int) -> Unit | None:
        if len(head) < 3 or head[0] & 0x81 or head[1] & 0xF8 or not head[1]:
            return None  # forbidden bit, layers above the base
        kind = _kind(head)
        if kind < 10 or kind in _IRAP:
            return self._slice(head, kind)
        if kind in _OPENING:
            if kind in {32, 33, 34}:
                return Unit(Role.OPENS, 30 if head[:size] in self._known else 14)
            if kind == 35 and size != 3:
                return None
            return Unit(Role.OPENS, 20 if kind == 35 else 14, opening=ONLY_ONE if kind == 35 else 1)
        return Unit(Role.CLOSES, 13) if kind in _CLOSING else None

    def _slice(self, head: bytes, kind: int) -> Unit | None:
        """By the first fields of its header (7.3.6.1)."""
        try:
            bits = Bits(head[2:40].replace(b"\0\0\3", b"\0\0"))
            first = bits.take(1)
            if kind in _IRAP:
                bits.take(1)
            pps = self._pps.get(bits.exp_golomb(63))
            if pps is None:
                return None
            if not first:
                return Unit(Role.SLICE, 14)
            bits.take(pps.extra_bits)
            slice_type = bits.exp_golomb(2)
            if kind in _IRAP and slice_type != 2:
                return None
            if pps.output_flag:
                bits.take(1)
            if self._planes:
                bits.take(2)
            order = 0 if kind in _IDR else bits.take(self._order_bits)
        except Mp4Error:
            return None
        lowest = head[1] & 7 == 1
        leading = kind in _RANDOM_ACCESS_SKIPPED or (kind < 16 and not kind & 1)
        return Unit(
            Role.PICTURE,
            16,
            kind in _IRAP,
            order,
            kind in _IDR,
            lowest and not leading,
        )


def _kind(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F if unit else -1


def _read_sps(unit: bytes) -> tuple[bool, int]:
    """Whether colour planes are apart, and bits of the order count (7.3.2.2.1)."""
    bits = Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    sub_layers = bits.take(3)
    bits.take(1 + 96)
    if sub_layers:
        present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
        bits.take(2 * (8 - sub_layers))
        for profile, level in present:
            bits.take(88 * profile + 8 * level)
    bits.exp_golomb(15)
    planes = bits.exp_golomb(3) == 3 and bool(bits.take(1))
    bits.exp_golomb(), bits.exp_golomb()
    if bits.take(1):
        for _ in range(4):
            bits.exp_golomb()
    bits.exp_golomb(8), bits.exp_golomb(8)
    return planes, bits.exp_golomb(12) + 4


def _read_pps(unit: bytes) -> tuple[int, _Pps]:
    """Its number, and what slices need of it (7.3.2.3.1)."""
    bits = Bits(unit[2:].replace(b"\0\0\3", b"\0\0"))
    number = bits.exp_golomb(63)
    bits.exp_golomb(15)
    bits.take(1)  # dependent_slice_segments_enabled_flag
    output_flag = bool(bits.take(1))
    return number, _Pps(output_flag, bits.take(3))
