"""A device's counting on the host's clock, worked out when all has been observed.

Online (`drivers.clock_fit`) a stamp rests on what came before it. Afterwards what came later is
known too: a straight line is fitted to the observations of each window, and from the middle of one
window to that of the next the stamps go over from one line to the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


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
    window_s: float = 10.0,
) -> ClockWindows:
    """Lines through the observations of `ClockFit.observe`, arrays of N in the order of counts.

    Windows overlap by a half, since a line is surest in its middle; where none has observations in
    more than a half of it, there is one line through all. An observation counts by the inverse of
    its variance, that of an even distribution over its interval and of its noise. Nothing is left
    out, however wrong: give what `observe` has accepted.

    ValueError for less than two counts.
    """
    if len(counts) < 2 or counts[-1] == counts[0]:
        raise ValueError(f"a line needs two counts at least, found {len(np.unique(counts))}")
    count, time_ns = int(counts[0]), int(latest_ns[0])
    steps = (counts - count).astype(np.float64)
    low, high = (earliest_ns - time_ns).astype(np.float64), (latest_ns - time_ns).astype(np.float64)
    middle, weight = (low + high) / 2, 1.0 / ((high - low) ** 2 / 12 + np.square(noise_ns))
    half_ns = window_s * 1e9 / 2
    number = max(1, int((middle[-1] - middle[0]) // half_ns) - 1)
    edges = middle[0] + half_ns * np.arange(number + 2)
    edges[-1] = np.inf
    first, last = np.searchsorted(middle, edges[:number]), np.searchsorted(middle, edges[2:])
    lines = [
        _line(steps[a:b], middle[a:b], weight[a:b])
        for a, b in zip(first, last, strict=True)
        # Beyond a line that is too short it would lead far astray.
        if b - a > 2 and middle[b - 1] - middle[a] >= half_ns
    ]
    centres, offsets, periods = np.array(lines or [_line(steps, middle, weight)]).T
    return ClockWindows(count, time_ns, centres, offsets, periods)


def _line(steps: Floats, times: Floats, weight: Floats) -> tuple[float, float, float]:
    """Least squares: the weighted mean of the counts, the time there, and the period."""
    total = weight.sum()
    centre, offset = (weight * steps).sum() / total, (weight * times).sum() / total
    from_centre, after = steps - centre, times - offset
    period = (weight * from_centre * after).sum() / (weight * from_centre * from_centre).sum()
    return float(centre), float(offset), float(period)
