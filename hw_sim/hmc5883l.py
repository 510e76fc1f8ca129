"""The HMC5883L behind its registers.

Written from its datasheet (form 900405). Not modelled: the bias of self-test, averaging, the time
that the gain takes to settle beyond the one measurement that still has the gain before.
"""

from __future__ import annotations

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_CONFIG_A, _CONFIG_B, _MODE, _DATA, _STATUS, _IDENTITY = 0x00, 0x01, 0x02, 0x03, 0x09, 0x0A
_RATES_HZ = (0.75, 1.5, 3.0, 7.5, 15.0, 30.0, 75.0)
_LSB_PER_GAUSS = (1370, 1090, 820, 660, 440, 390, 330, 230)
_CONTINUOUS, _SINGLE, _IDLE = 0, 1, 3
_MEASUREMENT_S = 0.006
_UNREADY_NS = 250_000
_OVERFLOW = -4096


class Hmc5883L(MagneticChip):
    """One chip, idle from the start."""

    def _reset(self) -> None:
        self._stop()
        self._registers = {_CONFIG_A: 0x10, _CONFIG_B: 0x20, _MODE: _SINGLE}
        self._gain = 1
        self._out = bytes(6)
        self._ready = False
        self._unlocked()

    def _unlocked(self) -> None:
        self._read_bytes: set[int] = set()
        self._locked = False

    def _after(self, register: int) -> int:
        return {_STATUS - 1: _DATA, _IDENTITY + 2: _CONFIG_A}.get(register, register + 1)

    def _write_byte(self, register: int, value: int) -> None:
        if register not in self._registers:
            return
        self._registers[register] = value
        if register != _CONFIG_B:
            self._unlocked()
        self._stop()
        mode = self._registers[_MODE] & 0x03
        rate_hz = _RATES_HZ[min(self._registers[_CONFIG_A] >> 2 & 0x07, 6)]
        if mode == _CONTINUOUS:
            self._measure(rate_hz, _MEASUREMENT_S, first_s=2 / rate_hz)
        elif mode == _SINGLE and register == _MODE:
            self._measure(None, _MEASUREMENT_S)

    def _read_byte(self, register: int) -> int:
        if register == _MODE:
            self._locked = True
        if register == _STATUS:
            # It falls while the next sample is put into the registers, and only then.
            writing = self._next_ns - _UNREADY_NS <= self._now_ns < self._next_ns
            return self._is_locked() << 1 | (self._ready and not writing)
        if _DATA <= register < _STATUS:
            self._read_bytes.add(register)
            if len(self._read_bytes) == 6:
                self._unlocked()
            return self._out[register - _DATA]
        if _IDENTITY <= register < _IDENTITY + 3:
            return b"H43"[register - _IDENTITY]
        return self._registers.get(register, 0)

    def _is_locked(self) -> bool:
        return self._locked or bool(self._read_bytes)

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        gains = np.full(len(field), self._registers[_CONFIG_B] >> 5)
        gains[0], self._gain = self._gain, int(gains[-1])
        counts = np.rint(field * np.array(_LSB_PER_GAUSS)[gains, np.newaxis] / 100)
        over = (counts < -2048) | (counts > 2047)
        return np.where(over, _OVERFLOW, counts).astype(np.int64), over.any(axis=1)

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        if self._registers[_MODE] & 0x03 == _SINGLE:
            self._registers[_MODE] = _IDLE
        if self._is_locked():
            return False
        self._out = counts[[0, 2, 1]].astype(">i2").tobytes()
        self._ready = True
        return True
