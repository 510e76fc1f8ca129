"""The magnetometer's fit against a field that stands still while a rig with known errors turns."""

import numpy as np
import pytest

from camm.frames import from_angle_axis, multiply, to_matrix
from fusion.calibration.errors import CalibrationError
from fusion.calibration.mag import covered, fit_mag, suffices
from fusion.calibration.turning import integrate

RATE_HZ, MAG_EVERY, SECONDS = 200, 4, 90
FIELD = np.array([12.0, 18.0, -42.0])  # east, north, up: it dips by 62.7 degrees
IRON, HARD = np.array([[1.1, 0.03, -0.02], [0.05, 0.94, 0.02], [-0.04, 0.01, 1.0]]), (25, -14, 6)


def tumbling(tilt_deg=180.0):
    """Rates, and attitudes from sensor to world, of a rig that is turned about."""
    t_s = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    tilt = np.radians(tilt_deg)
    parts = (
        (t_s * 0.9, (0, 0, 1)),
        (tilt * np.sin(0.41 * t_s), (1, 0, 0)),
        (tilt * np.sin(0.29 * t_s + 0.5), (0, 1, 0)),
    )
    q = np.array([1.0, 0, 0, 0])
    for angle, axis in parts:
        q = multiply(q, from_angle_axis(angle[:, None] * np.array(axis, float)))
    world_from_sensor = to_matrix(q)
    step = world_from_sensor[:-1].transpose(0, 2, 1) @ world_from_sensor[1:]
    rate = np.stack([step[:, 2, 1], step[:, 0, 2], step[:, 1, 0]], axis=1) * RATE_HZ
    return np.concatenate([rate[:1], rate]), world_from_sensor


def measured(tilt_deg=180.0, noise=0.3, field=FIELD, iron=IRON, hard=HARD):
    gyro, attitude = tumbling(tilt_deg)
    rng = np.random.default_rng(1)
    t_ns = np.arange(len(gyro)) * (1_000_000_000 // RATE_HZ)
    accel = attitude.transpose(0, 2, 1) @ np.array([0, 0, 9.81])
    true = np.einsum("nji,nj->ni", attitude, np.broadcast_to(field, accel.shape))[::MAG_EVERY]
    said = true @ np.array(iron).T + hard + rng.normal(0, noise, true.shape)
    return t_ns[::MAG_EVERY], said, t_ns, gyro, accel


def test_the_gyroscope_is_summed_up_to_attitudes():
    gyro, attitude = tumbling()
    t_ns = np.arange(len(gyro)) * (1_000_000_000 // RATE_HZ)
    found = to_matrix(integrate(t_ns, gyro))[200]
    np.testing.assert_allclose(found, attitude[0].T @ attitude[200], atol=0.01)


def test_hard_iron_soft_iron_and_the_turn_of_the_axes_are_found():
    fit = fit_mag(*measured(), np.linalg.norm(FIELD))
    np.testing.assert_allclose(fit.correction.bias, HARD, atol=0.1)
    np.testing.assert_allclose(fit.correction.matrix @ IRON, np.eye(3), atol=0.01)
    assert fit.residual == pytest.approx(0.3, rel=0.1)
    assert fit.dip_deg == pytest.approx(np.degrees(np.arctan2(42, np.hypot(12, 18))), abs=0.5)


def test_axes_that_are_twisted_against_the_gyroscope_are_turned_back():
    twist = to_matrix(from_angle_axis(np.radians([4.0, -6.0, 5.0])))
    fit = fit_mag(*measured(iron=twist))
    np.testing.assert_allclose(fit.correction.matrix @ twist, np.eye(3), atol=0.01)
    assert fit.twist_deg == pytest.approx(np.sqrt(16 + 36 + 25), abs=0.3)


def test_a_bias_of_the_gyroscope_does_no_harm():
    t_ns, field, imu_t_ns, gyro, accel = measured()
    fit = fit_mag(t_ns, field, imu_t_ns, gyro + np.radians(5.0), accel)
    volume = np.cbrt(np.linalg.det(IRON))
    np.testing.assert_allclose(fit.correction.matrix @ IRON, volume * np.eye(3), atol=0.015)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"tilt_deg": 40.0}, "of all directions were seen"),
        ({"noise": 6.0}, "from place to place"),
        ({"iron": np.diag([2.4, 1.0, 1.0])}, "as much as another"),
    ],
    ids=["coverage", "disturbed", "iron near by"],
)
def test_what_does_not_suffice_is_refused(what, words):
    with pytest.raises(CalibrationError, match=words):
        fit_mag(*measured(**what))


def test_coverage_grows_while_the_rig_is_turned():
    field = measured()[1]
    shares = [covered(field[:count]).mean() for count in (0, 1, 100, 1000, len(field))]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


def test_nearly_all_directions_suffice():
    cells = covered(measured()[1])
    cells[:3] = False
    assert suffices(cells)
    cells[3] = False
    assert not suffices(cells)


def test_noise_at_rest_covers_nothing():
    noise = np.random.default_rng(3).normal(FIELD, 1.0, (2000, 3))
    assert not covered(noise).any()


def test_a_rig_that_never_rests_tells_no_dip():
    t_ns, field, imu_t_ns, gyro, accel = measured()
    assert np.isnan(fit_mag(t_ns, field, imu_t_ns, gyro, 2 * accel).dip_deg)
