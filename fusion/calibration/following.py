"""Points that were followed through pictures, and how the camera turned by them.

A first answer to what `frames_against_gyro` then refines: the camera's rate over each pair of
frames, and the offset at which the gyroscope turned likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm.frames import Array, conjugate, interpolate, multiply, to_angle_axis
from fusion.calibration.errors import CalibrationError

Times = npt.NDArray[np.int64]

ROBUST_PX = 1.0
"""What is much farther off than this hardly counts: it moved by itself, or is printed on."""
_FEWEST_POINTS, _FEWEST_PAIRS = 12, 30
_SEARCH_S, _SEARCH_STEP_S = 0.5, 0.005
_SLOWEST = np.radians(4.0)
_SAME_MOTION = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Points that were followed from one frame to the next, M in all.

    `pair`      intp[M], which pair of frames, growing
    `frame_ns`  int64[P, 2], the centres of exposure of the frames of each pair
    `before`, `after`  (M, 2), right and down from the middle of the picture, in its widths
    `before_ns`, `after_ns`  int64[M], when the point's line was exposed, its centre
    `width`     of the picture in pixels
    """

    pair: npt.NDArray[np.intp]
    frame_ns: npt.NDArray[np.int64]
    before: Array
    after: Array
    before_ns: Times
    after_ns: Times
    width: int


def well_followed(tracks: Tracks, t_ns: Times) -> Tracks:
    """Those pairs of frames that have points enough, while there was a gyroscope."""
    count = np.bincount(tracks.pair, minlength=len(tracks.frame_ns))
    good = count >= _FEWEST_POINTS
    if np.count_nonzero(good) < _FEWEST_PAIRS:
        raise CalibrationError(
            f"only {np.count_nonzero(good)} of {len(good)} pairs of frames have {_FEWEST_POINTS} "
            f"points to follow, expected {_FEWEST_PAIRS} pairs: film something with texture in "
            "good light, for ten seconds or more"
        )
    good &= (tracks.frame_ns[:, 0] > t_ns[0]) & (tracks.frame_ns[:, 1] < t_ns[-1])
    if np.count_nonzero(good) < _FEWEST_PAIRS:
        raise CalibrationError(
            f"only {np.count_nonzero(good)} pairs of frames were filmed while the gyroscope was "
            f"read, expected {_FEWEST_PAIRS}: take another clip"
        )
    rows = good[tracks.pair]
    return Tracks(
        (np.cumsum(good) - 1)[tracks.pair[rows]],
        tracks.frame_ns[good],
        tracks.before[rows],
        tracks.after[rows],
        tracks.before_ns[rows],
        tracks.after_ns[rows],
        tracks.width,
    )


def rates_seen(tracks: Tracks, focal: float) -> Array:
    """The camera's angular rate over each pair (P, 3), rad/s: what moves most of its points so."""
    before, after = rays(tracks.before, focal), rays(tracks.after, focal)
    starts = np.flatnonzero(np.diff(tracks.pair, prepend=-1))
    across = np.cross(before, after)
    level = np.eye(3) - before[:, :, None] * before[:, None, :]
    weight = np.ones(len(before))
    turn = np.empty((0, 3))
    for _ in range(4):
        left = np.add.reduceat(weight[:, None, None] * level, starts)
        turn = np.linalg.solve(left, np.add.reduceat(weight[:, None] * across, starts)[..., None])
        turn = turn[..., 0]
        off = after - before - np.cross(turn[tracks.pair], before)
        limit = ROBUST_PX / tracks.width
        weight = 1 / (1 + (off**2).sum(axis=1) / limit**2)
    return -turn / (np.diff(tracks.frame_ns, axis=1) / 1e9)


def coarse_offset(
    seen: Array, frame_ns: npt.NDArray[np.int64], t_ns: Times, turned: Array
) -> tuple[float, Array]:
    """The offset at which both turned most alike, and what the gyroscope says then, (P, 3)."""
    if np.sqrt(np.mean((seen**2).sum(axis=1))) < _SLOWEST:
        raise CalibrationError(
            "the camera hardly turned: look left and right, nod, and tilt it to both sides, a turn "
            "a second, for ten seconds or more"
        )
    best, offset_s, told = -1.0, 0.0, seen
    steps = round(_SEARCH_S / _SEARCH_STEP_S)
    for step in range(-steps, steps + 1):
        at_s = step * _SEARCH_STEP_S
        rates = _rates_told(frame_ns + round(at_s * 1e9), t_ns, turned)
        alike = _alike(rates, seen)
        if alike > best:
            best, offset_s, told = alike, at_s, rates
    if best < _SAME_MOTION:
        raise CalibrationError(
            f"pictures and gyroscope do not tell of the same motion (correlation {best:.2f}, "
            f"expected {_SAME_MOTION}): film something still and far away, and turn unevenly"
        )
    return offset_s, told


def _rates_told(frame_ns: npt.NDArray[np.int64], t_ns: Times, turned: Array) -> Array:
    """The mean rate between the two moments of each pair, by the gyroscope, (P, 3)."""
    first, second = (interpolate(t_ns, turned, frame_ns[:, which]) for which in (0, 1))
    turn = to_angle_axis(multiply(conjugate(first), second))
    return np.asarray(turn / (np.diff(frame_ns, axis=1) / 1e9))


def _alike(told: Array, seen: Array) -> float:
    """The correlation of two triads of rates, after the rotation that makes it greatest."""
    told, seen = told - told.mean(axis=0), seen - seen.mean(axis=0)
    left, values, right = np.linalg.svd(told.T @ seen)
    values[2] *= np.sign(np.linalg.det(left @ right))
    return float(values.sum() / (np.linalg.norm(told) * np.linalg.norm(seen) or 1.0))


def kabsch(told: Array, seen: Array) -> Array:
    """The rotation (3, 3) that brings `told` to `seen`, each about its mean: that has a bias."""
    left, _, right = np.linalg.svd((told - told.mean(axis=0)).T @ (seen - seen.mean(axis=0)))
    mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return np.asarray((left @ mirror @ right).T)


def rays(points: Array, focal: float) -> Array:
    """Unit vectors in camera axes of points of the picture."""
    rays = np.column_stack([points, np.full(len(points), focal)])
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))
