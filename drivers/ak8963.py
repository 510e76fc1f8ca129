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

import errno
from enum import IntEnum
from typing import Self

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError, WrongChip
from drivers.polled import Look, PolledMagnetometer


class _Register(IntEnum):
    WIA = 0x00  # company; the device behind it is none's business but the maker's
    ST1 = 0x02
    CNTL1 = 0x0A
    CNTL2 = 0x0B
    ASAX = 0x10


_ADDRESS = 0x0C
_COMPANY = 0x48
_AK09916 = 0x09  # the younger sister keeps her device number in the same place
_POWER_DOWN, _FUSE_ROM, _CONTINUOUS_16_BIT_100_HZ = 0x00, 0x0F, 0x16
_MICROTESLA = 0.15  # per LSB at 16 bits, before the adjustment of sensitivity
_MODE_NS = 1_000_000  # the datasheet asks for 100 us between modes
_MEASUREMENT_NS = 7_200_000  # from the start of a measurement to its end, typical
_DRDY, _DOR, _HOFL = 0x01, 0x02, 0x08


class Ak8963(PolledMagnetometer):
    """The chip. Made by `probe`; then as `drivers.imu.Magnetometer`."""

    name = "AK8963"
    rate_hz = 100.0
    delay_ns = _MEASUREMENT_NS // 2

    def __init__(self, bus: I2CBus, address: int) -> None:
        super().__init__(bus, address)
        self._microtesla = np.full(3, _MICROTESLA)

    @classmethod
    def probe(cls, bus: I2CBus) -> Self:
        """Find the chip; configure the MPU around it first.

        BusError where nothing answers, WrongChip where something else does.
        """
        try:
            company, device = bus.read(_ADDRESS, _Register.WIA, 2)
        except BusError as error:
            if error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                raise
            raise BusError(
                error.errno,
                f"no {cls.name} at 0x{_ADDRESS:02x} on {bus.name}: the MPU-9250 must be configured "
                "first, which joins it to the bus",
            ) from None
        if company != _COMPANY or device == _AK09916:
            raise WrongChip(
                errno.ENODEV,
                f"the identity at 0x{_ADDRESS:02x} is {company:02x} {device:02x}, that of an "
                f"{cls.name} begins with {_COMPANY:02x}: name the chip that is fitted",
            )
        return cls(bus, _ADDRESS)

    def _reset(self, clock: Clock) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL2, 0x01)  # SRST
        clock.sleep_until(clock.now_ns() + _MODE_NS)
        self._bus.write(_ADDRESS, _Register.CNTL1, _FUSE_ROM)
        clock.sleep_until(clock.now_ns() + _MODE_NS)
        adjustment = np.frombuffer(self._bus.read(_ADDRESS, _Register.ASAX, 3), np.uint8)
        self._microtesla = _MICROTESLA * ((adjustment - 128.0) / 256.0 + 1.0)  # section 8.3.11
        self._bus.write(_ADDRESS, _Register.CNTL1, _POWER_DOWN)
        clock.sleep_until(clock.now_ns() + _MODE_NS)

    def _begin(self) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL1, _CONTINUOUS_16_BIT_100_HZ)

    def _look(self) -> Look | None:
        answer = self._bus.read(_ADDRESS, _Register.ST1, 8)  # six bytes of field, ST2
        if not answer[0] & _DRDY:
            return None
        x, y, z = np.frombuffer(answer, "<i2", count=3, offset=1) * self._microtesla
        return Look(
            overrun=bool(answer[0] & _DOR),
            saturated=bool(answer[7] & _HOFL),
            field=np.array([y, x, -z]),  # PS-MPU-9250A-01, figures 4 and 5
        )

    def _sleep(self) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL1, _POWER_DOWN)
