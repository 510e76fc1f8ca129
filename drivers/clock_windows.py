"""A device's counting on the host's clock, worked out when all has been observed.

Online (`drivers.clock_fit`) a stamp rests on what came before it. Afterwards what came later is
known too: a straight line is fitted to the observations of each window, and from the middle of one
window to that of the next the stamps go over from one line to the other.

An observation is two walls, before and behind the event, that the line goes between. What tells is
those that it comes close to, so their middles would waste most of what is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_LOGISTIC = math.sqrt(3.0) / math.pi  # scale of a logistic distribution, of its standard deviation
_LEAST_NOISE_NS = 1_000.0
_ROUNDS, _ENOUGH_NS = 50, 1.0
_WINDOW_S, _WIDE_NS = 15.0, 4_000_000.0


@dataclass(frozen=True, slots=True, eq=False)
class ClockWindows:
    """Host times of any counts; made by `fit_windows`.

    `centres` counts from `count`, `offsets` ns from `time_ns` at each, `periods` ns for one count.
    """

    count: int
    time_ns: int
    centres: Floats
    offsets: Floats
    periods: Floats

    def times(self, counts: Integers) -> Integers:
        """Host times, int64[N] nanoseconds, of counts int64[N]; the outer lines go on for ever."""
        steps = (counts - self.count).astype(np.float64)
        right = np.clip(np.searchsorted(self.centres, steps), 1, max(1, len(self.centres) - 1))
        left = right - 1
        right = np.minimum(right, len(self.centres) - 1)
        apart = np.maximum(self.centres[right] - self.centres[left], 1.0)
        share = np.clip((steps - self.centres[left]) / apart, 0.0, 1.0)
        ahead = (1.0 - share) * self._line(left, steps) + share * self._line(right, steps)
        return self.time_ns + np.rint(ahead).astype(np.int64)

    def _line(self, window: Integers, steps: Floats) -> Floats:
        return self.offsets[window] + self.periods[window] * (steps - self.centres[window])


def fit_windows(
    counts: Integers,
    earliest_ns: Integers,
    latest_ns: Integers,
    noise_ns: Floats,
    window_s: float | None = None,
) -> ClockWindows:
    """Lines through the observations of `ClockFit.observe`, arrays of N in the order of counts.

    Long windows average more, short ones follow a crystal that warms up: unless said otherwise they
    are 15 s where the walls are 4 ms apart, and down to half of that where they are closer. Windows
    overlap by a half, since a line is surest in its middle; where none has observations in more
    than a half of it, there is one line through all. Nothing is left out, however wrong, but
    the walls give way in proportion: give what `observe` has accepted.

    ValueError for less than two counts.
    """
    if len(counts) < 2 or counts[-1] == counts[0]:
        raise ValueError(f"a line needs two counts at least, found {len(np.unique(counts))}")
    count, time_ns = int(counts[0]), int(latest_ns[0])
    steps = (counts - count).astype(np.float64)
    low, high = (earliest_ns - time_ns).astype(np.float64), (latest_ns - time_ns).astype(np.float64)
    middle = (low + high) / 2
    noise = np.maximum(noise_ns, _LEAST_NOISE_NS)
    if window_s is None:
        apart_ns = float(np.median(high - low))
        window_s = _WINDOW_S * math.sqrt(min(max(apart_ns / _WIDE_NS, 0.25), 1.0))
    half_ns = window_s * 1e9 / 2
    number = max(1, int((middle[-1] - middle[0]) // half_ns) - 1)
    edges = middle[0] + half_ns * np.arange(number + 2)
    edges[-1] = np.inf
    first, last = np.searchsorted(middle, edges[:number]), np.searchsorted(middle, edges[2:])
    lines = [
        _likeliest(steps[a:b], low[a:b], high[a:b], noise[a:b])
        for a, b in zip(first, last, strict=True)
        # Beyond a line that is too short it would lead far astray.
        if b - a > 2 and middle[b - 1] - middle[a] >= half_ns
    ]
    centres, offsets, periods = np.array(lines or [_likeliest(steps, low, high, noise)]).T
    return ClockWindows(count, time_ns, centres, offsets, periods)


def _likeliest(
    steps: Floats, low: Floats, high: Floats, noise: Floats
) -> tuple[float, float, float]:
    """The likeliest line between the walls: a count in its middle, the time there, the period.

    Noise is taken to be logistic, which differs little from Gaussian. The likelihood of an interval
    is then that of its two walls, each a smooth step, and has one maximum alone: Newton's method
    finds it from the line through the middles, damped by how well that one is known.
    """
    weight = 1.0 / ((high - low) ** 2 / 12 + np.square(noise))
    centre = float((weight * steps).sum() / weight.sum())
    reach = float(np.abs(steps - centre).max())
    design = np.stack([np.ones(len(steps)), (steps - centre) / reach])
    scale = noise * _LOGISTIC
    known = (weight * design) @ design.T
    line = np.linalg.solve(known, design @ (weight * (low + high) / 2))
    damping, unlikely = 1e-3, _unlikeliness(line @ design, low, high, scale)
    for _ in range(_ROUNDS):
        behind = _step((line @ design - high) / scale)
        before = _step((low - line @ design) / scale)
        slope = design @ ((behind - before) / scale)
        bend = (behind * (1 - behind) + before * (1 - before)) / scale**2
        curved = (bend * design) @ design.T + damping * np.diag(np.diag(known))
        move = -np.linalg.solve(curved, slope)
        there = _unlikeliness((line + move) @ design, low, high, scale)
        if there > unlikely:
            damping *= 10
            continue
        line, unlikely, damping = line + move, there, damping / 10
        if np.abs(move).max() < _ENOUGH_NS:
            break
    return centre, float(line[0]), float(line[1]) / reach


def _unlikeliness(
    times: npt.NDArray[np.floating], low: Floats, high: Floats, scale: Floats
) -> float:
    """Minus the logarithm of the likelihood."""
    outside = np.logaddexp(0.0, (times - high) / scale) + np.logaddexp(0.0, (low - times) / scale)
    return float(outside.sum())


def _step(x: Floats) -> Floats:
    """The logistic function, without overflow."""
    out: Floats = 0.5 + 0.5 * np.tanh(0.5 * x)
    return out
