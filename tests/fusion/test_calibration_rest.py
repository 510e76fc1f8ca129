"""Rest, gyroscope and accelerometer: arrays made from known errors, without the simulator."""

import numpy as np
import pytest

from fusion.calibration.accel import distinct_poses, fit_accel, missing_pose, normal_gravity
from fusion.calibration.errors import CalibrationError
from fusion.calibration.gyro import fit_gyro, refuse_tilting
from fusion.calibration.rest import stretches_at_rest

RATE_HZ = 200
G = 9.81


def stretch(seconds, rate_deg_s=(0.0, 0.0, 0.0), force=(0.0, 0.0, G), *, shake=0.0, seed=0):
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    t_s = np.arange(count) / RATE_HZ
    swing = shake * np.sin(2 * np.pi * 1.3 * t_s)[:, None]
    gyro = np.radians(np.array(rate_deg_s) + swing + rng.normal(0, 0.05, (count, 3)))
    accel = np.array(force) + swing / 10 + rng.normal(0, 0.02, (count, 3))
    return gyro, accel


def joined(*parts):
    gyro, accel = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    t_ns = 7_000_000_000 + np.arange(len(gyro)) * (1_000_000_000 // RATE_HZ)
    return t_ns, gyro, accel


def test_rest_is_told_from_motion_whatever_the_bias():
    parts = [stretch(3, (20, -5, 1)), stretch(2, shake=40), stretch(4, (20, -5, 1))]
    found = stretches_at_rest(*joined(*parts), 1.0)
    spans = [(rest.start / RATE_HZ, rest.stop / RATE_HZ) for rest in found]
    np.testing.assert_allclose(spans, [(0, 3), (5, 9)], atol=0.26)


def test_a_change_of_pose_divides_a_rest_though_both_sides_are_still():
    parts = [stretch(3, force=(0, 0, G)), stretch(3, force=(0, G, 0))]
    assert len(stretches_at_rest(*joined(*parts), 1.0)) == 2


def test_a_gap_in_the_samples_divides_a_rest():
    t_ns, gyro, accel = joined(stretch(6))
    t_ns[len(t_ns) // 2 :] += 5_000_000_000
    assert len(stretches_at_rest(t_ns, gyro, accel, 1.0)) == 2


def test_short_rests_and_none_at_all():
    t_ns, gyro, accel = joined(stretch(2, shake=40), stretch(1), stretch(2, shake=40))
    assert stretches_at_rest(t_ns, gyro, accel, 2.0) == []
    assert stretches_at_rest(t_ns[:0], gyro[:0], accel[:0], 1.0) == []


def test_a_bias_is_the_mean_at_rest():
    gyro, _ = stretch(20, (1.5, -0.3, 0.2))
    seconds = np.arange(len(gyro)) // RATE_HZ
    fit = fit_gyro(gyro, np.full(len(gyro), np.nan), seconds)
    np.testing.assert_allclose(np.degrees(fit.bias), (1.5, -0.3, 0.2), atol=0.005)
    assert (fit.bias_per_c, fit.temperature_c, fit.samples) == (None, None, 4000)
    assert np.degrees(fit.residual) < 0.01


def test_over_some_degrees_the_bias_has_a_slope():
    gyro, _ = stretch(60)
    warmth = np.linspace(20, 32, len(gyro))
    gyro += np.radians((0.5, 0.1, -0.2) + (warmth - 26)[:, None] * (0.02, -0.01, 0.005))
    fit = fit_gyro(gyro, warmth, np.arange(len(gyro)) // RATE_HZ)
    assert fit.temperature_c == pytest.approx(26, abs=0.05)
    np.testing.assert_allclose(np.degrees(fit.bias), (0.5, 0.1, -0.2), atol=0.004)
    np.testing.assert_allclose(np.degrees(fit.bias_per_c), (0.02, -0.01, 0.005), atol=0.001)


def test_over_few_degrees_it_has_none():
    gyro, _ = stretch(20)
    fit = fit_gyro(gyro, np.linspace(30, 32, len(gyro)), np.arange(len(gyro)) // RATE_HZ)
    assert fit.bias_per_c is None
    assert fit.temperature_c == pytest.approx(31, abs=0.1)


def test_a_bias_that_wanders_is_refused():
    gyro, _ = stretch(20)
    gyro += np.radians(np.linspace(-1, 1, len(gyro)))[:, None]
    with pytest.raises(CalibrationError, match="wandered"):
        fit_gyro(gyro, np.full(len(gyro), 30.0), np.arange(len(gyro)) // RATE_HZ)


def test_a_slow_turn_at_rest_is_seen_by_gravity():
    accel = stretch(10)[1]
    refuse_tilting(accel)
    angle = np.radians(np.linspace(0, 3, len(accel)))
    accel[:, 1] += G * np.sin(angle)
    with pytest.raises(CalibrationError, match=r"tilted by 2\.[4-9]°"):
        refuse_tilting(accel)


# The faces and corners of a cube, and what an accelerometer with these errors says of them.
CUBE = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
POSES = np.array([v for v in CUBE if np.abs(v).sum() in (1, 3)], float)
POSES /= np.linalg.norm(POSES, axis=1, keepdims=True)
MATRIX = np.array([[1.03, 0.01, -0.004], [0.01, 0.985, 0.006], [-0.004, 0.006, 1.01]])
BIAS = np.array([0.3, -0.1, 0.25])


def test_an_accelerometer_is_found_by_its_poses():
    said = G * POSES @ np.linalg.inv(MATRIX).T + BIAS
    said += np.random.default_rng(1).normal(0, 0.003, said.shape)
    fit = fit_accel(said, G)
    np.testing.assert_allclose(fit.correction.bias, BIAS, atol=0.01)
    np.testing.assert_allclose(fit.correction.matrix, MATRIX, atol=0.002)
    assert (fit.poses, fit.residual < 0.01) == (14, True)


@pytest.mark.parametrize(
    ("poses", "words"),
    [
        (POSES[:5], "5 different poses do not suffice"),
        (POSES[POSES[:, 2] > -0.1], "9 different poses"),
        (POSES[:11], "11 different poses"),
        (POSES * np.linspace(0.95, 1.05, 14)[:, None], "differs by .* from pose to pose"),
        (POSES * 0.5, "no accelerometer is as wrong"),
    ],
    ids=["few", "one side", "eleven", "unsteady", "wrong full scale"],
)
def test_poses_that_do_not_suffice_are_refused(poses, words):
    with pytest.raises(CalibrationError, match=words):
        fit_accel(G * poses, G)


def test_the_same_pose_twice_is_one():
    twice = np.concatenate([G * POSES, G * POSES + 0.1])
    assert len(distinct_poses(twice)) == len(POSES)
    assert missing_pose(distinct_poses(twice)) is None


def test_the_pose_that_would_tell_most_is_named():
    assert missing_pose(np.empty((0, 3))) is not None
    edges = np.array([v for v in CUBE if np.abs(v).sum() == 2], float)
    without = np.concatenate([POSES[np.abs(POSES).sum(axis=1) == 1], edges[edges[:, 0] != 0]])
    assert len(without) == 14
    assert missing_pose(without) in ("+Y+Z", "-Y-Z", "+Y-Z", "-Y+Z")
    with pytest.raises(CalibrationError, match=r"one is missing with .Y.Z up"):
        fit_accel(G * without, G)
    lower = np.concatenate([POSES, edges])
    lower = lower[lower[:, 2] < 0.1]
    assert "+Z" in missing_pose(lower)


# Closed formula of WGS 84 at the equator, at 45 degrees and at the pole.
@pytest.mark.parametrize(("latitude", "expected"), [(0, 9.78033), (45, 9.80620), (90, 9.83219)])
def test_gravity_of_a_place(latitude, expected):
    assert normal_gravity(latitude) == pytest.approx(expected, abs=1e-5)
    assert normal_gravity(latitude, 1000) == pytest.approx(expected - 0.00309, abs=2e-5)
