"""The MMC5983MA behind its registers.

Written from its datasheet, Rev A. Not modelled: interrupts, SPI, self-test, inhibited channels,
Auto_SR_en and En_prd_set. In continuous mode Meas_M_Done falls when a measurement begins, as the
datasheet has it for a single one. A field beyond the full scale leaves a remanence until the next
SET or RESET.
"""

from __future__ import annotations

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_TEMPERATURE, _STATUS, _CONTROL_0, _CONTROL_1, _CONTROL_2, _PRODUCT_ID = 7, 8, 9, 10, 11, 0x2F
_RATES_HZ = (0.0, 1.0, 10.0, 20.0, 50.0, 100.0, 200.0, 1000.0)
_MEASUREMENT_S = (0.008, 0.004, 0.002, 0.0005)
_TEMPERATURE_NS = 1_000_000
_LSB_PER_UT = 163.84
_BRIDGE_OFFSET = np.array([3441, -5571, 1966])
"""In counts, of this specimen: a fifth to a third of a gauss."""
_REMANENCE = np.array([1200, 900, -1500])


class Mmc5983ma(MagneticChip):
    """One chip, SET, and measuring nothing from the start."""

    def _reset(self) -> None:
        self._stop()
        self._bandwidth = 0
        self._polarity = 1
        self._remanence = np.zeros(3, np.int64)
        self._out = bytes(7)
        self._tout = 0
        self._done = 0
        self._temperature_ns: int | None = None

    def _write_byte(self, register: int, value: int) -> None:
        if register == _STATUS:
            self._done &= ~value
        elif register == _CONTROL_0:
            self._command(value)
        elif register == _CONTROL_1:
            if value & 0x80:  # SW_RST
                self._reset()
            self._bandwidth = value & 0x03
        elif register == _CONTROL_2:
            self._stop()
            rate_hz = _RATES_HZ[value & 0x07]
            if value & 0x08 and rate_hz:
                self._measure(rate_hz, _MEASUREMENT_S[self._bandwidth])

    def _command(self, value: int) -> None:
        if value & 0x18:
            self._polarity = 1 if value & 0x08 else -1
            self._remanence = np.zeros(3, np.int64)
        if value & 0x01:
            self._done &= ~0x01
            self._measure(None, _MEASUREMENT_S[self._bandwidth])
        elif value & 0x02:
            self._done &= ~0x02
            self._temperature_ns = self._now_ns + _TEMPERATURE_NS

    def _read_byte(self, register: int) -> int:
        if self._temperature_ns is not None and self._now_ns >= self._temperature_ns:
            self._tout = round((self._errors.temperature_c + 75.0) / 0.8)
            self._done |= 0x02
            self._temperature_ns = None
        if register < _TEMPERATURE:
            return self._out[register]
        if register == _TEMPERATURE:
            return self._tout
        if register == _STATUS:
            return 0x10 | self._done & ~self._measures()
        return 0x30 if register == _PRODUCT_ID else 0  # the control registers cannot be read

    def _measures(self) -> bool:
        """Whether a measurement of the field is under way."""
        begun_ns = self._next_ns - round(_MEASUREMENT_S[self._bandwidth] * 1e9)
        return begun_ns <= self._now_ns < self._next_ns

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        return np.rint(field * _LSB_PER_UT).astype(np.int64), np.any(np.abs(field) > 800, axis=1)

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        if too_strong:
            self._remanence = _REMANENCE
        bridge = self._polarity * counts + _BRIDGE_OFFSET + self._remanence
        x, y, z = np.clip(bridge + (1 << 17), 0, (1 << 18) - 1)
        low = int((x & 3) << 6 | (y & 3) << 4 | (z & 3) << 2)
        self._out = np.array([x >> 2, y >> 2, z >> 2], ">u2").tobytes() + bytes([low])
        self._done |= 0x01
        return True
