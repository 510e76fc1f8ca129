"""NMEA 0183: the sentences of one epoch joined into one fix.

NMEA spreads a fix over sentences: GGA and GNS have the height, RMC speed and date, GST the
accuracy, GSA whether there is a height at all. They are joined by the time of day that they carry.

The traps: height is above mean sea level, and only with the geoid separation, which cheap modules
leave out, becomes that above the ellipsoid; there is no vertical speed and no accuracy of speed;
the date comes in one sentence of some, so around midnight it must be worked out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, time, timedelta

from pynmeagps import NMEAMessage

from camm.gps_time import gps_ns_from_utc
from camm.packets import PacketType, empty_values
from drivers.gps_fix import GpsFix

SENTENCES = frozenset({b"GGA", b"GNS", b"RMC", b"VTG", b"GST", b"GSA", b"ZDA"})
"""The sentence formatters that `NmeaEpochs.add` makes use of."""

_KNOT = 1852.0 / 3600.0  # m/s
_FIX_QUALITIES = frozenset({1, 2, 3, 4, 5})  # GGA; the rest is dead reckoning, by hand, simulated
_FIX_MODES = frozenset("ADPRF")  # GNS and RMC, NMEA 2.3: autonomous, differential, ..., RTK
_NOT_FIXED, _FIXED_2D, _FIXED_3D = 1, 2, 3  # GSA
_HALF_A_DAY_NS = 12 * 3600 * 10**9


@dataclass(slots=True)
class _Epoch:
    time: time
    arrival_ns: int
    day: date | None = None
    valid: bool = True
    latitude: float | None = None
    longitude: float | None = None
    altitude: float = math.nan
    speed: float | None = None
    course: float | None = None
    sigma: tuple[float, float, float] | None = None

    @property
    def time_ns(self) -> int:
        whole = (self.time.hour * 60 + self.time.minute) * 60 + self.time.second
        return whole * 10**9 + self.time.microsecond * 1000


class NmeaEpochs:
    """Collects sentences and gives out a fix when its epoch is over."""

    def __init__(self) -> None:
        self._epoch: _Epoch | None = None
        self._finished: time | None = None
        self._day: date | None = None
        self._day_time_ns = 0
        self._mode = _FIXED_3D  # until a GSA says otherwise

    def add(self, sentence: NMEAMessage, arrival_ns: int) -> GpsFix | None:
        """Take a parsed sentence; the fix of the epoch before, where this one begins another."""
        kind = sentence.msgID
        if kind == "GSA":
            self._mode = int(_number(sentence, "navMode") or self._mode)
            return None
        if kind == "VTG":
            if self._epoch is not None:
                _take_speed(self._epoch, sentence, "sogn", "cogt")
            return None
        moment = getattr(sentence, "time", None)
        if not isinstance(moment, time) or moment == self._finished:
            return None
        fix = None
        if self._epoch is None or moment != self._epoch.time:
            if kind not in ("GGA", "GNS", "RMC"):
                return None  # the others may carry a time of their own
            fix = self.finish()
            self._epoch = _Epoch(moment, arrival_ns)
        _take(self._epoch, kind, sentence)
        return fix

    def finish(self) -> GpsFix | None:
        """The fix of the epoch at hand, if it is one: for when the line has fallen quiet."""
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return None
        self._finished = epoch.time
        day = self._date_of(epoch)
        if (
            day is None
            or not epoch.valid
            or epoch.latitude is None
            or epoch.longitude is None
            or self._mode == _NOT_FIXED
        ):
            return None
        return _fix(epoch, epoch.latitude, epoch.longitude, day, self._mode)

    def _date_of(self, epoch: _Epoch) -> date | None:
        if epoch.day is not None:
            self._day = epoch.day
        elif self._day is not None and epoch.time_ns < self._day_time_ns - _HALF_A_DAY_NS:
            self._day += timedelta(days=1)
        self._day_time_ns = epoch.time_ns
        return self._day


def _take(epoch: _Epoch, kind: str, sentence: NMEAMessage) -> None:
    """Write into the epoch what a sentence with its time says."""
    if kind in ("GGA", "GNS", "RMC"):
        latitude, longitude = _number(sentence, "lat"), _number(sentence, "lon")
        if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
            epoch.valid = False
        epoch.latitude, epoch.longitude = latitude, longitude
    if kind == "GGA":
        epoch.valid &= _number(sentence, "quality") in _FIX_QUALITIES
    elif kind == "GNS":
        epoch.valid &= not _FIX_MODES.isdisjoint(getattr(sentence, "posMode", ""))
    elif kind == "RMC":
        # Before NMEA 2.3 there is no mode.
        mode = getattr(sentence, "posMode", "") or "A"
        epoch.valid &= getattr(sentence, "status", "") == "A" and mode in _FIX_MODES
        _take_speed(epoch, sentence, "spd", "cog")
        if isinstance(day := getattr(sentence, "date", None), date):
            epoch.day = day
    elif kind == "GST":
        sigmas = [_number(sentence, name) for name in ("stdLat", "stdLong", "stdAlt")]
        known = [sigma for sigma in sigmas if sigma is not None]
        if len(known) == 3:
            epoch.sigma = (known[0], known[1], known[2])
    elif kind == "ZDA":
        year, month, day_of_month = (_number(sentence, n) for n in ("year", "month", "day"))
        if year and month and day_of_month:
            epoch.day = _calendar_day(int(year), int(month), int(day_of_month)) or epoch.day
    if kind in ("GGA", "GNS"):
        altitude, separation = _number(sentence, "alt"), _number(sentence, "sep")
        if altitude is not None and separation is not None:
            epoch.altitude = altitude + separation


def _take_speed(epoch: _Epoch, sentence: NMEAMessage, speed: str, course: str) -> None:
    """Speed in knots and course; where a receiver is too slow for a course it leaves it out."""
    if (knots := _number(sentence, speed)) is not None:
        epoch.speed = knots * _KNOT
        epoch.course = _number(sentence, course)


def _fix(epoch: _Epoch, latitude: float, longitude: float, day: date, mode: int) -> GpsFix:
    """A record of type 6 where GST gave accuracies and there is a speed, else of type 5."""
    gps_time_ns = gps_ns_from_utc(day, epoch.time_ns)
    complete = epoch.sigma is not None and epoch.speed is not None
    kind = PacketType.GPS if complete else PacketType.MIN_GPS
    values = empty_values(kind, 1)
    values["latitude"] = latitude
    values["longitude"] = longitude
    values["altitude"] = epoch.altitude
    if epoch.sigma is not None and epoch.speed is not None:
        values["time_gps_epoch"] = gps_time_ns / 1e9
        values["gps_fix_type"] = _FIXED_2D if mode == _FIXED_2D else _FIXED_3D
        values["horizontal_accuracy"] = math.hypot(epoch.sigma[0], epoch.sigma[1])
        values["vertical_accuracy"] = epoch.sigma[2]
        # NMEA has no vertical speed and no accuracy of speed; without a course (standing still)
        # there is no direction to speak of.
        values["velocity_up"] = values["speed_accuracy"] = math.nan
        if epoch.course is not None:
            values["velocity_east"] = epoch.speed * math.sin(math.radians(epoch.course))
            values["velocity_north"] = epoch.speed * math.cos(math.radians(epoch.course))
    return GpsFix(kind, values, gps_time_ns, epoch.arrival_ns)


def _number(sentence: NMEAMessage, name: str) -> float | None:
    """A field as a finite number; None where it is empty, missing or no number."""
    value = getattr(sentence, name, None)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _calendar_day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
