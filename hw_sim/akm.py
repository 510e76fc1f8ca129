"""What the simulated magnetometers of Asahi Kasei have in common.

A chip supplies its register map and the way it lies in its package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hw_sim.oscillator import Oscillator
from hw_sim.rotation import Floats
from hw_sim.scenario import MagErrors

Times = npt.NDArray[np.int64]
FieldAt = Callable[[Times], Floats]
"""Of N instants: the magnetic field in the axes of the IMU in the same package, uT, (N, 3)."""

_SINGLE = 0x01
_MEASUREMENT_S = 0.0072  # typical time for a measurement (section 5.3)
_NEVER = 1 << 62
_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class MagTruth:
    """What the chip measured, without its errors: uT in the axes of the IMU.

    `t_ns` is the middle of each measurement; `kept` tells those that reached the registers.
    """

    t_ns: Times
    field: Floats
    kept: npt.NDArray[np.bool_]


class AkmChip(ABC):
    """One chip, in power-down from the start. `on_bus` tells whether its bus leads to the host.

    `status`         the register ST1; data begin at the one behind it
    `end`            the register ST2, which releases the data
    `continuous_hz`  rates by mode
    `after`          where the register pointer goes where it does not go on by one
    """

    status: ClassVar[int]
    end: ClassVar[int]
    continuous_hz: ClassVar[Mapping[int, int]]
    after: ClassVar[Mapping[int, int]]

    def __init__(
        self,
        field: FieldAt,
        errors: MagErrors,
        start_ns: int,
        seed: int,
        on_bus: Callable[[], bool],
    ) -> None:
        self._field = field
        self._errors = errors
        self._on_bus = on_bus
        self._clock = Oscillator(
            errors.clock_ppm, errors.clock_drift_ppm, errors.clock_drift_period_s, start_ns
        )
        self._noise = np.random.default_rng(seed)
        self._times: list[tuple[Times, bool]] = []
        self._reset()

    @abstractmethod
    def _to_counts(self, field: Floats) -> Floats:
        """What the chip counts in a field in the axes of the IMU, (N, 3), before clipping."""

    @abstractmethod
    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        """Take one byte."""

    @abstractmethod
    def _read_other(self, register: int) -> int:
        """What registers say that are neither status nor data."""

    def truth(self) -> MagTruth:
        """Every measurement so far."""
        t_ns = np.concatenate([np.empty(0, np.int64), *(t for t, _ in self._times)])
        kept = np.zeros(len(t_ns), bool)
        if self._times:
            last = np.cumsum([len(t) for t, _ in self._times]) - 1
            kept[last] = [k for _, k in self._times]
        return MagTruth(t_ns, self._field(t_ns), kept)

    def answers(self) -> bool:
        return self._on_bus()

    def write(self, register: int, data: bytes, at_ns: int) -> None:
        self._advance(at_ns)
        for value in data:
            self._write_byte(register, value, at_ns)
            register = self.after.get(register, register + 1)

    def read(self, register: int, length: int, at_ns: int) -> bytes:
        self._advance(at_ns)
        out = bytearray()
        for _ in range(length):
            out.append(self._read_byte(register))
            register = self.after.get(register, register + 1)
        return bytes(out)

    def _reset(self) -> None:
        self._mode = 0
        self._next_ns = _NEVER
        self._data = bytes(6)
        self._ready = self._overrun = self._overflow = self._reading = False

    def _set_mode(self, mode: int, at_ns: int) -> None:
        self._mode, self._next_ns = mode, _NEVER
        self._origin_s = self._clock.chip_s(at_ns) + _MEASUREMENT_S
        self._made = 0
        if mode == _SINGLE or mode in self.continuous_hz:
            self._prepare()

    def _end(self, number: npt.NDArray[np.int64]) -> Times:
        """When the measurements of these numbers end."""
        return self._clock.host_ns(self._origin_s + number / self.continuous_hz.get(self._mode, 1))

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

    def _prepare(self) -> None:
        """Work out the next block of measurements: it costs hardly more than a single one."""
        count = 1 if self._mode == _SINGLE else _BLOCK
        ends = self._end(np.arange(self._made, self._made + count))
        self._made += count
        middles = ends - round(_MEASUREMENT_S / 2 * 1e9)
        field = self._field(middles) + self._errors.hard_iron_ut
        field += self._noise.standard_normal(field.shape) * self._errors.noise_ut
        raw = np.clip(np.rint(self._to_counts(field)), -32752, 32752).astype("<i2")
        self._block = (ends, middles, raw, np.abs(field).sum(axis=1) >= 4912)
        self._used, self._next_ns = 0, int(ends[0])

    def _advance(self, at_ns: int) -> None:
        """Make the measurements that have ended by `at_ns`; the last one is in the registers."""
        done: list[Times] = []
        while at_ns >= self._next_ns:
            ends, middles, raw, overflow = self._block
            stop = int(np.searchsorted(ends, at_ns, "right"))
            done.append(middles[self._used : stop])
            latest = raw[stop - 1].tobytes(), bool(overflow[stop - 1])
            if self._mode == _SINGLE:
                self._mode, self._next_ns = 0, _NEVER
            elif stop == len(ends):
                self._prepare()
            else:
                self._used, self._next_ns = stop, int(ends[stop])
        if not done:
            return
        times = np.concatenate(done)
        self._times.append((times, not self._reading))
        self._overrun = self._overrun or self._ready or self._reading or len(times) > 1
        if not self._reading:
            self._data, self._overflow = latest
            self._ready = True
