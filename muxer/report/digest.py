"""Everything that a page is made of, from one pass over the clip's records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, is_vector
from muxer.clip import Clip
from muxer.motion import Extent
from muxer.records import Records
from muxer.report.exposures import Sync
from muxer.report.intervals import Intervals
from muxer.report.places import Places
from muxer.report.pose import Pose
from muxer.report.rest import Rest, RestNoise
from muxer.report.series import Series

Watch = Callable[[Iterable[Records]], Iterable[Records]]
"""Stands around the pass and sees its blocks go by: a progress bar."""

_PLACES = (PacketType.GPS, PacketType.MIN_GPS)


@dataclass(frozen=True, slots=True, eq=False)
class Digest:
    """What is left of a clip, however long it is.

    `series`     lines of the types that are vectors, but for the orientation
    `intervals`  of every type that is there
    `frames`     of the video's frames; None without any
    `noise`      of the sensors that were at rest for long enough
    """

    series: dict[PacketType, Series]
    pose: Pose | None
    places: Places | None
    sync: Sync | None
    intervals: dict[PacketType, Intervals]
    frames: Intervals | None
    noise: list[RestNoise]

    @property
    def first_s(self) -> float:
        """When the earliest of it is."""
        return min((each.extent.first_ns for each in self._all), default=0) / 1e9

    @property
    def last_s(self) -> float:
        """When the latest of it is."""
        return max((each.extent.last_ns for each in self._all), default=0) / 1e9

    @property
    def _all(self) -> list[Intervals]:
        return [*self.intervals.values(), *([self.frames] if self.frames else [])]


def digest(clip: Clip, watch: Watch) -> Digest:
    """Read the clip's records, block by block."""
    extents = clip.survey.extents
    there = {kind: extents[kind] for kind in PacketType if kind in extents}
    intervals = {kind: Intervals(extent) for kind, extent in there.items()}
    series: dict[PacketType, Series] = {
        kind: Series(extent, 3)
        for kind, extent in there.items()
        if is_vector(kind) and kind is not PacketType.ANGLE_AXIS
    }
    orientation = there.get(PacketType.ANGLE_AXIS)
    pose = Pose(orientation) if orientation is not None else None
    rests = {
        kind: Rest(kind) for kind in (PacketType.GYRO, PacketType.ACCELERATION) if kind in there
    }
    places: list[Samples] = []
    exposures: list[Samples] = []
    for records in watch(clip.record_blocks()):
        for kind in records.kinds:
            samples = records.samples(kind)
            intervals[kind].add(samples.t_ns)
            if kind in series:
                series[kind].add(samples.t_ns, samples.data)
            if kind in rests:
                rests[kind].add(samples)
            if kind is PacketType.ANGLE_AXIS and pose is not None:
                pose.add(samples)
            elif kind in _PLACES:
                places.append(samples)
            elif kind is PacketType.EXPOSURE:
                exposures.append(samples)
    frames_ns = np.sort(clip.video.pts_ns) if clip.video is not None else np.empty(0, np.int64)
    return Digest(
        series,
        pose,
        Places.of(places),
        Sync.of(Samples.concatenate(PacketType.EXPOSURE, exposures), frames_ns),
        intervals,
        _of_frames(frames_ns),
        [noise for rest in rests.values() if (noise := rest.noise) is not None],
    )


def _of_frames(t_ns: npt.NDArray[np.int64]) -> Intervals | None:
    if not len(t_ns):
        return None
    frames = Intervals(Extent(len(t_ns), int(t_ns[0]), int(t_ns[-1])))
    frames.add(t_ns)
    return frames
