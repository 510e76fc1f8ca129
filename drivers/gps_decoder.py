"""Fixes out of a receiver's own messages, whichever way they have come: UBX or NMEA 0183.

UBX-NAV-PVT has the whole of a fix in one message and wins; a receiver that speaks NMEA alone gives
what NMEA can (`drivers.gps_nmea`). Messages are taken apart by pyubx2 and pynmeagps.
"""

from __future__ import annotations

from datetime import date

from pynmeagps import NMEAMessage, NMEAReader
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
from drivers.gps_fix import GpsFix
from drivers.gps_messages import LineCounts, Message
from drivers.gps_nmea import SENTENCES, NmeaEpochs
from drivers.receiver import GpsStatistics, Tally

NAV_PVT = b"\xb5\x62\x01\x07"
_NAV_PVT_BYTES = 8 + 84  # at the least: u-blox 7 has 84 bytes of payload, later ones 92
_FIX_TYPES = {2: 2, 3: 3, 4: 3}
"""NAV-PVT's fixType to CAMM's: 2D, 3D, and GNSS with dead reckoning. The rest is no fix: none,
dead reckoning alone, time only."""
_NO_DOP = 99.99  # what receivers say where there is none

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


class GpsDecoder:
    """Takes messages one after the other and gives out fixes.

    NMEA gives a fix when its epoch is over. Once a NAV-PVT has come NMEA is no longer looked at, so
    no epoch comes twice; and as an NMEA epoch is given out only when it is over, a NAV-PVT of that
    same epoch is in time.

    """

    def __init__(self) -> None:
        self._unreadable = self._fixes = 0
        self._satellites, self._pdop = Tally(), Tally()
        self._epochs = NmeaEpochs()
        self._speaks_ubx = False

    def take(self, message: Message) -> GpsFix | None:
        """The fix that a message brings or ends; None where it does neither."""
        raw = message.raw
        try:
            if raw.startswith(NAV_PVT) and len(raw) >= _NAV_PVT_BYTES:
                fix = self._take_nav_pvt(UBXReader.parse(raw), message.arrival_ns)
            elif not self._speaks_ubx and raw.startswith(b"$") and raw[3:6] in SENTENCES:
                fix = self._take_sentence(NMEAReader.parse(raw), message.arrival_ns)
            else:
                return None
        except _LIBRARY_ERRORS:
            self._unreadable += 1
            return None
        self._fixes += fix is not None
        return fix

    def finish(self) -> GpsFix | None:
        """The fix of the epoch that silence ends."""
        try:
            fix = self._epochs.finish()
        except _LIBRARY_ERRORS:
            self._unreadable += 1
            return None
        self._fixes += fix is not None
        return fix

    def tell_sky(self, satellites: object, pdop: object) -> None:
        """Note how many satellites were used, and how well they stood, where that was told."""
        if isinstance(satellites, int):
            self._satellites.add(satellites)
        if isinstance(pdop, int | float) and 0 < pdop < _NO_DOP:
            self._pdop.add(round(pdop, 2))

    def statistics(self, line: LineCounts) -> GpsStatistics:
        """What has come, with what was counted before it came here."""
        return GpsStatistics(
            line.messages,
            line.damaged + self._unreadable,
            line.stray_bytes,
            self._fixes,
            self._satellites.spread,
            self._pdop.spread,
        )

    def _take_nav_pvt(self, message: UBXMessage, arrival_ns: int) -> GpsFix | None:
        self._speaks_ubx = True
        self._epochs = NmeaEpochs()  # and what it had collected of this epoch is dropped
        self.tell_sky(message.numSV, message.pDOP)
        return fix_from_nav_pvt(message, arrival_ns)

    def _take_sentence(self, sentence: NMEAMessage | None, arrival_ns: int) -> GpsFix | None:
        if sentence is None:
            self._unreadable += 1
            return None
        self.tell_sky(getattr(sentence, "numSV", None), getattr(sentence, "PDOP", None))
        return self._epochs.add(sentence, arrival_ns)


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
