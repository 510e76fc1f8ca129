"""From raw motion samples to the orientation of the camera, while they come in.

The fuser stands between the drivers, which deliver in bursts and not in step, and the filter,
which wants one evenly spaced row after another. It pairs the two streams by time, keeps out what
would poison the filter, and turns the result into what CAMM type 0 says.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError
from camm.frames import Array
from camm.samples import Samples
from fusion.camera_orientation import CameraOrientation
from fusion.orientation import OrientationFilter, check_name, make_filter

_log = logging.getLogger(__name__)

Times = npt.NDArray[np.int64]

RESTART_NS = 1_000_000_000
"""A gap after which the last angular rate says nothing any more: the filter starts again."""


@dataclass(frozen=True, slots=True)
class FusionStatistics:
    """What became of the samples so far.

    `filter`            the filter at work, "" before the first sample: not always the one asked
                        for, see `make_filter`
    `fused`             orientations given out, or about to be
    `waiting`           inertial samples that wait for the magnetometer
    `without_field`     of the fused, those that had no magnetic sample near enough
    `without_force`     inertial samples whose accelerometer was saturated or not finite: only their
                        turn counts
    `bad_gyro`          inertial samples left out: angular rate saturated or not finite
    `bad_field`         magnetic samples left out: saturated or not finite
    `bad_orientation`   orientations of a chip left out: no rotation or not finite
    `out_of_order`      samples left out, of both kinds: not later than the one before
    `gaps`              places where inertial samples are missing, and the turn was bridged
    `restarts`          gaps too long for that
    """

    filter: str = ""
    fused: int = 0
    waiting: int = 0
    without_field: int = 0
    without_force: int = 0
    bad_gyro: int = 0
    bad_field: int = 0
    bad_orientation: int = 0
    out_of_order: int = 0
    gaps: int = 0
    restarts: int = 0


class OrientationFuser:
    """Makes type 0 samples of inertial and magnetic blocks. One thread at a time.

    Blocks go in by `add_imu` and `add_mag` in any sizes, `take` gives out what is ready, `flush`
    the rest. What comes out depends on the sequence of these calls alone, never on when they were
    made.

    An inertial sample waits for the magnetic one behind it, for as long as one can still come that
    is of use: the field is interpolated between neighbours at most `mag_reach_ns` apart, and where
    there are none the filter goes on without. So nothing waits where there is no magnetometer, or
    when it has fallen silent.

    `mount`         R_camera,sensor, the same for both sensors: whoever reads them has turned the
                    magnetometer's axes into the inertial sensor's
    `*_limit`       full scale in the units of the samples; a row that reaches it on any axis is
                    saturated
    """

    def __init__(
        self,
        filter_name: str,
        mount: npt.ArrayLike,
        *,
        mag_reach_ns: int = 150_000_000,
        gyro_limit: float = np.inf,
        accel_limit: float = np.inf,
        mag_limit: float = np.inf,
    ) -> None:
        self._filter_name = check_name(filter_name)
        self._camera = CameraOrientation(mount)
        self._mag_reach_ns = mag_reach_ns
        self._imu_limits = np.repeat([gyro_limit, accel_limit], 3)
        self._mag_limits = np.repeat(mag_limit, 3)
        self._imu = _Queue(columns=6)
        self._mag = _Queue(columns=3)
        self._counts: Counter[str] = Counter()
        # Known with the first block: the filter, its period, and the sample fused last.
        self._filter: OrientationFilter | None = None
        self._period_ns = 0
        self._t_ns: int | None = None
        self._gyro = np.zeros(3)

    def set_declination(self, declination: float) -> None:
        """Turn what is fused from now on to true north; radians, magnetic north east of true."""
        self._camera.set_declination(declination)

    def add_imu(self, t_ns: Times, gyro: Array, accel: Array, period_ns: int) -> None:
        """Inertial samples: int64[N], rad/s (N, 3) and m/s^2 (N, 3) in sensor axes.

        `period_ns` is the sample period as it is known to be. The filter is made for the first one
        and every turn scaled by the time that it really took, so a learned period may move
        a little; UsageError where it moves by more than a tenth, which is another rate.
        """
        if self._filter is None:
            self._filter = make_filter(self._filter_name, period_ns / 1e9)
            self._period_ns = period_ns
        elif abs(period_ns - self._period_ns) > self._period_ns // 10:
            raise UsageError(
                f"the filter was made for a sample every {self._period_ns} ns, found {period_ns}: "
                "another rate needs a new OrientationFuser"
            )
        rows = np.concatenate([gyro, accel], axis=1)
        within = np.abs(rows) < self._imu_limits  # a comparison with NaN is false
        if not within.all():
            turned, forced = within[:, :3].all(axis=1), within[:, 3:].all(axis=1)
            # A shock saturates the accelerometer first; the turn of that sample is still good.
            rows[~forced, 3:] = 0.0
            t_ns, rows = t_ns[turned], rows[turned]
            self._counts["bad_gyro"] += int(np.count_nonzero(~turned))
            self._counts["without_force"] += int(np.count_nonzero(turned & ~forced))
        self._counts["out_of_order"] += self._imu.push(t_ns, rows)

    def add_mag(self, t_ns: Times, field: Array) -> None:
        """Magnetic samples: int64[N] and the field (N, 3) in sensor axes, any unit."""
        within = np.abs(field) < self._mag_limits
        if not within.all():
            good = within.all(axis=1)
            self._counts["bad_field"] += int(np.count_nonzero(~good))
            t_ns, field = t_ns[good], field[good]
        self._counts["out_of_order"] += self._mag.push(t_ns, field)

    def take(self) -> Samples | None:
        """The orientations that are ready since the last call, None where there are none."""
        if self._filter is None or self._filter.acausal:
            return None
        waiting = self._imu.t_ns
        newest_mag = self._mag.newest_ns
        if newest_mag is None or not len(waiting):
            return self._fuse(len(waiting))
        if waiting[-1] - newest_mag > self._mag_reach_ns:
            return self._fuse(len(waiting))  # whatever field comes now is too far from the last
        return self._fuse(int(waiting.searchsorted(newest_mag, side="right")))

    def flush(self) -> Samples | None:
        """The orientations of all samples that still wait: the end of a recording."""
        return self._fuse(len(self._imu.t_ns))

    @property
    def statistics(self) -> FusionStatistics:
        name = self._filter.name if self._filter else ""
        return FusionStatistics(filter=name, waiting=len(self._imu.t_ns), **self._counts)

    def _fuse(self, count: int) -> Samples | None:
        if not count or self._filter is None:
            return None
        t_ns, rows = self._imu.pop(count)
        gyro, accel = rows[:, :3], np.ascontiguousarray(rows[:, 3:])
        mag = self._field_at(t_ns)
        if self._t_ns is None:
            self._t_ns, self._gyro = int(t_ns[0]) - self._period_ns, gyro[0]
        steps = np.empty_like(t_ns)
        steps[0] = t_ns[0] - self._t_ns
        np.subtract(t_ns[1:], t_ns[:-1], out=steps[1:])

        # The filter takes a row's rate to have lasted one period. The mean of the two ends of the
        # step, times how long it really was, is the turn between the samples: right to second
        # order, and what bridges lost samples and a chip whose clock is off.
        turns = np.concatenate([self._gyro[None], gyro[:-1]])
        turns += gyro
        turns *= (steps / (2 * self._period_ns))[:, None]
        self._t_ns, self._gyro = int(t_ns[-1]), gyro[-1]

        breaks: list[int] = []
        if 2 * steps.max() > 3 * self._period_ns:
            breaks = np.flatnonzero(steps > RESTART_NS).tolist()
            missing = int(np.count_nonzero(2 * steps > 3 * self._period_ns))
            self._counts["gaps"] += missing - len(breaks)
        if breaks:
            turns[breaks] = gyro[breaks]
            self._counts["restarts"] += len(breaks)
            _log.warning(
                "no motion samples for %.1f s: the orientation starts again",
                steps[breaks].max() / 1e9,
            )
        parts: list[Array] = []
        for start, stop in pairwise([0, *breaks, count]):
            if parts:
                self._filter.restart()
            part = slice(start, stop)
            parts.append(self._filter.update(turns[part], accel[part], mag[part]))
        self._counts["fused"] += count
        return self._camera.samples(t_ns, np.concatenate(parts) if breaks else parts[0])

    def _field_at(self, t_ns: Times) -> Array:
        """The field at these times, rows of zeros where no two samples near enough enclose them."""
        times, values = self._mag.t_ns, self._mag.values
        if len(times) < 2:
            self._counts["without_field"] += len(t_ns)
            return np.zeros((len(t_ns), 3))
        after = times.searchsorted(t_ns)
        outside: npt.NDArray[np.bool_] | None = None
        if after[0] == 0 or after[-1] == len(times):
            outside = (after == 0) | (after == len(times))
            after = np.clip(after, 1, len(times) - 1)
        before = after - 1
        begin = times[before]
        span = times[after] - begin
        part = ((t_ns - begin) / span)[:, None]
        first = values.take(before, axis=0)  # half the time of an index
        field: Array = values.take(after, axis=0)
        field -= first
        field *= part
        field += first
        if outside is not None or span.max() > self._mag_reach_ns:
            far = span > self._mag_reach_ns
            if outside is not None:
                far |= outside
            field[far] = 0.0
            self._counts["without_field"] += int(np.count_nonzero(far))
        # Later samples lie behind the last of these: of the past, one neighbour is enough.
        self._mag.pop(max(int(times.searchsorted(t_ns[-1], side="right")) - 1, 0))
        return field


class _Queue:
    """Rows in order of time, taken in at one end and out at the other."""

    def __init__(self, columns: int) -> None:
        self.t_ns: Times = np.empty(0, np.int64)
        self.values: Array = np.empty((0, columns))
        self.newest_ns: int | None = None
        """The time of the newest row there ever was."""

    def push(self, t_ns: Times, values: Array) -> int:
        """Append the rows that are later than all before them; the number of the others."""
        if not len(t_ns):
            return 0
        values = np.asarray(values, np.float64)  # logs may have singles
        count = len(t_ns)
        oldest = t_ns[0] - 1 if self.newest_ns is None else self.newest_ns
        if t_ns[0] <= oldest or np.count_nonzero(t_ns[1:] <= t_ns[:-1]):
            newest = np.maximum.accumulate(np.concatenate([[oldest], t_ns]))
            later = t_ns > newest[:-1]
            t_ns, values = t_ns[later], values[later]
        if len(t_ns):
            self.newest_ns = int(t_ns[-1])
            waits = len(self.t_ns) > 0
            self.t_ns = np.concatenate([self.t_ns, t_ns]) if waits else t_ns
            self.values = np.concatenate([self.values, values]) if waits else values
        return count - len(t_ns)

    def pop(self, count: int) -> tuple[Times, Array]:
        """Take out the oldest rows."""
        t_ns, values = self.t_ns[:count], self.values[:count]
        self.t_ns, self.values = self.t_ns[count:], self.values[count:]
        return t_ns, values
