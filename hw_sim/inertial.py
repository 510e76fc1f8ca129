"""What simulated motion sensors have in common: samples that come by the chip's own clock.

A chip supplies its registers and its FIFO; when samples come, what they say and what was true of
them is here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw_sim.imperfection import Imperfection
from hw_sim.oscillator import Crystal, Oscillator
from hw_sim.rotation import Floats
from hw_sim.scenario import ImuErrors

Times = npt.NDArray[np.int64]
Raw = npt.NDArray[np.int16]
Motion = Callable[[Times], tuple[Floats, Floats]]
"""Of N instants: angular rate, rad/s, and specific force, m/s^2, in the chip's axes, (N, 3)."""

_NEVER = 1 << 62
_BLOCK = 256
_STANDARD_GRAVITY = 9.80665


@dataclass(frozen=True, slots=True, eq=False)
class ImuTruth:
    """What the chip measured, without its errors: chip axes, rad/s and m/s^2.

    The filters of the two sensors delay differently, hence two times for one sample. `in_fifo`
    tells the samples that went to the FIFO, whether or not anybody read them in time.
    """

    gyro_t_ns: Times
    gyro: Floats
    accel_t_ns: Times
    accel: Floats
    in_fifo: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sensor:
    """How one of the two sensors of a chip is set.

    It measures at `phase` and every `ticks` of the chip's clock after that. `lsb` is for one deg/s
    or one g. The filter is a delay and, for the noise, a bandwidth; its shape is not modelled.
    """

    on: bool
    ticks: int
    phase: int
    lsb: float
    delay_ns: int
    noise_hz: float


@dataclass(frozen=True, slots=True)
class Pin:
    """How the first interrupt pin is set: active high in any case.

    `level`        bytes in the FIFO at which it rises; 0: it rises with each sample
    `sample_bytes` of one sample in the FIFO
    `latched`      whether it stays high until the status is read, rather than for a moment
    """

    level: int
    sample_bytes: int
    latched: bool


