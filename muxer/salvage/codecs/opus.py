"""Opus: packets that do not say how long they are, and decode to something at any length.

A packet begins with the byte that tells its coding (RFC 6716, 3.1), which hardly changes within a
stream. The next one is the first of the range coder: it holds the flags and energies that are most
likely in sound, so that some values are frequent. And sizes change little from packet to packet.
Where bytes inside of a packet look like a begin, the likeliest division is taken. It is a guess,
right of some 98 of 100 boundaries between pairs of packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np
import numpy.typing as npt

from muxer.errors import Mp4Error
from muxer.salvage.codecs.scanner import Readable
from muxer.sample_table import Ints

_Bits = npt.NDArray[np.float64]

_WINDOW = 1 << 20
_LONGEST = 3 * 1275
"""Bytes of a packet of 60 ms at most (RFC 6716, 3.2.1); longer ones are rare."""
_MOST_STATES = 1 << 22
_LOST = bytes(32)
"""Zeros that are no sound."""
_UNSEEN = 1.0
_TRUST = 0.5
"""How much the second bytes of the reference say of those of another recording."""


class OpusFiller:
    """Divides Opus packets; `samples` are some of the reference."""

    refuses = False

    def __init__(self, samples: Sequence[bytes]) -> None:
        samples = [sample for sample in samples if sample]
        if not samples:
            raise Mp4Error("the reference has no Opus packets to learn from")
        sizes = np.array([len(sample) for sample in samples])
        self._size = float(sizes.mean())
        self._spread = max(float(np.abs(np.diff(sizes)).mean()) / 2 if len(sizes) > 1 else 0, 1.0)
        first = np.bincount([sample[0] for sample in samples], minlength=256)
        second = np.bincount([(sample + b"\0")[1] for sample in samples], minlength=256) + _UNSEEN
        self._begins: npt.NDArray[np.bool_] = first > 0
        self._first_bits = 8 - log2(np.count_nonzero(first))
        self._second_bits: _Bits = _TRUST * np.log2(256 * second / second.sum())

    def begins(self, media: Readable, at: int) -> float:
        head = media.read(at, 2)
        if not head or not self._begins[head[0]]:
            return 0.0
        return max(self._first_bits + float(self._second_bits[head[-1]]), 1.0)

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        if start == end:
            return np.empty(0, np.int64)
        if len(due) == 1 and due[0] == 1 and self.begins(media, start):
            return np.array([start])
        data = media.read(start, min(end - start, _WINDOW))
        if len(data) < end - start:
            places = self.head(media, start, end)
            return places[:-1] if places[-1] == end else None
        edges = self._edges(data, due)
        return start + edges[:-1] if edges is not None else None

    def head(self, media: Readable, start: int, end: int) -> Ints:
        places = [np.array([start])]
        while (here := int(places[-1][-1])) < end:
            data = media.read(here, min(end - here, _WINDOW))
            lost = data.find(_LOST)
            edges = self._edges(data[:lost] if lost >= 0 else data, range(0))
            if edges is None:
                break
            if lost >= 0 or here + len(data) < end:
                edges = edges[:-1]  # the last one is cut, or it is not known where it ends
            if len(edges) < 2:
                break
            places.append(here + edges[1:])
            if lost >= 0:
                break
        return np.concatenate(places)

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        low = max(start, end - _WINDOW)
        data = media.read(low, end - low)
        behind = data.rfind(_LOST) + len(_LOST) if _LOST in data else 0
        begins = np.flatnonzero(self._begins[np.frombuffer(data, np.uint8)[behind:]]) + behind
        for first in begins[:1].tolist():
            edges = self._edges(data[first:], range(0))
            if edges is not None and len(data) == end - low:
                return np.asarray(low + first + edges, np.int64)
        return np.array([end])

    def find(self, media: Readable, start: int, end: int) -> int:
        del media, start  # noise can be divided as well
        return end

    def _edges(self, data: bytes, due: range) -> Ints | None:
        """The likeliest places where packets begin, and the end; None where none begins at first.

        Each division is worth the bits by which its begins and sizes are likelier than chance. The
        best one up to each place follows from the best ones up to the places before it.
        """
        octets = np.frombuffer(data + b"\0", np.uint8)
        place = np.flatnonzero(self._begins[octets[:-1]])
        if not len(place) or place[0]:
            return None
        gain = self._first_bits + self._second_bits[octets[place + 1]]
        place = np.append(place, len(data))
        counted = bool(due) and due[-1] > 0 and len(place) * due.stop <= _MOST_STATES
        columns, step = (due.stop, 1) if counted else (1, 0)
        typical = len(data) * 2 / (due[0] + due[-1]) if counted else self._size
        worth = np.full((len(place), columns), -np.inf)
        worth[0, 0] = 0
        before = np.zeros((len(place), columns), np.int64)
        lows = np.searchsorted(place, place - max(_LONGEST, 3 * typical))
        for here in range(1, len(place)):
            low = lows[here]
            bits = gain[low:here] + self._likely(place[here] - place[low:here], typical)
            ways = worth[low:here, : columns - step] + bits[:, None]
            best = ways.argmax(axis=0)
            worth[here, step:] = np.take_along_axis(ways, best[None], axis=0)[0]
            before[here, step:] = low + best
        column = max(due, key=lambda count: worth[-1, count]) if counted else 0
        if worth[-1, column] == -np.inf:
            return None
        rows = [len(place) - 1]
        while rows[-1]:
            rows.append(int(before[rows[-1], column]))
            column -= step
        return np.asarray(place[rows[::-1]], np.int64)

    def _likely(self, size: Ints, typical: float) -> _Bits:
        """Bits of a size: Cauchy's distribution, for there are leaps."""
        away = (size - typical) / self._spread
        return np.asarray(-np.log2(np.pi * self._spread * (1 + away * away)))
