"""The host's time, as an object, so that a simulated rig can bring its own."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time as the sources see it: CLOCK_MONOTONIC on a rig, a simulated one on a simulated rig.

    Everything that waits in the recording path waits through this object, which is what lets a
    simulated recording run at any speed with the same result.
    """

    def now_ns(self) -> int:
        """CLOCK_MONOTONIC, nanoseconds: the one time scale of a rig."""
        ...

    def utc_ns(self) -> int:
        """The host's idea of UTC, nanoseconds since 1970: good for a name, never for a stamp."""
        ...

    def sleep_until(self, t_ns: int) -> None:
        """Return when `now_ns()` has reached `t_ns`; at once when it has passed."""
        ...

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        """Wait until bytes can be read from `fd` (True) or `until_ns` has come (False)."""
        ...

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """Start a thread that may wait through this clock."""
        ...

    def join(self, thread: threading.Thread) -> None:
        """Wait for the end of a thread made by `thread`."""
        ...


class HostClock:
    """The clock of a real rig: CLOCK_MONOTONIC, threads and sleeps of the operating system."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def utc_ns(self) -> int:
        return time.time_ns()

    def sleep_until(self, t_ns: int) -> None:
        if (left := t_ns - time.monotonic_ns()) > 0:
            time.sleep(left / 1e9)

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        left = max(0.0, (until_ns - time.monotonic_ns()) / 1e9)
        return bool(select.select([fd], [], [], left)[0])

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def join(self, thread: threading.Thread) -> None:
        thread.join()
