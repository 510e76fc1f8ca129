"""Stamps worked out afterwards, against oscillators whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.clock_windows import fit_windows

START_NS = 5_000_000_000_000


def looks(times, every, seed, noise_ns=0.0):
    """Intervals that hold the truth at every so-manieth count."""
    random = np.random.default_rng(seed)
    counts = np.arange(0, len(times), every)
    width = 1e6
    latest = times[counts] + random.uniform(0, width, len(counts))
    earliest = (latest - width).astype(np.int64)
    return counts, earliest, latest.astype(np.int64), np.full(len(counts), noise_ns)


def test_a_steady_clock_is_found_to_microseconds():
    times = START_NS + np.arange(600_000) * 1e6 * (1 - 0.012)
    fit = fit_windows(*looks(times, 20, seed=1))
    errors = fit.times(np.arange(len(times))) - times
    # An even distribution over 1 ms, five hundred to a window.
    assert errors.std() < 1.5 * 1e6 / np.sqrt(12 * 500)
    assert abs(errors.mean()) < 10_000


def test_a_clock_that_warms_up_is_followed_and_one_line_would_not_do():
    nominal = np.arange(600_000) / 1e3
    times = START_NS + np.cumsum(1e6 / (1 + 300e-6 * (1 - np.exp(-nominal / 60))))
    observed = looks(times, 20, seed=2)
    errors = fit_windows(*observed).times(np.arange(len(times))) - times
    assert errors.std() < 20_000
    line = fit_windows(*observed, window_s=10_000).times(np.arange(len(times))) - times
    assert line.std() > 1_000_000


def test_stamps_never_jump_from_one_window_to_the_next():
    times = START_NS + np.arange(60_000) * 1e6
    stamps = fit_windows(*looks(times, 20, seed=3)).times(np.arange(-5_000, 65_000))
    steps = np.diff(stamps)
    assert np.abs(steps - 1e6).max() < 1_000  # a jump would be some 10 us


def test_what_is_less_sure_counts_less():
    times = START_NS + np.arange(10_000) * 1e6
    counts, earliest, latest, noise = looks(times, 10, seed=4)
    latest[::2] += 400_000_000
    earliest[::2] += 400_000_000
    noise[::2] = 1e10
    errors = fit_windows(counts, earliest, latest, noise).times(np.arange(10_000)) - times
    assert np.abs(errors).max() < 100_000


def test_a_pause_longer_than_a_window_is_bridged():
    times = START_NS + np.arange(120_000) * 1e6
    counts, earliest, latest, noise = looks(times, 20, seed=5)
    there = (counts < 30_000) | (counts > 80_000)
    fit = fit_windows(counts[there], earliest[there], latest[there], noise[there])
    errors = fit.times(np.arange(120_000)) - times
    assert np.abs(errors).max() < 500_000


def test_two_observations_are_a_line_and_one_is_none():
    counts, at = np.array([0, 10]), np.array([START_NS, START_NS + 10_000_000])
    fit = fit_windows(counts, at, at, np.ones(2))
    assert fit.times(np.array([5, 20])).tolist() == [START_NS + 5_000_000, START_NS + 20_000_000]
    with pytest.raises(ValueError, match="two counts at least, found 1"):
        fit_windows(counts[:1], at[:1], at[:1], np.ones(1))


@given(
    st.lists(st.integers(1, 5000), min_size=2, max_size=60),
    st.floats(0.5, 30.0),
    st.integers(-(10**15), 10**15),
)
def test_whatever_the_gaps_a_perfect_clock_is_found(gaps, window_s, first):
    counts = first + np.cumsum(np.array(gaps))
    at = START_NS + (counts - first) * 4_000_000
    fit = fit_windows(counts, at, at, np.full(len(at), 1_000.0), window_s)
    asked = np.arange(counts[0], counts[-1], max(1, (counts[-1] - counts[0]) // 50))
    assert np.abs(fit.times(asked) - (START_NS + (asked - first) * 4_000_000)).max() <= 1000


def test_looks_that_come_close_to_an_event_tell_more_than_the_middles_of_all():
    times = START_NS + np.arange(60_000) * 4e6
    counts, earliest, latest, noise = looks(times, 5, seed=6, noise_ns=20_000.0)
    # Intervals of 1 ms: by their middles the 750 of a window would leave 10 us and more.
    errors = fit_windows(counts, earliest, latest, noise).times(np.arange(60_000)) - times
    assert errors.std() < 4_000


def test_a_few_wild_observations_are_outvoted():
    times = START_NS + np.arange(60_000) * 1e6
    counts, earliest, latest, noise = looks(times, 20, seed=7, noise_ns=20_000.0)
    earliest[::50] += 30_000_000
    latest[::50] += 30_000_000
    errors = fit_windows(counts, earliest, latest, noise).times(np.arange(60_000)) - times
    assert np.abs(errors).max() < 60_000
