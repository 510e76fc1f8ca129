"""One clip in the making: pieces of what was recorded become fragments of a file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    encode,
)
from muxer.assembly import Piece
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.movie_start import begin_at
from muxer.pauses import NOT_KNOWN
from muxer.projection import EQUIRECTANGULAR_IN_TRAK
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
from muxer.sample_table import ticks_of

CAMM_TIMESCALE = 1_000_000
"""Ticks a second of the metadata's times: a microsecond, and no overflow in sight."""


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


class ClipWriter:
    """Writes pieces, in order, as the fragments of one file, and finalises it.

    `zero_ns` is movie time zero, CLOCK_MONOTONIC; samples before it are not in the movie. The file
    comes into being with the first piece that holds anything. All methods belong to one thread,
    which also waits for the disk.

    UsageError for a codec that cannot be put into MP4 and for a timescale that readers do not take.
    """

    def __init__(
        self,
        path: Path,
        formats: Sequence[StreamFormat],
        about: MovieDescription,
        zero_ns: int,
        *,
        timescale: int = CAMM_TIMESCALE,
    ) -> None:
        require_possible(formats, timescale)
        self.path = path
        self.zero_ns = zero_ns
        self._timescale = timescale
        self._about = about
        self._formats = formats
        self._codings: list[Coding] = []
        self._shifts = [0] * len(formats)
        self._camm_track = len(formats) + 1
        self._file: RecordingFile | None = None
        self._written: Counter[PacketType] = Counter()
        self._frames = self._keyframes = self._fragments = self._bytes = 0
        self.until_ns = zero_ns
        """Everything from before this is in the file."""
        self.slowest_write_s = 0.0
        """The longest that a fragment has taken to be on the disk."""

    @property
    def begun(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def write(self, piece: Piece) -> None:
        """Add a piece and wait until it is on the disk.

        Of the first one the samples before time zero say what there is at zero.
        """
        if not self._formats and self._file is None and not piece.samples:
            return
        if not self._codings:
            self._codings = [
                coding(stream, packets[0].data if packets else b"")
                for stream, packets in zip(self._formats, piece.packets, strict=True)
            ]
        runs = [self._media_run(stream, packets) for stream, packets in enumerate(piece.packets)]
        runs.append(self._camm_run(piece))
        filled = [run for run in runs if len(run.size)]
        if not filled:
            return
        if self._file is None:
            self._file = RecordingFile(self.path, self._track_specs(), self._about)
        began = time.perf_counter()
        self._file.append(filled)
        self.slowest_write_s = max(self.slowest_write_s, time.perf_counter() - began)
        self.until_ns = piece.cut_ns
        self._fragments += 1
        self._bytes += sum(len(run.data) for run in filled)

    def finalise(self, about: MovieDescription, *, copy: bool = False) -> None:
        """Turn the file into a plain MP4; `copy` as in `RecordingFile.finalise`."""
        if self._file is not None:
            self._file.finalise(about, copy=copy)

    def close(self) -> None:
        """Let go of the file as it stands: it holds every fragment so far and can be read."""
        if self._file is not None:
            self._file.close()

    def rename(self, path: Path) -> None:
        """Give the finished file its final name."""
        if self._file is not None:
            self._file.rename(path)
            self.path = path

    def statistics(self, late: Mapping[PacketType, int]) -> RecordingStatistics:
        """A snapshot of the counters, with those of whoever knows what came too late."""
        return RecordingStatistics(
            MappingProxyType(dict(self._written)),
            MappingProxyType(dict(late)),
            self._frames,
            self._keyframes,
            self._fragments,
            self._bytes,
        )

    def _media_run(self, stream: int, packets: Sequence[Packet]) -> Run:
        """The packets of a stream."""
        coded, zero_ns = self._codings[stream], self.zero_ns
        timescale = coded.timescale
        dts = ticks_of(
            np.array([packet.dts_ns - zero_ns for packet in packets], np.int64), timescale
        )
        pts = ticks_of(
            np.array([packet.pts_ns - zero_ns for packet in packets], np.int64), timescale
        )
        if packets and self._file is None:
            self._shifts[stream] = max(0, -int(dts[0]))
        data = [coded.convert(packet.data) for packet in packets]
        keyframe = np.array([packet.keyframe for packet in packets], np.bool_)
        if stream == 0:
            self._frames += len(packets)
            self._keyframes += int(keyframe.sum())
        duration = np.array([packet.duration_ns for packet in packets[-1:]], np.int64)
        return Run(
            stream + 1,
            b"".join(data),
            np.array([len(part) for part in data], np.int64),
            dts + self._shifts[stream],
            pts - dts,
            int(ticks_of(duration, timescale).sum()),
            keyframe,
        )

    def _camm_run(self, piece: Piece) -> Run:
        """All records of a piece, sorted by time over all kinds and put one behind another."""
        due: Sequence[Samples] = piece.samples
        if self._file is None:
            due = sorted(begin_at(self.zero_ns, due), key=attrgetter("kind"))
        counts = [len(samples) for samples in due]
        t_ns = np.concatenate([samples.t_ns for samples in due] or [_NONE])
        ticks = ticks_of(t_ns - self.zero_ns, self._timescale)
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
        end = int(ticks_of(np.array([piece.cut_ns - self.zero_ns]), self._timescale)[0])
        return Run(
            self._camm_track,
            payload.tobytes(),
            sorted_size,
            ticks,
            np.zeros_like(ticks),
            max(end - int(ticks[-1]), 0) if len(ticks) else 0,
            np.ones(len(ticks), np.bool_),
        )

    def _track_specs(self) -> list[TrackSpec]:
        specs = []
        sounds = sum(stream.kind == "audio" for stream in self._formats)
        tracks = zip(self._formats, self._codings, self._shifts, strict=True)
        for number, (stream, coded, shift) in enumerate(tracks, 1):
            video = stream.kind == "video"
            aspect = stream.pixel_aspect
            spherical = stream.projection == "equirectangular"
            specs.append(
                TrackSpec(
                    number,
                    Handler(b"vide", "VideoHandler") if video else Handler(b"soun", "SoundHandler"),
                    VIDEO_HEADER if video else AUDIO_HEADER,
                    coded.timescale,
                    coded.entry,
                    shift,
                    round(stream.width * aspect[0] / aspect[1]),
                    stream.height,
                    volume=0 if video else 1,
                    alternate_group=0 if video or sounds == 1 else _SOUNDS,
                    in_trak=(EQUIRECTANGULAR_IN_TRAK,) if spherical else (),
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
                filler=NOT_KNOWN,
            ),
        ]


def require_possible(formats: Sequence[StreamFormat], timescale: int) -> None:
    """UsageError where no clip can be made of such streams, with such a timescale."""
    if not 1000 <= timescale <= 1_000_000_000:
        raise UsageError(
            f"the metadata's timescale is 1,000 to 1,000,000,000 ticks a second, "
            f"found {timescale:,}"
        )
    for stream in formats:
        require_known(stream.codec)


_NONE = np.empty(0, np.int64)
_SOUNDS = 1
"""The group of audio tracks where there are several: players choose one."""
