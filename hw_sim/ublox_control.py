"""What a u-blox receiver does with what the host sends: MON-VER, and settings.

By the interface descriptions of u-blox M8 (UBX-13003221), M9 (UBX-19035940), M10 (UBX-21035062) and
F9 (UBX-18010854): M8 takes CFG-PRT, CFG-RATE, CFG-MSG and CFG-NAV5, M10 CFG-VALSET, M9 and F9 both;
the F9 has two UARTs. The host is at one of the ports, and speaks of others in vain. Whatever
a receiver does not take it refuses with ACK-NAK. Settings live in RAM; `stored` says whether the
host asked for more than that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hw_sim.ublox import ubx

_MON_VER, _CFG_PRT, _CFG_VALSET = 0x0A04, 0x0600, 0x068A
_NAV_PVT = b"\x01\x07"
_RAM = 1
_LONGEST = 1024  # of what a host has to say

_RATE_MEAS, _RATE_NAV, _DYNAMIC_MODEL = 0x30210001, 0x30210002, 0x20110021


@dataclass(frozen=True, slots=True)
class _Port:
    """Its number in CFG-PRT, and the keys of its settings; a USB's rate is never looked at."""

    number: int
    baud: int
    ubx: int
    nmea: int
    pvt: int


_PORTS = {
    "UART1": _Port(1, 0x40520001, 0x10740001, 0x10740002, 0x20910007),
    "UART2": _Port(2, 0x40530001, 0x10760001, 0x10760002, 0x20910008),
    "USB": _Port(3, 0, 0x10780001, 0x10780002, 0x20910009),
}
_KEY_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
"""Size of a value by bits 28 to 30 of its key."""


@dataclass(frozen=True, slots=True)
class _Model:
    software: str
    hardware: str
    extensions: tuple[str, ...]
    messages: bool  # CFG-PRT, CFG-RATE, CFG-MSG
    keys: bool  # CFG-VALSET
    ports: tuple[str, ...]
    shortest_period_ms: int
    last_dynamic_model: int = 12


_MODELS = {
    "M8": _Model(
        "ROM CORE 3.01 (107888)",
        "00080000",
        ("FWVER=SPG 3.01", "PROTVER=18.00", "GPS;GLO;GAL;BDS", "SBAS;IMES;QZSS"),
        messages=True,
        keys=False,
        ports=("UART1", "USB"),
        shortest_period_ms=100,
        last_dynamic_model=9,
    ),
    "M9": _Model(
        "EXT CORE 4.04 (7f89f7)",
        "00190000",
        ("ROM BASE 0x118B2060", "FWVER=SPG 4.04", "PROTVER=32.01", "MOD=NEO-M9N"),
        messages=True,
        keys=True,
        ports=("UART1", "USB"),
        shortest_period_ms=40,
    ),
    "M10": _Model(
        "ROM SPG 5.10 (7b202e)",
        "000A0000",
        ("FWVER=SPG 5.10", "PROTVER=34.10", "GPS;GLO;GAL;BDS", "SBAS;QZSS"),
        messages=False,
        keys=True,
        ports=("UART1",),
        shortest_period_ms=40,
    ),
    "F9": _Model(
        "EXT CORE 1.00 (3fda8e)",
        "00190000",
        ("ROM BASE 0x118B2060", "FWVER=HPG 1.13", "PROTVER=27.12", "MOD=ZED-F9P"),
        messages=True,
        keys=True,
        ports=("UART1", "UART2", "USB"),
        shortest_period_ms=50,
    ),
}
GENERATIONS = tuple(_MODELS)


