"""Poses at chosen times: between two samples it is that between the two."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, Samples
from fusion.chosen_times import ChosenTimes

T = 5_000_000  # 200 Hz
BOOT = 86_400 * 10**9 + 1_234_567
FOR_EVER = 1 << 62


def turning(first, last):
    """A degree further to the right with every sample."""
    t_ns = BOOT + np.arange(first, last, dtype=np.int64) * T
    heading = np.radians((np.arange(first, last) % 170).astype(float))
    zero = np.zeros_like(heading)
    return Samples(PacketType.ANGLE_AXIS, t_ns, np.stack([zero, heading, zero], axis=1))


def degrees(samples):
    return np.degrees(samples.data[:, 1])


def test_at_the_time_of_a_picture_it_is_between_the_samples_around_it():
    tested = ChosenTimes()
    tested.add(turning(0, 10))
    tested.want(np.array([BOOT + 3 * T, BOOT + 3 * T + T // 4]))
    found = tested.take(FOR_EVER)
    assert found.t_ns.tolist() == [BOOT + 3 * T, BOOT + 3 * T + T // 4]
    assert degrees(found) == pytest.approx([3, 3.25], abs=1e-4)


def test_a_picture_that_comes_after_the_samples_of_its_time_is_told_all_the_same():
    tested = ChosenTimes()
    tested.add(turning(0, 10))
    assert not len(tested.take(BOOT + 5 * T))
    tested.add(turning(10, 40))
    tested.want(np.array([BOOT + 20 * T, BOOT + 6 * T]))  # of B-frames
    found = tested.take(BOOT + 30 * T)
    assert degrees(found) == pytest.approx([6, 20], abs=1e-4)


def test_nothing_is_told_before_it_is_known():
    tested = ChosenTimes()
    tested.want(np.array([BOOT + 12 * T]))
    tested.add(turning(0, 10))
    assert not len(tested.take(FOR_EVER))
    tested.add(turning(10, 20))
    assert not len(tested.take(BOOT + 12 * T))
    assert degrees(tested.take(BOOT + 12 * T + 1)) == pytest.approx([12], abs=1e-4)
    assert not len(tested.take(FOR_EVER))


def test_times_before_the_first_sample_are_left_out():
    tested = ChosenTimes()
    tested.want(np.array([BOOT - 1, BOOT]))
    assert not len(tested.take(FOR_EVER))
    tested.add(turning(0, 10))
    assert tested.take(FOR_EVER).t_ns.tolist() == [BOOT]


def test_a_camera_that_hangs_costs_no_more_memory_than_ten_seconds():
    tested = ChosenTimes()
    for first in range(0, 20_000, 200):
        tested.add(turning(first, first + 200))
        tested.take(BOOT)
    assert len(tested._known) <= 2_200
    tested.want(np.array([BOOT + 10 * T, BOOT + 19_500 * T]))
    assert tested.take(FOR_EVER).t_ns.tolist() == [BOOT + 19_500 * T]


@given(st.lists(st.integers(1, 199), max_size=8), st.sampled_from([7.0, 30.0, 50.0, 59.94, 400.0]))
def test_a_rate_gives_the_multiples_of_its_period_however_the_blocks_fall(cuts, rate_hz):
    tested = ChosenTimes(rate_hz)
    edges = sorted({0, 200, *cuts})
    parts = []
    for first, last in pairwise(edges):
        tested.add(turning(first, last))
        parts.append(tested.take(FOR_EVER))
    found = Samples.concatenate(PacketType.ANGLE_AXIS, parts)
    first = int(np.ceil(BOOT * rate_hz / 1e9))
    last = int(np.floor((BOOT + 199 * T) * rate_hz / 1e9))
    wanted = np.round(np.arange(first, last + 1) * (1e9 / rate_hz)).astype(np.int64)
    np.testing.assert_array_equal(found.t_ns, wanted)
    inside = (found.t_ns - BOOT) / T < 169
    np.testing.assert_allclose(degrees(found)[inside], ((wanted - BOOT) / T)[inside], atol=1e-3)


def test_positions_lie_on_the_line_between_two_and_not_in_a_gap():
    rows = np.array([0, 1, 2, 3, 60, 61, 62])
    line = rows[:, None] * (1.0, -2.0, 0.5)
    known = Samples(PacketType.POSITION, BOOT + rows * T, line)
    tested = ChosenTimes(None, PacketType.POSITION, apart_ns=10 * T)
    wanted = BOOT + np.array([0, T // 2, 3 * T, 4 * T, 30 * T, 60 * T - 1, 60 * T, 61 * T + T // 4])
    tested.want(wanted)
    tested.add(known)
    found = tested.take(FOR_EVER)
    assert found.kind is PacketType.POSITION
    np.testing.assert_array_equal(found.t_ns, wanted[[0, 1, 2, 6, 7]])
    expected = np.array([0, 0.5, 3, 60, 61.25])[:, None] * (1.0, -2.0, 0.5)
    np.testing.assert_allclose(found.data, expected, rtol=1e-6)


def test_times_that_nothing_ever_tells_of_are_forgotten():
    tested = ChosenTimes(None, PacketType.POSITION)
    for second in range(100):
        tested.want(BOOT + second * 10**9 + np.arange(0, 10**9, 20_000_000))
        assert not len(tested.take(BOOT))
    assert len(tested._wanted) <= 501
