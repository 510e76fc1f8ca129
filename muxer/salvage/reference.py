"""What a healthy file of the same device teaches: codecs, times, and how tracks are interleaved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from muxer.boxes import Box, find, require
from muxer.boxes import children as boxes_in
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.movie import EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.reader import top_level
from muxer.sample_table import Ints
from muxer.source import LocalFile
from muxer.stored_table import StoredTable

Floats: TypeAlias = npt.NDArray[np.floating[Any]]

_PATTERN, _FEW = 4, 4
"""Chunks that make a pattern, and samples of one that can be told from chance."""
_STUDIED, _LAST = 400, 16
"""Samples of a track that are read to learn what its codec looks like."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceTrack:
    """One track of the healthy file.

    `kind`       of its handler: b"vide", b"soun", b"meta"
    `entry`      sample entry, a whole box
    `duration`   ticks of most of its samples; `steady` where all have it
    `start`      movie time of its first sample's decoding, in ticks; negative before zero
    `shown`      movie time at which its first picture is shown, in ticks
    `durations`  int64[N] of its first samples
    `samples`    some of them
    `sizes`      int64[N] of the first
    `chunks`     float64[M, 4]: byte, byte behind (NaN but for the first), movie time in seconds of
                 begin and end
    `count`      number of samples
    """

    number: int
    kind: bytes
    entry: bytes
    timescale: int
    duration: int
    steady: bool
    start: int
    shown: int
    durations: Ints
    samples: tuple[bytes, ...]
    sizes: Ints
    chunks: Floats
    count: int

    @property
    def codec(self) -> str:
        """The four letters of the sample entry."""
        return self.entry[4:8].decode("latin-1")

    @property
    def per_chunk(self) -> tuple[int, int]:
        """Samples of nearly every chunk: at least, at most; 0 where they differ or are few."""
        if not self.steady or not self.duration or len(self.chunks) < 2 * _PATTERN:
            return 0, 0
        spans = np.round((self.chunks[1:-1, 3] - self.chunks[1:-1, 2]) / self.period_s)
        low, high = (int(edge) for edge in np.percentile(spans, [5, 95]))
        return (low, high) if low >= _PATTERN and high <= low + _FEW // 2 else (0, 0)

    @property
    def period_s(self) -> float:
        """Seconds from sample to sample."""
        return self.duration / self.timescale


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A healthy file, as far as it teaches anything."""

    path: str
    head: bytes
    moov: bytes
    tracks: tuple[ReferenceTrack, ...]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """UsageError where there is no such file, Mp4Error where it is not healthy itself."""
        with LocalFile(path) as source:
            boxes = list(top_level(source))
            moov = next((b for b in boxes if b.kind == b"moov" and b.end <= source.size), None)
            if moov is None:
                raise Mp4Error(f"{source.name} has no whole 'moov': it is not healthy itself")
            content = source.read(moov.body, moov.end - moov.body)
            ftyp = boxes[0]
            head = source.read(0, ftyp.end) if ftyp.kind == b"ftyp" and ftyp.end < 512 else b""
            return cls.of(source, head, content)

    @classmethod
    def of(cls, source: LocalFile, head: bytes, moov: bytes) -> Self:
        """From the content of the `moov` that describes a file; Mp4Error where it says nothing."""
        header = MovieHeader.read(require(moov, b"mvhd"))
        traks = (child for child in boxes_in(moov) if child.kind == b"trak")
        found = (_track(trak.content(moov), header, source) for trak in traks)
        tracks = tuple(track for track in found if track is not None)
        if not tracks:
            raise Mp4Error(f"{source.name} has no track with samples to learn from")
        return cls(source.name, head, moov, tracks)

    @property
    def video(self) -> ReferenceTrack | None:
        """The first video track: its clock is what the other tracks are compared with."""
        return next((track for track in self.tracks if track.kind == b"vide"), None)

    def lead_s(self, track: ReferenceTrack) -> tuple[float, float] | None:
        """By how much a track's clock is ahead of the pictures' whenever a picture follows it.

        The smallest and the largest value, in seconds; None where nothing tells.
        """
        video = self.video
        if video is None or video is track:
            return None
        ends, at = track.chunks[:, 3], track.chunks[:, 0]
        following = np.searchsorted(video.chunks[:, 0], at)
        there = following < len(video.chunks)
        # Of chunks that lie side by side only the last is followed by a picture.
        last = np.append(np.diff(following) > 0, True) & there
        lead = ends[last] - video.chunks[following[last], 2]
        return (float(lead.min()), float(lead.max())) if len(lead) else None

    def gaps(self, filling: Sequence[ReferenceTrack]) -> Ints:
        """Bytes that chunks of these tracks fill between others, each length once."""
        chunks = [(*row, track in filling) for track in self.tracks for row in track.chunks[:, :2]]
        chunks.sort()
        lengths, start = set(), None
        for begin, end, fills in chunks:
            if not fills and start is not None:
                lengths.add(int(begin - start))
            start = None if not fills else (begin if start is None else start)
            if np.isnan(end):
                break
        return np.array(sorted(lengths), np.int64)


def _track(trak: bytes, movie: MovieHeader, source: LocalFile) -> ReferenceTrack | None:
    """None for a track without samples or without a description."""
    mdia = require(trak, b"mdia")
    timescale = MediaHeader.read(require(mdia, b"mdhd")).timescale
    stbl = require(mdia, b"minf", b"stbl")
    stsd = require(stbl, b"stsd")
    entry = next(boxes_in(stsd, 8), None)
    stored = StoredTable.find(Memory(stbl), Box(b"stbl", 0, 0, len(stbl)), source.size)
    if entry is None or not stored.count:
        return None
    kind = Handler.read(require(mdia, b"hdlr")).kind
    elst = find(trak, b"edts", b"elst")
    delay = media_time = 0
    for edit in EditList.read(elst).edits if elst is not None else ():
        if edit.media_time < 0:
            delay = edit.duration * timescale // max(movie.timescale, 1)
        else:
            media_time = edit.media_time
            break
    runs = stored.times.read(0, stored.times.count).astype(np.int64)
    first = next(stored.pieces())
    duration = int(runs[np.argmax(runs[:, 0]), 1])
    odd = runs[runs[:, 1] != duration, 0].sum()
    start = delay - media_time
    return ReferenceTrack(
        TrackHeader.read(require(trak, b"tkhd")).track,
        kind,
        stsd[entry.start : entry.end],
        timescale,
        duration,
        bool(odd <= max(1, 0.001 * stored.count)),
        start,
        start + int((first.dts + first.cts_offset)[:64].min()),
        np.diff(first.dts),
        _studied(source, first.offset, first.size, _LAST if kind == b"vide" else 0),
        first.size,
        _chunks(stored, first.size, runs, start, timescale),
        stored.count,
    )


def _studied(source: LocalFile, offset: Ints, size: Ints, last: int) -> tuple[bytes, ...]:
    """The first samples, and the last few, in which encoders do what they do nowhere else."""
    chosen = np.unique(np.append(np.arange(_STUDIED), len(offset) - 1 - np.arange(last)))
    chosen = chosen[(chosen >= 0) & (chosen < len(offset))]
    rows = zip(offset[chosen].tolist(), size[chosen].tolist(), strict=True)
    return tuple(source.read(at, length) for at, length in rows)


def _chunks(
    stored: StoredTable, sizes: Ints, durations: Ints, start: int, timescale: int
) -> Floats:
    """Byte, byte behind, begin and end in seconds of every chunk."""
    count = stored.chunks.count
    place = stored.chunks.read(0, count)[:, 0].astype(np.int64)
    spans = stored.chunk_runs.read(0, stored.chunk_runs.count).astype(np.int64)
    first_chunk = np.minimum(np.append(spans[:, 0], count + 1), count + 1)
    held = np.repeat(spans[:, 1], np.diff(first_chunk))
    last = np.minimum(np.cumsum(held), stored.count)
    first = np.append(0, last[:-1])
    counted = np.append(0, np.cumsum(durations[:, 0]))
    ticks = np.append(0, np.cumsum(durations[:, 0] * durations[:, 1]))
    begin, end = (np.interp(edge, counted, ticks) + start for edge in (first, last))
    if stored.sizes.common:
        behind = place + held * stored.sizes.common
    else:
        bytes_before = np.append(0, np.cumsum(sizes))
        known = np.minimum(last, len(sizes))
        behind = place + bytes_before[known] - bytes_before[np.minimum(first, len(sizes))]
        behind = np.where(last <= len(sizes), behind, np.nan)
    return np.stack([place, behind, begin / timescale, end / timescale], axis=1)
