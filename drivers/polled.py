"""What magnetometers without a FIFO have in common: looks, often enough to miss nothing.

A chip supplies tables (rates, ranges), how it is started and what one look at its registers says;
the rest is here. One chip is one file beside this one.

The trap: not every chip tells that a sample was overwritten, nor even that one is new. Time tells
it then: the fit of the chip's clock knows which sample it must be.
"""

from __future__ import annotations

import errno
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError
from drivers.identities import wrong_magnetometer
from drivers.imu import MagBurst
from drivers.probing import first_found

_NOISE_NS = 20_000.0  # between the end of a measurement and data ready
_SPREAD = 1 / math.sqrt(12)  # one sigma of a moment that is only known to lie within a transaction
_TEMPERATURE_EVERY_NS = 1_000_000_000
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that a chip has: its code in the registers, and how long a measurement takes."""

    code: int
    measurement_ns: int


@dataclass(frozen=True, slots=True)
class MagSetup:
    """What a chip is set to, in physical values and in the codes of its registers.

    `range_ut` is the full scale, `lsb_ut` one count; `delay_ns` reaches from the middle of a
    measurement, which it is of, to its end.
    """

    rate_hz: float
    rate_code: int
    range_ut: float
    range_code: int
    lsb_ut: float
    delay_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the registers say: a new sample, whether others may have been overwritten before it.

    `saturated` tells of a field too strong. `field` is (3,), microtesla, in the axes printed on the
    package; of a magnetometer inside an IMU in the axes of that IMU.
    """

    overrun: bool
    saturated: bool
    field: npt.NDArray[np.float64]


