"""The transport of CEVA's sensor hubs over I2C: cargoes on channels, both ways.

Source: "Sensor Hub Transport Protocol", 1000-3535, and the BNO08X datasheet, 1000-3927. A cargo
begins with four bytes: its length with them (two bytes, the highest bit set where it continues
another), its channel, and a number that counts transfers on that channel. A read of fewer bytes
than there are leaves the rest for the next one, which begins with a header again.

The traps: the hub takes a write or gives to a read, it knows no repeated start; a header is read
alone first, so the cargo may come as a continuation of it; when there is nothing, zeros are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from drivers.bus import I2CBus
from drivers.stretching import garbled, transfer

_HEADER = struct.Struct("<HBB")
_CONTINUED = 0x8000
_LONGEST = 4096  # bytes: no cargo of a BNO08x is half as long, its advertisement has some 280
_PATIENCE = 16  # cargoes that make no sense, one after the other


class Channel(IntEnum):
    """What a cargo is about."""

    COMMAND = 0
    EXECUTABLE = 1
    CONTROL = 2
    INPUT = 3
    WAKE_INPUT = 4
    GYRO_ROTATION_VECTOR = 5


@dataclass(frozen=True, slots=True)
class Header:
    """What is there to be read: its length with the header, and whether it continues another."""

    length: int
    continued: bool
    channel: int

    @property
    def plausible(self) -> bool:
        return _HEADER.size < self.length <= _LONGEST and self.channel in set(Channel)


class Shtp:
    """The conversation with one hub.

    `damaged`  cargoes that were given up: pieces that do not fit, headers that cannot be
    """

    def __init__(self, bus: I2CBus, address: int, name: str) -> None:
        self._bus = bus
        self._address = address
        self._name = name
        self._sequence = dict.fromkeys(Channel, 0)
        self._senseless = 0
        self.damaged = 0

    def send(self, channel: Channel, payload: bytes) -> None:
        """One cargo to the hub, in one transfer."""
        header = _HEADER.pack(_HEADER.size + len(payload), channel, self._sequence[channel])
        self._sequence[channel] = (self._sequence[channel] + 1) & 0xFF
        self._bus.transfer(self._address, header + payload)

    def header(self) -> Header | None:
        """What waits to be read, None where nothing does. BusError."""
        return _header(transfer(self._bus, self._name, self._address, b"", _HEADER.size))

    def cargo(self, header: Header) -> bytes | None:
        """What that header promised; None where it is damaged or the rest of another.

        BusError where nothing has made sense for a while.
        """
        if header.plausible:
            data = transfer(self._bus, self._name, self._address, b"", header.length)
            again = _header(data)
            # The same once more, or a continuation of the four bytes that were read before.
            fits = again is not None and (again.length, again.channel) == (
                header.length,
                header.channel,
            )
            if fits and not header.continued:
                self._senseless = 0
                return data[_HEADER.size :]
        self.damaged += 1
        self._senseless += 1
        if self._senseless > _PATIENCE:
            raise garbled(self._bus, self._name, self._address, "nothing it sends makes sense")
        return None


def looks_like_a_hub(bus: I2CBus, address: int) -> bool:
    """Whether what can be read there may be a hub's header; nothing is written. BusError."""
    data = bus.transfer(address, b"", _HEADER.size)
    if len(data) != _HEADER.size:
        return False
    header = _header(data)
    return data == bytes(_HEADER.size) if header is None else header.plausible


def _header(data: bytes) -> Header | None:
    length, channel, _ = _HEADER.unpack_from(data)
    if not length:
        return None
    return Header(length & ~_CONTINUED, bool(length & _CONTINUED), channel)
