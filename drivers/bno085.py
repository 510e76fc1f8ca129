"""CEVA BNO085 (and BNO080, BNO086, which answer alike): sensors and a filter behind a sensor hub.

Source: the BNO08X datasheet, 1000-3927: ranges in its section 6.6, rates in its figure 6-14. What
the hub says and how is in `drivers.hub`, `drivers.sh2` and `drivers.shtp`.

The traps: it has no registers and stretches the clock; gyroscope, accelerometer and rotation vector
report at rates of their own, so the two are interpolated at the times of the first; it tells no
temperature; until it is calibrated its heading means little.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError
from drivers.bno085_mag import Bno085Magnetometer
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError
from drivers.hub import Hub, hub_at
from drivers.imu import ImuBurst
from drivers.interrupt import Interrupt
from drivers.probing import first_found
from drivers.sh2 import Sensor

_log = logging.getLogger(__name__)

_RATES_HZ = (400.0, 200.0, 100.0, 50.0, 25.0)
_LONGEST_BURST = 100
_SILENCE_NS = 1_000_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Bno085:
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`.

    Its orientation is its rotation vector: sensor to east-north-up, magnetic north.
    """

    name = "BNO085"
    addresses: ClassVar[tuple[int, ...]] = (0x4A, 0x4B)  # SA0 low, as most boards have it, or high

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._polls = 0
        self._heard_ns = self._configured_ns = 0
        self._warned = False
        self.rate_hz = 200.0

    @classmethod
    def probe(cls, bus: I2CBus, address: int | None = None) -> Self:
        """Find the chip at `address`, or at any of those that it can have.

        BusError where nothing answers or the kernel holds what is there, WrongChip where something
        else answers. Nothing is written to what does not look like it.
        """
        places = cls.addresses if address is None else (address,)
        return first_found(bus, cls.name, places, lambda place: cls._identify(bus, place))

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        hub = hub_at(bus, address, cls.name)
        hub.probe()
        return cls(hub)

    def magnetometer(self, bus: I2CBus) -> Bno085Magnetometer:
        """Its magnetometer, once the chip is configured."""
        return Bno085Magnetometer(hub_at(bus, self._hub.address, self.name))

    @property
    def poll_interval_ns(self) -> int:
        """About 0.7 periods, different each time in a fixed pattern: never in step with the chip.

        The more often it is asked, the better is known when it had something to say.
        """
        return round(0.7e9 / self.rate_hz * (0.75 + 0.5 * (self._polls * _GOLDEN % 1.0)))

    @property
    def description(self) -> Mapping[str, str | float]:
        turn = self._hub.streams.get(Sensor.ROTATION_VECTOR)
        accuracy = None if turn is None else turn.accuracy
        return {
            **self._hub.description,
            "rate_hz": self.rate_hz,
            "gyro_range_dps": 2000.0,
            "accel_range_g": 8.0,
            "group_delay_ns": self._delay_ns,
            "orientation": "magnetic north",
            "damaged": self._hub.damaged,
            **({} if accuracy is None else {"accuracy": accuracy}),
        }

    @property
    def _delay_ns(self) -> int:
        """A sample is dated by its end and is of the time since the one before it.

        No more is known: the datasheet speaks of a small delay by filters on top of that.
        """
        return round(0.5e9 / self.rate_hz)

    def configure(
        self,
        clock: Clock,
        *,
        rate_hz: float = 200.0,
        gyro_range_dps: float = 2000.0,
        accel_range_g: float = 8.0,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Reset it and have it report at the nearest of 25 to 400 Hz.

        Ranges are fixed: `description` says what they are, whatever was asked for. UsageError for a
        rate out of reach and with an interrupt line, BusError where the chip does not start.
        """
        if interrupt is not None:
            raise UsageError(
                f"{self.name} is read without an interrupt line: leave `interrupt` out"
            )
        if not _RATES_HZ[-1] <= rate_hz <= _RATES_HZ[0]:
            raise UsageError(
                f"{self.name} samples at {_RATES_HZ[-1]:g} to {_RATES_HZ[0]:g} Hz, asked for "
                f"{rate_hz:g}"
            )
        interval_us = round(1e6 / min(_RATES_HZ, key=lambda rate: abs(rate - rate_hz)))
        self._hub.reset(clock)
        self._hub.enable(Sensor.ACCELEROMETER, interval_us, clock)
        self._hub.enable(Sensor.ROTATION_VECTOR, interval_us, clock)
        self.rate_hz = self._hub.enable(Sensor.GYROSCOPE, interval_us, clock)
        self._heard_ns = self._configured_ns = clock.now_ns()

    def read_burst(self, clock: Clock) -> ImuBurst | None:
        self._polls += 1
        self._hub.pump(clock)
        if self._hub.has_reset:
            raise self._error("has come up anew by itself: check its power")
        burst = self._join()
        now_ns = clock.now_ns()
        if burst is None:
            if now_ns - self._heard_ns > _SILENCE_NS:
                raise self._error("has fallen silent")
            return None
        self._heard_ns = now_ns
        self._look_at_accuracy(now_ns)
        return burst

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            for sensor in (Sensor.GYROSCOPE, Sensor.ACCELEROMETER, Sensor.ROTATION_VECTOR):
                self._hub.disable(sensor)

    def _join(self) -> ImuBurst | None:
        """The samples of the gyroscope for which both others are there."""
        gyro, accel, turn = (
            self._hub.streams[sensor]
            for sensor in (Sensor.GYROSCOPE, Sensor.ACCELEROMETER, Sensor.ROTATION_VECTOR)
        )
        if not (gyro.samples and accel.samples and turn.samples):
            return None
        times, accel_times, turn_times = gyro.times(), accel.times(), turn.times()
        # The last bit of the way they are taken to stay as they are: it is half a period at most.
        reach = min(accel_times[-1], turn_times[-1]) + self._delay_ns
        run = gyro.take_run(min(_LONGEST_BURST, int(np.count_nonzero(times <= reach))))
        if not run:
            return None
        t_ns = times[: len(run)]
        orientation = _at(t_ns, turn_times, _continuous(turn.values()[:, [3, 0, 1, 2]]))
        burst = ImuBurst(
            first_count=run[0].count,
            gyro=np.array([sample.values for sample in run]),
            accel=_at(t_ns, accel_times, accel.values()),
            earliest_ns=run[-1].earliest_ns,
            latest_ns=run[-1].latest_ns,
            noise_ns=run[-1].noise_ns,
            lost=run[0].lost,
            group_delay_ns=self._delay_ns,
            orientation=orientation / np.linalg.norm(orientation, axis=1, keepdims=True),
        )
        accel.forget_before(int(t_ns[-1]))
        turn.forget_before(int(t_ns[-1]))
        return burst

    def _look_at_accuracy(self, now_ns: int) -> None:
        turn = self._hub.streams[Sensor.ROTATION_VECTOR]
        if turn.accuracy == 0 and not self._warned and now_ns > self._configured_ns + _SILENCE_NS:
            self._warned = True
            _log.warning(
                "%s is not calibrated yet, its heading means little: turn it about slowly, in "
                "figures of eight",
                self.name,
            )

    def _error(self, what: str) -> BusError:
        return BusError(
            errno.EIO, f"{self.name} at 0x{self._hub.address:02x} on {self._hub.bus.name} {what}"
        )


def _continuous(quaternions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same rotations, each of the sign that is nearer to the one before it."""
    turned = np.sum(quaternions[1:] * quaternions[:-1], axis=1) < 0
    signs = np.cumprod(np.concatenate([[1.0], np.where(turned, -1.0, 1.0)]))
    return quaternions * signs[:, None]


def _at(
    t_ns: npt.NDArray[np.int64], since: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """What values (N, columns) of other times say of these."""
    origin = since[0]
    columns = [np.interp(t_ns - origin, since - origin, column) for column in values.T]
    return np.stack(columns, axis=1)
