"""Rebuilding a file whose tables are lost, with a healthy file of the same device as reference."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from muxer.boxes import parse_header
from muxer.errors import Mp4Error
from muxer.pcm import frame_size
from muxer.salvage import timeline
from muxer.salvage.carve import Carver, Samples
from muxer.salvage.codecs.boxes import BoxScanner
from muxer.salvage.codecs.scanner import Readable, Scanner
from muxer.salvage.fill import Filling, fill
from muxer.salvage.motion import MotionClock, motion_records
from muxer.salvage.pictures import breaks, picture_numbers
from muxer.salvage.recognise import codec, configuration
from muxer.salvage.reference import Floats, Reference, ReferenceTrack
from muxer.salvage.share import shares
from muxer.salvage.timeline import Times
from muxer.sample_table import Ints, SampleTable
from muxer.source import ByteSource, LocalFile

_TOP_LEVEL = frozenset({b"ftyp", b"free", b"skip", b"wide", b"mdat", b"moov", b"udta", b"uuid"})
_BLANK = 1 << 12
"""Zeros at the end of a file from which on they are no media but room that was made for them."""
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class SalvagedTrack:
    """What was found of one track of the healthy file.

    `table` counts from the beginning of its media, in bytes of the damaged file.
    """

    reference: ReferenceTrack
    table: SampleTable


@dataclass(frozen=True, slots=True, eq=False)
class Salvage:
    """What can be had of a damaged file.

    `media`   bytes of the damaged file that were searched: begin and end
    `lost`    int64[M, 2], what of them belongs to no track
    `unable`  tracks of the healthy file that cannot be recognised, and why
    """

    path: str
    size: int
    media: tuple[int, int]
    reference: Reference
    tracks: tuple[SalvagedTrack, ...]
    lost: Ints
    unable: Mapping[int, str]


@dataclass(slots=True)
class _Plan:
    """Codecs and the tracks that have them."""

    scanners: list[tuple[Scanner, list[ReferenceTrack]]] = field(default_factory=list)
    fillings: list[Filling] = field(default_factory=list)
    unable: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: Reference) -> _Plan:
        plan = cls()
        first: dict[bytes, ReferenceTrack] = {}
        for track in reference.tracks:
            try:
                alike = first.setdefault(configuration(track), track)
                if alike is not track:
                    plan._join(alike, track)
                    continue
                found = codec(track)
            except Mp4Error as error:
                plan.unable[track.number] = str(error)
                continue
            if isinstance(found, Scanner):
                plan.scanners.append((found, [track]))
            else:
                plan.fillings.append(Filling(found, (track,)))
        return plan

    def gaps(self, reference: Reference) -> Ints:
        """Lengths that gaps have in the healthy file, if PCM is all that fills them."""
        if not self.fillings or not all(filling.frame for filling in self.fillings):
            return np.empty(0, np.int64)
        filling = [track for some in self.fillings for track in some.tracks]
        return reference.gaps(filling)

    @property
    def telling(self) -> bool:
        """Whether every filling codec can tell where its samples begin."""
        return all(filling.telling for filling in self.fillings)

    def _join(self, first: ReferenceTrack, track: ReferenceTrack) -> None:
        for _, tracks in self.scanners:
            if first in tracks:
                tracks.append(track)
        for number, filling in enumerate(self.fillings):
            if first in filling.tracks:
                self.fillings[number] = Filling(filling.filler, (*filling.tracks, track))
        if first.number in self.unable:
            self.unable[track.number] = self.unable[first.number]


def salvage(
    path: str | os.PathLike[str],
    reference: Reference,
    watch: Callable[[int], None] = lambda at: None,
) -> Salvage:
    """Find what is left of a file, by what the healthy one teaches. Nothing is written."""
    with LocalFile(path) as source:
        start, end = media_range(source)
        plan = _Plan.of(reference)
        media = _Cut(source, end)
        scanners = [*(scanner for scanner, _ in plan.scanners), BoxScanner()]
        fillers = [filling.filler for filling in plan.fillings]
        carver = Carver(media, scanners, fillers, start, end, plan.telling, plan.gaps(reference))
        carved = carver.carve(watch)
        video = reference.video
        shown = next((n for n, (_, tracks) in enumerate(plan.scanners) if video in tracks), None)
        open_ended = [getattr(scanner, "open_ended", False) for scanner in scanners]
        filled = fill(media, carved, open_ended, plan.fillings, reference, shown, watch)
        builder = _Builder(
            reference, plan, filled.carved[:-1], filled.found, filled.lost, end - start, source
        )
        tracks, lost = builder.tracks(), filled.lost
        for track in reference.tracks:
            if track.number in plan.unable and track.count == 1:
                single, lost = _single(track, lost, tracks)
                if single is not None:
                    tracks = (*tracks, single)
                    del plan.unable[track.number]
        return Salvage(source.name, source.size, (start, end), reference, tracks, lost, plan.unable)


def _single(
    track: ReferenceTrack, lost: Ints, others: Sequence[SalvagedTrack]
) -> tuple[SalvagedTrack | None, Ints]:
    """The one sample of a track, which lasts for all of the film (a time code); what is lost still.

    It is what lies in a gap of just its size, the first or the last as in the healthy file.
    """
    size = int(track.sizes[0])
    rows = np.flatnonzero(lost[:, 1] - lost[:, 0] == size)
    if not len(rows):
        return None, lost
    places = [other.reference.chunks[0, 0] for other in others if len(other.reference.chunks)]
    row = rows[0] if not places or track.chunks[0, 0] < max(places) else rows[-1]
    ends = [other.table.end / other.reference.timescale for other in others]
    table = SampleTable(
        lost[row, :1],
        np.array([size]),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        round(max(ends, default=0.0) * track.timescale),
        np.ones(1, np.bool_),
    )
    return SalvagedTrack(track, table), np.delete(lost, row, axis=0)


def media_range(source: ByteSource) -> tuple[int, int]:
    """Where the media of a damaged file lie, as far as its boxes can be believed."""
    at, start, end = 0, 0, source.size
    while source.size - at >= 8:
        try:
            found = parse_header(source.read(at, 16), 0, source.size - at)
        except Mp4Error:
            break
        if found.kind not in _TOP_LEVEL:
            break
        if found.kind == b"mdat" and found.end > found.body + 8:
            start = at + found.body
            end = _last_media(source, at) or end
            break
        at = start = at + found.end
    if start >= end:
        start = 0
    return start, _without_blank_end(source, start, end)


def _last_media(source: ByteSource, at: int) -> int | None:
    """Where the last `mdat` ends, if boxes follow one another from byte `at` to the end of the file
    (the last may be cut) and something other than media stands there.
    """
    end = last = at
    while source.size - at >= 8:
        try:
            found = parse_header(source.read(at, 16), 0, source.size - at)
        except Mp4Error:
            return None
        if found.kind not in _TOP_LEVEL:
            return None
        at += found.end
        last = at
        if found.kind == b"mdat":
            end = at
    return end if end < last else None


def _without_blank_end(source: ByteSource, start: int, end: int) -> int:
    at = end
    while at > start:
        begin = max(start, at - _BLOCK)
        left = source.read(begin, at - begin).rstrip(b"\0")
        if left:
            last = begin + len(left)
            return last if end - last >= _BLANK else end
        at = begin
    return start


class _Cut:
    """A file up to a byte."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self._source = source
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        return self._source.read(offset, min(length, max(self.size - offset, 0)))


