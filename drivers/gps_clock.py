"""GPS time on the host's clock: by when messages come, or by the time pulse where there is one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.clock_fit import ClockFit
from drivers.gps_fix import GpsFix, Latency

_CRYSTAL = 1e-4  # crystals of hosts are good to 100 ppm
_DRIFT_PPM = 0.05  # and steady
_SERIAL_NOISE_NS = 2_000_000.0
"""How finely a serial port tells when bytes came in: its buffers are emptied in portions."""
_PULSE_NOISE_NS = 5_000.0  # of an interrupt
_SECOND_NS = 1_000_000_000
_UNDOUBTED_NS = _SECOND_NS // 4
"""A pulse within this of a whole second, as the messages have it, is that of this second."""
_STALE_NS = 3 * _SECOND_NS
_LATE_NS = 50_000_000
"""A message that comes so much later than the latency allows was kept waiting: by a host that had
no time for it, or behind others. That says nothing of the clock ..."""
_DOUBT_NS = 20 * _SECOND_NS
"""... unless all have been late for so long."""
_SETTLED = 5  # fixes after which the fit is better than one arrival


class GpsClock:
    """Maps GPS time to CLOCK_MONOTONIC, both in nanoseconds.

    The messages' fit goes on beside that of the pulses, for it tells which second a pulse began.
    Once there has been a pulse it alone stamps: what is assumed of the latency no longer matters.
    """

    def __init__(self, latency: Latency) -> None:
        self._latency = latency
        # One count is a nanosecond of GPS time.
        self._by_messages = ClockFit(1.0, _CRYSTAL, _DRIFT_PPM)
        self._by_pulses = ClockFit(1.0, _CRYSTAL, _DRIFT_PPM)
        self._pulse_number: int | None = None
        self._newest_arrival_ns = 0
        self._in_time_ns = 0  # GPS time of the last message that was
        self._latency_ns: tuple[int, int] | None = None  # least and most, by the pulses

    @property
    def settled(self) -> bool:
        """Whether stamps are better than a single arrival."""
        return self._by_pulses.locked or self._by_messages.statistics.accepted >= _SETTLED

    def take_fix(self, fix: GpsFix) -> None:
        """Learn from a message's arrival."""
        self._newest_arrival_ns = fix.arrival_ns
        earliest_ns = fix.arrival_ns - self._latency.longest_ns
        latest_ns = fix.arrival_ns - self._latency.shortest_ns
        if not self._was_kept_waiting(fix.gps_time_ns, earliest_ns):
            self._in_time_ns = fix.gps_time_ns
            self._by_messages.observe(fix.gps_time_ns, earliest_ns, latest_ns, _SERIAL_NOISE_NS)
        if self._by_pulses.locked:
            late_ns = fix.arrival_ns - int(self.times(np.array([fix.gps_time_ns]))[0])
            least_ns, most_ns = self._latency_ns or (late_ns, late_ns)
            self._latency_ns = min(least_ns, late_ns), max(most_ns, late_ns)

    def _was_kept_waiting(self, gps_time_ns: int, earliest_ns: int) -> bool:
        if not self._by_messages.locked or gps_time_ns - self._in_time_ns > _DOUBT_NS:
            return False
        expected_ns = int(self._by_messages.times(np.array([gps_time_ns]))[0])
        return expected_ns < earliest_ns - _LATE_NS

    def take_pulse(self, number: int, t_ns: int) -> None:
        """Learn from a pulse, unless it was taken before or it is not sure of which second it is.

        The kernel goes on telling of the last pulse long after there are no more.
        """
        fresh = t_ns > self._newest_arrival_ns - _STALE_NS
        if number == self._pulse_number or not fresh or not self._by_messages.locked:
            return
        self._pulse_number = number
        gps_ns = round(self._by_messages.count_at(t_ns))
        second_ns = (gps_ns + _SECOND_NS // 2) // _SECOND_NS * _SECOND_NS
        if abs(gps_ns - second_ns) < _UNDOUBTED_NS:
            self._by_pulses.observe(second_ns, t_ns, t_ns, _PULSE_NOISE_NS)

    def times(self, gps_time_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """CLOCK_MONOTONIC, int64[N], of moments of GPS time, int64[N]."""
        fit = self._by_pulses if self._by_pulses.locked else self._by_messages
        return fit.times(gps_time_ns)

    def describe(self) -> dict[str, Any]:
        """What the clip should remember: what the stamps rest on, and how well."""
        by_pulses = self._by_pulses.locked
        fit = self._by_pulses if by_pulses else self._by_messages
        measured = {} if self._latency_ns is None else {"latency_ns": list(self._latency_ns)}
        return {
            "stamped_by": "time pulse" if by_pulses else "arrival of messages",
            "latency_assumed_ns": [self._latency.shortest_ns, self._latency.longest_ns],
            **measured,
            "clock_fit": asdict(fit.statistics),
        }
