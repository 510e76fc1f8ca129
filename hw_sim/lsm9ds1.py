"""The gyroscope and accelerometer of an LSM9DS1 behind their registers, with thermometer and FIFO.

Written from the datasheet DocID025715 (revision 3), for what a recorder needs. Not modelled:
interrupts but that of the FIFO's threshold, low-power and sleep modes, self-test, high-pass
filters, the digital filters of the accelerometer, LPF2 of the gyroscope, the registers for
orientation and sign of axes, temperature in the FIFO, FIFO modes with a trigger, the accelerometer
alone. The magnetometer is a chip of its own.
"""

from __future__ import annotations

import math

import numpy as np

from hw_sim.inertial import InertialChip, Pin, Raw, Sensor
from hw_sim.rotation import Floats

_INT1_CTRL, _WHO_AM_I, _CTRL_REG1_G, _OUT_TEMP_L, _OUT_X_G = 0x0C, 0x0F, 0x10, 0x15, 0x18
_STATUS_REG, _STATUS_REG_2, _OUT_X_XL = 0x17, 0x27, 0x28
_CTRL_REG6_XL, _CTRL_REG8, _CTRL_REG9, _FIFO_CTRL, _FIFO_SRC = 0x20, 0x22, 0x23, 0x2E, 0x2F
_READ_ONLY = {
    _WHO_AM_I, *range(0x14, 0x1E), 0x26, _STATUS_REG_2, *range(_OUT_X_XL, 0x2E), _FIFO_SRC,
}  # fmt: skip
_RESET_VALUES = {_WHO_AM_I: 0x68, 0x1E: 0x38, 0x1F: 0x38, _CTRL_REG8: 0x04}

_HZ = {1: 14.9, 2: 59.5, 3: 119, 4: 238, 5: 476, 6: 952}
_LPF1_HZ = {1: 5, 2: 19, 3: 38, 4: 76, 5: 100, 6: 100}
_ACCEL_BY_RATE_HZ = {1: 408, 2: 408, 3: 50, 4: 105, 5: 211, 6: 408}
_ACCEL_BY_CODE_HZ = (408, 211, 105, 50)
_MDPS = (8.75, 17.5, 17.5, 70.0)
_MG = (0.061, 0.732, 0.122, 0.244)

_SAMPLES, _SAMPLE_BYTES = 32, 12
_FIFO, _CONTINUOUS = 1, 6
_RESET_NS = 20_000_000
_WAKE_NS = 60_000_000


class Lsm9ds1(InertialChip):
    """One chip, powered and with its sensors off from the start.

    Each low-pass filter is a pure delay of 1 / (2 pi f), the group delay of a first-order filter
    with the configured 3 dB bandwidth f (the datasheet gives none). Reading on behind the
    gyroscope comes to the accelerometer, and behind that to the next sample (section 3.4); one that
    was not read to its end stays in the FIFO.
    """

    def _power_on(self, at_ns: int) -> None:
        self._registers = bytearray(128)
        for register, value in _RESET_VALUES.items():
            self._registers[register] = value
        self._fifo.clear()
        self._overrun = False
        self._stop()

    def _is_fifo(self, register: int) -> bool:
        return register == _OUT_X_G

    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        registers = self._registers
        if register in _READ_ONLY:
            return
        if register == _CTRL_REG8 and value & 0x01:
            self._power_on(at_ns)
            self._busy_until_ns = at_ns + _RESET_NS
            return
        if register == _CTRL_REG1_G and value >> 5 and not registers[register] >> 5:
            self._settled_ns = at_ns + _WAKE_NS
        registers[register] = value
        off = {_FIFO_CTRL: not value >> 5, _CTRL_REG9: not value & 0x02}
        if off.get(register):
            self._fifo.clear()
            self._overrun = False
        if register in (_CTRL_REG1_G, _CTRL_REG6_XL):
            self._restart(at_ns)

    def _read_byte(self, register: int) -> int:
        registers = self._registers
        if register == _FIFO_SRC:
            level = len(self._fifo) // _SAMPLE_BYTES
            threshold = registers[_FIFO_CTRL] & 0x1F
            return (level >= threshold > 0) << 7 | self._overrun << 6 | level
        if register == _STATUS_REG_2:
            register = _STATUS_REG
        if _OUT_X_XL <= register < _OUT_X_XL + 6:
            registers[_STATUS_REG] &= ~0x01
            return self._oldest()[6 + register - _OUT_X_XL]
        return registers[register]

    def _oldest(self) -> bytes:
        """The sample that the output registers show: the FIFO's first, or the latest."""
        latest = self._registers[_OUT_X_G : _OUT_X_G + 6] + self._registers[_OUT_X_XL:0x2E]
        return bytes(self._fifo[:_SAMPLE_BYTES] or latest)

    def _pop(self, length: int) -> bytes:
        self._registers[_STATUS_REG] &= ~(0x03 if length > 6 else 0x02)
        data = bytes(self._fifo[:length])
        del self._fifo[: length // _SAMPLE_BYTES * _SAMPLE_BYTES]
        if data:
            self._overrun = False
        while len(data) < length:
            data += self._oldest()
        return data[:length]

    def _restart(self, at_ns: int) -> None:
        """Begin sampling afresh with the configuration as it is now, or stop."""
        gyro, accel = self._registers[_CTRL_REG1_G], self._registers[_CTRL_REG6_XL]
        code = gyro >> 5
        if code not in _HZ:
            self._stop()
            return
        own_bandwidth = accel & 0x04
        accel_hz = _ACCEL_BY_CODE_HZ[accel & 3] if own_bandwidth else _ACCEL_BY_RATE_HZ[code]
        self._sample(
            round(10 * _HZ[code]),
            _sensor(1000 / _MDPS[gyro >> 3 & 3], _LPF1_HZ[code]),
            _sensor(1000 / _MG[accel >> 3 & 3], accel_hz),
            at_ns,
        )

    def _pin(self) -> Pin | None:
        level = (self._registers[_FIFO_CTRL] & 0x1F) * _SAMPLE_BYTES
        if not (self._registers[_INT1_CTRL] & 0x08 and level):
            return None
        return Pin(level, _SAMPLE_BYTES, latched=False)

    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        registers = self._registers
        # The package's Z points against that of the right-handed frame in which motion is given.
        along = np.array([1, 1, -1, 1, 1, -1])
        samples = np.clip(np.hstack([raw[:, 3:], raw[:, :3]]) * along, -32768, 32767).astype("<i2")
        latest = samples[-1].tobytes()
        registers[_OUT_X_G : _OUT_X_G + 6], registers[_OUT_X_XL:0x2E] = latest[:6], latest[6:]
        celsius = round((self.temperature_c - 25) * 16)
        registers[_OUT_TEMP_L : _OUT_TEMP_L + 2] = celsius.to_bytes(2, "little", signed=True)
        registers[_STATUS_REG] |= 0x07

        mode = registers[_FIFO_CTRL] >> 5
        if not (registers[_CTRL_REG9] & 0x02 and mode in (_FIFO, _CONTINUOUS)):
            return False
        self._fifo += samples.tobytes()
        if (too_much := len(self._fifo) - _SAMPLES * _SAMPLE_BYTES) > 0:
            self._overrun = True
            if mode == _FIFO:  # nothing more is taken
                del self._fifo[-too_much:]
            else:
                del self._fifo[:too_much]
        return True


def _sensor(lsb: float, bandwidth_hz: float) -> Sensor:
    delay_ns = round(1e9 / (2 * math.pi * bandwidth_hz))
    return Sensor(True, 10, 0, lsb, delay_ns, bandwidth_hz * math.pi / 2)
