"""What the simulated camera looks at: a sky, a skyline and a ground, painted on a whole sphere.

The sphere is kept as a Lambert azimuthal equal-area map about the nadir: one square texture for
every direction, reached with one square root, smooth everywhere but straight up. Everything in it
is infinitely far away, so what moves in the picture is rotation alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIZE = 2048
"""Texels along a side of the map."""

_RADIUS = 2.0  # of the map's rim, the zenith; the horizon is at sqrt(2)

Bytes = npt.NDArray[np.uint8]
Singles = npt.NDArray[np.float32]


def texels(directions: npt.NDArray[np.float64]) -> tuple[Singles, Singles]:
    """Column and row in the map of directions (..., 3) in world axes, of any length."""
    x, y, z = np.moveaxis(directions, -1, 0)
    length = np.sqrt(x * x + y * y + z * z)
    # At the zenith itself the denominator is zero; a hair's breadth keeps it in the map.
    stretch = np.sqrt(2 / np.maximum(length * (length + y), 1e-9 * length * length))
    scale = SIZE / (2 * _RADIUS)
    limit = SIZE - 1.001  # interpolation may round up to it, and no further
    column = np.clip((x * stretch + _RADIUS) * scale, 0, limit)
    row = np.clip((z * stretch + _RADIUS) * scale, 0, limit)
    return column.astype(np.float32), row.astype(np.float32)


def paint(seed: int) -> tuple[Bytes, Bytes, Bytes]:
    """The map as luma and two chroma planes, each (SIZE, SIZE) uint8 in video range."""
    noise = np.random.default_rng(seed)
    grid = ((np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1) * _RADIUS
    u, v = grid[None, :], grid[:, None]
    square = np.minimum(u * u + v * v, _RADIUS**2 - 1e-3)
    down = 1 - square / 2
    level = np.sqrt(1 - square / 4)
    east, north = u * level, v * level
    elevation = -np.degrees(np.arcsin(down))
    azimuth = np.degrees(np.arctan2(east, north)) % 360

    clouds = _cloud(noise, 32) + 0.6 * _cloud(noise, 128) + 0.4 * _cloud(noise, 512)
    luma = 185 - 0.9 * elevation + 16 * clouds
    # Tiles of the ground as a plane one unit below; they fade where they would be too fine to see.
    below = np.maximum(down, 0.02)
    odd = (np.floor(east / below) + np.floor(north / below)) % 2
    fade = np.clip((down - 0.03) * 8, 0, 1)
    ground = down > 0
    luma = np.where(ground, 90 + 18 * clouds + 45 * fade * (odd - 0.5), luma)
    # Houses and trees on the horizon: a height and a shade for every three degrees.
    bearing = (azimuth / 3).astype(np.int32)
    heights = noise.uniform(0.5, 9, 120).astype(np.float32)[bearing]
    shades = noise.uniform(45, 205, 120).astype(np.float32)[bearing]
    house = ~ground & (elevation < heights)
    luma = np.where(house, shades + 10 * clouds, luma)

    blue = np.where(ground, 110, np.where(house, 124, 152)) + 4 * clouds
    red = np.where(ground, 122, np.where(house, 138, 112)) - 4 * clouds
    y, cb, cr = (np.clip(plane, 16, 235).astype(np.uint8) for plane in (luma, blue, red))
    return y, cb, cr


def _cloud(noise: np.random.Generator, cells: int) -> Singles:
    """Smooth noise of unit deviation with so many cells across the map."""
    values = noise.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    return enlarge(values, SIZE // cells, SIZE // cells)


def enlarge(corners: Singles, row_step: int, column_step: int) -> Singles:
    """Bilinear values at the pixel centres of cells of so many rows and columns.

    Plain sums: a matrix product would be handed to a threaded BLAS, which takes ten times as long
    on a host with something else to do.
    """
    right = ((np.arange(column_step) + 0.5) / column_step).astype(np.float32)
    wide = np.diff(corners, axis=1)[:, :, None] * right
    wide += corners[:, :-1, None]
    lines = wide.reshape(len(corners), -1)
    down = ((np.arange(row_step) + 0.5) / row_step).astype(np.float32)
    out = np.diff(lines, axis=0)[:, None, :] * down[:, None]
    out += lines[:-1, None, :]
    return out.reshape(-1, lines.shape[1])