class UbloxControl:
    """A receiver's settings, and the answers to who asks for them or changes them.

    `baud`, `period_ms`, `ubx` (NAV-PVT goes out), `nmea` and `dynamic_model` are what holds at the
    moment, at the UART that the host is wired to.
    """

    def __init__(
        self,
        generation: str,
        *,
        baud: int,
        period_ms: int,
        ubx: bool,
        nmea: bool,
        port: str = "UART1",
    ) -> None:
        self._model = _MODELS[generation]
        self._own = _PORTS[port]
        self._heard = bytearray()
        self.stored = False
        # Whatever the language in which it is asked for, a setting is one of the keys of M9.
        self._settings = {_RATE_MEAS: period_ms, _RATE_NAV: 1, _DYNAMIC_MODEL: 0}
        for each in (_PORTS[name] for name in self._model.ports):
            own = each is self._own
            self._settings |= {
                each.ubx: 1,
                each.nmea: int(nmea or not own),
                each.pvt: int(ubx and own),
            }
            if each.baud:
                self._settings[each.baud] = baud if own else 38_400

    @property
    def baud(self) -> int:
        """Bits a second of the UART."""
        return self._settings[self._own.baud]

    @property
    def period_ms(self) -> int:
        """From one epoch to the next."""
        return self._settings[_RATE_MEAS]

    @property
    def ubx(self) -> bool:
        """Whether NAV-PVT goes out."""
        return self._settings[self._own.pvt] > 0 and self._settings[self._own.ubx] > 0

    @property
    def nmea(self) -> bool:
        """Whether NMEA sentences go out."""
        return self._settings[self._own.nmea] > 0

    @property
    def dynamic_model(self) -> int:
        """How what carries it moves, in the receiver's numbers."""
        return self._settings[_DYNAMIC_MODEL]

    def hear(self, data: bytes) -> bytes:
        """Take what came from the host; the answers."""
        self._heard += data
        return b"".join(self._obey(number, payload) for number, payload in self._frames())

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Message number and payload of the whole frames; what is no frame is passed over."""
        heard = self._heard
        while (start := heard.find(b"\xb5\x62")) >= 0:
            del heard[:start]
            size = 8 + int.from_bytes(heard[4:6], "little")
            if size > _LONGEST:
                del heard[:1]
                continue
            if len(heard) < max(8, size):
                return
            frame = ubx(heard[2], heard[3], bytes(heard[6 : size - 2]))
            whole = heard.startswith(frame)
            del heard[: size if whole else 1]
            if whole:
                yield frame[2] << 8 | frame[3], frame[6:-2]

    def _obey(self, number: int, payload: bytes) -> bytes:
        if number == _MON_VER:
            return self._version()
        if number >> 8 != _CFG_PRT >> 8:
            return b""
        model = self._model
        answer, change = b"", None
        if number == _CFG_VALSET and model.keys:
            change = self._by_keys(payload)
        elif number == _CFG_PRT and model.messages and not payload:
            answer, change = self._port(), {}
        elif model.messages:
            change = self._by_message(number, payload)
        if change is not None and self._legal(change):
            self._settings |= change
            return answer + ubx(0x05, 0x01, number.to_bytes(2, "big"))
        return ubx(0x05, 0x00, number.to_bytes(2, "big"))

    def _legal(self, change: dict[int, int]) -> bool:
        model = self._model
        dynamic = change.get(_DYNAMIC_MODEL, 0)
        return (
            change.get(_RATE_MEAS, 1000) >= model.shortest_period_ms
            and dynamic <= model.last_dynamic_model
            and dynamic != 1
        )

    def _version(self) -> bytes:
        model = self._model
        texts = [(model.software, 30), (model.hardware, 10), *((e, 30) for e in model.extensions)]
        payload = b"".join(text.encode().ljust(size, b"\0") for text, size in texts)
        return ubx(0x0A, 0x04, payload)

    def _port(self) -> bytes:
        own = self._own
        speaks = self._settings[own.ubx] | self._settings[own.nmea] << 1
        fields = (own.number, 0, 0, 0x8D0, self.baud, 7, speaks, 0, 0)
        return ubx(0x06, 0x00, struct.pack("<BBHIIHHHH", *fields))

    def _by_message(self, number: int, payload: bytes) -> dict[int, int] | None:
        """The settings that a message of the old kind changes; None where it cannot be taken."""
        own = self._own
        match number, len(payload):
            case (0x0600, 20) if payload[0] == own.number:
                return {
                    own.baud: int.from_bytes(payload[8:12], "little"),
                    own.ubx: payload[14] & 1,
                    own.nmea: payload[14] >> 1 & 1,
                }
            case (0x0601, 3 | 8) if payload[:2] == _NAV_PVT:
                return {own.pvt: payload[2 if len(payload) == 3 else 2 + own.number]}
            case (0x0608, 6):
                return {_RATE_MEAS: int.from_bytes(payload[:2], "little")}
            case (0x0624, 36):
                return {_DYNAMIC_MODEL: payload[2]} if payload[0] & 1 else {}
            case (0x0600, 20) | (0x0601, 3 | 8):
                return {}  # of another port, another message
        return None

    def _by_keys(self, payload: bytes) -> dict[int, int] | None:
        """The settings that CFG-VALSET changes: all of them, or none where one is unknown."""
        change, position = {}, 4
        while position < len(payload):
            key = int.from_bytes(payload[position : position + 4], "little")
            if key not in self._settings:
                return None
            size = _KEY_BYTES[key >> 28]
            position += 4 + size
            change[key] = int.from_bytes(payload[position - size : position], "little")
        self.stored |= payload[1] != _RAM
        return change
