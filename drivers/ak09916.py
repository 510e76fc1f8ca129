"""Asahi Kasei AK09916: the magnetometer inside the ICM-20948.

Registers, scale and times are from the AK09916 datasheet and from DS-000189, sections 3.4 and 13.
It is seen at 0x0C once the ICM-20948 is configured, which joins it to the bus.

The traps: nothing is measured into the registers between reading ST1 and ST2, so ST2 must be read
after every sample; a saturated field (HOFL) reads like any other; its die lies the other way up
than the motion sensors', with X along theirs, Y and Z against.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from drivers.clock import Clock
from drivers.polled import Look, MagSetup, PolledMagnetometer, Rate


class _Register(IntEnum):
    WIA1 = 0x00  # company, then device
    ST1 = 0x10
    CNTL2 = 0x31
    CNTL3 = 0x32


_RESET_NS = 1_000_000  # the datasheet asks for 100 us before the mode may change
_MEASUREMENT_NS = 7_200_000  # table 4, typical
_DRDY, _DOR, _HOFL = 0x01, 0x02, 0x08
_FIELD = struct.Struct("<3h")


class Ak09916(PolledMagnetometer):
    """The chip; configure the ICM-20948 around it before it is probed."""

    name = "AK09916"
    addresses = (0x0C,)
    identity = (_Register.WIA1, bytes([0x48, 0x09]))
    rates = {
        100.0: Rate(0x08, _MEASUREMENT_NS),
        50.0: Rate(0x06, _MEASUREMENT_NS),
        20.0: Rate(0x04, _MEASUREMENT_NS),
        10.0: Rate(0x02, _MEASUREMENT_NS),
    }
    ranges = {4912.0: (0, 0.15)}
    if_silent = "the ICM-20948 must be configured first, which joins it to the bus"

    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        self._write(_Register.CNTL3, 0x01)  # SRST
        clock.sleep_until(clock.now_ns() + _RESET_NS)

    def _begin(self, setup: MagSetup) -> None:
        self._write(_Register.CNTL2, setup.rate_code)

    def _look(self) -> Look | None:
        answer = self._read(_Register.ST1, 9)  # six bytes of field, a dummy, ST2
        if not answer[0] & _DRDY:
            return None
        x, y, z = _FIELD.unpack_from(answer, 1)
        lsb_ut = self._setup.lsb_ut
        return Look(
            overrun=bool(answer[0] & _DOR),
            saturated=bool(answer[8] & _HOFL),
            field=(x * lsb_ut, -y * lsb_ut, -z * lsb_ut),  # DS-000189, figures 12 and 13
        )

    def _sleep(self) -> None:
        self._write(_Register.CNTL2, 0x00)  # power-down
