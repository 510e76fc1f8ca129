"""Sample tables: where every sample of a track lies and when it is due (ISO/IEC 14496-12, 8.6-8.7).

In memory a table is one array a property with one row a sample; run lengths and chunks exist in the
file only. Both directions are numpy from end to end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.boxes import Box, box, full_box
from muxer.errors import Mp4Error
from muxer.pcm import frame_size

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
        durations = np.diff(self.dts, append=self.end)
        if len(self) and (durations.min() < 0 or durations.max() >= 1 << 32):
            raise Mp4Error("sample times must not run backwards nor leave gaps over 2^32 ticks")
        parts = [full_box(b"stsd", 0, 0, struct.pack(">I", 1), sample_entry)]
        samples = self._samples(sample_entry)
        parts.append(_table(b"stts", 0, *_runs(*_divide(durations, samples))))
        if self.cts_offset.any():
            version = int(self.cts_offset.min() < 0)
            parts.append(_table(b"ctts", version, *_runs(self.cts_offset, samples)))
        if not self.keyframe.all():
            parts.append(_table(b"stss", 0, np.flatnonzero(self.keyframe) + 1))
        starts = np.flatnonzero(self._chunk_starts())
        counts = np.add.reduceat(samples, starts)
        first = np.flatnonzero(np.diff(counts, prepend=-1))
        parts.append(_table(b"stsc", 0, first + 1, counts[first], np.ones_like(first)))
        parts.append(self._write_sizes(samples))
        offsets = self.offset[starts]
        if len(offsets) and offsets.max() >= 1 << 32:
            parts.append(
                full_box(b"co64", 0, 0, struct.pack(">I", len(offsets)), _bytes(offsets, ">u8"))
            )
        else:
            parts.append(_table(b"stco", 0, offsets))
        return box(b"stbl", *parts)

    def _samples(self, sample_entry: bytes) -> Ints:
        """How many samples each row is: one, but for packets of PCM the number of their frames."""
        frame = frame_size(sample_entry)
        if frame and self.size.all() and not (self.size % frame).any():
            return self.size // frame
        return np.ones_like(self.size)

    def _chunk_starts(self) -> npt.NDArray[np.bool_]:
        """A chunk is a run of samples without a byte between them."""
        starts = np.ones(len(self), np.bool_)
        starts[1:] = self.offset[1:] != self.offset[:-1] + self.size[:-1]
        return starts

    def _write_sizes(self, samples: Ints) -> bytes:
        size = self.size // samples
        # A common size of 0 cannot be said: it is how the box says that a table follows.
        if len(self) and size[0] and (size == size[0]).all():
            return full_box(b"stsz", 0, 0, struct.pack(">II", size[0], samples.sum()))
        return full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(self)), _bytes(self.size, ">u4"))

    @classmethod
    def read(cls, stbl: bytes, room: int) -> SampleTable:
        """The content of an `stbl` box, opened out. Mp4Error where tables contradict each other.

        No file has more samples than bytes: `room` is how many there may be at most, without which
        a box of twenty bytes could claim four thousand million samples.
        """
        # Both directions are one subject, but only reading needs to know of files.
        from muxer.file_boxes import Memory
        from muxer.stored_table import StoredTable

        return StoredTable.find(Memory(stbl), Box(b"stbl", 0, 0, len(stbl)), room).whole()


def _bytes(values: Ints, dtype: str) -> bytes:
    return values.astype(dtype).tobytes()


def _runs(values: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Run lengths and values, of values that occur so many times each."""
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
    return np.add.reduceat(counts, starts), values[starts]


def _divide(durations: Ints, samples: Ints) -> tuple[Ints, Ints]:
    """Durations and counts of the samples that rows consist of.

    Each sample lasts one tick, and the last of a row until the next row begins; a row that is
    shorter than it has samples ends with some that last none. A row of one sample is that sample.
    """
    ones = np.minimum(durations, samples - 1)
    left = samples - ones
    values = np.stack([np.ones_like(ones), (durations - ones) // left], axis=1).ravel()
    counts = np.stack([ones, left], axis=1).ravel()
    return values[counts > 0], counts[counts > 0]


def _table(kind: bytes, version: int, *columns: Ints) -> bytes:
    """A full box of a row count and rows of 32-bit numbers."""
    rows = np.stack(columns, axis=1) if columns else np.empty((0, 1), np.int64)
    # astype wraps negative composition offsets to two's complement, as the box wants them.
    return full_box(
        kind, version, 0, struct.pack(">I", len(rows)), _bytes(rows & 0xFFFFFFFF, ">u4")
    )
