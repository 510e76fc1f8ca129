"""What is known of moments of one's own choice, such as those of the video frames.

Orientation turns steadily between the records (slerp). Places are interpolated for display: the
column `place` says so, and they are no measurement. Nothing is told far from any record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from camm import PacketType, Samples
from camm.frames import (
    from_angle_axis,
    heading_pitch_roll,
    interpolate,
    to_angle_axis,
    to_matrix,
)
from muxer.extract.beside import in_order
from muxer.extract.columns import Column, time_columns
from muxer.extract.document import NothingToExtractError
from muxer.extract.selection import Selection
from muxer.gps_epoch import Floats
from muxer.records import Records
from muxer.sample_table import Ints

_ORIENTED_NS = 500_000_000
"""How far from a record its orientation is still told."""
_PLACED_NS = 5_000_000_000
"""How far apart two fixes may be with a place between them: Street View's longest gap."""
_KEPT_NS = 2_000_000_000
_ROWS = 10_000


def frames(selection: Selection) -> Moments:
    """The video frames, in the order in which they are shown, with their exposures."""
    video = selection.clip.video
    if video is None or not video.count:
        raise NothingToExtractError(f"{selection.clip.path} has no video frames")
    return Moments(selection, np.sort(video.pts_ns), exposed=True)


class Moments:
    """Rows for times that rise: `frame` counts them from 0.

    `exposed` says that they are of video frames, which have exposures.
    """

    def __init__(self, selection: Selection, t_ns: Ints, *, exposed: bool = False) -> None:
        self._selection = selection
        self._t_ns = t_ns
        self._exposed = exposed
        steps = np.diff(t_ns)
        self._half_ns = int(np.median(steps)) // 2 if len(steps) else _ORIENTED_NS
        self._turned = Samples.empty(PacketType.ANGLE_AXIS)
        self._exposures = Samples.empty(PacketType.EXPOSURE)

    @property
    def header(self) -> list[Column]:
        """The columns without rows."""
        return self._columns(slice(0, 0))

    def blocks(self, records: Iterable[Records]) -> Iterator[list[Column]]:
        """The rows, as soon as the records are read that tell what is in them. Can be had once."""
        done = 0
        oriented = PacketType.ANGLE_AXIS in self._selection.present
        for block in records:
            told = self._take(block)
            if oriented:
                told = self._turned.t_ns
            ready = int(np.searchsorted(self._t_ns, told[-1])) if len(told) else done
            while ready - done > _ROWS:
                yield self._columns(slice(done, done + _ROWS))
                done += _ROWS
            yield self._columns(slice(done, max(done, ready)))
            done = max(done, ready)
            self._forget(done)
        for first in range(done, len(self._t_ns), _ROWS):
            yield self._columns(slice(first, min(first + _ROWS, len(self._t_ns))))

    def _take(self, block: Records) -> Ints:
        """Note what a block says; its times."""
        if self._selection.wants(PacketType.ANGLE_AXIS):
            turned = block.samples(PacketType.ANGLE_AXIS)
            self._turned = in_order(self._turned, turned[np.isfinite(turned.data).all(axis=1)])
        if self._exposed and self._selection.wants(PacketType.EXPOSURE):
            exposures = block.samples(PacketType.EXPOSURE)
            known = exposures.data["pixel_exposure_time"] > 0
            self._exposures = in_order(self._exposures, exposures[known])
        return block.t_ns

    def _forget(self, done: int) -> None:
        """Let go of what no later row needs."""
        if done < len(self._t_ns):
            first_ns = int(self._t_ns[done]) - _KEPT_NS
            self._turned = self._turned[_from(self._turned, first_ns)]
            self._exposures = self._exposures[_from(self._exposures, first_ns)]

    def _columns(self, rows: slice) -> list[Column]:
        t_ns = self._t_ns[rows]
        clock = self._selection.utc
        return [
            Column("frame", "", np.arange(rows.start, rows.stop)),
            *time_columns(t_ns, clock.at(t_ns)),
            *self._orientation(t_ns),
            *(self._exposure(t_ns) if self._exposed else []),
            *self._place(t_ns),
        ]

    def _orientation(self, t_ns: Ints) -> Iterator[Column]:
        last = np.diff(self._turned.t_ns, append=np.iinfo(np.int64).max) > 0  # of equal times
        turned = self._turned[last]
        told = _distance_ns(turned.t_ns, t_ns) <= _ORIENTED_NS
        quaternion = np.full((len(t_ns), 4), np.nan)
        if told.any():
            known = from_angle_axis(turned.data)
            quaternion[told] = interpolate(turned.t_ns, known, t_ns[told])
        angle_axis = np.full((len(t_ns), 3), np.nan)
        angle_axis[told] = to_angle_axis(quaternion[told])
        matrix = to_matrix(quaternion).reshape(-1, 9)
        numbers = [f"{row}{column}" for row in range(3) for column in range(3)]
        for name, unit, parts, values in (
            ("angle_axis", "rad", "xyz", angle_axis),
            ("quaternion", "", "wxyz", quaternion),
            ("matrix", "", numbers, matrix),
        ):
            for part, column in zip(parts, values.T, strict=True):
                yield Column(f"{name}_{part}", unit, column, vector=name, format="%.9g")
        for name, degrees in zip(
            ("yaw_deg", "pitch_deg", "roll_deg"), heading_pitch_roll(angle_axis), strict=True
        ):
            yield Column(name, "deg", degrees, format="%.6f")

    def _exposure(self, t_ns: Ints) -> Iterator[Column]:
        """A record stands where the exposure begins, and its frame at the centre of that."""
        data = self._exposures.data
        names = ("pixel_exposure_time", "rolling_shutter_skew_time")
        length_ns = sum(np.maximum(data[name].astype(np.int64), 0) for name in names)
        centre_ns = self._exposures.t_ns + length_ns // 2
        order = np.argsort(centre_ns, kind="stable")
        centre_ns = centre_ns[order]
        nearest = _nearest(centre_ns, t_ns)
        told = _distance_ns(centre_ns, t_ns) <= self._half_ns
        for name in names:
            values = np.full(len(t_ns), np.nan)
            values[told] = data[name][order][nearest[told]]
            yield Column(name, "ns", values, format="%.0f")

    def _place(self, t_ns: Ints) -> Iterator[Column]:
        track = self._selection.track
        values = np.full((4, len(t_ns)), np.nan)
        place = np.full(len(t_ns), "", object)
        if track is not None:
            times, first = np.unique(track.t_ns, return_index=True)
            after = np.searchsorted(times, t_ns)
            there = times[np.minimum(after, len(times) - 1)] == t_ns
            between = (after > 0) & (after < len(times))
            span = times[after[between]] - times[after[between] - 1]
            between[between] = span <= _PLACED_NS
            place[between] = "interpolated"
            place[there] = "measured"
            told = between | there
            around = np.unwrap(track.longitude, period=360)
            for row, known in enumerate((track.latitude, around, track.altitude, track.speed)):
                values[row, told] = np.interp(t_ns[told] - times[0], times - times[0], known[first])
            values[1] = (values[1] + 180) % 360 - 180
        yield Column("latitude", "deg", values[0], format="%.9f")
        yield Column("longitude", "deg", values[1], format="%.9f")
        yield Column("altitude", "m", values[2], format="%.3f")
        yield Column("speed", "m/s", values[3], format="%.3f")
        yield Column("place", "", place)


def _from(samples: Samples, t_ns: int) -> slice:
    """From the last sample before a time on."""
    return slice(max(int(np.searchsorted(samples.t_ns, t_ns)) - 1, 0), None)


def _nearest(times: Ints, t_ns: Ints) -> Ints:
    """Which of the times, that rise, is nearest to each moment; there must be one."""
    if not len(times):
        return np.zeros(len(t_ns), np.int64)
    middles = times[:-1] + np.diff(times) // 2
    return np.searchsorted(middles, t_ns)


def _distance_ns(times: Ints, t_ns: Ints) -> Floats:
    """How far each moment is from the nearest of the times; infinite where there is none."""
    if not len(times):
        return np.full(len(t_ns), np.inf)
    distance: Floats = np.abs(times[_nearest(times, t_ns)] - t_ns).astype(np.float64)
    return distance
