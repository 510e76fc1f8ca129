"""Opening a clip: from the boxes of a file to tables in memory."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Self

from muxer import file_boxes
from muxer.boxes import Box, children, parse_header
from muxer.clip import Clip
from muxer.errors import Mp4Error, NoCammError
from muxer.file_boxes import Memory
from muxer.madv import find_madv
from muxer.moov_first import HEAD, read_journal
from muxer.movie import EditList, Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.projection import Projection
from muxer.recording_file import METADATA_UUID
from muxer.source import ByteSource, open_source
from muxer.stored_fragments import Damage, FragmentedTable, StoredFragments, next_fragment
from muxer.stored_table import StoredTable
from muxer.track import CammTrack, Track

_TOP_LEVEL = frozenset(
    b"ftyp moov mdat moof free skip wide uuid meta udta sidx mfra pdin styp pnot emsg prft".split()
)
_MOOV_IN_MEMORY = 1 << 25
"""Bytes up to which a `moov` is read as a whole, which is one request where the file is remote."""
_MOTION = b"application/motion"


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
    """The clip, once it is known to carry a camera motion metadata track; else NoCammError."""
    if not clip.camm_tracks:
        codecs = ", ".join(track.codec or "?" for track in clip.tracks) or "no tracks"
        raise NoCammError(
            f"{clip.path} has no camera motion metadata (it has {codecs}): was it recorded with it?"
        )
    return clip


def require_motion(clip: Clip) -> Clip:
    """The clip, once it is known to have motion metadata, in a track or elsewhere."""
    return clip if clip.madv is not None else require_camm(clip)


def top_level(source: ByteSource, shift: int = 0, at: int = 0) -> Iterator[Box]:
    """The boxes of a file one after another from byte `at`; the last may claim to end behind it.

    `shift` is how far everything behind HEAD has moved, in a file whose move was interrupted.
    """
    while source.size - at >= 8:
        head = source.read(at, 16)
        found = parse_header(head, 0, source.size - at)
        yield Box(found.kind, at, at + found.body, at + found.end)
        at += found.end + (shift if at + found.end == HEAD else 0)


def _read(source: ByteSource) -> Clip:
    journal = read_journal(source.read(0, HEAD), source.size)
    shift = journal.shift if journal is not None else 0
    boxes, damage = _whole_file(source, shift)
    moov = next((box for box in boxes if box.kind == b"moov" and box.end <= source.size), None)
    if moov is None:
        raise Mp4Error(
            f"{source.name} has no whole 'moov' box: the recording was not finished or cut; "
            "its samples cannot be found without it"
        )
    length = moov.end - moov.body
    tables: ByteSource = source
    if length <= _MOOV_IN_MEMORY:
        tables = Memory(source.read(moov.body, length), at=moov.body, name=source.name)
    inside: dict[bytes, list[Box]] = {}
    for box in file_boxes.children(tables, moov.body, moov.end):
        inside.setdefault(box.kind, []).append(box)
    header = MovieHeader.read(file_boxes.content(tables, file_boxes.require(tables, moov, b"mvhd")))
    room = source.size  # for samples, of which an honest file has no more than bytes
    traks = []
    for trak in inside.get(b"trak", ()):
        traks.append(_Trak.find(tables, trak, room, shift))
        room -= traks[-1].stored.count
    fragments = None
    if mvex := inside.get(b"mvex"):
        content = tables.read(mvex[0].start, mvex[0].end - mvex[0].start)
        fragments = StoredFragments.open(source, boxes, content, room, damage)
    udta = b"".join(file_boxes.content(tables, box) for box in inside.get(b"udta", [])[:1])
    media_at = next((box.start for box in boxes if box.kind == b"mdat"), source.size)
    return Clip(
        source,
        [trak.track(source, header.timescale, fragments) for trak in traks],
        created=header.created,
        make=_text(udta, b"manu", b"\xa9mak", b"@mak"),
        model=_text(udta, b"modl", b"\xa9mod", b"@mod"),
        metadata=_metadata(tables, inside.get(b"uuid", ())),
        fragmented=fragments is not None,
        moov_first=moov.start < media_at,
        madv_boxes=find_madv(udta),
        damage=damage,
    )


def _whole_file(source: ByteSource, shift: int) -> tuple[list[Box], Damage]:
    """All boxes of the file, and what was passed over between them.

    Where a header is damaged the boxes end; but in fragments one goes on with the next that can be
    found. Mp4Error where the file does not begin with a box.
    """
    boxes = _from(source, 0, shift)
    if not boxes or boxes[0].kind not in _TOP_LEVEL:
        raise Mp4Error(
            f"{source.name} is no MP4 file: expected boxes such as 'ftyp' and 'moov' in it"
        )
    damage: Damage = set()
    at = 0
    while not _is_chain(boxes, source.size) and _in_fragments(source, boxes):
        boxes = [*takewhile(_has_letters, boxes)]
        last = boxes[-1]
        found = next_fragment(source, max(last.start + 8, at + 1))
        if found is None:
            break
        at = found
        if last.end < at:
            damage.add((last.end, at))
        else:
            boxes[-1] = replace(last, end=at)
        boxes += _from(source, at)
    return boxes, damage


def _from(source: ByteSource, at: int, shift: int = 0) -> list[Box]:
    boxes: list[Box] = []
    with suppress(Mp4Error):
        boxes.extend(top_level(source, shift, at))
    return boxes


def _is_chain(boxes: Sequence[Box], size: int) -> bool:
    """Whether box follows box up to the end of the file, and the last is none that begins more."""
    last = boxes[-1]
    return 0 <= size - last.end < 8 and last.kind != b"moof" and all(map(_has_letters, boxes))


def _has_letters(box: Box) -> bool:
    return box.kind.isascii() and box.kind.decode().isprintable()


def _in_fragments(source: ByteSource, boxes: Sequence[Box]) -> bool:
    moov = next((box for box in boxes if box.kind == b"moov" and box.end <= source.size), None)
    return moov is not None and file_boxes.find(source, moov, b"mvex") is not None


@dataclass(frozen=True, slots=True)
class _Trak:
    """What a `trak` box says of a track, before it is known what kind of track that is."""

    header: TrackHeader
    media: MediaHeader
    edits: EditList
    handler: Handler
    entries: tuple[tuple[bytes, bytes], ...]
    stored: StoredTable
    stsd_at: int
    uuids: tuple[bytes, ...]

    @classmethod
    def find(cls, source: ByteSource, trak: Box, room: int, shift: int) -> Self:
        def content(parent: Box, *path: bytes) -> bytes:
            return file_boxes.content(source, file_boxes.require(source, parent, *path))

        mdia = file_boxes.require(source, trak, b"mdia")
        stbl = file_boxes.require(source, mdia, b"minf", b"stbl")
        elst = file_boxes.find(source, trak, b"edts", b"elst")
        stsd_box = file_boxes.require(source, stbl, b"stsd")
        stsd = file_boxes.content(source, stsd_box)
        return cls(
            TrackHeader.read(content(trak, b"tkhd")),
            MediaHeader.read(content(mdia, b"mdhd")),
            EditList.read(file_boxes.content(source, elst)) if elst else EditList(()),
            Handler.read(content(mdia, b"hdlr")),
            tuple((entry.kind, entry.content(stsd)) for entry in children(stsd, 8)),
            StoredTable.find(source, stbl, room, shift),
            stsd_box.start,
            tuple(
                file_boxes.content(source, child)
                for child in file_boxes.children(source, trak.body, trak.end)
                if child.kind == b"uuid"
            ),
        )

    def track(
        self, source: ByteSource, movie_timescale: int, fragments: StoredFragments | None
    ) -> Track:
        first = self.entries[0][1] if self.entries else b""
        video = self.handler.kind == b"vide" and len(first) >= 28
        audio = self.handler.kind == b"soun" and len(first) >= 28
        width, height = struct.unpack_from(">HH", first, 24) if video else (0, 0)
        channels, rate = struct.unpack_from(">H6xI", first, 16) if audio else (0, 0)
        number = self.header.track
        common: dict[str, Any] = {
            "number": number,
            "handler": self.handler,
            "entries": tuple(_letters(kind) for kind, _ in self.entries),
            "timescale": self.media.timescale,
            "duration": self.media.duration,
            "stored": FragmentedTable(self.stored, fragments, number) if fragments else self.stored,
            "stsd_at": self.stsd_at,
            "edits": self.edits,
            "movie_timescale": movie_timescale,
        }
        camm = self._camm(source, common)
        if camm is not None:
            return camm
        return Track(
            **common,
            width=width,
            height=height,
            sample_rate=rate >> 16,
            channels=channels,
            projection=Projection.read(first, self.uuids) if video else None,
        )

    def _camm(self, source: ByteSource, common: dict[str, Any]) -> CammTrack | None:
        """The track as one of camera motion metadata, if that is what it is.

        A sample entry "camm" says so, and so does "mett" with a MIME type of motion. Otherwise
        records are looked for where they are known to hide: under an entry "mett" of another type,
        under the handler "camm", and where FFmpeg's MOV writer has left no sample entry at all.
        """
        found = CammTrack(**common, source=source, recognised_by="records", entry=None)
        kinds = [kind for kind, _ in self.entries]
        claims: list[CammTrack] = []
        for number, (kind, content) in enumerate(self.entries, start=1):
            entry = number if len(kinds) > 1 else None
            if kind == b"camm":
                claims.insert(0, replace(found, recognised_by="camm", entry=entry))
            elif kind == b"mett" and _MOTION in content:
                claims.append(replace(found, recognised_by="mett", entry=entry))
        for claim in claims:
            if claim.entry is None or claim.entry in (found.stored.entries or {claim.entry}):
                return claim
        if not kinds or self.handler.kind == b"camm" or b"mett" in kinds or claims:
            try:
                if found.holds_records():
                    return found
            except Mp4Error:
                pass  # what cannot be read is no metadata of ours
        return claims[0] if claims else None


def _letters(kind: bytes) -> str:
    """A code of four letters as text; what cannot be printed is escaped.

    It goes to terminals, and the letters in a file can be anybody's.
    """
    text = kind.decode("latin-1")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _text(udta: bytes, plain: bytes, *counted: bytes) -> str:
    found: dict[bytes, bytes] = {}
    try:
        for child in children(udta):
            found.setdefault(child.kind, child.content(udta))
    except Mp4Error:
        pass  # what comes before the damage is as good as ever
    content = found.get(plain)
    if content is None:
        content = next((found[kind][4:] for kind in counted if kind in found), b"")
    return content.rstrip(b"\0").decode("utf-8", "replace")


def _metadata(source: ByteSource, uuids: Sequence[Box]) -> dict[str, Any]:
    for box in uuids:
        if source.read(box.body, 16) == METADATA_UUID.bytes:
            try:
                found = json.loads(file_boxes.content(source, box)[16:])
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}
