"""The `moov` of a repaired file: that of the healthy one, around other samples."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from muxer.boxes import box, children, find, require
from muxer.errors import Mp4Error
from muxer.movie import Edit, EditList, MediaHeader, MovieHeader, TrackHeader
from muxer.sample_table import SampleTable

_DURATION_AT = {b"mvhd": (16, 24), b"tkhd": (20, 28), b"mdhd": (16, 24)}
"""Where headers have their duration, by version (ISO/IEC 14496-12, 8.2.2, 8.3.2, 8.4.2)."""


_OF_THE_TAKE = frozenset({b"\xa9xyz", b"loci", b"\xa9day", b"date", b"meta", b"uuid"})
"""Boxes that may say where and when a film was taken, in the `moov` or its `udta`."""


def rebuilt(
    moov: bytes, tables: Mapping[int, SampleTable], *, of_the_same_file: bool = False
) -> bytes:
    """The `moov` box with these samples by track; tracks without any are left out.

    Tables count from the beginning of their media, as the healthy file's do. Its edit lists stay,
    and so do rotation, languages and names. What tells of that one take (dates, places, whatever
    its writer has added) goes, unless the `moov` is `of_the_same_file`.
    """
    dated = of_the_same_file
    timescale = MovieHeader.read(require(moov, b"mvhd")).timescale
    parts, durations = [], [0]
    for child in children(moov):
        content = child.content(moov)
        if child.kind == b"trak":
            number = TrackHeader.read(require(content, b"tkhd")).track
            if number in tables and len(tables[number]):
                trak, duration = _trak(content, tables[number], timescale, dated)
                parts.append(trak)
                durations.append(duration)
        elif child.kind == b"udta" and not dated:
            parts.append(_of_any_take(content))
        elif child.kind not in {b"mvhd", b"mvex"} and (dated or child.kind not in _OF_THE_TAKE):
            parts.append(moov[child.start : child.end])
    header = _with_duration(b"mvhd", require(moov, b"mvhd"), max(durations), dated)
    return box(b"moov", header, *parts)


def _of_any_take(udta: bytes) -> bytes:
    """The `udta` box without what tells of the one; nothing where it is in disorder."""
    try:
        return _replaced(b"udta", udta, dict.fromkeys(_OF_THE_TAKE, b""))
    except Mp4Error:
        return b""


def _trak(trak: bytes, table: SampleTable, movie_timescale: int, dated: bool) -> tuple[bytes, int]:
    mdia = require(trak, b"mdia")
    minf = require(mdia, b"minf")
    timescale = MediaHeader.read(require(mdia, b"mdhd")).timescale
    elst = find(trak, b"edts", b"elst")
    edits, duration = _edits(
        EditList.read(elst) if elst is not None else None, table, timescale, movie_timescale
    )
    stsd = require(minf, b"stbl", b"stsd")
    entry = next(children(stsd, 8))
    new = {
        b"tkhd": _with_duration(b"tkhd", require(trak, b"tkhd"), duration, dated),
        b"edts": edits,
        b"mdia": _replaced(
            b"mdia",
            mdia,
            {
                b"mdhd": _with_duration(b"mdhd", require(mdia, b"mdhd"), table.end, dated),
                b"minf": _replaced(
                    b"minf", minf, {b"stbl": table.write(stsd[entry.start : entry.end])}
                ),
            },
        ),
    }
    return _replaced(b"trak", trak, new), duration


def _edits(
    healthy: EditList | None, table: SampleTable, timescale: int, movie_timescale: int
) -> tuple[bytes, int]:
    """The healthy file's edits up to the first that shows something, and the whole duration."""
    edits: list[Edit] = []
    delay = 0
    for edit in healthy.edits if healthy is not None else ():
        if edit.media_time >= 0:
            shown = max(table.shown_until - edit.media_time, 0)
            ticks = -(-shown * movie_timescale // timescale)
            edits.append(Edit(ticks, edit.media_time))
            return box(b"edts", EditList(tuple(edits)).write()), delay + ticks
        edits.append(edit)
        delay += edit.duration
    return b"", -(-table.shown_until * movie_timescale // timescale)


def _with_duration(kind: bytes, content: bytes, duration: int, dated: bool) -> bytes:
    """A header box with another duration, and no dates unless it is to keep them."""
    long = bool(content[0])
    at = _DURATION_AT[kind][long]
    header = bytearray(content)
    if not dated:
        header[4 : 20 if long else 12] = bytes(16 if long else 8)
    if long:
        struct.pack_into(">Q", header, at, duration)
    else:
        struct.pack_into(">I", header, at, min(duration, 0xFFFFFFFF))
    return box(kind, bytes(header))


def _replaced(kind: bytes, content: bytes, new: Mapping[bytes, bytes]) -> bytes:
    """The box with some of its children replaced; one that is replaced by nothing goes."""
    return box(
        kind,
        *(new.get(child.kind, content[child.start : child.end]) for child in children(content)),
    )
