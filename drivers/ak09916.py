"""Asahi Kasei AK09916: the magnetometer inside the ICM-20948.

Registers, scale and times are from the AK09916 datasheet and from DS-000189, sections 3.4 and 13.
It is seen at 0x0C once the ICM-20948 is configured, which joins it to the bus.

The traps: nothing is measured into the registers between reading ST1 and ST2, so ST2 must be read
after every sample; a saturated field (HOFL) reads like any other; its die lies the other way up
than the motion sensors', with X along theirs, Y and Z against.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.imu import MagBurst


class _Register(IntEnum):
    WIA1 = 0x00  # company, then device
    ST1 = 0x10
    CNTL2 = 0x31
    CNTL3 = 0x32


_ADDRESS = 0x0C
_IDENTITY = bytes([0x48, 0x09])
_CONTINUOUS_MODE_4 = 0x08
_RATE_HZ = 100.0
_MICROTESLA = 0.15  # per LSB
_TO_IMU_AXES = np.array([1.0, -1.0, -1.0])  # DS-000189, figures 12 and 13
_RESET_NS = 1_000_000  # the datasheet asks for 100 us before the mode may change
_MEASUREMENT_NS = 7_200_000  # from the start of a measurement to its end (table 4, typical)
_NOISE_NS = 20_000.0  # between the end of a measurement and DRDY
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction

_DRDY, _DOR, _HOFL = 0x01, 0x02, 0x08
_POLL_NS = 7_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Ak09916:
    """The chip. Made by `probe`; then as `drivers.imu.Magnetometer`.

    `saturated` counts the samples that were thrown away because the field was too strong.
    """

    name = "AK09916"
    rate_hz = _RATE_HZ

    def __init__(self, bus: I2CBus) -> None:
        self._bus = bus
        self._fit = ClockFit(1e9 / _RATE_HZ)
        self._polls = 0
        self._looked_ns = 0
        self._newest_count = -1
        self._lost = 0
        self.saturated = 0

    @classmethod
    def probe(cls, bus: I2CBus) -> Ak09916:
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
        return cls(bus)

    @property
    def poll_interval_ns(self) -> int:
        """About 7 ms, different each time in a fixed pattern.

        Always shorter than the chip's 10 ms, so that no sample is missed, and never in step with
        it: every look then says something new about when the samples come.
        """
        return round(_POLL_NS * (0.75 + 0.5 * (self._polls * _GOLDEN % 1.0)))

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{_ADDRESS:02x}",
            "rate_hz": _RATE_HZ,
            "group_delay_ns": _MEASUREMENT_NS // 2,
        }

    def configure(self, clock: Clock) -> None:
        """Reset the chip and let it measure 100 times a second."""
        self._bus.write(_ADDRESS, _Register.CNTL3, 0x01)  # SRST
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._fit = ClockFit(1e9 / _RATE_HZ)
        self._newest_count = -1
        self._lost = self.saturated = 0
        self._looked_ns = clock.now_ns()
        self._bus.write(_ADDRESS, _Register.CNTL2, _CONTINUOUS_MODE_4)

    def read_burst(self, clock: Clock) -> MagBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        self._polls += 1
        before = clock.now_ns()
        # ST1, six bytes of field, a dummy, ST2: one transaction, so they belong together.
        answer = self._bus.read(_ADDRESS, _Register.ST1, 9)
        after = clock.now_ns()
        looked, noise = (before + after) // 2, _NOISE_NS + (after - before) * _SPREAD
        before_that, self._looked_ns = self._looked_ns, looked
        if not answer[0] & _DRDY:
            return None
        # Not there at the last look, and the newest: less than a period old.
        earliest = max(before_that, looked - round(self._fit.longest_period_ns))
        self._newest_count += 1
        if answer[0] & _DOR and self._fit.locked:
            # At least one was overwritten; how many, time tells.
            newest = max(math.floor(self._fit.count_at(looked)), self._newest_count + 1)
            self._lost += newest - self._newest_count
            self._newest_count = newest
        self._fit.observe(self._newest_count, earliest, looked, noise)
        if answer[8] & _HOFL:
            self.saturated += 1
            return None
        lost, self._lost = self._lost, 0
        raw = np.frombuffer(answer, "<i2", count=3, offset=1)
        return MagBurst(
            first_count=self._newest_count,
            field=(raw * _MICROTESLA * _TO_IMU_AXES)[np.newaxis],
            earliest_ns=earliest,
            latest_ns=looked,
            noise_ns=noise,
            lost=lost,
            group_delay_ns=_MEASUREMENT_NS // 2,
        )

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._bus.write(_ADDRESS, _Register.CNTL2, 0x00)  # power-down
