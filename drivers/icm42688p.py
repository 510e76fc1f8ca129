"""TDK InvenSense ICM-42688-P: gyroscope and accelerometer, read through the FIFO.

Registers, packets, filters and times are from the datasheet DS-000347, revision 1.8. It has no
magnetometer.

The traps: registers lie in five banks and a bank stays selected when a program dies; only rates,
ranges and power modes may change while it samples (section 12.9), so a FIFO is emptied by flushing
it and not by switching its mode; how much the FIFO holds depends on who is just reading (section
6.3), one packet less than its 2048 bytes being certain. After a flush the first count may read 0
(the Linux driver has found): the next one tells all. Time stamps are set to 16 us, of which there
are 30 in the time of 32 (section 12.7): so they wrap after 1.1 s and not after 70 ms. A read of the
counter leaves another bank selected when it is broken off.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.dating import Counter, Reading
from drivers.errors import BusError
from drivers.fifo import FifoImu, LowPass, Setup, Words, accel_then_gyro
from drivers.identities import wrong_chip


class _Bank0(IntEnum):
    DEVICE_CONFIG = 0x11
    INT_CONFIG = 0x14
    FIFO_CONFIG = 0x16
    TEMP_DATA1 = 0x1D
    FIFO_COUNTH = 0x2E
    FIFO_DATA = 0x30
    SIGNAL_PATH_RESET = 0x4B
    INTF_CONFIG0 = 0x4C
    PWR_MGMT0 = 0x4E
    GYRO_CONFIG0 = 0x4F
    ACCEL_CONFIG0 = 0x50
    GYRO_CONFIG1 = 0x51
    GYRO_ACCEL_CONFIG0 = 0x52
    ACCEL_CONFIG1 = 0x53
    TMST_CONFIG = 0x54
    FIFO_CONFIG1 = 0x5F
    FIFO_CONFIG2 = 0x60  # and 3 behind it: twelve bits of watermark, low byte first
    INT_CONFIG1 = 0x64
    INT_SOURCE0 = 0x65
    WHO_AM_I = 0x75
    REG_BANK_SEL = 0x76  # in every bank


class _Bank1(IntEnum):
    TMSTVAL0 = 0x62  # to 2: 20 bits, low byte first


_WHO_AM_I = 0x47
_OTHER_BANKS = (1, 2, 3, 4)
_PACKET_BYTES = 16  # header, accelerometer, gyroscope, temperature, time stamp (section 6.1)
_HEADER, _HEADER_BITS = 0x68, 0xFC  # accelerometer and gyroscope, time stamp; not: rate changed
_TICKS_A_SECOND = 1e6 / 16 * 30 / 32

_UI_BANDWIDTHS = (230.7, 191.6, 117.5, 97.1, 59.6, 48.0, 21.3)
"""3 dB bandwidths in Hz of the second-order filters with UI_FILT_BW 1 to 7, at 1 kHz (section 5.5).
UI_FILT_BW 0 lets half the rate pass."""
_UI_DELAYS_MS = {
    400.0: (5.1, 5.8, 8.0, 9.1, 12.9, 15.3, 30.0),
    500.0: (4.1, 4.7, 6.4, 7.3, 10.4, 12.2, 24.0),
    1000.0: (2.1, 2.4, 3.2, 3.7, 5.2, 6.1, 12.0),
}
"""Their group delays by the rate that they run at, which is 400 Hz where samples come more slowly
(section 5.5)."""
_UNFILTERED_FROM_HZ = 2000.0  # there all settings are one: 0.262 of the rate, 1.6 samples late
_ANTI_ALIAS_NS = round(1e9 * math.sqrt(2) / (2 * math.pi * 585))
"""Delay of the gyroscope's second-order filter before all others, 585 Hz after reset (section
5.3)."""

_RESET_NS = 2_000_000  # 1 ms (section 14.1)
_GYRO_START_NS = 60_000_000  # 30 ms until it is ready (table 1), and it must stay on for 45


class Icm42688P(FifoImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`."""

    name = "ICM-42688-P"
    addresses = (0x68, 0x69)  # AD0 low or high
    rates = {4000.0: 4, 2000.0: 5, 1000.0: 6, 500.0: 15, 200.0: 7, 100.0: 8, 50.0: 9, 25.0: 10,
             12.5: 11}  # fmt: skip
    """GYRO_ODR and ACCEL_ODR (section 5.6). 4 kHz take 58 % of a bus at 1 MHz; 8 to 32 kHz are more
    than I2C carries."""
    gyro_ranges = {
        15.625: (7, 2097.2),
        31.25: (6, 1048.6),
        62.5: (5, 524.3),
        125.0: (4, 262.0),
        250.0: (3, 131.0),
        500.0: (2, 65.5),
        1000.0: (1, 32.8),
        2000.0: (0, 16.4),
    }
    """GYRO_FS_SEL (table 1)."""
    accel_ranges = {2.0: (3, 16384.0), 4.0: (2, 8192.0), 8.0: (1, 4096.0), 16.0: (0, 2048.0)}
    """ACCEL_FS_SEL (table 2)."""
    fifo_port = _Bank0.FIFO_DATA
    sample_bytes = _PACKET_BYTES
    fifo_bytes = 2048 - _PACKET_BYTES
    watermark = True
    longest_poll_ns = 50_000_000  # its stamps are fine, and a look is six transactions

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._flushed = False
        super().__init__(bus, address)

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        # A program that was killed may have left another bank selected. Other chips are not
        # written to.
        if bus.read(address, _Bank0.REG_BANK_SEL)[0] in _OTHER_BANKS:
            bus.write(address, _Bank0.REG_BANK_SEL, 0)
        identity = bus.read(address, _Bank0.WHO_AM_I)[0]
        if identity != _WHO_AM_I:
            raise wrong_chip(bus, address, identity, cls.name, [_WHO_AM_I])
        return cls(bus, address)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        if rate_hz >= _UNFILTERED_FROM_HZ:
            bandwidth = 0.262 * rate_hz
            return [LowPass(bandwidth, bandwidth, 1, round(1.6e9 / rate_hz) + _ANTI_ALIAS_NS)]
        runs_at = max(rate_hz, min(_UI_DELAYS_MS))
        bandwidths = [at_1_khz * runs_at / 1000.0 for at_1_khz in _UI_BANDWIDTHS]
        delays = [round(ms * 1e6) + _ANTI_ALIAS_NS for ms in _UI_DELAYS_MS[runs_at]]
        return [
            LowPass(hz, hz, code, delay_ns)
            for code, (hz, delay_ns) in enumerate(zip(bandwidths, delays, strict=True), 1)
        ]

    def _start(self, clock: Clock, setup: Setup) -> None:
        self._write(_Bank0.REG_BANK_SEL, 0)
        self._write(_Bank0.DEVICE_CONFIG, 0x01)  # SOFT_RESET_CONFIG
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Bank0.INTF_CONFIG0, 0x30)  # count in bytes, it and data high byte first
        self._write(_Bank0.GYRO_CONFIG0, setup.gyro_code << 5 | setup.rate_code)
        self._write(_Bank0.ACCEL_CONFIG0, setup.accel_code << 5 | setup.rate_code)
        self._write(_Bank0.GYRO_CONFIG1, 0x16)  # GYRO_UI_FILT_ORD: second order
        self._write(_Bank0.ACCEL_CONFIG1, 0x0D)  # ACCEL_UI_FILT_ORD: second order
        code = setup.low_pass.code
        self._write(_Bank0.GYRO_ACCEL_CONFIG0, code << 4 | code)
        # TMST_EN, TMST_RES: 16 us, TMST_TO_REGS_EN: what is latched can be read.
        self._write(_Bank0.TMST_CONFIG, 0x39)
        self._write(_Bank0.FIFO_CONFIG1, 0x07)  # temperature, gyroscope, accelerometer
        if setup.interrupt_at:
            mark = setup.interrupt_at * _PACKET_BYTES
            self._write(_Bank0.FIFO_CONFIG2, mark & 0xFF, mark >> 8)
            self._write(_Bank0.INT_CONFIG, 0x03)  # pulses, push-pull, active high
            # Not INT_ASYNC_RESET (section 12.6); pulses of 8 us, as from 4 kHz on they must be.
            self._write(_Bank0.INT_CONFIG1, 0x60)
            self._write(_Bank0.INT_SOURCE0, 0x04)  # FIFO_THS_INT1_EN
        self._write(_Bank0.FIFO_CONFIG, 0x80)  # full means stop, the old samples stay
        self._write(_Bank0.PWR_MGMT0, 0x0F)  # both sensors on, low noise
        clock.sleep_until(clock.now_ns() + _GYRO_START_NS)

    def _counter(self, setup: Setup) -> Counter | None:
        return Counter(_TICKS_A_SECOND / setup.rate_hz, 1 << 16)

    def _hold_fifo(self) -> None:
        """A flush empties the FIFO and lets it fill. It is in the first bank."""
        self._write(_Bank0.REG_BANK_SEL, 0)

    def _release_fifo(self) -> None:
        self._write(_Bank0.SIGNAL_PATH_RESET, 0x02)  # FIFO_FLUSH
        self._flushed = True

    def _filled(self) -> int:
        count = int.from_bytes(self._read(_Bank0.FIFO_COUNTH, 2))
        if self._flushed and not count:
            count = int.from_bytes(self._read(_Bank0.FIFO_COUNTH, 2))
        self._flushed = False
        return count

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        packets = np.frombuffer(raw, np.uint8).reshape(-1, _PACKET_BYTES)
        if np.any(packets[:, 0] & _HEADER_BITS != _HEADER):
            raise BusError(
                errno.EBADMSG,
                f"the FIFO of the {self.name} at 0x{self._address:02x} on {self._bus.name} does "
                "not begin with a packet: check the wiring",
            )
        return accel_then_gyro(packets[:, 1:13].tobytes())

    def _read_counter(self, clock: Clock) -> Reading:
        before = clock.now_ns()
        self._write(_Bank0.SIGNAL_PATH_RESET, 0x04)  # TMST_STROBE
        after = clock.now_ns()
        written = (before + after) // 2  # at the earliest: a write takes effect with its last bit
        self._write(_Bank0.REG_BANK_SEL, 1)
        ticks = int.from_bytes(self._read(_Bank1.TMSTVAL0, 3), "little")
        self._write(_Bank0.REG_BANK_SEL, 0)
        return Reading(ticks, written, after)

    def _stamps(self, raw: bytes) -> npt.NDArray[np.int64]:
        packets = np.frombuffer(raw, np.uint8).reshape(-1, _PACKET_BYTES)
        return np.ascontiguousarray(packets[:, 14:]).view(">u2")[:, 0].astype(np.int64)

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Bank0.TEMP_DATA1, 2), signed=True)
        return raw / 132.48 + 25.0  # section 4.13

    def _sleep(self) -> None:
        self._write(_Bank0.REG_BANK_SEL, 0)
        self._write(_Bank0.PWR_MGMT0, 0x00)  # both sensors off
