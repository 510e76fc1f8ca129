"""GPS time against dates that are published, and against itself."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import gps_time


@pytest.mark.parametrize(
    ("utc", "seconds"),
    [
        (datetime(1980, 1, 6, tzinfo=UTC), 0),
        (datetime(1981, 6, 30, 23, 59, 59, tzinfo=UTC), 46_828_799),
        (datetime(1981, 7, 1, tzinfo=UTC), 46_828_801),
        (datetime(2011, 9, 14, 1, 46, 40, tzinfo=UTC), 1_000_000_015),
        (datetime(2019, 4, 6, 23, 59, 42, tzinfo=UTC), 2048 * 604_800),
    ],
    ids=["epoch", "before the first leap second", "after it", "2011", "second week roll-over"],
)
def test_published_moments(utc, seconds):
    assert gps_time.gps_from_utc(utc) == seconds
    assert gps_time.utc_from_gps(seconds) == utc


def test_since_2017_gps_is_18_seconds_ahead():
    assert gps_time.leap_seconds(date(2016, 12, 31)) == 17
    assert gps_time.leap_seconds(date(2017, 1, 1)) == 18
    assert gps_time.unix_from_gps(1_167_264_018) == 1_483_228_800


def test_the_table_covers_more_than_a_year_after_the_last_change():
    last = date(2017, 1, 1)
    assert last + timedelta(days=366) < gps_time.LEAP_SECONDS_EXPIRE


@given(
    st.datetimes(datetime(1980, 1, 6), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis wants naive bounds)
)
def test_there_and_back(utc):
    assert abs(gps_time.utc_from_gps(gps_time.gps_from_utc(utc)) - utc) <= timedelta(microseconds=1)
    unix = utc.timestamp()
    assert gps_time.unix_from_gps(gps_time.gps_from_unix(unix)) == pytest.approx(unix, abs=1e-6)
    assert gps_time.gps_from_unix(unix) == pytest.approx(gps_time.gps_from_utc(utc), abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-06-01T12:00:00Z", "2026-06-01 12:00", "2026-06-01T14:00:00+02:00"),
        *("2026-06-01T14:00:00+0200", " 2026-06-01T06:30:00-0530"),
    ],
)
def test_dates_in_their_usual_forms(text):
    assert gps_time.parse_utc(text) == datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("year", ["0001", "1969", "2200", "9999"])
def test_dates_of_another_age_are_none(year):
    with pytest.raises(ValueError, match="expected a year of 1970 to 2199"):
        gps_time.parse_utc(f"{year}-01-01T00:00:00+02:00")
