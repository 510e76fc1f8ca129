"""A recording in the making: what comes from the sources, sorted into the fragments of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

import numpy as np

from camm import (
    PACKET_SIZES,
    Packet,
    PacketType,
    Samples,
    StreamFormat,
    UsageError,
    empty_values,
    encode,
)
from muxer.errors import Mp4Error
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.movie_start import begin_at
from muxer.recording_file import (
    AUDIO_HEADER,
    METADATA_HEADER,
    VIDEO_HEADER,
    MovieDescription,
    RecordingFile,
    TrackSpec,
)
from muxer.records import windows
from muxer.sample_entries import CAMM_ENTRY, Coding, coding, require_known
from muxer.sample_table import Ints

CAMM_TIMESCALE = 1_000_000
"""Ticks a second of the metadata's times: a microsecond, and no overflow in sight."""

_SHORTEST_NS = 500_000_000
_LONGEST_NS = 1_000_000_000
_DEADLINE_NS = 2_000_000_000
_KEPT_NS = 10_000_000_000
"""By so much a camera's first picture may come later than it was taken: encoders look ahead."""


@dataclass(frozen=True, slots=True)
class RecordingStatistics:
    """What went into the file so far, and what did not.

    `written`  records in the file, by packet type
    `late`     records that came when the fragment of their time was already written
    `frames`, `keyframes`, `bytes`  of the video
    """

    written: Mapping[PacketType, int]
    late: Mapping[PacketType, int]
    frames: int
    keyframes: int
    fragments: int
    bytes: int


@dataclass(slots=True)
class _Stream:
    """One video or audio track and its packets that no fragment has yet."""

    format: StreamFormat
    track: int
    pending: list[Packet] = field(default_factory=list)
    shift: int = 0


