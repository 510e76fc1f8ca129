"""The `moov` of a recording: read for what a repair needs, and built again around other samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from muxer.boxes import Box, Piece, children, find, nested, require
from muxer.errors import Mp4Error
from muxer.fragments import read_mvex
from muxer.movie import EditList, Handler, MediaHeader, MovieHeader, TrackBoxes, TrackHeader
from muxer.recording_file import METADATA_UUID, metadata_box
from muxer.sample_table import SampleTable
from muxer.written_table import WrittenTable

_PICTURE_HEADER = 78
"""Bytes of a VisualSampleEntry before its boxes (ISO/IEC 14496-12, 12.1.3)."""


@dataclass(frozen=True, slots=True, eq=False)
class MovieTrack:
    """One track as a `moov` describes it.

    `entry`   its sample entry, a whole box
    `shift`   ticks by which the times of fragments run ahead of the movie
    `table`   its samples, with movie time zero as tick 0; what is shown before has negative times
    """

    number: int
    kind: bytes
    entry: bytes
    timescale: int
    shift: int
    table: SampleTable

    @property
    def codec(self) -> str:
        """The four letters of the sample entry."""
        return self.entry[4:8].decode("latin-1")

    @property
    def length_size(self) -> int:
        """Bytes of the length before each NAL unit; 0 for a codec that has none."""
        record = self.entry[8 + _PICTURE_HEADER :]
        for kind, at in ((b"avcC", 4), (b"hvcC", 21)):
            configuration = find(record, kind) if self.codec in _NAL_CODECS else None
            if configuration is not None and len(configuration) > at:
                return (configuration[at] & 3) + 1
        return 0


_NAL_CODECS = frozenset({"avc1", "avc3", "hvc1", "hev1"})


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """What a `moov` says.

    `fragmented`  whether it is the first one of a recording, whose samples are in fragments
    `metadata`    the clip's own metadata; None where there are none or they are damaged
    `spoilt`      whether they are damaged
    """

    tracks: dict[int, MovieTrack]
    fragmented: bool
    metadata: dict[str, Any] | None
    spoilt: bool


def read_movie(moov: bytes, file_size: int) -> Movie:
    """From the content of a `moov` box. Mp4Error where anything in it does not fit."""
    header = MovieHeader.read(require(moov, b"mvhd"))
    tracks: dict[int, MovieTrack] = {}
    metadata, spoilt = None, False
    for child in children(moov):
        content = child.content(moov)
        if child.kind == b"trak":
            track = _read_track(content, header, file_size)
            tracks[track.number] = track
        elif child.kind == b"uuid" and content.startswith(METADATA_UUID.bytes):
            metadata = _read_metadata(content[16:])
            spoilt = metadata is None
    if not tracks:
        raise Mp4Error("the 'moov' has no tracks")
    return Movie(tracks, bool(read_mvex(moov)), metadata, spoilt)


def _read_track(trak: bytes, movie: MovieHeader, file_size: int) -> MovieTrack:
    tkhd = TrackHeader.read(require(trak, b"tkhd"))
    timescale = MediaHeader.read(require(trak, b"mdia", b"mdhd")).timescale
    stbl = require(trak, b"mdia", b"minf", b"stbl")
    stsd = require(stbl, b"stsd")
    entry = next(children(stsd, 8), None)
    if entry is None:
        raise Mp4Error(f"track {tkhd.track} has no sample entry")
    elst = find(trak, b"edts", b"elst")
    edits = EditList.read(elst).edits if elst is not None else ()
    delay = shift = 0
    for edit in edits:
        if edit.media_time < 0:
            delay = edit.duration * timescale // max(movie.timescale, 1)  # was rounded up
        else:
            shift = edit.media_time
    table = SampleTable.read(stbl, file_size)
    return MovieTrack(
        tkhd.track,
        Handler.read(require(trak, b"mdia", b"hdlr")).kind,
        stsd[entry.start : entry.end],
        timescale,
        shift,
        replace(table, dts=table.dts + delay - shift),
    )


def _read_metadata(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def rebuild(
    moov: bytes, tables: Mapping[int, SampleTable], metadata: Mapping[str, Any] | None
) -> bytes:
    """The `moov` box of a plain file: that of which `moov` is the content, with other samples.

    Tables count from movie time zero. Metadata stay as they are unless there are others.
    """
    header = MovieHeader.read(require(moov, b"mvhd"))
    parts: list[Piece] = []
    longest = 0
    for child in children(moov):
        content = child.content(moov)
        if child.kind == b"trak":
            boxes, entry = _boxes(content)
            table = WrittenTable.of(entry, tables[boxes.header.track])
            trak, duration = boxes.write(table, header.timescale)
            parts += trak
            longest = max(longest, duration)
        elif child.kind not in {b"mvhd", b"mvex"} and (
            metadata is None or not content.startswith(METADATA_UUID.bytes)
        ):
            parts.append(_whole(child, moov))
    if metadata is not None:
        parts.append(metadata_box(metadata))
    return b"".join(nested(b"moov", [replace(header, duration=longest).write(), *parts]))


def _boxes(trak: bytes) -> tuple[TrackBoxes, bytes]:
    """What is kept of a `trak`, and its sample entry."""
    mdia = require(trak, b"mdia")
    minf = require(mdia, b"minf")
    stsd = require(minf, b"stbl", b"stsd")
    entry = next(children(stsd, 8))
    boxes = TrackBoxes(
        TrackHeader.read(require(trak, b"tkhd")),
        MediaHeader.read(require(mdia, b"mdhd")),
        _others(trak, b"tkhd", b"edts", b"mdia"),
        _others(mdia, b"mdhd", b"minf"),
        _others(minf, b"stbl"),
    )
    return boxes, _whole(entry, stsd)


def _others(data: bytes, *kinds: bytes) -> tuple[bytes, ...]:
    return tuple(_whole(child, data) for child in children(data) if child.kind not in kinds)


def _whole(child: Box, data: bytes) -> bytes:
    return data[child.start : child.end]
