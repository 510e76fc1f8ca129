"""What all motion sensors with a FIFO have in common: when to ask, what to count, what was lost.

A chip supplies tables (rates, ranges, filters) and a few register accesses; the rest is here. One
chip is one file beside this one. Chips with a counter of time say more of when samples were taken,
and so does an interrupt line: `drivers.dating`.

The traps: a FIFO that runs over keeps whole samples or it does not, but in either case nobody says
how many were lost, so it is emptied and the count goes on by what time says; a fault in the middle
of a read leaves it anywhere in a sample, which comes to the same; a program that is kept waiting
between asking for the fill level and reading may find another FIFO than the one it asked about.
"""

from __future__ import annotations

import errno
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.dating import Counter, Dating, InterruptEdges, Reading, StampedSamples
from drivers.errors import BusError
from drivers.imu import ImuBurst, Magnetometer
from drivers.interrupt import Interrupt
from drivers.probing import first_found

Words = npt.NDArray[np.int16]

_STANDARD_GRAVITY = 9.80665
_NOISE_NS = 20_000.0  # between the sample and its appearance in the count
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_LONGEST_POLL_NS = 20_000_000
_TEMPERATURE_EVERY_NS = 1_000_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True)
class LowPass:
    """A setting of a chip's low-pass filters: 3 dB bandwidths, its code in the registers.

    `delay_ns` is the gyroscope's group delay. An accelerometer's may differ by a millisecond; it
    tells the slow part of an orientation, where that does not count.
    """

    gyro_hz: float
    accel_hz: float
    code: int
    delay_ns: int


@dataclass(frozen=True, slots=True)
class Setup:
    """What a chip is set to, in physical values and in the codes of its registers.

    `interrupt_at` is how many samples in the FIFO make the first interrupt pin rise, active high; 1
    for each sample where there is no watermark, 0 for never.
    """

    rate_hz: float
    rate_code: int
    gyro_range_dps: float
    gyro_code: int
    gyro_lsb: float
    accel_range_g: float
    accel_code: int
    accel_lsb: float
    low_pass: LowPass
    interrupt_at: int = 0


