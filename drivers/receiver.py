"""What a GPS receiver is to the rest, however it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from drivers.gps_fix import GpsFix


@dataclass(frozen=True, slots=True)
class GpsStatistics:
    """What has come over the line.

    `messages` whole ones; `damaged` those that were not, or made no sense; `stray_bytes` that were
    part of none; `fixes` what it came to.
    """

    messages: int
    damaged: int
    stray_bytes: int
    fixes: int


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
