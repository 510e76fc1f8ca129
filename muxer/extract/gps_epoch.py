"""From which day on a clip counts its GPS time.

The specification says GPS seconds. In the wild there are Unix seconds (Insta360), Unix milliseconds
(GPX injectors) and seconds within a day or a minute (Labpano), all under the same field name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

import numpy as np
import numpy.typing as npt

from camm.gps_time import utc_from_gps

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


def recognise(times: npt.NDArray[np.float64], created: datetime | None) -> GpsEpoch:
    """The epoch of a clip's `time_gps_epoch` values.

    Unix seconds of today would be a GPS time some ten years ahead, so the clip's own date decides
    between the two; without one the specification is believed.
    """
    finite = times[np.isfinite(times)]
    if not len(finite):
        return GpsEpoch.NONE
    typical = float(np.median(finite))
    if _MILLISECONDS <= typical < _YEAR_2106 * 1000:
        return GpsEpoch.UNIX_MS
    if not _YEAR_2000 <= typical < _YEAR_2106:
        return GpsEpoch.NONE
    if created is not None and abs(datetime.fromtimestamp(typical, UTC) - created) < _NEAR:
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
