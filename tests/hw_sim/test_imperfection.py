"""The errors of a simulated motion sensor: what they are, when, and what follows its warmth."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hw_sim.ak09916 import Ak09916
from hw_sim.icm20948 import Icm20948
from hw_sim.imperfection import Imperfection, Wander
from hw_sim.oscillator import Oscillator
from hw_sim.scenario import load_scenario

SECOND = 1_000_000_000
START = 50 * SECOND
WALK = load_scenario("walk")
PERFECT = replace(
    WALK.imu,
    gyro_bias_deg_s=(0.0, 0.0, 0.0),
    accel_bias_m_s2=(0.0, 0.0, 0.0),
    gyro_noise_deg_s_rthz=0.0,
    accel_noise_m_s2_rthz=0.0,
)
T = START + np.arange(0, 600, 5) * SECOND


def test_a_wander_is_a_gauss_markov_process():
    t = np.arange(0, 2000, 5.0)
    values = [Wander(0.3, 50.0, np.random.default_rng(seed)).at(t) for seed in range(60)]
    table = np.concatenate(values, axis=1)
    assert table.std() == pytest.approx(0.3, rel=0.05)
    for lag in (5, 10, 20):  # of five seconds
        kept = (table[lag:] * table[:-lag]).mean() / table.var()
        assert kept == pytest.approx(math.exp(-lag * 5 / 50), abs=0.05)


def test_a_wander_can_be_asked_for_any_moment():
    wander = Wander(0.3, 50.0, np.random.default_rng(5))
    t = np.linspace(0, 300, 100)
    np.testing.assert_array_equal(wander.at(t)[40:60], wander.at(t[40:60]))


def test_without_errors_the_truth_comes_out():
    truth = np.random.default_rng(1).normal(size=(len(T), 3))
    perfect = Imperfection(PERFECT, START, 4)
    np.testing.assert_array_equal(perfect.gyro(T, truth), truth)
    np.testing.assert_array_equal(perfect.accel(T, truth), truth)


def test_scale_and_crossed_axes_are_one_matrix():
    crooked = replace(
        PERFECT,
        gyro_matrix=((1.01, 0.002, 0.0), (0.0, 0.99, 0.0), (0.0, -0.003, 1.0)),
        accel_matrix=((1.0, 0.0, 0.02), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    )
    sensor = Imperfection(crooked, START, 4)
    unit = np.eye(3)
    np.testing.assert_allclose(sensor.gyro(T[:3], unit), np.array(crooked.gyro_matrix).T)
    np.testing.assert_allclose(sensor.accel(T[:3], unit), np.array(crooked.accel_matrix).T)


def test_biases_follow_the_warmth_and_end_at_what_the_scenario_says():
    warming = replace(
        PERFECT,
        gyro_bias_deg_s=(0.5, 0.0, 0.0),
        warm_up_c=20.0,
        warm_up_s=60.0,
        gyro_bias_deg_s_per_c=(0.01, -0.02, 0.0),
        accel_bias_m_s2_per_c=(0.0, 0.0, 0.005),
    )
    sensor = Imperfection(warming, START, 4)
    t = START + np.array([0, 60, 3600]) * SECOND
    none = np.zeros((3, 3))
    cold = 20 * np.exp([0.0, -1.0, -60.0])
    gyro = np.degrees(sensor.gyro(t, none))
    np.testing.assert_allclose(gyro[:, 0], 0.5 - 0.01 * cold, atol=1e-12)
    np.testing.assert_allclose(gyro[:, 1], 0.02 * cold, atol=1e-12)
    np.testing.assert_allclose(sensor.accel(t, none)[:, 2], -0.005 * cold, atol=1e-12)
    assert sensor.temperature_c(START) == pytest.approx(14.5)
    assert sensor.temperature_c(int(t[2])) == pytest.approx(34.5)


def test_a_crystal_that_warms_up_counts_there_and_back():
    crystal = Oscillator(1000.0, 100.0, 500.0, START, cold_ppm=-400.0, warm_up_s=60.0)
    chip_s = np.array([crystal.chip_s(int(t)) for t in T])
    assert np.abs(crystal.host_ns(chip_s) - T).max() <= 1
    first = (crystal.chip_s(START + SECOND) - 1) * 1e6
    assert first == pytest.approx(1000 + 100 - 400 * 60 * (1 - math.exp(-1 / 60)), abs=0.5)


def test_the_thermometer_of_a_chip_shows_it_warm_up():
    warming = replace(PERFECT, warm_up_c=20.0, warm_up_s=60.0)

    def still(t_ns):
        return np.zeros((len(t_ns), 3)), np.zeros((len(t_ns), 3))

    chip = Icm20948(still, warming, START, 1)
    chip.write(0x06, b"\x01", START + SECOND)
    chip.write(0x07, b"\x00", START + SECOND)
    told = []
    for after_s in (2, 60, 600):
        chip.read(0x2D, 14, START + after_s * SECOND - SECOND // 50)
        raw = int.from_bytes(chip.read(0x39, 2, START + after_s * SECOND), "big", signed=True)
        told.append(raw / 333.87 + 21)
    expected = [34.5 - 20 * math.exp(-s / 60) for s in (2, 60, 600)]
    np.testing.assert_allclose(told, expected, atol=0.2)


def test_soft_iron_bends_the_field_before_the_hard_iron_is_added():
    bent = replace(
        WALK.mag,
        noise_ut=0.0,
        hard_iron_ut=(3.0, 0.0, 0.0),
        soft_iron=((1.1, 0.0, 0.0), (0.2, 1.0, 0.0), (0.0, 0.0, 0.9)),
    )
    straight = replace(WALK.mag, noise_ut=0.0, hard_iron_ut=(0.0, 0.0, 0.0))

    def field(t_ns):
        return np.tile([20.0, -10.0, 40.0], (len(t_ns), 1))

    words = []
    for errors in (straight, bent):
        chip = Ak09916(field, errors, START, 1, lambda: True)
        chip.write(0x31, b"\x01", START)
        words.append(np.frombuffer(chip.read(0x11, 6, START + SECOND // 10), "<i2") * 0.15)
    # The AK09916 lies with Y and Z against those of the IMU.
    imu = [word * [1, -1, -1] for word in words]
    np.testing.assert_allclose(imu[0], [20, -10, 40], atol=0.1)
    np.testing.assert_allclose(imu[1], [25, -6, 36], atol=0.1)
