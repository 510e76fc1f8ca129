"""Where the camera went: the fixes of a clip, of whichever type they are."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples
from muxer.extract.cells import shortest
from muxer.extract.utc import Dates
from muxer.gps_epoch import Floats
from muxer.sample_table import Ints


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Fixes that tell a place, a row each; NaN is what a fix does not tell.

    Degrees, metres above the WGS-84 ellipsoid, m/s; `course` in degrees clockwise from north; `fix`
    is 2 or 3 dimensions, 0 where that is not told (type 5). Accuracies are metres and m/s, as the
    receiver has them.
    """

    t_ns: Ints
    utc: Dates
    fix: Ints
    latitude: Floats
    longitude: Floats
    altitude: Floats
    speed: Floats
    course: Floats
    climb: Floats
    horizontal_accuracy: Floats
    vertical_accuracy: Floats
    speed_accuracy: Floats

    @classmethod
    def of(cls, fixes: Samples, utc: Dates) -> Self:
        """The track of records of type 5 or 6."""
        data, count = fixes.data, len(fixes)
        unknown = np.full(count, np.nan)
        gps = fixes.kind is PacketType.GPS
        altitude = shortest(data["altitude"]) if gps else data["altitude"]
        east, north, climb = (
            (_finite(data[f"velocity_{way}"]) for way in ("east", "north", "up"))
            if gps
            else (unknown, unknown, unknown)
        )
        speed = np.hypot(east, north)
        course = np.round(np.degrees(np.arctan2(east, north)), 2) % 360  # never printed as 360
        names = ("horizontal_accuracy", "vertical_accuracy", "speed_accuracy")
        accuracies = [_positive(data[name]) if gps else unknown for name in names]
        return cls(
            fixes.t_ns,
            utc,
            data["gps_fix_type"].astype(np.int64) if gps else np.zeros(count, np.int64),
            data["latitude"],
            data["longitude"],
            np.where(np.isfinite(altitude), altitude, np.nan),
            speed,
            np.where(speed > 0, course, np.nan),
            climb,
            *accuracies,
        )

    def __len__(self) -> int:
        return len(self.t_ns)


def with_fix(samples: Samples) -> Samples:
    """The records of type 5 or 6 that tell a place on Earth."""
    latitude, longitude = samples.data["latitude"], samples.data["longitude"]
    # NaN fails every comparison, and so stays out.
    there = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    there &= (latitude != 0) | (longitude != 0)
    if samples.kind is PacketType.GPS:
        there &= samples.data["gps_fix_type"] != 0
    return samples[there]


def _finite(values: npt.NDArray[Any]) -> Floats:
    wide = shortest(values)
    return np.where(np.isfinite(wide), wide, np.nan)


def _positive(values: npt.NDArray[Any]) -> Floats:
    """Accuracies: a perfect one is one that is not known."""
    wide = _finite(values)
    return np.where(wide > 0, wide, np.nan)


def numbers(values: Floats, template: str) -> list[str]:
    """Numbers printed, empty where one is not known."""
    return [template % value if not isnan(value) else "" for value in values.tolist()]
