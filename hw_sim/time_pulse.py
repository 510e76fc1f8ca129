"""The time pulse of a receiver, as the host's kernel stamps it."""

from __future__ import annotations

import numpy as np

from hw_sim.clock import VirtualClock

_SECOND_NS = 1_000_000_000
_LATE_NS = (2_000, 9_000)  # of an interrupt on a quiet host; the receiver's own part is 30 ns


class SimulatedTimePulse:
    """A pulse at each whole GPS second: what a driver of /dev/pps would tell.

    `gps_start_ns` is the GPS time at `start_ns` of CLOCK_MONOTONIC, `host_rate` how many
    nanoseconds the host counts in one of GPS time.
    """

    def __init__(
        self, clock: VirtualClock, gps_start_ns: int, start_ns: int, host_rate: float, seed: int
    ) -> None:
        self._clock = clock
        self._gps_start_ns = gps_start_ns
        self._start_ns = start_ns
        self._host_rate = host_rate
        self._seed = seed

    def newest(self) -> tuple[int, int] | None:
        """Number of the newest pulse, and when its interrupt was served; None before any."""
        elapsed_ns = (self._clock.now_ns() - self._start_ns - _LATE_NS[1]) / self._host_rate
        second = (self._gps_start_ns + int(elapsed_ns)) // _SECOND_NS
        number = second - self._gps_start_ns // _SECOND_NS
        if number < 1:
            return None
        since_start_ns = second * _SECOND_NS - self._gps_start_ns
        late_ns = int(np.random.default_rng((self._seed, number)).integers(*_LATE_NS))
        return number, self._start_ns + round(since_start_ns * self._host_rate) + late_ns

    def close(self) -> None:
        """Nothing is held."""
