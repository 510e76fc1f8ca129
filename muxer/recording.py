"""A recording in the making: what comes from the sources, in order, in one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from camm import Packet, Samples, StreamFormat
from muxer.assembly import Assembly, Piece
from muxer.clip_writer import (
    CAMM_TIMESCALE,
    ClipWriter,
    RecordingStatistics,
    require_possible,
)
from muxer.errors import Mp4Error
from muxer.recording_file import MovieDescription


class Recording:
    """Takes packets and sample blocks as they come (see `Assembly`) and writes them as one clip.

    Movie time zero is the presentation time of the first video frame (`start_ns` where there is no
    video); samples before it are not in the movie. All methods belong to one thread, which also
    waits for the disk.
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
        require_possible(formats, timescale)
        self.path = path
        self._formats = formats
        self._about = about
        self._timescale = timescale
        self._assembly = Assembly(formats, sources=sources, start_ns=start_ns)
        self._clip: ClipWriter | None = None

    @property
    def zero_ns(self) -> int | None:
        """CLOCK_MONOTONIC at movie time zero; None before the first frame."""
        return self._assembly.zero_ns

    def add_packets(self, packets: Sequence[Packet]) -> None:
        """As `Assembly.add_packets`."""
        self._assembly.add_packets(packets)

    def add_samples(
        self, source: str, blocks: Sequence[Samples], complete_until_ns: int | None
    ) -> None:
        """As `Assembly.add_samples`."""
        self._assembly.add_samples(source, blocks, complete_until_ns)

    def end_at(self, end_ns: int) -> None:
        """As `Assembly.end_at`."""
        self._assembly.end_at(end_ns)

    def end_video(self) -> None:
        """As `Assembly.end_video`."""
        self._assembly.end_video()

    def advance(self, now_ns: int) -> None:
        """Write every fragment that is due at `now_ns`. May wait for the disk."""
        self._write(self._assembly.take_due(now_ns))

    def finish(
        self, end_ns: int, about: MovieDescription, *, copy: bool = False
    ) -> RecordingStatistics:
        """Write what is left from before `end_ns` and finalise the file.

        `copy` as in `RecordingFile.finalise`. Tell `end_at` before, as soon as the end is known: a
        fragment that is written stays.
        Mp4Error where not one frame (or, without video, sample) came: there is nothing to keep.
        """
        rest = self._assembly.take_rest(end_ns)
        pictures = self.statistics().frames + sum(len(p.packets[0]) for p in rest if p.packets)
        if self._formats and not pictures:
            raise Mp4Error("the camera delivered no picture: nothing was recorded")
        self._write(rest)
        if self._clip is None or not self._clip.begun:
            raise Mp4Error("no source delivered anything: nothing was recorded")
        self._clip.finalise(about, copy=copy)
        return self.statistics()

    def close(self) -> None:
        """As `ClipWriter.close`."""
        if self._clip is not None:
            self._clip.close()

    def rename(self, path: Path) -> None:
        """Give the finished file its final name."""
        if self._clip is not None:
            self._clip.rename(path)
            self.path = path

    def statistics(self) -> RecordingStatistics:
        """A snapshot of the counters."""
        if self._clip is None:
            return RecordingStatistics({}, {}, 0, 0, 0, 0)
        return self._clip.statistics(self._assembly.late)

    def _write(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if self._clip is None:
                if self.zero_ns is None:
                    return
                self._clip = ClipWriter(
                    self.path,
                    self._formats,
                    self._about,
                    self.zero_ns,
                    timescale=self._timescale,
                )
            self._clip.write(piece)
