"""AV1: units that say their sizes; a sample ends with the frame that is shown.

Headers of a few bits are all that tells a unit from sound beside it. But the fields behind them,
up to the frames that one refers to, follow the structure of an encoder's groups of pictures: it
comes again and again, and the reference has had all of it.

Sources: AV1 Bitstream & Decoding Process Specification, 7.5 (temporal unit); AV1 Codec ISO Media
File Format Binding, 2.3 (av1C) and 2.4 (samples).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log2

import numpy as np

from muxer.errors import Mp4Error
from muxer.salvage.codecs.av1_units import Fields, Frame, SequenceHeader, Unit, unit_at, units
from muxer.salvage.codecs.scanner import Readable, Run

_HEAD = 16
"""Bytes that tell whether a sample may begin."""
_MOST_UNITS = 4096
_OCTET_BITS, _NEW_OCTET_BITS = 8.0, 4.0
"""Bits of a unit's first byte, where the reference has such and where not."""
_LEAST_BITS = 8.0
"""Bits without which a sample is none, whatever follows it: by chance, that may be a real one."""


class Av1Scanner:
    """Finds temporal units.

    `av1c` is the decoder configuration of the reference's track, `samples` are some of its samples:
    what their units and frames begin with, and what may follow the header of the frame that is
    shown (its tiles, where they are units of their own; padding). Mp4Error where neither has a
    sequence header that can be read.
    """

    def __init__(self, av1c: bytes, samples: Sequence[bytes]) -> None:
        everything = (unit for data in (av1c[4:], *samples) for unit in units(data))
        self._known = [unit.head for unit in everything if unit.is_sequence]
        if not self._known:
            raise Mp4Error("the AV1 track has no sequence header in its 'av1C'")
        self._sequence = SequenceHeader.read(self._known[0])
        self.wrap = 1 << self._sequence.order_bits if self._sequence.order_bits else 0
        studied = [list(units(sample)) for sample in samples]
        self._octets = frozenset(unit.octet for sample in studied for unit in sample)
        frames = [frame for sample in studied for unit in sample if (frame := self._frame(unit))]
        self._seen = _Seen([frame.fields for frame in frames if frame.fields])
        self._following = frozenset(
            unit.kind for sample in studied for unit in self._after_shown(sample)
        )
        begins = sorted({_begin(sample[0]) for sample in studied if sample})
        self.signature = re.compile(b"|".join(begins) or b"(?!)", re.DOTALL)

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        frames: list[Frame] = []
        bits, here = 0.0, at
        while len(sizes) < most and (found := self._sample(media, here)):
            end, frame, evidence = found
            if evidence < _LEAST_BITS:
                break
            sizes.append(end - here)
            frames.append(frame)
            here = end
            bits += evidence
        if not sizes:
            return None
        key, yes = np.array([frame.key for frame in frames]), np.ones(len(frames), np.bool_)
        order = np.array([frame.order for frame in frames], np.int64)
        return Run(at, np.array(sizes, np.int64), key, order, key, yes, bits)

    def _sample(self, media: Readable, at: int) -> tuple[int, Frame, float] | None:
        """Where it ends, the frame that is shown, and the evidence in bits."""
        if not self.signature.match(media.read(at, _HEAD)):
            return None
        end, evidence, count = at, 0.0, 0
        shown: Frame | None = None
        while count < _MOST_UNITS and (unit := unit_at(media, end)):
            frame, count = self._frame(unit), count + 1
            if (shown and unit.kind not in self._following) or (unit.has_frame and not frame):
                break
            end = unit.end
            evidence += self._evidence(unit, frame)
            if frame is not None and frame.shown:
                shown = frame
        return (end, shown, evidence) if shown else None

    def _evidence(self, unit: Unit, frame: Frame | None) -> float:
        """Bits that a unit says: of sizes, the smaller one is, the fewer are as small."""
        bits = _OCTET_BITS if unit.octet in self._octets else _NEW_OCTET_BITS
        bits += max(8 - log2(unit.size), 0.0) if unit.size else 0.0
        if frame is None:
            return bits + 8 * len(unit.head) * (unit.head in self._known)
        return bits + frame.evidence + self._seen.bits(frame.fields)

    def _frame(self, unit: Unit) -> Frame | None:
        """What the header of a unit's frame says; None where it has none, or one that is none."""
        if not unit.has_frame:
            return None
        try:
            return self._sequence.frame(unit)
        except Mp4Error:
            return None

    def _after_shown(self, sample: list[Unit]) -> Iterator[Unit]:
        """The units behind the frame that is shown."""
        rest = iter(sample)
        for unit in rest:
            if (frame := self._frame(unit)) and frame.shown:
                yield from rest


class _Seen:
    """Fields that the frame headers of the reference have."""

    def __init__(self, frames: list[Fields]) -> None:
        self._known: dict[int, set[Fields]] = {}
        for fields in frames:
            for count in range(1, len(fields) + 1):
                self._known.setdefault(count, set()).add(fields[:count])
        # What is new is as likely as what the reference has but once.
        once = sum(times == 1 for times in Counter(frames).values())
        self._against_new = log2((len(frames) + 1) / (once + 1))

    def bits(self, fields: Fields) -> float:
        """Bits that they say, by as many as are known; below 0 where they are new."""
        bits = 0.0
        for count in range(len(fields), 0, -1):
            known = self._known.get(count, set())
            if fields[:count] in known:
                width = sum(width for _, width in fields[:count])
                return bits + max(width - log2(len(known)), 0.0)
            bits = -self._against_new
        return bits


def _begin(unit: Unit) -> bytes:
    """A pattern for units of the same kind, with frames of the same kind."""
    size = rb"[\x80-\xff]{0,3}[\x01-\x7f]"
    if unit.size < 2:
        size = re.escape(bytes([unit.size]))
    extension = b"." if unit.extended else b""
    first = b""
    if unit.head:  # of a frame that is shown again, a bit says so; of others, four what they are
        octet = unit.head[0]
        low, high = (0x80, 0xFF) if octet & 0x80 else (octet & 0xF0, octet | 0x0F)
        first = b"[%b-%b]" % (re.escape(bytes([low])), re.escape(bytes([high])))
    return re.escape(bytes([unit.octet])) + extension + size + first
