"""Poses at other times than those of the samples: a steady rate, or those of the pictures."""

from __future__ import annotations

import numpy as np

from camm.frames import Array, from_angle_axis, interpolate, to_angle_axis
from camm.packets import VALUE_DTYPES, PacketType
from camm.samples import Samples
from fusion.fuser import Times

_REACH_NS = 1_000_000_000
"""For so long a time may be asked for behind that up to which all was said to have been."""
_LONGEST_NS = 10_000_000_000
"""A camera that hangs costs no more memory than the samples of so long."""


class ChosenTimes:
    """Turns samples of type 0 or 4 into those at chosen times.

    Between samples it turns steadily (slerp), and moves straight on. With a `rate_hz` these times
    are the multiples of its period, without one those told to `want`; there is nothing at those
    between two samples that are further apart than `apart_ns`.
    """

    def __init__(
        self,
        rate_hz: float | None = None,
        kind: PacketType = PacketType.ANGLE_AXIS,
        apart_ns: int | None = None,
    ) -> None:
        self._rate_hz = rate_hz
        self._apart_ns = apart_ns
        self._known = Samples.empty(kind)
        self._wanted: Times = np.empty(0, np.int64)
        self._next = 0  # of the multiples of the period

    def want(self, t_ns: Times) -> None:
        """Times at which a pose is wanted."""
        self._wanted = np.sort(np.concatenate([self._wanted, t_ns]))
        if len(self._wanted):
            old = int(self._wanted.searchsorted(self._wanted[-1] - _LONGEST_NS))
            self._wanted = self._wanted[old:]

    def add(self, samples: Samples) -> None:
        """Poses at the samples' own times, later than those before."""
        if not len(samples):
            return
        if self._rate_hz is not None:
            begin, end = samples.t_ns[0], samples.t_ns[-1]
            if not len(self._known):
                self._next = int(np.ceil(begin * self._rate_hz / 1e9))
            after = int(np.floor(end * self._rate_hz / 1e9)) + 1
            count = np.arange(self._next, after)
            self.want(np.round(count * (1e9 / self._rate_hz)).astype(np.int64))
            self._next = max(self._next, after)
        self._known = Samples.concatenate(samples.kind, [self._known, samples])

    def take(self, complete_ns: int) -> Samples:
        """The poses that can be told, of the times before `complete_ns`.

        Times before the first sample are left out, and those that were asked for much too late.
        """
        known = self._known
        if not len(known):
            return known
        end_ns = min(complete_ns, int(known.t_ns[-1]) + 1)
        due, self._wanted = np.split(self._wanted, [self._wanted.searchsorted(end_ns)])
        due = due[due >= known.t_ns[0]]
        keep_ns = max(end_ns - _REACH_NS, int(known.t_ns[-1]) - _LONGEST_NS)
        self._known = known[max(int(known.t_ns.searchsorted(keep_ns)) - 1, 0) :]
        if self._apart_ns is not None:
            after = known.t_ns.searchsorted(due)
            before = np.maximum(known.t_ns.searchsorted(due, side="right") - 1, 0)
            due = due[known.t_ns[after] - known.t_ns[before] <= self._apart_ns]
        if not len(due):
            return Samples.empty(known.kind)
        return Samples(known.kind, due, _between(known, due).astype(VALUE_DTYPES[known.kind]))


def _between(known: Samples, at_ns: Times) -> Array:
    if known.kind is PacketType.ANGLE_AXIS:
        return to_angle_axis(interpolate(known.t_ns, from_angle_axis(known.data), at_ns))
    begin_ns = known.t_ns[0]  # nanoseconds since boot have more digits than a float64
    columns = [np.interp(at_ns - begin_ns, known.t_ns - begin_ns, axis) for axis in known.data.T]
    return np.stack(columns, axis=1)
