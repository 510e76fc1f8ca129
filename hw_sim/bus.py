"""The simulated I2C bus: transactions take their time, and chips answer at the right instant."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Protocol

from drivers.bus import I2CBus
from drivers.errors import BusError
from hw_sim.clock import VirtualClock


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


class SimulatedI2C(I2CBus):
    """A bus of simulated chips, by 7-bit address, at a bit rate.

    A transaction occupies the bus for as many bits as it has on the wire; who comes meanwhile
    queues. What is not modelled: clock stretching, arbitration, the kernel's own overhead.
    """

    def __init__(
        self, clock: VirtualClock, devices: Mapping[int, Chip], bit_rate: int = 400_000
    ) -> None:
        self.name = "simulated bus"
        self._clock = clock
        self._devices = dict(devices)
        self._bit_rate = bit_rate
        self._free_ns = 0

    def transfer(self, address: int, out: bytes, read_length: int = 0) -> bytes:
        if not out:
            raise BusError(errno.EINVAL, f"{self.name}: a transaction begins with a register")
        while (start_ns := self._clock.now_ns()) < self._free_ns:
            self._clock.sleep_until(self._free_ns)
        chip = self._devices.get(address)
        if chip is None or not chip.answers():
            self._occupy(start_ns + self._bits_ns(1 + 9 + 1))  # start, address, no answer, stop
            raise BusError(errno.EREMOTEIO, f"nothing answers at 0x{address:02x} on {self.name}")
        # Start; the address and each byte with their acknowledge bit; a repeated start and the
        # address once more before the bytes read.
        data_ns = start_ns + self._bits_ns(1 + 9 * (1 + len(out)) + (10 if read_length else 0))
        self._occupy(data_ns + self._bits_ns(9 * read_length + 1))
        if len(out) > 1:
            chip.write(out[0], out[1:], data_ns)
        return chip.read(out[0], read_length, data_ns) if read_length else b""

    def close(self) -> None:
        """Leave the chips running: they belong to the rig."""

    def _bits_ns(self, bits: int) -> int:
        return bits * 1_000_000_000 // self._bit_rate

    def _occupy(self, until_ns: int) -> None:
        self._free_ns = until_ns
        self._clock.sleep_until(until_ns)
