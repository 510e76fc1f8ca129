import numpy as np
import pytest

from hw_sim.oscillator import Oscillator

START = 4_000_000_000


def test_host_time_and_chip_time_are_inverse_to_a_nanosecond():
    clock = Oscillator(12000.0, 150.0, 900.0, START)
    chip = np.linspace(0, 5000, 400)
    back = [clock.chip_s(int(t)) for t in clock.host_ns(chip)]
    np.testing.assert_allclose(back, chip, atol=2e-9)


def test_a_fast_clock_counts_more_and_drifts_both_ways():
    clock = Oscillator(1000.0, 100.0, 600.0, START)
    assert clock.chip_s(START) == 0
    seconds = np.arange(0, 601, 10)
    chip = np.array([clock.chip_s(START + int(s) * 10**9) for s in seconds])
    rate = (np.diff(chip) / 10 - 1) * 1e6
    assert rate.max() == pytest.approx(1100, abs=1)
    assert rate.min() == pytest.approx(900, abs=1)
    assert chip[-1] == pytest.approx(600 * 1.001)
