"""Units of AV1, and the first fields of their frames.

Sources: AV1 Bitstream & Decoding Process Specification, 5.3 (units), 5.5 (sequence header) and
5.9.2 (frame header).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from muxer.bits import Bits
from muxer.file_boxes import Memory
from muxer.salvage.codecs.scanner import UNORDERED, Readable

_SEQUENCE, _FRAME_HEADER, _FRAME = 1, 3, 6
_KNOWN = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 15})
_HAS_EXTENSION, _HAS_SIZE, _FORBIDDEN = 0x04, 0x02, 0x81
_HEAD = 48
"""Bytes of a unit that are looked at: its header and the first fields of a frame's."""
_CHOSEN = 2
"""Of a tool: each frame says whether it is used."""
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
_ALL_FRAMES = 0xFF

Fields: TypeAlias = tuple[tuple[int, int], ...]
"""Fields one behind the other: what each says, in how many bits."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's header says.

    `fields` are those that come again in other frames. Bits that have to be what they are, whatever
    the reference has, count as `evidence`.
    """

    shown: bool
    key: bool
    order: int = UNORDERED
    fields: Fields = ()
    evidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: the first byte of its header, the first bytes of its content, and where it ends."""

    octet: int
    head: bytes
    size: int
    end: int

    @property
    def kind(self) -> int:
        """Its type."""
        return self.octet >> 3 & 0xF

    @property
    def extended(self) -> bool:
        """Whether its header has a second byte."""
        return bool(self.octet & _HAS_EXTENSION)

    @property
    def is_sequence(self) -> bool:
        """Whether it is a sequence header."""
        return self.kind == _SEQUENCE

    @property
    def has_frame(self) -> bool:
        """Whether it begins with the header of a frame."""
        return self.kind in {_FRAME_HEADER, _FRAME}


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """Of a sequence header what frame headers depend on; widths of fields in bits."""

    reduced: bool
    timed: bool
    time_bits: int
    id_bits: int
    screen_content: int
    whole_vectors: int
    order_bits: int

    @classmethod
    def read(cls, header: bytes) -> SequenceHeader:
        """5.5.1. Mp4Error where it is cut."""
        bits = Bits(header)
        bits.take(3 + 1)  # profile, still_picture
        reduced, timed, time_bits = bool(bits.take(1)), False, 0
        if reduced:
            bits.take(5)
        else:
            timed, time_bits = _skip_operating_points(bits)
        width, height = bits.take(4) + 1, bits.take(4) + 1
        bits.take(width + height)
        id_bits = 0
        if not reduced and bits.take(1):  # frame_id_numbers_present_flag
            id_bits = bits.take(4) + 2
            id_bits += bits.take(3) + 1
        if reduced:
            return cls(reduced, timed, time_bits, id_bits, _CHOSEN, _CHOSEN, 0)
        bits.take(3 + 4)
        ordered = bits.take(1)
        bits.take(2 * ordered)
        screen_content = _CHOSEN if bits.take(1) else bits.take(1)
        whole_vectors = _CHOSEN
        if screen_content:
            whole_vectors = _CHOSEN if bits.take(1) else bits.take(1)
        order_bits = bits.take(3) + 1 if ordered else 0
        return cls(reduced, timed, time_bits, id_bits, screen_content, whole_vectors, order_bits)

    def frame(self, unit: Unit) -> Frame | None:
        """The header of a frame, up to those it refers to; None where there is none like this.

        Mp4Error where it is cut.
        """
        if self.reduced:
            return Frame(shown=True, key=True)
        bits = Bits(unit.head)
        if bits.take(1):  # show_existing_frame
            padding = 8 * unit.size - 4 - self.time_bits - self.id_bits
            bits.take(3 + self.time_bits + self.id_bits)
            alone = unit.kind == _FRAME_HEADER and 0 < padding <= 8
            if not alone or bits.take(padding) != 1 << padding - 1:
                return None
            return Frame(shown=True, key=False, evidence=1 + padding)
        said = _Said(bits)
        kind, shown = said.take(2), bool(said.take(1))
        key, whole = kind == _KEY and shown, kind == _SWITCH
        bits.take(self.time_bits if shown else 0)
        said.take(0 if shown else 1)  # showable_frame
        resilient = key or whole or bool(said.take(1))
        said.take(1)  # disable_cdf_update
        content = said.take(1) if self.screen_content == _CHOSEN else self.screen_content
        said.take(1 if content and self.whole_vectors == _CHOSEN else 0)
        bits.take(self.id_bits)
        said.take(0 if whole else 1)  # frame_size_override_flag
        order = bits.take(self.order_bits) if self.order_bits else UNORDERED
        if not self.timed:
            intra = kind in {_KEY, _INTRA_ONLY}
            said.take(0 if intra or resilient else 3)  # primary_ref_frame
            refreshed = _ALL_FRAMES if key or whole else said.take(8)
            if kind == _INTRA_ONLY and refreshed == _ALL_FRAMES:
                return None
            bits.take(8 * self.order_bits * (resilient and refreshed != _ALL_FRAMES))
            if not intra and not self.id_bits:
                short = self.order_bits and said.take(1)  # frame_refs_short_signaling
                said.take(6 if short else 7 * 3)
        return Frame(shown, key, order, tuple(said.fields))


def unit_at(media: Readable, at: int) -> Unit | None:
    """The unit that begins at `at`, if it is whole."""
    header = media.read(at, _HEAD)
    first = header[0] if header else _FORBIDDEN
    if first & _FORBIDDEN or not first & _HAS_SIZE or first >> 3 & 0xF not in _KNOWN:
        return None
    body, size = (2 if first & _HAS_EXTENSION else 1), 0
    for place, octet in enumerate(header[body : body + 5]):
        size |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            body += place + 1
            break
    else:
        return None
    end = at + body + size
    return Unit(first, header[body : body + size], size, end) if end <= media.size else None


def units(data: bytes) -> Iterator[Unit]:
    """Those that follow one another from the start."""
    media, at = Memory(data), 0
    while at < len(data) and (unit := unit_at(media, at)):
        yield unit
        at = unit.end


class _Said:
    """Takes bits, and keeps what they said."""

    def __init__(self, bits: Bits) -> None:
        self._bits = bits
        self.fields: list[tuple[int, int]] = []

    def take(self, count: int) -> int:
        value = self._bits.take(count)
        self.fields.append((value, count))
        return value


def _skip_operating_points(bits: Bits) -> tuple[bool, int]:
    """Whether frames tell times to their decoder, and in how many bits when they are shown."""
    timed, time_bits, delay_bits = False, 0, 0
    if bits.take(1):  # timing_info_present_flag
        bits.take(32 + 32)
        equal = bits.take(1)
        if equal:
            bits.exp_golomb()
        timed = bool(bits.take(1))  # decoder_model_info_present_flag
        if timed:
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5)
            time_bits = bits.take(5) + 1
            if equal:
                time_bits = 0
    delayed = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        bits.take(1 if bits.take(5) > 7 else 0)  # seq_tier
        if timed and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if delayed and bits.take(1):
            bits.take(4)
    return timed, time_bits
