"""Honeywell HMC5883L: long out of production; boards sold with one mostly carry a QMC5883L.

Registers, gains, rates and times are from its datasheet (form 900405).

The traps: the field comes as X, Z, Y, high byte first; the ready bit falls for 250 us before each
sample and at no other time, so a sample is new where it differs from the one before (two that are
alike pass for one, and time counts the other as lost); the first one after a change of gain has the
gain before; the magnetometer of an LSM303DLHC has the same identity and other gains.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    CONFIG_A = 0x00
    CONFIG_B = 0x01
    MODE = 0x02
    DATA = 0x03
    IDENTITY = 0x0A


_AVERAGE_8 = 0x60
_CONTINUOUS, _SINGLE, _IDLE = 0x00, 0x01, 0x02
_MEASUREMENT_NS = 6_000_000  # "wait 6 ms", of eight measurements averaged
_TOO_STRONG = -4096


class Hmc5883L(PolledMagnetometer):
    """The chip."""

    name = "HMC5883L"
    addresses = (0x1E,)
    identity = (_Register.IDENTITY, b"H43")
    rates = {
        75.0: Rate(6, _MEASUREMENT_NS),
        30.0: Rate(5, _MEASUREMENT_NS),
        15.0: Rate(4, _MEASUREMENT_NS),
        7.5: Rate(3, _MEASUREMENT_NS),
        3.0: Rate(2, _MEASUREMENT_NS),
        1.5: Rate(1, _MEASUREMENT_NS),
        0.75: Rate(0, _MEASUREMENT_NS),
    }
    ranges = {
        88.0: (0, 100 / 1370),
        130.0: (1, 100 / 1090),
        190.0: (2, 100 / 820),
        250.0: (3, 100 / 660),
        400.0: (4, 100 / 440),
        470.0: (5, 100 / 390),
        560.0: (6, 100 / 330),
        810.0: (7, 100 / 230),
    }
    tells_overrun = False

    def __init__(self, bus: I2CBus, address: int) -> None:
        super().__init__(bus, address)
        self._newest = b""

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CONFIG_A, _AVERAGE_8 | setup.rate_code << 2)
        self._write(_Register.CONFIG_B, setup.range_code << 5)
        self._write(_Register.MODE, _SINGLE)  # the one with the gain before
        clock.sleep_until(clock.now_ns() + 2 * _MEASUREMENT_NS)
        self._newest = self._read(_Register.DATA, 6)

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.MODE, _CONTINUOUS)

    def _look(self) -> Look | None:
        answer = self._read(_Register.DATA, 6)
        if answer == self._newest:
            return None
        self._newest = answer
        raw = np.frombuffer(answer, ">i2")[[0, 2, 1]]
        return Look(
            overrun=True,  # for all that it tells
            saturated=bool(np.any(raw == _TOO_STRONG)),
            field=raw * self._setup.lsb_ut,
        )

    def _sleep(self) -> None:
        self._write(_Register.MODE, _IDLE)
