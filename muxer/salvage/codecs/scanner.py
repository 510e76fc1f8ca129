"""What a codec's file offers to the carver: samples told by their bytes.

Two kinds of codec. The samples of a *delimited* one say how long they are (lengths of NAL units,
sizes of boxes, types of packets): its `Scanner` recognises them anywhere. Those of a *filling* one
do not (raw AAC, PCM, Opus): what lies between delimited samples is theirs, and its `Filler` says
where one ends and the next begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from muxer.repair.scan import Readable
from muxer.sample_table import Ints

Bools: TypeAlias = npt.NDArray[np.bool_]

__all__ = ["UNORDERED", "Bools", "Filler", "Readable", "Run", "Scanner", "plain_run"]

UNORDERED = np.iinfo(np.int64).min
"""The place in showing order of a sample whose codec tells none: shown in the order of the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples of one codec that lie one behind the other from byte `start` on.

    `size`       int64[N], bytes
    `keyframe`   bool[N]
    `order`      int64[N], place in showing order modulo the scanner's `wrap`, counted anew from
                 each sample that is `fresh`; UNORDERED where the codec tells none
    `fresh`      bool[N]
    `reference`  bool[N], samples whose `order` is near that of the next one
    `evidence`   bits: it would take about 2 to the power of this many random places to find the
                 same by chance
    """

    start: int
    size: Ints
    keyframe: Bools
    order: Ints
    fresh: Bools
    reference: Bools
    evidence: float

    def __len__(self) -> int:
        return len(self.size)

    @property
    def end(self) -> int:
        """The byte behind the last sample."""
        return self.start + int(self.size.sum())

    def head(self, count: int) -> Run:
        """The first samples of the run."""
        return Run(
            self.start,
            self.size[:count],
            self.keyframe[:count],
            self.order[:count],
            self.fresh[:count],
            self.reference[:count],
            self.evidence * count / len(self),
        )


def plain_run(start: int, size: Sequence[int] | Ints, evidence: float) -> Run | None:
    """A run of samples of which each stands for itself; None where there is none."""
    count = len(size)
    if not count:
        return None
    yes = np.ones(count, np.bool_)
    order = np.full(count, UNORDERED)
    return Run(start, np.asarray(size, np.int64), yes, order, ~yes, yes, evidence)


@runtime_checkable
class Scanner(Protocol):
    """Recognises the samples of a delimited codec. It keeps nothing from call to call.

    `signature` matches where a sample may begin: a quick filter for places not known otherwise. It
    looks at no more than 64 bytes and matches none of a run of zeros.
    """

    signature: re.Pattern[bytes]
    wrap: int
    """Orders count modulo this; 0 where they do not wrap."""

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        """The samples that begin at byte `at`, as far as one follows the other, at most `most`.

        A sample that is not whole (the file ends, its parts do not fit) is none. None where not one
        begins there. Reads no more than it needs and never fails on any bytes.
        """
        ...


class Filler(Protocol):
    """Divides bytes that belong to a filling codec into samples."""

    refuses: bool
    """Whether it tells other bytes from its own; one that does not divides whatever it is given."""

    def begins(self, media: Readable, at: int) -> float:
        """Bits of evidence that a sample begins at this byte; 0 where it cannot or nobody knows."""
        ...

    def divide(self, media: Readable, start: int, end: int, due: range) -> Ints | None:
        """Where samples begin that fill the bytes from `start` to `end` exactly, int64[N].

        `due` is how many there should be by the clocks of the other tracks (empty: nobody knows);
        it decides where the bytes leave it open. None where the bytes are no whole samples.
        """
        ...

    def head(self, media: Readable, start: int, end: int) -> Ints:
        """As many whole samples as follow one another from `start` on: where each begins, and
        where the last of them ends, int64[N + 1]; `[start]` where there is none.
        """
        ...

    def tail(self, media: Readable, start: int, end: int) -> Ints:
        """As `head`, of the samples the last of which ends at `end`, back to `start` at most."""
        ...

    def find(self, media: Readable, start: int, end: int) -> int:
        """Where, from `start` on, a chain of samples begins that is no coincidence.

        `end` where none does, and where the codec's bytes never tell.
        """
        ...