class Recording:
    """Takes packets and sample blocks as they come and writes them, in order, as fragments.

    Times are CLOCK_MONOTONIC nanoseconds. Movie time zero is the presentation time of the first
    video frame (`start_ns` where there is no video); samples before it are not in the movie.

    A fragment ends at a key frame at least half a second after the last, or after one second
    wherever that is. It is written once every live source has said that nothing earlier will
    follow, or two seconds later if one of them hangs; samples that come still later are counted
    as late and given up, for presentation times never run backwards. All methods belong to one
    thread, which also waits for the disk.
    """

    def __init__(
        self,
        path: Path,
        formats: Sequence[StreamFormat],
        about: MovieDescription,
        *,
        sources: Iterable[str] = (),
        start_ns: int | None = None,
        timescale: int = CAMM_TIMESCALE,
    ) -> None:
        if not 1000 <= timescale <= 1_000_000_000:
            raise UsageError(
                f"the metadata's timescale is 1,000 to 1,000,000,000 ticks a second, "
                f"found {timescale:,}"
            )
        self._timescale = timescale
        self.path = path
        self.zero_ns = start_ns if not formats else None
        self._about = about
        for stream in formats:
            require_known(stream.codec)
        self._codings: list[Coding] = []
        self._streams = [_Stream(stream, index + 1) for index, stream in enumerate(formats)]
        self._camm_track = len(formats) + 1
        self._samples: list[Samples] = []
        self._exposed: list[Packet] = []  # pictures whose shutter is not among the samples yet
        self._complete: dict[str, int | None] = dict.fromkeys(sources)
        self._filming = bool(formats)
        self._cuts: list[tuple[int, int]] = []  # (time, number of the picture behind it)
        self._last_cut_ns = 0
        self._written_until_ns: int | None = None
        self._end_ns: int | None = None
        self._file: RecordingFile | None = None
        self._written: Counter[PacketType] = Counter()
        self._late: Counter[PacketType] = Counter()
        self._frames = self._keyframes = self._fragments = self._bytes = 0

    def add_packets(self, packets: Sequence[Packet]) -> None:
        """Encoded pictures and audio, each stream in its decoding order."""
        for packet in packets:
            if self._end_ns is not None and packet.dts_ns >= self._end_ns:
                continue
            stream = self._streams[packet.stream]
            if packet.stream == 0:
                if self.zero_ns is None and not packet.keyframe:
                    continue  # nobody could decode it
                self._add_picture(packet)
            stream.pending.append(packet)

    def _add_picture(self, packet: Packet) -> None:
        if self.zero_ns is None:
            self.zero_ns = self._last_cut_ns = packet.pts_ns
        # Nothing that comes from now on is shown before this packet is decoded, and the exposure
        # that is told of a picture began before it is shown.
        at = packet.dts_ns
        if packet.exposure_start_ns is not None:
            at -= packet.pts_ns - packet.exposure_start_ns
        length = at - self._last_cut_ns
        if length >= _LONGEST_NS or (packet.keyframe and length >= _SHORTEST_NS):
            self._cuts.append((at, self._pictures))
            self._last_cut_ns = at
        if packet.exposure_start_ns is not None:
            self._exposed.append(packet)

    def add_samples(
        self, source: str, blocks: Sequence[Samples], complete_until_ns: int | None
    ) -> None:
        """Measurements of one source, which says up to when it has now told everything.

        A source counts as live from its first word (or from the start, if it was announced) until
        it says None: nothing will follow.
        """
        self._samples.extend(block for block in blocks if len(block))
        if self._written_until_ns is None:
            self._forget_what_is_long_past()
        if complete_until_ns is None:
            self._complete.pop(source, None)
        else:
            self._complete[source] = complete_until_ns

    def end_at(self, end_ns: int) -> None:
        """Say when the recording is to end: pictures and cuts behind that are not wanted."""
        self._end_ns = end_ns
        self._cuts = [cut for cut in self._cuts if cut[0] < end_ns]
        self._drop_from(end_ns)

    def end_video(self) -> None:
        """Say that no packets will follow: from now on the clock alone cuts fragments."""
        self._filming = False

    def advance(self, now_ns: int) -> None:
        """Write every fragment that is due at `now_ns`. May wait for the disk."""
        # A camera that hangs is given as long as any other source, then the clock takes over.
        self._cut_by_clock(now_ns - _DEADLINE_NS if self._filming else now_ns)
        while self._cuts:
            cut_ns, picture = self._cuts[0]
            complete = all(
                until is not None and until >= cut_ns for until in self._complete.values()
            )
            if not complete and now_ns < cut_ns + _DEADLINE_NS:
                break
            self._write_fragment(cut_ns, picture)
            del self._cuts[0]

    def _cut_by_clock(self, now_ns: int) -> None:
        if self.zero_ns is not None:
            self._last_cut_ns = max(self._last_cut_ns, self.zero_ns)
            last_ns = now_ns if self._end_ns is None else min(now_ns, self._end_ns - 1)
            while last_ns >= self._last_cut_ns + _LONGEST_NS:
                self._last_cut_ns += _LONGEST_NS
                self._cuts.append((self._last_cut_ns, self._pictures))

    def _forget_what_is_long_past(self) -> None:
        """Before the first frame samples come and go; the last of them are needed for time zero."""
        newest_ns = max((int(block.t_ns[-1]) for block in self._samples), default=0)
        start_ns = newest_ns if self.zero_ns is None else min(newest_ns, self.zero_ns)
        horizon_ns = start_ns - _KEPT_NS
        self._samples = [block for block in self._samples if block.t_ns[-1] >= horizon_ns]

    @property
    def _pictures(self) -> int:
        """How many have come."""
        return self._frames + len(self._streams[0].pending) if self._streams else 0

    def finish(
        self, end_ns: int, about: MovieDescription, *, copy: bool = False
    ) -> RecordingStatistics:
        """Write what is left from before `end_ns` and finalise the file.

        `copy` as in `RecordingFile.finalise`. Tell `end_at` before, as soon as the end is known: a
        fragment that is written stays.
        Mp4Error where not one frame (or, without video, sample) came: there is nothing to keep.
        """
        self.end_at(end_ns)
        if self._streams and not self._frames and not self._streams[0].pending:
            raise Mp4Error("the camera delivered no picture: nothing was recorded")
        for cut_ns, picture in [*self._cuts, (end_ns, self._pictures)]:
            self._write_fragment(cut_ns, picture)
        if self._file is None:
            raise Mp4Error("no source delivered anything: nothing was recorded")
        self._file.finalise(about, copy=copy)
        return self.statistics()

    def _drop_from(self, end_ns: int) -> None:
        """Forget what is due after the end, and what the dropped pictures said of their shutter."""
        shutter_ns = end_ns
        for stream in self._streams:
            for packet in stream.pending:
                if packet.dts_ns >= end_ns and packet.exposure_start_ns is not None:
                    shutter_ns = min(shutter_ns, packet.exposure_start_ns)
            stream.pending = [packet for packet in stream.pending if packet.dts_ns < end_ns]
        self._sample_exposures()
        self._samples = [
            block[block.t_ns < shutter_ns] if block.kind is PacketType.EXPOSURE else block
            for block in self._samples
        ]

    def close(self) -> None:
        """Let go of the file as it stands: it holds every fragment so far and can be read."""
        if self._file is not None:
            self._file.close()

    def rename(self, path: Path) -> None:
        """Give the finished file its final name."""
        if self._file is not None:
            self._file.rename(path)
            self.path = path

    def statistics(self) -> RecordingStatistics:
        """A snapshot of the counters."""
        return RecordingStatistics(
            MappingProxyType(dict(self._written)),
            MappingProxyType(dict(self._late)),
            self._frames,
            self._keyframes,
            self._fragments,
            self._bytes,
        )

    def _write_fragment(self, cut_ns: int, picture: int) -> None:
        """One fragment: all before `cut_ns`, of the video the pictures before number `picture`."""
        zero_ns = self.zero_ns
        if zero_ns is None or (self._file is None and not self._streams and not self._samples):
            return
        if not self._codings:
            self._codings = [
                coding(stream.format, stream.pending[0].data if stream.pending else b"")
                for stream in self._streams
            ]
        runs = []
        for stream in self._streams:
            if stream.track == 1:
                count = picture - self._frames
            else:
                count = sum(packet.dts_ns < cut_ns for packet in stream.pending)
            runs.append(self._media_run(stream, zero_ns, count))
        runs.append(self._camm_run(zero_ns, cut_ns))
        filled = [run for run in runs if len(run.size)]
        self._written_until_ns = cut_ns
        if not filled:
            return
        if self._file is None:
            self._file = RecordingFile(self.path, self._track_specs(), self._about)
        self._file.append(filled)
        self._fragments += 1
        self._bytes += sum(len(run.data) for run in filled)

    def _media_run(self, stream: _Stream, zero_ns: int, count: int) -> Run:
        """The next `count` packets of a stream."""
        packets, stream.pending = stream.pending[:count], stream.pending[count:]
        coded = self._codings[stream.track - 1]
        timescale = coded.timescale
        dts = _ticks(np.array([packet.dts_ns - zero_ns for packet in packets], np.int64), timescale)
        pts = _ticks(np.array([packet.pts_ns - zero_ns for packet in packets], np.int64), timescale)
        if packets and self._file is None:
            stream.shift = max(0, -int(dts[0]))
        data = [coded.convert(packet.data) for packet in packets]
        keyframe = np.array([packet.keyframe for packet in packets], np.bool_)
        if stream.track == 1:
            self._frames += len(packets)
            self._keyframes += int(keyframe.sum())
        duration = np.array([packet.duration_ns for packet in packets[-1:]], np.int64)
        return Run(
            stream.track,
            b"".join(data),
            np.array([len(part) for part in data], np.int64),
            dts + stream.shift,
            pts - dts,
            int(_ticks(duration, timescale).sum()),
            keyframe,
        )

    def _camm_run(self, zero_ns: int, cut_ns: int) -> Run:
        """All records before `cut_ns`, sorted by time over all kinds and put one behind another."""
        due = self._take_samples(cut_ns)
        if self._written_until_ns is None:
            due = sorted(begin_at(zero_ns, due), key=attrgetter("kind"))
        else:
            due = self._without_late(due, self._written_until_ns)
        counts = [len(samples) for samples in due]
        t_ns = np.concatenate([samples.t_ns for samples in due] or [_NONE])
        ticks = _ticks(t_ns - zero_ns, self._timescale)
        size = np.repeat([PACKET_SIZES[samples.kind] for samples in due] or _NONE, counts)
        order = np.argsort(ticks, kind="stable")  # of equal times the lowest kind stays first
        ticks, sorted_size = ticks[order], size[order]
        place = np.empty_like(order)
        place[order] = np.cumsum(sorted_size) - sorted_size
        payload = np.empty(int(size.sum()), np.uint8)
        places = np.split(place, np.cumsum(counts[:-1], dtype=np.int64))
        for samples, at in zip(due, places, strict=False):
            packet = f"V{PACKET_SIZES[samples.kind]}"
            windows(payload, packet)[at] = encode(samples.kind, samples.data).view(packet)[:, 0]
            self._written[samples.kind] += len(samples)
        end = int(_ticks(np.array([cut_ns - zero_ns]), self._timescale)[0])
        return Run(
            self._camm_track,
            payload.tobytes(),
            sorted_size,
            ticks,
            np.zeros_like(ticks),
            max(end - int(ticks[-1]), 0) if len(ticks) else 0,
            np.ones(len(ticks), np.bool_),
        )

    def _sample_exposures(self) -> None:
        """Put what pictures have told of their shutter among the samples, as one block."""
        told, self._exposed = self._exposed, []
        if told:
            exposure = empty_values(PacketType.EXPOSURE, len(told))
            exposure["pixel_exposure_time"] = [packet.exposure_ns for packet in told]
            exposure["rolling_shutter_skew_time"] = [packet.skew_ns for packet in told]
            t_ns = np.array([packet.exposure_start_ns for packet in told], np.int64)
            self._samples.append(Samples(PacketType.EXPOSURE, t_ns, exposure))

    def _take_samples(self, cut_ns: int) -> list[Samples]:
        """What was measured before `cut_ns`: a block of each kind, in the order of kinds."""
        self._sample_exposures()
        came: dict[PacketType, list[Samples]] = {}
        for block in self._samples:
            came.setdefault(block.kind, []).append(block)
        due, left = [], []
        for kind in sorted(came):
            samples = Samples.concatenate(kind, came[kind])
            early = samples.t_ns < cut_ns
            due.append(samples[early])
            left.append(samples[~early])
        self._samples = [samples for samples in left if len(samples)]
        return [samples for samples in due if len(samples)]

    def _without_late(self, blocks: Sequence[Samples], written_until_ns: int) -> list[Samples]:
        kept = []
        for block in blocks:
            in_time = block.t_ns >= written_until_ns
            self._late[block.kind] += len(block) - int(in_time.sum())
            kept.append(block[in_time])
        return [block for block in kept if len(block)]

    def _track_specs(self) -> list[TrackSpec]:
        specs = []
        sounds = sum(stream.format.kind == "audio" for stream in self._streams)
        for stream, coded in zip(self._streams, self._codings, strict=True):
            video = stream.format.kind == "video"
            aspect = stream.format.pixel_aspect
            specs.append(
                TrackSpec(
                    stream.track,
                    Handler(b"vide", "VideoHandler") if video else Handler(b"soun", "SoundHandler"),
                    VIDEO_HEADER if video else AUDIO_HEADER,
                    coded.timescale,
                    coded.entry,
                    stream.shift,
                    round(stream.format.width * aspect[0] / aspect[1]),
                    stream.format.height,
                    volume=0 if video else 1,
                    alternate_group=0 if video or sounds == 1 else _SOUNDS,
                )
            )
        camm = Handler(b"meta", "CameraMetadataMotionHandler")
        return [
            *specs,
            TrackSpec(
                self._camm_track,
                camm,
                METADATA_HEADER,
                self._timescale,
                CAMM_ENTRY,
                filler=_NOT_KNOWN,
            ),
        ]


_NONE = np.empty(0, np.int64)
_SOUNDS = 1
"""The group of audio tracks where there are several: players choose one."""

_NOT_KNOWN = encode(PacketType.EXPOSURE, empty_values(PacketType.EXPOSURE, 1)).tobytes()


def _ticks(t_ns: Ints, timescale: int) -> Ints:
    """Times in ticks, each rounded by itself, so that no error adds up."""
    seconds, rest = np.divmod(t_ns, 1_000_000_000)
    ticks: Ints = seconds * timescale + (rest * timescale + 500_000_000) // 1_000_000_000
    return ticks
