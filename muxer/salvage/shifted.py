"""Tables that are right but for where the media lie: by how much, and the `moov` made right.

An editor that changes what stands before the media, or a faulty "fast start", moves all samples by
the same number of bytes. The tables then tell everything else exactly, and only places change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from muxer.boxes import box, children, full_box, require
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.movie import Handler, TrackHeader
from muxer.salvage.carve import Carver, Samples
from muxer.salvage.codecs.scanner import Scanner
from muxer.salvage.own_movie import OwnMovie, OwnTrack
from muxer.salvage.recognise import Specimen, codec
from muxer.salvage.salvage import media_range
from muxer.sample_entries import CAMM_ENTRY
from muxer.sample_table import Ints
from muxer.source import ByteSource

_SEARCHED = 1 << 23
"""Bytes of media whose samples are searched for, to be compared with the tables."""
_NAMESAKES = 16
"""Samples of the same size, from which on a size tells nothing."""
_TRIED = 4
_CONTAINERS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_DATA_HANDLER = b"dhlr"
"""Of QuickTime's second `hdlr`, which says where the data are and not what."""
_MOTION_HANDLER = Handler(b"meta", "CameraMetadataMotionHandler").write()[8:]


def find_shift(source: ByteSource, movie: OwnMovie) -> int | None:
    """By how many bytes the media lie further on than the tables say; None where nothing fits."""
    found = list(_delimited(movie.tracks))
    if not found:
        return None
    start, end = media_range(source)
    media = Memory(source.read(start, min(end - start, _SEARCHED)), at=start)
    carved = Carver(media, [scanner for scanner, _ in found], [], start, media.size).carve(
        lambda at: None
    )
    tracks = [track for _, track in found]
    votes = [np.empty(0, np.int64)]
    for samples, track in zip(carved.found, tracks, strict=True):
        votes += [_votes(samples, track), (samples.offset - track.table.offset[:1])[:1]]
    shifts, counts = np.unique(np.concatenate(votes), return_counts=True)
    likely = shifts[np.argsort(-counts, kind="stable")][:_TRIED].tolist()
    return next((shift for shift in likely if movie.fits(source, shift, tracks)), None)


def _delimited(tracks: Sequence[OwnTrack]) -> Iterator[tuple[Scanner, OwnTrack]]:
    """One track of each codec whose samples are recognised by their sample entry alone."""
    seen = set()
    for track in tracks:
        if track.entry and len(track.table) and track.codec not in seen:
            seen.add(track.codec)
            try:
                known = codec(Specimen(track.entry, ()))
            except Mp4Error:
                continue
            if isinstance(known, Scanner):
                yield known, track


def _votes(found: Samples, track: OwnTrack) -> Ints:
    """Shifts with which samples that were found are some of the same size in the table."""
    table = track.table
    order = np.argsort(table.size, kind="stable")
    first, last = (
        np.searchsorted(table.size[order], found.size, side) for side in ("left", "right")
    )
    namesakes = np.where(last - first <= _NAMESAKES, last - first, 0)
    place = np.arange(namesakes.sum()) - np.repeat(np.cumsum(namesakes) - namesakes, namesakes)
    rows = order[np.repeat(first, namesakes) + place]
    votes: Ints = np.repeat(found.offset, namesakes) - table.offset[rows]
    return votes


def mended(content: bytes, shift: int, entries: Mapping[int, bytes], entry: bytes = b"") -> bytes:
    """The content of a `moov` for media that lie so many bytes further on. All else stays as it is.

    `entries` are sample entries for tracks that have none, `entry` the one for the track whose box
    this is.
    """
    parts = []
    for child in children(content):
        inside = child.content(content)
        if child.kind == b"trak":
            entry = entries.get(TrackHeader.read(require(inside, b"tkhd")).track, b"")
        if child.kind in _CONTAINERS:
            parts.append(box(child.kind, mended(inside, shift, entries, entry)))
        elif child.kind in {b"stco", b"co64"}:
            parts.append(_moved(child.kind, inside, shift))
        elif child.kind == b"stsd" and entry:
            parts.append(full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry))
        elif child.kind == b"hdlr" and entry == CAMM_ENTRY and inside[4:8] != _DATA_HANDLER:
            parts.append(box(b"hdlr", _MOTION_HANDLER))
        else:
            parts.append(content[child.start : child.end])
    return b"".join(parts)


def _moved(kind: bytes, table: bytes, shift: int) -> bytes:
    """`stco`, or `co64` where it has to be."""
    places = np.frombuffer(table, ">u4" if kind == b"stco" else ">u8", offset=8).astype(np.int64)
    places = places[: int.from_bytes(table[4:8])] + shift
    wide = kind == b"co64" or (len(places) > 0 and int(places.max()) >= 1 << 32)
    layout = ">u8" if wide else ">u4"
    return full_box(
        b"co64" if wide else b"stco",
        0,
        0,
        struct.pack(">I", len(places)),
        places.astype(layout).tobytes(),
    )
