"""Ellipsoids, coverage and corrections against points that were made from known errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.calibration.correction import Correction
from fusion.calibration.ellipsoid import fit_ellipsoid
from fusion.calibration.errors import CalibrationError
from fusion.calibration.sphere import CENTRES, middle_of_gap, seen

SYMMETRIC = np.array([[1.04, 0.02, -0.01], [0.02, 0.97, 0.03], [-0.01, 0.03, 1.01]])
OFFSET = np.array([3.0, -12.0, 7.5])


def directions(count, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def said(length, count=200, noise=0.0, seed=0):
    true = length * directions(count, seed)
    wrong = true @ np.linalg.inv(SYMMETRIC).T + OFFSET
    return wrong + np.random.default_rng(seed + 1).normal(0, noise, wrong.shape)


def test_an_ellipsoid_without_noise_is_found_exactly():
    found = fit_ellipsoid(said(48.0), 48.0)
    np.testing.assert_allclose(found.correction.bias, OFFSET, atol=1e-9)
    np.testing.assert_allclose(found.correction.matrix, SYMMETRIC, atol=1e-9)
    assert found.residual < 1e-9


def test_noise_is_averaged_and_told_as_the_residual():
    found = fit_ellipsoid(said(48.0, count=2000, noise=0.4), 48.0)
    np.testing.assert_allclose(found.correction.bias, OFFSET, atol=0.05)
    np.testing.assert_allclose(found.correction.matrix, SYMMETRIC, atol=2e-3)
    assert found.residual == pytest.approx(0.4, rel=0.1)


def test_without_a_radius_the_ellipsoid_keeps_its_volume():
    found = fit_ellipsoid(said(48.0))
    assert np.linalg.det(found.correction.matrix) == pytest.approx(1.0)
    assert found.radius == pytest.approx(48.0 / np.linalg.det(SYMMETRIC) ** (1 / 3))


@given(st.integers(0, 10_000), st.floats(1e-3, 1e6))
def test_any_well_covered_ellipsoid_becomes_a_sphere(seed, length):
    rng = np.random.default_rng(seed)
    matrix = np.eye(3) + rng.uniform(-0.15, 0.15, (3, 3))
    points = length * (directions(60, seed) @ matrix.T + rng.uniform(-2, 2, 3))
    found = fit_ellipsoid(points, length)
    back = np.linalg.norm(found.correction.apply(points), axis=1)
    np.testing.assert_allclose(back, length, rtol=1e-6)


@pytest.mark.parametrize(
    "points",
    [
        directions(8),
        np.zeros((50, 3)),
        directions(50) * (1, 1, 0),
        np.linspace(0, 1, 50)[:, None] * (1.0, 2.0, 3.0),
        np.column_stack(
            [np.linspace(-2, 2, 50), np.linspace(-2, 2, 50) ** 2, directions(50)[:, 0]]
        ),
    ],
    ids=["few", "one", "plane", "line", "open"],
)
def test_what_is_no_ellipsoid_is_refused(points):
    with pytest.raises(CalibrationError):
        fit_ellipsoid(points)


vectors = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3).map(np.array)


@given(vectors, vectors, st.integers(0, 1000))
def test_a_correction_can_be_undone(bias, value, seed):
    matrix = np.eye(3) + np.random.default_rng(seed).uniform(-0.2, 0.2, (3, 3))
    correction = Correction(bias, matrix)
    back = correction.undo(correction.apply(value[None]))
    np.testing.assert_allclose(back, value[None], atol=1e-9)


def test_a_saturated_axis_stays_recognisable_after_correction():
    rng = np.random.default_rng(7)
    correction = Correction(np.array([1.0, -2.0, 0.5]), SYMMETRIC)
    raw = rng.uniform(-40, 40, (20_000, 3))
    raw[np.arange(len(raw)), rng.integers(0, 3, len(raw))] = 40 * rng.choice([-1, 1], len(raw))
    corrected = np.abs(correction.apply(raw)).max(axis=1)
    assert corrected.min() >= correction.least_of(40.0) > 32


def test_directions_everywhere_see_every_cell_and_one_direction_its_neighbours():
    assert seen(directions(40_000, 3), 5).all()
    one = seen(5.0 * CENTRES[17][None], 30)
    angles = np.degrees(np.arccos(np.clip(CENTRES @ CENTRES[17], -1, 1)))
    np.testing.assert_array_equal(one, angles <= 30)


def test_the_gap_is_named():
    upper = directions(5000)
    upper = upper[upper[:, 2] > 0]
    cells = seen(upper, 20)
    assert 0.4 < cells.mean() < 0.8
    assert middle_of_gap(cells) == "-Z"
    assert middle_of_gap(seen(-upper[:, [2, 0, 1]], 20)) == "+X"
    band = directions(5000)
    band = band[np.abs(band[:, 1]) < 0.5]
    assert middle_of_gap(seen(band, 20)) in ("+Y", "-Y")


def test_nothing_seen_is_nothing_seen():
    assert not seen(np.empty((0, 3)), 30).any()
    assert not seen(np.zeros((3, 3)), 30).any()
