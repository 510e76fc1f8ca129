"""Allan deviation against noise whose theory is known."""

import numpy as np
import pytest

from camm import UsageError
from camm.allan import allan_deviation

RATE_HZ = 100.0


def slope_at(curve, tau_s):
    which = int(np.argmin(np.abs(curve.tau_s - tau_s)))
    return np.gradient(np.log(curve.deviation), np.log(curve.tau_s), axis=0)[which]


def test_white_noise_falls_by_the_root_of_the_time_and_tells_its_random_walk():
    noise = np.random.default_rng(1).normal(0, 0.02, (200_000, 3))
    curve = allan_deviation(noise, 1 / RATE_HZ)
    np.testing.assert_allclose(slope_at(curve, 1.0), -0.5, atol=0.05)
    np.testing.assert_allclose(curve.random_walk, 0.02 / np.sqrt(RATE_HZ), rtol=0.03)


def test_a_random_walk_of_the_rate_rises_by_the_root_of_the_time():
    steps = np.random.default_rng(2).normal(0, 1e-3, 200_000)
    curve = allan_deviation(np.cumsum(steps), 1 / RATE_HZ)
    assert slope_at(curve, 10.0)[0] == pytest.approx(0.5, abs=0.1)
    assert np.isnan(curve.random_walk).all()


def test_the_floor_of_flicker_noise_is_its_instability():
    # White noise shaped to 1/f in the frequency domain: S(f) = B^2 / (2 pi f), one-sided.
    instability, count = 3e-3, 1 << 18
    rng = np.random.default_rng(3)
    f = np.fft.rfftfreq(count, 1 / RATE_HZ)[1:]
    density = instability**2 / (2 * np.pi * f) * 2
    spectrum = np.sqrt(density * RATE_HZ * count / 2) * np.exp(2j * np.pi * rng.random(len(f)))
    rates = np.fft.irfft(np.concatenate([[0], spectrum]), count)
    curve = allan_deviation(rates, 1 / RATE_HZ)
    middle = (curve.tau_s > 0.5) & (curve.tau_s < 30)
    np.testing.assert_allclose(curve.deviation[middle, 0] / 0.664, instability, rtol=0.25)


def test_it_is_the_definition_over_overlapping_clusters():
    values = np.random.default_rng(4).normal(size=90)
    curve = allan_deviation(values, 0.5)
    for tau_s, found in zip(curve.tau_s, curve.deviation[:, 0], strict=True):
        m = round(tau_s / 0.5)
        means = np.array([values[k : k + m].mean() for k in range(len(values) - m + 1)])
        expected = np.sqrt(np.mean((means[m:] - means[:-m]) ** 2) / 2)
        assert found == pytest.approx(expected, rel=1e-9)


def test_a_bias_does_not_count():
    values = np.random.default_rng(5).normal(size=(1000, 3))
    np.testing.assert_allclose(
        allan_deviation(values + 1e6, 0.1).deviation,
        allan_deviation(values, 0.1).deviation,
        rtol=1e-6,
    )


def test_a_sensor_that_stands_still_has_no_random_walk():
    curve = allan_deviation(np.full((1000, 3), 0.3), 0.01)
    assert (curve.deviation < 1e-12).all()
    assert np.isnan(allan_deviation(np.zeros((1000, 3)), 0.01).random_walk).all()


def test_few_samples_are_refused():
    with pytest.raises(UsageError, match="64 samples or more, found 63"):
        allan_deviation(np.zeros(63), 0.01)
