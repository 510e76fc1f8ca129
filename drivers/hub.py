"""A CEVA sensor hub on a bus: what it is, what it was asked to report, what it has reported.

There is one of these for each hub, whoever asks: its reports come in one stream, and of two that
read it each would have what is the other's.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError, WrongChip
from drivers.sh2 import Message, Sensor, Stream, pieces, read_input, set_feature
from drivers.shtp import Channel, Shtp, looks_like_a_hub

_RESET, _RESET_COMPLETE = b"\x01", b"\x01"  # on the executable's channel, to it and from it
_RESET_NS = 2_000_000_000  # in which it must have come up; some 0.2 s are usual
_ANSWER_NS = 1_000_000_000
_LOOK_NS = 2_000_000
_LOOKS = 1000  # for the identity, in transactions: there is no clock yet
_MOST = 100  # cargoes at a time
_ADDRESS_BITS, _HEADER_BITS = 10, 47  # of the transaction that reads a header


@dataclass(frozen=True, slots=True)
class Product:
    """What a hub says of itself."""

    firmware: str
    part: int


class Hub:
    """One hub. `probe` finds out what it is, `reset` begins; then `enable` and `pump`.

    `streams`    of the sensors that report
    `has_reset`  whether it has come up, though nobody told it to
    """

    def __init__(self, bus: I2CBus, address: int, name: str) -> None:
        self.bus = bus
        self.address = address
        self._name = name
        self._shtp = Shtp(bus, address, name)
        self._intervals_us: dict[Sensor, int] = {}
        self._granted_us: dict[int, int] = {}
        self._asked_ns: int | None = None
        self._unreadable = 0
        self.streams: dict[Sensor, Stream] = {}
        self.has_reset = False
        self.product = Product("", 0)

    @property
    def damaged(self) -> int:
        """Cargoes since the reset that were given up, in whole or in part."""
        return self._shtp.damaged + self._unreadable

    @property
    def description(self) -> dict[str, str | float]:
        """What the clip should remember of the hub, whatever sensor it is about."""
        return {
            "chip": self._name,
            "bus": self.bus.name,
            "address": f"0x{self.address:02x}",
            "firmware": self.product.firmware,
            "part": self.product.part,
        }

    def probe(self) -> None:
        """Ask for its identity. BusError, or WrongChip where something else answers.

        What it had to say before that is passed over.
        """
        if looks_like_a_hub(self.bus, self.address) and self._tells_product():
            return
        raise WrongChip(
            errno.ENODEV,
            f"what answers at 0x{self.address:02x} on {self.bus.name} does not tell a product as a "
            f"{self._name} does: name the chip that is fitted",
        )

    def reset(self, clock: Clock) -> None:
        """Bring it to where it begins; what was asked for is asked for again. BusError."""
        self._shtp.send(Channel.EXECUTABLE, _RESET)
        self.has_reset = False
        give_up_ns = clock.now_ns() + _RESET_NS
        while not self.has_reset:
            clock.sleep_until(clock.now_ns() + _LOOK_NS)
            try:
                self.pump(clock)
            except BusError as error:  # it does not answer while it comes up
                if clock.now_ns() > give_up_ns:
                    raise
                if error.errno not in (errno.ENXIO, errno.EREMOTEIO):
                    raise
            if clock.now_ns() > give_up_ns:
                raise self._silent("does not come up after a reset")
        self.has_reset = False
        self._shtp.damaged = self._unreadable = 0
        for stream in self.streams.values():
            stream.restart()
        for sensor, interval_us in self._intervals_us.items():
            self._ask(sensor, interval_us, clock)

    def enable(self, sensor: Sensor, interval_us: int, clock: Clock) -> float:
        """Have a sensor report, counted from 0; its rate in Hz, which the hub decides. BusError."""
        self._intervals_us[sensor] = interval_us
        granted_us = self._ask(sensor, interval_us, clock)
        self.streams[sensor] = Stream(granted_us * 1e3)
        return 1e6 / granted_us

    def disable(self, sensor: Sensor) -> None:
        """Have it report no more. BusError."""
        self._intervals_us.pop(sensor, None)
        self.streams.pop(sensor, None)
        self._shtp.send(Channel.CONTROL, set_feature(sensor, 0))

    def pump(self, clock: Clock) -> None:
        """Take in all that the hub has to say. BusError."""
        for _ in range(_MOST):
            began_ns = clock.now_ns()
            header = self._shtp.header()
            # The hub decides what to send once it is addressed.
            found_ns = began_ns + (clock.now_ns() - began_ns) * _ADDRESS_BITS // _HEADER_BITS
            since_ns = began_ns if self._asked_ns is None else self._asked_ns
            self._asked_ns = began_ns
            if header is None:
                return
            self._asked_ns = clock.now_ns()
            payload = self._shtp.cargo(header)
            if payload is None:
                continue
            try:
                self._hear(header.channel, payload, since_ns, found_ns)
            except ValueError:  # a bit was turned over on the way: the rest cannot be read
                self._unreadable += 1

    def _tells_product(self) -> bool:
        self._shtp.send(Channel.CONTROL, bytes([Message.PRODUCT_ID_REQUEST, 0]))
        try:
            for _ in range(_LOOKS):
                header = self._shtp.header()
                payload = self._shtp.cargo(header) if header else None
                if payload and payload[0] == Message.PRODUCT_ID_RESPONSE and len(payload) >= 16:
                    major, minor, part, _, patch = struct.unpack_from("<BBIIH", payload, 2)
                    self.product = Product(f"{major}.{minor}.{patch}", part)
                    return True
        except BusError as error:
            if error.errno != errno.EIO:  # a conversation without sense: with another chip
                raise
        return False

    def _hear(self, channel: int, payload: bytes, since_ns: int, found_ns: int) -> None:
        if channel in (Channel.INPUT, Channel.WAKE_INPUT):
            for report in read_input(payload):
                if (stream := self.streams.get(report.sensor)) is not None:
                    stream.take_in(report, since_ns, found_ns)
        elif channel == Channel.CONTROL:
            for piece in pieces(payload):
                if piece[0] == Message.FEATURE_RESPONSE:
                    self._granted_us[piece[1]] = int.from_bytes(piece[5:9], "little")
        elif channel == Channel.EXECUTABLE and payload == _RESET_COMPLETE:
            self.has_reset = True

    def _ask(self, sensor: Sensor, interval_us: int, clock: Clock) -> int:
        """Send the command and wait for what is granted, microseconds."""
        self._granted_us.pop(sensor, None)
        self._shtp.send(Channel.CONTROL, set_feature(sensor, interval_us))
        give_up_ns = clock.now_ns() + _ANSWER_NS
        while not (granted_us := self._granted_us.get(sensor, 0)):
            if clock.now_ns() > give_up_ns:
                raise self._silent(f"does not report its {sensor.name.lower().replace('_', ' ')}")
            clock.sleep_until(clock.now_ns() + _LOOK_NS)
            self.pump(clock)
        return granted_us

    def _silent(self, what: str) -> BusError:
        return BusError(
            errno.ETIMEDOUT,
            f"{self._name} at 0x{self.address:02x} on {self.bus.name} {what}: cut its power for a "
            "moment, check its wiring",
        )


def hub_at(bus: I2CBus, address: int, name: str) -> Hub:
    """The hub at an address of a bus: the same one for all who ask."""
    hubs = _HUBS.setdefault(bus, {})
    if address not in hubs:
        hubs[address] = Hub(bus, address, name)
    return hubs[address]


_HUBS: WeakKeyDictionary[I2CBus, dict[int, Hub]] = WeakKeyDictionary()
