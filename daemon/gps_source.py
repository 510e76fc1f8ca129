"""A GPS receiver as a source: its fixes, each at the moment that it is of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from camm import CammError, PacketType, Samples
from daemon.sources import APART_NS, Delivery, Source
from drivers.clock import Clock
from drivers.errors import EndOfSource
from drivers.gps_clock import GpsClock
from drivers.gps_fix import GpsFix, Latency
from drivers.receiver import Receiver

_LONGEST_WAIT_NS = 1_000_000_000
"""How long the first fixes wait for the fit of a receiver's clock to settle."""


@dataclass(frozen=True, slots=True)
class _UntilStopped:
    """A source's clock, on which nobody waits for bytes any more once the source is to stop."""

    clock: Clock
    stopped: Callable[[], bool]

    def now_ns(self) -> int:
        return self.clock.now_ns()

    def utc_ns(self) -> int:
        return self.clock.utc_ns()

    def sleep_until(self, t_ns: int) -> None:
        self.clock.sleep_until(t_ns)

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        if self.stopped():
            raise EndOfSource(0, "the source is to stop")
        return self.clock.wait_readable(fd, until_ns)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        return self.clock.thread(target, name)

    def join(self, thread: threading.Thread) -> None:
        self.clock.join(thread)


class GpsSource(Source):
    """A GPS receiver. `make` opens its port, `port` is what a person calls it.

    A fix is stamped with the moment of its GPS time, which the receiver's messages tell some tenths
    of a second later; `latency` says how many at the least and at the most. The first fixes wait
    for a few more, because one arrival alone may be late by all of that. `ended` tells of a
    replayed log that all of it has been sent. `identity` is what the host knows of the receiver.

    All fixes of a clip are of one kind: that of the first that is handed over, where the better one
    of those that waited wins. A receiver's first epoch is often heard from its middle on.
    """

    def __init__(
        self,
        clock: Clock,
        port: str,
        make: Callable[[Clock], Receiver],
        latency: Latency,
        ended: Callable[[], bool] = lambda: False,
        identity: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__("gps", clock)
        self._identity = identity
        self._port = port
        self._make = make
        self._latency = latency
        self._ended = ended
        self._receiver: Receiver | None = None
        self._gps_clock = GpsClock(latency)
        self._waiting: list[GpsFix] = []
        self._newest: GpsFix | None = None
        self._newest_ns = 0

    def open(self) -> None:
        # A receiver that has gone is looked for at every rate, for seconds: longer than a clip
        # that is to end can wait.
        self._receiver = self._make(_UntilStopped(self.clock, self.stopped))

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()

    def gps_time_ns_at(self, t_ns: int) -> int | None:
        """GPS time of a moment of CLOCK_MONOTONIC, by the newest fix; None before any."""
        if not self._newest_ns or self._newest is None:
            return None
        return self._newest.gps_time_ns + t_ns - self._newest_ns

    def describe(self) -> Mapping[str, Any]:
        receiver = self._receiver
        return {
            "port": self._port,
            **self._identity,
            **({**receiver.identity, **asdict(receiver.statistics)} if receiver else {}),
            **self._gps_clock.describe(),
        }

    def read(self) -> Delivery | None:
        if self._receiver is None:
            raise CammError("gps is not open")
        fix = self._receiver.read()
        if (pulse := self._receiver.newest_pulse()) is not None:
            self._gps_clock.take_pulse(*pulse)
        if fix is not None:
            self._take(fix)
            long_ns = fix.arrival_ns - self._waiting[0].arrival_ns if self._waiting else 0
            ready = self._gps_clock.settled or long_ns >= _LONGEST_WAIT_NS
            return self.rest() if ready else None
        if self._ended():
            raise EndOfSource(0, "the replayed receiver has said all")
        if self._waiting:
            return None
        # What comes later than this after its moment is late, whatever fragment it was meant for.
        now_ns = self.clock.now_ns()
        return Delivery(self.name, None, now_ns - 2 * self._latency.longest_ns, now_ns)

    def rest(self) -> Delivery | None:
        if not self._waiting:
            return None
        fixes, self._waiting = self._waiting, []
        t_ns = self._gps_clock.times(np.array([fix.gps_time_ns for fix in fixes]))
        t_ns = np.maximum(t_ns, self._newest_ns + APART_NS * (1 + np.arange(len(fixes))))
        self._newest_ns = int(t_ns[-1])
        self._delivered += len(fixes)
        block = Samples(fixes[0].kind, t_ns, np.concatenate([fix.values for fix in fixes]))
        return Delivery(self.name, block, self._newest_ns + 1, self.clock.now_ns())

    def _take(self, fix: GpsFix) -> None:
        """Note a fix, unless it was told before or is of another kind than those before it."""
        if fix.kind is PacketType.GPS and not self._newest_ns:
            better = [waiting for waiting in self._waiting if waiting.kind is fix.kind]
            self._lost += len(self._waiting) - len(better)
            self._waiting = better
            self._newest = better[-1] if better else None
        last = self._newest
        if last is not None and (fix.gps_time_ns <= last.gps_time_ns or fix.kind != last.kind):
            self._lost += 1
            return
        self._newest = fix
        self._waiting.append(fix)
        self._gps_clock.take_fix(fix)
