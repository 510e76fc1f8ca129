"""Interrupt lines of sensors on the host's GPIO: the kernel says when each edge came.

It stamps in the interrupt itself, some microseconds after the edge and however busy the host is. No
look at a chip over the bus tells a time as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from drivers.gpio import DEVICES, request_line, require_gpiod

if TYPE_CHECKING:
    import gpiod

_BUFFERED = 256
"""Edges that the kernel keeps for us, the latest: a quarter of a second of samples at 1 kHz."""


class Interrupt(Protocol):
    """A line whose rising edges have times."""

    @property
    def name(self) -> str:
        """How a person knows it: "gpiochip0:17"."""
        ...

    def edges(self) -> list[int]:
        """When the line rose since the last call, CLOCK_MONOTONIC ns, oldest first. Never waits."""
        ...

    def close(self) -> None:
        """Give the line back. May be called twice."""
        ...


class GpioLine:
    """A GPIO line, held from when it is made until it is closed; `drivers.gpio` says how named.

    The line is pulled down, so that one without a wire stays quiet.

    DeviceError where `gpiod` is not installed, there is no such line, no permission, or somebody
    else holds it.
    """

    def __init__(self, name: str, devices: Path = DEVICES) -> None:
        require_gpiod(name)
        import gpiod

        self.name = name
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.INPUT,
            edge_detection=gpiod.line.Edge.RISING,
            bias=gpiod.line.Bias.PULL_DOWN,
            event_clock=gpiod.line.Clock.MONOTONIC,
        )
        self._request: gpiod.LineRequest | None
        self._request, _ = request_line(name, settings, devices, _BUFFERED)

    def edges(self) -> list[int]:
        """When the line rose since the last call, CLOCK_MONOTONIC ns, oldest first. Never waits."""
        request = self._request
        if request is None or not request.wait_edge_events(0):
            return []
        return [event.timestamp_ns for event in request.read_edge_events(_BUFFERED)]

    def close(self) -> None:
        """Give the line back. May be called twice."""
        if self._request is not None:
            self._request.release()
            self._request = None