class FifoImu(ABC):
    """A motion sensor at one address. Made by `probe`; then as `drivers.imu.Imu`.

    What a chip says of itself:

    `addresses`     that it can have, the usual one first
    `rates`         in Hz, each with its code in the registers
    `gyro_ranges`, `accel_ranges`  in deg/s and g, each with its code and its LSB for one of these
    `fifo_port`     the register that gives the FIFO's bytes, one after the other
    `sample_bytes`  of accelerometer and gyroscope together in the FIFO
    `fifo_bytes`    that the FIFO holds
    `watermark`     whether its interrupt pin tells that so many samples are in the FIFO (True), or
                    that there is another one (False); None where it is not used
    `keeps_oldest`  whether a full FIFO takes nothing more (True) or drops what is oldest, and be it
                    half a sample (False)
    `begins_badly`  whether the first sample after the FIFO was switched on is not to be relied on
    `longest_poll_ns`  between two looks without an interrupt line: where its counter is fine and
                    takes long to read, fewer of them keep its clock fitted
    `magnetometer`  finds the one that the configured chip lets through to the bus, where it has one
    """

    name: str
    addresses: ClassVar[tuple[int, ...]]
    rates: ClassVar[Mapping[float, int]]
    gyro_ranges: ClassVar[Mapping[float, tuple[int, float]]]
    accel_ranges: ClassVar[Mapping[float, tuple[int, float]]]
    fifo_port: ClassVar[int]
    sample_bytes: int
    fifo_bytes: int
    watermark: ClassVar[bool | None] = None
    keeps_oldest: bool = True
    begins_badly: ClassVar[bool] = False
    longest_poll_ns: ClassVar[int] = _LONGEST_POLL_NS
    magnetometer: Callable[[I2CBus], Magnetometer] | None = None

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._setup = self._choose(225.0, 1000.0, 8.0)
        self._poll_ns = self.longest_poll_ns
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._stamped: StampedSamples | None = None
        self._edges: InterruptEdges | None = None
        self._uncertain = False
        self._emptied_ns = 0
        self._next_count = 0
        self._lost = 0
        self._drained_ns = 0
        self._stale = False
        self._temperature_c: float | None = None
        self._thermometer_ns = 0

    @classmethod
    def probe(cls, bus: I2CBus, address: int | None = None) -> Self:
        """Find the chip at `address`, or at any of those that it can have.

        BusError where nothing answers or the kernel holds what is there, WrongChip where something
        else answers.
        """
        places = cls.addresses if address is None else (address,)
        return first_found(bus, cls.name, places, lambda place: cls._identify(bus, place))

    @classmethod
    @abstractmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        """The chip at an address. WrongChip where it is none of this kind."""

    @abstractmethod
    def _low_passes(self, rate_hz: float) -> Sequence[LowPass]:
        """The filters there are at a rate, widest first."""

    @abstractmethod
    def _start(self, clock: Clock, setup: Setup) -> None:
        """Reset the chip and let it sample, with its FIFO set up but filling nowhere yet."""

    @abstractmethod
    def _hold_fifo(self) -> None:
        """Empty the FIFO and keep it empty."""

    @abstractmethod
    def _release_fifo(self) -> None:
        """Let the FIFO fill: one transaction, which tells when that begins."""

    @abstractmethod
    def _filled(self) -> int:
        """How many bytes are in the FIFO: one transaction, which dates the newest sample."""

    @abstractmethod
    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        """Whole samples out of the FIFO: gyroscope and accelerometer, (N, 3), as the chip has them.

        BusError where the bytes are no samples.
        """

    @abstractmethod
    def _read_temperature(self) -> float:
        """What the chip's thermometer says, degrees Celsius."""

    @abstractmethod
    def _sleep(self) -> None:
        """Stop sampling."""

    def _counter(self, setup: Setup) -> Counter | None:
        """The counter that stamps the samples, so set up; None where there is none."""
        return None

    def _read_counter(self, clock: Clock) -> Reading:
        """What that counter shows."""
        raise NotImplementedError(f"{self.name} has no counter")

    def _stamps(self, raw: bytes) -> npt.NDArray[np.int64]:
        """What it showed at each of the samples out of the FIFO, int64 (N,)."""
        raise NotImplementedError(f"{self.name} has no stamps")

    @property
    def rate_hz(self) -> float:
        return self._setup.rate_hz

    @property
    def group_delay_ns(self) -> int:
        """How long the low-pass filter holds a movement back."""
        return self._setup.low_pass.delay_ns

    @property
    def poll_interval_ns(self) -> int:
        """Some whole periods and a golden section of one, at most half a FIFO.

        The polls so meet the samples at every phase, and it is the polls close to a sample that
        tell its time best. The period is the one that has been learnt: with the nominal one, a chip
        that is off by half a per cent keeps step with the polls for seconds.
        """
        return int(self._poll_periods(self._fit.period_ns) * self._fit.period_ns)

    @property
    def description(self) -> Mapping[str, str | float]:
        setup = self._setup
        known = {} if self._temperature_c is None else {"temperature_c": self._temperature_c}
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "rate_hz": setup.rate_hz,
            "gyro_range_dps": setup.gyro_range_dps,
            "accel_range_g": setup.accel_range_g,
            "gyro_bandwidth_hz": setup.low_pass.gyro_hz,
            "accel_bandwidth_hz": setup.low_pass.accel_hz,
            "group_delay_ns": setup.low_pass.delay_ns,
            "stamped_by": self._stamped_by,
            **known,
        }

    def configure(
        self,
        clock: Clock,
        *,
        rate_hz: float = 225.0,
        gyro_range_dps: float = 1000.0,
        accel_range_g: float = 8.0,
        low_pass_hz: float = math.inf,
        interrupt: Interrupt | None = None,
    ) -> None:
        """Reset the chip, set it up and start the FIFO.

        The rate becomes the nearest that the chip has, the filter the widest that lies below half
        of it and lets the gyroscope no more pass than `low_pass_hz`. `interrupt` is the line that
        the chip's first interrupt pin is wired to; it stays the caller's to close. UsageError for a
        range that the chip has not.
        """
        self._setup = self._choose(rate_hz, gyro_range_dps, accel_range_g, low_pass_hz)
        self._poll_ns = _LONGEST_POLL_NS if interrupt else self.longest_poll_ns
        if interrupt:
            self._setup = replace(self._setup, interrupt_at=self._interrupt_at())
        self._start(clock, self._setup)
        counter = self._counter(self._setup)
        self._stamped = StampedSamples(counter) if counter else None
        at = self._setup.interrupt_at if self.watermark else None
        self._edges = InterruptEdges(interrupt, self.name, at) if interrupt else None
        self._temperature_c = None
        self._thermometer_ns = clock.now_ns()
        self._begin_counting(clock)

    def read_burst(self, clock: Clock) -> ImuBurst | None:
        if self._stale:
            self._resume_counting(clock, kept=0)
        self._ask_thermometer(clock)
        before = clock.now_ns()
        filled = self._filled()
        after = clock.now_ns()
        looked, noise = (before + after) // 2, _NOISE_NS + (after - before) * _SPREAD
        count = min(filled // self.sample_bytes, self._fifo_samples)
        if not count:
            self._drained_ns = looked
            return None
        # Until the whole of it has come, a fault on the bus leaves the FIFO anywhere in a sample.
        self._stale = True
        reading = self._read_counter(clock) if self._stamped else None
        stamp: int | None = None
        if self._stamped and reading and self._stamped.aligned:
            stamp = self._stamped.stamp_of_newest(reading, before, self._fit)
            if stamp is None and self._uncertain and 2 * filled < self.fifo_bytes:
                self._stale = False
                return None  # the next look will tell how many were lost
        full = filled + self.sample_bytes > self.fifo_bytes
        if full and not self._next_count and not self._lost:
            # Nobody has looked yet, the other devices of a rig had to be opened: nothing is lost.
            self._begin_counting(clock)
            return None
        raw = self._read(self.fifo_port, count * self.sample_bytes)
        read_ns = clock.now_ns()
        gyro, accel = self._decode(raw)
        # What was free may have filled, and run over, before the reading began.
        late = read_ns - looked > (self._fifo_samples - count) * self._fit.shortest_period_ns
        if (full or late) and not self.keeps_oldest:
            self._resume_counting(clock, kept=0)
            return None
        # A full FIFO holds the oldest samples: its newest is from any time since the last look.
        a_period_ago = looked - round(self._fit.longest_period_ns)
        earliest = self._drained_ns if full else max(self._drained_ns, a_period_ago)
        dating = Dating(earliest, looked, noise)
        if self._stamped and reading:
            if not self._stamped.aligned:
                stamp = self._stamped.newest_of(self._stamps(raw))
            # The newest sample of a full FIFO is not the chip's, and is old.
            if stamp is not None and not full:
                dating = self._date_by_stamp(self._stamped, stamp, reading, count, dating)
            self._uncertain = False
        if self._edges and (self.watermark or not full):
            asked = before, after
            dating = self._edges.date(asked, self._emptied_ns, count, self._fit, dating)
        burst = ImuBurst(
            first_count=self._next_count,
            gyro=gyro.astype(np.float64) * math.radians(1.0 / self._setup.gyro_lsb),
            accel=accel.astype(np.float64) * (_STANDARD_GRAVITY / self._setup.accel_lsb),
            earliest_ns=dating.earliest_ns,
            latest_ns=dating.latest_ns,
            noise_ns=dating.noise_ns,
            lost=self._lost,
            group_delay_ns=self.group_delay_ns,
            temperature_c=self._temperature_c,
        )
        if full or late:
            self._resume_counting(clock, kept=count)
            self._lost -= burst.lost
            return burst
        self._next_count += count
        self._lost = 0
        self._drained_ns = looked
        self._emptied_ns = read_ns
        self._stale = False
        self._fit.observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
        return burst

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._sleep()

    def _interrupt_at(self) -> int:
        if self.watermark is None:
            raise UsageError(
                f"{self.name} is read without an interrupt line: leave `interrupt` out"
            )
        # All that come from poll to poll, of a chip that is some per cent slow: the line must have
        # been low again, and while the FIFO is read more come.
        periods = self._poll_periods(1e9 / self.rate_hz)
        return max(1, int(0.96 * periods)) if self.watermark else 1

    @property
    def _stamped_by(self) -> str:
        if self._edges and not self._edges.silent:
            return "interrupt"
        return "time stamps" if self._stamped else "polls"

    def _date_by_stamp(
        self, stamped: StampedSamples, stamp: int, reading: Reading, count: int, dating: Dating
    ) -> Dating:
        """The dating of the newest of `count` samples; a count that is time's is put right."""
        newest = self._next_count + count - 1
        dating = stamped.date(stamp, reading, newest, self._fit, dating)
        if self._uncertain:
            time_says = self._fit.count_at((dating.earliest_ns + dating.latest_ns) // 2)
            more = max(stamped.miscounted(newest, stamp, time_says), -self._lost)
            self._next_count += more
            self._lost += more
            newest += more
        stamped.remember(newest, stamp)
        return dating

    def _poll_periods(self, period_ns: float) -> float:
        most = min(self._poll_ns / period_ns, self._fifo_samples / 2)
        return max(0, math.floor(most - _GOLDEN)) + _GOLDEN

    @property
    def _fifo_samples(self) -> int:
        return self.fifo_bytes // self.sample_bytes

    def _ask_thermometer(self, clock: Clock) -> None:
        """Before the FIFO, where a fault on the bus costs nothing."""
        if clock.now_ns() >= self._thermometer_ns:
            self._thermometer_ns = clock.now_ns() + _TEMPERATURE_EVERY_NS
            self._temperature_c = self._read_temperature()

    def _begin_counting(self, clock: Clock) -> None:
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._next_count = self._lost = 0
        self._uncertain = False
        before, after = self._empty_fifo(clock)
        self._fit.observe(0, before, after + round(self._fit.longest_period_ns), _NOISE_NS)
        self._stale = False

    def _resume_counting(self, clock: Clock, kept: int) -> None:
        """Begin with an empty FIFO, the count of the next sample being what time says it is.

        `kept` samples came out of it whole. Until this has succeeded, nothing is counted as done.
        """
        # Half-way between two samples, so that there is no doubt which one comes next.
        coming = math.ceil(self._fit.count_at(clock.now_ns()))
        clock.sleep_until(self._fit.forecast(coming)[0] + round(self._fit.period_ns / 2))
        before, after = self._empty_fifo(clock)
        following = math.ceil(self._fit.count_at((before + after) // 2))
        self._lost += max(0, following - self._next_count - kept)
        self._next_count = max(following, self._next_count + kept)
        self._uncertain = True
        self._stale = False

    def _empty_fifo(self, clock: Clock) -> tuple[int, int]:
        """Reset the FIFO; the host time before and after the moment from which it fills again."""
        self._hold_fifo()
        before = clock.now_ns()
        self._release_fifo()
        after = clock.now_ns()
        if self.begins_badly:
            clock.sleep_until(after + round(self._fit.longest_period_ns))
            before = clock.now_ns()
            whole = self._filled() // self.sample_bytes * self.sample_bytes
            after = clock.now_ns()
            if whole:
                self._read(self.fifo_port, whole)
        self._drained_ns, self._emptied_ns = before, clock.now_ns()
        return before, after

    def _choose(
        self,
        rate_hz: float,
        gyro_range_dps: float,
        accel_range_g: float,
        low_pass_hz: float = math.inf,
    ) -> Setup:
        slowest, fastest = min(self.rates), max(self.rates)
        # Datasheets call a rate of 13.02 Hz 12.5.
        if not 0.95 * slowest <= rate_hz <= 1.05 * fastest:
            raise UsageError(
                f"{self.name} samples at {slowest:.1f} to {fastest:g} Hz, asked for {rate_hz:g}"
            )
        gyro_code, gyro_lsb = self._range(
            self.gyro_ranges, gyro_range_dps, "gyroscope range", "deg/s"
        )
        accel_code, accel_lsb = self._range(
            self.accel_ranges, accel_range_g, "accelerometer range", "g"
        )
        nearest = min(self.rates, key=lambda rate: abs(rate - rate_hz))
        filters = self._low_passes(nearest)
        narrow = (
            f
            for f in filters
            if max(f.gyro_hz, f.accel_hz) < nearest / 2 and f.gyro_hz <= low_pass_hz
        )
        return Setup(
            nearest,
            self.rates[nearest],
            gyro_range_dps,
            gyro_code,
            gyro_lsb,
            accel_range_g,
            accel_code,
            accel_lsb,
            next(narrow, filters[-1]),
        )

    def _range(
        self, table: Mapping[float, tuple[int, float]], value: float, what: str, unit: str
    ) -> tuple[int, float]:
        try:
            return table[value]
        except KeyError:
            legal = ", ".join(f"{key:g}" for key in table)
            raise UsageError(
                f"{what} of {self.name} is one of {legal} {unit}, asked for {value:g}"
            ) from None

    def _read(self, register: int, length: int) -> bytes:
        data = self._bus.read(self._address, register, length)
        if len(data) != length:
            raise BusError(
                errno.EIO,
                f"{self.name} at 0x{self._address:02x} on {self._bus.name} gave {len(data)} bytes, "
                f"asked for {length}: check the wiring",
            )
        return data

    def _write(self, register: int, *values: int) -> None:
        self._bus.write(self._address, register, *values)


def accel_then_gyro(raw: bytes) -> tuple[Words, Words]:
    """Samples as most chips of InvenSense store them: X Y Z each, 16 bits, high byte first."""
    words = np.frombuffer(raw, ">i2").reshape(-1, 6)
    return words[:, 3:], words[:, :3]
