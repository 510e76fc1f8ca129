"""u-blox receivers: finding one on a line, and setting it up to say NAV-PVT at the rate we want.

Everything goes to the receiver's RAM: switched off and on it is as it was. Receivers from protocol
23.01 on (M9, M10, F9) take CFG-VALSET, those before CFG-RATE, CFG-MSG and CFG-PRT (interface
descriptions of u-blox M8, UBX-13003221, and M9, UBX-19035940, sections UBX-CFG and UBX-ACK).

A receiver with several ports is told for the one that we are at, which CFG-PRT tells; the others
may have a radio or another host behind them. Where it does not tell, as an M10, it is told for all
that it may be.

The traps: the baud rate is changed last, and the acknowledgement of that comes at the one rate or
the other, so traffic alone tells whether it has worked. A new receiver speaks at 9600 or 38400 baud
what at 10 fixes a second does not fit.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyubx2 import POLL, SET, UBXMessage

from drivers.gps_line import GpsLine
from drivers.gps_messages import UBX, Message
from drivers.receiver import DynamicModel

_log = logging.getLogger(__name__)

USUAL_BAUD_RATES = (9600, 38_400, 115_200, 230_400, 460_800)
"""Where to look for a receiver: how they leave the factory, and what they are set to."""

_ANSWER_NS = 600_000_000  # a poll is answered when the messages of an epoch are out
_ATTEMPTS = 2
_ACKNOWLEDGEMENT_NS = 1_000_000_000
_SWITCHING_NS = 200_000_000  # by then a receiver has read the message and changed its rate
_TRAFFIC_NS = 2_200_000_000  # two epochs of a receiver that stayed at one fix a second

_VALSET_SINCE = 23.01
_RAM = 1
_UBX_ALONE = b"\x01\x00"  # mask of protocols in CFG-PRT
_PORTS = {1: "UART1", 2: "UART2", 3: "USB"}
_UARTS = {"UART1", "UART2"}
_UART1_PORT = bytes.fromhex("01000000c0080000802500000300010000000000")
"""CFG-PRT of a receiver that does not tell its own: UART 1, 8 data bits, no parity, 1 stop bit."""

_MON_VER = b"\xb5\x62\x0a\x04"
_CFG_PRT = b"\xb5\x62\x06\x00"
_NAV_PVT = b"\xb5\x62\x01\x07"
_ACK = b"\xb5\x62\x05\x01"
_NAK = b"\xb5\x62\x05\x00"


_DYNAMIC_MODELS: Mapping[DynamicModel, int] = {
    "portable": 0,
    "stationary": 2,
    "pedestrian": 3,
    "automotive": 4,
    "sea": 5,
    "airborne1g": 6,
    "airborne2g": 7,
    "airborne4g": 8,
    "wrist": 9,
    "bike": 10,
}
"""In CFG-NAV5 and CFG-NAVSPG-DYNMODEL."""


@dataclass(frozen=True, slots=True)
class UbloxIdentity:
    """What a receiver says of itself in MON-VER."""

    software: str
    hardware: str
    extensions: tuple[str, ...]

    @property
    def protocol(self) -> float:
        """Version of the UBX protocol; 0 where it is not told, as by the sixth generation."""
        try:
            return float(self._extension("PROTVER"))
        except ValueError:
            return 0.0

    @property
    def description(self) -> dict[str, str]:
        """What a clip should remember."""
        told = {
            "module": self._extension("MOD"),
            "firmware": self._extension("FWVER"),
            "software": self.software,
            "hardware": self.hardware,
            "protocol": self._extension("PROTVER"),
        }
        return {"maker": "u-blox"} | {name: text for name, text in told.items() if text}

    def _extension(self, name: str) -> str:
        for text in self.extensions:
            if (match := re.fullmatch(rf"{name}[= ](.+)", text)) is not None:
                return match[1]
        return ""


def identity_from_mon_ver(raw: bytes) -> UbloxIdentity:
    """The identity in a UBX-MON-VER message: texts of 30, 10 and 30, 30, ... bytes."""
    payload = raw[6:-2]
    texts = [payload[:30], payload[30:40]]
    texts += [payload[at : at + 30] for at in range(40, len(payload), 30)]
    software, hardware, *extensions = (
        text.partition(b"\0")[0].decode("ascii", "replace").strip() for text in texts
    )
    return UbloxIdentity(software, hardware, tuple(extensions))


def set_up(line: GpsLine, rate_hz: int, model: DynamicModel | None = None) -> Mapping[str, str]:
    """Have a u-blox receiver send NAV-PVT alone, `rate_hz` times a second; what it says of itself.

    `model` says how what carries it moves; None leaves that as it is.

    The line's own baud rate is the one wanted; the receiver is looked for at the others too, and
    brought to it. One that does not answer is left alone, with the line at a rate at which it was
    heard, one warning, and nothing to be returned. DeviceError where the port has gone.
    """
    wanted_baud = line.baud
    identity = find(line)
    if identity is None:
        _log.warning(
            "%s: no u-blox receiver answers; whatever there is is read as it is, at %d baud",
            line.name,
            line.baud,
        )
        return {}
    if identity.protocol >= _VALSET_SINCE:
        refused = _configure_by_keys(line, rate_hz, model, wanted_baud)
    else:
        refused = _configure_by_messages(line, rate_hz, model, wanted_baud)
    if refused:
        _log.warning("%s: the receiver refuses %s", line.name, ", ".join(refused))
    elif not _says(line, _NAV_PVT):
        _log.warning("%s: the receiver sends no NAV-PVT: is it on another port?", line.name)
    return identity.description


def find(line: GpsLine) -> UbloxIdentity | None:
    """Ask at the line's own and the usual baud rates; leave the line at that of the answer.

    Where whole messages come and no answer, the rate is right and it is none of u-blox', or one
    that cannot hear us.
    """
    first = line.baud
    poll = UBXMessage("MON", "MON-VER", POLL).serialize()
    for baud in dict.fromkeys((first, *USUAL_BAUD_RATES)):
        if baud != line.baud:
            line.baud = baud
        before = line.counts.messages
        for _ in range(_ATTEMPTS):
            line.write(poll)
            for message in _messages(line, _ANSWER_NS):
                if message.raw.startswith(_MON_VER):
                    return identity_from_mon_ver(message.raw)
        if line.counts.messages > before:
            return None
    line.baud = first
    return None


def _configure_by_keys(
    line: GpsLine, rate_hz: int, model: DynamicModel | None, baud: int
) -> list[str]:
    """M9 and later; the names of what was refused."""
    own = _own_port(line)
    ports = [_PORTS[own[0]]] if own is not None and own[0] in _PORTS else list(_PORTS.values())
    at_port = {
        name: [
            (f"CFG_MSGOUT_UBX_NAV_PVT_{name}", 1),
            (f"CFG_{name}OUTPROT_UBX", 1),
            (f"CFG_{name}OUTPROT_NMEA", 0),
        ]
        for name in ports
    }
    taken = [_set(line, keys) for keys in at_port.values()]
    done = {" or ".join(ports): any(taken)}
    done["rate"] = _set(line, [("CFG_RATE_MEAS", 1000 // rate_hz), ("CFG_RATE_NAV", 1)])
    if model is not None:
        done["model"] = _set(line, [("CFG_NAVSPG_DYNMODEL", _DYNAMIC_MODELS[model])])
    if line.baud != baud and (uarts := [name for name in ports if name in _UARTS]):
        done["baud rate"] = any(
            _change_baud(line, _valset([(f"CFG_{name}_BAUDRATE", baud)]), baud) for name in uarts
        )
    return [f"CFG-VALSET ({name})" for name, taken in done.items() if not taken]


def _configure_by_messages(
    line: GpsLine, rate_hz: int, model: DynamicModel | None, baud: int
) -> list[str]:
    """u-blox 6 to M8; the names of what was refused."""
    port = bytearray(_own_port(line) or _UART1_PORT)
    port[14:16] = _UBX_ALONE
    steps = {
        "CFG-MSG": UBXMessage("CFG", "CFG-MSG", SET, payload=b"\x01\x07\x01"),  # at our own port
        "CFG-PRT": UBXMessage("CFG", "CFG-PRT", SET, payload=bytes(port)),
        "CFG-RATE": UBXMessage(
            "CFG", "CFG-RATE", SET, measRate=1000 // rate_hz, navRate=1, timeRef=0
        ),
    }
    if model is not None:
        code = _DYNAMIC_MODELS[model]
        steps["CFG-NAV5"] = UBXMessage("CFG", "CFG-NAV5", SET, dyn=1, dynModel=code)
    refused = [name for name, step in steps.items() if not _tell(line, step.serialize())]
    if line.baud != baud and _PORTS.get(port[0]) in _UARTS:
        port[8:12] = baud.to_bytes(4, "little")
        switch = UBXMessage("CFG", "CFG-PRT", SET, payload=bytes(port)).serialize()
        if not _change_baud(line, switch, baud):
            refused.append("its baud rate")
    return refused


def _own_port(line: GpsLine) -> bytes | None:
    """The settings of the port at which we are: the payload of CFG-PRT. None where it is not told.

    Receivers that take keys may have CFG-PRT still, for asking.
    """
    line.write(UBXMessage("CFG", "CFG-PRT", POLL).serialize())
    for message in _messages(line, _ACKNOWLEDGEMENT_NS):
        if message.raw.startswith(_CFG_PRT) and len(message.raw) == 8 + len(_UART1_PORT):
            return message.raw[6:-2]
        if message.raw.startswith(_NAK) and message.raw[6:8] == _CFG_PRT[2:]:
            return None
    return None


def _valset(keys: list[tuple[str, int]]) -> bytes:
    return bytes(UBXMessage.config_set(_RAM, 0, keys).serialize())


def _set(line: GpsLine, keys: list[tuple[str, int]]) -> bool:
    """Set keys, all or none of them; False where that is refused or never answered."""
    return _tell(line, _valset(keys))


def _tell(line: GpsLine, message: bytes) -> bool:
    """Send a setting until it is acknowledged; False where it is refused or never answered."""
    for _ in range(_ATTEMPTS):
        line.write(message)
        for answer in _messages(line, _ACKNOWLEDGEMENT_NS):
            if answer.raw[6:8] == message[2:4]:
                if answer.raw.startswith(_ACK):
                    return True
                if answer.raw.startswith(_NAK):
                    return False
    return False


def _change_baud(line: GpsLine, message: bytes, baud: int) -> bool:
    """Send what changes the rate and follow; False where that fails, the line where it answers."""
    before = line.baud
    for _ in range(_ATTEMPTS):
        line.write(message)
        for _ in _messages(line, _SWITCHING_NS):
            pass
        line.baud = baud
        if _says(line, UBX):
            return True
        line.baud = before
    find(line)
    return False


def _says(line: GpsLine, beginning: bytes) -> bool:
    """Whether a message that begins so comes within two seconds."""
    return any(message.raw.startswith(beginning) for message in _messages(line, _TRAFFIC_NS))


def _messages(line: GpsLine, duration_ns: int) -> Iterator[Message]:
    """What comes within so long a time."""
    until_ns = line.clock.now_ns() + duration_ns
    while line.clock.now_ns() < until_ns:
        if (message := line.read(until_ns)) is not None:
            yield message
