"""GPS receivers on a serial port: u-blox' UBX or anybody's NMEA 0183.

UBX-NAV-PVT has the whole of a fix in one message and wins; a receiver that speaks NMEA alone gives
what NMEA can (`drivers.gps_nmea`). A u-blox that answers is set up for NAV-PVT (`drivers.ublox`).
Messages are taken apart by pyubx2 and pynmeagps.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import date

from pynmeagps import NMEAReader
from pynmeagps.exceptions import (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
)
from pyubx2 import (
    UBXMessage,
    UBXMessageError,
    UBXParseError,
    UBXReader,
    UBXStreamError,
    UBXTypeError,
)

from camm.gps_time import gps_ns_from_utc
from camm.packets import PacketType, empty_values
from drivers import ublox
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.gps_fix import GpsFix, Latency
from drivers.gps_line import GpsLine, Message
from drivers.gps_nmea import SENTENCES, NmeaEpochs
from drivers.pps import TimePulse
from drivers.receiver import GpsStatistics

__all__ = ["GpsFix", "GpsReceiver", "Latency", "fix_from_nav_pvt"]

_log = logging.getLogger(__name__)

_SILENCE_NS = 5_000_000_000  # after which somebody should look at the receiver

_NAV_PVT = b"\xb5\x62\x01\x07"
_NAV_PVT_BYTES = 8 + 84  # at the least: u-blox 7 has 84 bytes of payload, later ones 92
_FIX_TYPES = {2: 2, 3: 3, 4: 3}
"""NAV-PVT's fixType to CAMM's: 2D, 3D, and GNSS with dead reckoning. The rest is no fix: none,
dead reckoning alone, time only."""

_LIBRARY_ERRORS = (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
    UBXMessageError,
    UBXParseError,
    UBXStreamError,
    UBXTypeError,
    ValueError,  # bytes in a sentence that are no text, a date that is none
)


class GpsReceiver:
    """A receiver at a serial port, opened when made.

    `rate_hz`  fixes a second for which a u-blox is set up, in its RAM; 0 leaves a receiver as it
               is and says nothing to it. One that does not answer is read as it is.
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
                self._ublox = ublox.set_up(self._line, rate_hz)
                self._line.forget_counts()
            self._opened = opened.pop_all()
        self._epochs = NmeaEpochs()
        self._speaks_ubx = False
        self._unreadable = 0
        self._fixes = 0
        self._heard_ns: int | None = clock.now_ns()  # something useful
        self._stray = 0  # bytes until then

    @property
    def identity(self) -> Mapping[str, str]:
        """What a u-blox that was set up says of itself, and the rate at which the line runs."""
        return {**self._ublox, "baud": str(self._line.baud)}

    def read(self) -> GpsFix | None:
        """Wait for the next message; its fix, or None where it gave none. Call it again.

        Never waits long: None also where the line is quiet. NMEA gives a fix when its epoch is
        over. Once a NAV-PVT has come NMEA is no longer looked at, so no epoch comes twice; and as
        an NMEA epoch is given out only when it is over, a NAV-PVT of that same epoch is in time.

        DeviceError where the receiver has been unplugged, has forgotten its settings, or is not
        heard any more and opening it again may help.
        """
        message = self._line.read()
        self._watch(message)
        try:
            if message is None:
                fix = self._epochs.finish()
            else:
                fix = self._take_apart(message.raw, message.arrival_ns)
        except _LIBRARY_ERRORS:
            self._unreadable += 1
            return None
        if fix is not None:
            self._fixes += 1
        return fix

    @property
    def statistics(self) -> GpsStatistics:
        """A snapshot of the counters."""
        line = self._line
        return GpsStatistics(
            line.messages, line.damaged + self._unreadable, line.stray_bytes, self._fixes
        )

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
        if message is not None and (not self._ublox or message.raw.startswith(_NAV_PVT)):
            self._heard_ns, self._stray = now_ns, line.stray_bytes
            return
        if self._heard_ns is None or now_ns - self._heard_ns <= _SILENCE_NS:
            return
        self._heard_ns = None  # until it speaks again
        if stray := line.stray_bytes - self._stray:
            trouble = f"{stray} bytes and no message at {line.baud} baud: is that its rate?"
        elif message is not None:
            trouble = "no NAV-PVT any more: has it lost its power, and with it its settings?"
        else:
            trouble = "nothing for 5 s: has it power, and is its TX wired to our RX?"
        if self._may_set_up:
            raise DeviceError(errno.EIO, f"{self.name}: {trouble}")
        _log.warning("%s: %s", self.name, trouble)

    def _take_apart(self, raw: bytes, arrival_ns: int) -> GpsFix | None:
        if raw.startswith(_NAV_PVT) and len(raw) >= _NAV_PVT_BYTES:
            message = UBXReader.parse(raw)
            self._speaks_ubx = True
            self._epochs = NmeaEpochs()  # and what it had collected of this epoch is dropped
            return fix_from_nav_pvt(message, arrival_ns)
        if not self._speaks_ubx and raw.startswith(b"$") and raw[3:6] in SENTENCES:
            sentence = NMEAReader.parse(raw)
            if sentence is None:
                self._unreadable += 1
                return None
            return self._epochs.add(sentence, arrival_ns)
        return None


def fix_from_nav_pvt(message: UBXMessage, arrival_ns: int) -> GpsFix | None:
    """A record of type 6 of a parsed UBX-NAV-PVT; None where the message says there is no fix.

    Interface description of u-blox M8, section UBX-NAV-PVT. A receiver that has lost the sky goes
    on sending plausible positions, and clears `gnssFixOk`.
    """
    fix_type = _FIX_TYPES.get(message.fixType)
    if (
        fix_type is None
        or not message.gnssFixOk
        or message.invalidLlh
        or not (message.validDate and message.validTime)
    ):
        return None
    # `nano` is what rounding to the second has left over, and may be negative; `second` may be 60.
    seconds = (message.hour * 60 + message.min) * 60 + message.second
    day = date(message.year, message.month, message.day)
    gps_time_ns = gps_ns_from_utc(day, seconds * 1_000_000_000 + message.nano)
    values = empty_values(PacketType.GPS, 1)
    values["time_gps_epoch"] = gps_time_ns / 1e9
    values["gps_fix_type"] = fix_type
    values["latitude"] = message.lat
    values["longitude"] = message.lon
    values["altitude"] = message.height / 1e3  # above the ellipsoid; hMSL is above the sea
    values["horizontal_accuracy"] = message.hAcc / 1e3
    values["vertical_accuracy"] = message.vAcc / 1e3
    values["velocity_east"] = message.velE / 1e3
    values["velocity_north"] = message.velN / 1e3
    values["velocity_up"] = -message.velD / 1e3
    values["speed_accuracy"] = message.sAcc / 1e3
    return GpsFix(PacketType.GPS, values, gps_time_ns, arrival_ns)
