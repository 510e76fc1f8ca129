"""The LSM6DS3TR-C behind its registers: gyroscope, accelerometer, thermometer, time stamp, FIFO.

Written from the datasheet DocID030071 and the application note AN5130, for what a recorder needs.
Not modelled: embedded functions, the sensor hub, INT2, INT1 but for the FIFO's threshold, low-power
modes, self-test, user offsets, high-pass filters, LPF2 of the accelerometer, decimation, the third
and fourth data set, high bytes alone, STOP_ON_FTH, sensors at different rates.
"""

from __future__ import annotations

import math

import numpy as np

from hw_sim.inertial import InertialChip, Pin, Raw, Sensor
from hw_sim.rotation import Floats

_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3, _FIFO_CTRL5, _WHO_AM_I = 0x06, 0x07, 0x08, 0x0A, 0x0F
_INT1_CTRL = 0x0D
_CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL6_C, _CTRL10_C = 0x10, 0x11, 0x12, 0x13, 0x15, 0x19
_STATUS_REG, _OUT_TEMP_L, _OUTX_L_G = 0x1E, 0x20, 0x22
_FIFO_STATUS1, _FIFO_STATUS2, _FIFO_STATUS3, _FIFO_STATUS4 = 0x3A, 0x3B, 0x3C, 0x3D
_FIFO_DATA_OUT_L, _TIMESTAMP0, _TIMESTAMP2, _WAKE_UP_DUR = 0x3E, 0x40, 0x42, 0x5C
_READ_ONLY = {_WHO_AM_I, *range(0x1B, 0x42)}
_RESET_VALUES = {_WHO_AM_I: 0x6A, _CTRL3_C: 0x04}

_HZ = {1: 12.5, 2: 26, 3: 52, 4: 104, 5: 208, 6: 416, 7: 833, 8: 1666, 9: 3332, 10: 6664}
_CUTOFF_HZ = {
    1: (4, 4, 4, 4), 2: (8, 8, 8, 8), 3: (17, 17, 17, 17), 4: (33, 33, 33, 33),
    5: (67, 67, 67, 67), 6: (138, 131, 121, 138), 7: (245, 195, 155, 293),
    8: (315, 224, 168, 505), 9: (343, 234, 172, 925), 10: (351, 237, 173, 937),
}  # fmt: skip
"""With LPF1, by ODR_G and FTYPE (AN5130, table 11)."""
_WITHOUT_LPF1_HZ = {1: 4, 2: 8, 3: 17, 4: 33, 5: 67, 6: 137, 7: 312, 8: 988, 9: 1161, 10: 1250}
_PHASE_DEG = {
    3: (144, 146, 149, 142), 4: (75, 77, 79, 73), 5: (40, 42, 45, 39), 6: (23, 25, 28, 21),
    7: (14, 17, 19, 13), 8: (10, 12, 15, 8), 9: (8, 10, 12, 6), 10: (7, 9, 11, 5),
}  # fmt: skip
"""With LPF1, of 20 Hz (the same table)."""
_ACCEL_G = (2, 16, 4, 8)
_MG = {2: 0.061, 4: 0.122, 8: 0.244, 16: 0.488}
_MDPS = (8.75, 17.5, 35.0, 70.0)

_FIFO_WORDS = 2048
_BOOT_NS = 15_000_000
_WAKE_NS = 70_000_000


