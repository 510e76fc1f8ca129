"""All records of one packet type, boiled down block by block to what rules ask of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, is_vector
from muxer.sample_table import Ints

Flags = npt.NDArray[np.bool_]

LONG_STEP_NS = 50_000_000
"""Steps of more than this are remembered one by one; there are at most twenty a second."""

_KEPT = {PacketType.EXPOSURE, PacketType.MIN_GPS, PacketType.GPS}
"""Types that are few, whatever the clip's length."""
_BINS_PER_E = 1000
"""Steps are counted by their logarithm: this many bins for each factor of e, 0.1 % wide each."""
_BINS = 44 * _BINS_PER_E
_LONGEST_ANGLE = np.pi + 1e-5
"""Radians: a half turn and what a float32 may add to it."""


@dataclass(slots=True)
class Mark:
    """How many records are of some kind, and when the first of them was."""

    count: int = 0
    first_ns: int | None = None

    def add(self, which: Flags, t_ns: Ints) -> None:
        """Count those that are marked."""
        found = int(np.count_nonzero(which))
        if found and self.first_ns is None:
            self.first_ns = int(t_ns[np.argmax(which)])
        self.count += found


@dataclass(slots=True)
class Run:
    """The longest stretch of time in which a value did not change at all."""

    start_ns: int = 0
    end_ns: int = 0
    _since_ns: int | None = None

    def add(self, same: Flags, t_ns: Ints, before_ns: int) -> None:
        """Go on with records; `same` says of each whether it repeats the one before it."""
        times = np.append(before_ns, t_ns)
        edges = np.diff(same.astype(np.int8), prepend=0, append=0)
        begins, ends = times[:-1][edges[:-1] > 0], times[edges < 0]
        if same[0] and self._since_ns is not None:
            begins[0] = self._since_ns
        if len(begins):
            longest = int(np.argmax(ends - begins))
            if ends[longest] - begins[longest] > self.end_ns - self.start_ns:
                self.start_ns, self.end_ns = int(begins[longest]), int(ends[longest])
        self._since_ns = int(begins[-1]) if same[-1] else None


