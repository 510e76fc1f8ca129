"""TDK InvenSense ICM-20948: gyroscope and accelerometer, read through the FIFO.

Registers, ranges and times are from the datasheet DS-000189, revision 1.3. The magnetometer in the
same package is a chip of its own, `drivers.ak09916`, which `configure` lets through to the bus.

The traps: registers lie in four banks and a bank stays selected when a program dies; the oscillator
is off by up to several per cent, a deviation that differs from chip to chip, which is why nobody
should stamp samples by the nominal rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

from drivers.ak09916 import Ak09916
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.fifo import FifoImu, LowPass, Setup, Words, accel_then_gyro
from drivers.identities import wrong_chip


class _Bank0(IntEnum):
    WHO_AM_I = 0x00
    USER_CTRL = 0x03
    LP_CONFIG = 0x05
    PWR_MGMT_1 = 0x06
    PWR_MGMT_2 = 0x07
    INT_PIN_CFG = 0x0F
    INT_ENABLE_1 = 0x11
    TEMP_OUT_H = 0x39
    FIFO_EN_1 = 0x66
    FIFO_EN_2 = 0x67
    FIFO_RST = 0x68
    FIFO_MODE = 0x69
    FIFO_COUNTH = 0x70
    FIFO_R_W = 0x72
    REG_BANK_SEL = 0x7F  # in every bank


class _Bank2(IntEnum):
    GYRO_SMPLRT_DIV = 0x00
    GYRO_CONFIG_1 = 0x01
    ODR_ALIGN_EN = 0x09
    ACCEL_SMPLRT_DIV_1 = 0x10  # and _2 behind it: 12 bits, high byte first
    ACCEL_CONFIG = 0x14


_WHO_AM_I = 0xEA

_BANDWIDTHS = ((361.4, 473.0, 7), (196.6, 246.0, 0), (151.8, 246.0, 1), (119.5, 111.4, 2),
               (51.2, 50.4, 3), (23.9, 23.9, 4), (11.6, 11.5, 5), (5.7, 5.7, 6))  # fmt: skip
"""3 dB bandwidths of gyroscope and accelerometer, widest first, and their code in both
configuration registers (tables 16 and 18, FCHOICE = 1)."""

_LOW_PASSES = [
    LowPass(gyro, accel, code, round(1e9 / (math.pi * (gyro + accel))))
    for gyro, accel, code in _BANDWIDTHS
]
"""Delays as those of first-order filters, 1 / (2 pi f): the datasheet gives bandwidths only.

The chip's filters are of a higher order, so this is the least it can be; aligning clip and motion
finds the rest, which is constant. Both filters have the same code and nearly the same bandwidth,
hence one figure for both.
"""

_RESET_NS = 100_000_000  # start-up time for register access, at most (section 3.3)
_GYRO_START_NS = 35_000_000  # from sleep until the gyroscope is within 1 % (table 1)


class Icm20948(FifoImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "ICM-20948"
    addresses = (0x69, 0x68)  # AD0 high, as most boards have it, or low
    # The gyroscope's divider has 8 bits; the accelerometer's 12 follow it.
    rates = {1125.0 / (1 + divider): divider for divider in range(256)}
    gyro_ranges = {250.0: (0, 131.0), 500.0: (1, 65.5), 1000.0: (2, 32.8), 2000.0: (3, 16.4)}
    """GYRO_FS_SEL (table 1)."""
    accel_ranges = {2.0: (0, 16384.0), 4.0: (1, 8192.0), 8.0: (2, 4096.0), 16.0: (3, 2048.0)}
    """ACCEL_FS_SEL (table 2)."""
    fifo_port = _Bank0.FIFO_R_W
    sample_bytes = 12
    fifo_bytes = 512
    watermark = False
    magnetometer = Ak09916.probe

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        # A program that was killed may have left another bank selected.
        bus.write(address, _Bank0.REG_BANK_SEL, 0)
        identity = bus.read(address, _Bank0.WHO_AM_I)[0]
        if identity != _WHO_AM_I:
            raise wrong_chip(bus, address, identity, cls.name, [_WHO_AM_I])
        return cls(bus, address)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        return _LOW_PASSES

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Bank0.REG_BANK_SEL, 0)
        self._write(_Bank0.PWR_MGMT_1, 0x80)  # DEVICE_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Bank0.PWR_MGMT_1, 0x01)  # awake; the PLL once the gyroscope runs
        self._write(_Bank0.PWR_MGMT_2, 0x00)  # all six axes on
        self._write(_Bank0.LP_CONFIG, 0x00)  # no duty cycling
        clock.sleep_until(clock.now_ns() + _GYRO_START_NS)
        self._write(_Bank0.USER_CTRL, 0x00)  # the chip's own I2C master off ...
        # ... and the magnetometer on our bus: BYPASS_EN; the interrupt pin pulses, active high.
        self._write(_Bank0.INT_PIN_CFG, 0x02)
        self._write(_Bank0.INT_ENABLE_1, int(setup.interrupt_at > 0))  # RAW_DATA_0_RDY_EN

        divider, filter_bits = setup.rate_code, setup.low_pass.code << 3 | 1  # FCHOICE
        self._write(_Bank0.REG_BANK_SEL, 2 << 4)
        self._write(_Bank2.ODR_ALIGN_EN, 0x01)  # both sensors start their period together
        self._write(_Bank2.GYRO_SMPLRT_DIV, divider)
        self._write(_Bank2.GYRO_CONFIG_1, filter_bits | setup.gyro_code << 1)
        self._write(_Bank2.ACCEL_SMPLRT_DIV_1, divider >> 8, divider & 0xFF)
        self._write(_Bank2.ACCEL_CONFIG, filter_bits | setup.accel_code << 1)
        self._write(_Bank0.REG_BANK_SEL, 0)

        self._write(_Bank0.FIFO_EN_1, 0x00)
        self._write(_Bank0.FIFO_EN_2, 0x1E)  # accelerometer and the three axes of the gyroscope
        self._write(_Bank0.FIFO_MODE, 0x1F)  # snapshot: full means stop, the old samples stay whole
        self._write(_Bank0.USER_CTRL, 0x40)  # FIFO_EN

    def _hold_fifo(self) -> None:
        self._write(_Bank0.FIFO_RST, 0x1F)

    def _release_fifo(self) -> None:
        self._write(_Bank0.FIFO_RST, 0x00)

    def _filled(self) -> int:
        return int.from_bytes(self._read(_Bank0.FIFO_COUNTH, 2))

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        return accel_then_gyro(raw)

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Bank0.TEMP_OUT_H, 2), signed=True)
        return raw / 333.87 + 21.0  # table 3 and section 8.32

    def _sleep(self) -> None:
        self._write(_Bank0.REG_BANK_SEL, 0)
        self._write(_Bank0.PWR_MGMT_1, 0x41)  # SLEEP
