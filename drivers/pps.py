"""The time pulse of a GPS receiver, stamped by the kernel in the interrupt: /dev/ppsN.

A pulse says when on the host's clock a second of GPS time began, to microseconds, which messages do
to tens of milliseconds. It does not say which second; messages do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable
from typing import Protocol

from drivers.errors import DeviceError

_KINFO = struct.Struct("=II qiI qiI i4x qiI")
"""struct pps_fdata: number of the last assert and clear, their times (s, ns, flags), the mode, and
the timeout. linux/pps.h."""

_FETCH = 3 << 30 | struct.calcsize("P") << 16 | ord("p") << 8 | 0xA4
"""PPS_FETCH, _IOWR('p', 0xa4, struct pps_fdata *): the size is that of the pointer."""

_ATTEMPTS = 5


class TimePulse(Protocol):
    """Where pulses can be asked for."""

    def newest(self) -> tuple[int, int] | None:
        """Number of the newest pulse, and CLOCK_MONOTONIC when it came, ns; None before any."""
        ...

    def close(self) -> None:
        """Let go of it. May be called twice."""
        ...


class PpsDevice:
    """A /dev/ppsN, opened when made, and its rising edges.

    The kernel stamps with CLOCK_REALTIME. The difference to CLOCK_MONOTONIC is read when a pulse is
    fetched, at most a second after it, between two reads of the one clock around one of the other.

    DeviceError where there is no such device, no permission for it, or it gives no pulses.
    """

    def __init__(self, path: str, ioctl: Callable[[int, int, bytes], bytes] = fcntl.ioctl) -> None:
        self.name = path
        self._ioctl = ioctl
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            reason = {
                errno.ENOENT: f"there is no {path}: is pps-gpio in config.txt?",
                errno.EACCES: f"no permission for {path}: install systemd/70-cammcorder.rules "
                "and add this user to the group dialout",
            }.get(error.errno or 0, f"{path} cannot be opened: {error.strerror}")
            raise DeviceError(error.errno or errno.EIO, reason) from None

    def newest(self) -> tuple[int, int] | None:
        """Number of the newest pulse, and CLOCK_MONOTONIC when it came, ns; None before any."""
        try:
            # A timeout of nothing: the kernel answers at once with what it has.
            answer = self._ioctl(self._fd, _FETCH, bytes(_KINFO.size))
        except OSError as error:
            raise DeviceError(
                error.errno or errno.EIO, f"{self.name} gives no pulses: {error.strerror}"
            ) from None
        number, _, seconds, nanoseconds, *_ = _KINFO.unpack(answer)
        if number == 0:
            return None
        return number, seconds * 1_000_000_000 + nanoseconds - realtime_offset_ns()

    def close(self) -> None:
        """Close the device. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def realtime_offset_ns() -> int:
    """CLOCK_REALTIME less CLOCK_MONOTONIC, by the closest of a few pairs of reads."""
    pairs = []
    for _ in range(_ATTEMPTS):
        before = time.monotonic_ns()
        utc = time.time_ns()
        after = time.monotonic_ns()
        pairs.append((after - before, utc - (before + after) // 2))
    return min(pairs)[1]
