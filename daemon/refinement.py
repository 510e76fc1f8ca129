"""The orientation of a finished clip, worked out again from the motion that it holds.

A filter that runs while it films knows nothing of what comes, lags, and has to find its way first.
Types 2, 3 and 7 are in the clip, so type 0 can be had better afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from camm import PacketType, Samples, UsageError, encode
from camm.frames import (
    Array,
    check_mount,
    from_angle_axis,
    heading_pitch_roll,
    interpolate,
    to_angle_axis,
)
from fusion.acausal_fuser import AcausalFuser
from fusion.declination import DeclinationError, magnetic_declination
from fusion.fuser import OrientationFuser, Times
from fusion.orientation import OFFLINE, SIX_AXES, make_filter
from muxer.clip import Clip
from muxer.errors import NoCammError
from muxer.extract.track import with_fix
from muxer.reader import open as open_clip
from muxer.records import Records
from muxer.remux.movie import NewTrack, remux
from muxer.remux.order import InOrder, picked
from muxer.rewriting import rewrite
from muxer.track import CammTrack

Rate: TypeAlias = Literal["imu", "frame"] | float
"""One orientation for each inertial sample, for each video frame, or so many a second."""

_BLOCK_S = 10
_AT_ONCE = 10_000
_NEARLY = 0.999  # of full scale: what reads more has probably been more
_UNDER_WAY_M_S = 2.0
"""From this speed on the course of a fix says where the rig is going."""
_FEWEST_COURSES = 5
_STRAIGHT = 0.8
"""Mean of the unit vectors of courses less headings, below which they do not go together."""


@dataclass(frozen=True, slots=True)
class Refined:
    """What came of it.

    `filter`        the one that was at work
    `heading`       what headings are relative to
    `turned`        radians by which they were turned for that
    `count`         records of type 0
    `told`          whether the clip's metadata says so
    """

    filter: str
    heading: str
    turned: float
    count: int
    told: bool


def refine(
    path: Path,
    out: Path,
    filter_name: str = OFFLINE,
    *,
    rate: Rate | None = None,
    align_course: bool = False,
) -> Refined:
    """Write the clip to `out` with type 0 worked out again; `out` may be the clip itself.

    Without a `rate` the records keep their places and times and nothing else of the file changes
    but its metadata; with one there is a new track, with as many records as that comes to.
    `align_course` turns headings that are relative to nothing to the course of the fixes, for a
    camera that looks ahead.

    NoCammError where there is no motion to work it out of, UsageError where the clip has no such
    course or no film, Mp4Error where it cannot be written again.
    """
    with open_clip(path) as clip:
        source = _Motion(clip, filter_name)
        heading, declination = source.north()
        if align_course and heading == "arbitrary":
            heading, declination = "GPS course", source.course_less_heading()
        about = {
            "filter": source.filter,
            "heading": heading,
            "declination_deg": 0.0 if heading == "GPS course" else math.degrees(declination),
        }
        orientation = _Orientation(source.orientations(declination))
        metadata = {**clip.metadata, "fusion": {**about, **_place(clip)}}
        if rate is None and not clip.counts.get(PacketType.ANGLE_AXIS):
            rate = "imu"
        if rate is None:
            told = rewrite(clip, source.track, PacketType.ANGLE_AXIS, orientation.at, metadata, out)
            count = clip.counts[PacketType.ANGLE_AXIS]
        else:
            records = _at_rate(source, orientation, rate)
            new = NewTrack(
                source.track.timescale,
                [source.track.number],
                clip.duration_ns,
                clip.created,
                metadata,
            )
            track = remux(clip, records, new, out, lambda what, done, total: None)
            told, count = True, track.counts[PacketType.ANGLE_AXIS]
        return Refined(source.filter, heading, declination, count, told)


class _Motion:
    """The motion of a clip, as a filter wants it."""

    def __init__(self, clip: Clip, filter_name: str) -> None:
        if not isinstance(clip.motion, CammTrack):
            raise NoCammError(
                f"{clip.path} has no track of camera motion metadata: `cammcorder convert` makes "
                "one of what it has"
            )
        for kind in (PacketType.GYRO, PacketType.ACCELERATION):
            if kind not in clip.counts:
                raise NoCammError(
                    f"{clip.path} has no {kind.label} (type {kind}): orientation is worked out of "
                    "angular rates and accelerations"
                )
        self.clip = clip
        self.track = clip.motion
        self.filter = make_filter(filter_name, 1.0).name  # which may be another: see there
        self._has_north = PacketType.MAGNETIC_FIELD in clip.counts and filter_name != SIX_AXES

    def north(self) -> tuple[str, float]:
        """What headings are relative to, and the declination, radians."""
        if not self._has_north:
            return "arbitrary", 0.0
        for kind in (PacketType.GPS, PacketType.MIN_GPS):
            fixes = Samples.concatenate(kind, self.clip.blocks(kind))
            there = with_fix(fixes)
            if not len(there):
                continue
            day = self.clip.created
            if kind is PacketType.GPS:
                utc = self.clip.gps_utc[np.isin(fixes.t_ns, there.t_ns[:1])][:1]
                day = utc.astype("datetime64[us]").tolist()[0] or day
            if day is None:
                return "magnetic north: the clip tells no date", 0.0
            fix = there.data[0]
            altitude = float(fix["altitude"])
            try:
                declination = magnetic_declination(
                    float(fix["latitude"]),
                    float(fix["longitude"]),
                    altitude if math.isfinite(altitude) else 0.0,
                    day,
                )
            except DeclinationError as error:
                return f"magnetic north: {error}", 0.0
            return "true north", declination
        return "magnetic north", 0.0

    def course_less_heading(self) -> float:
        """Radians from the headings that come out to the courses of the fixes, in the mean."""
        gps = PacketType.GPS
        fixes = with_fix(Samples.concatenate(gps, self.clip.blocks(gps)))
        east, north = fixes.data["velocity_east"], fixes.data["velocity_north"]
        under_way = np.hypot(east, north) >= _UNDER_WAY_M_S  # a comparison with NaN is false
        t_ns = fixes.t_ns[under_way]
        if len(t_ns) < _FEWEST_COURSES:
            raise UsageError(
                f"{self.clip.path} has {len(t_ns)} fixes at {_UNDER_WAY_M_S:g} m/s or more: a "
                f"course takes {_FEWEST_COURSES}"
            )
        course = np.arctan2(east, north)[under_way]
        orientation = _Orientation(self.orientations(0.0))
        parts = np.array_split(t_ns, -(-len(t_ns) // _AT_ONCE))
        heading, _, _ = heading_pitch_roll(np.concatenate([orientation.at(part) for part in parts]))
        mean = complex(np.mean(np.exp(1j * (course - np.radians(heading)))))
        if abs(mean) < _STRAIGHT:
            raise UsageError(
                f"{self.clip.path}: courses and headings do not go together: is the camera turned "
                "about on what carries it?"
            )
        return math.atan2(mean.imag, mean.real)

    def orientations(self, declination: float) -> Iterator[Samples]:
        """Type 0 for each inertial sample, in order of time."""
        gyro_limit = self._full_scale("gyro_range_dps", math.radians(1))
        accel_limit = self._full_scale("accel_range_g", 9.80665)
        mount = self._mount()
        fuser: AcausalFuser | OrientationFuser
        if self.filter == OFFLINE:
            fuser = AcausalFuser(mount, gyro_limit=gyro_limit, accel_limit=accel_limit)
        else:
            fuser = OrientationFuser(
                self.filter, mount, gyro_limit=gyro_limit, accel_limit=accel_limit
            )
        fuser.set_declination(declination)
        period_ns = 0
        force = Samples.empty(PacketType.ACCELERATION)
        for records in self.track.record_blocks(_BLOCK_S):
            if self._has_north:
                field = records.samples(PacketType.MAGNETIC_FIELD)
                fuser.add_mag(field.t_ns, field.data @ mount)
            gyro = records.samples(PacketType.GYRO)
            force = Samples.concatenate(
                force.kind, [force[-1:], records.samples(PacketType.ACCELERATION)]
            )
            if len(gyro) > 1 and not period_ns:
                period_ns = max(round(float(np.median(np.diff(gyro.t_ns)))), 1)
            if len(gyro) and period_ns:
                accel = _at(gyro.t_ns, force)
                fuser.add_imu(gyro.t_ns, gyro.data @ mount, accel @ mount, period_ns)
                if (ready := fuser.take()) is not None:
                    yield ready
        if (rest := fuser.flush()) is not None:
            yield rest

    def _mount(self) -> Array:
        """R_camera,sensor by which motion was turned, so that it can be turned back.

        It is the sensor's axes that saturate.
        """
        try:
            return check_mount(self.clip.metadata.get("mount", np.eye(3)))
        except (TypeError, ValueError):  # of another program, or of a hand
            return np.eye(3)

    def _full_scale(self, key: str, unit: float) -> float:
        """Of the sensor that recorded the clip, where it says so; else there is no limit."""
        sources: Any = self.clip.metadata.get("sources")
        imu = sources.get("imu") if isinstance(sources, Mapping) else None
        found = imu.get(key) if isinstance(imu, Mapping) else None
        return _NEARLY * found * unit if isinstance(found, int | float) else math.inf


class _Orientation:
    """Orientations at any times that rise, of blocks that are worked out as they are wanted."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._t_ns: Times = np.empty(0, np.int64)
        self._q: Array = np.empty((0, 4))

    def at(self, t_ns: Times) -> Array:
        """Angle-axis vectors (N, 3)."""
        known, until_ns = [self._t_ns], int(t_ns.max())
        turned = [self._q]
        while not len(known[-1]) or known[-1][-1] < until_ns:
            block = next(self._blocks, None)
            if block is None:
                break
            known.append(block.t_ns)
            turned.append(from_angle_axis(block.data))
        self._t_ns, self._q = np.concatenate(known), np.concatenate(turned)
        found = to_angle_axis(interpolate(self._t_ns, self._q, t_ns))
        done = max(int(self._t_ns.searchsorted(t_ns.min())) - 1, 0)
        self._t_ns, self._q = self._t_ns[done:], self._q[done:]
        return found


