"""What magnetometers without a FIFO have in common: looks, often enough to miss nothing.

A chip supplies tables (rates, ranges), how it is started and what one look at its registers says;
the rest is here. One chip is one file beside this one.

The trap: not every chip tells that a sample was overwritten, nor even that one is new. Time tells
it then (`drivers.looks`).
"""

from __future__ import annotations

import errno
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
from drivers.errors import BusError
from drivers.identities import wrong_magnetometer
from drivers.imu import MagBurst
from drivers.looks import Looks
from drivers.probing import first_found

_TEMPERATURE_EVERY_NS = 1_000_000_000
_SHARE, _SHARE_UNTOLD = 0.7, 0.45  # of a period between two looks that are not aimed


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
    field: npt.ArrayLike


class PolledMagnetometer(ABC):
    """A magnetometer that measures by itself. Made by `probe`; then as `drivers.imu.Magnetometer`.

    What a chip says of itself:

    `addresses`   that it can have, the usual one first
    `identity`    the register that tells who it is, and what it says
    `rates`       in Hz, the fastest first
    `ranges`      full scales in microtesla, each with its code and its LSB in microtesla
    `tells_overrun`  whether it tells that a sample was overwritten: where it does not, time must
                  tell one sample from the next
    `if_silent`   what to do where nothing answers

    `saturated` counts the samples that were thrown away because the field was too strong.
    """

    name: ClassVar[str]
    addresses: ClassVar[tuple[int, ...]]
    identity: ClassVar[tuple[int, bytes]]
    rates: ClassVar[Mapping[float, Rate]]
    ranges: ClassVar[Mapping[float, tuple[int, float]]]
    tells_overrun: ClassVar[bool] = True
    if_silent: ClassVar[str] = "check power and wiring"

    def __init__(self, bus: I2CBus, address: int) -> None:
        self._bus = bus
        self._address = address
        self._setup = self._choose(max(self.rates), min(self.ranges))
        self._looks = self._looks_at_samples()
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
        """See `Looks.interval_ns`."""
        return self._looks.interval_ns

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
        self._looks = self._looks_at_samples()
        self._lost = self.saturated = 0
        self._thermometer_ns = clock.now_ns()
        self._looks.begin(self._thermometer_ns)
        self._begin(self._setup)

    def read_burst(self, clock: Clock) -> MagBurst | None:
        """The sample that has come since the last call, as a burst of one."""
        asked = before = clock.now_ns()
        if asked >= self._thermometer_ns:
            self._thermometer_ns = asked + _TEMPERATURE_EVERY_NS
            self._temperature_c = self._read_temperature()
            before = clock.now_ns()
        try:
            look = self._look()
        except BusError:
            self._looks.doubt(asked)
            raise
        after = clock.now_ns()
        found = self._looks.look(
            asked,
            (before + after) // 2,
            after - before,
            new=look is not None,
            overrun=look is not None and look.overrun,
        )
        if look is None or found is None:
            return None
        self._lost += found.lost
        if look.saturated:
            self.saturated += 1
            return None
        lost, self._lost = self._lost, 0
        return MagBurst(
            first_count=found.count,
            field=np.array([look.field], np.float64),
            earliest_ns=found.earliest_ns,
            latest_ns=found.latest_ns,
            noise_ns=found.noise_ns,
            lost=lost,
            group_delay_ns=self._setup.delay_ns,
        )

    def close(self) -> None:
        with suppress(BusError):  # it is gone, or without power: it sleeps
            self._sleep()

    def _looks_at_samples(self) -> Looks:
        share = _SHARE if self.tells_overrun else _SHARE_UNTOLD
        return Looks(1e9 / self.rate_hz, share, aimed=self.tells_overrun)

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
