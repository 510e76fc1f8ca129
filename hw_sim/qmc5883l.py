"""The QMC5883L behind its registers.

Written from its datasheet 1.0, sections 5, 8 and 9. Not modelled: the interrupt pin, oversampling,
the thermometer (which has no zero), pointers without roll-over that run past the last register. A
measurement is taken to last 5 ms, the period of the fastest rate.
"""

from __future__ import annotations

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_STATUS, _CONTROL_1, _CONTROL_2, _SET_RESET, _CHIP_ID = 0x06, 0x09, 0x0A, 0x0B, 0x0D
_RATES_HZ = (10.0, 50.0, 100.0, 200.0)
_LSB_PER_GAUSS = (12000, 3000)
_MEASUREMENT_S = 0.005


class Qmc5883L(MagneticChip):
    """One chip, in standby from the start."""

    def _reset(self) -> None:
        self._stop()
        self._registers = {_CONTROL_1: 0, _CONTROL_2: 0, _SET_RESET: 0}
        self._out = bytes(6)
        self._ready = self._skipped = self._overflow = self._reading = False

    def _after(self, register: int) -> int:
        rolls = self._registers[_CONTROL_2] & 0x40
        return 0x00 if rolls and register == _STATUS else register + 1

    def _write_byte(self, register: int, value: int) -> None:
        if register == _CONTROL_2 and value & 0x80:  # SOFT_RST
            self._reset()
        elif register in self._registers:
            self._registers[register] = value
            if register == _CONTROL_1:
                self._stop()
                if value & 0x03 == 0x01:
                    self._measure(_RATES_HZ[value >> 2 & 0x03], _MEASUREMENT_S)

    def _read_byte(self, register: int) -> int:
        if register < _STATUS:
            # Data are protected from the first byte that is read to the last one of Z.
            self._ready = self._skipped = False
            self._reading = register != _STATUS - 1
            return self._out[register]
        if register == _STATUS:
            return self._skipped << 2 | self._overflow << 1 | self._ready
        return 0xFF if register == _CHIP_ID else self._registers.get(register, 0)

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        lsb_per_ut = _LSB_PER_GAUSS[self._registers[_CONTROL_1] >> 4 & 0x01] / 100
        counts = np.rint(field * lsb_per_ut)
        inside = np.clip(counts, -32768, 32767).astype(np.int64)
        return inside, np.any(inside != counts, axis=1)

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        self._skipped = self._skipped or self._ready or self._reading or measured > 1
        if self._reading:
            return False
        self._out, self._overflow = counts.astype("<i2").tobytes(), too_strong
        self._ready = True
        return True
