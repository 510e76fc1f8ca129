"""From a device's own counting to the host's clock: the one place where stamps are made.

A sensor counts its samples by its own oscillator, a GPS receiver counts GPS time; neither says when
on CLOCK_MONOTONIC anything happened. All that the host learns is that event number so-and-so took
place between two instants: after the last look that did not show it, before the look that did.
`ClockFit` makes a clock of a stream of such intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_GATE = 6.0
"""Standard deviations between prediction and interval beyond which an observation is refused."""

_PATIENCE = 5.0
"""Refusals after which the fit, and no longer the observations, is thought wrong ..."""

_FORGIVENESS = 0.1
"""... each observation that was accepted in between making up for this much of one."""

_WITHHELD = 0.35
"""Share of the variance reduction of a wide interval that is not believed, see `observe`."""

_SQRT2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class ClockFitStatistics:
    """How a fit has fared, for the status page and the clip's metadata.

    A residual is the fit's prediction minus the middle of the observed interval. For intervals of
    width w around an event of any phase it has a mean of 0 and an rms of w / sqrt(12).
    """

    accepted: int
    refused: int
    relocked: int
    period_ns: float
    period_error_ppm: float
    sigma_ns: float
    residual_mean_ns: float
    residual_rms_ns: float


class ClockFit:
    """Host time of any count of a device, learnt online from intervals.

    A Kalman filter of two states, the host time of a reference count and the period, in which an
    observation is an interval and not a point: the Gaussian prediction is cut down to the interval
    and the result is taken as Gaussian again (moment matching). An edge stamped by an interrupt is
    the interval of no width, and the filter is then the ordinary one.

    `nominal_period_ns`  host nanoseconds for one count
    `tolerance`          how wrong the nominal period may be, as a fraction: 3.5 % covers the
                         oscillators of motion sensors, 100 ppm those of computers
    `drift_ppm`          random walk of the period, ppm per square root of a second; 5 follows a
                         sensor that warms up by 300 ppm in a few minutes

    The trap: looks that keep step with the events show the same edge of the interval again and
    again. That adds nothing, and yet the filter grows surer by it: a schedule of polls must wander
    through all phases, or `sigma_ns` is too small by far. It is so too for GPS messages, whose
    intervals agree in nearly all of their width.

    Reference count and time are whole numbers and move along with the observations; only the small
    rest is floating point, so a stamp is as good after a week as in the first second.
    """

    def __init__(
        self, nominal_period_ns: float, tolerance: float = 0.035, drift_ppm: float = 5.0
    ) -> None:
        self.locked = False
        """Whether there has been an observation, without which no time can be told."""
        self.period_ns = nominal_period_ns
        """Host nanoseconds for one count."""
        self._nominal = nominal_period_ns
        self._tolerance = tolerance
        self._drift = drift_ppm * 1e-6
        self._count = 0
        self._time = 0
        # The state: what the integer reference time lacks (ns), the period's deviation (ns/count),
        # and their covariance. The variances are set by the first observation.
        self._offset = 0.0
        self._deviation = 0.0
        self._p_oo = math.inf
        self._p_od = 0.0
        self._p_dd = math.inf
        self._accepted = 0
        self._refused = 0
        self._doubt = 0.0
        self._relocked = 0
        self._residual_sum = 0.0
        self._residual_squares = 0.0

    def observe(self, count: int, earliest_ns: int, latest_ns: int, noise_ns: float) -> bool:
        """Event number `count` happened after `earliest_ns` and not later than `latest_ns`.

        `noise_ns` is how far, one sigma, the truth may lie outside. False where the observation was
        refused: it contradicts the fit, or counts backwards. ValueError for an interval that ends
        before it begins.
        """
        if latest_ns < earliest_ns:
            raise ValueError(f"the interval ends {earliest_ns - latest_ns} ns before it begins")
        if not self.locked:
            self._lock(count, earliest_ns, latest_ns, noise_ns)
            return True
        steps = count - self._count
        offset, p_oo, p_od, p_dd = self._ahead(steps)
        # Relative to the predicted host time of the event.
        moved = steps * self._nominal
        low = (earliest_ns - self._time) - moved - offset
        high = (latest_ns - self._time) - moved - offset
        spread = math.sqrt(p_oo + noise_ns * noise_ns)
        if steps < 0 or low > _GATE * spread or high < -_GATE * spread:
            self._refused += 1
            self._doubt += 1.0
            if self._doubt > _PATIENCE:
                self._relocked += 1
                self._lock(count, earliest_ns, latest_ns, noise_ns)
                return True
            return False
        mean, variance = _truncated_normal(low / spread, high / spread)
        gain_o = p_oo / spread
        gain_d = p_od / spread
        # What is left of a Gaussian after a cut is none, and taking it for one overstates what has
        # been learnt: in some starts by so much that the truth is 9 sigma away. A point is exact.
        width = (high - low) / spread
        known = (1.0 - variance) * (1.0 - _WITHHELD * width / (1.0 + width))
        limit = self._tolerance * self._nominal
        self._deviation = min(max(self._deviation + gain_d * mean, -limit), limit)
        self.period_ns = self._nominal + self._deviation
        self._p_oo = p_oo - gain_o * gain_o * known
        self._p_od = p_od - gain_o * gain_d * known
        self._p_dd = p_dd - gain_d * gain_d * known
        at = moved + offset + gain_o * mean
        whole = round(at)
        self._count = count
        self._time += whole
        self._offset = at - whole
        self._accepted += 1
        self._doubt = max(0.0, self._doubt - _FORGIVENESS)
        middle = -0.5 * (low + high)
        self._residual_sum += middle
        self._residual_squares += middle * middle
        return True

    def times(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Host times, int64[N] nanoseconds, of counts int64[N] as the fit sees them now."""
        steps = (counts - self._count).astype(np.float64)
        # The nominal part and the small rest are rounded apart from the large reference time.
        return self._time + np.rint(steps * self.period_ns + self._offset).astype(np.int64)

    def count_at(self, t_ns: int) -> float:
        """The count, with its fraction, that the device has reached at a host time."""
        return self._count + ((t_ns - self._time) - self._offset) / self.period_ns

    @property
    def longest_period_ns(self) -> float:
        """The longest that a period can well be: three sigma more, within the tolerance.

        The newest sample in a FIFO is younger than this. With `period_ns` in its place an interval
        would exclude the truth while the fit is young.
        """
        longest = self.period_ns + 3.0 * math.sqrt(self._p_dd)
        return min(longest, (1.0 + self._tolerance) * self._nominal)

    @property
    def shortest_period_ns(self) -> float:
        """The shortest that a period can well be: what is free in a FIFO may fill so soon."""
        shortest = self.period_ns - 3.0 * math.sqrt(self._p_dd)
        return max(shortest, (1.0 - self._tolerance) * self._nominal)

    @property
    def sigma_ns(self) -> float:
        """Standard deviation of the host time of the newest observed count; inf before any."""
        return math.sqrt(self._p_oo)

    def forecast(self, count: int) -> tuple[int, float]:
        """The host time of one count, and its standard deviation: inf before any observation."""
        if not self.locked:
            return self._time, math.inf
        steps = count - self._count
        offset, p_oo, _, _ = self._ahead(steps)
        return self._time + round(steps * self._nominal + offset), math.sqrt(p_oo)

    @property
    def statistics(self) -> ClockFitStatistics:
        """A snapshot of the counters and of the present fit."""
        told = max(1, self._accepted)
        return ClockFitStatistics(
            accepted=self._accepted,
            refused=self._refused,
            relocked=self._relocked,
            period_ns=self.period_ns,
            period_error_ppm=1e6 * self._deviation / self._nominal,
            sigma_ns=self.sigma_ns,
            residual_mean_ns=self._residual_sum / told,
            residual_rms_ns=math.sqrt(self._residual_squares / told),
        )

    def _lock(self, count: int, earliest_ns: int, latest_ns: int, noise_ns: float) -> None:
        """Begin, or begin again, at one interval; what is known of the period remains its mean."""
        self.locked = True
        self._count = count
        self._time = (earliest_ns + latest_ns) // 2
        self._offset = 0.0
        self._p_oo = (latest_ns - earliest_ns) ** 2 / 12.0 + noise_ns**2
        self._p_od = 0.0
        self._p_dd = (self._tolerance * self._nominal) ** 2 / 3.0
        self._accepted += 1
        self._doubt = 0.0

    def _ahead(self, steps: int) -> tuple[float, float, float, float]:
        """Offset and covariance `steps` counts after the reference, the period wandering on.

        In the order of the state: offset, p_oo, p_od, p_dd.
        """
        period = self._nominal
        seconds = abs(steps) * period * 1e-9
        wander = self._drift * self._drift * seconds
        stretch = steps * self._p_dd
        return (
            self._offset + steps * self._deviation,
            self._p_oo
            + steps * (2.0 * self._p_od + stretch)
            + wander * seconds * seconds / 3.0 * 1e18,
            self._p_od + stretch + wander * seconds / 2.0 * 1e9 * period,
            self._p_dd + wander * period * period,
        )


def _truncated_normal(low: float, high: float) -> tuple[float, float]:
    """Mean and variance of a standard normal variable that is known to lie in [low, high].

    Both ends within about 30 of zero, which the gate takes care of: `erfc` keeps its relative
    precision down to there, where a difference of `erf` would be 0 from 8 on.
    """
    if low + high < 0.0:
        mean, variance = _truncated_normal(-high, -low)
        return -mean, variance
    width = high - low
    if width < 1e-3:
        # Nearly a point: uniform, but for a slope that shifts the mean a little towards zero. The
        # differences below would cancel to nothing.
        middle = 0.5 * (low + high)
        return middle * (1.0 - width * width / 12.0), width * width / 12.0
    density_low = math.exp(-0.5 * low * low) / _SQRT_2PI
    density_high = math.exp(-0.5 * high * high) / _SQRT_2PI
    mass = 0.5 * (math.erfc(low / _SQRT2) - math.erfc(high / _SQRT2))
    mean = (density_low - density_high) / mass
    variance = 1.0 + (low * density_low - high * density_high) / mass - mean * mean
    return mean, min(max(variance, 0.0), 1.0)
