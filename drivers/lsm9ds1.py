"""ST LSM9DS1: its gyroscope and accelerometer, read through the FIFO.

Registers, ranges, filters and the order of the FIFO are from the datasheet DocID025715, revision 3;
scales also from the Linux driver st_lsm6dsx. The magnetometer in the same package is a chip of its
own at addresses of its own, `drivers.lsm9ds1_mag`.

The traps: the axes as they are drawn on the package are left-handed (X forward, Y right, Z up), so
Z is turned here, as the drivers of PX4 and RTIMULib do; there is no range of 1000 deg/s; 16 g has
the code between those of 2 g and 4 g and an LSB of its own, 1.5 times what one expects; the
identity is an MPU-6050's, in another register; the FIFO holds 32 samples, which is 34 ms at the
highest rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.fifo import FifoImu, LowPass, Setup, Words
from drivers.identities import wrong_chip
from drivers.lsm9ds1_mag import Lsm9ds1Mag


class _Register(IntEnum):
    INT1_CTRL = 0x0C
    WHO_AM_I = 0x0F
    CTRL_REG1_G = 0x10
    CTRL_REG2_G = 0x11
    CTRL_REG3_G = 0x12
    OUT_TEMP_L = 0x15
    OUT_X_L_G = 0x18  # to 0x1D, on to the accelerometer's 0x28 to 0x2D, and back again
    CTRL_REG6_XL = 0x20
    CTRL_REG7_XL = 0x21
    CTRL_REG8 = 0x22
    CTRL_REG9 = 0x23
    FIFO_CTRL = 0x2E
    FIFO_SRC = 0x2F


_WHO_AM_I = 0x68
_FIFO_MODE = 0x20  # full means stop, the old samples stay

_GYRO_LPF1_HZ = {952.0: 100, 476.0: 100, 238.0: 76, 119.0: 38, 59.5: 19, 14.9: 5}
"""Bandwidth of the gyroscope's first filter, by rate (table 46)."""
_ACCEL_HZ = ((408, 0), (211, 1), (105, 2), (50, 3))
"""Bandwidth of the accelerometer's filter and BW_XL (section 7.24)."""

_RIGHT_HANDED = np.array([1, 1, -1, 1, 1, -1])

_RESET_NS = 50_000_000
_START_NS = 200_000_000  # until both sensors run and their filters have settled


class Lsm9ds1(FifoImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "LSM9DS1"
    addresses = (0x6B, 0x6A)  # SDO_A/G high, as most boards have it, or low
    rates = {952.0: 6, 476.0: 5, 238.0: 4, 119.0: 3, 59.5: 2, 14.9: 1}
    """ODR_G; the accelerometer follows it (section 7.12)."""
    gyro_ranges = {250.0: (0, 1 / 0.00875), 500.0: (1, 1 / 0.0175), 2000.0: (3, 1 / 0.07)}
    """FS_G (table 3, which calls the first one 245)."""
    accel_ranges = {
        2.0: (0, 1 / 0.000061),
        4.0: (2, 1 / 0.000122),
        8.0: (3, 1 / 0.000244),
        16.0: (1, 1 / 0.000732),
    }
    """FS_XL (table 3)."""
    fifo_port = _Register.OUT_X_L_G
    sample_bytes = 12
    watermark = True
    begins_badly = True
    fifo_bytes = 32 * sample_bytes
    magnetometer = Lsm9ds1Mag.probe

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        identity = bus.read(address, _Register.WHO_AM_I)[0]
        if identity != _WHO_AM_I:
            raise wrong_chip(bus, address, identity, cls.name, [_WHO_AM_I])
        return cls(bus, address)

    def _choose(
        self,
        rate_hz: float,
        gyro_range_dps: float,
        accel_range_g: float,
        low_pass_hz: float = math.inf,
    ) -> Setup:
        """As for any chip; but 1000 deg/s, which is usual, is taken for 2000."""
        least = 2000.0 if gyro_range_dps == 1000.0 else gyro_range_dps
        return super()._choose(rate_hz, least, accel_range_g, low_pass_hz)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """LPF1 with each filter of the accelerometer, none of which is below 50 Hz.

        The delay is that of a first-order filter, 1 / (2 pi f): the datasheet gives bandwidths
        only, so this is the least that it can be.
        """
        gyro_hz = _GYRO_LPF1_HZ[rate_hz]
        delay_ns = round(1e9 / (2 * math.pi * gyro_hz))
        return [LowPass(gyro_hz, accel_hz, code, delay_ns) for accel_hz, code in _ACCEL_HZ]

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Register.CTRL_REG8, 0x01)  # SW_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CTRL_REG8, 0x44)  # BDU, IF_ADD_INC
        self._write(_Register.CTRL_REG2_G, 0x00)  # OUT_SEL: LPF1 alone
        self._write(_Register.CTRL_REG3_G, 0x00)  # no low power, no high-pass
        self._write(_Register.CTRL_REG7_XL, 0x00)  # neither of the digital filters
        self._write(_Register.CTRL_REG9, 0x02)  # FIFO_EN, without temperature
        self._write(_Register.INT1_CTRL, 0x08 if setup.interrupt_at else 0x00)  # INT_FTH
        own_bandwidth = 0x04  # BW_SCAL_ODR
        self._write(
            _Register.CTRL_REG6_XL,
            setup.rate_code << 5 | setup.accel_code << 3 | own_bandwidth | setup.low_pass.code,
        )
        self._write(_Register.CTRL_REG1_G, setup.rate_code << 5 | setup.gyro_code << 3)
        clock.sleep_until(clock.now_ns() + _START_NS)

    def _hold_fifo(self) -> None:
        self._write(_Register.FIFO_CTRL, 0x00)  # bypass, which empties it

    def _release_fifo(self) -> None:
        self._write(_Register.FIFO_CTRL, _FIFO_MODE | self._setup.interrupt_at)  # FTH, in samples

    def _filled(self) -> int:
        return (self._read(_Register.FIFO_SRC, 1)[0] & 0x3F) * self.sample_bytes

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        drawn = np.frombuffer(raw, "<i2").reshape(-1, 6).astype(np.int32)
        words = np.clip(drawn * _RIGHT_HANDED, -32768, 32767).astype(np.int16)
        return words[:, :3], words[:, 3:]

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Register.OUT_TEMP_L, 2), "little", signed=True)
        return raw / 16.0 + 25.0  # table 5

    def _sleep(self) -> None:
        self._write(_Register.CTRL_REG1_G, 0x00)
        self._write(_Register.CTRL_REG6_XL, 0x00)
