"""The file of a recording: sound after every fragment, plain MP4 once it is finalised.

While recording:  ftyp | free to 4096 | free (16 bytes) | moov without samples | (moof mdat)*
Finalised:        ftyp | free to 4096 | mdat (spans all of the above) | moov with every sample
And, if possible: ftyp | free | moov | free | mdat        (muxer.moov_first)

A fragment is on the disk when `append` returns. Finalising appends the full `moov`, syncs, then
turns the placeholder `free` into the header of one `mdat` that spans everything up to that `moov`,
and syncs again: sixteen bytes inside one sector, so that a power cut leaves either the fragmented
file (with a second `moov` at its end, which readers of fragments pass over) or the plain one. No
media is moved or copied.
"""

from __future__ import annotations

import json
import math
import os
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from muxer.boxes import box, full_box
from muxer.disk import sync_folder, write_all
from muxer.fragments import Run, write_fragment, write_mvex
from muxer.moov_first import HEAD, bring_moov_first, copy_moov_first, free_box
from muxer.movie import Edit, EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.pcm import contiguous, frame_size
from muxer.sample_table import Ints, SampleTable

METADATA_UUID = uuid.UUID("6f1c2f9e-5d0b-4a55-9c3a-8b1d1b2e7c43")
"""User type of the `uuid` box in `moov` with the clip's own metadata, JSON in UTF-8."""

MOVIE_TIMESCALE = 1_000_000

_LONGEST_PAUSE = (1 << 31) - 1
"""Ticks from sample to sample; FFmpeg reads the 32 bits of a longer one as a negative number."""

_FTYP = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isom", b"iso6", b"mp41")
_BEFORE = _FTYP + free_box(HEAD - len(_FTYP))
_PLACEHOLDER = free_box(16)
_SELF_CONTAINED = box(
    b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
)

VIDEO_HEADER = full_box(b"vmhd", 0, 1, bytes(8))
AUDIO_HEADER = full_box(b"smhd", 0, 0, bytes(4))
METADATA_HEADER = full_box(b"nmhd", 0, 0)


@dataclass(frozen=True, slots=True)
class TrackSpec:
    """A track of the file before it has samples.

    `entry`   its sample entry, a whole box
    `media`   its media header box: VIDEO_HEADER, AUDIO_HEADER or METADATA_HEADER
    `shift`   ticks by which its decoding times run ahead of the movie, so that none is negative:
              B-frames and audio priming need it, and an edit list takes it back
    `filler`  a sample that says nothing, for pauses longer than 2^31 ticks
    """

    track: int
    handler: Handler
    media: bytes
    timescale: int
    entry: bytes
    shift: int = 0
    width: int = 0
    height: int = 0
    volume: int = 0
    filler: bytes = b""


@dataclass(frozen=True, slots=True)
class MovieDescription:
    """What the file says of itself: UTC of movie time zero, the camera, the clip's own metadata."""

    created: datetime | None
    make: str
    model: str
    metadata: Mapping[str, Any]
    serial: str = ""
    firmware: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """A run of samples in the file, as small as it can be kept: a recording may last for days."""

    offset: int
    size: npt.NDArray[np.unsignedinteger[Any]]
    first: int
    durations: npt.NDArray[np.unsignedinteger[Any]]
    cts_offset: Ints | None
    keyframe: npt.NDArray[np.uint8] | None

    @classmethod
    def of(cls, table: SampleTable) -> Self:
        durations = np.diff(table.dts, append=table.end)
        return cls(
            int(table.offset[0]),
            table.size.astype(np.min_scalar_type(int(table.size.max()))),
            int(table.dts[0]),
            durations.astype(np.min_scalar_type(int(durations.max()))),
            table.cts_offset if table.cts_offset.any() else None,
            None if table.keyframe.all() else np.packbits(table.keyframe),
        )

    def table(self) -> SampleTable:
        count = len(self.size)
        size = self.size.astype(np.int64)
        durations = self.durations.astype(np.int64)
        return SampleTable(
            self.offset + np.cumsum(size) - size,
            size,
            self.first + np.cumsum(durations) - durations,
            np.zeros(count, np.int64) if self.cts_offset is None else self.cts_offset,
            int(durations[-1]),
            np.ones(count, np.bool_)
            if self.keyframe is None
            else np.unpackbits(self.keyframe, count=count).astype(np.bool_),
        )


