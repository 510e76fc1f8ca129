"""ST LSM6DSOX and LSM6DSO: gyroscope and accelerometer, read through the tagged FIFO.

Registers, ranges and filters are from the datasheets DS12814 (LSM6DSOX), DS12140 (LSM6DSO) and
DocID032891 (LSM6DSO32), which have one register map; FIFO and scales also from the Linux driver
st_lsm6dsx. Chips of these names have no magnetometer.

The traps: the LSM6DSO32 has the same identity and twice the accelerometer's ranges, so it reads
half of what is true; each word in the FIFO belongs to one sensor, as its tag says; 16 g has the
code between those of 2 g and 4 g. Time stamps and rates come from one oscillator, so their ratio is
exact; how wrong that is (INTERNAL_FREQ_FINE tells) does not matter.
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
from drivers.fifo import FifoImu, LowPass, Setup, Words
from drivers.identities import wrong_chip


class _Register(IntEnum):
    FUNC_CFG_ACCESS = 0x01
    FIFO_CTRL1 = 0x07  # and 2 behind it: nine bits of watermark, low byte first
    FIFO_CTRL3 = 0x09
    FIFO_CTRL4 = 0x0A
    INT1_CTRL = 0x0D
    WHO_AM_I = 0x0F
    CTRL1_XL = 0x10
    CTRL2_G = 0x11
    CTRL3_C = 0x12
    CTRL4_C = 0x13
    CTRL6_C = 0x15
    CTRL8_XL = 0x17
    CTRL9_XL = 0x18
    CTRL10_C = 0x19
    OUT_TEMP_L = 0x20
    FIFO_STATUS1 = 0x3A  # and 2 behind it: ten bits of level, low byte first
    TIMESTAMP0 = 0x40  # to 3, low byte first
    FIFO_DATA_OUT_TAG = 0x78  # to 0x7E, and back again


_WHO_AM_I = 0x6C
_WORD_BYTES = 7  # a tag, then X Y Z, 16 bits each, low byte first (section 6.5.7)
_GYRO_TAG, _ACCEL_TAG, _TIME_TAG = 1, 2, 4
_FIFO_MODE = 0x01  # full means stop, the old samples stay
_EACH_STAMPED = 0x40  # DEC_TS_BATCH: a word with the time beside each pair

_TICKS_A_SECOND = 40_000
_FASTEST_CODE, _FASTEST_TICKS = 10, 6  # 6.67 kHz
_FASTEST_STAMPED_CODE = 7

_GYRO_LPF2_HZ = {1: 4.2, 2: 8.3, 3: 16.6, 4: 33.0, 5: 66.8, 6: 135.9, 7: 295.5}
"""Bandwidth of the filter that is always there, by code of the rate (section 6.4.2, table 18)."""
_GYRO_LPF1_HZ = {8: 304.2, 9: 328.5}
"""Bandwidth with LPF1 before it (FTYPE 0, table 60), at rates where LPF2 lets too much pass."""

_RESET_NS = 50_000_000  # as the Linux driver waits
_START_NS = 100_000_000  # until both sensors run and their filters have settled


def _sample_ticks(rate_code: int) -> int:
    return _FASTEST_TICKS << _FASTEST_CODE - rate_code


class Lsm6dsox(FifoImu):
    """The chip at one address. Made by `probe`; then as `drivers.imu.Imu`.

    Up to 833 Hz there is a time stamp beside each sample. It makes three words of two, which at
    1.67 kHz would be more than a bus at 400 kHz has room for, and a look alone tells a time to half
    a millisecond there.
    """

    name = "LSM6DSOX"
    addresses = (0x6A, 0x6B)  # SDO low or high
    rates = {_TICKS_A_SECOND / _sample_ticks(code): code for code in range(9, 0, -1)}
    """ODR_XL, ODR_G, BDR_XL, BDR_GY (sections 9.5, 9.12, 9.13), as INTERNAL_FREQ_FINE has them:
    what is called 12.5 Hz is 13.02. 3.33 kHz take 42 % of a bus at 1 MHz; 6.67 would take 84, which
    leaves no room for being late."""
    gyro_ranges = {
        250.0: (0, 1 / 0.00875),
        500.0: (1, 1 / 0.0175),
        1000.0: (2, 1 / 0.035),
        2000.0: (3, 1 / 0.07),
    }
    """FS_G (section 4.1)."""
    accel_ranges = {
        2.0: (0, 1 / 0.000061),
        4.0: (2, 1 / 0.000122),
        8.0: (3, 1 / 0.000244),
        16.0: (1, 1 / 0.000488),
    }
    """FS_XL (section 4.1)."""
    fifo_port = _Register.FIFO_DATA_OUT_TAG
    sample_bytes = 3 * _WORD_BYTES
    fifo_bytes = 512 * _WORD_BYTES
    watermark = True
    begins_badly = True

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        identity = bus.read(address, _Register.WHO_AM_I)[0]
        if identity != _WHO_AM_I:
            raise wrong_chip(bus, address, identity, cls.name, [_WHO_AM_I])
        return cls(bus, address)

    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """The one that there is; its delay as that of a first-order filter, 1 / (2 pi f).

        The datasheet gives bandwidths only, so this is the least that the delay can be. Aligning
        clip and motion finds the rest, which is constant.
        """
        code = self.rates[rate_hz]
        with_lpf1 = code in _GYRO_LPF1_HZ
        gyro_hz = (_GYRO_LPF1_HZ if with_lpf1 else _GYRO_LPF2_HZ)[code]
        delay_ns = round(1e9 / (2 * math.pi * gyro_hz))
        return [LowPass(gyro_hz, rate_hz / 4, int(with_lpf1), delay_ns)]

    def _counter(self, setup: Setup) -> Counter | None:
        if setup.rate_code > _FASTEST_STAMPED_CODE:
            return None
        return Counter(_sample_ticks(setup.rate_code), 1 << 32)

    def _start(self, clock: Clock, setup: Setup) -> None:
        self.sample_bytes = (3 if self._counter(setup) else 2) * _WORD_BYTES
        self._write(_Register.FUNC_CFG_ACCESS, 0x00)  # the ordinary registers
        self._write(_Register.CTRL3_C, 0x01)  # SW_RESET
        clock.sleep_until(clock.now_ns() + _RESET_NS)
        self._write(_Register.CTRL3_C, 0x44)  # BDU, IF_INC
        self._write(_Register.CTRL9_XL, 0xE2)  # I3C_disable, as recommended
        self._write(_Register.CTRL4_C, setup.low_pass.code << 1)  # LPF1_SEL_G
        self._write(_Register.CTRL6_C, 0x00)  # FTYPE 0; accelerometer at high performance
        self._write(_Register.CTRL8_XL, 0x00)  # HPCF_XL: LPF2 at a quarter of the rate
        self._write(_Register.CTRL10_C, 0x20)  # TIMESTAMP_EN
        words = setup.interrupt_at * self.sample_bytes // _WORD_BYTES
        # Neither compressed nor limited.
        self._write(_Register.FIFO_CTRL1, words & 0xFF, words >> 8)
        self._write(_Register.INT1_CTRL, 0x08 if words else 0x00)  # INT1_FIFO_TH
        self._write(_Register.FIFO_CTRL3, setup.rate_code << 4 | setup.rate_code)
        lpf2 = 0x02  # LPF2_XL_EN
        self._write(_Register.CTRL1_XL, setup.rate_code << 4 | setup.accel_code << 2 | lpf2)
        self._write(_Register.CTRL2_G, setup.rate_code << 4 | setup.gyro_code << 2)
        clock.sleep_until(clock.now_ns() + _START_NS)

    def _hold_fifo(self) -> None:
        self._write(_Register.FIFO_CTRL4, 0x00)  # bypass, which empties it

    def _release_fifo(self) -> None:
        stamped = _EACH_STAMPED if self._counter(self._setup) else 0
        self._write(_Register.FIFO_CTRL4, stamped | _FIFO_MODE)

    def _filled(self) -> int:
        level = int.from_bytes(self._read(_Register.FIFO_STATUS1, 2), "little") & 0x3FF
        return level * _WORD_BYTES

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        words, tags = self._words(raw)
        expected = (_GYRO_TAG, _ACCEL_TAG, _TIME_TAG)[: tags.shape[1]]
        if np.any(np.sort(tags, axis=1) != expected):
            raise BusError(
                errno.EBADMSG,
                f"the FIFO of the {self.name} at 0x{self._address:02x} on {self._bus.name} does "
                "not hold pairs of gyroscope and accelerometer: check the wiring",
            )
        vectors = np.ascontiguousarray(words[:, :, 1:]).view("<i2")
        return vectors[tags == _GYRO_TAG], vectors[tags == _ACCEL_TAG]

    def _read_counter(self, clock: Clock) -> Reading:
        before = clock.now_ns()
        ticks = int.from_bytes(self._read(_Register.TIMESTAMP0, 4), "little")
        return Reading(ticks, before, clock.now_ns())

    def _stamps(self, raw: bytes) -> npt.NDArray[np.int64]:
        words, tags = self._words(raw)
        stamps = np.ascontiguousarray(words[tags == _TIME_TAG][:, 1:5])
        return stamps.view("<u4")[:, 0].astype(np.int64)

    def _words(self, raw: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Sample by sample the words (N, 2 or 3, 7), in no certain order, and their tags."""
        a_sample = self.sample_bytes // _WORD_BYTES
        words = np.frombuffer(raw, np.uint8).reshape(-1, a_sample, _WORD_BYTES)
        tags: npt.NDArray[np.uint8] = words[:, :, 0] >> np.uint8(3)
        return words, tags

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(_Register.OUT_TEMP_L, 2), "little", signed=True)
        return raw / 256.0 + 25.0  # section 4.3

    def _sleep(self) -> None:
        self._write(_Register.CTRL1_XL, 0x00)
        self._write(_Register.CTRL2_G, 0x00)
