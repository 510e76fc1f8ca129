"""What a GPS receiver is to the rest, however it is reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, Protocol, TypeAlias

from drivers.gps_fix import GpsFix

DynamicModel: TypeAlias = Literal[
    "portable",
    "stationary",
    "pedestrian",
    "automotive",
    "sea",
    "airborne1g",
    "airborne2g",
    "airborne4g",
    "wrist",
    "bike",
]
"""How what carries a receiver moves, which is what its filter expects; the names are u-blox'."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The newest of many values, and their median."""

    last: float
    median: float


class Tally:
    """How often each value came; for values of which there are few, however often they come."""

    def __init__(self) -> None:
        self._times: Counter[float] = Counter()
        self._last = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._times[value] += 1
        self._last = value

    @property
    def spread(self) -> Spread | None:
        """What has come so far; None where nothing has. Of an even number, the lower middle one."""
        if not self._times:
            return None
        values = sorted(self._times)
        half = (self._times.total() + 1) // 2
        reached = accumulate(self._times[value] for value in values)
        return Spread(
            self._last, next(v for v, n in zip(values, reached, strict=True) if n >= half)
        )


@dataclass(frozen=True, slots=True)
class GpsStatistics:
    """What has come over the line.

    `messages` whole ones; `damaged` those that were not, or made no sense; `stray_bytes` that were
    part of none; `fixes` what it came to; `satellites` used for a solution, and its dilution of
    precision `pdop`: None where they were never told.
    """

    messages: int
    damaged: int
    stray_bytes: int
    fixes: int
    satellites: Spread | None = None
    pdop: Spread | None = None


class Receiver(Protocol):
    """Whatever tells of fixes: a receiver at a port of ours, or gpsd with one at its."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What it says of itself; empty where it does not."""
        ...

    @property
    def statistics(self) -> GpsStatistics:
        """A snapshot of the counters."""
        ...

    def read(self) -> GpsFix | None:
        """Wait for the next message; its fix, or None where it gave none. Never waits long.

        DeviceError where there is nothing to be read from any more.
        """
        ...

    def newest_pulse(self) -> tuple[int, int] | None:
        """Number of the newest time pulse, and CLOCK_MONOTONIC when it came, ns; None without."""
        ...

    def close(self) -> None:
        """Let go of it. May be called twice."""
        ...
