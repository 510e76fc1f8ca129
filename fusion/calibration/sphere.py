"""Which directions have been seen: a fit of an ellipsoid is as good as the sphere was covered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.frames import Array

ROWS, COLUMNS = 6, 12
"""Of cells of equal area: bands of equal height, from +Z down to -Z, each divided evenly."""

_NOTICED = 0.45  # of the greatest component: between the middle of a face and that of an edge


def _centres() -> Array:
    height = 1 - (2 * np.arange(ROWS) + 1) / ROWS
    angle = 2 * np.pi * (np.arange(COLUMNS) + 0.5) / COLUMNS - np.pi
    z, turn = (grid.ravel() for grid in np.meshgrid(height, angle, indexing="ij"))
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1)


CENTRES = _centres()
"""Unit vectors (ROWS * COLUMNS, 3), row by row."""


def seen(directions: npt.ArrayLike, within_deg: float) -> npt.NDArray[np.bool_]:
    """Of each cell, whether one of the directions (N, 3) comes as near to its centre as that."""
    vectors = np.asarray(directions, np.float64).reshape(-1, 3)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.full(len(CENTRES), -1.0)
    for part in np.array_split(
        vectors / np.where(length > 0, length, 1.0), len(vectors) // 4096 + 1
    ):
        if len(part):
            nearest = np.maximum(nearest, (part @ CENTRES.T).max(axis=0))
    return np.asarray(nearest >= np.cos(np.radians(within_deg)))


def middle_of_gap(cells: npt.NDArray[np.bool_]) -> str:
    """The direction in the middle of what has not been seen, as "-Z"; of several gaps, of one."""
    missing = CENTRES[~cells]
    return name_of(missing[missing @ missing[0] > 0].sum(axis=0))


def name_of(direction: Array) -> str:
    """A direction (3,) in words of the axes: "-Z" for a face, "+X-Y" for an edge between two."""
    size = np.abs(direction)
    signs = np.where(direction < 0, "-", "+")
    return "".join(signs[i] + "XYZ"[i] for i in range(3) if size[i] > _NOTICED * size.max())
