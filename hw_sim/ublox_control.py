"""What a u-blox receiver does with what the host sends: MON-VER, and settings of its first UART.

By the interface descriptions of u-blox M8 (UBX-13003221), M9 (UBX-19035940), M10 (UBX-21035062): M8
takes CFG-PRT, CFG-RATE and CFG-MSG, M10 CFG-VALSET, M9 both. Whatever a receiver does not take it
refuses with ACK-NAK. Settings live in RAM; `stored` says whether the host asked for more than that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hw_sim.ublox import ubx

_MON_VER, _CFG_PRT, _CFG_VALSET = 0x0A04, 0x0600, 0x068A
_NAV_PVT = b"\x01\x07"
_UART1 = 1
_RAM = 1
_LONGEST = 1024  # of what a host has to say

_RATE_MEAS, _RATE_NAV, _UART1_BAUD = 0x30210001, 0x30210002, 0x40520001
_UART1_UBX, _UART1_NMEA, _UART1_PVT = 0x10740001, 0x10740002, 0x20910007
_USB_UBX, _USB_NMEA, _USB_PVT = 0x10780001, 0x10780002, 0x20910009
_KEY_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
"""Size of a value by bits 28 to 30 of its key."""


@dataclass(frozen=True, slots=True)
class _Model:
    software: str
    hardware: str
    extensions: tuple[str, ...]
    messages: bool  # CFG-PRT, CFG-RATE, CFG-MSG
    keys: bool  # CFG-VALSET
    usb: bool
    shortest_period_ms: int


_MODELS = {
    "M8": _Model(
        "ROM CORE 3.01 (107888)",
        "00080000",
        ("FWVER=SPG 3.01", "PROTVER=18.00", "GPS;GLO;GAL;BDS", "SBAS;IMES;QZSS"),
        messages=True,
        keys=False,
        usb=True,
        shortest_period_ms=100,
    ),
    "M9": _Model(
        "EXT CORE 4.04 (7f89f7)",
        "00190000",
        ("ROM BASE 0x118B2060", "FWVER=SPG 4.04", "PROTVER=32.01", "MOD=NEO-M9N"),
        messages=True,
        keys=True,
        usb=True,
        shortest_period_ms=40,
    ),
    "M10": _Model(
        "ROM SPG 5.10 (7b202e)",
        "000A0000",
        ("FWVER=SPG 5.10", "PROTVER=34.10", "GPS;GLO;GAL;BDS", "SBAS;QZSS"),
        messages=False,
        keys=True,
        usb=False,
        shortest_period_ms=40,
    ),
}
GENERATIONS = tuple(_MODELS)


class UbloxControl:
    """A receiver's settings, and the answers to who asks for them or changes them.

    `baud`, `period_ms`, `ubx` (NAV-PVT goes out) and `nmea` are what holds at the moment.
    """

    def __init__(
        self, generation: str, *, baud: int, period_ms: int, ubx: bool, nmea: bool
    ) -> None:
        self._model = _MODELS[generation]
        self._heard = bytearray()
        self.stored = False
        # Whatever the language in which it is asked for, a setting is one of the keys of M9.
        self._settings = {
            _RATE_MEAS: period_ms,
            _RATE_NAV: 1,
            _UART1_BAUD: baud,
            _UART1_UBX: 1,
            _UART1_NMEA: int(nmea),
            _UART1_PVT: int(ubx),
        }
        if self._model.usb:
            self._settings |= {_USB_UBX: 1, _USB_NMEA: 1, _USB_PVT: 0}

    @property
    def baud(self) -> int:
        """Bits a second of the UART."""
        return self._settings[_UART1_BAUD]

    @property
    def period_ms(self) -> int:
        """From one epoch to the next."""
        return self._settings[_RATE_MEAS]

    @property
    def ubx(self) -> bool:
        """Whether NAV-PVT goes out."""
        return self._settings[_UART1_PVT] > 0 and self._settings[_UART1_UBX] > 0

    @property
    def nmea(self) -> bool:
        """Whether NMEA sentences go out."""
        return self._settings[_UART1_NMEA] > 0

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
        if change is not None and change.get(_RATE_MEAS, 1000) >= model.shortest_period_ms:
            self._settings |= change
            return answer + ubx(0x05, 0x01, number.to_bytes(2, "big"))
        return ubx(0x05, 0x00, number.to_bytes(2, "big"))

    def _version(self) -> bytes:
        model = self._model
        texts = [(model.software, 30), (model.hardware, 10), *((e, 30) for e in model.extensions)]
        payload = b"".join(text.encode().ljust(size, b"\0") for text, size in texts)
        return ubx(0x0A, 0x04, payload)

    def _port(self) -> bytes:
        speaks = self._settings[_UART1_UBX] | self._settings[_UART1_NMEA] << 1
        fields = (_UART1, 0, 0, 0x8D0, self.baud, 7, speaks, 0, 0)
        return ubx(0x06, 0x00, struct.pack("<BBHIIHHHH", *fields))

    def _by_message(self, number: int, payload: bytes) -> dict[int, int] | None:
        """The settings that a message of the old kind changes; None where it cannot be taken."""
        match number, len(payload):
            case (0x0600, 20) if payload[0] == _UART1:
                return {
                    _UART1_BAUD: int.from_bytes(payload[8:12], "little"),
                    _UART1_UBX: payload[14] & 1,
                    _UART1_NMEA: payload[14] >> 1 & 1,
                }
            case (0x0601, 3 | 8) if payload[:2] == _NAV_PVT:
                return {_UART1_PVT: payload[2 if len(payload) == 3 else 2 + _UART1]}
            case (0x0608, 6):
                return {_RATE_MEAS: int.from_bytes(payload[:2], "little")}
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
