"""The simulated I2C bus: transactions take their time, and chips answer at the right instant."""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from drivers.bus import I2CBus
from drivers.errors import BusError
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults

_TIMEOUT_NS = 1_000_000_000  # the kernel's patience with an adapter
_NOTHING_BREAKS = Faults()


class Chip(Protocol):
    """What stands at an address: registers that a master writes and reads.

    `at_ns` is the simulated moment of the data phase and never goes back. The chip itself counts
    the register on, or does not (a FIFO port), as the real one would.
    """

    def answers(self) -> bool:
        """Whether the chip acknowledges its address."""
        ...

    def write(self, register: int, data: bytes, at_ns: int) -> None:
        """Take bytes for `register` and those behind it."""
        ...

    def read(self, register: int, length: int, at_ns: int) -> bytes:
        """Give `length` bytes from `register` on."""
        ...

    def lose_power(self, at_ns: int, until_ns: int) -> None:
        """Have been without power for a time: it has measured nothing and forgotten everything."""
        ...


@runtime_checkable
class MessageChip(Protocol):
    """A chip without registers: it takes messages and gives some. The rest as `Chip`."""

    def answers(self) -> bool: ...

    def lose_power(self, at_ns: int, until_ns: int) -> None: ...

    def exchange(self, out: bytes, length: int, at_ns: int) -> bytes:
        """Take the bytes of a write, or give `length` bytes to a read."""
        ...


class SimulatedI2C(I2CBus):
    """A bus of simulated chips, by 7-bit address, at a bit rate.

    A transaction occupies the bus for as many bits as it has on the wire; who comes meanwhile
    queues. What is not modelled: clock stretching, arbitration, the kernel's own overhead.

    `faults` happen to the bus, and to the chips by what `parts` calls their addresses.
    """

    def __init__(
        self,
        clock: VirtualClock,
        devices: Mapping[int, Chip | MessageChip],
        bit_rate: int = 400_000,
        *,
        faults: Faults = _NOTHING_BREAKS,
        parts: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.name = "simulated bus"
        self._clock = clock
        self._devices = dict(devices)
        self._registers: dict[int, int] = {}  # the last that each was asked for
        self.bit_rate = bit_rate
        self._free_ns = 0
        self._faults = faults
        self._parts = dict(parts)
        self._chance = random.Random(bit_rate)  # noqa: S311 - not for secrets
        self._told = dict.fromkeys(self._parts, 0)

    def transfer(self, address: int, out: bytes, read_length: int = 0) -> bytes:
        chip = self._devices.get(address)
        while (start_ns := self._clock.now_ns()) < self._free_ns:
            self._clock.sleep_until(self._free_ns)
        self._lose_power(start_ns)
        if self._faults.at("bus_stuck", "bus", start_ns):
            self._occupy(start_ns + _TIMEOUT_NS)
            raise BusError(errno.ETIMEDOUT, f"{self.name} timed out at 0x{address:02x}")
        part = self._parts.get(address, "")
        if chip is None or not chip.answers() or self._is_deaf(part, start_ns):
            self._occupy(start_ns + self._bits_ns(1 + 9 + 1))  # start, address, no answer, stop
            raise BusError(errno.EREMOTEIO, f"nothing answers at 0x{address:02x} on {self.name}")
        # Start; the address and each byte with their acknowledge bit; a repeated start and the
        # address once more before the bytes read, if others were written.
        again = 10 if out and read_length else 0
        data_ns = start_ns + self._bits_ns(1 + 9 * (1 + len(out)) + again)
        self._occupy(data_ns + self._bits_ns(9 * read_length + 1))
        if isinstance(chip, MessageChip):
            data = chip.exchange(out, read_length, data_ns)
        else:
            if out:
                self._registers[address] = out[0]
            if len(out) > 1:
                chip.write(out[0], out[1:], data_ns)
            register = self._registers.get(address, 0)
            data = chip.read(register, read_length, data_ns) if read_length else b""
        return data[:-1] if self._faults.at("short_read", part, start_ns) else data

    def close(self) -> None:
        """Leave the chips running: they belong to the rig."""

    def _is_deaf(self, part: str, at_ns: int) -> bool:
        """Whether a part does not acknowledge its address for a fault."""
        nack = self._faults.at("nack", part, at_ns)
        if nack is not None and (nack.chance == 1 or self._chance.random() < nack.chance):
            return True
        return self._faults.at("unplug", part, at_ns) is not None

    def _lose_power(self, now_ns: int) -> None:
        """Let the chips know of the times that they have been unplugged, or are."""
        for address, part in self._parts.items():
            for span in self._faults.of("unplug", part)[self._told[address] :]:
                if span.start_ns <= now_ns:
                    self._devices[address].lose_power(span.start_ns, span.end_ns)
                    self._told[address] += 1

    def _bits_ns(self, bits: int) -> int:
        return bits * 1_000_000_000 // self.bit_rate

    def _occupy(self, until_ns: int) -> None:
        self._free_ns = until_ns
        self._clock.sleep_until(until_ns)
