"""Columns as text: as Python prints each value, one by one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from muxer.extract import cells

ANY_SINGLE = hnp.arrays(np.float32, st.integers(0, 30), elements=st.floats(width=32))
USUAL = hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-1e3, 1e3, width=32))
INTEGERS = hnp.arrays(np.int64, st.integers(0, 30), elements=st.integers(-(2**62), 2**62))


def lines(table):
    """Row by row."""
    return [row[row != 0].tobytes().decode() for row in table]


@given(ANY_SINGLE | USUAL)
@example(np.array([0, -0.0, 0.1, 1e-4, 9.9999e-5, 1e9, 999999936, 16777217, 0.5, 100], np.float32))
@example(np.array([np.nan, np.inf, -np.inf, 1e-45, 3.4e38, -1e-30], np.float32))
def test_a_float32_is_printed_in_the_fewest_digits_of_printf(values):
    for word, value in zip(lines(cells.singles(values)), values, strict=True):
        fewest = next(
            text
            for text in (f"{float(value):.{digits}g}" for digits in (6, 7, 8, 9))
            if np.float32(text) == value or np.isnan(value) or text == f"{float(value):.9g}"
        )
        if 1e-13 <= abs(float(value)) < 1e18:
            assert float(word) == float(fewest)
            assert word == f"{float(fewest):.9g}"
        else:
            assert word == f"{float(value):.9g}"


@given(INTEGERS)
def test_whole_numbers_are_those_of_python(values):
    assert lines(cells.integers(values)) == [str(value) for value in values.tolist()]


@given(INTEGERS, st.integers(1, 9))
def test_a_decimal_point_stands_where_it_is_wanted(values, decimals):
    for word, value in zip(lines(cells.fixed(values, decimals)), values.tolist(), strict=True):
        assert Decimal(word) == Decimal(value).scaleb(-decimals)
        assert word == f"{Decimal(value).scaleb(-decimals):.{decimals}f}"


@given(st.lists(st.none() | st.integers(0, 9 * 10**18), max_size=20))
def test_dates_are_those_of_iso_8601_to_the_nearest_microsecond(moments):
    values = np.array(
        [np.datetime64("NaT" if ns is None else ns, "ns") for ns in moments], "datetime64[ns]"
    )
    expected = ["" if ns is None else iso((ns + 500) // 1000) for ns in moments]
    assert lines(cells.dates(values)) == expected


def iso(us):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=10))
def test_texts_come_out_as_they_went_in(words):
    table = cells.texts(words)
    assert [row[row != 0].tobytes().decode() for row in table] == words


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_lines_are_put_together_of_columns(rows):
    numbers = np.arange(rows) * 1001
    table = cells.comma_separated([cells.integers(numbers), cells.texts(["é"] * rows)])
    assert cells.text_of(table).decode() == "".join(f"{n},é\n" for n in numbers)


def test_a_word_takes_the_place_of_what_cannot_be_said():
    values = np.array([1, np.nan, -np.inf], np.float32)
    table = cells.put(cells.singles(values), ~np.isfinite(values), b"null, or so")
    assert lines(table) == ["1", "null, or so", "null, or so"]
    assert lines(cells.singles(values)) == ["1", "nan", "-inf"]
