"""Opening a clip: from the boxes of a file to tables in memory."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from muxer.boxes import Box, children, find, parse_header, require
from muxer.clip import Clip, Track
from muxer.errors import Mp4Error, NoCammError
from muxer.fragments import TrackDefaults, count_samples, read_fragment, read_mvex
from muxer.moov_first import HEAD, read_journal
from muxer.movie import EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.recording_file import METADATA_UUID
from muxer.sample_table import SampleTable
from muxer.source import ByteSource, open_source

_TOP_LEVEL = frozenset(
    b"ftyp moov mdat moof free skip wide uuid meta udta sidx mfra pdin styp pnot emsg prft".split()
)
_LONGEST_MOOV = 1 << 31


def open(path: str | os.PathLike[str]) -> Clip:  # noqa: A001 - clip = muxer.reader.open(path)
    """Open a clip of any maker, finished or still in fragments.

    UsageError where there is no such file, Mp4Error where it is no MP4 or damaged. A clip without
    metadata opens; ask `require_camm` where it is needed.
    """
    source = open_source(path)
    try:
        return _read(source)
    except BaseException:
        source.close()
        raise


def require_camm(clip: Clip) -> Clip:
    """The clip, once it is known to carry camera motion metadata; else NoCammError."""
    if not clip.camm_tracks:
        codecs = ", ".join(track.codec or "?" for track in clip.tracks) or "no tracks"
        raise NoCammError(
            f"{clip.path} has no camera motion metadata (it has {codecs}): was it recorded with it?"
        )
    return clip


def top_level(source: ByteSource, shift: int = 0) -> Iterator[Box]:
    """The boxes of a file one after another; the last may claim to end behind the file.

    `shift` is how far everything behind HEAD has moved, in a file whose move was interrupted.
    """
    at = 0
    while source.size - at >= 8:
        head = source.read(at, 16)
        found = parse_header(head, 0, source.size - at)
        yield Box(found.kind, at, at + found.body, at + found.end)
        at += found.end + (shift if at + found.end == HEAD else 0)


def _read(source: ByteSource) -> Clip:
    boxes: list[Box] = []
    journal = read_journal(source.read(0, HEAD), source.size)
    shift = journal.shift if journal is not None else 0
    try:
        for box in top_level(source, shift):
            if not boxes and box.kind not in _TOP_LEVEL:
                break
            boxes.append(box)
    except Mp4Error:
        if not boxes:
            raise Mp4Error(_not_mp4(source)) from None
    if not boxes:
        raise Mp4Error(_not_mp4(source))
    moov_at = next((box for box in boxes if box.kind == b"moov" and box.end <= source.size), None)
    if moov_at is None:
        raise Mp4Error(
            f"{source.name} has no whole 'moov' box: the recording was not finished or cut; "
            "its samples cannot be found without it"
        )
    if moov_at.end - moov_at.body > _LONGEST_MOOV:
        raise Mp4Error(f"{source.name}: a 'moov' box of {moov_at.end - moov_at.body} bytes")
    moov = source.read(moov_at.body, moov_at.end - moov_at.body)
    header = MovieHeader.read(require(moov, b"mvhd"))
    tracks: list[Track] = []
    room = source.size  # for samples, of which an honest file has no more than bytes
    for child in children(moov):
        if child.kind == b"trak":
            tracks.append(_read_track(child.content(moov), header, room))
            room -= len(tracks[-1].table)
    defaults = read_mvex(moov)
    if defaults:
        tracks = _with_fragments(source, boxes, tracks, defaults, room)
    if shift:
        tracks = [
            replace(track, table=replace(track.table, offset=track.table.offset + shift))
            for track in tracks
        ]
    udta = find(moov, b"udta") or b""
    data = next((box.start for box in boxes if box.kind == b"mdat"), source.size)
    return Clip(
        source,
        tracks,
        created=header.created,
        make=_text(udta, b"manu", b"\xa9mak", b"@mak"),
        model=_text(udta, b"modl", b"\xa9mod", b"@mod"),
        metadata=_metadata(moov),
        fragmented=bool(defaults),
        moov_first=moov_at.start < data,
    )


def _not_mp4(source: ByteSource) -> str:
    return f"{source.name} is no MP4 file: expected boxes such as 'ftyp' and 'moov' in it"


def _read_track(trak: bytes, movie: MovieHeader, room: int) -> Track:
    tkhd = TrackHeader.read(require(trak, b"tkhd"))
    mdhd = MediaHeader.read(require(trak, b"mdia", b"mdhd"))
    elst = find(trak, b"edts", b"elst")
    handler = Handler.read(require(trak, b"mdia", b"hdlr"))
    stbl = require(trak, b"mdia", b"minf", b"stbl")
    stsd = require(stbl, b"stsd")
    entries = list(children(stsd, 8))
    first = entries[0].content(stsd) if entries else b""
    video = handler.kind == b"vide" and len(first) >= 28
    audio = handler.kind == b"soun" and len(first) >= 28
    width, height = struct.unpack_from(">HH", first, 24) if video else (0, 0)
    channels, rate = struct.unpack_from(">H6xI", first, 16) if audio else (0, 0)
    return Track(
        tkhd.track,
        handler,
        tuple(entry.kind.decode("latin-1") for entry in entries),
        mdhd.timescale,
        mdhd.duration,
        SampleTable.read(stbl, room),
        EditList.read(elst) if elst is not None else EditList(()),
        movie.timescale,
        width,
        height,
        rate >> 16,
        channels,
    )


def _with_fragments(
    source: ByteSource,
    boxes: list[Box],
    tracks: list[Track],
    defaults: dict[int, TrackDefaults],
    room: int,
) -> list[Track]:
    tables: dict[int, list[SampleTable]] = {track.number: [track.table] for track in tracks}
    for box in boxes:
        if box.kind == b"moof" and box.end <= source.size:
            moof = source.read(box.body, box.end - box.body)
            room -= count_samples(moof)
            if room < 0:
                raise Mp4Error(f"{source.name}: its fragments claim more samples than it has bytes")
            ends = {number: parts[-1].end for number, parts in tables.items()}
            found = read_fragment(moof, box.start, defaults, ends, source.size)
            for number, table in found.items():
                tables.setdefault(number, []).append(table)
    return [replace(track, table=SampleTable.join(tables[track.number])) for track in tracks]


def _text(udta: bytes, plain: bytes, *counted: bytes) -> str:
    content = find(udta, plain)
    if content is None:
        content = next((found[4:] for kind in counted if (found := find(udta, kind))), b"")
    return content.rstrip(b"\0").decode("utf-8", "replace")


def _metadata(moov: bytes) -> dict[str, Any]:
    for child in children(moov):
        content = child.content(moov)
        if child.kind == b"uuid" and content.startswith(METADATA_UUID.bytes):
            try:
                found = json.loads(content[16:])
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}
