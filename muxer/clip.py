"""A clip that has been opened: its tracks, and its metadata as columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from muxer.gps_epoch import Floats, GpsEpoch, gps_seconds, leap_seconds_known, recognise, utc_dates
from muxer.madv import Madv
from muxer.motion import Motion
from muxer.records import Records
from muxer.source import ByteSource
from muxer.track import CammTrack, Track

__all__ = ["CammTrack", "Clip", "Track"]

_NAMED = 8
"""Damaged fragments whose place is told; of more there is the number."""


class Clip(Motion):
    """An opened clip. Attributes with the specification's names give its metadata as columns:

    `clip.gyro.t_ns` is int64[N] nanoseconds from the first video frame, `clip.gyro.data` float32
    (N, 3); likewise angle_axis, acceleration, position, magnetic_field, and with record arrays
    exposure, min_gps and gps. A packet type that is not in the clip reads as an empty block.

    They are those of the first metadata track that has any; each of `camm_tracks` has the same
    attributes for its own. `madv` is a Mi Sphere's own metadata, whose orientations are the clip's
    where it has no such track.

    Opened with `muxer.reader.open`; a context manager. Columns are read when they are asked for;
    for clips of many hours there is `blocks`, which goes through them in little memory.
    """

    def __init__(
        self,
        source: ByteSource,
        tracks: list[Track],
        *,
        created: datetime | None,
        make: str,
        model: str,
        metadata: Mapping[str, Any],
        fragmented: bool,
        moov_first: bool,
        madv_boxes: Mapping[bytes, bytes],
        damage: Collection[tuple[int, int]],
    ) -> None:
        self._source = source
        self.path = source.name
        self.size = source.size
        self.tracks = tracks
        self.created = created
        self.make = make
        self.model = model
        self.metadata = metadata
        self.fragmented = fragmented
        self.moov_first = moov_first
        self.madv = Madv(madv_boxes, self.video) if madv_boxes else None
        self._damage = damage  # grows while fragments are read

    @property
    def fetched(self) -> tuple[int, int]:
        """Requests and bytes that reading has cost so far; both 0 for a file on this machine."""
        return self._source.requests, self._source.fetched

    def close(self) -> None:
        """Close the file. Columns that were read stay."""
        self._source.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def video(self) -> Track | None:
        """The first video track."""
        return next((track for track in self.tracks if track.handler.kind == b"vide"), None)

    @property
    def camm_tracks(self) -> list[CammTrack]:
        """The tracks of camera motion metadata, whatever their handler says."""
        return [track for track in self.tracks if isinstance(track, CammTrack)]

    @cached_property
    def motion(self) -> CammTrack | Madv | None:
        """Where the clip's columns come from; None where it has no motion metadata."""
        there: list[CammTrack | Madv] = [*self.camm_tracks]
        if self.madv is not None:
            there.append(self.madv)
        if len(there) < 2:
            return there[0] if there else None
        return next((motion for motion in there if any(map(len, motion.record_blocks()))), there[0])

    @property
    def duration_ns(self) -> int:
        """From movie time zero to the end of the longest track."""
        return max((track.duration_ns for track in self.tracks), default=0)

    def record_blocks(self, seconds: float | None = None) -> Iterator[Records]:
        return iter(()) if self.motion is None else self.motion.record_blocks(seconds)

    @property
    def faults(self) -> dict[str, int]:
        """What was found in reading besides what was sought: a reason, and how many times."""
        faults = dict(self.survey.faults)
        damage = sorted(self._damage)
        for start, end in damage[:_NAMED]:
            faults[f"damaged fragment, bytes {start} to {end}"] = 1
        if len(damage) > _NAMED:
            faults["damaged fragments behind that"] = len(damage) - _NAMED
        return faults

    @cached_property
    def gps_epoch(self) -> GpsEpoch:
        """What `time_gps_epoch` counts in this clip, of whatever maker."""
        return recognise(self._gps_times, self.created)

    @property
    def gps_time_s(self) -> Floats:
        """GPS time of each of `gps`, float64[N] seconds; NaN where a record tells no date."""
        return gps_seconds(self._gps_times, self.gps_epoch)

    @property
    def gps_utc(self) -> npt.NDArray[np.datetime64]:
        """UTC of each of `gps`, datetime64[ns]; NaT where a record tells no date."""
        return utc_dates(self._gps_times, self.gps_epoch)

    @property
    def leap_seconds_known(self) -> bool:
        """Whether `gps_utc` lies within what is known of leap seconds (camm.gps_time).

        If not, there may have been one since; `gps_utc` would then be a second ahead, or
        `gps_time_s` a second behind where it comes from Unix time.
        """
        return leap_seconds_known(self.gps_utc)

    @cached_property
    def _gps_times(self) -> Floats:
        """The field as it is, read block by block: fixes are few, whatever the clip's length."""
        fixes = Samples.concatenate(PacketType.GPS, self.blocks(PacketType.GPS))
        times: Floats = fixes.data["time_gps_epoch"]
        return times
