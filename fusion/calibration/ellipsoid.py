"""The ellipsoid that a triad of axes makes of a vector of constant length, turned every way.

Gravity does that to an accelerometer in many poses, the Earth's field to a magnetometer. The fit
says how the ellipsoid becomes a sphere about the origin again; by how much the whole is turned it
cannot say, and says not at all: its matrix is symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camm.frames import Array
from fusion.calibration.correction import Correction
from fusion.calibration.errors import CalibrationError

UNKNOWNS = 9
_ROUNDS = 10
_FLATTEST = 0.02  # shortest axis to longest: what is flatter is a plane with noise
_FIRST, _SECOND = np.array([0, 1, 2, 0, 0, 1]), np.array([0, 1, 2, 1, 2, 2])  # of a symmetric 3x3


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """`correction` brings its points to a sphere of `radius`; `residual` is what they are off, rms.

    All in the unit of the points.
    """

    correction: Correction
    radius: float
    residual: float


def fit_ellipsoid(points: npt.ArrayLike, radius: float | None = None) -> Ellipsoid:
    """The ellipsoid through points (N, 3), and how it becomes a sphere of `radius`.

    Without a radius it keeps its volume. Least squares of the quadric begin, Gauss and Newton go on
    to least squares of the length, which is what has the noise. CalibrationError where it is no
    ellipsoid.
    """
    rows = np.asarray(points, np.float64)
    if len(rows) < UNKNOWNS:
        raise CalibrationError(
            f"an ellipsoid has {UNKNOWNS} unknowns, found {len(rows)} points: measure more"
        )
    middle = rows.mean(axis=0)
    size = float(np.linalg.norm(rows - middle, axis=1).mean()) or 1.0
    unit = (rows - middle) / size
    bias, matrix = _algebraic(unit)
    for _ in range(_ROUNDS):
        bias, matrix = _improved(unit, bias, matrix)
    values = np.linalg.eigvalsh(matrix)
    if not values[0] > _FLATTEST * values[-1]:
        raise _no_ellipsoid()
    volume = float(np.linalg.det(matrix)) ** (-1 / 3)  # the mean radius, in units of `size`
    length = volume * size if radius is None else radius
    correction = Correction(middle + size * bias, matrix * (length / size))
    off = np.linalg.norm(correction.apply(rows), axis=1) - length
    free = max(len(rows) - UNKNOWNS, 1)
    return Ellipsoid(correction, length, float(np.sqrt((off**2).sum() / free)))


def forms(unit: Array) -> Array:
    """By how much each unknown moves the length of unit vectors (N, 3), where little is wrong."""
    twice = np.where(_FIRST == _SECOND, 1.0, 2.0)
    return np.hstack([unit[:, _FIRST] * unit[:, _SECOND] * twice, unit])


def _algebraic(unit: Array) -> tuple[Array, Array]:
    """Centre and symmetric matrix of the quadric x'Ax + 2g'x = 1 that is nearest by its values."""
    twice = np.where(_FIRST == _SECOND, 1.0, 2.0)
    design = np.hstack([unit[:, _FIRST] * unit[:, _SECOND] * twice, 2 * unit])
    solution = np.linalg.lstsq(design, np.ones(len(unit)), rcond=None)[0]
    quadric = _symmetric(solution[:6])
    try:
        centre = -np.linalg.solve(quadric, solution[6:])
    except np.linalg.LinAlgError:
        raise _no_ellipsoid() from None
    values, vectors = np.linalg.eigh(quadric / (1 + centre @ quadric @ centre))
    if not values[0] > _FLATTEST**2 * values[-1]:
        raise _no_ellipsoid()
    return centre, (vectors * np.sqrt(values)) @ vectors.T


def _improved(unit: Array, bias: Array, matrix: Array) -> tuple[Array, Array]:
    """One step of Gauss and Newton towards all lengths being 1."""
    away = unit - bias
    ball = away @ matrix
    length = np.linalg.norm(ball, axis=1)
    outward = ball / length[:, None]
    by_matrix = outward[:, _FIRST] * away[:, _SECOND] + outward[:, _SECOND] * away[:, _FIRST]
    by_matrix[:, :3] /= 2
    jacobian = np.hstack([-outward @ matrix, by_matrix])
    step = np.linalg.lstsq(jacobian, 1 - length, rcond=None)[0]
    return bias + step[:3], matrix + _symmetric(step[3:])


def _symmetric(six: npt.NDArray[np.floating[Any]]) -> Array:
    matrix = np.zeros((3, 3))
    matrix[_FIRST, _SECOND] = matrix[_SECOND, _FIRST] = six
    return matrix


def _no_ellipsoid() -> CalibrationError:
    return CalibrationError(
        "the measurements lie on no ellipsoid: turn the rig every way, away from iron and magnets"
    )
