"""A picture's time is the middle of its exposure, whatever its stamp says."""

import pytest

from drivers.shutter import Shutter, Stamped, shutter

T, E, SKEW = 1_000_000_000, 8_000_000, 20_000_000


@pytest.mark.parametrize(
    ("stamped", "start"),
    [
        (Stamped.START_OF_EXPOSURE, T),
        (Stamped.START_OF_READOUT, T - E),
        (Stamped.END_OF_FRAME, T - E - SKEW),
    ],
)
def test_the_shutter_opens_where_the_stamp_says(stamped, start):
    assert shutter(T, stamped, E, SKEW) == Shutter(start + (E + SKEW) // 2, start, E, SKEW)


def test_what_is_not_known_is_not_told_and_moves_nothing():
    assert shutter(T, Stamped.START_OF_READOUT, None, None) == Shutter(T)
    assert shutter(T, Stamped.START_OF_READOUT, E, None) == Shutter(T - E // 2)
    assert shutter(T, Stamped.END_OF_FRAME, None, SKEW) == Shutter(T - SKEW // 2)


def test_a_global_shutter_has_no_skew_and_is_told():
    assert shutter(T, Stamped.START_OF_READOUT, E, 0) == Shutter(T - E // 2, T - E, E, 0)
