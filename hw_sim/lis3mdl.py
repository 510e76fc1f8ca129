"""The LIS3MDL behind its registers, and the magnetometer of the LSM9DS1, which has the same.

Written from the datasheets DocID024204 (sections 5 to 7) and DocID025715 (sections 6 and 8). Not
modelled: interrupts, the offset registers, self-test, low power, FAST_READ, big-endian output, a
single measurement. A measurement takes as long as the fastest rate of its mode has for it.
"""

from __future__ import annotations

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_WHO_AM_I, _CTRL_REG1, _CTRL_REG2, _CTRL_REG3, _CTRL_REG5 = 0x0F, 0x20, 0x21, 0x22, 0x24
_STATUS, _OUT_X_L, _OUT_Z_H, _TEMP_OUT_L = 0x27, 0x28, 0x2D, 0x2E
_DEFAULTS = {_WHO_AM_I: 0x3D, _CTRL_REG1: 0x10, _CTRL_REG2: 0, _CTRL_REG3: 0x03, 0x23: 0, 0x24: 0}
_LSB_PER_GAUSS = (6842, 3421, 2281, 1711)
_FAST_HZ = (1000.0, 560.0, 300.0, 155.0)
_SLOWEST_HZ = 0.625


class Lis3mdl(MagneticChip):
    """One chip, in power-down from the start. Temperature: what the scenario says, 8 LSB/degC."""

    _axes = (1.0, 1.0, 1.0)
    _has_thermometer = True

    def _reset(self) -> None:
        self._stop()
        self._registers = dict(_DEFAULTS)
        self._out = bytearray(6)
        self._new, self._lost, self._held = [False] * 3, [False] * 3, [False] * 3

    def _after(self, register: int) -> int:
        if not register & 0x80:
            return register
        # From the end of the field the pointer goes back to its beginning.
        return 0x80 | _OUT_X_L if register & 0x7F == _OUT_Z_H else register + 1

    def _write_byte(self, register: int, value: int) -> None:
        register &= 0x7F
        if register == _CTRL_REG2 and value & 0x04:  # SOFT_RST
            self._reset()
        elif register in self._registers and register != _WHO_AM_I:
            before, self._registers[register] = self._registers[register], value
            if register in (_CTRL_REG1, _CTRL_REG2, _CTRL_REG3) and value != before:
                self._restart()

    def _restart(self) -> None:
        self._stop()
        if self._registers[_CTRL_REG3] & 0x03:
            return
        setting = self._registers[_CTRL_REG1]
        fast_hz = _FAST_HZ[setting >> 5 & 0x03]
        rate_hz = fast_hz if setting & 0x02 else _SLOWEST_HZ * 2 ** (setting >> 2 & 0x07)
        self._measure(rate_hz, 1 / fast_hz)

    def _read_byte(self, register: int) -> int:
        register &= 0x7F
        if register == _STATUS:
            bits = [*self._new, all(self._new), *self._lost, any(self._lost)]
            return sum(bit << n for n, bit in enumerate(bits))
        if _OUT_X_L <= register <= _OUT_Z_H:
            axis, high = divmod(register - _OUT_X_L, 2)
            self._held[axis] = not high and bool(self._registers[_CTRL_REG5] & 0x40)  # BDU
            if high:
                self._new[axis] = self._lost[axis] = False
            return self._out[register - _OUT_X_L]
        if register in (_TEMP_OUT_L, _TEMP_OUT_L + 1) and self._measures_temperature():
            raw = round((self._errors.temperature_c - 25.0) * 8) & 0xFFFF
            return raw >> 8 * (register - _TEMP_OUT_L) & 0xFF
        return self._registers.get(register, 0)

    def _measures_temperature(self) -> bool:
        return self._has_thermometer and bool(self._registers[_CTRL_REG1] & 0x80)

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        lsb_per_ut = _LSB_PER_GAUSS[self._registers[_CTRL_REG2] >> 5 & 0x03] / 100
        counts = np.clip(np.rint(field * self._axes * lsb_per_ut), -32768, 32767)
        return counts.astype(np.int64), np.zeros(len(field), bool)  # it does not tell

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        data = counts.astype("<i2").tobytes()
        for axis in range(3):
            self._lost[axis] = self._lost[axis] or self._new[axis] or measured > 1
            if not self._held[axis]:
                self._out[2 * axis : 2 * axis + 2] = data[2 * axis : 2 * axis + 2]
                self._new[axis] = True
        return not any(self._held)


class Lsm9ds1Mag(Lis3mdl):
    """The magnetometer in the package of an LSM9DS1.

    Its X points the other way than the other sensors' (figure 1), whose Z is against the frame in
    which motion is given.
    """

    _axes = (-1.0, 1.0, -1.0)
    _has_thermometer = False
