"""Simulated time: a clock that moves only when everybody waits for it.

The threads of a recording (sources, simulated receiver, the session itself) take turns: exactly one
runs, the others wait through the clock, and when the running one waits too, time jumps to the
earliest moment that anybody waits for. What a recording contains then depends on the scenario alone
and not on the host's load, and pacing against real time is a matter of sleeping before each jump.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import struct
import termios
import threading
import time
from collections.abc import Callable

_CALLED = -2


class _Waiter:
    """One thread's place in the queue; `ticket` tells its valid entry from cancelled ones, and is
    None once the thread has given up waiting.

    The thread waits for a lock that is held until its turn has come. A switch between threads is
    the unit of work here, thousands a second, and nothing is as quick as a bare lock.
    """

    __slots__ = ("called", "name", "parked", "ticket", "turn")

    def __init__(self, name: str | None = None) -> None:
        self.name = name or threading.current_thread().name
        self.turn = threading.Lock()
        self.turn.acquire()
        self.called = self.parked = False
        self.ticket: int | None = -1


class VirtualClock:
    """A `drivers.clock.Clock` in simulated time.

    `start_ns`  what `now_ns` says first
    `utc_ns`    UTC at that moment, nanoseconds since 1970
    `speed`     simulated seconds a second; None: as fast as the host can. May be set at any time.

    The thread that makes the clock takes part in it: time stands still while it works. Threads that
    only compute (a writer fed by a queue) need not take part.
    """

    def __init__(self, start_ns: int, utc_ns: int, speed: float | None = None) -> None:
        self._now_ns = start_ns
        self._utc_offset_ns = utc_ns - start_ns
        self._lock = threading.Lock()
        self._queue: list[tuple[int, int, _Waiter]] = []
        self._tickets = itertools.count()
        self._running = 1
        self._readers: dict[int, _Waiter] = {}
        self._alive: dict[threading.Thread, list[_Waiter]] = {}
        self._stalls: dict[str, list[tuple[int, int]]] = {}
        self.speed = speed

    @property
    def speed(self) -> float | None:
        """Simulated seconds a second of the host; None where nothing holds it back."""
        return self._speed

    @speed.setter
    def speed(self, speed: float | None) -> None:
        self._speed = speed
        self._anchor = (self._now_ns, time.monotonic_ns())

    def now_ns(self) -> int:
        return self._now_ns

    def utc_ns(self) -> int:
        return self._now_ns + self._utc_offset_ns

    def sleep_until(self, t_ns: int) -> None:
        if t_ns > self._now_ns:
            self._wait(_Waiter(), t_ns)

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        if unread_bytes(fd) or until_ns <= self._now_ns:
            return unread_bytes(fd) > 0
        waiter = _Waiter()
        device = os.fstat(fd).st_rdev
        self._readers[device] = waiter
        try:
            self._wait(waiter, until_ns)
        finally:
            self._readers.pop(device, None)
        return unread_bytes(fd) > 0

    def wake(self, fd: int, unread: int = 0) -> None:
        """Say that bytes have come in for the terminal behind `fd`: its reader is due now.

        `unread` is how many it has then. The kernel moves them to its queue in a worker of its own,
        within microseconds; until it has, time stands still.
        """
        deadline = time.monotonic() + 0.5
        while unread_bytes(fd) < unread and time.monotonic() < deadline:
            time.sleep(20e-6)
        with self._lock:
            waiter = self._readers.pop(os.fstat(fd).st_rdev, None)
            if waiter is not None:
                self._enqueue(waiter, self._now_ns)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        first = _Waiter(name)

        def run() -> None:
            first.turn.acquire()
            try:
                target()
            finally:
                with self._lock:
                    for waiter in self._alive.pop(thread):
                        self._enqueue(waiter, self._now_ns)
                    self._give_up_turn(first)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._alive[thread] = []
        with self._lock:
            self._enqueue(first, self._now_ns)
        thread.start()
        return thread

    def stall(self, name: str, start_ns: int, end_ns: int) -> None:
        """Let no thread of this name run in that time, as a busy host may."""
        self._stalls.setdefault(name, []).append((start_ns, end_ns))

    def join(self, thread: threading.Thread) -> None:
        waiter = _Waiter()
        with self._lock:
            alive = thread in self._alive
            if alive:
                self._alive[thread].append(waiter)
        if alive:
            self._wait(waiter, None)
        thread.join()

    def _wait(self, waiter: _Waiter, until_ns: int | None) -> None:
        """Give up the turn, and get it back at a time, or when somebody enqueues the waiter."""
        try:
            with self._lock:
                if until_ns is not None:
                    self._enqueue(waiter, until_ns)
                self._give_up_turn(waiter)
            waiter.turn.acquire()
        except BaseException:
            # Ctrl-C reaches the main thread while it waits, and it goes on out of turn. It is
            # raised where a function begins or has been called, and nowhere between.
            with self._lock:
                waiter.ticket = None
                if waiter.parked and not waiter.called:
                    self._running += 1
            raise

    def _enqueue(self, waiter: _Waiter, t_ns: int) -> None:
        if waiter.ticket is None or waiter.called:
            return
        for start_ns, end_ns in self._stalls.get(waiter.name, ()):
            if start_ns <= t_ns < end_ns:
                t_ns = end_ns
        waiter.ticket = next(self._tickets)
        heapq.heappush(self._queue, (t_ns, waiter.ticket, waiter))

    def _give_up_turn(self, parked: _Waiter) -> None:
        """The calling thread stops running; with the lock held. The last one moves time on."""
        self._running -= 1
        parked.parked = True
        while self._running == 0 and self._queue:
            t_ns, ticket, waiter = self._queue[0]
            if ticket == waiter.ticket:
                self._pace(t_ns)
                self._now_ns = max(self._now_ns, t_ns)
                self._running += 1
                waiter.called, waiter.ticket = True, _CALLED
                waiter.turn.release()
            heapq.heappop(self._queue)

    def _pace(self, t_ns: int) -> None:
        if self._speed is not None:
            simulated_ns, real_ns = self._anchor
            due_ns = real_ns + (t_ns - simulated_ns) / self._speed
            if (left := due_ns - time.monotonic_ns()) > 0:
                time.sleep(left / 1e9)


def unread_bytes(fd: int) -> int:
    """How many bytes the kernel holds for a reader of the terminal `fd`."""
    count: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    return count
