"""The camera: whatever delivers encoded pictures with a time for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from camm.media import Packet, StreamFormat


class Camera(Protocol):
    """A source of encoded video, with audio beside it where there is any.

    The caller opens it, reads until EndOfSource or until it has enough, and closes it. One thread.
    """

    @property
    def name(self) -> str:
        """How a person knows it: "/dev/video0", a file's name, "simulated camera"."""
        ...

    @property
    def formats(self) -> Sequence[StreamFormat]:
        """The streams, by the number that `Packet.stream` carries; video is stream 0. Once open."""
        ...

    def open(self) -> None:
        """Start it. DeviceError where it is not there or cannot do what was asked."""
        ...

    def read(self) -> Sequence[Packet]:
        """Wait for the next packets, in decoding order. EndOfSource after the last."""
        ...

    def close(self) -> None:
        """Stop it. Packets still in an encoder are given up. May be called twice."""
        ...
