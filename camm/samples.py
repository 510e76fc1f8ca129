"""The sample block: the one shape in which measurements move through the project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm.packets import PacketError, PacketType, empty_values


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A block of measurements of one kind, in the order in which they were made.

    Sensors deliver in bursts, so a block and not a sample is the unit from the driver to the file.

    `t_ns`  int64[N], when each quantity was measured. On a rig: CLOCK_MONOTONIC. In a clip:
            presentation time, from the first video frame.
    `data`  N rows of `camm.VALUE_DTYPES[kind]` (vectors may be any float type until encoded), SI
            units but for the specification's own (degrees, nanoseconds, microtesla).
    """

    kind: PacketType
    t_ns: npt.NDArray[np.int64]
    data: npt.NDArray[Any]

    def __post_init__(self) -> None:
        if self.t_ns.dtype != np.int64 or self.t_ns.shape != self.data.shape[:1]:
            raise PacketError(
                f"{self.kind.label}: {self.data.shape[:1]} rows need as many int64 times, "
                f"found {self.t_ns.dtype} {self.t_ns.shape}"
            )

    def __len__(self) -> int:
        return len(self.t_ns)

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> Samples:
        """The rows of a slice, a mask or an index array, as a block again."""
        return Samples(self.kind, self.t_ns[rows], self.data[rows])

    @classmethod
    def empty(cls, kind: PacketType) -> Samples:
        """A block without rows: what an absent packet type reads as."""
        return cls(kind, np.empty(0, np.int64), empty_values(kind))

    @classmethod
    def concatenate(cls, kind: PacketType, blocks: Iterable[Samples]) -> Samples:
        """One block of several, in the order given; of none, an empty one."""
        parts = list(blocks)
        if not parts:
            return cls.empty(kind)
        times = np.concatenate([part.t_ns for part in parts])
        return cls(kind, times, np.concatenate([part.data for part in parts]))
