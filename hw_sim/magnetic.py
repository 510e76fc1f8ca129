"""What all simulated magnetometers have in common: they measure, by their own clocks.

A chip supplies its registers, what it counts in a field, and what it does with a new sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw_sim.oscillator import Oscillator
from hw_sim.rotation import Floats
from hw_sim.scenario import MagErrors

Times = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
FieldAt = Callable[[Times], Floats]
"""Of N instants: the magnetic field in the axes of the package, uT, (N, 3).

For a magnetometer inside an IMU those are the IMU's.
"""

_NEVER = 1 << 62
_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class MagTruth:
    """What the chip measured, without its errors: uT in the axes of the package.

    `t_ns` is the middle of each measurement; `kept` tells those that reached the registers.
    """

    t_ns: Times
    field: Floats
    kept: Flags


class MagneticChip(ABC):
    """One chip, as it is after power-on. `on_bus` tells whether its bus leads to the host."""

    def __init__(
        self,
        field: FieldAt,
        errors: MagErrors,
        start_ns: int,
        seed: int,
        on_bus: Callable[[], bool] = lambda: True,
    ) -> None:
        self._field = field
        self._errors = errors
        self._on_bus = on_bus
        self._clock = Oscillator(
            errors.clock_ppm, errors.clock_drift_ppm, errors.clock_drift_period_s, start_ns
        )
        self._noise = np.random.default_rng(seed)
        self._times: deque[tuple[Times, bool]] = deque()
        self._now_ns = start_ns
        self._stop()
        self._reset()

    @abstractmethod
    def _reset(self) -> None:
        """Set the registers to what they are after power-on; it does not measure then."""

    @abstractmethod
    def _count(self, field: Floats) -> tuple[Counts, Flags]:
        """What the chip counts in fields (N, 3), and which of them are too strong for it."""

    @abstractmethod
    def _take(self, counts: Counts, too_strong: bool, measured: int) -> bool:
        """Put the newest sample into the registers, unless they are held; tell whether it is there.

        `measured` have ended since the last call; those before the newest are gone.
        """

    @abstractmethod
    def _write_byte(self, register: int, value: int) -> None:
        """Take one byte."""

    @abstractmethod
    def _read_byte(self, register: int) -> int:
        """Give one byte, with what reading it brings about."""

    def _after(self, register: int) -> int:
        """Where the register pointer goes from there."""
        return register + 1

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._times = deque(maxlen=0)

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
            self._write_byte(register, value)
            register = self._after(register)

    def read(self, register: int, length: int, at_ns: int) -> bytes:
        self._advance(at_ns)
        out = bytearray()
        for _ in range(length):
            out.append(self._read_byte(register))
            register = self._after(register)
        return bytes(out)

    def lose_power(self, at_ns: int, until_ns: int) -> None:
        self._advance(at_ns)
        self._stop()
        self._reset()

    def _stop(self) -> None:
        """No more measurements."""
        self._next_ns = _NEVER

    def _measure(
        self, rate_hz: float | None, measurement_s: float, first_s: float | None = None
    ) -> None:
        """Measure at that rate from now on, or once (None).

        The first measurement ends after `first_s`, or after the time that one takes.
        """
        self._rate_hz, self._measurement_s = rate_hz, measurement_s
        self._origin_s = self._clock.chip_s(self._now_ns) + (first_s or measurement_s)
        self._made = 0
        self._prepare()

    def _prepare(self) -> None:
        """Work out the next block of measurements: it costs hardly more than a single one."""
        count = _BLOCK if self._rate_hz else 1
        numbers = np.arange(self._made, self._made + count)
        self._made += count
        ends = self._clock.host_ns(self._origin_s + numbers / (self._rate_hz or 1))
        middles = ends - round(self._measurement_s / 2 * 1e9)
        field = self._field(middles) @ np.array(self._errors.soft_iron).T
        field += self._errors.hard_iron_ut
        field += self._noise.standard_normal(field.shape) * self._errors.noise_ut
        self._block = (ends, middles, *self._count(field))
        self._used, self._next_ns = 0, int(ends[0])

    def _advance(self, at_ns: int) -> None:
        """Make the measurements that have ended by `at_ns`; the last one is in the registers."""
        self._now_ns = at_ns
        done: list[Times] = []
        while at_ns >= self._next_ns:
            ends, middles, counts, too_strong = self._block
            stop = int(np.searchsorted(ends, at_ns, "right"))
            done.append(middles[self._used : stop])
            latest = counts[stop - 1], bool(too_strong[stop - 1])
            if stop < len(ends):
                self._used, self._next_ns = stop, int(ends[stop])
            elif self._rate_hz:
                self._prepare()
            else:
                self._stop()
        if done:
            times = np.concatenate(done)
            self._times.append((times, self._take(*latest, len(times))))