class InertialChip(ABC):
    """One chip on the bus, powered from the start.

    Samples come into being when somebody looks, in blocks, as the chip's own clock would have made
    them up to then. They come at the gyroscope's rate (the accelerometer's where the gyroscope is
    off) with the accelerometer's latest value.
    """

    least = -32768
    """What a sample says that is beyond the range downwards."""

    def __init__(self, motion: Motion, errors: ImuErrors, start_ns: int, seed: int) -> None:
        self._motion = motion
        self._errors = errors
        self._imperfection = Imperfection(errors, start_ns, seed)
        self._clock: Crystal = Oscillator(
            errors.clock_ppm,
            errors.clock_drift_ppm,
            errors.clock_drift_period_s,
            start_ns,
            -errors.clock_ppm_per_c * errors.warm_up_c,
            errors.warm_up_s,
        )
        self._noise = np.random.default_rng(seed)
        self._times: deque[tuple[Times, Times, bool]] = deque()
        self._fifo = bytearray()
        self._busy_until_ns = self._settled_ns = self._looked_ns = start_ns
        self._next_ns = _NEVER
        self._rises: list[int] = []
        self._pin_held = False
        self._power_on(start_ns)

    @abstractmethod
    def _power_on(self, at_ns: int) -> None:
        """Give all registers their reset values."""

    @abstractmethod
    def _write_byte(self, register: int, value: int, at_ns: int) -> None:
        """Take one byte."""

    @abstractmethod
    def _read_byte(self, register: int) -> int:
        """Give one byte, with what reading it does."""

    @abstractmethod
    def _is_fifo(self, register: int) -> bool:
        """Whether this is the port of the FIFO, at which the register does not count on."""

    @abstractmethod
    def _pop(self, length: int) -> bytes:
        """So many bytes out of the FIFO."""

    @abstractmethod
    def _store(self, chip_s: Floats, raw: Raw) -> bool:
        """Put samples into the registers and, where enabled, into the FIFO; whether they were.

        Of each sample: when it was ready, in the chip's own seconds; accelerometer X Y Z and
        gyroscope X Y Z.
        """

    def _while_busy(self, register: int) -> int:
        """What is read during a reset."""
        return 0

    def run_by(self, crystal: Crystal) -> None:
        """Count by another crystal than the scenario's, from the next setting on."""
        self._clock = crystal

    def _pin(self) -> Pin | None:
        """The first interrupt pin, or None where it does not move."""
        return None

    @property
    def bypass(self) -> bool:
        """Whether the auxiliary bus is joined to the main one."""
        return False

    @property
    def temperature_c(self) -> float:
        """Of the chip, when somebody last looked at it."""
        return self._imperfection.temperature_c(self._looked_ns)

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._times = deque(maxlen=0)

    def truth(self) -> ImuTruth:
        """Every sample so far."""
        gyro_t = np.concatenate([np.empty(0, np.int64), *(g for g, _, _ in self._times)])
        accel_t = np.concatenate([np.empty(0, np.int64), *(a for _, a, _ in self._times)])
        in_fifo = np.repeat([f for *_, f in self._times], [len(g) for g, *_ in self._times])
        gyro, accel = self._motion(gyro_t)[0], self._motion(accel_t)[1]
        return ImuTruth(gyro_t, gyro, accel_t, accel, in_fifo.astype(bool))

    def answers(self) -> bool:
        return True

    def write(self, register: int, data: bytes, at_ns: int) -> None:
        self._advance(at_ns)
        if at_ns < self._busy_until_ns:
            return  # what is written during a reset is lost
        for value in data:
            self._write_byte(register, value, at_ns)
            if not self._is_fifo(register):
                register = (register + 1) & 0x7F

    def read(self, register: int, length: int, at_ns: int) -> bytes:
        self._advance(at_ns)
        if at_ns < self._busy_until_ns:
            return bytes(self._while_busy(register + i) for i in range(length))
        out = bytearray()
        while len(out) < length:
            if self._is_fifo(register):
                return bytes(out + self._pop(length - len(out)))
            out.append(self._read_byte(register))
            register = (register + 1) & 0x7F
        return bytes(out)

    def rises(self, until_ns: int) -> list[int]:
        """When the first interrupt pin went high since the last call, CLOCK_MONOTONIC ns."""
        self._advance(until_ns)
        rises = [rise for rise in self._rises if rise <= until_ns]
        self._rises = self._rises[len(rises) :]
        return rises

    def lose_power(self, at_ns: int, until_ns: int) -> None:
        self._advance(at_ns)
        self._busy_until_ns = self._settled_ns = until_ns
        self._power_on(until_ns)

    def _stop(self) -> None:
        """No more samples."""
        self._next_ns = _NEVER
        self._pin_held = False

    def _sample(self, ticks_a_second: int, gyro: Sensor, accel: Sensor, at_ns: int) -> None:
        """Begin sampling afresh, with these settings; or stop, where both sensors are off."""
        if not (gyro.on or accel.on):
            self._stop()
            return
        self._ticks_a_second, self._gyro, self._accel = ticks_a_second, gyro, accel
        self._ticks = gyro.ticks if gyro.on else accel.ticks
        e = self._errors
        self._sigma = np.repeat(
            [
                math.radians(e.gyro_noise_deg_s_rthz) * math.sqrt(gyro.noise_hz),
                e.accel_noise_m_s2_rthz * math.sqrt(accel.noise_hz),
            ],
            3,
        )
        self._lsb = np.repeat([gyro.lsb * math.degrees(1), accel.lsb / _STANDARD_GRAVITY], 3)
        period_s = self._ticks / ticks_a_second
        self._origin_s = self._clock.begin(max(at_ns, self._settled_ns), period_s, gyro.delay_ns)
        self._made = 0
        self._prepare()

    def _chip_s(self, ticks: npt.NDArray[np.int64]) -> Floats:
        return self._origin_s + ticks / self._ticks_a_second

    def _prepare(self) -> None:
        """Work out the next block of samples: it costs hardly more than a single one."""
        ticks = np.arange(self._made + 1, self._made + _BLOCK + 1) * self._ticks
        self._made += _BLOCK
        chip_s = self._chip_s(ticks)
        ready = self._clock.host_ns(chip_s)
        phase, period = self._accel.phase, self._accel.ticks
        accel_ticks = (ticks - phase) // period * period + phase
        gyro_t = ready - self._gyro.delay_ns
        accel_t = self._clock.host_ns(self._chip_s(accel_ticks)) - self._accel.delay_ns
        self._block = (ready, chip_s, gyro_t, accel_t, self._measure(gyro_t, accel_t))
        self._used, self._next_ns = 0, int(ready[0])

    def _measure(self, gyro_t: Times, accel_t: Times) -> Raw:
        rate, force = self._motion(np.concatenate([gyro_t, accel_t]))
        values = np.hstack(
            [
                self._imperfection.gyro(gyro_t, rate[: len(gyro_t)]),
                self._imperfection.accel(accel_t, force[len(gyro_t) :]),
            ]
        )
        values += self._noise.standard_normal(values.shape) * self._sigma
        raw = np.clip(np.rint(values * self._lsb), self.least, 32767).astype(np.int16)
        accel_then_gyro: Raw = np.hstack([raw[:, 3:], raw[:, :3]])
        accel_then_gyro[:, :3] *= self._accel.on
        accel_then_gyro[:, 3:] *= self._gyro.on
        return accel_then_gyro

    def _advance(self, at_ns: int) -> None:
        """Let the samples happen that are ready at `at_ns` and did not happen yet."""
        self._looked_ns = at_ns
        while at_ns >= self._next_ns:
            ready, chip_s, gyro_t, accel_t, raw = self._block
            now = slice(self._used, int(np.searchsorted(ready, at_ns, "right")))
            level = len(self._fifo)
            in_fifo = self._store(chip_s[now], raw[now])
            self._move_pin(ready[now], level, in_fifo)
            self._times.append((gyro_t[now], accel_t[now], in_fifo))
            if now.stop == _BLOCK:
                self._prepare()
            else:
                self._used, self._next_ns = now.stop, int(ready[now.stop])

    def _move_pin(self, ready: Times, level: int, in_fifo: bool) -> None:
        """What the coming of samples makes of the pin; `level` was in the FIFO before."""
        pin = self._pin()
        if pin is None or self._pin_held:
            return
        if not pin.level:
            rises = ready
        elif in_fifo and level < pin.level:
            rises = ready[-((level - pin.level) // pin.sample_bytes) - 1 :][:1]
        else:
            return
        self._rises += [int(rise) for rise in rises[: 1 if pin.latched else None]]
        self._pin_held = pin.latched and len(rises) > 0
