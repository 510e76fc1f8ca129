"""The LSM6DSOX behind its registers: gyroscope, accelerometer, thermometer, tagged FIFO.

Written from the register map that it shares with LSM6DSO (DS12140) and LSM6DSO32 (DocID032891), for
what a recorder needs. Not modelled: embedded functions and their pages, the machine learning core,
the sensor hub, I3C, interrupts but that of the FIFO's threshold on INT1, low-power modes,
self-test, user offsets, high-pass filters, compression, temperature in the FIFO, sensors at
different rates.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hw_sim.inertial import InertialChip, Pin, Raw, Sensor
from hw_sim.rotation import Floats

_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3, _FIFO_CTRL4 = 0x07, 0x08, 0x09, 0x0A
_INT1_CTRL, _WHO_AM_I, _CTRL10_C, _TIMESTAMP0 = 0x0D, 0x0F, 0x19, 0x40
_CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL6_C, _CTRL8_XL = 0x10, 0x11, 0x12, 0x13, 0x15, 0x17
_STATUS_REG, _OUT_TEMP_L, _OUTX_L_G = 0x1E, 0x20, 0x22
_FIFO_STATUS1, _FIFO_STATUS2, _FIFO_DATA_OUT_TAG = 0x3A, 0x3B, 0x78
_READ_ONLY = {_WHO_AM_I, *range(0x1A, 0x44), *range(0x78, 0x7F)}
_RESET_VALUES = {0x02: 0x3F, _WHO_AM_I: 0x6C, _CTRL3_C: 0x04, 0x18: 0xE0}

# Rates are 40 kHz by 6 and by powers of two: ODR_coeff of INTERNAL_FREQ_FINE. What the tables call
# 12.5 Hz is 13.02.
_TICKS_A_SECOND = 40_000
_TICKS = {1: 3072, 2: 1536, 3: 768, 4: 384, 5: 192, 6: 96, 7: 48, 8: 24, 9: 12, 10: 6}
_LPF2_HZ = {1: 4.2, 2: 8.3, 3: 16.6, 4: 33.0, 5: 66.8, 6: 135.9, 7: 295.5, 8: 1108.1, 9: 1320.7,
            10: 1441.8}  # fmt: skip
_LPF1_HZ = {1: 4.2, 2: 8.3, 3: 16.6, 4: 33.0, 5: 67.0, 6: 136.6, 7: 239.2, 8: 304.2, 9: 328.5,
            10: 335.5}  # fmt: skip
"""With FTYPE 0."""
_ACCEL_PARTS = (4, 10, 20, 45, 100, 200, 400, 800)  # of the rate, by HPCF_XL
_ACCEL_G = (2, 16, 4, 8)
_MG = {2: 0.061, 4: 0.122, 8: 0.244, 16: 0.488}
_MDPS = (8.75, 17.5, 35.0, 70.0)

_DECIMATIONS = (0, 1, 8, 32)  # DEC_TS_BATCH: every so-manieth sample has its time beside it
_FIFO_WORDS = 512
_WORD = 7
_RESET_NS = 10_000_000
_WAKE_NS = 35_000_000


class Lsm6dsox(InertialChip):
    """One chip, powered and with its sensors off from the start.

    Each low-pass filter is a pure delay of 1 / (2 pi f), the group delay of a first-order filter
    with the configured 3 dB bandwidth f (the datasheet gives none).
    """

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        for register, value in _RESET_VALUES.items():
            self._registers[register] = value
        self._fifo.clear()
        self._slots = 0
        self._stop()

    def _is_fifo(self, register: int) -> bool:
        # Reading on from 0x7E, the address goes back to 0x78.
        return register == _FIFO_DATA_OUT_TAG

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        registers = self._registers
        if register in _READ_ONLY:
            return
        if register == _CTRL3_C and value & 0x01:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + _RESET_NS
            return
        if register == _CTRL2_G and value >> 4 and not registers[register] >> 4:
            self._settled_ns = at_ns + _WAKE_NS
        registers[register] = value
        if register == _FIFO_CTRL4 and not value & 7:
            self._fifo.clear()
        if register in (_CTRL1_XL, _CTRL2_G, _CTRL4_C, _CTRL6_C, _CTRL8_XL):
            self._restart(at_ns)

    def _read_byte(self, register: int) -> int:
        words = len(self._fifo) // _WORD
        if register == _FIFO_STATUS1:
            return words & 0xFF
        if register == _FIFO_STATUS2:
            latched = self._registers[register]
            self._registers[register] = 0
            full = words >= _FIFO_WORDS
            return words >> 8 | latched | full << 6 | full << 5
        if _TIMESTAMP0 <= register < _TIMESTAMP0 + 4:
            now_s = np.array([self._clock.chip_s(self._looked_ns)])
            return int(self._stamps(now_s)[0, register - _TIMESTAMP0])
        value = self._registers[register]
        if _OUTX_L_G <= register < _OUTX_L_G + 12:
            self._registers[_STATUS_REG] &= ~(0x02 if register < _OUTX_L_G + 6 else 0x01)
        return value

    def _pop(self, length: int) -> bytes:
        data = bytes(self._fifo[:length])
        del self._fifo[:length]
        return data.ljust(length, b"\0")  # the tag 0: FIFO empty

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        registers = self._registers
        accel, gyro = registers[_CTRL1_XL], registers[_CTRL2_G]
        gyro_code, accel_code = gyro >> 4, accel >> 4
        ticks = _TICKS.get(gyro_code) or _TICKS.get(accel_code)
        if ticks is None:
            self._stop()
            return
        rate_hz = _TICKS_A_SECOND / ticks
        lpf1 = registers[_CTRL4_C] & 0x02
        gyro_hz = (_LPF1_HZ if lpf1 else _LPF2_HZ).get(gyro_code, 1.0)
        part = _ACCEL_PARTS[registers[_CTRL8_XL] >> 5] if accel & 0x02 else 2
        accel_hz = rate_hz / part
        self._sample(
            _TICKS_A_SECOND,
            _sensor(gyro_code in _TICKS, ticks, 1000 / _MDPS[gyro >> 2 & 3], gyro_hz),
            _sensor(accel_code in _TICKS, ticks, 1000 / _MG[_ACCEL_G[accel >> 2 & 3]], accel_hz),
            at_ns,
        )

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._registers
        celsius = round((self.temperature_c - 25) * 256)
        latest = np.array([celsius, *raw[-1, 3:], *raw[-1, :3]], "<i2").tobytes()
        registers[_OUT_TEMP_L : _OUT_TEMP_L + 14] = latest
        registers[_STATUS_REG] |= 0x07

        batched = registers[_FIFO_CTRL3]
        mode = registers[_FIFO_CTRL4] & 7
        slots = self._slots + np.arange(len(raw))
        stamped = _DECIMATIONS[registers[_FIFO_CTRL4] >> 6]
        self._slots += len(raw)
        kinds = [(1, raw[:, 3:])] if batched >> 4 else []
        kinds += [(2, raw[:, :3])] if batched & 15 else []
        if not (kinds and mode):
            return False
        words = np.zeros((len(raw), len(kinds) + 1, _WORD), np.uint8)
        for column, (tag, vectors) in enumerate(kinds, 1):
            words[:, column, 0] = tag << 3
            data = np.frombuffer(vectors.astype("<i2").tobytes(), np.uint8)
            words[:, column, 1:] = data.reshape(-1, 6)
        words[:, 0, 0] = 4 << 3
        words[:, 0, 1:5] = self._stamps(chip_s)
        words[:, :, 0] |= (slots[:, None] & 3).astype(np.uint8) << 1
        words[:, :, 0] |= np.bitwise_count(words[:, :, 0]) & 1  # even parity
        there = np.ones(words.shape[:2], bool)
        there[:, 0] = slots % stamped == 0 if stamped else False
        self._fifo += words[there].tobytes()
        if (too_much := len(self._fifo) - _FIFO_WORDS * _WORD) > 0:
            registers[_FIFO_STATUS2] |= 0x08
            if mode == 1:  # FIFO mode: nothing more is taken
                del self._fifo[-too_much:]
            else:
                del self._fifo[:too_much]
        return True

    def _stamps(self, chip_s: Floats) -> npt.NDArray[np.uint8]:
        """The counter of time, 25 us a tick, while it is enabled: four bytes each, (N, 4)."""
        enabled = bool(self._registers[_CTRL10_C] & 0x20)
        ticks = (chip_s * _TICKS_A_SECOND * enabled).astype(np.int64) & 0xFFFFFFFF
        return np.frombuffer(ticks.astype("<u4").tobytes(), np.uint8).reshape(-1, 4)

    def _pin(self) -> Pin | None:
        registers = self._registers
        words = registers[_FIFO_CTRL1] | (registers[_FIFO_CTRL2] & 1) << 8
        if not (registers[_INT1_CTRL] & 0x08 and words):
            return None
        batched = registers[_FIFO_CTRL3]
        # Where not each sample is stamped, this is only nearly what one takes.
        a_sample = bool(batched >> 4) + bool(batched & 15) + (registers[_FIFO_CTRL4] >> 6 == 1)
        return Pin(words * _WORD, a_sample * _WORD, latched=False)


def _sensor(on: bool, ticks: int, lsb: float, bandwidth_hz: float) -> Sensor:
    delay_ns = round(1e9 / (2 * math.pi * bandwidth_hz))
    return Sensor(on, ticks, 0, lsb, delay_ns, bandwidth_hz * math.pi / 2)
