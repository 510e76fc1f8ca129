"""Where a sensor was at rest, and what its noise was there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from camm.allan import Allan, allan_deviation

SHORTEST_S = 10
"""A shorter rest tells too little."""

_LIMITS = {PacketType.GYRO: (0.01, 0.2), PacketType.ACCELERATION: (0.1, np.inf)}
"""Of a second at rest: the standard deviation of each axis, and its mean.

In the units of the type. A hand that tries to hold still has ten times that, chips have a fifth of
it at most; the mean of a gyroscope is its bias.
"""
_MOST = 1_000_000
"""Samples of a rest that are kept; longer ones are cut."""
_FEWEST = 64
"""Samples of which there is an Allan deviation."""


@dataclass(frozen=True, slots=True)
class RestNoise:
    """Noise over the longest rest, of a gyroscope in degrees as data sheets have it."""

    kind: PacketType
    first_s: float
    last_s: float
    allan: Allan


class Rest:
    """Looks for the longest rest of a gyroscope or an accelerometer, block by block."""

    def __init__(self, kind: PacketType) -> None:
        self._kind = kind
        self._going: list[Samples] = []
        self._longest: list[Samples] = []

    def add(self, samples: Samples) -> None:
        """Take more samples; seconds are looked at one by one, a piece of one counts as one."""
        firsts = np.flatnonzero(np.diff(samples.t_ns // 1_000_000_000, prepend=-(1 << 62)))
        counts = np.diff(firsts, append=len(samples))[:, None]
        with np.errstate(invalid="ignore", over="ignore"):
            values = samples.data.astype(np.float64)
            mean = np.add.reduceat(values, firsts) / counts
            off = values - np.repeat(mean, counts[:, 0], axis=0)
            deviation = np.sqrt(np.add.reduceat(np.square(off), firsts) / counts)
        most, bias = _LIMITS[self._kind]
        # NaN fails every comparison, and is no rest.
        still = ((deviation < most) & (np.abs(mean) < bias)).all(axis=1)
        still &= ~np.logical_or.reduceat(_after_gap(samples), firsts)
        edges = np.flatnonzero(np.diff(still, prepend=~still[:1])).tolist()
        for first, last in zip(edges, [*edges[1:], len(still)], strict=True):
            if still[first]:
                end = firsts[last] if last < len(firsts) else len(samples)
                self._go_on(samples[firsts[first] : end])
            else:
                self._end()

    def _go_on(self, samples: Samples) -> None:
        last = self._going[-1] if self._going else samples
        if self._going and samples.t_ns[0] - last.t_ns[-1] > 2 * _usual_ns(last):
            self._end()
        if sum(map(len, self._going)) < _MOST:
            self._going.append(samples)

    def _end(self) -> None:
        if _length_ns(self._going) > _length_ns(self._longest):
            self._longest = self._going
        self._going = []

    @property
    def noise(self) -> RestNoise | None:
        """What the sensor does at rest; None where there is too little of it."""
        self._end()
        if _length_ns(self._longest) < SHORTEST_S * 1e9:
            return None
        rest = Samples.concatenate(self._kind, self._longest)
        period_s = float(rest.t_ns[-1] - rest.t_ns[0]) / (len(rest) - 1) / 1e9
        if len(rest) < _FEWEST or not rest.data.std(axis=0).all():
            return None
        # One axis at a time: contiguous, which takes a fifth of the time.
        values = np.degrees(rest.data) if self._kind is PacketType.GYRO else rest.data
        axes = [allan_deviation(np.ascontiguousarray(axis), period_s) for axis in values.T]
        return RestNoise(
            self._kind,
            rest.t_ns[0] / 1e9,
            rest.t_ns[-1] / 1e9,
            Allan(axes[0].tau_s, np.hstack([axis.deviation for axis in axes])),
        )


def _after_gap(samples: Samples) -> npt.NDArray[np.bool_]:
    steps = np.diff(samples.t_ns, prepend=samples.t_ns[:1])
    return (steps > 2 * _usual_ns(samples)) | (steps < 0)


def _usual_ns(samples: Samples) -> float:
    return float(np.median(np.diff(samples.t_ns))) if len(samples) > 1 else 1e9


def _length_ns(blocks: list[Samples]) -> int:
    return int(blocks[-1].t_ns[-1] - blocks[0].t_ns[0]) if blocks else 0
