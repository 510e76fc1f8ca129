"""The `moov` of a recording: read for what a repair needs, and built again around other samples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from muxer.boxes import Box, box, children, find, require
from muxer.errors import Mp4Error
from muxer.fragments import read_mvex
from muxer.movie import Edit, EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.recording_file import METADATA_UUID
from muxer.sample_table import SampleTable

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
    parts, durations = [], [0]
    for child in children(moov):
        content = child.content(moov)
        if child.kind == b"trak":
            track = TrackHeader.read(require(content, b"tkhd")).track
            trak, duration = _trak(content, tables[track], header.timescale)
            parts.append(trak)
            durations.append(duration)
        elif child.kind not in {b"mvhd", b"mvex"} and (
            metadata is None or not content.startswith(METADATA_UUID.bytes)
        ):
            parts.append(_whole(child, moov))
    if metadata is not None:
        text = json.dumps(metadata, ensure_ascii=False, sort_keys=True)
        parts.append(box(b"uuid", METADATA_UUID.bytes, text.encode()))
    return box(b"moov", replace(header, duration=max(durations)).write(), *parts)


def _trak(trak: bytes, table: SampleTable, movie_timescale: int) -> tuple[bytes, int]:
    """The `trak` box with these samples, and the track's duration in the movie's timescale."""
    media = MediaHeader.read(require(trak, b"mdia", b"mdhd"))

    def movie_ticks(ticks: int) -> int:
        return -(-ticks * movie_timescale // media.timescale)  # up: no reader may lose the last one

    # In the file time starts at the first sample, and an edit list says where that is. A pause must
    # end where something is shown: FFmpeg moves what is shown first to its end.
    first = int(table.dts[0]) if len(table) else 0
    delay = max(int((table.dts + table.cts_offset).min()), 0) if len(table) else 0
    media_time = max(delay - first, 0)
    table = replace(table, dts=table.dts - first)
    shown = movie_ticks(max(table.shown_until - media_time, 0))
    edits = [Edit(movie_ticks(delay), -1)] if delay else []
    if edits or media_time:
        edits.append(Edit(shown, media_time))
    duration = movie_ticks(delay) + shown
    header = replace(TrackHeader.read(require(trak, b"tkhd")), duration=duration).write()
    elst = [box(b"edts", EditList(tuple(edits)).write())] if edits else []
    others = [_whole(child, trak) for child in _others(trak, b"tkhd", b"edts", b"mdia")]
    mdia = require(trak, b"mdia")
    minf = require(mdia, b"minf")
    stsd = require(minf, b"stbl", b"stsd")
    entry = next(children(stsd, 8))
    stbl = table.write(stsd[entry.start : entry.end])
    return (
        box(
            b"trak",
            header,
            *elst,
            *others,
            box(
                b"mdia",
                replace(media, duration=table.end).write(),
                *(_whole(child, mdia) for child in _others(mdia, b"mdhd", b"minf")),
                box(b"minf", *(_whole(child, minf) for child in _others(minf, b"stbl")), stbl),
            ),
        ),
        duration,
    )


def _others(data: bytes, *kinds: bytes) -> Iterator[Box]:
    return (child for child in children(data) if child.kind not in kinds)


def _whole(child: Box, data: bytes) -> bytes:
    return data[child.start : child.end]
