"""The magnetometer inside a BNO085, as the hub reports it: calibrated by itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from camm.errors import UsageError
from drivers.clock import Clock
from drivers.errors import BusError
from drivers.hub import Hub
from drivers.imu import MagBurst
from drivers.sh2 import Sensor

_RATES_HZ = (100.0, 50.0, 25.0, 12.5)
_USUAL_RATE_HZ = 50.0
_RANGE_UT = 1300.0  # of X and Y, as of the same maker's BMM150; the datasheet tells none
_LONGEST_BURST = 100


class Bno085Magnetometer:
    """The magnetometer of a BNO085 that has been configured; then as `drivers.imu.Magnetometer`.

    Its field is in the axes of the chip, calibrated by it. It comes in the stream that the motion
    sensor's driver reads: there is nothing where that is not read.
    """

    name = "BNO085"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.rate_hz = _USUAL_RATE_HZ

    @property
    def poll_interval_ns(self) -> int:
        """Anything will do: nothing is lost here, and no time told by it."""
        return round(1e9 / self.rate_hz)

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            **self._hub.description,
            "rate_hz": self.rate_hz,
            "range_ut": _RANGE_UT,
            "group_delay_ns": self._delay_ns,
        }

    @property
    def _delay_ns(self) -> int:
        return round(0.5e9 / self.rate_hz)

    def configure(
        self, clock: Clock, *, rate_hz: float = _USUAL_RATE_HZ, range_ut: float = _RANGE_UT
    ) -> None:
        """Have it report at the nearest of its rates.

        UsageError for a range or rate that is out of its reach, BusError where it does not report.
        """
        slowest, fastest = min(_RATES_HZ), max(_RATES_HZ)
        if not slowest / 2 <= rate_hz <= fastest * 2 or not 0 < range_ut <= _RANGE_UT:
            raise UsageError(
                f"the magnetometer of a {self.name} measures {slowest:g} to {fastest:g} times a "
                f"second, up to {_RANGE_UT:g} microtesla; asked for {rate_hz:g} Hz and {range_ut:g}"
            )
        nearest = min(_RATES_HZ, key=lambda rate: abs(rate - rate_hz))
        self.rate_hz = self._hub.enable(Sensor.MAGNETIC_FIELD, round(1e6 / nearest), clock)

    def read_burst(self, clock: Clock) -> MagBurst | None:
        run = self._hub.streams[Sensor.MAGNETIC_FIELD].take_run(_LONGEST_BURST)
        if not run:
            return None
        return MagBurst(
            first_count=run[0].count,
            field=np.array([sample.values for sample in run]),
            earliest_ns=run[-1].earliest_ns,
            latest_ns=run[-1].latest_ns,
            noise_ns=run[-1].noise_ns,
            lost=run[0].lost,
            group_delay_ns=self._delay_ns,
        )

    def close(self) -> None:
        with suppress(BusError):
            self._hub.disable(Sensor.MAGNETIC_FIELD)
