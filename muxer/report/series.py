"""Long series made short enough to draw, without losing a peak or hiding a gap."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

POINTS = 2000
"""A line has no more than about this many: two for every pixel column of a wide page."""

_EARTH_RADIUS = 6_371_008.8
"""Metres, the mean (IUGG)."""


def envelope(t_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The lowest and the highest of each stretch of samples, in order of time."""
    there = np.isfinite(values)
    t_s, values = t_s[there], values[there]
    count = len(values)
    if count <= POINTS:
        return t_s, values
    length = -(-count * 2 // POINTS)
    starts = np.arange(0, count, length)
    # The last stretch is filled up with its last sample, again and again.
    rows = np.minimum(starts[:, None] + np.arange(length), count - 1)
    table = values[rows]
    lowest = rows[np.arange(len(rows)), table.argmin(axis=1)]
    highest = rows[np.arange(len(rows)), table.argmax(axis=1)]
    kept = np.unique(np.concatenate([[0], lowest, highest, [count - 1]]))
    return t_s[kept], values[kept]


def broken_at(t_s: Floats, values: Floats, breaks: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The line with NaN between two points wherever `breaks` (one shorter) says so."""
    at = np.flatnonzero(breaks) + 1
    return np.insert(t_s, at, np.nan), np.insert(values, at, np.nan)


def gaps(t_s: Floats) -> npt.NDArray[np.bool_]:
    """Which of the intervals between samples are over twice the usual: something is missing."""
    steps = np.diff(t_s)
    forward = steps[steps > 0]
    return steps > 2 * np.median(forward) if len(forward) else np.zeros(len(steps), np.bool_)


def east_north(latitude: Floats, longitude: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the first place, as on a map of a few kilometres."""
    turn = (longitude - longitude[0] + 180) % 360 - 180  # the short way over the date line
    east = np.radians(turn) * _EARTH_RADIUS * np.cos(np.radians(latitude[0]))
    north = np.radians(latitude - latitude[0]) * _EARTH_RADIUS
    return east, north
