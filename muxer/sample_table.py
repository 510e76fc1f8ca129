"""Sample tables: where every sample of a track lies and when it is due (ISO/IEC 14496-12, 8.6-8.7).

In memory a table is one array a property with one row a sample; run lengths and chunks exist in the
file only. Both directions are numpy from end to end: `muxer.stored_table` and
`muxer.written_table`, which are built on this module and imported where they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.boxes import Box

Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SampleTable:
    """All samples of one track, in decoding order.

    `offset`      int64[N], byte of the file at which each begins
    `size`        int64[N], bytes
    `dts`         int64[N], decoding time in ticks of the track, from 0
    `cts_offset`  int64[N], presentation time minus decoding time
    `duration`    ticks of the last sample
    `keyframe`    bool[N]
    """

    offset: Ints
    size: Ints
    dts: Ints
    cts_offset: Ints
    duration: int
    keyframe: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.size)

    @classmethod
    def empty(cls) -> Self:
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, 0, np.empty(0, np.bool_))

    @classmethod
    def join(cls, tables: Sequence[SampleTable]) -> SampleTable:
        """One table of several that follow one another."""
        filled = [table for table in tables if len(table)]
        if not filled:
            return cls.empty()
        return cls(
            np.concatenate([table.offset for table in filled]),
            np.concatenate([table.size for table in filled]),
            np.concatenate([table.dts for table in filled]),
            np.concatenate([table.cts_offset for table in filled]),
            filled[-1].duration,
            np.concatenate([table.keyframe for table in filled]),
        )

    def head(self, count: int) -> SampleTable:
        """The first `count` samples; the last of them lasts until the next that was there."""
        ends = np.append(self.dts, self.end)
        return SampleTable(
            self.offset[:count],
            self.size[:count],
            self.dts[:count],
            self.cts_offset[:count],
            int(ends[count] - ends[count - 1]) if count else 0,
            self.keyframe[:count],
        )

    def only(self, rows: npt.NDArray[np.bool_]) -> SampleTable:
        """Some of the samples; the last of them lasts as long as it did."""
        if rows.all():
            return self
        chosen = np.flatnonzero(rows)
        durations = np.diff(self.dts, append=self.end)
        return SampleTable(
            self.offset[rows],
            self.size[rows],
            self.dts[rows],
            self.cts_offset[rows],
            int(durations[chosen[-1]]) if len(chosen) else 0,
            self.keyframe[rows],
        )

    @property
    def end(self) -> int:
        """When the last sample has been decoded, in ticks: what the durations add up to."""
        return int(self.dts[-1]) + self.duration if len(self) else 0

    @property
    def shown_until(self) -> int:
        """When the last sample to be shown has been shown, in ticks."""
        return int((self.dts + self.cts_offset).max()) + self.duration if len(self) else 0

    def write(self, sample_entry: bytes) -> bytes:
        """The `stbl` box, with `sample_entry` as its only description.

        Where that is of PCM, rows may be packets; each of their frames becomes a sample.
        """
        from muxer.written_table import WrittenTable

        return b"".join(WrittenTable.of(sample_entry, self).stbl())

    @classmethod
    def read(cls, stbl: bytes, room: int) -> SampleTable:
        """The content of an `stbl` box, opened out. Mp4Error where tables contradict each other.

        No file has more samples than bytes: `room` is how many there may be at most, without which
        a box of twenty bytes could claim four thousand million samples.
        """
        from muxer.file_boxes import Memory
        from muxer.stored_table import StoredTable

        return StoredTable.find(Memory(stbl), Box(b"stbl", 0, 0, len(stbl)), room).whole()


def ticks_of(t_ns: Ints, timescale: int) -> Ints:
    """Times in ticks, each rounded by itself, so that no error adds up."""
    seconds, rest = np.divmod(t_ns, 1_000_000_000)
    ticks: Ints = seconds * timescale + (rest * timescale + 500_000_000) // 1_000_000_000
    return ticks