class RecordingFile:
    """A file that is being recorded.

    The path must be free. OSError passes through to the caller, who knows what the file was for.
    """

    def __init__(self, path: Path, tracks: Sequence[TrackSpec], about: MovieDescription) -> None:
        self.path = path
        self._tracks = tracks
        self._written: dict[int, list[_Written]] = {spec.track: [] for spec in tracks}
        self._fragments = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._end = 0
        try:
            self._append(_BEFORE + _PLACEHOLDER + self._moov(about, {}))
            sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, runs: Sequence[Run]) -> None:
        """Add one fragment and wait until it is on the disk."""
        self._fragments += 1
        data, tables = write_fragment(self._fragments, runs, self._end)
        self._append(data)
        for run, table in zip(runs, tables, strict=True):
            self._written[run.track].append(_Written.of(table))

    def finalise(self, about: MovieDescription, *, copy: bool = False) -> bool:
        """Turn the file into a plain MP4 that every reader accepts, and close it.

        True where its `moov` could be brought to the front, False where it is at the end. `copy`
        lets the media be copied for it, on file systems that cannot make room in front.
        """
        tables = {spec.track: self._table(spec) for spec in self._tracks}
        moov_at = self._end
        self._append(self._moov(about, tables))
        header = struct.pack(">I4sQ", 1, b"mdat", moov_at - len(_BEFORE))
        write_all(self._fd, header, len(_BEFORE))
        os.fdatasync(self._fd)

        def build(shift: int) -> bytes:
            return self._moov(
                about,
                {
                    track: replace(table, offset=table.offset + shift)
                    for track, table in tables.items()
                },
            )

        moved = bring_moov_first(self._fd, len(_FTYP), moov_at, build)
        if copy and not moved:
            self._copy(moov_at, build)
            moved = True
        self.close()
        return moved

    def _copy(self, moov_at: int, build: Callable[[int], bytes]) -> None:
        """Put a copy with its `moov` first in the place of the file, once it is whole."""
        path = self.path.with_name(f"{self.path.name}.copy")
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            copy_moov_first(self._fd, out, len(_FTYP), moov_at, build)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(out)
        path.rename(self.path)

    def rename(self, path: Path) -> None:
        """Give the file its final name."""
        self.path.rename(path)
        self.path = path
        sync_folder(path.parent)

    def close(self) -> None:
        """Close it as it stands. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, data: bytes) -> None:
        write_all(self._fd, data, self._end)
        self._end += len(data)
        os.fdatasync(self._fd)

    def _table(self, spec: TrackSpec) -> SampleTable:
        """All samples of a track, pauses that are too long for a table divided."""
        table = SampleTable.join([run.table() for run in self._written[spec.track]])
        frame = frame_size(spec.entry)
        if frame and len(table):
            frames = table.size // frame
            dts = contiguous(table.dts, frames, spec.timescale)
            return replace(table, dts=dts, duration=int(frames[-1]))
        pauses = np.diff(table.dts) // _LONGEST_PAUSE
        if not spec.filler or not pauses.any():
            return table
        at = self._end + 8
        self._append(box(b"mdat", spec.filler))
        before = np.flatnonzero(pauses)
        number = np.concatenate([np.arange(1, pauses[row] + 1) for row in before])
        place = np.repeat(before, pauses[before])
        return replace(
            table,
            offset=np.insert(table.offset, place + 1, at),
            size=np.insert(table.size, place + 1, len(spec.filler)),
            dts=np.insert(table.dts, place + 1, table.dts[place] + number * _LONGEST_PAUSE),
            cts_offset=np.insert(table.cts_offset, place + 1, 0),
            keyframe=np.insert(table.keyframe, place + 1, True),
        )

    def _moov(self, about: MovieDescription, tables: Mapping[int, SampleTable]) -> bytes:
        """The `moov` of a plain file, or without tables that of one in fragments."""
        traks, durations = [], [0]
        for spec in self._tracks:
            table = tables.get(spec.track, SampleTable.empty())
            trak, duration = _trak(spec, table, about.created)
            traks.append(trak)
            durations.append(duration)
        last = max((spec.track for spec in self._tracks), default=0)
        header = MovieHeader(about.created, MOVIE_TIMESCALE, max(durations), last + 1)
        mvex = [] if tables else [write_mvex([spec.track for spec in self._tracks])]
        return box(b"moov", header.write(), *traks, *mvex, _udta(about), _metadata(about.metadata))


def _trak(spec: TrackSpec, table: SampleTable, created: datetime | None) -> tuple[bytes, int]:
    """The `trak` box and the track's duration in the movie's timescale."""

    def movie_ticks(ticks: int) -> int:
        return -(-ticks * MOVIE_TIMESCALE // spec.timescale)  # up: no reader may lose the last one

    # In the tables of a plain file time starts at the first sample; what lies before it is an edit.
    first = int(table.dts[0]) if len(table) else 0
    table = replace(table, dts=table.dts - first)
    delay, media_time = max(first - spec.shift, 0), max(spec.shift - first, 0)
    shown = movie_ticks(max(table.shown_until - media_time, 0))
    edits = [Edit(movie_ticks(delay), -1)] if delay else []
    if edits or media_time:
        edits.append(Edit(shown, media_time))
    duration = movie_ticks(delay) + shown
    header = TrackHeader(
        spec.track, created, duration, spec.width, spec.height, spec.volume
    ).write()
    elst = [box(b"edts", EditList(tuple(edits)).write())] if edits else []
    minf = box(b"minf", spec.media, _SELF_CONTAINED, table.write(spec.entry))
    mdhd = MediaHeader(created, spec.timescale, table.end).write()
    return box(b"trak", header, *elst, box(b"mdia", mdhd, spec.handler.write(), minf)), duration


def _udta(about: MovieDescription) -> bytes:
    """Who made it: in the boxes that Street View wants, and in those that QuickTime has."""
    boxes = []
    for plain, quicktime, text in (
        (b"manu", b"\xa9mak", about.make),
        (b"modl", b"\xa9mod", about.model),
        (b"slno", None, about.serial),
        (b"FIRM", b"\xa9swr", about.firmware),
    ):
        encoded = text.encode()
        if encoded:
            boxes.append(box(plain, encoded))
            if quicktime:
                boxes.append(box(quicktime, struct.pack(">HH", len(encoded), 0x55C4), encoded))
    return box(b"udta", *boxes)


def _finite(value: object) -> object:
    """The value as JSON can say it: what is not finite is not known."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case _:
            return value


def _metadata(metadata: Mapping[str, Any]) -> bytes:
    text = json.dumps(_finite(metadata), ensure_ascii=False, allow_nan=False, sort_keys=True)
    return box(b"uuid", METADATA_UUID.bytes, text.encode())
