"""The Earth's magnetic field at a place and on a day: where a compass points, and how steeply."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from pygeomag import GeoMag, decimal_year_from_date

from camm.errors import CammError

_BLACKOUT_NT = 2000.0


class DeclinationError(CammError, ValueError):
    """There is no declination for this place or day; the orientation stays on magnetic north."""


@dataclass(frozen=True, slots=True)
class EarthField:
    """The Earth's field: radians east of true north, radians below level, strength in uT."""

    declination: float
    dip: float
    strength_ut: float


def magnetic_declination(latitude: float, longitude: float, height_m: float, day: dt.date) -> float:
    """Magnetic north, radians east of true north; see `earth_field`."""
    return earth_field(latitude, longitude, height_m, day).declination


def earth_field(latitude: float, longitude: float, height_m: float, day: dt.date) -> EarthField:
    """The Earth's magnetic field at a place and on a day.

    `latitude`, `longitude` in degrees (-180 to 180), `height_m` above the WGS 84 ellipsoid or the
    sea, which differ by nothing that matters here; `day` a date or time, UTC.

    The World Magnetic Model 2025 ends with 2029. It is good for 0.4 degrees in middle latitudes;
    its error model is 0.26 degrees and 5417 nT over the horizontal intensity, in quadrature.
    DeclinationError outside of its years and heights, and where the field is too steep for any
    compass: around the magnetic poles, horizontal intensity below 2000 nT.
    """
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise DeclinationError(
            f"latitude {latitude}, longitude {longitude} is no place on Earth: expected -90 to 90 "
            "and -180 to 180 degrees"
        )
    if not -1000 <= height_m <= 850_000:
        raise DeclinationError(
            f"the magnetic model holds from -1 to 850 km of height, found {height_m} m"
        )
    model = GeoMag()
    year = decimal_year_from_date(day)
    first, last = model.life_span
    if not first <= year < last:
        raise DeclinationError(
            f"{model.model} holds from {first:.0f} to {last:.0f}, found {day:%Y-%m-%d}: correct "
            "the clock, or update pygeomag for the next model"
        )
    field = model.calculate(latitude, longitude, height_m / 1000, year)
    if field.h < _BLACKOUT_NT:
        raise DeclinationError(
            f"no compass works at latitude {latitude}, longitude {longitude}: the horizontal "
            f"field is {field.h:.0f} nT, below {_BLACKOUT_NT:.0f} nT"
        )
    return EarthField(math.radians(field.d), math.radians(field.i), field.f / 1000)