class Lsm6ds3trC(InertialChip):
    """One chip, powered and with its sensors off from the start.

    The gyroscope's filter is the delay that its phase at 20 Hz comes to, by the number of periods
    that it is at 52 Hz where no phase is given. Without LPF1, and of the accelerometer, it is
    1 / (2 pi f), the group delay of a first-order filter with the 3 dB bandwidth f. In FIFO mode a
    set of words that does not fit is left out whole; continuous mode drops single words.
    """

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        for register, value in _RESET_VALUES.items():
            self._registers[register] = value
        self._stamp_zero_s = self._clock.chip_s(at_ns)
        self._empty()
        self._stop()

    def _empty(self) -> None:
        self._fifo.clear()
        self._pattern = 0
        self._overrun = False

    def _is_fifo(self, register: int) -> bool:
        # Reading on from 0x3F, the address goes back to 0x3E.
        return register == _FIFO_DATA_OUT_L

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        registers = self._registers
        if register == _TIMESTAMP2 and value == 0xAA:
            self._stamp_zero_s = self._clock.chip_s(at_ns)
        if register in _READ_ONLY or register == _TIMESTAMP2:
            return
        if register == _CTRL3_C and value & 0x01:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + _BOOT_NS
            return
        if register == _CTRL2_G and value >> 4 and not registers[register] >> 4:
            self._settled_ns = at_ns + _WAKE_NS
        if register == _CTRL10_C and value & ~registers[register] & 0x20:
            self._stamp_zero_s = self._clock.chip_s(at_ns)
        registers[register] = value
        if register == _FIFO_CTRL5 and not value & 7:
            self._empty()
        if register in (_CTRL1_XL, _CTRL2_G, _CTRL4_C, _CTRL6_C):
            self._restart(at_ns)

    def _read_byte(self, register: int) -> int:
        if register == _FIFO_STATUS1:
            return self._level() & 0xFF
        if register == _FIFO_STATUS2:
            level, threshold = self._level(), self._threshold()
            # A full FIFO has 2048 words, for which the eleven bits are too few: they are 0.
            return (
                (level >= threshold > 0) << 7
                | self._overrun << 6
                | (level + self._set_words() > _FIFO_WORDS) << 5
                | (not level) << 4
                | level >> 8 & 7
            )
        if register in (_FIFO_STATUS3, _FIFO_STATUS4):
            return self._pattern >> 8 * (register - _FIFO_STATUS3) & 0xFF
        if _TIMESTAMP0 <= register <= _TIMESTAMP2:
            return self._stamp() >> 8 * (register - _TIMESTAMP0) & 0xFF
        if _OUTX_L_G <= register < _OUTX_L_G + 12:
            self._registers[_STATUS_REG] &= ~(0x02 if register < _OUTX_L_G + 6 else 0x01)
        return self._registers[register]

    def _level(self) -> int:
        return len(self._fifo) // 2

    def _threshold(self) -> int:
        return (self._registers[_FIFO_CTRL2] & 7) << 8 | self._registers[_FIFO_CTRL1]

    def _pin(self) -> Pin | None:
        if not (self._registers[_INT1_CTRL] & 0x08 and self._threshold()):
            return None
        return Pin(2 * self._threshold(), 2 * self._set_words(), latched=False)

    def _stamp(self) -> int:
        if not self._registers[_CTRL10_C] & 0x20:
            return 0
        tick_s = 25e-6 if self._registers[_WAKE_UP_DUR] & 0x10 else 6.4e-3
        passed_s = self._clock.chip_s(self._looked_ns) - self._stamp_zero_s
        return int(passed_s / tick_s) & 0xFFFFFF

    def _set_words(self) -> int:
        """Words that each sample puts into the FIFO."""
        decimation = self._registers[_FIFO_CTRL3]
        return 3 * (bool(decimation & 0x38) + bool(decimation & 0x07))

    def _pop(self, length: int) -> bytes:
        data = bytes(self._fifo[:length])
        del self._fifo[:length]
        self._move_on(len(data) // 2)
        self._overrun = False
        return data.ljust(length, b"\0")

    def _move_on(self, words: int) -> None:
        """Let the next word to be read be one so much further in the pattern."""
        self._pattern = (self._pattern + words) % max(self._set_words(), 1)

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        registers = self._registers
        accel, gyro = registers[_CTRL1_XL], registers[_CTRL2_G]
        gyro_code, accel_code = gyro >> 4, accel >> 4
        if gyro_code not in _HZ and accel_code not in _HZ:
            self._stop()
            return
        rate_hz = _HZ.get(gyro_code) or _HZ[accel_code]
        ftype = registers[_CTRL6_C] & 3
        lpf1 = bool(registers[_CTRL4_C] & 0x02)
        code = max(1, min(gyro_code, 10))
        gyro_hz = _CUTOFF_HZ[code][ftype] if lpf1 else _WITHOUT_LPF1_HZ[code]
        delay_ns = 1e9 / (2 * math.pi * gyro_hz)
        if lpf1:
            phase_s = _PHASE_DEG[max(code, 3)][ftype] / 360 / 20
            delay_ns = 1e9 * phase_s * (_HZ[3] / _HZ[code] if code < 3 else 1)
        accel_hz = rate_hz / (4 if accel & 0x02 else 2)
        mg = _MG[_ACCEL_G[accel >> 2 & 3]]
        self._sample(
            round(2 * rate_hz),
            Sensor(gyro_code in _HZ, 2, 0, 1000 / _MDPS[gyro >> 2 & 3], round(delay_ns),
                   gyro_hz * math.pi / 2),
            Sensor(accel_code in _HZ, 2, 0, 1000 / mg, round(1e9 / (2 * math.pi * accel_hz)),
                   accel_hz * math.pi / 2),
            at_ns,
        )  # fmt: skip

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._registers
        celsius = round((self.temperature_c - 25) * 256)
        latest = np.array([celsius, *raw[-1, 3:], *raw[-1, :3]], "<i2").tobytes()
        registers[_OUT_TEMP_L : _OUT_TEMP_L + 14] = latest
        registers[_STATUS_REG] |= 0x07

        control, decimation = registers[_FIFO_CTRL5], registers[_FIFO_CTRL3]
        mode, fifo_rate = control & 7, control >> 3 & 15
        size = self._set_words()
        if not (size and mode and fifo_rate):
            return False
        sets = [raw[:, 3:]] * bool(decimation & 0x38) + [raw[:, :3]] * bool(decimation & 0x07)
        self._fifo += np.hstack(sets).astype("<i2").tobytes()
        if mode == 1:  # FIFO mode: nothing more is taken
            del self._fifo[2 * (_FIFO_WORDS // size * size) :]
        elif (too_much := self._level() - _FIFO_WORDS) > 0:
            del self._fifo[: 2 * too_much]
            self._move_on(too_much)
            self._overrun = True
        return True
