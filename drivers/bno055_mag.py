"""The magnetometer inside a BNO055, as the chip gives it: calibrated by itself.

Registers and units are from the datasheet BST-BNO055-DS000-14, rates from its table 3-14.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.imu import MagBurst
from drivers.stretching import transfer
from drivers.unmarked import UnmarkedSamples

_MAG_DATA = 0x0E
_RATE_HZ = 20.0
_RANGE_UT = 1300.0  # of X and Y; Z reaches 2500 (table 0-2)
_BANDWIDTH_HZ = 10.0  # table 3-4
_LSB = 16.0  # for one microtesla
_DELAY_NS = round(1e9 / (2 * math.pi * _BANDWIDTH_HZ))  # of a first-order filter: none is given


class Bno055Magnetometer:
    """The magnetometer of a BNO055 that has been configured; then as `drivers.imu.Magnetometer`.

    Its field is in the axes of the chip, less the offset that its calibration has found.
    """

    name = "BNO055"
    rate_hz = _RATE_HZ

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._samples = UnmarkedSamples(1e9 / self.rate_hz)

    @property
    def poll_interval_ns(self) -> int:
        return self._samples.poll_interval_ns

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "rate_hz": self.rate_hz,
            "range_ut": _RANGE_UT,
            "bandwidth_hz": _BANDWIDTH_HZ,
            "group_delay_ns": _DELAY_NS,
        }

    def configure(
        self, clock: Clock, *, rate_hz: float = _RATE_HZ, range_ut: float = _RANGE_UT
    ) -> None:
        """Begin to count: the chip measures since it was configured, at its one rate.

        UsageError for a range or rate that is out of its reach.
        """
        if not _RATE_HZ / 2 <= rate_hz <= _RATE_HZ * 2 or not 0 < range_ut <= _RANGE_UT:
            raise UsageError(
                f"the magnetometer of a {self.name} measures {_RATE_HZ:g} times a second, up to "
                f"{_RANGE_UT:g} microtesla; asked for {rate_hz:g} Hz and {range_ut:g}"
            )
        self._samples.begin(clock, self._read())

    def read_burst(self, clock: Clock) -> MagBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        fresh = self._samples.look(clock, self._read)
        if fresh is None:
            return None
        return MagBurst(
            first_count=fresh.count,
            field=np.frombuffer(fresh.raw, "<i2")[np.newaxis] / _LSB,
            earliest_ns=fresh.earliest_ns,
            latest_ns=fresh.latest_ns,
            noise_ns=fresh.noise_ns,
            lost=fresh.lost,
            group_delay_ns=_DELAY_NS,
        )

    def close(self) -> None:
        """Leave the chip to whoever configured it."""

    def _read(self) -> bytes:
        return transfer(self._bus, self.name, self._address, bytes([_MAG_DATA]), 6)