class PolledMagnetometer(ABC):
    """A magnetometer that measures by itself. Made by `probe`; then as `drivers.imu.Magnetometer`.

    What a chip says of itself:

    `addresses`   that it can have, the usual one first
    `identity`    the register that tells who it is, and what it says
    `rates`       in Hz, the fastest first
    `ranges`      full scales in microtesla, each with its code and its LSB in microtesla
    `poll_share`  of a period between two looks: less where the chip tells no overrun, for time must
                  then tell one sample from the next
    `if_silent`   what to do where nothing answers

    `saturated` counts the samples that were thrown away because the field was too strong.
    """

    name: ClassVar[str]
    addresses: ClassVar[tuple[int, ...]]
    identity: ClassVar[tuple[int, bytes]]
    rates: ClassVar[Mapping[float, Rate]]
    ranges: ClassVar[Mapping[float, tuple[int, float]]]
    poll_share: ClassVar[float] = 0.7
    if_silent: ClassVar[str] = "check power and wiring"

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._setup = self._choose(max(self.rates), min(self.ranges))
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._polls = 0
        self._looked_ns = 0
        self._newest_count = -1
        self._unsure = False
        self._lost = 0
        self._temperature_c: float | None = None
        self._thermometer_ns = 0
        self.saturated = 0

    @classmethod
    def probe(cls, bus: I2CBus) -> Self:
        """Find the chip at any of the addresses that it can have.

        BusError where nothing answers or the kernel holds what is there, WrongChip where something
        else answers.
        """
        return first_found(
            bus, cls.name, cls.addresses, lambda address: cls._identify(bus, address), cls.if_silent
        )

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        """The chip at an address. WrongChip where it is none of this kind."""
        register, wanted = cls.identity
        found = bus.read(address, register, len(wanted))
        if found != wanted:
            raise wrong_magnetometer(bus, address, found, cls.name, f"is {wanted.hex(' ')}")
        return cls(bus, address)

    @abstractmethod
    def _reset(self, clock: Clock, setup: MagSetup) -> None:
        """Bring the chip to where only the mode is missing."""

    @abstractmethod
    def _begin(self, setup: MagSetup) -> None:
        """Let it measure: one transaction."""

    @abstractmethod
    def _look(self) -> Look | None:
        """Status and field, so that they belong together; None if nothing is new."""

    @abstractmethod
    def _sleep(self) -> None:
        """Stop measuring."""

    def _read_temperature(self) -> float | None:
        """What the chip's thermometer says, degrees Celsius; None where it cannot tell."""
        return self._temperature_c

    @property
    def rate_hz(self) -> float:
        return self._setup.rate_hz

    @property
    def poll_interval_ns(self) -> int:
        """A part of a period, different each time in a fixed pattern.

        Always shorter than the chip's period, so that no sample is missed, and never in step with
        it: every look then says something new about when the samples come.
        """
        usual = self.poll_share * 1e9 / self.rate_hz
        return round(usual * (0.75 + 0.5 * (self._polls * _GOLDEN % 1.0)))

    @property
    def description(self) -> Mapping[str, str | float]:
        known = {} if self._temperature_c is None else {"temperature_c": self._temperature_c}
        return {
            "chip": self.name,
            "bus": self._bus.name,
            "address": f"0x{self._address:02x}",
            "rate_hz": self._setup.rate_hz,
            "range_ut": self._setup.range_ut,
            "group_delay_ns": self._setup.delay_ns,
            **known,
        }

    def configure(self, clock: Clock, *, rate_hz: float = 100.0, range_ut: float = 130.0) -> None:
        """Reset the chip, set it up and let it measure.

        The default range is twice what the Earth's field comes to.
        """
        self._setup = self._choose(rate_hz, range_ut)
        self._temperature_c = None
        self._reset(clock, self._setup)
        self._fit = ClockFit(1e9 / self.rate_hz)
        self._newest_count = -1
        self._unsure = False
        self._lost = self.saturated = 0
        self._thermometer_ns = self._looked_ns = clock.now_ns()
        self._begin(self._setup)

    def read_burst(self, clock: Clock) -> MagBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        self._polls += 1
        if clock.now_ns() >= self._thermometer_ns:
            self._thermometer_ns = clock.now_ns() + _TEMPERATURE_EVERY_NS
            self._temperature_c = self._read_temperature()
        before = clock.now_ns()
        try:
            look = self._look()
        except BusError:
            self._unsure = True  # it may have taken a sample with it
            raise
        after = clock.now_ns()
        looked, noise = (before + after) // 2, _NOISE_NS + (after - before) * _SPREAD
        before_that, self._looked_ns = self._looked_ns, looked
        if look is None:
            return None
        # Not there at the last look, and the newest: less than a period old.
        earliest = max(before_that, looked - round(self._fit.longest_period_ns))
        if not self._fit.locked and earliest > before_that:
            # Nobody has looked yet, the other devices of a rig had to be opened: count from the
            # next one, of which more is known.
            return None
        count = self._count_of(earliest, looked, look.overrun)
        if count is None:
            return None
        self._lost += count - self._newest_count - 1
        self._newest_count = count
        self._fit.observe(count, earliest, looked, noise)
        if look.saturated:
            self.saturated += 1
            return None
        lost, self._lost = self._lost, 0
        return MagBurst(
            first_count=count,
            field=look.field[np.newaxis],
            earliest_ns=earliest,
            latest_ns=looked,
            noise_ns=noise,
            lost=lost,
            group_delay_ns=self._setup.delay_ns,
        )

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._sleep()

    def _count_of(self, earliest_ns: int, looked_ns: int, overrun: bool) -> int | None:
        """Which sample came between the two; None where it may be the one or the other of two.

        That one is given up, and the next, which is not in doubt, tells the count again.
        """
        following = self._newest_count + 1
        if not (self._fit.locked and (overrun or self._unsure)):
            return following
        reached = self._fit.count_at((earliest_ns + looked_ns) // 2)
        nearest = round(reached)
        # The sample's own count cannot be farther than this: then neither neighbour may be nearer.
        radius = ((looked_ns - earliest_ns) / 2 + 2.0 * self._fit.sigma_ns) / self._fit.period_ns
        doubtful = abs(reached - nearest) + radius > 1.0 or nearest < following
        self._unsure = overrun or doubtful
        return None if doubtful else nearest

    def _choose(self, rate_hz: float, range_ut: float) -> MagSetup:
        slowest, fastest, widest = min(self.rates), max(self.rates), max(self.ranges)
        if not slowest / 2 <= rate_hz <= fastest * 2:
            raise UsageError(
                f"{self.name} measures {slowest:g} to {fastest:g} times a second, asked for "
                f"{rate_hz:g} Hz"
            )
        if not 0 < range_ut <= widest:
            raise UsageError(
                f"{self.name} measures up to {widest:g} microtesla, asked for {range_ut:g}"
            )
        # The rates begin with the fastest: of two that are equally near it is taken.
        nearest = min(self.rates, key=lambda rate: abs(rate - rate_hz))
        narrowest = min(full for full in self.ranges if full >= range_ut)
        range_code, lsb_ut = self.ranges[narrowest]
        rate = self.rates[nearest]
        return MagSetup(nearest, rate.code, narrowest, range_code, lsb_ut, rate.measurement_ns // 2)

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
