"""The host of a rig: which devices it has, and whether its disk and its power will do.

Devices are seen by their names alone; nothing is opened and nothing is written to them.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.finding import Finding, error, warning

_GPSD = ("127.0.0.1", 2947)
_GPSD_PATIENCE_S = 0.3
_U_BLOX = 0x1546  # vendor on USB
_SYNC_BYTES = 1_000_000
_SLOW_SYNC_S = 0.5
_LITTLE_BYTES, _HARDLY_BYTES = 5_000_000_000, 500_000_000
_THROTTLING = {
    0: "its supply voltage is too low",
    1: "its processor is slowed down",
    2: "it is throttled",
    3: "it is too hot",
    16: "its supply voltage was too low",
    17: "its processor was slowed down",
    18: "it was throttled",
    19: "it was too hot",
}
"""Bits of a Raspberry Pi's get_throttled: now, and at some time since it was started."""
_SINCE_START = 16


@dataclass(frozen=True, slots=True)
class Places:
    """Where a host keeps what we look for, and where a clip would be written."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    folder: Path = Path()
    proc: Path = Path("/proc")


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port, and what the device at it says of itself; `receiver`: that it is one."""

    path: str
    name: str
    receiver: bool


@dataclass(frozen=True, slots=True)
class HostReading:
    """What a host has.

    `i2c`, `pps`, `gpio`  devices by path; `cameras` by path and name; `gpsd` whether one answers
    `free_bytes`          for clips; `sync_s` seconds until a megabyte is safe, None where nothing
                          can be written
    `throttled`           what a Raspberry Pi has to say of its power and heat
    `microphones`         devices of ALSA that take sound in: what `[camera.audio]` calls them, name
    """

    i2c: tuple[str, ...]
    serial: tuple[Port, ...]
    pps: tuple[str, ...]
    gpio: tuple[str, ...]
    cameras: tuple[tuple[str, str], ...]
    gpsd: bool
    free_bytes: int
    sync_s: float | None
    throttled: tuple[str, ...]
    microphones: tuple[tuple[str, str], ...] = ()


def examine_host(places: Places) -> tuple[HostReading, list[Finding]]:
    """What the host has, and what is wrong with it."""
    dev = places.dev
    reading = HostReading(
        i2c=_devices(dev, "i2c-"),
        serial=tuple(_ports(dev)),
        pps=_devices(dev, "pps"),
        gpio=_devices(dev, "gpiochip"),
        cameras=tuple(
            (path, _text(places.sys / "class/video4linux" / Path(path).name / "name"))
            for path in _devices(dev, "video")
        ),
        gpsd=_gpsd_answers(),
        free_bytes=shutil.disk_usage(places.folder).free,
        sync_s=_sync_s(places.folder),
        throttled=_throttled(places.sys),
        microphones=tuple(_microphones(places.proc / "asound")),
    )
    return reading, [*_permissions(reading), *_storage(reading, places.folder), *_power(reading)]


def _devices(dev: Path, beginning: str) -> tuple[str, ...]:
    """The numbered devices of a kind, in the order of their numbers."""
    found = [p for p in dev.glob(f"{beginning}*") if p.name[len(beginning) :].isdecimal()]
    return tuple(str(path) for path in sorted(found, key=lambda p: int(p.name[len(beginning) :])))


def _ports(dev: Path) -> Iterator[Port]:
    """The receivers first that have a name of their own, then what is at USB, then the header's."""
    from serial.tools.list_ports import comports

    seen = set()
    if (link := dev / "gps-ublox").exists():
        seen.add(os.path.realpath(link))
        yield Port(str(link), "u-blox", receiver=True)
    for port in sorted(comports(), key=lambda port: port.vid != _U_BLOX):
        # Of the many ports that a PC has by name only, most lead nowhere.
        if port.vid is not None and os.path.realpath(port.device) not in seen:
            seen.add(os.path.realpath(port.device))
            yield Port(port.device, port.description, port.vid == _U_BLOX)
    if (header := dev / "serial0").exists() and os.path.realpath(header) not in seen:
        yield Port(str(header), "UART of the header", receiver=True)


def _microphones(asound: Path) -> Iterator[tuple[str, str]]:
    """By the names of cards, which stay the same, unlike their numbers.

    Linux, Documentation/sound/designs/procfile.rst: `cards` has the number, [name], driver and
    title of each, `pcm` lines as "01-00: id : name : capture 1".
    """
    cards = {int(card): rest for card, *rest in _CARD.findall(_text(asound / "cards"))}
    for card, device, name, ways in _PCM.findall(_text(asound / "pcm")):
        if "capture" in ways and int(card) in cards:
            called, title = cards[int(card)]
            number = "" if int(device) == 0 else f",{int(device)}"
            yield f"plughw:{called}{number}", title.strip() or name


_CARD = re.compile(r"^\s*(\d+) \[(\w+)\s*\]: [^\n]*? -([^\n]*)", re.MULTILINE)
_PCM = re.compile(r"^(\d+)-(\d+): [^\n:]* : ([^\n]*?) :([^\n]*)", re.MULTILINE)


def _gpsd_answers() -> bool:
    try:
        socket.create_connection(_GPSD, _GPSD_PATIENCE_S).close()
    except OSError:
        return False
    return True


def _sync_s(folder: Path) -> float | None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_SYNC_BYTES))
            file.flush()
            begin = time.monotonic()
            os.fdatasync(file.fileno())
            return time.monotonic() - begin
    except OSError:
        return None


def _throttled(sys: Path) -> tuple[str, ...]:
    text = _text(sys / "devices/platform/soc/soc:firmware/get_throttled")
    try:
        bits = int(text, 16)
    except ValueError:
        return ()
    now = [name for bit, name in _THROTTLING.items() if bit < _SINCE_START and bits >> bit & 1]
    past = [name for bit, name in _THROTTLING.items() if bit >= _SINCE_START and bits >> bit & 1]
    return tuple(now or past)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _permissions(reading: HostReading) -> Iterator[Finding]:
    groups = {
        "i2c": reading.i2c,
        "dialout": [*(port.path for port in reading.serial), *reading.pps],
        "video": [path for path, _ in reading.cameras],
    }
    for group, paths in groups.items():
        if refused := [path for path in paths if not os.access(path, os.R_OK | os.W_OK)]:
            yield error(
                f"no permission for {', '.join(refused)}",
                "this user is not in the group that has it",
                f"sudo usermod -aG {group} $USER, then log in again",
            )


def _storage(reading: HostReading, folder: Path) -> Iterator[Finding]:
    where = folder.absolute()
    if reading.sync_s is None:
        yield error(f"nothing can be written to {where}", "", "record to another folder")
    elif reading.sync_s > _SLOW_SYNC_S:
        yield warning(
            f"it takes {reading.sync_s:.1f} s until a megabyte is safe in {where}",
            "a slow or worn card",
            "use a faster one, or nothing else beside the recording",
        )
    if reading.free_bytes < _LITTLE_BYTES:
        kind = error if reading.free_bytes < _HARDLY_BYTES else warning
        yield kind(
            f"{reading.free_bytes / 1e9:.1f} GB are free in {where}",
            "a minute of video takes up to 0.5 GB",
            "make room",
        )


def _power(reading: HostReading) -> Iterator[Finding]:
    if reading.throttled:
        yield warning(
            f"the Raspberry Pi says that {' and '.join(reading.throttled)}",
            "its power supply or cable is weak, or it is not cooled",
            "use its own supply, a short cable, a heat sink",
        )
