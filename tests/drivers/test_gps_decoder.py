"""What receivers tell beside their fixes, and how it is kept."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.gps_decoder import GpsDecoder
from drivers.gps_messages import MessageCutter
from drivers.receiver import Spread, Tally

DATA = Path(__file__).parents[1] / "data" / "gps"


def heard(name):
    """The decoder's account of a real receiver's log."""
    cutter, decoder = MessageCutter(), GpsDecoder()
    cutter.add((DATA / f"{name}.log").read_bytes(), 0)
    for message in iter(cutter.next, None):
        decoder.take(message)
    decoder.finish()
    return decoder.statistics(cutter.counts)


@given(st.lists(st.integers(0, 40), min_size=1))
def test_the_median_of_a_tally_is_that_of_its_values(values):
    tally = Tally()
    for value in values:
        tally.add(value)
    assert tally.spread == Spread(values[-1], np.percentile(values, 50, method="inverted_cdf"))


def test_of_nothing_there_is_no_median():
    assert Tally().spread is None


@pytest.mark.parametrize(
    ("name", "satellites", "pdop"),
    [
        ("ublox-neo-m8p", Spread(9, 9), Spread(2.48, 2.48)),  # NAV-PVT
        ("ublox-neo-m9n-nmea", Spread(12, 12), Spread(1.05, 1.04)),  # GGA and GSA
    ],
)
def test_satellites_and_precision_are_kept(name, satellites, pdop):
    statistics = heard(name)
    assert (statistics.satellites, statistics.pdop) == (satellites, pdop)


def test_what_is_no_number_of_satellites_and_no_dilution_is_passed_over():
    decoder = GpsDecoder()
    decoder.tell_sky(None, 99.99)
    decoder.tell_sky("", "")
    decoder.tell_sky("7", 0.0)
    statistics = decoder.statistics(MessageCutter().counts)
    assert statistics.satellites is statistics.pdop is None
