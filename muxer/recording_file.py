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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from muxer.boxes import Piece, box, full_box, nested
from muxer.disk import sync_folder, write_all, write_pieces
from muxer.fragments import Run, write_fragment, write_mvex
from muxer.moov_first import HEAD, Build, bring_moov_first, copy_moov_first, free_box
from muxer.movie import Handler, MediaHeader, MovieHeader, TrackBoxes, TrackHeader, write_ftyp
from muxer.pauses import divided, too_long
from muxer.pcm import contiguous, frame_size
from muxer.sample_table import Ints, SampleTable
from muxer.written_table import WrittenTable

METADATA_UUID = uuid.UUID("6f1c2f9e-5d0b-4a55-9c3a-8b1d1b2e7c43")
"""User type of the `uuid` box in `moov` with the clip's own metadata, JSON in UTF-8."""

MOVIE_TIMESCALE = 1_000_000

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
    `alternate_group`  shared by tracks of which one is to be played at a time; 0: none
    `filler`  a sample that says nothing, for pauses longer than 2^31 ticks
    `in_trak` whole boxes beside those that every track has
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
    alternate_group: int = 0
    filler: bytes = b""
    in_trak: tuple[bytes, ...] = ()

    def boxes(self, created: datetime | None) -> TrackBoxes:
        """What the track's `trak` says besides its samples."""
        return TrackBoxes(
            TrackHeader(
                self.track,
                created,
                0,
                self.width,
                self.height,
                self.volume,
                self.alternate_group,
            ),
            MediaHeader(created, self.timescale, 0),
            in_trak=self.in_trak,
            in_mdia=(self.handler.write(),),
            in_minf=(self.media, _SELF_CONTAINED),
        )


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
        self._ftyp = write_ftyp(spec.entry for spec in tracks)
        try:
            before = [self._ftyp, free_box(HEAD - len(self._ftyp)), _PLACEHOLDER]
            self._append([*before, *self._moov(about, None)])
            sync_folder(path.parent)
        except OSError:
            self.close()
            raise

    def append(self, runs: Sequence[Run]) -> None:
        """Add one fragment and wait until it is on the disk."""
        self._fragments += 1
        data, tables = write_fragment(self._fragments, runs, self._end)
        self._append([data])
        for run, table in zip(runs, tables, strict=True):
            self._written[run.track].append(_Written.of(table))

    def finalise(self, about: MovieDescription, *, copy: bool = False) -> bool:
        """Turn the file into a plain MP4 that every reader accepts, and close it.

        True where its `moov` could be brought to the front, False where it is at the end. `copy`
        lets the media be copied for it, on file systems that cannot make room in front.
        """
        tables = {spec.track: self._table(spec) for spec in self._tracks}

        def build(shift: int) -> list[Piece]:
            return self._moov(about, tables, shift)

        moov_at = self._end
        self._append(build(0))
        write_all(self._fd, struct.pack(">I4sQ", 1, b"mdat", moov_at - HEAD), HEAD)
        os.fdatasync(self._fd)
        moved = bring_moov_first(self._fd, len(self._ftyp), moov_at, build)
        if copy and not moved:
            self._copy(moov_at, build)
            moved = True
        self.close()
        return moved

    def _copy(self, moov_at: int, build: Build) -> None:
        """Put a copy with its `moov` first in the place of the file, once it is whole."""
        path = self.path.with_name(f"{self.path.name}.copy")
        out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            copy_moov_first(self._fd, out, len(self._ftyp), moov_at, build)
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

    def _append(self, pieces: Sequence[Piece]) -> None:
        write_pieces(self._fd, pieces, self._end)
        self._end += sum(map(len, pieces))
        os.fdatasync(self._fd)

    def _table(self, spec: TrackSpec) -> WrittenTable:
        """All samples of a track as a plain file tells them, pauses that are too long divided."""
        written = WrittenTable(spec.entry)
        filler_at = None
        for table in self._stretches(spec):
            if not spec.filler or not too_long(table):
                written.add(table)
                continue
            if filler_at is None:
                filler_at = self._end + 8
                self._append([box(b"mdat", spec.filler)])
            written.add(divided(table, filler_at, len(spec.filler)))
        return written

    def _stretches(self, spec: TrackSpec) -> Iterator[SampleTable]:
        """The samples of a track, by the fragment; each lasts until the next."""
        fragments = self._written[spec.track]
        frame = frame_size(spec.entry)
        if frame:
            table = SampleTable.join([fragment.table() for fragment in fragments])
            frames = table.size // frame
            dts = contiguous(table.dts, frames, spec.timescale)
            yield replace(table, dts=dts, duration=int(frames[-1:].sum()))
            return
        for fragment, following in zip_longest(fragments, fragments[1:]):
            table = fragment.table()
            if following is not None:
                table = replace(table, duration=following.first - int(table.dts[-1]))
            yield table

    def _moov(
        self, about: MovieDescription, tables: Mapping[int, WrittenTable] | None, shift: int = 0
    ) -> list[Piece]:
        """The `moov` of a plain file whose media lie `shift` bytes further on than `tables` say.

        Without tables it is that of a file in fragments.
        """
        traks: list[Piece] = []
        duration = 0
        for spec in self._tracks:
            table = tables[spec.track] if tables else WrittenTable(spec.entry)
            trak, shown = spec.boxes(about.created).write(
                table, MOVIE_TIMESCALE, ahead=spec.shift, shift=shift
            )
            traks += trak
            duration = max(duration, shown)
        last = max((spec.track for spec in self._tracks), default=0)
        header = MovieHeader(about.created, MOVIE_TIMESCALE, duration, last + 1).write()
        mvex = [] if tables else [write_mvex([spec.track for spec in self._tracks])]
        ours = [_udta(about), metadata_box(about.metadata)]
        return nested(b"moov", [header, *traks, *mvex, *ours])


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


def metadata_box(metadata: Mapping[str, Any]) -> bytes:
    """The clip's own metadata as a `uuid` box."""
    text = json.dumps(_finite(metadata), ensure_ascii=False, allow_nan=False, sort_keys=True)
    octets = text.encode(errors="replace")  # the name of a log may be in no encoding at all
    return box(b"uuid", METADATA_UUID.bytes, octets)
