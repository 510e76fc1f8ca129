"""QST QMC5883L: what boards carry that are sold as HMC5883L, or GY-271.

Registers, ranges and rates are from its datasheet (1.0), section 9. It has nothing in common with
the HMC5883L but the pins.

The traps: its identity is 0xFF, what an empty bus would read; reading the field takes DRDY back, so
the status comes first, from where the roll-over leads to the field; its thermometer has no zero.
How long a measurement takes is told nowhere: it is at most a period of the fastest rate.

Flags and roll-over could not be held against the datasheet's own text.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from drivers.clock import Clock
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    STATUS = 0x06  # behind it the field again, at 0x00: X Y Z, 16 bits each, low byte first
    CONTROL_1 = 0x09
    CONTROL_2 = 0x0A
    SET_RESET_PERIOD = 0x0B
    CHIP_ID = 0x0D


_CONTINUOUS = 0x01  # at the highest oversampling, 512
_RESET_NS = 10_000_000
_MEASUREMENT_NS = 5_000_000
_DRDY, _OVL, _DOR = 0x01, 0x02, 0x04
_FIELD = struct.Struct("<3h")


class Qmc5883L(PolledMagnetometer):
    """The chip."""

    name = "QMC5883L"
    addresses = (0x0D,)
    identity = (_Register.CHIP_ID, bytes([0xFF]))
    rates = {
        200.0: Rate(3, _MEASUREMENT_NS),
        100.0: Rate(2, _MEASUREMENT_NS),
        50.0: Rate(1, _MEASUREMENT_NS),
        10.0: Rate(0, _MEASUREMENT_NS),
    }
    ranges = {200.0: (0, 100 / 12000), 800.0: (1, 100 / 3000)}

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_2, 0x80)  # SOFT_RST
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CONTROL_2, 0x41)  # ROL_PNT, and no interrupt
        self._write(_Register.SET_RESET_PERIOD, 0x01)  # as recommended

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_1, setup.range_code << 4 | setup.rate_code << 2 | _CONTINUOUS)

    def _look(self) -> Look | None:
        answer = self._read(_Register.STATUS, 7)
        if not answer[0] & _DRDY:
            return None
        x, y, z = _FIELD.unpack_from(answer, 1)
        lsb_ut = self._setup.lsb_ut
        return Look(
            overrun=bool(answer[0] & _DOR),
            saturated=bool(answer[0] & _OVL),
            field=(x * lsb_ut, y * lsb_ut, z * lsb_ut),
        )

    def _sleep(self) -> None:
        self._write(_Register.CONTROL_1, 0x00)  # standby
