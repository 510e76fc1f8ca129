"""Where the camera was: the fixes of a receiver, and between them what the accelerometer felt.

A loosely coupled Kalman filter. The turned accelerometer carries it from fix to fix, and each fix
corrects it at the fix's own moment: so it does not matter how late they come.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from camm.frames import Array, from_angle_axis, rotate
from camm.packets import VALUE_DTYPES, PacketType
from camm.samples import Samples
from fusion.calibration.accel import normal_gravity
from fusion.fuser import Times
from fusion.local_frame import LocalFrame
from fusion.position_estimate import Estimate, Way

LONGEST_GAP_NS = 1_200_000_000
"""Between fixes that are further apart no position is told. One fix a second is enough, and whoever
writes need not wait for longer than two seconds."""
_KEPT_NS = 10_000_000_000  # of what waits for its counterpart
_FAR_M = 20_000.0  # from its place the local frame is moved
_FRAMES = 100  # of the past are known, more than there are in a clip
_HORIZONTAL, _VERTICAL, _SPEED = 3.0, 6.0, 0.5  # accuracies, m and m/s, where none are told


@dataclass(frozen=True, slots=True)
class PositionStatistics:
    """What became of the fixes so far.

    `used`     that corrected the position
    `refused`  too far off to be believed
    `begun`    times the filter began: at first, after a gap, and where it had gone astray
    """

    used: int = 0
    refused: int = 0
    begun: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Fixes:
    """Places in degrees and metres, velocities east, down, north; and their standard deviations.

    `places`, `velocities`  (N, 3), NaN where not told; `sigmas` (N, 2, 3) of both
    """

    t_ns: Times
    places: Array
    velocities: Array
    sigmas: Array

    @classmethod
    def of(cls, samples: Samples) -> _Fixes:
        """The records of type 5 or 6."""
        data, count = samples.data, len(samples)
        places = np.stack([data[name] for name in ("latitude", "longitude", "altitude")], axis=-1)
        if samples.kind is not PacketType.GPS:
            untold = np.tile([_HORIZONTAL, _VERTICAL, _HORIZONTAL, *3 * [_SPEED]], (count, 1))
            return cls(
                samples.t_ns, places, np.full((count, 3), np.nan), untold.reshape(count, 2, 3)
            )
        east, north, up = (
            data[f"velocity_{way}"].astype(np.float64) for way in ("east", "north", "up")
        )
        level, height, speed = (
            np.where(data[name] > 0, data[name], otherwise)  # a comparison with NaN is false
            for name, otherwise in (
                ("horizontal_accuracy", _HORIZONTAL),
                ("vertical_accuracy", _VERTICAL),
                ("speed_accuracy", _SPEED),
            )
        )
        sigmas = np.stack([level, height, level, speed, speed, speed], axis=-1)
        velocities = np.stack([east, -up, north], axis=-1)
        return cls(samples.t_ns, places, velocities, sigmas.reshape(count, 2, 3))


class PositionFilter:
    """Makes type 4 samples of fixes, orientations and accelerations. One thread at a time.

    Blocks go in by `add_force`, `add_orientation` and `add_fixes` in any sizes; `take` gives out
    positions up to the newest fix, at the times of the orientations. They lead smoothly from one
    estimate to the next. What comes out depends on the sequence of these calls alone.
    """

    def __init__(self) -> None:
        self._force: tuple[Times, Array] = np.empty(0, np.int64), np.empty((0, 3))
        self._motion = self._force  # turned to the world, without gravity
        self._fixes: list[tuple[int, Array, Array, Array]] = []  # rows of `_Fixes`
        self._gravity = normal_gravity()
        self._now: Estimate | None = None
        self._used = self._refused = self._begun = 0
        self.frames: deque[LocalFrame] = deque(maxlen=_FRAMES)
        """Those that positions were told in, the newest last; none before the first fix."""

    @property
    def statistics(self) -> PositionStatistics:
        return PositionStatistics(self._used, self._refused, self._begun)

    def add_force(self, t_ns: Times, accel: Array) -> None:
        """Specific force in camera axes, m/s^2 (N, 3)."""
        there = np.isfinite(accel).all(axis=1)
        self._force = _grown(self._force, t_ns[there], accel[there])

    def add_orientation(self, samples: Samples) -> None:
        """Type 0, relative to true north, at times of forces that have been added."""
        t_ns, accel = self._force
        if not len(t_ns):
            return
        rows = t_ns.searchsorted(samples.t_ns).clip(max=len(t_ns) - 1)
        both = t_ns[rows] == samples.t_ns
        turned = rotate(from_angle_axis(samples.data[both]), accel[rows[both]])
        turned[:, 1] += self._gravity  # at rest it feels the ground's push, which is up: -Y
        self._motion = _grown(self._motion, samples.t_ns[both], turned)
        done = int(t_ns.searchsorted(samples.t_ns[-1], side="right"))
        self._force = t_ns[done:], accel[done:]

    def add_fixes(self, samples: Samples) -> None:
        """Types 5 or 6, those that tell a place."""
        fixes = _Fixes.of(samples)
        rows = zip(fixes.t_ns.tolist(), fixes.places, fixes.velocities, fixes.sigmas, strict=True)
        self._fixes.extend(rows)
        self._fixes = [fix for fix in self._fixes if fix[0] > self._fixes[-1][0] - _KEPT_NS]

    def take(self) -> Samples | None:
        """The positions that are ready since the last call, None where there are none."""
        moved_ns = self._motion[0]
        parts = []
        while self._fixes and len(moved_ns) and self._fixes[0][0] <= moved_ns[-1]:
            part = self._follow(*self._fixes.pop(0))
            if part is not None:
                parts.append(part)
        if self._now is not None:
            done = max(int(moved_ns.searchsorted(self._now.t_ns, side="right")) - 1, 0)
            self._motion = moved_ns[done:], self._motion[1][done:]
        return Samples.concatenate(PacketType.POSITION, parts) if parts else None

    def complete_until_ns(self, fixes_until_ns: int) -> int:
        """No position from before this will follow, where no fix from before that moment will."""
        next_ns = min(fixes_until_ns, self._fixes[0][0]) if self._fixes else fixes_until_ns
        reach_ns = next_ns - LONGEST_GAP_NS
        return reach_ns if self._now is None else max(reach_ns, self._now.t_ns + 1)

    def _follow(self, t_ns: int, told: Array, velocity: Array, sigmas: Array) -> Samples | None:
        """Go on to a fix: the positions on the way there, where they can be told."""
        before, way = self._now, None
        if t_ns < self._motion[0][0] or (before is not None and t_ns <= before.t_ns):
            return None  # before there was motion, or told twice
        if before is not None and t_ns <= before.t_ns + LONGEST_GAP_NS:
            way = Way.between(before.t_ns, t_ns, *self._motion)
        if before is None or way is None:
            self._begin(t_ns, told, velocity, sigmas)
            return None
        place = self.frames[-1].place(*told)
        after = before.after(way).corrected(place, velocity, sigmas)
        if after is None:
            self._refused += 1
            return None
        self._used += 1
        self._now = after
        found = before.positions(way, after).astype(VALUE_DTYPES[PacketType.POSITION])
        measured = np.isin(way.t_ns, self._motion[0], assume_unique=True)
        measured[0] = False  # it ended the way before
        if _is_far(place):
            self._place_frame(t_ns, told)
            self._now = after.moved(-np.nan_to_num(place))
        return Samples(PacketType.POSITION, way.t_ns, found)[measured]

    def _begin(self, t_ns: int, told: Array, velocity: Array, sigmas: Array) -> None:
        """Know nothing but what a fix tells."""
        if not self.frames or _is_far(self.frames[-1].place(*told)):
            self._place_frame(t_ns, told)
        place = self.frames[-1].place(*told)
        self._now = Estimate.of_fix(t_ns, place, velocity, sigmas)
        self._begun += 1

    def _place_frame(self, t_ns: int, told: Array) -> None:
        latitude, longitude, altitude = told.tolist()
        if not math.isfinite(altitude):
            altitude = self.frames[-1].altitude if self.frames else 0.0
        self._gravity = normal_gravity(latitude, altitude)
        self.frames.append(LocalFrame(t_ns, latitude, longitude, altitude))


def _is_far(place: Array) -> bool:
    return math.hypot(place[0], place[2]) > _FAR_M


def _grown(queue: tuple[Times, Array], t_ns: Times, rows: Array) -> tuple[Times, Array]:
    """With later rows at its end, and without those that are long past."""
    t_ns = np.concatenate([queue[0], t_ns])
    if not len(t_ns):
        return queue
    begin = int(t_ns.searchsorted(t_ns[-1] - _KEPT_NS))
    return t_ns[begin:], np.concatenate([queue[1], rows])[begin:]