def _place(clip: Clip) -> Mapping[str, Any]:
    """What the clip says of its positions, which stay as they are."""
    fusion: Any = clip.metadata.get("fusion")
    there = isinstance(fusion, Mapping) and "position" in fusion
    return {"position": fusion["position"]} if there else {}


def _at(t_ns: Times, force: Samples) -> Array:
    """Accelerations at the times of angular rates: their own where both are told together."""
    if len(force) and not len(t_ns):
        return np.empty((0, 3))
    if not len(force):
        return np.zeros((len(t_ns), 3))
    data = force.data.astype(np.float64)
    rows = force.t_ns.searchsorted(t_ns).clip(0, len(force) - 1)
    if np.array_equal(force.t_ns[rows], t_ns):
        return np.asarray(data[rows])
    begin = force.t_ns[0]
    columns = [np.interp(t_ns - begin, force.t_ns - begin, axis) for axis in data.T]
    return np.stack(columns, axis=1)


def _at_rate(source: _Motion, orientation: _Orientation, rate: Rate) -> Iterator[Records]:
    """All records of the clip but type 0, and new ones of that."""

    def others() -> Iterator[Records]:
        for records in source.track.record_blocks(_BLOCK_S):
            kept = np.flatnonzero(records.kind != PacketType.ANGLE_AXIS)
            if len(kept):
                yield picked(records, kept)

    def ours() -> Iterator[Records]:
        for t_ns in _times(source, rate):
            packets = encode(PacketType.ANGLE_AXIS, orientation.at(t_ns))
            count, size = packets.shape
            yield Records(
                np.full(count, int(PacketType.ANGLE_AXIS)),
                t_ns,
                np.arange(count) * size,
                np.full(count, size),
                packets.reshape(-1),
                {},
            )

    return iter(InOrder([others(), ours()]))


def _times(source: _Motion, rate: Rate) -> Iterator[Times]:
    """When orientations are wanted, in blocks, in order of time."""
    if rate == "imu":
        for samples in source.track.blocks(PacketType.GYRO, _BLOCK_S):
            yield samples.t_ns
        return
    if rate == "frame":
        video = source.clip.video
        if video is None:
            raise UsageError(f"{source.clip.path} has no film: there are no frames to turn")
        t_ns = np.sort(video.pts_ns)
    else:
        extent = source.clip.survey.extents[PacketType.GYRO]
        t_ns = np.arange(math.floor((extent.last_ns - extent.first_ns) / 1e9 * rate) + 1)
        t_ns = extent.first_ns + np.round(t_ns * (1e9 / rate)).astype(np.int64)
    yield from np.array_split(t_ns, -(-len(t_ns) // _AT_ONCE))
