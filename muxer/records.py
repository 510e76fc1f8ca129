"""The packets in the samples of a metadata track: told apart, not yet decoded.

The rule is one packet a sample, of exactly its type's size. What cameras do besides (several in one
sample, padding, types of their own, a last one that is cut short) is read as far as it goes, and
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import PACKET_SIZES, PacketType, Samples, decode, encode
from muxer.sample_table import Ints

_SIZES = np.array([PACKET_SIZES[kind] for kind in PacketType])
_MOST_PACKETS = 10_000
"""Packets that are read of one sample, where the rule is one: a file that lies costs no hours."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Packets of a metadata track, in the order of the file.

    `kind`   int64[N], packet type; types that the specification does not know are kept here
    `t_ns`   int64[N], presentation time
    `place`  int64[N], where the packet begins in `payload`
    `size`   int64[N], its bytes; of an unknown type, all that is left of its sample
    `faults` what was found besides: a reason and how many samples it holds for
    """

    kind: Ints
    t_ns: Ints
    place: Ints
    size: Ints
    payload: npt.NDArray[np.uint8]
    faults: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def kinds(self) -> list[PacketType]:
        """The types that occur, of those that the specification knows."""
        counts = np.bincount(self.kind, minlength=len(_SIZES))
        return [kind for kind in PacketType if counts[kind]]

    def samples(self, kind: PacketType) -> Samples:
        """The packets of one type, decoded."""
        (mine,) = np.nonzero(self.kind == kind)
        if not len(mine):
            return Samples.empty(kind)
        size = PACKET_SIZES[kind]
        packets = windows(self.payload, f"V{size}")[self.place[mine]]
        octets = packets.view(np.uint8).reshape(len(mine), size)
        return Samples(kind, self.t_ns[mine], decode(kind, octets))

    @classmethod
    def of(cls, samples: Samples) -> Records:
        """The packets of a block of one type."""
        count, size = len(samples), PACKET_SIZES[samples.kind]
        return cls(
            np.full(count, samples.kind, np.int64),
            samples.t_ns,
            np.arange(count) * size,
            np.full(count, size, np.int64),
            encode(samples.kind, samples.data).reshape(-1),
            {},
        )

    @classmethod
    def empty(cls) -> Records:
        """No packet at all."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, np.empty(0, np.uint8), {})

    @classmethod
    def join(cls, parts: Sequence[Records]) -> Records:
        """All packets of parts that follow one another."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.empty()
        lengths = [len(part.payload) for part in parts]
        shifts = (np.cumsum(lengths) - lengths).tolist()
        return cls(
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.t_ns for part in parts]),
            np.concatenate([part.place + shift for part, shift in zip(parts, shifts, strict=True)]),
            np.concatenate([part.size for part in parts]),
            np.concatenate([part.payload for part in parts]),
            add_faults(part.faults for part in parts),
        )


def add_faults(found: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The faults of several parts together."""
    total: Counter[str] = Counter()
    for faults in found:
        total.update(faults)
    return dict(total)


def sort_out(payload: npt.NDArray[np.uint8], place: Ints, size: Ints, t_ns: Ints) -> Records:
    """The packets of samples that begin at `place` of `payload`."""
    if len(size) and size.min() >= 4:
        reserved, kind = _headers(payload, place)
        if not reserved.any() and kind.max() < len(_SIZES) and (_SIZES[kind] == size).all():
            return Records(kind, t_ns, place, size, payload, {})
    return _walk(payload, place, size, t_ns)


def _walk(payload: npt.NDArray[np.uint8], place: Ints, size: Ints, t_ns: Ints) -> Records:
    """Packets of samples that do not all keep to the rule.

    The walk goes in rounds: in each, every sample that has bytes left gives its next packet.
    """
    faults: Counter[str] = Counter()
    rounds: list[tuple[Ints, Ints, Ints, Ints]] = []
    number, left = np.arange(len(place)), size
    while len(number) and len(rounds) < _MOST_PACKETS:
        headed = left >= 4
        reserved, kind = _headers(payload, place[headed])
        if rounds:
            # Behind the first packet only what looks like one is one, the rest is padding. Zeros
            # look like a type 0 of no rotation, which no writer puts behind another packet.
            headed[headed] = (reserved == 0) & (kind > 0) & (kind < len(_SIZES))
            faults["padding behind the packet"] += int((~headed).sum())
            kind = kind[(reserved == 0) & (kind > 0) & (kind < len(_SIZES))]
        else:
            faults["samples too short for a packet"] += int((~headed).sum())
            faults["reserved field is not zero"] += int((reserved != 0).sum())
            faults["packets of an unknown type"] += int((kind >= len(_SIZES)).sum())
        number, place, left = number[headed], place[headed], left[headed]
        needed = np.where(kind < len(_SIZES), _SIZES[kind % len(_SIZES)], left)
        whole = needed <= left
        faults["packets cut short"] += int((~whole).sum())
        rounds.append((number[whole], kind[whole], place[whole], needed[whole]))
        if len(rounds) == 2:
            faults["samples with more than one packet"] += int(whole.sum())
        more = needed < left
        number, place, left = number[more], (place + needed)[more], (left - needed)[more]
    faults["samples with too many packets to read them all"] += len(number)
    if not rounds:
        return Records.empty()
    numbers, kinds, places, sizes = (np.concatenate(column) for column in zip(*rounds, strict=True))
    order = np.argsort(numbers, kind="stable")
    return Records(
        kinds[order],
        t_ns[numbers[order]],
        places[order],
        sizes[order],
        payload,
        {reason: count for reason, count in faults.items() if count},
    )


def _headers(payload: npt.NDArray[np.uint8], place: Ints) -> tuple[Ints, Ints]:
    """The reserved field and the type of the packets at these places."""
    words = windows(payload, "<u4")[place]
    return (words & 0xFFFF).astype(np.int64), (words >> 16).astype(np.int64)


def windows(payload: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[Any]:
    """An item of that type from every byte on: `windows[place]` is what lies at those places.

    It can be read and written so; items of type `V16` move as one piece of 16 bytes.
    """
    count = max(0, len(payload) - np.dtype(dtype).itemsize + 1)
    return np.ndarray((count,), dtype, payload, strides=(1,))
