"""From which day on a clip counts its GPS time, and what that is in GPS time and in UTC.

The specification says GPS seconds. In the wild there are Unix seconds (Insta360), Unix milliseconds
(GPX injectors) and seconds within a day or a minute (Labpano), all under the same field name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

import numpy as np
import numpy.typing as npt

from camm.gps_time import (
    LEAP_SECONDS_EXPIRE,
    gps_from_unix,
    unix_from_gps,
    utc_from_gps,
)

Floats = npt.NDArray[np.float64]

_YEAR_2000 = 630_720_013
"""GPS seconds; CAMM is of 2017, so what lies before counts something else."""
_YEAR_2106 = 4_000_000_000
_MILLISECONDS = 100_000_000_000
_NEAR = timedelta(days=2)
"""How far a clip's date may be off and still tell the epoch: clips with local times are common."""


class GpsEpoch(Enum):
    """What the numbers in `time_gps_epoch` count."""

    GPS = "GPS seconds"
    UNIX = "Unix seconds"
    UNIX_MS = "Unix milliseconds"
    NONE = "no date"


def recognise(times: Floats, created: datetime | None) -> GpsEpoch:
    """The epoch of a clip's `time_gps_epoch` values.

    Unix seconds of today would be a GPS time some ten years ahead, so the clip's own date decides
    between the two; without one the specification is believed. Values that are no date, such as
    zeros before the first fix, do not count where others are.
    """
    seconds, milliseconds = (
        times[_dated(times, epoch)] for epoch in (GpsEpoch.GPS, GpsEpoch.UNIX_MS)
    )
    if len(milliseconds) > len(seconds):
        return GpsEpoch.UNIX_MS
    if not len(seconds):
        return GpsEpoch.NONE
    # Not np.median, which loads all of numpy.ma.
    typical = datetime.fromtimestamp(float(np.sort(seconds)[len(seconds) // 2]), UTC)
    if created is not None and abs(typical - created) < _NEAR:
        return GpsEpoch.UNIX
    return GpsEpoch.GPS


def utc(time: float, epoch: GpsEpoch) -> datetime | None:
    """UTC of one such value; None where it tells no date."""
    try:
        return _READ[epoch](time)
    except (ValueError, OverflowError, OSError):
        return None  # not a number, or outside every calendar


_READ: dict[GpsEpoch, Callable[[float], datetime | None]] = {
    GpsEpoch.GPS: utc_from_gps,
    GpsEpoch.UNIX: lambda time: datetime.fromtimestamp(time, UTC),
    GpsEpoch.UNIX_MS: lambda time: datetime.fromtimestamp(time / 1000, UTC),
    GpsEpoch.NONE: lambda time: None,
}


def gps_seconds(times: Floats, epoch: GpsEpoch) -> Floats:
    """Such values as seconds of GPS time; NaN where they tell no date."""
    result = np.full(len(times), np.nan)
    dated = _dated(times, epoch)
    if epoch is GpsEpoch.GPS:
        result[dated] = times[dated]
    else:
        unix = times[dated] / (1000 if epoch is GpsEpoch.UNIX_MS else 1)
        result[dated] = unix + _ahead(unix, gps_from_unix)
    return result


def utc_dates(times: Floats, epoch: GpsEpoch) -> npt.NDArray[np.datetime64]:
    """Such values as UTC, datetime64[ns]; NaT where they tell no date.

    A float64 of today's time steps by 240 ns, and so do these.
    """
    result = np.full(len(times), np.datetime64("NaT"), "datetime64[ns]")
    dated = _dated(times, epoch)
    whole, rest = np.divmod(times[dated], 1)
    unit_ns = 1_000_000 if epoch is GpsEpoch.UNIX_MS else 1_000_000_000
    unix_ns = whole.astype(np.int64) * unit_ns + np.rint(rest * unit_ns).astype(np.int64)
    if epoch is GpsEpoch.GPS:
        unix_ns += _ahead(whole, unix_from_gps) * 1_000_000_000
    result[dated] = unix_ns.astype("datetime64[ns]")
    return result


def leap_seconds_known(dates: npt.NDArray[np.datetime64]) -> bool:
    """Whether the table of leap seconds covers all these dates; if not, UTC may be a second off."""
    return not bool((dates > np.datetime64(LEAP_SECONDS_EXPIRE)).any())


def _dated(times: Floats, epoch: GpsEpoch) -> npt.NDArray[np.bool_]:
    """Which values are a date of CAMM's days in that epoch."""
    if epoch is GpsEpoch.NONE:
        return np.zeros(len(times), np.bool_)
    if epoch is GpsEpoch.UNIX_MS:
        return (times >= _MILLISECONDS) & (times < _YEAR_2106 * 1000)
    return (times >= _YEAR_2000) & (times < _YEAR_2106)


def _ahead(times: Floats, convert: Callable[[float], float]) -> npt.NDArray[np.int64]:
    """By how many whole seconds `convert` moves each time: one number, but for leap seconds."""
    whole = np.floor(times)
    if not len(whole):
        return np.empty(0, np.int64)
    first, last = (round(convert(time) - time) for time in (whole.min(), whole.max()))
    if first == last:
        return np.full(len(whole), first)
    return np.array([round(convert(time) - time) for time in whole.tolist()])
