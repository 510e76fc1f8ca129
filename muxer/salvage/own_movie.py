"""What a damaged file's own `moov` is worth: whether its samples lie where its tables say.

A `moov` may be whole and wrong all the same: an editor has moved the media and not the tables, a
remux has emptied a sample description, the file was cut behind a `moov` that stands in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from camm import PacketType
from muxer import reader
from muxer.boxes import Box, children, find, parse_header, require
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.fragments import read_mvex
from muxer.movie import EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.pcm import CODECS, frame_size
from muxer.reader import top_level
from muxer.salvage.codecs.camm import CammScanner
from muxer.salvage.codecs.scanner import Bools, Filler, Scanner
from muxer.salvage.codecs.unknown import EqualFiller, LearnedFiller, LearnedScanner
from muxer.salvage.recognise import Specimen, codec
from muxer.salvage.reference import Reference
from muxer.sample_entries import CAMM_ENTRY
from muxer.sample_table import SampleTable
from muxer.source import ByteSource
from muxer.stored_table import StoredTable

_BLOCK = 1 << 22
_NEAR = 1 << 26
_TESTED = 32
"""Samples of a track, from its first to its last, that are looked at."""
_ALL = 1 << 62
_HEALTHY = 0.5
"""Share of samples that must be whole: a place that is wrong by one byte leaves none of them so."""
_MOST_TIMES = 4
"""How many times its own size a file may have had before it was cut."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnTrack:
    """One track as the file's own `moov` has it.

    `entry`  its sample entry, a whole box; empty where there is none
    `start`  movie time of its first sample's decoding, in ticks
    `table`  counts from the beginning of its media; of PCM a row for each chunk
    """

    number: int
    kind: bytes
    entry: bytes
    timescale: int
    start: int
    table: SampleTable

    @property
    def codec(self) -> str:
        """The four letters of the sample entry; "?" where there is none."""
        return self.entry[4:8].decode("latin-1") or "?"

    def inside(self, source: ByteSource, shift: int) -> Bools:
        """Which samples lie within the file, if all lie so many bytes further on."""
        offset = self.table.offset + shift
        within: Bools = (offset >= 0) & (offset + self.table.size <= source.size)
        return within


@dataclass(frozen=True, slots=True, eq=False)
class OwnMovie:
    """A `moov` that can be read.

    `box`         where it lies
    `reached`     whether the chain of the file's boxes leads to it
    `fragmented`  whether samples are in fragments
    `damaged`     whether some of these are lost
    """

    box: Box
    content: bytes
    tracks: tuple[OwnTrack, ...]
    reached: bool
    fragmented: bool = False
    damaged: bool = False

    def fits(self, source: ByteSource, shift: int, tracks: Sequence[OwnTrack] = ()) -> bool | None:
        """Whether samples are where the tables say, if all media lie so many bytes further on.

        None where no track's bytes can tell.
        """
        shares = [
            share
            for track in tracks or self.tracks
            if (share := _share(source, track, shift)) is not None
        ]
        return min(shares) >= _HEALTHY if shares else None

    def missing_entries(
        self, source: ByteSource, reference: Reference | None
    ) -> Mapping[int, bytes]:
        """Sample entries for tracks that have lost theirs, as far as their samples tell which.

        Camera motion is recognised by itself; other codecs are compared with the healthy file's.
        """
        found = {}
        for track in self.tracks:
            if track.entry or not len(track.table):
                continue
            samples = _specimens(source, track, 0)
            known = [CAMM_ENTRY] if track.kind != b"vide" else []
            known += [
                r.entry for r in (reference.tracks if reference else ()) if r.kind == track.kind
            ]
            for entry in known:
                if (_whole_share(Specimen(entry, samples)) or 0) >= _HEALTHY:
                    found[track.number] = entry
                    break
        return found


def own_movie(source: ByteSource, *, everywhere: bool = True) -> OwnMovie | None:
    """The `moov` that counts, or else the last one that is left; None without any.

    It is looked for near both ends of the file, and `everywhere` between them if so wanted.
    """
    for box in _chain(source):
        if box.kind == b"moov" and (found := _read(source, box, reached=True)) is not None:
            return _with_fragments(source, found) if found.fragmented else found
    candidates = (
        _read(source, box, reached=False) for box in _strays(source, everywhere=everywhere)
    )
    return next((found for found in candidates if found is not None), None)


def _chain(source: ByteSource) -> Iterator[Box]:
    try:
        for box in top_level(source):
            if box.end > source.size:
                return
            yield box
    except Mp4Error:
        return


