"""Lines of the host's GPIO, found by name; a button and a lamp on them. Through libgpiod's `gpiod`.

A line's name is "CHIP:LINE", with the number or the name of the line ("gpiochip0:17"), or a line's
name alone ("GPIO17"); a number alone is the line of that number on a Raspberry Pi's header.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from drivers.errors import DeviceError

if TYPE_CHECKING:
    import gpiod

DEVICES = Path("/dev")
_CONSUMER = "cammcorder"
_BOUNCE = timedelta(milliseconds=20)
"""Contacts of a push button bounce for some milliseconds; no finger is faster than this."""


class Button(Protocol):
    """Something that is pressed and let go."""

    def changes(self) -> list[tuple[int, bool]]:
        """Since the last call, oldest first: when (CLOCK_MONOTONIC ns) it was pressed (True) or let
        go. Never waits; DeviceError where the line has gone.
        """
        ...

    def close(self) -> None:
        """Give the line back. May be called twice."""
        ...


class Light(Protocol):
    """Something that shines or does not."""

    def shine(self, on: bool) -> None:
        """Switch it; DeviceError where the line has gone."""
        ...

    def close(self) -> None:
        """Dark, and the line given back. May be called twice."""
        ...


class GpioButton:
    """A push button between a line and ground; the kernel debounces it and dates its changes.

    DeviceError where `request_line` raises it.
    """

    def __init__(self, name: str, devices: Path = DEVICES) -> None:
        require_gpiod(name)
        import gpiod

        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.INPUT,
            edge_detection=gpiod.line.Edge.BOTH,
            bias=gpiod.line.Bias.PULL_UP,
            active_low=True,
            debounce_period=_BOUNCE,
            event_clock=gpiod.line.Clock.MONOTONIC,
        )
        self.name = name
        self._pressed = gpiod.EdgeEvent.Type.RISING_EDGE  # as `active_low` turns it
        self._request: gpiod.LineRequest | None = request_line(name, settings, devices)[0]

    def changes(self) -> list[tuple[int, bool]]:
        request = self._request
        try:
            if request is None or not request.wait_edge_events(0):
                return []
            events = request.read_edge_events()
        except OSError as error:
            raise refusal(self.name, error) from None
        return [(event.timestamp_ns, event.event_type == self._pressed) for event in events]

    def close(self) -> None:
        if self._request is not None:
            self._request.release()
            self._request = None


class GpioLight:
    """An LED with its resistor between a line and ground.

    DeviceError where `request_line` raises it.
    """

    def __init__(self, name: str, devices: Path = DEVICES) -> None:
        require_gpiod(name)
        import gpiod

        self.name = name
        self._values = (gpiod.line.Value.INACTIVE, gpiod.line.Value.ACTIVE)
        settings = gpiod.LineSettings(direction=gpiod.line.Direction.OUTPUT)
        self._request: gpiod.LineRequest | None
        self._request, self._line = request_line(name, settings, devices)

    def shine(self, on: bool) -> None:
        if self._request is None:
            return
        try:
            self._request.set_value(self._line, self._values[on])
        except OSError as error:
            raise refusal(self.name, error) from None

    def close(self) -> None:
        if self._request is not None:
            with suppress(DeviceError):  # a line that has gone is dark
                self.shine(False)
            self._request.release()
            self._request = None


def require_gpiod(name: str) -> None:
    """DeviceError where the package that reaches a line is not installed."""
    try:
        import gpiod  # noqa: F401 - whether it can be
    except ImportError:
        raise DeviceError(
            errno.ENOSYS, f"GPIO line {name} needs gpiod: pip install 'cammcorder[gpio]'"
        ) from None


def request_line(
    name: str, settings: gpiod.LineSettings, devices: Path, buffered: int | None = None
) -> tuple[gpiod.LineRequest, int]:
    """Hold a line from now on, and its number on its chip; so many of its edges are kept for us.

    DeviceError where there is no such line, no permission, or somebody else holds it.
    """
    import gpiod

    try:
        chip, line = _find(name, devices)
        request = gpiod.request_lines(
            str(chip),
            consumer=_CONSUMER,
            config={line: settings},
            event_buffer_size=buffered,
        )
    except (OSError, ValueError) as error:  # ValueError: beyond the chip's last line
        raise refusal(name, error) from None
    return request, line


def refusal(name: str, error: Exception) -> DeviceError:
    """What the kernel has against a line, in words."""
    number = getattr(error, "errno", None) or errno.ENOENT
    return DeviceError(number, _why(name, number))


def _find(name: str, devices: Path) -> tuple[Path, int]:
    """The chip's device and the line's number on it. OSError where there is no such line."""
    import gpiod

    chip, colon, line = name.rpartition(":")
    if colon:
        candidates = [(devices / chip, line)]
    else:
        chips = sorted(devices.glob("gpiochip*"))
        label = f"GPIO{line}" if line.isdecimal() else line
        candidates = [(path, label) for path in chips]
    for path, label in candidates:
        with gpiod.Chip(str(path)) as opened:
            try:
                return path, opened.line_offset_from_id(label)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
    raise FileNotFoundError(errno.ENOENT, "no such line")


def _why(name: str, number: int) -> str:
    if number == errno.EBUSY:
        return f"GPIO line {name} is held by another program or a driver (gpioinfo tells)"
    if number == errno.EACCES:
        return f"no permission for GPIO line {name}: add this user to the group gpio"
    if number == errno.ENOENT:
        return f"there is no GPIO line {name}: gpioinfo lists those that there are"
    return f"GPIO line {name}: {errno.errorcode.get(number, number)}"
