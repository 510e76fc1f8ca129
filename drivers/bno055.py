"""Bosch BNO055: motion sensors, magnetometer and a filter of its own, read register by register.

Registers, units and times are from the datasheet BST-BNO055-DS000-14. It runs in its mode NDOF,
which fixes rate, ranges and filters: 100 Hz, 2000 deg/s and 4 g (sections 3.3 and 3.5).

The traps: there is no FIFO and, over I2C without its interrupt line, no sign of a new sample. It
stretches the clock by up to 0.2 ms a byte. Its calibration lives until the power goes, so it is not
reset here; until it is calibrated (CALIB_STAT) its heading means little. The bytes of a sample may
change while they are read: it does not hold them for the reader.
"""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from typing import ClassVar, Self

import numpy as np

from camm.errors import UsageError
from drivers.bno055_mag import Bno055Magnetometer
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError
from drivers.identities import wrong_chip
from drivers.imu import ImuBurst
from drivers.interrupt import Interrupt
from drivers.probing import first_found
from drivers.stretching import transfer
from drivers.unmarked import UnmarkedSamples

_log = logging.getLogger(__name__)


class _Register(IntEnum):
    CHIP_ID = 0x00
    SW_REV_ID = 0x04
    PAGE_ID = 0x07
    ACC_DATA = 0x08  # then magnetometer, gyroscope, Euler angles and quaternion, to 0x27
    TEMP = 0x34  # then CALIB_STAT
    SYS_STATUS = 0x39  # then SYS_ERR
    UNIT_SEL = 0x3B
    OPR_MODE = 0x3D
    PWR_MODE = 0x3E
    AXIS_MAP_CONFIG = 0x41  # then AXIS_MAP_SIGN


_IDENTITY = 0xA0
_CONFIG, _NDOF = 0x00, 0x0C  # OPR_MODE
_FUSING = 5  # SYS_STATUS
_TO_CONFIG_NS = 19_000_000  # table 3-6
_FROM_CONFIG_NS = 7_000_000
_START_NS = 1_000_000_000  # in which it must have begun to fuse
_SAMPLE_BYTES = 0x28 - 0x08
_MAG_BYTES = slice(0x0E - 0x08, 0x14 - 0x08)  # its bytes change at its own rate
_RATE_HZ = 100.0  # table 3-14
_GYRO_HZ, _ACCEL_HZ = 32.0, 62.5  # table 3-4, 3 dB
_GYRO_LSB, _ACCEL_LSB, _UNIT_LSB = 16.0, 100.0, 16384.0  # for deg/s, m/s^2, 1
_ROUND = 0.05  # how far the length of its quaternion may be from 1
_STATUS_EVERY_NS = 1_000_000_000

# The datasheet gives no delay: that of a first-order filter of the gyroscope's bandwidth.
_DELAY_NS = round(1e9 / (2 * math.pi * _GYRO_HZ))


