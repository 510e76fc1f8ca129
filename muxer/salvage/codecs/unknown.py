"""A codec that nobody here knows, learned from samples of the reference.

Samples may all have the same size, or a field that says it; they may all begin with the same bytes.
Those with enough of that can be found anywhere; the others take the place between their neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from muxer.errors import Mp4Error
from muxer.salvage.codecs.scanner import Filler, Readable, Run, Scanner, plain_run
from muxer.sample_table import Ints

_LEADING = 16
_FEWEST = 4
"""Samples without which everything would seem to be constant."""
_ENOUGH_BITS = 16.0
_WINDOW = 1 << 22
_ORDERS: tuple[Literal["big", "little"], ...] = ("big", "little")


@dataclass(frozen=True, slots=True)
class _Size:
    """Where samples say their size: a number at `place`, to which `more` is added.

    `width` is 0 where all have the size `more`.
    """

    place: int
    width: int
    order: Literal["big", "little"]
    more: int

    def of(self, head: bytes) -> int:
        """What the first bytes of a sample say."""
        return int.from_bytes(head[self.place : self.place + self.width], self.order) + self.more


def learn(samples: Sequence[bytes]) -> Scanner | Filler:
    """What recognises samples like these. Mp4Error where they have nothing in common."""
    samples = [sample for sample in samples if sample]
    if len(samples) < _FEWEST:
        raise Mp4Error(
            f"a codec that is not known has {len(samples)} samples in the reference: expected at "
            f"least {_FEWEST} to learn from"
        )
    size, (leading, bits) = _size(samples), _leading(samples)
    if size is not None and bits >= _ENOUGH_BITS:
        return LearnedScanner(leading, bits, size)
    if size is not None and not size.width:
        return EqualFiller(leading, bits, size.more)
    if bits:
        return LearnedFiller(leading, bits)
    raise Mp4Error("samples of a codec that is not known have neither size nor first bytes alike")


class LearnedScanner:
    """Finds samples by their first bytes; they say how long they are, or all are equally long."""

    wrap = 0

    def __init__(self, leading: bytes, bits: float, size: _Size) -> None:
        self.signature = re.compile(leading, re.DOTALL)
        self._bits, self._size = bits, size

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        here = at
        while len(sizes) < most:
            head = media.read(here, _LEADING)
            size = self._size.of(head)
            if not self.signature.match(head) or not 0 < size <= media.size - here:
                break
            sizes.append(size)
            here += size
        return plain_run(at, sizes, self._bits * len(sizes))


class EqualFiller:
    """Divides bytes into samples of one size."""

    refuses = False

    def __init__(self, leading: bytes, bits: float, size: int) -> None:
        self._begin, self._bits, self._size = re.compile(leading, re.DOTALL), bits, size

    def begins(self, media: Readable, at: int) -> float:
        return self._bits if self._begin.match(media.read(at, _LEADING)) else 0.0

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        places = self.head(media, start, end)
        return places[:-1] if places[-1] == end else None

    def head(self, media: Readable, start: int, end: int) -> Ints:
        return np.arange(start, max(min(end, media.size), start) + 1, self._size)

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        return np.arange(end, start - 1, -self._size)[::-1]

    def find(self, media: Readable, start: int, end: int) -> int:
        del media, start  # samples say too little
        return end


class LearnedFiller:
    """Divides bytes where samples seem to begin."""

    refuses = False

    def __init__(self, leading: bytes, bits: float) -> None:
        self._begin, self._bits = re.compile(leading, re.DOTALL), bits

    def begins(self, media: Readable, at: int) -> float:
        return self._bits if self._begin.match(media.read(at, _LEADING)) else 0.0

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        places = self._places(media, start, end)
        whole = places[:1] == [start] and (not due or len(places) in due)
        return np.array(places, np.int64) if whole or start == end else None

    def head(self, media: Readable, start: int, end: int) -> Ints:
        """The last sample is left out: only the next one would say where it ends."""
        places = self._places(media, start, end)
        return np.array(places if places[:1] == [start] else [start], np.int64)

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        return np.array([*self._places(media, start, end), end], np.int64)

    def find(self, media: Readable, start: int, end: int) -> int:
        del media, start  # samples say too little
        return end

    def _places(self, media: Readable, start: int, end: int) -> list[int]:
        """Where samples seem to begin."""
        places: list[int] = []
        for at in range(start, min(end, media.size), _WINDOW):
            length = min(_WINDOW, end - at)
            block = media.read(at, length + _LEADING)
            found = (place.start() for place in self._begin.finditer(block))
            places += [at + place for place in found if place < length]
        return places


def _leading(samples: Sequence[bytes]) -> tuple[bytes, float]:
    """A pattern of the first bytes, and the bits in those that never change.

    Zeros are everywhere: they say little.
    """
    length = min(_LEADING, *map(len, samples))
    heads = np.array([list(sample[:length]) for sample in samples], np.uint8)
    same = (heads == heads[0]).all(axis=0)
    pattern = b"".join(
        re.escape(bytes([octet])) if constant else b"."
        for octet, constant in zip(heads[0].tolist(), same.tolist(), strict=True)
    )
    nonzero = int((same & (heads[0] > 0)).sum())
    return pattern, 8.0 * nonzero + (int(same.sum()) - nonzero if nonzero else 0)


def _size(samples: Sequence[bytes]) -> _Size | None:
    sizes = {len(sample) for sample in samples}
    if len(sizes) == 1:
        return _Size(0, 0, "big", sizes.pop())
    for width, order, place in product((4, 2), _ORDERS, range(_LEADING - 4)):
        field = _Size(place, width, order, 0)
        if len({len(sample) - field.of(sample) for sample in samples}) == 1:
            return _Size(place, width, order, len(samples[0]) - field.of(samples[0]))
    return None
