"""Sound beside the pictures: a microphone as a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camm import Packet
from daemon.sources import Delivery, Source
from drivers.clock import Clock
from drivers.microphone import Microphone


class SoundSource(Source):
    """The microphone. One that has gone leaves pictures alone; sound goes on when it is back."""

    required = False

    def __init__(self, microphone: Microphone, clock: Clock) -> None:
        super().__init__("microphone", clock)
        self._microphone = microphone
        self._last: Packet | None = None

    def open(self) -> None:
        self._microphone.open()

    def close(self) -> None:
        self._microphone.close()

    def describe(self) -> Mapping[str, Any]:
        return self._microphone.describe()

    def read(self) -> Delivery | None:
        packets = self._microphone.read()
        if not packets:
            return None
        for packet in packets:
            if self._last is not None:
                apart_ns = packet.pts_ns - self._last.pts_ns
                self._lost += max(round(apart_ns / packet.duration_ns) - 1, 0)
            self._last = packet
        self._delivered += len(packets)
        return Delivery(self.name, packets, packets[-1].pts_ns + 1, self.clock.now_ns())

    def rest(self) -> Delivery | None:
        """That nobody is to wait for it."""
        return Delivery(self.name, (), None, self.clock.now_ns())
