"""Pictures are numbered in showing order, across what is lost of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.salvage.carve import Samples
from muxer.salvage.codecs.scanner import UNORDERED
from muxer.salvage.pictures import breaks, picture_numbers

SIZE, KEY_SIZE, WRAP = 1_000, 8_000, 64
NOTHING_LOST = np.empty((0, 2), np.int64)


def film(periods: list[int], reorder: int = 0, *, wrap: int = WRAP):
    """Pictures in the order of the file, with the numbers in which they are shown."""
    number, order, key, reference = [], [], [], []
    base = 0
    for length in periods:
        shown = list(range(length))
        for first in range(1, length, reorder + 1):
            group = list(range(first, min(first + reorder + 1, length)))
            shown[first : first + len(group)] = [group[-1], *group[:-1]]
        number += [base + place for place in shown]
        order += [2 * place % wrap for place in shown]
        key += [place == 0 for place in shown]
        reference += [place == 0 or (place - 1) % (reorder + 1) == reorder for place in shown]
        base += length
    key_array = np.array(key)
    size = np.where(key_array, KEY_SIZE, SIZE).astype(np.int64)
    samples = Samples(
        np.cumsum(size) - size,
        size,
        key_array,
        np.array(order),
        key_array,
        np.array(reference) | (reorder == 0),
    )
    return samples, np.array(number)


def without(samples: Samples, gone: slice) -> tuple[Samples, np.ndarray, np.ndarray]:
    """What is left, which rows that is, and where the others were."""
    left = np.ones(len(samples), bool)
    left[gone] = False
    lost = np.flatnonzero(~left)
    where = np.array([[samples.offset[lost[0]], samples.end[lost[-1]]]])
    return samples[left], left, where


@pytest.mark.parametrize("reorder", [0, 1, 3])
def test_pictures_are_shown_in_the_order_of_their_counts(reorder):
    samples, number = film([25, 25, 40, 7], reorder)
    found = picture_numbers(samples, WRAP, NOTHING_LOST, int(samples.size.sum()))
    assert found.tolist() == number.tolist()


def test_a_codec_without_counts_is_shown_in_the_order_of_the_file():
    samples, _ = film([10, 10])
    plain = Samples(
        samples.offset,
        samples.size,
        samples.keyframe,
        np.full(20, UNORDERED),
        samples.fresh,
        samples.reference,
    )
    assert picture_numbers(plain, 0, NOTHING_LOST, 20_000).tolist() == list(range(20))


@pytest.mark.parametrize("reorder", [0, 2])
@pytest.mark.parametrize(
    "gone",
    [
        slice(30, 33),  # within a period
        slice(47, 50),  # at the end of one
        slice(74, 78),  # with the key frame of the next
        slice(60, 100),  # a period and more: the count has wrapped
        slice(20, 190),  # seven of them
    ],
    ids=["inside", "end", "key frame", "wrapped", "many"],
)
def test_what_is_lost_is_counted(gone, reorder):
    samples, number = film([25] * 14, reorder)
    left, rows, where = without(samples, gone)
    found = picture_numbers(left, WRAP, where, int(samples.size.sum()))
    assert found.tolist() == number[rows].tolist()


def test_a_key_frame_that_came_sooner_than_usual_is_counted_too():
    samples, number = film([25, 24, 25, 23, 11, 24, 25])
    start = 25 + 24 + 25 + 23
    left, rows, where = without(samples, slice(start - 1, start + 2))
    found = picture_numbers(left, WRAP, where, int(samples.size.sum()))
    assert found.tolist() == number[rows].tolist()


def test_lost_bytes_of_another_track_lose_no_picture():
    samples, number = film([25] * 4)
    apart = Samples(
        samples.offset + 5_000 * (np.arange(100) >= 40),
        samples.size,
        samples.keyframe,
        samples.order,
        samples.fresh,
        samples.reference,
    )
    where = np.array([[apart.offset[40] - 5_000, apart.offset[40]]])
    found = picture_numbers(apart, WRAP, where, int(samples.size.sum()) + 5_000)
    assert found.tolist() == number.tolist()


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(0, 3),
    st.data(),
)
def test_numbers_are_those_of_different_pictures_whatever_is_lost(periods, reorder, data):
    samples, _ = film(periods, reorder)
    first = data.draw(st.integers(0, len(samples) - 1))
    last = data.draw(st.integers(first + 1, len(samples)))
    left, _, where = without(samples, slice(first, last))
    found = picture_numbers(left, WRAP, where, int(samples.size.sum()))
    assert len(found) == len(left)
    assert (found >= 0).all()


def test_breaks_are_where_bytes_are_lost_between_samples():
    offset = np.array([0, 100, 500, 900])
    lost = np.array([[0, 0], [200, 300], [350, 500], [950, 2_000]])
    found = breaks(offset, lost)
    assert [(gap.row, gap.lost) for gap in found] == [(2, 250)]
