"""What rules look at: a clip, read once from its begin to its end and boiled down.

Nothing here grows by more than some bytes for each video frame and each fix, so that hours at a
kilohertz fit into little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from camm import PacketType, Samples
from muxer.check.cells import Cells
from muxer.check.stream import Mark, Pairing, Stream
from muxer.clip import Clip
from muxer.motion import Survey
from muxer.records import Records
from muxer.sample_table import Ints

Watch = Callable[[Iterable[Records]], Iterable[Records]]
"""Passes blocks of records on: where a progress bar counts them."""


class Evidence:
    """A clip with motion metadata, and what its records come to.

    `streams`  of each packet type that there is, its records boiled down
    `cells`    what the motion sensors and the orientations say, side by side
    `pairing`  of angular rates and accelerations, where there are as many of both
    `backwards`  records of any type that lie before the one before them in the file
    `first_ns`   time of the first record in the file; None where there is none
    `now`      until when a time is not in the future
    """

    def __init__(
        self, clip: Clip, *, now: datetime | None = None, watch: Watch = lambda blocks: blocks
    ) -> None:
        self.clip = clip
        self.now = now or datetime.now(UTC)
        self.survey: Survey = clip.survey
        self.streams: dict[PacketType, Stream] = {}
        self.cells = Cells(self.survey.extents)
        self.pairing = Pairing()
        self.backwards = Mark()
        self.first_ns: int | None = None
        self._last_ns = np.empty(0, np.int64)
        paired = self._count(PacketType.GYRO) == self._count(PacketType.ACCELERATION)
        for records in watch(clip.record_blocks()):
            self._take_order(records.t_ns)
            for kind in records.kinds:
                samples = records.samples(kind)
                self.streams.setdefault(kind, Stream(kind)).take(samples)
                self.cells.take(samples)
                if paired:
                    self.pairing.take(samples)

    @cached_property
    def frames_ns(self) -> Ints:
        """Presentation times of all video frames, in order; empty without video."""
        video = self.clip.video
        return np.empty(0, np.int64) if video is None else np.sort(video.pts_ns)

    @cached_property
    def exposures(self) -> Samples:
        """All records of type 1, in order of time."""
        return self._kept(PacketType.EXPOSURE)

    @cached_property
    def gps(self) -> Samples:
        """All records of type 6, in order of time."""
        return self._kept(PacketType.GPS)

    @cached_property
    def min_gps(self) -> Samples:
        """All records of type 5, in order of time."""
        return self._kept(PacketType.MIN_GPS)

    def of(self, *kinds: PacketType) -> list[Stream]:
        """The streams of these types, of those that there are."""
        return [self.streams[kind] for kind in kinds if kind in self.streams]

    def _kept(self, kind: PacketType) -> Samples:
        if kind not in self.streams:
            return Samples.empty(kind)
        samples = self.streams[kind].kept
        return samples[np.argsort(samples.t_ns, kind="stable")]

    def _count(self, kind: PacketType) -> int:
        return self.survey.extents[kind].count if kind in self.survey.extents else 0

    def _take_order(self, t_ns: Ints) -> None:
        if not len(t_ns):
            return
        if self.first_ns is None:
            self.first_ns = int(t_ns[0])
        times = np.concatenate([self._last_ns, t_ns])
        self.backwards.add(np.diff(times) < 0, times[1:])
        self._last_ns = times[-1:]