class Stream:
    """The records of one type: when they are, and of vectors what their values are like.

    `first_ns`, `last_ns`  the earliest and the latest time
    `backwards`, `again`   records that lie before the one before them, or at the same time
    `broken`, `zero`       vectors with NaN or infinity, and those that are exactly zero
    `beyond`               vectors longer than pi, which matters for orientations
    `still`                the longest stretch of a value that did not change at all
    """

    def __init__(self, kind: PacketType) -> None:
        self.kind = kind
        self.count = 0
        self.first_ns = self.last_ns = 0
        self.backwards, self.again = Mark(), Mark()
        self.broken, self.zero, self.beyond = Mark(), Mark(), Mark()
        self.still = Run()
        self.longest = 0.0
        """The greatest length of a vector."""
        self._lengths = 0.0
        self._finite = 0
        self._kept: list[Samples] = []
        self._steps = np.zeros(_BINS, np.int64)
        self._long: list[tuple[Ints, Ints]] = []
        self._before: Samples | None = None

    def take(self, samples: Samples) -> None:
        """Go on with the records of one block; there is at least one."""
        t_ns, before = samples.t_ns, self._before
        self.first_ns = min(int(t_ns.min()), self.first_ns if before else int(t_ns[0]))
        self.last_ns = max(int(t_ns.max()), self.last_ns if before else int(t_ns[0]))
        self.count += len(samples)
        self._take_steps(t_ns, before)
        if is_vector(samples.kind):
            self._take_vectors(samples, before)
        elif self.kind in _KEPT:
            self._kept.append(samples)
        self._before = samples[-1:]

    @property
    def kept(self) -> Samples:
        """All records, of the types that are few: exposures and fixes."""
        return Samples.concatenate(self.kind, self._kept)

    @property
    def span_ns(self) -> int:
        """From the first to the last record."""
        return self.last_ns - self.first_ns

    @property
    def rate_hz(self) -> float:
        """Records a second; 0 where that cannot be told."""
        return (self.count - 1) * 1e9 / self.span_ns if self.span_ns else 0.0

    @property
    def period_ns(self) -> float:
        """The median step from a record to the next; 0 where there is none."""
        return self._quantile(0.5)

    @property
    def jitter(self) -> float:
        """How unequal steps are, as a share of the median: half of what holds two thirds of them.

        A step that is missing, or one that is odd at the begin of the clip, does not count.
        """
        return (self._quantile(0.84) - self._quantile(0.16)) / 2 / max(self.period_ns, 1.0)

    @property
    def mean_length(self) -> float:
        """The mean length of the vectors that are finite; NaN where there is none."""
        return self._lengths / self._finite if self._finite else np.nan

    def gaps(self, limit_ns: int) -> tuple[Ints, Ints]:
        """Where gaps of more than `limit_ns`, at least LONG_STEP_NS, begin, and their lengths."""
        starts, steps = (np.concatenate([np.empty(0, np.int64), *s]) for s in self._columns())
        return starts[steps > limit_ns], steps[steps > limit_ns]

    def _columns(self) -> tuple[list[Ints], list[Ints]]:
        return [starts for starts, _ in self._long], [steps for _, steps in self._long]

    def _take_steps(self, t_ns: Ints, before: Samples | None) -> None:
        times = t_ns if before is None else np.concatenate([before.t_ns, t_ns])
        steps = np.diff(times)
        self.backwards.add(steps < 0, times[1:])
        self.again.add(steps == 0, times[1:])
        ahead = steps > 0
        bins = (np.log(steps[ahead]) * _BINS_PER_E).astype(np.int64)
        self._steps += np.bincount(bins, minlength=_BINS)
        long = steps > LONG_STEP_NS
        if long.any():
            self._long.append((times[:-1][long], steps[long]))

    def _take_vectors(self, samples: Samples, before: Samples | None) -> None:
        t_ns, data = samples.t_ns, samples.data
        finite: Flags = np.isfinite(data).all(axis=1)
        self.broken.add(~finite, t_ns)
        bits = data.view(np.uint32)  # comparing signalling NaN as numbers would raise
        self.zero.add((bits << 1 == 0).all(axis=1), t_ns)
        lengths = np.linalg.norm(data[finite].astype(np.float64), axis=1)
        self.beyond.add(lengths > _LONGEST_ANGLE, t_ns[finite])
        self._lengths += float(lengths.sum())
        self._finite += len(lengths)
        self.longest = max(self.longest, float(lengths.max(initial=0.0)))
        rows = bits if before is None else np.concatenate([before.data.view(np.uint32), bits])
        same = (rows[1:] == rows[:-1]).all(axis=1)
        if len(same):
            self.still.add(same, t_ns[-len(same) :], int((before or samples).t_ns[0]))

    def _quantile(self, share: float) -> float:
        total = int(self._steps.sum())
        if not total:
            return 0.0
        at = int(np.searchsorted(np.cumsum(self._steps), share * total))
        return float(np.exp((at + 0.5) / _BINS_PER_E))


@dataclass(slots=True)
class Pairing:
    """Whether the nth angular rate is of the moment of the nth acceleration.

    `paired` as many as there are of both; `apart` those with different times; `most_ns` by how much
    """

    paired: int = 0
    apart: Mark = field(default_factory=Mark)
    most_ns: int = 0
    _waiting: dict[PacketType, list[Ints]] = field(
        default_factory=lambda: {PacketType.GYRO: [], PacketType.ACCELERATION: []}
    )

    def take(self, samples: Samples) -> None:
        """Go on with records of either type; others are passed over."""
        if samples.kind not in self._waiting:
            return
        self._waiting[samples.kind].append(samples.t_ns)
        if not all(self._waiting.values()):
            return
        gyro, force = (np.concatenate(times) for times in self._waiting.values())
        count = min(len(gyro), len(force))
        apart_ns = np.abs(gyro[:count] - force[:count])
        self.apart.add(apart_ns != 0, gyro[:count])
        self.most_ns = max(self.most_ns, int(apart_ns.max(initial=0)))
        self.paired += count
        for kind, times in zip(self._waiting, (gyro, force), strict=True):
            self._waiting[kind] = [times[count:]] if len(times) > count else []
