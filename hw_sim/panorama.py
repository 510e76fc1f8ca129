"""What the simulated camera looks at: a sky, a skyline and a ground, painted on a whole sphere.

The sphere is kept as a Lambert azimuthal equal-area map about the nadir: one square texture for
every direction, reached with one square root, smooth everywhere but straight up. Everything in it
is infinitely far away, so what moves in the picture is rotation alone.

It is made to be tracked (tiles, windows and clouds have corners and grain everywhere) and to be
read: in the sky are a line every ten degrees of azimuth and elevation and the letters N, E, S, W.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 2048
"""Texels along a side of the map."""

_RADIUS = 2.0  # of the map's rim, the zenith; the horizon is at sqrt(2)
_BAND = 128  # rows that are painted at a time: what is worked on stays in the cache
_LETTERS = {
    "N": "10001 11001 11001 10101 10011 10011 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "W": "10001 10001 10001 10101 10101 11011 10001",
}
"""By rows from above, clockwise from north."""
_FONT = np.array([[[*map(int, row)] for row in letter.split()] for letter in _LETTERS.values()])
_DOT_DEG, _LETTER_TOP_DEG = 1.2, 20.0

Bytes = npt.NDArray[np.uint8]
Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]


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


@lru_cache(maxsize=1)
def paint(seed: int) -> tuple[Bytes, Bytes, Bytes]:
    """The map as luma and two chroma planes, each (SIZE, SIZE) uint8 in video range."""
    painter = _Painter(np.random.default_rng(seed))
    planes = np.empty((3, SIZE, SIZE), np.uint8)
    for top in range(0, SIZE, _BAND):
        rows = slice(top, top + _BAND)
        for plane, band in zip(planes, painter.band(rows), strict=True):
            plane[rows] = np.clip(band, 16, 235)
    planes[0] = _softened(planes[0])
    planes.flags.writeable = False  # all cameras of a seed share it
    luma, blue, red = planes
    return luma, blue, red


class _Painter:
    """Knows by chance what stands where, and paints the map in bands of rows."""

    def __init__(self, noise: np.random.Generator) -> None:
        self._grain = _smooth(noise, 32) + 0.6 * _smooth(noise, 128) + 0.4 * _smooth(noise, 512)
        self._heights = noise.uniform(0.5, 9, 120).astype(np.float32)
        self._shades = noise.uniform(45, 205, 120).astype(np.float32)
        self._lights = noise.uniform(-45, 45, (480, 12)).astype(np.float32)

    def band(self, rows: slice) -> tuple[Floats, Floats, Floats]:
        """Luma and chroma of some rows of the map."""
        along = ((np.arange(SIZE, dtype=np.float32) + 0.5) / SIZE * 2 - 1) * _RADIUS
        u, v = along[None, :], along[rows, None]
        square = np.minimum(u * u + v * v, _RADIUS**2 - 1e-3)
        down = 1 - square / 2
        level = np.sqrt(1 - square / 4)
        east, north = u * level, v * level
        elevation = -np.degrees(np.arcsin(down))
        azimuth = np.degrees(np.arctan2(east, north)) % 360
        grain = self._grain_at(east, north, down)
        ground = down > 0
        bearing = (azimuth / 3).astype(np.int32)
        house = ~ground & (elevation < self._heights[bearing])
        walls = self._shades[bearing] + 6 * grain + self._windows(azimuth, elevation)
        sky = 185 - 0.9 * elevation + 13 * grain + _signs(azimuth, elevation)
        tiles = 90 + 18 * grain + _tiles(east, north, down)
        return (
            np.where(ground, tiles, np.where(house, walls, sky)),
            np.where(ground, 110, np.where(house, 124, 152)) + 4 * grain,
            np.where(ground, 122, np.where(house, 138, 112)) - 4 * grain,
        )

    def _grain_at(self, east: Floats, north: Floats, down: Floats) -> Floats:
        """Noise on the stereographic maps of either half: its grain is as wide as it is high."""
        scale = (SIZE / 2 - 1) / (1 + np.abs(down))
        row, column = ((way * scale + SIZE / 2).astype(np.int32) for way in (north, east))
        grain: Floats = np.take(self._grain, row * SIZE + column)
        return grain

    def _windows(self, azimuth: Floats, elevation: Floats) -> Floats:
        """What the windows of the houses add: four in a row, some of them lit."""
        across, storey = azimuth / 0.75, np.clip(elevation / 0.75, 0, 11)
        light: Floats = self._lights[across.astype(np.int32), storey.astype(np.int32)]
        light[(np.abs(across % 1 - 0.5) > 0.28) | (np.abs(storey % 1 - 0.5) > 0.28)] = 0
        return light


def _tiles(east: Floats, north: Floats, down: Floats) -> Floats:
    """Tiles of a plane one unit below; they fade where they would be too fine to see."""
    below = np.maximum(down, 0.02)
    odd = (np.floor(east / below) + np.floor(north / below)) % 2
    fade: Floats = np.clip((down - 0.03) * 8, 0, 1)
    return 45 * fade * (odd - 0.5)


def _signs(azimuth: Floats, elevation: Floats) -> Floats:
    """Lines every ten degrees, and the letters of the four quarters above the horizon."""
    beside = np.abs((azimuth + 5) % 10 - 5) * np.cos(np.radians(elevation))
    above = np.abs((elevation + 5) % 10 - 5)
    lines: Floats = 22 * np.clip(2 - np.minimum(beside, above) / 0.1, 0, 1)
    quarter = np.round(azimuth / 90)
    column = np.floor((azimuth - 90 * quarter) / _DOT_DEG + 2.5)
    row = np.floor((_LETTER_TOP_DEG - elevation) / _DOT_DEG)
    written = (column >= 0) & (column < 5) & (row >= 0) & (row < 7)
    letter, down, right = (p[written].astype(np.int32) for p in (quarter % 4, row, column))
    lines[written] -= 120 * _FONT[letter, down, right]
    return lines


def _softened(plane: Bytes) -> Bytes:
    """Without the stairs that edges have in texels."""
    wide = plane.astype(np.uint16)
    for axis in (0, 1):
        wide = np.roll(wide, 1, axis) + 2 * wide + np.roll(wide, -1, axis)
    return ((wide + 8) // 16).astype(np.uint8)


def _smooth(noise: np.random.Generator, cells: int) -> Singles:
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
