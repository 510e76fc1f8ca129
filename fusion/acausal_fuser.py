"""Orientation worked out afterwards, with what came later known as well as what came before.

It stands where `OrientationFuser` would, for recordings that are over. However long they are, some
minutes of them are in memory at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array, conjugate, from_angle_axis, interpolated, multiply, to_angle_axis
from camm.packets import VALUE_DTYPES, PacketType
from camm.samples import Samples
from fusion.fuser import FusionStatistics, OrientationFuser, Times
from fusion.orientation import OFFLINE

_STRETCH_NS = 300_000_000_000
_OVERLAP_NS = 120_000_000_000
"""Eight time constants of the heading, in the middle half of which one stretch gives way to the
next: either is settled there."""


class AcausalFuser:
    """Makes type 0 samples of whole recordings, in stretches of some minutes that overlap.

    Blocks go in as into `OrientationFuser`, in order of time; `take` gives out what no later
    samples can change any more, `flush` the rest. Where one stretch gives way to the next their
    orientations are blended; one without any magnetic sample, whose north is arbitrary, is first
    turned to that of the one before.

    `mount`, `*_limit`  as for `OrientationFuser`
    """

    def __init__(
        self,
        mount: npt.ArrayLike,
        *,
        gyro_limit: float = np.inf,
        accel_limit: float = np.inf,
        stretch_ns: int = _STRETCH_NS,
        overlap_ns: int = _OVERLAP_NS,
    ) -> None:
        self._mount = mount
        self._gyro_limit, self._accel_limit = gyro_limit, accel_limit
        self._stretch_ns, self._overlap_ns = stretch_ns, overlap_ns
        self._declination = 0.0
        self._period_ns = 0
        self._imu: list[tuple[Times, Array]] = []
        self._mag: list[tuple[Times, Array]] = []
        self._seam_ns: int | None = None
        """Where the stretch that is being gathered gives way to the next, in the middle."""
        self._newest_ns = 0
        self._begin_ns = 0  # of the stretch, where the one before begins to give way to it
        self._tail: tuple[Times, Array] = np.empty(0, np.int64), np.empty((0, 4))
        self._filter = ""
        self._fused = 0

    def set_declination(self, declination: float) -> None:
        """Turn what is fused from now on to true north; radians, magnetic north east of true."""
        self._declination = declination

    def add_imu(self, t_ns: Times, gyro: Array, accel: Array, period_ns: int) -> None:
        """Inertial samples: int64[N], rad/s (N, 3) and m/s^2 (N, 3) in sensor axes."""
        if not len(t_ns):
            return
        self._imu.append((t_ns, np.concatenate([gyro, accel], axis=1)))
        self._period_ns = self._period_ns or period_ns
        self._newest_ns = max(self._newest_ns, int(t_ns.max()))
        if self._seam_ns is None:
            self._seam_ns = int(t_ns[0]) + self._stretch_ns

    def add_mag(self, t_ns: Times, field: Array) -> None:
        """Magnetic samples: int64[N] and the field (N, 3) in sensor axes, any unit."""
        self._mag.append((t_ns, field))

    def take(self) -> Samples | None:
        """The orientations that are ready since the last call, None where there are none."""
        seam_ns, half_ns = self._seam_ns, self._overlap_ns // 2
        if seam_ns is None or self._newest_ns < seam_ns + half_ns:
            return None
        t_ns, q = self._fuse(seam_ns + half_ns)
        keep_ns = seam_ns - half_ns
        self._imu = [_since(keep_ns, self._imu)]
        self._mag = [_since(keep_ns, self._mag)]
        self._seam_ns = seam_ns + self._stretch_ns
        self._begin_ns = seam_ns - half_ns // 2
        given = int(t_ns.searchsorted(self._begin_ns))
        kept = int(t_ns.searchsorted(seam_ns + half_ns // 2))
        self._tail = t_ns[given:kept], q[given:kept]
        return self._samples(t_ns[:given], q[:given])

    def flush(self) -> Samples | None:
        """The orientations of all samples that still wait: the end of the recording."""
        if self._seam_ns is None:
            return None
        t_ns, q = self._fuse(self._newest_ns + 1)
        self._imu, self._mag, self._seam_ns = [], [], None
        return self._samples(t_ns, q) if len(t_ns) else None

    @property
    def statistics(self) -> FusionStatistics:
        return FusionStatistics(filter=self._filter, fused=self._fused)

    def _fuse(self, until_ns: int) -> tuple[Times, Array]:
        """Times and orientations of the stretch, up to a moment."""
        t_ns, rows = _before(until_ns, self._imu)
        fuser = OrientationFuser(
            OFFLINE, self._mount, gyro_limit=self._gyro_limit, accel_limit=self._accel_limit
        )
        fuser.set_declination(self._declination)
        for mag_t_ns, field in self._mag:
            fuser.add_mag(mag_t_ns, field)
        fuser.add_imu(t_ns, rows[:, :3], rows[:, 3:], self._period_ns)
        found = fuser.flush()
        self._filter = fuser.statistics.filter
        if found is None:
            return self._tail
        begin = int(found.t_ns.searchsorted(self._begin_ns))
        t_ns, q = found.t_ns[begin:], from_angle_axis(found.data[begin:])
        tail_ns, tail = self._tail
        if not len(tail_ns):
            return t_ns, q
        shared = slice(0, len(tail_ns))
        if fuser.statistics.without_field == len(found):
            q = multiply(_turn_between(q[shared], tail), q)
        part = (tail_ns - tail_ns[0]) / max(int(tail_ns[-1] - tail_ns[0]), 1)
        return t_ns, np.concatenate([interpolated(tail, q[shared], part), q[len(tail) :]])

    def _samples(self, t_ns: Times, q: Array) -> Samples:
        self._fused += len(t_ns)
        kind = PacketType.ANGLE_AXIS
        return Samples(kind, t_ns, to_angle_axis(q).astype(VALUE_DTYPES[kind]))


def _turn_between(q: Array, wanted: Array) -> Array:
    """The turn about the vertical that brings orientations to others as well as one can."""
    w, _, y, _ = multiply(wanted, conjugate(q)).T
    angle = np.angle(np.sum((w + 1j * y) ** 2))
    return from_angle_axis([0.0, float(angle), 0.0])


def _joined(blocks: list[tuple[Times, Array]]) -> tuple[Times, Array]:
    return np.concatenate([t for t, _ in blocks]), np.concatenate([rows for _, rows in blocks])


def _since(begin_ns: int, blocks: list[tuple[Times, Array]]) -> tuple[Times, Array]:
    if not blocks:
        return np.empty(0, np.int64), np.empty((0, 3))
    t_ns, rows = _joined(blocks)
    kept = t_ns >= begin_ns
    return t_ns[kept], rows[kept]


def _before(end_ns: int, blocks: list[tuple[Times, Array]]) -> tuple[Times, Array]:
    t_ns, rows = _joined(blocks)
    kept = t_ns < end_ns
    return t_ns[kept], rows[kept]