class Bno055:
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`.

    Its orientation is that of its own filter: sensor to east-north-up, magnetic north.
    """

    name = "BNO055"
    addresses: ClassVar[tuple[int, ...]] = (0x28, 0x29)  # COM3 low, as most boards have it, or high
    rate_hz = _RATE_HZ

    def __init__(self, bus: I2CBus, address: int, firmware: str) -> None:
        self._bus = bus
        self._address = address
        self._firmware = firmware
        self._samples = UnmarkedSamples(1e9 / self.rate_hz, beside=_MAG_BYTES)
        self._lost = 0
        self._status: dict[str, float] = {}
        self._status_ns = 0
        self._warned = False

    @classmethod
    def probe(cls, bus: I2CBus, address: int | None = None) -> Self:
        """Find the chip at `address`, or at any of those that it can have.

        BusError where nothing answers or the kernel holds what is there, WrongChip where something
        else answers.
        """
        places = cls.addresses if address is None else (address,)
        return first_found(bus, cls.name, places, lambda place: cls._identify(bus, place))

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        identity = bus.read(address, _Register.CHIP_ID)[0]
        if identity != _IDENTITY:
            raise wrong_chip(bus, address, identity, cls.name, [_IDENTITY])
        low, high = bus.read(address, _Register.SW_REV_ID, 2)
        return cls(bus, address, f"{high:x}.{low:x}")

    def magnetometer(self, bus: I2CBus) -> Bno055Magnetometer:
        """Its magnetometer, once the chip is configured."""
        return Bno055Magnetometer(bus, self._address)

    @property
    def poll_interval_ns(self) -> int:
        return self._samples.poll_interval_ns

    @property
    def description(self) -> Mapping[str, str | float]:
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "firmware": self._firmware,
            "rate_hz": self.rate_hz,
            "gyro_range_dps": 2000.0,
            "accel_range_g": 4.0,
            "gyro_bandwidth_hz": _GYRO_HZ,
            "accel_bandwidth_hz": _ACCEL_HZ,
            "group_delay_ns": _DELAY_NS,
            "orientation": "magnetic north",
            **self._status,
        }

    def configure(
        self,
        clock: Clock,
        *,
        rate_hz: float = _RATE_HZ,
        gyro_range_dps: float = 2000.0,
        accel_range_g: float = 4.0,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Let it fuse afresh, with the calibration that it has.

        Rate and ranges are fixed in this mode: `description` says what they are, whatever was asked
        for. UsageError with an interrupt line, BusError where the chip does not start.
        """
        if interrupt is not None:
            raise UsageError(
                f"{self.name} is read without an interrupt line: leave `interrupt` out"
            )
        self._write(_Register.PAGE_ID, 0)
        self._write(_Register.OPR_MODE, _CONFIG)
        clock.sleep_until(clock.now_ns() + _TO_CONFIG_NS)
        self._write(_Register.PWR_MODE, 0x00)  # normal
        self._write(_Register.UNIT_SEL, 0x80)  # m/s^2, deg/s, degrees Celsius; Android's angles
        self._write(_Register.AXIS_MAP_CONFIG, 0x24, 0x00)  # the axes printed on the package
        self._write(_Register.OPR_MODE, _NDOF)
        give_up_ns = clock.now_ns() + _START_NS
        while (status := self._read(_Register.SYS_STATUS, 2))[0] != _FUSING:
            if clock.now_ns() > give_up_ns:
                raise BusError(
                    errno.EIO,
                    f"{self.name} at 0x{self._address:02x} on {self._bus.name} does not start: "
                    f"status {status[0]}, error {status[1]}; cut its power for a moment",
                )
            clock.sleep_until(clock.now_ns() + _FROM_CONFIG_NS)
        self._samples.begin(clock, self._read(_Register.ACC_DATA, _SAMPLE_BYTES))
        self._lost = 0
        self._status = {}
        self._status_ns = clock.now_ns() + _STATUS_EVERY_NS

    def read_burst(self, clock: Clock) -> ImuBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        if clock.now_ns() >= self._status_ns:
            self._status_ns = clock.now_ns() + _STATUS_EVERY_NS
            self._ask_status()
        fresh = self._samples.look(clock, lambda: self._read(_Register.ACC_DATA, _SAMPLE_BYTES))
        if fresh is None:
            return None
        self._lost += fresh.lost
        words = np.frombuffer(fresh.raw, "<i2").astype(np.float64)
        orientation = words[np.newaxis, 12:16] / _UNIT_LSB
        length = float(np.linalg.norm(orientation))
        if abs(length - 1.0) > _ROUND:  # half of it is from elsewhere
            self._lost += 1
            return None
        lost, self._lost = self._lost, 0
        return ImuBurst(
            first_count=fresh.count,
            gyro=np.radians(words[np.newaxis, 6:9] / _GYRO_LSB),
            accel=words[np.newaxis, 0:3] / _ACCEL_LSB,
            earliest_ns=fresh.earliest_ns,
            latest_ns=fresh.latest_ns,
            noise_ns=fresh.noise_ns,
            lost=lost,
            group_delay_ns=_DELAY_NS,
            temperature_c=self._status.get("temperature_c"),
            orientation=orientation / length,
        )

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._write(_Register.OPR_MODE, _CONFIG)

    def _ask_status(self) -> None:
        temperature, calibration = self._read(_Register.TEMP, 2)
        names = ("accel", "gyro", "system")
        self._status = {
            "temperature_c": float(temperature - 256 * (temperature > 127)),
            "calibration_mag": float(calibration & 3),
            **{f"calibration_{n}": float(calibration >> 2 * i & 3) for i, n in enumerate(names, 1)},
        }
        if not self._status["calibration_system"] and not self._warned:
            self._warned = True
            _log.warning(
                "%s is not calibrated yet, its heading means little: turn it about slowly, in "
                "figures of eight and through several attitudes",
                self.name,
            )

    def _read(self, register: int, length: int) -> bytes:
        return transfer(self._bus, self.name, self._address, bytes([register]), length)

    def _write(self, register: int, *values: int) -> None:
        self._bus.write(self._address, register, *values)
