"""Sample tables as they are written: the `stbl` of a track, made while its samples are told.

The rows are kept as they will lie in the file, in buffers that grow, and no table of all samples is
ever in memory: of an hour at a kilohertz that would be more than a gigabyte. The other direction is
`muxer.stored_table`.
"""

from __future__ import annotations

import struct
from array import array

import numpy as np
import numpy.typing as npt

from muxer.boxes import Piece, full_box, nested
from muxer.errors import Mp4Error
from muxer.opus import roll_group
from muxer.pcm import frame_size
from muxer.sample_table import Ints, SampleTable


class WrittenTable:
    """The tables of one track, whose samples are added in stretches that follow one another.

    `first`        decoding time of the first sample, in ticks; 0 where there is none
    `end`          when the last sample has been decoded: where the next stretch has to begin
    `shown_from`   when the sample that is shown first is shown
    `shown_until`  when the sample that is shown last has been shown

    Where the `sample_entry` is of PCM, rows may be packets; each of their frames becomes a sample.
    """

    def __init__(self, sample_entry: bytes) -> None:
        self._entry = sample_entry
        self._frame = frame_size(sample_entry)
        self._durations = _RunLengths()
        self._composition = _RunLengths()
        self._keyframes = _Keyframes()
        self._sizes = _Sizes()
        self._chunks = _Chunks()
        self.first = self.end = self.shown_from = self.shown_until = self._shown_last = 0

    @classmethod
    def of(cls, sample_entry: bytes, table: SampleTable) -> WrittenTable:
        """Of samples that are all there."""
        written = cls(sample_entry)
        written.add(table)
        return written

    def add(self, table: SampleTable) -> None:
        """The next samples. Mp4Error where their times cannot be written."""
        if not len(table):
            return
        durations = np.diff(table.dts, append=table.end)
        if durations.min() < 0 or durations.max() >= 1 << 32:
            raise Mp4Error("sample times must not run backwards nor leave gaps over 2^32 ticks")
        shown = table.dts + table.cts_offset
        if not self._sizes.count:
            self.first, self.shown_from = int(table.dts[0]), int(shown[0])
            self._shown_last = self.shown_from
        self.shown_from = min(self.shown_from, int(shown.min()))
        self._shown_last = max(self._shown_last, int(shown.max()))
        self.end, self.shown_until = table.end, self._shown_last + table.duration
        samples = self._samples(table.size)
        self._durations.add(*(_divide(durations, samples) if self._frame else (durations, samples)))
        self._composition.add(table.cts_offset, samples)
        self._keyframes.add(table.keyframe)
        self._chunks.add(table.offset, table.size, samples)
        self._sizes.add(table.size // samples if self._frame else table.size, samples)

    def _samples(self, size: Ints) -> Ints:
        """How many samples each row is: one, but for packets of PCM the number of their frames."""
        if self._frame and size.all() and not (size % self._frame).any():
            return size // self._frame
        return np.ones_like(size)

    def stbl(self, shift: int = 0) -> list[Piece]:
        """The `stbl` box, for media that lie `shift` bytes further on."""
        boxes: list[Piece] = [
            full_box(b"stsd", 0, 0, struct.pack(">I", 1), self._entry),
            *self._durations.box(b"stts"),
        ]
        if self._composition.says_anything:
            boxes += self._composition.box(b"ctts")
        boxes += self._keyframes.stss()
        boxes += self._chunks.stsc()
        boxes += self._sizes.stsz()
        boxes += self._chunks.offsets(shift)
        if self._entry[4:8] == b"Opus" and self._sizes.count:
            boxes += roll_group(self._sizes.count, self._durations.most_frequent)
        return nested(b"stbl", boxes)


class _RunLengths:
    """Rows of `stts` and `ctts`: how often in a row a value occurs, and the value."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._open = np.empty((0, 2), np.int64)  # the last row, which may go on
        self._lowest = 0

    def add(self, values: Ints, counts: Ints) -> None:
        """Values that occur so many times each."""
        self._lowest = min(self._lowest, int(values.min()))
        values = np.concatenate([self._open[:, 1], values])
        counts = np.concatenate([self._open[:, 0], counts])
        starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
        rows = np.stack([np.add.reduceat(counts, starts), values[starts]], axis=1)
        self._rows += _words(rows[:-1])
        self._open = rows[-1:]

    @property
    def says_anything(self) -> bool:
        """Whether there is a value that is not 0."""
        return bool(self._rows) or bool(self._open[:, 1].any())

    @property
    def most_frequent(self) -> int:
        """The value that occurs most often."""
        rows = np.frombuffer(self._rows + _words(self._open), ">u4").reshape(-1, 2)
        values, place = np.unique(rows[:, 1], return_inverse=True)
        return int(values[np.bincount(place, rows[:, 0]).argmax()])

    def box(self, kind: bytes) -> list[Piece]:
        """Composition offsets below zero ask for version 1; durations are never below it."""
        count = len(self._rows) // 8 + len(self._open)
        header = struct.pack(">BxxxI", self._lowest < 0, count)
        return nested(kind, [header, self._rows, _words(self._open)])


class _Keyframes:
    """Rows of `stss`: the numbers of the key frames, once there is a sample that is none."""

    def __init__(self) -> None:
        self._samples = 0
        self._rows: bytearray | None = None

    def add(self, keyframe: npt.NDArray[np.bool_]) -> None:
        if self._rows is None and not keyframe.all():
            self._rows = bytearray(_words(np.arange(1, self._samples + 1)))
        if self._rows is not None:
            self._rows += _words(np.flatnonzero(keyframe) + self._samples + 1)
        self._samples += len(keyframe)

    def stss(self) -> list[Piece]:
        if self._rows is None:
            return []
        return nested(b"stss", [struct.pack(">II", 0, len(self._rows) // 4), self._rows])


class _Sizes:
    """Rows of `stsz`: none while all samples have one size, then that of each."""

    def __init__(self) -> None:
        self.count = 0
        self._common = 0
        self._rows = bytearray()

    def add(self, size: Ints, samples: Ints) -> None:
        """Sizes of so many samples each."""
        if not self.count:
            self._common = int(size[0])
        # A common size of 0 cannot be said: it is how the box says that a table follows.
        if self._rows or not self._common or (size != self._common).any():
            if not self._rows:
                self._rows += struct.pack(">I", self._common) * self.count
            self._rows += _words(np.repeat(size, samples))
        self.count += int(samples.sum())

    def stsz(self) -> list[Piece]:
        common = 0 if self._rows else self._common
        return nested(b"stsz", [struct.pack(">III", 0, common, self.count), self._rows])


class _Chunks:
    """Rows of `stsc` and `stco`: a chunk is a run of samples without a byte between them."""

    def __init__(self) -> None:
        self._offsets = array("q")
        self._counts = array("q")
        self._end = -1  # of the last chunk

    def add(self, offset: Ints, size: Ints, samples: Ints) -> None:
        begins = offset != np.concatenate([[self._end], (offset + size)[:-1]])
        starts = np.flatnonzero(begins)
        if not begins[0]:
            self._counts[-1] += int(samples[: np.argmax(begins) if len(starts) else None].sum())
        if len(starts):
            self._counts.frombytes(np.add.reduceat(samples, starts).tobytes())
            self._offsets.frombytes(offset[starts].tobytes())
        self._end = int(offset[-1] + size[-1])

    def stsc(self) -> list[Piece]:
        counts = np.array(self._counts, np.int64)
        first = np.flatnonzero(np.diff(counts, prepend=-1))
        rows = np.stack([first + 1, counts[first], np.ones_like(first)], axis=1)
        return nested(b"stsc", [struct.pack(">II", 0, len(rows)), _words(rows)])

    def offsets(self, shift: int) -> list[Piece]:
        """`stco`, or `co64` where it has to be."""
        offsets = np.array(self._offsets, np.int64) + shift
        count = struct.pack(">II", 0, len(offsets))
        if len(offsets) and offsets.max() >= 1 << 32:
            return nested(b"co64", [count, offsets.astype(">u8").tobytes()])
        return nested(b"stco", [count, _words(offsets)])


def _words(values: Ints) -> bytes:
    """Big-endian words of 32 bits; below zero in two's complement, as `ctts` wants them."""
    return values.astype(">u4").tobytes()


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
