"""Bosch BMI160: gyroscope and accelerometer, read through the FIFO.

Registers, ranges, filters and times are from the datasheet BST-BMI160-DS000. It has no
magnetometer of its own.

The traps: after a reset both sensors sleep, and then registers take one write in 0.45 ms and lose
the others; a full FIFO drops the oldest frames, whole ones, and puts one of its own in front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

from drivers.bosch import RESET, BoschImu
from drivers.clock import Clock
from drivers.fifo import LowPass, Setup


class _Register(IntEnum):
    TEMPERATURE = 0x20
    FIFO_LENGTH = 0x22
    FIFO_DATA = 0x24
    ACC_CONF = 0x40
    ACC_RANGE = 0x41
    GYR_CONF = 0x42
    GYR_RANGE = 0x43
    FIFO_DOWNS = 0x45
    FIFO_CONFIG_0 = 0x46  # watermark, by four bytes
    FIFO_CONFIG_1 = 0x47
    INT_EN_1 = 0x51
    INT_OUT_CTRL = 0x53
    INT_MAP_1 = 0x56
    CMD = 0x7E


_ACC_SUSPEND, _ACC_NORMAL, _GYR_SUSPEND, _GYR_NORMAL = 0x10, 0x11, 0x14, 0x15

_BANDWIDTHS = {
    1600.0: (523.9, 684.0),
    800.0: (254.6, 324.0),
    400.0: (136.6, 162.0),
    200.0: (74.6, 80.0),
    100.0: (39.9, 40.5),
    50.0: (20.8, 20.25),
    25.0: (10.7, 10.12),
}
"""3 dB bandwidths of gyroscope and accelerometer in normal mode, by rate (sections 2.4.1, 2.4.2).
The oversampling modes have a half and a quarter of them."""
_NORMAL = 2

_RESET_NS = 50_000_000  # 10 ms after power-up
_ACC_START_NS = 5_000_000  # 3.8 ms (section 1)
_SETTLE_NS = 150_000_000  # the gyroscope starts in 80 ms at most


class Bmi160(BoschImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "BMI160"
    identity = 0xD1
    accel_ranges = {2.0: (3, 16384.0), 4.0: (5, 8192.0), 8.0: (8, 4096.0), 16.0: (12, 2048.0)}
    """ACC_RANGE (section 2.11.12)."""
    command_register = _Register.CMD
    length_register = _Register.FIFO_LENGTH
    temperature_register = _Register.TEMPERATURE
    fifo_port = _Register.FIFO_DATA
    fifo_bytes = 1024
    keeps_oldest = False

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """The widest, which lies below half of any rate.

        The delay is that of a first-order filter, 1 / (2 pi f): the datasheet gives bandwidths
        only, so this is the least that it can be.
        """
        gyro_hz, accel_hz = _BANDWIDTHS[rate_hz]
        return [LowPass(gyro_hz, accel_hz, _NORMAL, round(1e9 / (2 * math.pi * gyro_hz)))]

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Register.CMD, RESET)
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CMD, _ACC_NORMAL)
        clock.sleep_until(clock.now_ns() + _ACC_START_NS)
        self._write(_Register.CMD, _GYR_NORMAL)
        bandwidth = setup.low_pass.code << 4
        self._write(_Register.ACC_CONF, bandwidth | setup.rate_code)
        self._write(_Register.ACC_RANGE, setup.accel_code)
        self._write(_Register.GYR_CONF, bandwidth | setup.rate_code)
        self._write(_Register.GYR_RANGE, setup.gyro_code)
        self._write(_Register.FIFO_DOWNS, 0x88)  # filtered samples, all of them
        if setup.interrupt_at:
            # Anywhere in the last frame that it takes, whether "reached" or "exceeded" is meant.
            self._write(_Register.FIFO_CONFIG_0, (setup.interrupt_at * self.sample_bytes - 1) // 4)
            self._write(_Register.INT_OUT_CTRL, 0x0A)  # INT1 is driven, active high
            self._write(_Register.INT_MAP_1, 0x40)  # by the watermark
            self._write(_Register.INT_EN_1, 0x40)
        self._write(_Register.FIFO_CONFIG_1, 0xD0)  # gyroscope, accelerometer, headers
        clock.sleep_until(clock.now_ns() + _SETTLE_NS)

    def _sleep(self) -> None:
        self._write(_Register.CMD, _GYR_SUSPEND)
        self._write(_Register.CMD, _ACC_SUSPEND)
