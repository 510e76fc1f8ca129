"""Doing without a healthy file where the stream itself says enough.

Cameras that repeat their parameter sets at each key frame tell all that a decoder must know, and
motion records tell their type. What nobody tells is the frame rate, if the parameter sets do not;
GPS time of motion records may, else it is assumed. Sound tells nothing of the kind and is left.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from camm import PacketType, StreamFormat
from muxer.boxes import box, find, full_box
from muxer.errors import Mp4Error
from muxer.movie import Handler, MediaHeader, MovieHeader, TrackHeader
from muxer.salvage.carve import Carver, Samples
from muxer.salvage.codecs.camm import CammScanner
from muxer.salvage.codecs.h264 import h264_scanner
from muxer.salvage.codecs.h265 import h265_scanner
from muxer.salvage.codecs.scanner import Scanner
from muxer.salvage.motion import Records, motion_records
from muxer.salvage.reference import Reference, ReferenceTrack
from muxer.salvage.salvage import media_range
from muxer.sample_entries import CAMM_ENTRY, coding
from muxer.source import LocalFile

_SEARCHED = 1 << 26
"""Bytes in which parameter sets have to come."""
_BLOCK = 1 << 22
_LONGEST_SET = 1 << 12
_TIMESCALE, _MOTION_TIMESCALE = 90_000, 1_000_000
_USUAL_RATE = Fraction(30)
_FEWEST_RECORDS = 16
_STUDIED = 400

_START = b"\0\0\0\1"
_SETS = {
    "h264": (re.compile(rb"\0\0[\0-\x0f].[\x27\x47\x67]", re.DOTALL), (7, 8)),
    "hevc": (re.compile(rb"\0\0[\0-\x0f].\x40\x01", re.DOTALL), (32, 33, 34)),
}
"""Where the first parameter set begins behind its length, and the types of all that are needed."""


@dataclass(frozen=True, slots=True)
class _Video:
    """What the stream says of itself."""

    codec: str
    entry: bytes
    width: int
    height: int
    rate: Fraction | None


def guessed(source: LocalFile) -> tuple[Reference, list[str]]:
    """What a healthy file of the same device would say, and what of it is assumed.

    Mp4Error where neither parameter sets nor motion records are found.
    """
    start, end = media_range(source)
    video = _video(source, start, end)
    scanners: list[Scanner] = [] if video is None else [_scanner(video)]
    scanners.append(CammScanner(list(PacketType)))
    carved = Carver(source, scanners, [], start, end).carve(lambda _: None)
    motion = carved.found[-1]
    motion = motion if len(motion) >= _FEWEST_RECORDS else motion[:0]
    if video is None and not len(motion):
        raise Mp4Error(
            f"{source.name} has no whole 'moov', and neither parameter sets nor motion records by "
            "which to do without: its samples can only be found with the help of a healthy file"
        )
    records = motion_records(source, motion) if len(motion) else None
    assumed = ["tracks of sound are left out: what they need to be played is in the lost moov"]
    tracks = []
    rate = _USUAL_RATE
    if video is not None:
        pictures = len(carved.found[0])
        timed = _span_s(records) if records is not None else None
        rate = video.rate or (Fraction(pictures / timed).limit_denominator(1001) if timed else rate)
        if video.rate is None:
            known = "GPS time" if timed else "nothing: the times may be stretched"
            assumed.append(f"{float(rate):.3f} pictures a second, by {known}")
        tracks.append(_video_track(video, rate))
    if records is not None:
        span = len(carved.found[0]) / float(rate) if video is not None else None
        tracks.append(_motion_track(source, motion, records, span, len(tracks) + 1))
    return Reference("", b"", _moov(video, tracks), tuple(tracks)), assumed


def _video(source: LocalFile, start: int, end: int) -> _Video | None:
    """By the first parameter sets that make a picture."""
    for codec, (signature, kinds) in _SETS.items():
        for at in range(start, min(end, start + _SEARCHED), _BLOCK):
            block = source.read(at, min(_BLOCK + _LONGEST_SET, end - at))
            for match in signature.finditer(block, 0, _BLOCK):
                found = _stream(codec, kinds, source, at + match.start())
                if found is not None:
                    return found
    return None


def _stream(codec: str, kinds: Sequence[int], source: LocalFile, at: int) -> _Video | None:
    """What the parameter sets say that begin at a byte, if the picture behind them decodes."""
    units: list[bytes] = []
    sets: list[bytes] = []
    wanted = list(kinds)
    while len(units) < 64:
        length = int.from_bytes(source.read(at, 4))
        if not 0 < length < 1 << 24:
            break
        unit = source.read(at + 4, length)
        kind = unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F
        if wanted and kind == wanted[0]:
            sets.append(unit)
            wanted.pop(0)
        elif wanted and kind not in kinds:
            return None
        units.append(unit)
        at += 4 + length
    if wanted:
        return None
    extradata = b"".join(_START + unit for unit in sets)
    try:
        frame, rate = _decoded(codec, b"".join(_START + unit for unit in units))
        if frame is None:
            return None
        stream = StreamFormat("video", codec, _TIMESCALE, extradata, frame[0], frame[1])
        return _Video(codec, coding(stream).entry, *frame, rate)
    except (av.FFmpegError, Mp4Error):
        return None


def _decoded(codec: str, data: bytes) -> tuple[tuple[int, int] | None, Fraction | None]:
    """Size of the first picture of Annex B, and the rate that it is said to have."""
    decoder = av.CodecContext.create(codec, "r")
    if not isinstance(decoder, av.VideoCodecContext):
        return None, None
    frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    size = (frames[0].width, frames[0].height) if frames else None
    rate = decoder.framerate
    return size, rate if rate and 1 <= rate <= 1000 else None


def _scanner(video: _Video) -> Scanner:
    if video.codec == "h264":
        return h264_scanner(find(video.entry[86:], b"avcC") or b"")
    return h265_scanner(find(video.entry[86:], b"hvcC") or b"")


def _span_s(records: Records) -> float | None:
    """Seconds for which motion was recorded, by GPS time; None where that does not tell."""
    row = np.flatnonzero(~np.isnan(records.gps_s))
    if len(row) < 3:
        return None
    seconds, rows = float(records.gps_s[row[-1]] - records.gps_s[row[0]]), int(row[-1] - row[0])
    return seconds * len(records.kind) / rows if 1 < seconds < 1e6 else None


def _video_track(video: _Video, rate: Fraction) -> ReferenceTrack:
    duration = round(_TIMESCALE / rate)
    return _track(1, b"vide", video.entry, _TIMESCALE, np.array([duration]), ())


def _motion_track(
    source: LocalFile, motion: Samples, records: Records, span: float | None, number: int
) -> ReferenceTrack:
    """With durations as if all types came at even rates."""
    span = _span_s(records) or span
    counts = np.bincount(records.kind)
    beats = np.cumsum(records.kind == counts.argmax())
    period = (span or float(counts.max()) / 200) / max(int(counts.max()), 1) * _MOTION_TIMESCALE
    tick = np.round(beats[: _STUDIED + 1] * period).astype(np.int64)
    rows = zip(motion.offset[:_STUDIED].tolist(), motion.size[:_STUDIED].tolist(), strict=True)
    samples = tuple(source.read(at, size) for at, size in rows)
    return _track(number, b"meta", CAMM_ENTRY, _MOTION_TIMESCALE, np.diff(tick), samples)


def _track(
    number: int,
    kind: bytes,
    entry: bytes,
    timescale: int,
    durations: np.ndarray,
    samples: tuple[bytes, ...],
) -> ReferenceTrack:
    return ReferenceTrack(
        number=number,
        kind=kind,
        entry=entry,
        timescale=timescale,
        duration=int(durations[0]) if len(durations) else 1,
        steady=True,
        start=0,
        shown=0,
        durations=durations,
        samples=samples,
        sizes=np.array([len(sample) for sample in samples], np.int64),
        chunks=np.empty((0, 4)),
        count=0,
    )


def _moov(video: _Video | None, tracks: Sequence[ReferenceTrack]) -> bytes:
    """Content of a `moov` that describes the tracks and has no samples."""
    parts = [MovieHeader(None, _TIMESCALE, 0, len(tracks) + 1).write()]
    for track in tracks:
        pictures = track.kind == b"vide" and video is not None
        size = (video.width, video.height) if pictures and video is not None else (0, 0)
        name = "Video" if pictures else "CameraMetadataMotionHandler"
        media = full_box(b"vmhd", 0, 1, bytes(8)) if pictures else full_box(b"nmhd", 0, 0)
        dref = full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1))
        stsd = full_box(b"stsd", 0, 0, struct.pack(">I", 1), track.entry)
        parts.append(
            box(
                b"trak",
                TrackHeader(track.number, None, 0, *size).write(),
                box(
                    b"mdia",
                    MediaHeader(None, track.timescale, 0).write(),
                    Handler(track.kind, name).write(),
                    box(b"minf", media, box(b"dinf", dref), box(b"stbl", stsd)),
                ),
            )
        )
    return b"".join(parts)
