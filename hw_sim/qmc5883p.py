"""The QMC5883P behind its registers.

Written from its datasheet 1.0, section 9. Not modelled: single and continuous mode, self-test,
oversampling. A measurement is taken to last 5 ms, the period of the fastest rate of normal mode.
"""

from __future__ import annotations

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_CHIP_ID, _DATA, _STATUS, _CONTROL_1, _CONTROL_2, _SIGNS = 0x00, 0x01, 0x09, 0x0A, 0x0B, 0x29
_RATES_HZ = (10.0, 50.0, 100.0, 200.0)
_LSB_PER_GAUSS = (1000, 2500, 3750, 15000)
_PACKAGE_SIGNS = 0x06
"""What the signs must be set to; the bits turn X, Y and Z round against that."""
_MEASUREMENT_S = 0.005


class Qmc5883P(MagneticChip):
    """One chip, in suspend mode from the start."""

    def _reset(self) -> None:
        self._stop()
        self._registers = {_CONTROL_1: 0, _CONTROL_2: 0, _SIGNS: 0}
        self._out = bytes(6)
        self._ready = self._overflow = False

    def _write_byte(self, register: int, value: int) -> None:
        if register == _CONTROL_2 and value & 0x80:  # SOFT_RST
            self._reset()
        elif register in self._registers:
            self._registers[register] = value
            self._stop()
            setting = self._registers[_CONTROL_1]
            if setting & 0x03 == 0x01:
                self._measure(_RATES_HZ[setting >> 2 & 0x03], _MEASUREMENT_S)

    def _read_byte(self, register: int) -> int:
        if register == _STATUS:
            ready, self._ready = self._ready, False
            return self._overflow << 1 | ready
        if _DATA <= register < _DATA + 6:
            return self._out[register - _DATA]
        return 0x80 if register == _CHIP_ID else self._registers.get(register, 0)

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        lsb_per_ut = _LSB_PER_GAUSS[self._registers[_CONTROL_2] >> 2 & 0x03] / 100
        turned = self._registers[_SIGNS] ^ _PACKAGE_SIGNS
        counts = np.rint(field * lsb_per_ut) * [-1 if turned >> n & 1 else 1 for n in range(3)]
        inside = np.clip(counts, -32768, 32767).astype(np.int64)
        return inside, np.any(inside != counts, axis=1)

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        self._out, self._overflow = counts.astype("<i2").tobytes(), too_strong
        self._ready = True
        return True