def _strays(source: ByteSource, *, everywhere: bool) -> Iterator[Box]:
    """Whole boxes called `moov`, wherever they lie, from the end of the file to its beginning."""
    end = source.size
    while end > 0:
        if not everywhere and _NEAR < end < source.size - _NEAR:
            end = _NEAR
        begin = max(0, end - _BLOCK)
        block = source.read(begin, end - begin + 3)
        place = block.rfind(b"moov")
        while place >= 0:
            at = begin + place - 4
            try:
                box = parse_header(source.read(max(at, 0), 16), 0, source.size - at)
            except Mp4Error:
                box = Box(b"", 0, 0, source.size)
            if at >= 0 and at + box.end <= source.size:
                yield Box(box.kind, at, at + box.body, at + box.end)
            place = block.rfind(b"moov", 0, place + 3)
        end = begin


def _read(source: ByteSource, box: Box, *, reached: bool) -> OwnMovie | None:
    """None where any of it contradicts itself."""
    content = source.read(box.body, box.end - box.body)
    try:
        header = MovieHeader.read(require(content, b"mvhd"))
        tracks = tuple(
            _track(child.content(content), header, source.size)
            for child in children(content)
            if child.kind == b"trak"
        )
        fragmented = bool(read_mvex(content))
    except Mp4Error:
        return None
    return OwnMovie(box, content, tracks, reached, fragmented) if tracks else None


def _with_fragments(source: ByteSource, movie: OwnMovie) -> OwnMovie:
    """With the samples that are in fragments, as far as these are whole."""
    try:
        with reader.open(source.name) as clip:
            tables = {track.number: track.table for track in clip.tracks}
            damaged = any("damaged fragment" in fault for fault in clip.faults)
    except Mp4Error:
        return replace(movie, damaged=True)
    *_, last = top_level(source)
    tracks = tuple(replace(track, table=tables[track.number]) for track in movie.tracks)
    return replace(movie, tracks=tracks, damaged=damaged or last.end > source.size)


def _track(trak: bytes, movie: MovieHeader, size: int) -> OwnTrack:
    mdia = require(trak, b"mdia")
    stbl = require(mdia, b"minf", b"stbl")
    stsd = require(stbl, b"stsd")
    entry = next((stsd[e.start : e.end] for e in children(stsd, 8)), b"")
    timescale = MediaHeader.read(require(mdia, b"mdhd")).timescale
    elst = find(trak, b"edts", b"elst")
    delay = media_time = 0
    for edit in EditList.read(elst).edits if elst is not None else ():
        if edit.media_time >= 0:
            media_time = edit.media_time
            break
        delay += edit.duration * timescale // max(movie.timescale, 1)
    stored = StoredTable.find(Memory(stbl), Box(b"stbl", 0, 0, len(stbl)), _MOST_TIMES * size)
    return OwnTrack(
        TrackHeader.read(require(trak, b"tkhd")).track,
        Handler.read(require(mdia, b"hdlr")).kind,
        entry,
        timescale,
        delay - media_time,
        stored.whole(by_chunk=entry[4:8].decode("latin-1") in CODECS),
    )


def _share(source: ByteSource, track: OwnTrack, shift: int) -> float | None:
    """The share of samples that are whole; None where the track's bytes do not tell."""
    if not track.entry or not len(track.table):
        return None
    samples = _specimens(source, track, shift)
    return _whole_share(Specimen(track.entry, samples)) if samples else 0.0


def _specimens(source: ByteSource, track: OwnTrack, shift: int) -> tuple[bytes, ...]:
    """Some of the samples that lie within the file."""
    rows = np.flatnonzero(track.inside(source, shift) & (track.table.size > 0))
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(_TESTED, len(rows))).astype(np.int64))]
    offset, size = track.table.offset[rows] + shift, track.table.size[rows]
    return tuple(
        source.read(at, length) for at, length in zip(offset.tolist(), size.tolist(), strict=True)
    )


def _whole_share(specimen: Specimen) -> float | None:
    if frame_size(specimen.entry):
        return None
    try:
        known = codec(specimen)
    except Mp4Error:
        return None
    if isinstance(known, LearnedScanner | LearnedFiller | EqualFiller):
        return None  # learned from what it would have to judge
    whole = [_is_whole(known, sample) for sample in specimen.samples]
    return sum(whole) / len(whole) if whole else None


def _is_whole(known: Scanner | Filler, sample: bytes) -> bool:
    """Whether the bytes are one sample or several, and nothing else."""
    media = Memory(sample)
    if isinstance(known, CammScanner):
        known = CammScanner(frozenset(PacketType))
    if isinstance(known, Scanner):
        run = known.run(media, 0, _ALL)
        return run is not None and run.end == len(sample)
    return known.divide(media, 0, len(sample), range(1, 2)) is not None


def placed(track: OwnTrack, rows: Bools, shift: int) -> SampleTable:
    """The rows of the track's table, where they lie."""
    table = track.table.only(rows)
    return replace(table, offset=table.offset + shift)
