"""GPS time, UTC and Unix time: three counts of the same seconds.

GPS time counts every second since 1980-01-06 00:00:00 UTC. UTC has had leap seconds since; Unix
time repeats itself in each. CAMM's `time_gps_epoch` is GPS time, leap seconds included, and the
commonest mistake in files is to find Unix time there, which lies 315964800 - 18 seconds off.

Whole nanoseconds are integers here: a float64 of today's GPS time steps by 240 ns.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)

UNIX_SECONDS_OF_GPS_EPOCH = 315_964_800
"""Unix time at the GPS epoch."""

LEAP_SECONDS_EXPIRE = date(2027, 6, 28)
"""Until when the table is known to be complete; each IERS Bulletin C adds half a year."""

_LEAP_SECONDS = (
    (date(2017, 1, 1), 18),
    (date(2015, 7, 1), 17),
    (date(2012, 7, 1), 16),
    (date(2009, 1, 1), 15),
    (date(2006, 1, 1), 14),
    (date(1999, 1, 1), 13),
    (date(1997, 7, 1), 12),
    (date(1996, 1, 1), 11),
    (date(1994, 7, 1), 10),
    (date(1993, 7, 1), 9),
    (date(1992, 7, 1), 8),
    (date(1991, 1, 1), 7),
    (date(1990, 1, 1), 6),
    (date(1988, 1, 1), 5),
    (date(1985, 7, 1), 4),
    (date(1983, 7, 1), 3),
    (date(1982, 7, 1), 2),
    (date(1981, 7, 1), 1),
    (GPS_EPOCH.date(), 0),
)
"""From which UTC day on GPS time has been how many seconds ahead, newest first.

Source: IERS Bulletin C and its leap-seconds.list of 2026-07-06.
"""


_YEARS = range(1970, 2200)
"""In which dates are believed: an int64 has room for all nanoseconds between two of them."""


def parse_utc(text: str) -> datetime:
    """A date as ISO 8601 has it, also with a zone such as +0200; of none it is UTC.

    ValueError where it is no date, and where it is one of another age.
    """
    found = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.strip()))
    if found.year not in _YEARS:
        raise ValueError(f"expected a year of {_YEARS[0]} to {_YEARS[-1]}, found {found.year}")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def leap_seconds(day: date) -> int:
    """Seconds by which GPS time is ahead of UTC on a UTC day; 0 before the GPS epoch."""
    return next((ahead for since, ahead in _LEAP_SECONDS if day >= since), 0)


def gps_ns_from_utc(day: date, time_of_day_ns: int) -> int:
    """GPS time in nanoseconds of a UTC day and the nanoseconds since its midnight.

    Day and time are apart so that 23:59:60 can be said, and so that a receiver's rounding may bring
    a time a little below 0: it is the day that decides how many leap seconds there have been.
    """
    seconds = (day - GPS_EPOCH.date()).days * 86_400 + leap_seconds(day)
    return seconds * 1_000_000_000 + time_of_day_ns


def gps_from_utc(when: datetime) -> float:
    """GPS time in seconds of an aware datetime."""
    utc = when.astimezone(UTC)
    midnight = datetime(utc.year, utc.month, utc.day, tzinfo=UTC)
    return gps_ns_from_utc(utc.date(), (utc - midnight) // timedelta(microseconds=1) * 1000) / 1e9


def utc_from_gps(seconds: float) -> datetime:
    """UTC of a GPS time in seconds; a leap second reads as the second that follows it."""
    return GPS_EPOCH + timedelta(seconds=seconds - _leap_seconds_at(seconds))


def unix_from_gps(seconds: float) -> float:
    """Unix time of a GPS time, both in seconds."""
    return seconds - _leap_seconds_at(seconds) + UNIX_SECONDS_OF_GPS_EPOCH


def gps_from_unix(seconds: float) -> float:
    """GPS time of a Unix time, both in seconds."""
    day = date(1970, 1, 1) + timedelta(days=seconds // 86_400)
    return seconds - UNIX_SECONDS_OF_GPS_EPOCH + leap_seconds(day)


def _leap_seconds_at(gps_seconds: float) -> int:
    for since, ahead in _LEAP_SECONDS:
        if gps_seconds >= (since - GPS_EPOCH.date()).days * 86_400 + ahead:
            return ahead
    return 0
