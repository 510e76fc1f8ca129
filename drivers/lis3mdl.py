"""ST LIS3MDL: a magnetometer of its own package, on many a board beside an LSM6DSOX.

Registers, ranges and rates are from its datasheet (DocID024204), sections 5 and 7; scales also from
the Linux driver st_magn.

The traps: the magnetometer of an LSM9DS1 has the same identity, the same registers and other axes
(`drivers.lsm9ds1_mag`); a register number counts on only with its highest bit set, and goes back
from the end of the field to its beginning, so the temperature wants a read of its own; rates above
80 Hz are had by measuring less well.

Section numbers could not be held against the datasheet's own text.
"""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import ClassVar, Self

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError, WrongChip
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    WHO_AM_I = 0x0F
    CTRL_REG1 = 0x20
    CTRL_REG2 = 0x21
    CTRL_REG3 = 0x22
    CTRL_REG4 = 0x23
    CTRL_REG5 = 0x24
    STATUS_REG = 0x27  # then X Y Z, 16 bits each, low byte first
    TEMP_OUT_L = 0x2E


_COUNT_ON = 0x80
_RESET_NS = 10_000_000
_ZYXDA, _ZYXOR = 0x08, 0x80
_TEMPERATURE = 0x80  # TEMP_EN; in an LSM9DS1 TEMP_COMP
_LSM9DS1, _LSM9DS1_ADDRESSES = 0x68, (0x6A, 0x6B)


def _rate(mode: int, data_rate: int, fast: int) -> Rate:
    """One setting of CTRL_REG1.

    How long a measurement takes is told nowhere: it is the period of the fastest rate of its mode.
    """
    fastest_hz = {0: 1000, 1: 560, 2: 300, 3: 155}[mode]
    return Rate(mode << 5 | data_rate << 2 | fast << 1, 1_000_000_000 // fastest_hz)


class Lis3mdl(PolledMagnetometer):
    """The chip. It measures as well as it can at each rate (OM, section 7.2)."""

    name = "LIS3MDL"
    addresses = (0x1C, 0x1E)  # SDO/SA1 low or high
    identity = (_Register.WHO_AM_I, bytes([0x3D]))
    rates = {
        1000.0: _rate(0, 0, 1),
        560.0: _rate(1, 0, 1),
        300.0: _rate(2, 0, 1),
        155.0: _rate(3, 0, 1),
        **{80.0 / 2**n: _rate(3, 7 - n, 0) for n in range(8)},  # 80, 40, ... 0.625 Hz
    }
    ranges = {
        400.0: (0, 100 / 6842),
        800.0: (1, 100 / 3421),
        1200.0: (2, 100 / 2281),
        1600.0: (3, 100 / 1711),
    }
    """FS (table 3)."""
    _axes: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)
    _inside_lsm9ds1: ClassVar[bool] = False

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        mag = super()._identify(bus, address)
        inside = _lsm9ds1_on(bus)
        if inside != cls._inside_lsm9ds1:
            it = ("of no LSM9DS1, for there is none at 0x6a and 0x6b", "LIS3MDL")
            if inside:
                it = ("that of the LSM9DS1 on this bus", "LSM9DS1")
            raise WrongChip(
                errno.ENODEV,
                f"the magnetometer at 0x{address:02x} on {bus.name} is {it[0]}: ask for {it[1]}",
            )
        return mag

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CTRL_REG2, 0x04)  # SOFT_RST
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CTRL_REG1, _TEMPERATURE | setup.rate_code)
        self._write(_Register.CTRL_REG2, setup.range_code << 5)
        self._write(_Register.CTRL_REG4, (setup.rate_code >> 5) << 2)  # OMZ: Z as X and Y
        self._write(_Register.CTRL_REG5, 0x40)  # BDU

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CTRL_REG3, 0x00)  # continuous

    def _look(self) -> Look | None:
        answer = self._read(_Register.STATUS_REG | _COUNT_ON, 7)
        if not answer[0] & _ZYXDA:
            return None
        field = np.frombuffer(answer, "<i2", count=3, offset=1) * self._setup.lsb_ut
        return Look(
            overrun=bool(answer[0] & _ZYXOR),
            # It says no word of it: what lies beyond the full scale is not to be relied on.
            saturated=bool(np.any(np.abs(field) > self._setup.range_ut)),
            field=field * self._axes,
        )

    def _read_temperature(self) -> float | None:
        raw = int.from_bytes(self._read(_Register.TEMP_OUT_L | _COUNT_ON, 2), "little", signed=True)
        return raw / 8.0 + 25.0  # section 2.2

    def _sleep(self) -> None:
        self._write(_Register.CTRL_REG3, 0x03)  # power-down


def _lsm9ds1_on(bus: I2CBus) -> bool:
    """Whether there are the gyroscope and accelerometer of an LSM9DS1."""
    for address in _LSM9DS1_ADDRESSES:
        try:
            if bus.read(address, _Register.WHO_AM_I)[0] == _LSM9DS1:
                return True
        except BusError as error:
            if error.errno not in (errno.ENXIO, errno.EREMOTEIO, errno.EBUSY):
                raise
    return False
