"""Records of several streams in order of time, without having them all in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from muxer.records import Records, windows
from muxer.sample_table import Ints

_REACH_NS = 1_000_000_000
"""By how much records of one stream may stand behind later ones."""


class InOrder:
    """The records of streams, sorted by time and of equal times by type; iterated over once.

    `late` counts those that stood more than a second behind a later one of their stream: they are
    left out, for by then what comes after them had been told.
    """

    def __init__(self, streams: Iterable[Iterator[Records]]) -> None:
        self.late = 0
        self._read_ns = dict.fromkeys(streams, -(1 << 62))

    def __iter__(self) -> Iterator[Records]:
        waiting, told_ns = Records.empty(), -(1 << 62)
        while self._read_ns:
            behind = min(self._read_ns, key=self._read_ns.__getitem__)
            block = next(behind, None)
            if block is None:
                del self._read_ns[behind]
                continue
            if not len(block):
                continue
            self._read_ns[behind] = max(self._read_ns[behind], int(block.t_ns.max()))
            (in_time,) = np.nonzero(block.t_ns >= told_ns)
            self.late += len(block) - len(in_time)
            waiting = Records.join([waiting, picked(block, in_time)])
            until_ns = min(self._read_ns.values()) - _REACH_NS
            due = waiting.t_ns < until_ns
            if due.any():
                told_ns = until_ns
                yield _sorted(waiting, due)
                waiting = picked(waiting, np.flatnonzero(~due))
        if len(waiting):
            yield _sorted(waiting, np.full(len(waiting), True))


def _sorted(records: Records, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Records:
    (chosen,) = np.nonzero(rows)
    return picked(records, chosen[np.lexsort((records.kind[chosen], records.t_ns[chosen]))])


def picked(records: Records, rows: Ints) -> Records:
    """Some of the records, in this order; their payload is just theirs, one behind another."""
    size = records.size[rows]
    place = np.cumsum(size) - size
    payload = np.empty(int(size.sum()), np.uint8)
    for length in np.unique(size).tolist():
        same = size == length
        packet = f"V{length}"
        windows(payload, packet)[place[same]] = windows(records.payload, packet)[
            records.place[rows[same]]
        ]
    return replace(
        records,
        kind=records.kind[rows],
        t_ns=records.t_ns[rows],
        place=place,
        size=size,
        payload=payload,
        faults={},
    )
