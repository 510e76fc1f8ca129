"""QST QMC5883P: the younger QMC5883L, on many a board sold as such since 2023.

Registers, ranges and rates are from its datasheet (1.0), section 9; other addresses and another
register map than the QMC5883L's.

The traps: reading the status takes DRDY back and reading the field does not, so there are two
reads; nothing tells that a sample was overwritten; the signs of the axes are those of the package
only with a register set that has no name.
How long a measurement takes is told nowhere: it is at most a period of the fastest rate.

None of it could be held against the datasheet's own text; it is what drivers of other makers go by.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from drivers.clock import Clock
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    CHIP_ID = 0x00
    DATA = 0x01  # X Y Z, 16 bits each, low byte first
    STATUS = 0x09
    CONTROL_1 = 0x0A
    CONTROL_2 = 0x0B
    SIGNS = 0x29


_NORMAL = 0x01  # at the highest oversampling, 8
_RESET_NS = 10_000_000
_MEASUREMENT_NS = 5_000_000
_DRDY, _OVFL = 0x01, 0x02


class Qmc5883P(PolledMagnetometer):
    """The chip."""

    name = "QMC5883P"
    addresses = (0x2C,)
    identity = (_Register.CHIP_ID, bytes([0x80]))
    rates = {
        200.0: Rate(3, _MEASUREMENT_NS),
        100.0: Rate(2, _MEASUREMENT_NS),
        50.0: Rate(1, _MEASUREMENT_NS),
        10.0: Rate(0, _MEASUREMENT_NS),
    }
    ranges = {
        200.0: (3, 100 / 15000),
        800.0: (2, 100 / 3750),
        1200.0: (1, 100 / 2500),
        3000.0: (0, 100 / 1000),
    }
    tells_overrun = False

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_2, 0x80)  # SOFT_RST
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.SIGNS, 0x06)  # as other makers' drivers do
        self._write(_Register.CONTROL_2, setup.range_code << 2)  # SET and RESET on

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CONTROL_1, setup.rate_code << 2 | _NORMAL)

    def _look(self) -> Look | None:
        status = self._read(_Register.STATUS, 1)[0]
        if not status & _DRDY:
            return None
        return Look(
            overrun=True,  # for all that it tells
            saturated=bool(status & _OVFL),
            field=np.frombuffer(self._read(_Register.DATA, 6), "<i2") * self._setup.lsb_ut,
        )

    def _sleep(self) -> None:
        self._write(_Register.CONTROL_1, 0x00)  # suspend
