"""A GPS fix, in the form in which it goes to the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from camm.packets import PacketType


@dataclass(frozen=True, slots=True, eq=False)
class GpsFix:
    """Where the antenna was at one moment of GPS time.

    `kind`         PacketType.GPS, or MIN_GPS where accuracy or velocity is not known
    `values`       one row of `camm.VALUE_DTYPES[kind]`; altitude is above the WGS 84 ellipsoid
    `gps_time_ns`  nanoseconds since the GPS epoch, leap seconds included
    `arrival_ns`   CLOCK_MONOTONIC when the first byte of the message had come in: no time of the
                   fix, which was a fraction of a second before; see `Latency`
    """

    kind: PacketType
    values: npt.NDArray[Any]
    gps_time_ns: int
    arrival_ns: int

    @property
    def gps_time_s(self) -> float:
        """The same as `time_gps_epoch`: seconds, good to a quarter of a microsecond."""
        return self.gps_time_ns / 1e9


@dataclass(frozen=True, slots=True)
class Latency:
    """From a moment of GPS time until the first byte of its fix, at the least and at the most.

    A fix lies between `arrival_ns - longest_ns` and `arrival_ns - shortest_ns`: that is the
    interval for `ClockFit`, and its earliest arrivals settle the fit. The default is for receivers
    up to u-blox' sixth generation and most others, 220 ms; from the seventh on it is rather 120 ms
    (both from flight logs: ArduPilot, AP_GPS_UBLOX::get_lag). What is assumed wrongly here shifts
    the whole track; only a time pulse frees of it.
    """

    shortest_ns: int = 180_000_000
    longest_ns: int = 250_000_000
