"""What the simulated magnetometers of Asahi Kasei have in common.

A chip supplies its register map and the way it lies in its package.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from hw_sim.magnetic import Counts, Flags, MagneticChip
from hw_sim.rotation import Floats

_SINGLE = 0x01
_MEASUREMENT_S = 0.0072  # typical time for a measurement (section 5.3)


class AkmChip(MagneticChip):
    """One chip, in power-down from the start.

    `status`         the register ST1; data begin at the one behind it
    `end`            the register ST2, which releases the data
    `continuous_hz`  rates by mode
    `after`          where the register pointer goes where it does not go on by one
    """

    status: ClassVar[int]
    end: ClassVar[int]
    continuous_hz: ClassVar[Mapping[int, int]]
    after: ClassVar[Mapping[int, int]]

    @abstractmethod
    def _to_counts(self, field: Floats) -> Floats:
        """What the chip counts in a field in the axes of the IMU, (N, 3), before clipping."""

    @abstractmethod
    def _read_other(self, register: int) -> int:
        """What registers say that are neither status nor data."""

    def _after(self, register: int) -> int:
        return self.after.get(register, register + 1)

    def _reset(self) -> None:
        self._stop()
        self._mode = 0
        self._data = bytes(6)
        self._ready = self._overrun = self._overflow = self._reading = False

    def _set_mode(self, mode: int) -> None:
        self._mode = mode
        self._stop()
        if mode == _SINGLE or mode in self.continuous_hz:
            self._measure(self.continuous_hz.get(mode), _MEASUREMENT_S)

    def _read_byte(self, register: int) -> int:
        if register == self.status:
            return self._overrun << 1 | self._ready
        if self.status < register <= self.end:
            # Reading data holds it fast until ST2 is read; either takes the two flags back.
            self._ready = self._overrun = False
            self._reading = register != self.end
        if self.status < register <= self.status + 6:
            return self._data[register - self.status - 1]
        if register == self.end:
            return self._overflow << 3 | self._read_other(register)
        return self._read_other(register)

    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        counts = np.clip(np.rint(self._to_counts(field)), -32752, 32752).astype(np.int64)
        return counts, np.abs(field).sum(axis=1) >= 4912

    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        if self._mode == _SINGLE:
            self._mode = 0
        self._overrun = self._overrun or self._ready or self._reading or measured > 1
        if self._reading:
            return False
        self._data, self._overflow = counts.astype("<i2").tobytes(), too_strong
        self._ready = True
        return True
