"""ST LSM6DS3TR-C, LSM6DSL and LSM6DSM: gyroscope and accelerometer, read through the plain FIFO.

Registers, ranges and scales are from the datasheets of the LSM6DS3TR-C (DocID030071) and LSM6DSL
(DocID028475), which have one register map and one identity; filters, delays, times and the order of
the FIFO from the application note AN5130. Chips of these names have no magnetometer.

The traps: words in the FIFO carry no tag, and only FIFO_STATUS3 and 4 say whose is the next one; a
level of 0 may mean 2048 words; 16 g has the code between those of 2 g and 4 g.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError
from drivers.fifo import FifoImu, LowPass, Setup, Words
from drivers.identities import wrong_chip


class _Register(IntEnum):
    FUNC_CFG_ACCESS = 0x01
    FIFO_CTRL1 = 0x06  # and 2 behind it: eleven bits of watermark, low byte first
    FIFO_CTRL3 = 0x08
    FIFO_CTRL4 = 0x09
    FIFO_CTRL5 = 0x0A
    INT1_CTRL = 0x0D
    WHO_AM_I = 0x0F
    CTRL1_XL = 0x10
    CTRL2_G = 0x11
    CTRL3_C = 0x12
    CTRL4_C = 0x13
    CTRL6_C = 0x15
    CTRL7_G = 0x16
    CTRL8_XL = 0x17
    OUT_TEMP_L = 0x20
    FIFO_STATUS1 = 0x3A  # to 4 at 0x3D: level and flags, then the place in the pattern
    FIFO_DATA_OUT_L = 0x3E  # and H behind it, and back again


_WHO_AM_I = 0x6A
_FIFO_BYTES = 4096
_OVER_RUN = 0x40  # of FIFO_STATUS2
_FIFO_MODE = 0x01  # full means stop, the old samples stay

_GYRO_LPF1 = {
    1666.0: ((505, 3, 8), (315, 0, 10), (224, 1, 12), (168, 2, 15)),
    833.0: ((293, 3, 13), (245, 0, 14), (195, 1, 17), (155, 2, 19)),
    416.0: ((138, 3, 21), (138, 0, 23), (131, 1, 25), (121, 2, 28)),
    208.0: ((67, 3, 39), (67, 0, 40), (67, 1, 42), (67, 2, 45)),
    104.0: ((33, 3, 73), (33, 0, 75), (33, 1, 77), (33, 2, 79)),
    52.0: ((17, 3, 142), (17, 0, 144), (17, 1, 146), (17, 2, 149)),
}
"""By rate: bandwidth of the gyroscope's whole chain with LPF1 in it, FTYPE, and phase delay at
20 Hz in degrees (AN5130, table 11). Without LPF1 no delay is given."""
_GYRO_SLOW_HZ = {26.0: 8, 12.5: 4}
"""Bandwidth where the delay is not given either."""
_DEGREES_AT_20_HZ = 360 * 20

_RESET_NS = 50_000_000  # as the Linux driver waits
_START_NS = 100_000_000  # 70 ms until the gyroscope swings, then its first samples (AN5130, 3.9)


class Lsm6ds3trC(FifoImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "LSM6DS3TR-C"
    addresses = (0x6A, 0x6B)  # SDO low or high
    rates = {1666.0: 8, 833.0: 7, 416.0: 6, 208.0: 5, 104.0: 4, 52.0: 3, 26.0: 2, 12.5: 1}
    """ODR_XL, ODR_G and ODR_FIFO. More is more than I2C carries at 400 kHz, which is all it can."""
    gyro_ranges = {
        250.0: (0, 1 / 0.00875),
        500.0: (1, 1 / 0.0175),
        1000.0: (2, 1 / 0.035),
        2000.0: (3, 1 / 0.07),
    }
    """FS_G (datasheet, section 4.1)."""
    accel_ranges = {
        2.0: (0, 1 / 0.000061),
        4.0: (2, 1 / 0.000122),
        8.0: (3, 1 / 0.000244),
        16.0: (1, 1 / 0.000488),
    }
    """FS_XL (datasheet, section 4.1)."""
    fifo_port = _Register.FIFO_DATA_OUT_L
    sample_bytes = 12
    watermark = True
    begins_badly = True
    fifo_bytes = _FIFO_BYTES

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        identity = bus.read(address, _Register.WHO_AM_I)[0]
        if identity != _WHO_AM_I:
            raise wrong_chip(bus, address, identity, cls.name, [_WHO_AM_I])
        return cls(bus, address)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """Those with LPF1. Where no delay is given, it is taken to be as many periods as at 52 Hz.

        The accelerometer's is a quarter of the rate, LPF1 alone.
        """
        if slow_hz := _GYRO_SLOW_HZ.get(rate_hz):
            [like, *_] = self._low_passes(52.0)
            return [LowPass(slow_hz, rate_hz / 4, 3, round(like.delay_ns * 52 / rate_hz))]
        return [
            LowPass(hz, rate_hz / 4, code, round(1e9 * degrees / _DEGREES_AT_20_HZ))
            for hz, code, degrees in _GYRO_LPF1[rate_hz]
        ]

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Register.FUNC_CFG_ACCESS, 0x00)  # the ordinary registers
        self._write(_Register.CTRL3_C, 0x01)  # SW_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CTRL3_C, 0x44)  # BDU, IF_INC
        self._write(_Register.CTRL4_C, 0x02)  # LPF1_SEL_G
        self._write(_Register.CTRL6_C, setup.low_pass.code)  # FTYPE; XL_HM_MODE: high performance
        self._write(_Register.CTRL7_G, 0x00)  # high performance, no high-pass
        self._write(_Register.CTRL8_XL, 0x00)  # no LPF2
        # The last word but one of the sample that is meant, and neither steps nor temperature.
        mark = max(0, 6 * setup.interrupt_at - 1)
        self._write(_Register.FIFO_CTRL1, mark & 0xFF, mark >> 8)
        self._write(_Register.INT1_CTRL, 0x08 if mark else 0x00)  # INT1_FTH
        self._write(_Register.FIFO_CTRL3, 0x09)  # gyroscope and accelerometer, every sample
        self._write(_Register.FIFO_CTRL4, 0x00)  # nothing else, whole words, up to the end
        lpf1 = 0x02  # LPF1_BW_SEL
        self._write(_Register.CTRL1_XL, setup.rate_code << 4 | setup.accel_code << 2 | lpf1)
        self._write(_Register.CTRL2_G, setup.rate_code << 4 | setup.gyro_code << 2)
        clock.sleep_until(clock.now_ns() + _START_NS)

    def _hold_fifo(self) -> None:
        self._write(_Register.FIFO_CTRL5, 0x00)  # bypass, which empties it

    def _release_fifo(self) -> None:
        self._write(_Register.FIFO_CTRL5, self._setup.rate_code << 3 | _FIFO_MODE)

    def _filled(self) -> int:
        low, high, pattern, pattern_high = self._read(_Register.FIFO_STATUS1, 4)
        words = (high & 0x07) << 8 | low
        if pattern or pattern_high & 0x03:
            # The next word is not the gyroscope's X: the FIFO begins anew at the next look.
            self._stale = True
            raise BusError(
                errno.EBADMSG,
                f"somebody else reads the FIFO of the {self.name} at 0x{self._address:02x} on "
                f"{self._bus.name}, or a transaction was cut short: samples are lost",
            )
        return 2 * words if words or not high & _OVER_RUN else _FIFO_BYTES

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        words = np.frombuffer(raw, "<i2").reshape(-1, 6)
        return words[:, :3], words[:, 3:]

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Register.OUT_TEMP_L, 2), "little", signed=True)
        return raw / 256.0 + 25.0  # AN5130, section 9

    def _sleep(self) -> None:
        self._write(_Register.CTRL1_XL, 0x00)
        self._write(_Register.CTRL2_G, 0x00)
