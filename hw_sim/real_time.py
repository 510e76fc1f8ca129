"""Simulated hardware in the host's own time, for processes that know of no other."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable

from hw_sim.clock import VirtualClock


class RealTimeClock(VirtualClock):
    """CLOCK_MONOTONIC, where the simulator expects its own clock; `utc_ns` is UTC when it is made.

    Nothing takes turns: who asks from outside, at whatever moment, finds chips and receiver as far
    as they have come by then.
    """

    def __init__(self, utc_ns: int) -> None:
        now_ns = time.monotonic_ns()
        super().__init__(now_ns, utc_ns)
        self._utc_ahead_ns = utc_ns - now_ns

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        return time.monotonic_ns() + self._utc_ahead_ns

    def sleep_until(self, t_ns: int) -> None:
        if (left := t_ns - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        left = max(0.0, (until_ns - time.monotonic_ns()) / 1e9)
        return bool(select.select([fd], [], [], left)[0])

    def wake(self, fd: int, unread: int = 0) -> None:
        """The reader is another process, and may have taken the bytes already."""

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def join(self, thread: threading.Thread) -> None:
        thread.join()
