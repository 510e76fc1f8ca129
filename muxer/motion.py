"""Camera motion metadata as columns, and block by block: what a track of it and a clip offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from camm import PacketType, Samples, UsageError
from muxer.records import Records, add_faults
from muxer.sample_table import Ints


@dataclass(frozen=True, slots=True)
class Extent:
    """How many packets of a type there are, and the first and last of their times."""

    count: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, without the values.

    `extents`  by packet type; types that the specification does not know are here too
    `faults`   what was found besides: a reason and how many samples it holds for
    `blocks`   into how many blocks of records reading comes
    """

    extents: Mapping[int, Extent]
    faults: Mapping[str, int]
    blocks: int


class Motion(ABC):
    """Attributes with the specification's names give motion metadata as columns:

    `gyro.t_ns` is int64[N] nanoseconds from the first video frame, `gyro.data` float32 (N, 3);
    likewise angle_axis, acceleration, position, magnetic_field, and with record arrays exposure,
    min_gps and gps. A packet type that is not there reads as an empty block.

    Columns hold everything at once. `blocks` goes through a clip of any length in little memory.
    """

    @abstractmethod
    def record_blocks(self, seconds: float | None = None) -> Iterator[Records]:
        """All packets in the order of the file, told apart but not decoded.

        A block spans up to `seconds` (its edges lie at their multiples), and never holds more than
        some ten thousand samples.
        """

    def blocks(self, kind: PacketType | None = None, seconds: float = 10) -> Iterator[Samples]:
        """All packets of one type, or of all types, in blocks of up to `seconds`.

        Of all types, each stretch of time gives a block for every type that occurs in it. Where
        there are very many samples blocks are shorter.
        """
        for records in self.record_blocks(seconds):
            for found in records.kinds if kind is None else [kind]:
                samples = records.samples(found)
                if len(samples):
                    yield samples

    def samples(self, kind: PacketType) -> Samples:
        """All packets of one type, in the order of the file."""
        return self._columns.get(kind, Samples.empty(kind))

    @cached_property
    def records(self) -> Records:
        """Every packet, told apart but not decoded."""
        return Records.join(list(self.record_blocks()))

    @cached_property
    def survey(self) -> Survey:
        """What there is, found in one pass."""
        extents: dict[int, Extent] = {}
        faults: list[Mapping[str, int]] = []
        for records in self.record_blocks():
            faults.append(records.faults)
            for kind in np.flatnonzero(np.bincount(records.kind)).tolist():
                t_ns = records.t_ns[records.kind == kind]
                before = extents.get(kind, Extent(0, int(t_ns[0]), int(t_ns[0])))
                extents[kind] = Extent(
                    before.count + len(t_ns),
                    min(before.first_ns, int(t_ns.min())),
                    max(before.last_ns, int(t_ns.max())),
                )
        return Survey(extents, add_faults(faults), len(faults))

    @property
    def counts(self) -> dict[PacketType, int]:
        """How many packets of each type there are; types without any are left out."""
        extents = self.survey.extents
        return {kind: extents[kind].count for kind in PacketType if kind in extents}

    angle_axis = cached_property(lambda self: self.samples(PacketType.ANGLE_AXIS))
    exposure = cached_property(lambda self: self.samples(PacketType.EXPOSURE))
    gyro = cached_property(lambda self: self.samples(PacketType.GYRO))
    acceleration = cached_property(lambda self: self.samples(PacketType.ACCELERATION))
    position = cached_property(lambda self: self.samples(PacketType.POSITION))
    min_gps = cached_property(lambda self: self.samples(PacketType.MIN_GPS))
    gps = cached_property(lambda self: self.samples(PacketType.GPS))
    magnetic_field = cached_property(lambda self: self.samples(PacketType.MAGNETIC_FIELD))

    @cached_property
    def _columns(self) -> dict[PacketType, Samples]:
        """Every type that occurs, in one pass: decoded while the bytes are near."""
        found: dict[PacketType, list[Samples]] = {}
        for records in self.record_blocks():
            for kind in records.kinds:
                found.setdefault(kind, []).append(records.samples(kind))
        return {kind: Samples.concatenate(kind, blocks) for kind, blocks in found.items()}


def stretches(t_ns: Ints, seconds: float | None) -> Iterator[slice]:
    """Slices of times that do not cross a multiple of `seconds`; all at once for None."""
    if seconds is None:
        yield slice(0, len(t_ns))
        return
    if not seconds > 0:
        raise UsageError(f"blocks of {seconds:g} s: expected more than 0")
    # Presentation times may step back a little; a block goes on then.
    number = np.maximum.accumulate(t_ns) // max(round(min(seconds, 1e9) * 1e9), 1)
    edges = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(t_ns)]
    for first, last in pairwise(edges):
        yield slice(first, last)