class _Builder:
    """From samples by codec to tables by track."""

    def __init__(
        self,
        reference: Reference,
        plan: _Plan,
        carved: Sequence[Samples],
        filled: Sequence[Samples],
        lost: Ints,
        media: int,
        source: Readable,
    ) -> None:
        self._reference = reference
        self._lost = lost
        self._media = media
        self._source = source
        self._wraps: dict[int, int] = {}
        self._times: dict[int, Times] = {}
        self._by_track: dict[int, Samples] = {}
        groups: list[tuple[Samples, Sequence[ReferenceTrack]]] = [
            *(
                (samples, tracks)
                for samples, (_, tracks) in zip(carved, plan.scanners, strict=True)
            ),
            *((samples, f.tracks) for samples, f in zip(filled, plan.fillings, strict=True)),
        ]
        for scanner, tracks in plan.scanners:
            self._wraps.update({track.number: scanner.wrap for track in tracks})
        for samples, sharing in groups:
            frames = self._frames(sharing[0], samples)
            others = [other.offset for other, tracks in groups if tracks is not sharing]
            places = np.sort(np.concatenate([*others, np.empty(0, np.int64)]))
            owner = shares(reference, sharing, samples.offset, frames, places, lost)
            for index, track in enumerate(sharing):
                self._by_track[track.number] = samples[owner == index]

    def tracks(self) -> tuple[SalvagedTrack, ...]:
        """With their tables."""
        pictures: tuple[Ints, Floats] | None = None
        times = self._times
        video = self._reference.video
        if video is not None and video.number in self._by_track:
            samples = self._by_track[video.number]
            times[video.number] = self._pictures(video, samples)
            if len(samples):
                pictures = samples.offset, times[video.number].dts / video.timescale
            if pictures is not None and video.steady:
                late = math.ceil(self._late(pictures) / video.period_s) * video.duration
                if late:
                    first = times[video.number]
                    times[video.number] = Times(first.dts + late, first.pts + late)
                    pictures = samples.offset, times[video.number].dts / video.timescale
        result = []
        for track in self._reference.tracks:
            if track.number not in self._by_track:
                continue
            samples = self._by_track[track.number]
            if track.number not in times:
                times[track.number] = self._others(track, samples, pictures)
            result.append(SalvagedTrack(track, _table(track, samples, times[track.number])))
        return tuple(result)

    def _late(self, pictures: tuple[Ints, Floats]) -> float:
        """Seconds by which pictures begin after the other tracks, where the beginning is lost."""
        late = 0.0
        for track in timeline.companions(self._reference):
            samples, lead_s = self._by_track.get(track.number), self._reference.lead_s(track)
            if samples is None or not len(samples) or lead_s is None or track.codec == "camm":
                continue
            ends = np.cumsum(self._frames(track, samples))
            end_s = ends * track.period_s
            lead = timeline.leads(track, samples.offset, end_s, pictures)
            rows = [gap.row for gap in breaks(samples.offset, self._lost)]
            until = rows[0] if rows else len(lead)
            late = max(late, -timeline.late_start(lead, lead_s, until, track.period_s))
        return late

    def _frames(self, track: ReferenceTrack, samples: Samples) -> Ints:
        """How many samples of the track each row holds."""
        frame = frame_size(track.entry)
        return samples.size // frame if frame else np.ones_like(samples.size)

    def _pictures(self, track: ReferenceTrack, samples: Samples) -> Times:
        number = picture_numbers(samples, self._wraps.get(track.number, 0), self._lost, self._media)
        if track.steady:
            return timeline.constant_rate(track, number)
        for companion in timeline.companions(self._reference):
            lead = self._reference.lead_s(companion)
            others = self._by_track.get(companion.number)
            if lead is None or others is None or not len(others):
                continue
            ends = np.cumsum(self._frames(companion, others))
            clock = timeline.Companion(companion, others.offset, ends, lead).across(
                self._lost, track, samples.offset
            )
            self._times[companion.number] = timeline.constant_rate(
                companion, clock.number - self._frames(companion, others)
            )
            return timeline.reordered(timeline.between(track, samples.offset, clock), number)
        return timeline.constant_rate(track, number)

    def _others(
        self, track: ReferenceTrack, samples: Samples, pictures: tuple[Ints, Floats] | None
    ) -> Times:
        if track.kind == b"vide":
            return self._pictures(track, samples)
        if track.codec == "camm" and len(samples):
            records = motion_records(self._source, samples)
            clock = MotionClock.of(track)
            return clock.times(track, records, samples.offset, self._lost, pictures)
        lead = self._reference.lead_s(track)
        video = self._reference.video
        known = pictures if video is not None and video.steady else None
        frames = self._frames(track, samples)
        return timeline.counted(track, samples.offset, frames, self._lost, known, lead)


def _table(track: ReferenceTrack, samples: Samples, times: Times) -> SampleTable:
    last = track.duration
    frame = frame_size(track.entry)
    if frame and len(samples):
        last = int(samples.size[-1]) // frame * track.duration
    return SampleTable(
        samples.offset,
        samples.size,
        times.dts - track.start,
        times.pts - times.dts,
        last,
        samples.keyframe,
    )
