"""Asahi Kasei AK8963: the magnetometer inside the MPU-9250 and the MPU-9255.

Registers and scale are from the AK8963 datasheet (MS1356-E-02, section 8) and RM-MPU-9250A-00
section 5, times from the former's section 5.3. It is seen at 0x0C once the MPU is configured, which
joins it to the bus.

The traps: each axis has a sensitivity of its own, which only the fuse ROM tells, in a mode of its
own; after power-down the chip wants 100 us before another mode; data are held until ST2 is read; a
saturated field (HOFL) reads like any other; X and Y are the motion sensors' Y and X, Z is against.

Times and section numbers could not be held against the datasheet's own text; they are those that
drivers of other makers go by.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Self

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.identities import wrong_magnetometer
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    WIA = 0x00  # company; the device behind it is none's business but the maker's
    ST1 = 0x02
    CNTL1 = 0x0A
    CNTL2 = 0x0B
    ASAX = 0x10


_AK09916 = 0x09  # the younger sister keeps her device number in the same place
_POWER_DOWN, _FUSE_ROM = 0x00, 0x0F
_MODE_NS = 1_000_000  # the datasheet asks for 100 us between modes
_MEASUREMENT_NS = 7_200_000  # typical
_DRDY, _DOR, _HOFL = 0x01, 0x02, 0x08
_FIELD = struct.Struct("<3h")


class Ak8963(PolledMagnetometer):
    """The chip; configure the MPU around it before it is probed."""

    name = "AK8963"
    addresses = (0x0C,)
    identity = (_Register.WIA, bytes([0x48]))
    rates = {100.0: Rate(0x16, _MEASUREMENT_NS), 8.0: Rate(0x12, _MEASUREMENT_NS)}
    """With the bit that makes the output 16 bits wide."""
    ranges = {4912.0: (0, 0.15)}
    """Before the adjustment of sensitivity."""
    if_silent = "the MPU-9250 must be configured first, which joins it to the bus"

    def __init__(self, bus: I2CBus, address: int) -> None:
        super().__init__(bus, address)
        self._adjustment = [1.0, 1.0, 1.0]

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        mag = super()._identify(bus, address)
        identity = bus.read(address, _Register.WIA, 2)
        if identity[1] == _AK09916:
            raise wrong_magnetometer(bus, address, identity, cls.name, "begins with 48")
        return mag

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CNTL2, 0x01)  # SRST
        clock.sleep_until(clock.now_ns() + _MODE_NS)
        self._write(_Register.CNTL1, _FUSE_ROM)
        clock.sleep_until(clock.now_ns() + _MODE_NS)
        fuses = self._read(_Register.ASAX, 3)
        self._adjustment = [(fuse - 128) / 256 + 1 for fuse in fuses]  # section 8.3.11
        self._write(_Register.CNTL1, _POWER_DOWN)
        clock.sleep_until(clock.now_ns() + _MODE_NS)

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CNTL1, setup.rate_code)

    def _look(self) -> Look | None:
        answer = self._read(_Register.ST1, 8)  # six bytes of field, ST2
        if not answer[0] & _DRDY:
            return None
        x, y, z = _FIELD.unpack_from(answer, 1)
        lsb_ut, (x_adjustment, y_adjustment, z_adjustment) = self._setup.lsb_ut, self._adjustment
        return Look(
            overrun=bool(answer[0] & _DOR),
            saturated=bool(answer[7] & _HOFL),
            # PS-MPU-9250A-01, figures 4 and 5
            field=(
                y * lsb_ut * y_adjustment,
                x * lsb_ut * x_adjustment,
                -z * lsb_ut * z_adjustment,
            ),
        )

    def _sleep(self) -> None:
        self._write(_Register.CNTL1, _POWER_DOWN)
