"""Pictures of H.264 and H.265: NAL units behind their length, grouped into access units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from math import log2
from typing import Protocol

import numpy as np

from muxer.salvage.codecs.scanner import Readable, Run

_HEAD = 48
"""Bytes of a unit that are looked at: a slice header's first fields, an access unit delimiter."""
_LONGEST_UNIT = 1 << 24
_MOST_OPENING = 16
"""Units before a picture: parameter sets of each kind and messages."""
ONLY_ONE = 9
"""What a unit counts for of which there is only one before a picture."""
_MOST_UNITS = 2048
"""In one picture: 8K video cut into slices of a few macroblock rows has some hundreds."""


class Role(Enum):
    """What a unit is to the access unit."""

    OPENS = auto()
    """Stands before the first slice: parameter sets, delimiters, SEI."""
    PICTURE = auto()
    """The first slice of a picture."""
    SLICE = auto()
    """A further slice, or the second field of a picture."""
    CLOSES = auto()
    """Stands behind the last slice."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What the first bytes of a NAL unit say.

    `keyframe`  of what opens an access unit: that its picture will be one
    `field`  frame number and parity of a field; a field of the other parity completes it
    `opening`  for how many units it counts of those that may stand before a picture
    """

    role: Role
    evidence: float
    keyframe: bool = False
    order: int = 0
    fresh: bool = False
    reference: bool = True
    field: tuple[int, int] | None = None
    opening: int = 1


class Syntax(Protocol):
    """The headers of one codec.

    `first_bytes`  a regular expression of the bytes with which the first unit of a picture begins
    `wrap`         modulus of `Unit.order`
    """

    first_bytes: bytes
    wrap: int

    def unit(self, head: bytes, size: int) -> Unit | None:
        """A unit of `size` bytes by its first bytes; None where they cannot begin one."""
        ...


class NalScanner:
    """Recognises access units behind lengths of `length_size` bytes (ISO/IEC 14496-15).

    `samples` are some of the reference: a last picture with fewer slices than any of them is cut.
    """

    def __init__(self, syntax: Syntax, length_size: int, samples: Sequence[bytes] = ()) -> None:
        self._syntax = syntax
        self._length_size = length_size
        length = rb"\x00[\x00-\xff]{3}" if length_size == 4 else b"[\x00-\xff]{%d}" % length_size
        self.signature = re.compile(length + syntax.first_bytes)
        self.wrap = syntax.wrap
        self._fewest = min((self._slices(sample) for sample in samples), default=1)

    def _slices(self, sample: bytes) -> int:
        """How many slices a picture of the reference has."""
        at, count = 0, 0
        while at + self._length_size < len(sample):
            body = at + self._length_size
            length = int.from_bytes(sample[at:body])
            if not length:
                break
            unit = self._syntax.unit(sample[body : body + _HEAD][:length], length)
            count += unit is not None and unit.role in {Role.PICTURE, Role.SLICE}
            at = body + length
        return count

    def _evidence(self, length: int) -> float:
        """Bits that a length says: the smaller it is, the fewer numbers are as small."""
        return 8.0 * self._length_size - log2(length + 1)

    def run(  # noqa: PLR0912 - a branch for each thing that a unit can be
        self, media: Readable, at: int, most: int
    ) -> Run | None:
        size: list[int] = []
        pictures: list[Unit] = []
        picture: Unit | None = None
        start, begin, evidence, units, announced = at, at, 0.0, 0, False
        slices = opening = 0
        body, whole = self._length_size, media.size
        while units < _MOST_UNITS and len(size) < most:
            head = media.read(at, body + _HEAD)
            length = int.from_bytes(head[:body])
            if not 0 < length < _LONGEST_UNIT or len(head) <= body:
                break
            unit = self._syntax.unit(head[body : body + length], length)
            if unit is None:
                break
            end = at + body + length
            begins = unit.role is Role.PICTURE or unit.role is Role.OPENS
            if end > whole:
                if not begins:
                    picture = None  # the file ends in it
                break
            if picture is not None and _completes(picture, unit):
                picture = _whole_frame(picture)
            else:
                if begins and picture is not None:
                    size.append(at - begin)
                    pictures.append(picture)
                    picture, begin, units, slices = None, at, 0, 0
                if unit.role is Role.PICTURE:
                    picture = replace(unit, keyframe=True) if announced else unit
                elif unit.role is not Role.OPENS and picture is None:
                    break
                opening = opening + unit.opening if unit.role is Role.OPENS else 0
                if opening > _MOST_OPENING:
                    break
                announced = unit.role is Role.OPENS and (announced or unit.keyframe)
            slices += unit.role is Role.PICTURE or unit.role is Role.SLICE
            evidence += unit.evidence + self._evidence(length)
            at, units = end, units + 1
        if picture is not None and len(size) < most and slices >= self._fewest:
            size.append(at - begin)
            pictures.append(picture)
        if not size:
            return None
        return Run(
            start,
            np.array(size, np.int64),
            np.array([unit.keyframe for unit in pictures], np.bool_),
            np.array([unit.order for unit in pictures], np.int64),
            np.array([unit.fresh for unit in pictures], np.bool_),
            np.array([unit.reference for unit in pictures], np.bool_),
            evidence,
        )


def _completes(picture: Unit, unit: Unit) -> bool:
    """Whether a unit is the second field of a picture that has one so far."""
    if picture.field is None or unit.field is None or unit.role is not Role.PICTURE:
        return False
    return picture.field[0] == unit.field[0] and picture.field[1] != unit.field[1]


def _whole_frame(picture: Unit) -> Unit:
    return replace(picture, field=None)
