"""GPS receivers on a serial port: u-blox' UBX or anybody's NMEA 0183 (`drivers.gps_decoder`).

A u-blox that answers is set up for NAV-PVT (`drivers.ublox`).
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from drivers import ublox
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.gps_decoder import NAV_PVT, GpsDecoder
from drivers.gps_fix import GpsFix
from drivers.gps_line import GpsLine
from drivers.gps_messages import Message
from drivers.pps import TimePulse
from drivers.receiver import DynamicModel, GpsStatistics

_log = logging.getLogger(__name__)

_SILENCE_NS = 5_000_000_000  # after which somebody should look at the receiver


class GpsReceiver:
    """A receiver at a serial port, opened when made.

    `rate_hz`  fixes a second for which a u-blox is set up, in its RAM; 0 leaves a receiver as it
               is and says nothing to it. One that does not answer is read as it is.
    `model`    how what carries it moves, told to a u-blox that is set up; None leaves that too
    `pulse`    opens what tells of its time pulses, where they are wired to the host

    DeviceError where there is no such port, no permission for it, or another program holds it.
    """

    def __init__(
        self,
        port_path: str,
        baud: int,
        clock: Clock,
        rate_hz: int = 0,
        pulse: Callable[[], TimePulse] | None = None,
        model: DynamicModel | None = None,
    ) -> None:
        self.name = port_path
        self._ublox: Mapping[str, str] = {}
        self._may_set_up = rate_hz > 0
        with ExitStack() as opened:
            self._line = GpsLine(port_path, baud, clock)
            opened.callback(self._line.close)
            self._pulse = pulse() if pulse is not None else None
            if self._pulse is not None:
                opened.callback(self._pulse.close)
            if rate_hz:
                self._ublox = ublox.set_up(self._line, rate_hz, model)
                self._line.forget_counts()
            self._opened = opened.pop_all()
        self._decoder = GpsDecoder()
        self._heard_ns: int | None = clock.now_ns()  # something useful
        self._stray = 0  # bytes until then

    @property
    def identity(self) -> Mapping[str, str]:
        """What a u-blox that was set up says of itself, and the rate at which the line runs."""
        return {**self._ublox, "baud": str(self._line.baud)}

    def read(self) -> GpsFix | None:
        """Wait for the next message; its fix, or None where it gave none. Call it again.

        Never waits long: None also where the line is quiet. DeviceError where the receiver has been
        unplugged, has forgotten its settings, or is not heard any more and opening it again may
        help.
        """
        message = self._line.read()
        self._watch(message)
        return self._decoder.finish() if message is None else self._decoder.take(message)

    @property
    def statistics(self) -> GpsStatistics:
        """A snapshot of the counters."""
        return self._decoder.statistics(self._line.counts)

    def newest_pulse(self) -> tuple[int, int] | None:
        """Number of the newest time pulse, and CLOCK_MONOTONIC when it came, ns; None without."""
        return self._pulse.newest() if self._pulse is not None else None

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._opened.close()

    def _watch(self, message: Message | None) -> None:
        """Complain once when nothing useful has come for long, and say what that may be.

        DeviceError where we may set the receiver up: opening it again will look for it everywhere.
        """
        line, now_ns = self._line, self._line.clock.now_ns()
        if message is not None and (not self._ublox or message.raw.startswith(NAV_PVT)):
            self._heard_ns, self._stray = now_ns, line.counts.stray_bytes
            return
        if self._heard_ns is None or now_ns - self._heard_ns <= _SILENCE_NS:
            return
        self._heard_ns = None  # until it speaks again
        if stray := line.counts.stray_bytes - self._stray:
            trouble = f"{stray} bytes and no message at {line.baud} baud: is that its rate?"
        elif message is not None:
            trouble = "no NAV-PVT any more: has it lost its power, and with it its settings?"
        else:
            trouble = "nothing for 5 s: has it power, and is its TX wired to our RX?"
        if self._may_set_up:
            raise DeviceError(errno.EIO, f"{self.name}: {trouble}")
        _log.warning("%s: %s", self.name, trouble)
