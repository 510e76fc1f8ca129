"""Asahi Kasei AK09916: the magnetometer inside the ICM-20948.

Registers, scale and times are from the AK09916 datasheet and from DS-000189, sections 3.4 and 13.
It is seen at 0x0C once the ICM-20948 is configured, which joins it to the bus.

The traps: nothing is measured into the registers between reading ST1 and ST2, so ST2 must be read
after every sample; a saturated field (HOFL) reads like any other; its die lies the other way up
than the motion sensors', with X along theirs, Y and Z against.
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
    WIA1 = 0x00  # company, then device
    ST1 = 0x10
    CNTL2 = 0x31
    CNTL3 = 0x32


_ADDRESS = 0x0C
_IDENTITY = bytes([0x48, 0x09])
_CONTINUOUS_MODE_4 = 0x08
_MICROTESLA = 0.15  # per LSB
_TO_IMU_AXES = np.array([1.0, -1.0, -1.0])  # DS-000189, figures 12 and 13
_RESET_NS = 1_000_000  # the datasheet asks for 100 us before the mode may change
_MEASUREMENT_NS = 7_200_000  # from the start of a measurement to its end (table 4, typical)
_DRDY, _DOR, _HOFL = 0x01, 0x02, 0x08


class Ak09916(PolledMagnetometer):
    """The chip. Made by `probe`; then as `drivers.imu.Magnetometer`."""

    name = "AK09916"
    rate_hz = 100.0
    delay_ns = _MEASUREMENT_NS // 2

    @classmethod
    def probe(cls, bus: I2CBus) -> Self:
        """Find the chip; configure the ICM-20948 around it first.

        BusError where nothing answers, WrongChip where something else does.
        """
        try:
            identity = bus.read(_ADDRESS, _Register.WIA1, 2)
        except BusError as error:
            if error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                raise
            raise BusError(
                error.errno,
                f"no {cls.name} at 0x{_ADDRESS:02x} on {bus.name}: the ICM-20948 must be "
                "configured first, which joins it to the bus",
            ) from None
        if identity != _IDENTITY:
            raise WrongChip(
                errno.ENODEV,
                f"the identity at 0x{_ADDRESS:02x} is {identity.hex(' ')}, that of an {cls.name} "
                f"is {_IDENTITY.hex(' ')}: name the chip that is fitted",
            )
        return cls(bus, _ADDRESS)

    def _reset(self, clock: Clock) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL3, 0x01)  # SRST
        clock.sleep_until(clock.now_ns() + _RESET_NS)

    def _begin(self) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL2, _CONTINUOUS_MODE_4)

    def _look(self) -> Look | None:
        answer = self._bus.read(_ADDRESS, _Register.ST1, 9)  # six bytes of field, a dummy, ST2
        if not answer[0] & _DRDY:
            return None
        raw = np.frombuffer(answer, "<i2", count=3, offset=1)
        return Look(
            overrun=bool(answer[0] & _DOR),
            saturated=bool(answer[8] & _HOFL),
            field=raw * _MICROTESLA * _TO_IMU_AXES,
        )

    def _sleep(self) -> None:
        self._bus.write(_ADDRESS, _Register.CNTL2, 0x00)  # power-down
