"""MEMSIC MMC5983MA: 18 bits, and the quietest magnetometer of them.

Registers, scale and times are from its datasheet (Rev A).

Its bridges have an offset of up to half a gauss. SET and RESET magnetise them the one way or the
other: of a measurement after each, half the sum is the offset. So it is found, from nine, whenever
the chip is configured, in an eighth of a second. It is then left SET, and SET again after a field
that was too strong, which may have taken the magnetisation away. The chip's own alternative,
Auto_SR_en, is not used: what it does to measurements in continuous mode is not in the datasheet,
and users have found it to do nothing.

The traps: what the offset does as the chip warms up stays in the field, as hard iron would; nobody
knows what Meas_M_Done does in continuous mode, so a sample is new where it differs from the one
before; nothing holds the data fast while they are read, so they are read until they agree; its
thermometer measures only while nothing else is measured, which is when it is configured.
"""

from __future__ import annotations

import errno
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    DATA = 0x00  # X Y Z, 16 bits each, high byte first, then the two lowest bits of all
    TEMPERATURE = 0x07
    STATUS = 0x08
    CONTROL_0 = 0x09
    CONTROL_1 = 0x0A
    CONTROL_2 = 0x0B
    PRODUCT_ID = 0x2F


_TAKE_FIELD, _TAKE_TEMPERATURE, _SET, _RESET = 0x01, 0x02, 0x08, 0x10
_CONTINUOUS = 0x08
_ZERO, _MOST = 1 << 17, (1 << 18) - 1
_RESET_NS = 20_000_000  # "the power on time is 10 ms"
_PULSE_NS = 1_000_000  # of 500 ns, then the bridge settles
_SINGLE_NS = 12_000_000  # of 8 ms
_DISTURBED = 3  # samples: too strong, before SET, half before it
_PAIRS = 4  # of measurements, SET and RESET, to find the offset


def _rate(frequency: int, bandwidth: int) -> Rate:
    """One setting of CM_Freq and BW."""
    measurement_ns = {0: 8_000_000, 1: 4_000_000, 3: 500_000}[bandwidth]
    return Rate(bandwidth << 4 | frequency, measurement_ns)


class Mmc5983ma(PolledMagnetometer):
    """The chip."""

    name = "MMC5983MA"
    addresses = (0x30,)
    identity = (_Register.PRODUCT_ID, bytes([0x30]))
    rates = {
        1000.0: _rate(7, 3),
        200.0: _rate(6, 1),
        100.0: _rate(5, 0),
        50.0: _rate(4, 0),
        20.0: _rate(3, 0),
        10.0: _rate(2, 0),
        1.0: _rate(1, 0),
    }
    ranges = {800.0: (0, 100 / 16384)}
    tells_overrun = False

    def __init__(self, bus: I2CBus, address: int) -> None:
        super().__init__(bus, address)
        self._newest = b""
        self._disturbed = 0
        self._offset = np.full(3, float(_ZERO))

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_1, 0x80)  # SW_RST
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._measure_once(clock, _TAKE_TEMPERATURE)
        self._temperature_c = self._read(_Register.TEMPERATURE, 1)[0] * 0.8 - 75.0
        # The one way about the other: what the field does meanwhile is in both means alike.
        ways = [_SET, *(_RESET, _SET) * _PAIRS]
        counts = np.array([self._magnetised(clock, way) for way in ways])
        self._offset = (counts[0::2].mean(axis=0) + counts[1::2].mean(axis=0)) / 2.0
        self._disturbed = 0
        self._write(_Register.CONTROL_1, setup.rate_code >> 4)

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_2, _CONTINUOUS | setup.rate_code & 0x07)

    def _look(self) -> Look | None:
        answer = self._read(_Register.DATA, 7)
        if answer == self._newest:
            return None
        if (again := self._read(_Register.DATA, 7)) != answer:
            answer = again  # a sample came in the middle of the one or the other: this is whole
        self._newest = answer
        raw = _counts(answer)
        if np.any((raw == 0) | (raw == _MOST)):
            self._disturbed = _DISTURBED
        elif self._disturbed:
            if self._disturbed == _DISTURBED:
                self._write(_Register.CONTROL_0, _SET)
            self._disturbed -= 1
        return Look(
            overrun=True,  # for all that it tells
            saturated=self._disturbed > 0,
            field=(raw - self._offset) * self._setup.lsb_ut,
        )

    def _sleep(self) -> None:
        self._write(_Register.CONTROL_2, 0x00)

    def _magnetised(self, clock: Clock, way: int) -> npt.NDArray[np.int64]:
        """What it measures when it is magnetised that way."""
        self._write(_Register.CONTROL_0, way)
        clock.sleep_until(clock.now_ns() + _PULSE_NS)
        self._measure_once(clock, _TAKE_FIELD)
        self._newest = self._read(_Register.DATA, 7)
        return _counts(self._newest)

    def _measure_once(self, clock: Clock, what: int) -> None:
        self._write(_Register.CONTROL_0, what)
        clock.sleep_until(clock.now_ns() + _SINGLE_NS)
        if not self._read(_Register.STATUS, 1)[0] & what:  # its bits are those of the command
            raise BusError(
                errno.EIO,
                f"the {self.name} at 0x{self._address:02x} on {self._bus.name} does not measure: "
                "check its supply (SET and RESET draw a current)",
            )


def _counts(answer: bytes) -> npt.NDArray[np.int64]:
    """X, Y, Z, from 0 to 2^18."""
    high = np.frombuffer(answer, ">u2", count=3).astype(np.int64)
    return high << 2 | answer[6] >> np.array([6, 4, 2]) & 3
