"""GPX 1.1: where the camera went, as one track with times in UTC.

The altitude is written as it is in the clip, which the specification has above the WGS-84
ellipsoid, while GPX readers take it for above sea level.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from camm import PacketType, Samples
from muxer.clip import Clip
from muxer.extract.document import Document, NothingToExtractError
from muxer.gps_epoch import recognise, utc

if TYPE_CHECKING:
    from gpxpy.gpx import GPXTrackPoint

_FIX = {2: "2d", 3: "3d"}


def documents(clip: Clip, kinds: Collection[PacketType] | None = None) -> list[Document]:
    """One document, `.gpx`: the fixes of type 6, or those of type 5 where there are none."""
    for kind in (PacketType.GPS, PacketType.MIN_GPS):
        if kinds is None or kind in kinds:
            fixes = with_fix(Samples.concatenate(kind, clip.blocks(kind)))
            if len(fixes):
                return [Document(".gpx", 1, _text(clip, fixes))]
    raise NothingToExtractError(f"{clip.path} has no GPS fix to make a GPX track of")


def with_fix(samples: Samples) -> Samples:
    """The records of type 5 or 6 that tell a place on Earth."""
    latitude, longitude = samples.data["latitude"], samples.data["longitude"]
    # NaN fails every comparison, and so stays out.
    there = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    there &= (latitude != 0) | (longitude != 0)
    if samples.kind is PacketType.GPS:
        there &= samples.data["gps_fix_type"] != 0
    return samples[there]


def _text(clip: Clip, fixes: Samples) -> Iterator[str]:
    from gpxpy.gpx import GPX, GPXTrack, GPXTrackSegment

    name = "".join(filter(str.isprintable, Path(clip.path).stem))  # XML has no way to say the rest
    track = GPXTrack(name=name)
    track.segments.append(GPXTrackSegment(_points(clip, fixes)))
    gpx = GPX()
    gpx.creator = "cammcorder"
    gpx.tracks.append(track)
    yield gpx.to_xml(version="1.1") + "\n"


def _points(clip: Clip, fixes: Samples) -> list[GPXTrackPoint]:
    from gpxpy.gpx import GPXTrackPoint

    rows = [fixes.data[name].tolist() for name in ("latitude", "longitude", "altitude")]
    gps = fixes.kind is PacketType.GPS
    times = fixes.data["time_gps_epoch"] if gps else np.full(len(fixes), np.nan)
    kinds = fixes.data["gps_fix_type"] if gps else np.zeros(len(fixes), np.int32)
    epoch = recognise(times, clip.created)
    points = []
    for t_ns, time, kind, latitude, longitude, altitude in zip(
        fixes.t_ns.tolist(), times.tolist(), kinds.tolist(), *rows, strict=True
    ):
        when = utc(time, epoch)
        if when is None and clip.created is not None:
            when = clip.created + timedelta(microseconds=t_ns // 1000)
        height = altitude if math.isfinite(altitude) else None
        point = GPXTrackPoint(latitude, longitude, height, when)
        point.type_of_gpx_fix = _FIX.get(kind)
        points.append(point)
    return points
