"""A recorded log of motion, whatever file it was in: blocks of samples by packet type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples


@dataclass(frozen=True, slots=True)
class Log:
    """Samples in camera axes, times from the first video frame or from a date.

    `name`     what a person calls it
    `kinds`    the packet types that it has
    `blocks`   gives those of one type, in the order of the file, read as they are asked for
    `created`  when it was made, where it says so
    `by_utc`   whether times count from that moment: of a log that knows nothing of a film
    """

    name: str
    kinds: frozenset[PacketType]
    blocks: Callable[[PacketType], Iterator[Samples]]
    created: datetime | None = None
    by_utc: bool = False


class Stream:
    """The samples of one type handed out by time, whatever their order in the log.

    `out_of_order` counts those that stood more than `_REACH_NS` behind a later one: they are left
    out, for by then what was measured after them had been told.
    """

    def __init__(self, log: Log, kind: PacketType, shift_ns: int = 0) -> None:
        self.out_of_order = 0
        self.ended = False
        """Whether all has been handed out."""
        self._kind = kind
        self._shift_ns = shift_ns
        self._blocks = log.blocks(kind)
        self._waiting = Samples.empty(kind)
        self._read_ns = self._told_ns = -(1 << 62)
        self._exhausted = False

    def next_ns(self) -> int | None:
        """The earliest time that was not handed out yet; None at the end."""
        while not self._exhausted and not len(self._waiting):
            self._take_block()
        return int(self._waiting.t_ns.min()) if len(self._waiting) else None

    def until(self, t_ns: int) -> Samples:
        """All before `t_ns` that was not handed out yet, sorted; times are moved by the shift."""
        while not self._exhausted and self._read_ns < t_ns + _REACH_NS:
            self._take_block()
        due = self._waiting.t_ns < t_ns
        given, self._waiting = self._waiting[due], self._waiting[~due]
        self._told_ns = t_ns
        self.ended = self._exhausted and not len(self._waiting)
        return given[np.argsort(given.t_ns, kind="stable")]

    def _take_block(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._exhausted = True
        elif len(block):
            block = Samples(block.kind, block.t_ns + self._shift_ns, block.data)
            in_time: npt.NDArray[np.bool_] = block.t_ns >= self._told_ns
            self.out_of_order += len(block) - int(in_time.sum())
            self._read_ns = max(self._read_ns, int(block.t_ns.max()))
            self._waiting = Samples.concatenate(self._kind, [self._waiting, block[in_time]])


_REACH_NS = 1_000_000_000
