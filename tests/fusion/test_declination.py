"""Declination against the model's official test values, and against another implementation."""

import datetime as dt
from math import degrees, isnan

import pytest
from ahrs.utils import WMM

from camm import CammError
from fusion.declination import DeclinationError, magnetic_declination

NEW_YEAR_2025 = dt.date(2025, 1, 1)
MID_2027 = dt.date(2027, 7, 2)


# WMM2025_TEST_VALUES.txt of NOAA: height km, latitude, longitude, declination in degrees.
@pytest.mark.parametrize(
    ("day", "km", "latitude", "longitude", "expected"),
    [
        (NEW_YEAR_2025, 0, 80, 0, 1.28),
        (NEW_YEAR_2025, 0, 0, 120, -0.16),
        (NEW_YEAR_2025, 0, -80, -120, 68.78),
        (MID_2027, 100, 80, 0, 2.16),
        (MID_2027, 100, 0, 120, -0.23),
        (MID_2027, 100, -80, -120, 67.93),
    ],
)
def test_the_official_test_values_are_met(day, km, latitude, longitude, expected):
    found = degrees(magnetic_declination(latitude, longitude, km * 1000, day))
    assert found == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("latitude", "longitude", "height_m"),
    [(52.52, 13.40, 34), (-33.86, 151.21, 20), (37.42, -122.08, 10), (27.99, 86.93, 8848)],
)
def test_another_implementation_agrees(latitude, longitude, height_m):
    day = dt.date(2026, 11, 20)
    judge = WMM(day, latitude, longitude, height_m / 1000).D
    found = degrees(magnetic_declination(latitude, longitude, height_m, day))
    assert found == pytest.approx(judge, abs=0.01)


def test_berlin_lies_five_degrees_east():
    found = magnetic_declination(52.52, 13.40, 34, dt.date(2026, 11, 20))
    assert degrees(found) == pytest.approx(5.17, abs=0.03)


def test_greenwich_and_the_equator_are_places_too():
    assert not isnan(magnetic_declination(0.0, 0.0, 0, NEW_YEAR_2025))
    assert not isnan(magnetic_declination(51.48, 0.0, 0, NEW_YEAR_2025))


def test_a_time_of_day_is_taken_as_its_date():
    noon = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
    assert magnetic_declination(52, 13, 0, noon) == magnetic_declination(52, 13, 0, noon.date())


@pytest.mark.parametrize("day", [dt.date(2024, 12, 31), dt.date(2030, 1, 1), dt.date(1970, 1, 1)])
def test_a_day_outside_of_the_model_is_refused(day):
    with pytest.raises(DeclinationError, match="2025 to 2030"):
        magnetic_declination(52, 13, 0, day)


def test_the_last_day_of_the_model_is_not():
    assert magnetic_declination(52, 13, 0, dt.date(2029, 12, 31)) > 0


@pytest.mark.parametrize("place", [(91, 0), (-91, 0), (0, 181), (0, -181), (float("nan"), 0)])
def test_a_place_that_is_none_is_refused(place):
    with pytest.raises(DeclinationError, match="no place on Earth"):
        magnetic_declination(*place, 0, NEW_YEAR_2025)


@pytest.mark.parametrize("height_m", [-2000, 900_000, float("nan")])
def test_a_height_outside_of_the_model_is_refused(height_m):
    with pytest.raises(DeclinationError, match="850 km"):
        magnetic_declination(52, 13, height_m, NEW_YEAR_2025)


def test_at_the_magnetic_pole_no_compass_works():
    with pytest.raises(DeclinationError, match="no compass works"):
        magnetic_declination(85.8, 139.3, 0, NEW_YEAR_2025)


def test_the_error_is_one_of_ours():
    assert issubclass(DeclinationError, CammError)
