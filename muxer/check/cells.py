"""Motion in cells of time: what sensors and orientations say of the same moment, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from camm.frames import conjugate, from_angle_axis, multiply, to_angle_axis
from muxer.motion import Extent
from muxer.sample_table import Ints

Floats = npt.NDArray[np.float64]

SENSORS = (PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD)

_SHORTEST_NS = 20_000_000
_MOST = 1 << 19
"""Cells, whatever the clip's length: ten hours are cells of 69 ms then, and some 80 MB."""
_LONGEST_TURN_NS = 200_000_000
"""What lies between two orientations that are further apart is not known."""


class Cells:
    """Means over cells of time, all of them `cell_ns` long; the first begins at `start_ns`.

    A cell holds two records of each type at least, where they come evenly. `extents` is what there
    is of each type, as a survey tells it. Vectors that are no numbers are left out.
    """

    def __init__(self, extents: Mapping[int, Extent]) -> None:
        mine = {
            kind: extents[kind] for kind in (PacketType.ANGLE_AXIS, *SENSORS) if kind in extents
        }
        self.start_ns = min((extent.first_ns for extent in mine.values()), default=0)
        end_ns = max((extent.last_ns for extent in mine.values()), default=0)
        periods = [
            2 * (extent.last_ns - extent.first_ns) // extent.count for extent in mine.values()
        ]
        span_ns = end_ns - self.start_ns
        self.cell_ns = max(_SHORTEST_NS, *periods, span_ns // _MOST + 1)
        self.count = span_ns // self.cell_ns + 1 if mine else 0
        self._sums = {
            kind: (np.zeros((self.count, 3)), np.zeros(self.count, np.int64))
            for kind in (PacketType.ANGLE_AXIS, *SENSORS)
            if kind in mine
        }
        """Of orientations it is the turning between them that is summed up."""
        self._places = dict.fromkeys(self._sums, 0.0)
        self.orientation = np.full((self.count, 4), np.nan, np.float32)
        """The first in each cell, NaN where there is none."""
        self._before: tuple[Ints, Floats] | None = None

    def take(self, samples: Samples) -> None:
        """Go on with the records of a block; types that say nothing of motion are passed over."""
        if samples.kind not in self._sums:
            return
        finite = np.isfinite(samples.data).all(axis=1)
        samples = samples[finite] if not finite.all() else samples
        if not len(samples):
            return
        if samples.kind is PacketType.ANGLE_AXIS:
            self._take_orientations(samples)
        else:
            self._add(samples.kind, samples.t_ns, samples.data)

    def means(self, kind: PacketType) -> Floats:
        """The mean vector of each cell, (N, 3), NaN where there is none.

        Of type 0 it is the angular rate in camera axes that turns each orientation into the next.
        """
        if kind not in self._sums:
            return np.full((self.count, 3), np.nan)
        sums, counts = self._sums[kind]
        return np.divide(
            sums, counts[:, None], np.full_like(sums, np.nan), where=counts[:, None] > 0
        )

    def place_ns(self, kind: PacketType) -> float:
        """How far behind the begin of its cell a record is on average."""
        return self._places[kind] / max(int(self._sums[kind][1].sum()), 1)

    def _take_orientations(self, samples: Samples) -> None:
        t_ns, q = samples.t_ns, from_angle_axis(samples.data)
        cells = self._cells(t_ns)
        first = np.diff(cells, prepend=-1) != 0
        first[first] = np.isnan(self.orientation[cells[first], 0])
        self.orientation[cells[first]] = q[first]
        if self._before is not None:
            t_ns = np.concatenate([self._before[0], t_ns])
            q = np.concatenate([self._before[1], q])
        self._before = t_ns[-1:], q[-1:]
        steps = np.diff(t_ns)
        known = (steps > 0) & (steps <= _LONGEST_TURN_NS)
        turned = to_angle_axis(multiply(conjugate(q[:-1][known]), q[1:][known]))
        rates = turned / (steps[known, None] / 1e9)
        self._add(PacketType.ANGLE_AXIS, t_ns[:-1][known] + steps[known] // 2, rates)

    def _add(self, kind: PacketType, t_ns: Ints, vectors: npt.NDArray[np.floating]) -> None:
        if not len(t_ns):
            return
        cells = self._cells(t_ns)
        self._places[kind] += float((t_ns - self.start_ns - cells * self.cell_ns).sum())
        begin, end = int(cells.min()), int(cells.max()) + 1
        sums, counts = self._sums[kind]
        counts[begin:end] += np.bincount(cells - begin)
        for axis in range(3):
            sums[begin:end, axis] += np.bincount(cells - begin, vectors[:, axis])

    def _cells(self, t_ns: Ints) -> Ints:
        # Times of a file that lies may be further apart than an int64 tells.
        return np.clip((t_ns - self.start_ns) // self.cell_ns, 0, self.count - 1)
