"""The header boxes of a movie and its tracks: who, when, how long, in which units.

One dataclass a box (ISO/IEC 14496-12, section 8), each with `read` and `write` that undo one
another. Versions: written as 1 (64-bit times), read as either. Matrices and layers have their usual
values and are not kept. At the end what is built of them, by the recorder and by a repair alike:
the `trak` around a track's samples, and the `ftyp` for what the tracks are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from muxer.boxes import Piece, box, full_box, nested, version_and_flags
from muxer.errors import Mp4Error
from muxer.written_table import WrittenTable

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_UNITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def mp4_time(when: datetime | None) -> int:
    """A date as an MP4 counts it: seconds since 1904, 0 where it is unknown."""
    return 0 if when is None else round((when - _EPOCH).total_seconds())


def from_mp4_time(seconds: int) -> datetime | None:
    """The date of an MP4 time; None for 0 ("not set") and for what no calendar holds."""
    try:
        return _EPOCH + timedelta(seconds=seconds) if seconds else None
    except OverflowError:
        return None


def _unpack(kind: str, layout: str, content: bytes, offset: int = 4) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, content, offset)
    except struct.error:
        raise Mp4Error(f"box {kind!r} is too short: {len(content)} bytes") from None


@dataclass(frozen=True, slots=True)
class MovieHeader:
    """`mvhd`: date of the recording's start and duration of the longest track."""

    created: datetime | None
    timescale: int
    duration: int
    next_track: int

    def write(self) -> bytes:
        time = mp4_time(self.created)
        return full_box(
            b"mvhd",
            1,
            0,
            struct.pack(">QQIQ", time, time, self.timescale, self.duration),
            struct.pack(">IH10x", 1 << 16, 1 << 8),
            _UNITY,
            bytes(24),
            struct.pack(">I", self.next_track),
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        version, _ = version_and_flags(content)
        created, _, timescale, duration = _unpack("mvhd", ">QQIQ" if version else ">4I", content)
        (next_track,) = _unpack("mvhd", ">I", content, len(content) - 4)
        return cls(from_mp4_time(created), timescale, duration, next_track)


@dataclass(frozen=True, slots=True)
class TrackHeader:
    """`tkhd`: number, duration in the movie's timescale, size of the picture in pixels.

    Of tracks with the same `alternate_group` but 0 only one is to be played at a time.
    """

    track: int
    created: datetime | None
    duration: int
    width: float = 0
    height: float = 0
    volume: int = 0
    alternate_group: int = 0

    def write(self) -> bytes:
        time = mp4_time(self.created)
        return full_box(
            b"tkhd",
            1,
            0x7,  # enabled, in the movie, in the preview
            struct.pack(">QQI4xQ", time, time, self.track, self.duration),
            struct.pack(">8xHHHH", 0, self.alternate_group, self.volume << 8, 0),
            _UNITY,
            struct.pack(">II", round(self.width * 65536), round(self.height * 65536)),
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        version, _ = version_and_flags(content)
        created, _, track, duration = _unpack("tkhd", ">QQI4xQ" if version else ">III4xI", content)
        at = 40 if version else 28
        group, volume = _unpack("tkhd", ">HH", content, at + 6)
        width, height = _unpack("tkhd", ">II", content, at + 48)
        return cls(
            track,
            from_mp4_time(created),
            duration,
            width / 65536,
            height / 65536,
            volume >> 8,
            group,
        )


@dataclass(frozen=True, slots=True)
class MediaHeader:
    """`mdhd`: ticks a second of a track's own times, and its duration in them."""

    created: datetime | None
    timescale: int
    duration: int

    def write(self) -> bytes:
        time = mp4_time(self.created)
        und = 0x55C4  # ISO 639-2 "und", five bits a letter
        return full_box(
            b"mdhd",
            1,
            0,
            struct.pack(">QQIQHH", time, time, self.timescale, self.duration, und, 0),
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        version, _ = version_and_flags(content)
        created, _, timescale, duration = _unpack("mdhd", ">QQIQ" if version else ">4I", content)
        if timescale == 0:
            raise Mp4Error("a track's mdhd has a timescale of 0: its times have no unit")
        return cls(from_mp4_time(created), timescale, duration)


@dataclass(frozen=True, slots=True)
class Handler:
    """`hdlr`: what kind of track this is."""

    kind: bytes
    name: str

    def write(self) -> bytes:
        return full_box(
            b"hdlr", 0, 0, struct.pack(">I4s12x", 0, self.kind), self.name.encode() + b"\0"
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        if len(content) < 24:
            raise Mp4Error(f"box 'hdlr' is too short: {len(content)} bytes")
        name = content[24:].split(b"\0")[0]
        return cls(content[8:12], name.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Edit:
    """One row of an edit list: `media_time` -1 is a stretch of nothing, else where to begin."""

    duration: int
    media_time: int


@dataclass(frozen=True, slots=True)
class EditList:
    """`elst`: how a track's own times lie on the movie's. Durations in the movie's timescale."""

    edits: tuple[Edit, ...]

    def write(self) -> bytes:
        rows = (struct.pack(">QqI", edit.duration, edit.media_time, 1 << 16) for edit in self.edits)
        return full_box(b"elst", 1, 0, struct.pack(">I", len(self.edits)), *rows)

    @classmethod
    def read(cls, content: bytes) -> Self:
        version, _ = version_and_flags(content)
        (count,) = _unpack("elst", ">I", content)
        layout, size = (">Qq", 20) if version else (">Ii", 12)
        if 8 + count * size > len(content):
            raise Mp4Error(f"box 'elst' claims {count} edits in {len(content)} bytes")
        rows = (_unpack("elst", layout, content, 8 + i * size) for i in range(count))
        return cls(tuple(Edit(duration, media_time) for duration, media_time in rows))


def write_ftyp(sample_entries: Iterable[bytes]) -> bytes:
    """`ftyp` of a file with such tracks.

    AV1 has a brand of its own (AV1 Codec ISO Media File Format Binding, 2.1).
    """
    av1 = any(entry[4:8] == b"av01" for entry in sample_entries)
    brands = [b"isom", b"iso6", b"mp41", *([b"av01"] if av1 else [])]
    return box(b"ftyp", b"isom", struct.pack(">I", 0x200), *brands)


@dataclass(frozen=True, slots=True)
class TrackBoxes:
    """What a `trak` says but for its samples and when they are shown.

    `header`, `media`  their durations do not count: the samples tell them
    `in_trak`, `in_mdia`, `in_minf`  whole boxes beside those that are made here
    """

    header: TrackHeader
    media: MediaHeader
    in_trak: tuple[bytes, ...] = ()
    in_mdia: tuple[bytes, ...] = ()
    in_minf: tuple[bytes, ...] = ()

    def write(
        self, table: WrittenTable, movie_timescale: int, *, ahead: int = 0, shift: int = 0
    ) -> tuple[list[Piece], int]:
        """The `trak` box, and the track's duration in the movie's timescale.

        The table's times run `ahead` of the movie's by so many ticks; the media lie `shift` bytes
        further on than it says.
        """

        def movie_ticks(ticks: int) -> int:
            # Up: no reader may lose the last one.
            return -(-ticks * movie_timescale // self.media.timescale)

        # In the file time starts at the first sample, and an edit list says where that is. A pause
        # must end where something is shown: FFmpeg moves what is shown first to its end.
        first = table.first - ahead
        delay = max(table.shown_from - ahead, 0)
        media_time = max(delay - first, 0)
        shown = movie_ticks(max(table.shown_until - table.first - media_time, 0))
        edits = [Edit(movie_ticks(delay), -1)] if delay else []
        if edits or media_time:
            edits.append(Edit(shown, media_time))
        duration = movie_ticks(delay) + shown
        elst = [box(b"edts", EditList(tuple(edits)).write())] if edits else []
        minf = nested(b"minf", [*self.in_minf, *table.stbl(shift)])
        mdhd = replace(self.media, duration=table.end - table.first).write()
        mdia = nested(b"mdia", [mdhd, *self.in_mdia, *minf])
        tkhd = replace(self.header, duration=duration).write()
        return nested(b"trak", [tkhd, *elst, *self.in_trak, *mdia]), duration
