"""Optical flow against a gyroscope: by how much two pictures are turned otherwise than it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

STEP_S = 5e-4


@dataclass(frozen=True)
class Picture:
    """Luma (H, W), and when the middle of a line's exposure was: the first's, and line to line."""

    luma: np.ndarray
    first_line_s: float
    line_s: float

    def times(self, points: np.ndarray) -> np.ndarray:
        return self.first_line_s + points[:, 1] * self.line_s


@dataclass(frozen=True)
class Disagreement:
    """`turn_deg` of all features together, and the rms in pixels of what a turn leaves of each."""

    turn_deg: float
    scatter_px: float
    features: int


def disagreement(
    before: Picture,
    after: Picture,
    hfov_deg: float,
    rate: Callable[[np.ndarray], np.ndarray],
) -> Disagreement:
    """Track features from one picture to the other; `rate` (N, 3) is in camera axes, rad/s."""
    here, there = _tracked(before.luma, after.luma)
    focal = before.luma.shape[1] / 2 / np.tan(np.radians(hfov_deg / 2))
    now, then = before.times(here), after.times(there)
    attitude = _integral(rate, now.min(), then.max())
    one = np.einsum("nij,nj->ni", attitude(now), _rays(here, before.luma.shape, focal))
    other = np.einsum("nij,nj->ni", attitude(then), _rays(there, after.luma.shape, focal))
    for _ in range(3):  # without those that were tracked to something else
        turn = _rotation(other, one)
        left = np.linalg.norm(other @ turn.T - one, axis=1)
        good = left < 3 * np.median(left)
        one, other = one[good], other[good]
    degrees = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    scatter = focal * np.sqrt(np.mean(np.square(other @ turn.T - one).sum(axis=1)))
    return Disagreement(float(degrees), float(scatter), len(one))


def _tracked(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features in both pictures (N, 2), those that are found back on the way back."""
    seen = np.full(before.shape, 255, np.uint8)
    seen[:64, :272] = 0  # the stamp does not turn
    here = cv2.goodFeaturesToTrack(before, 300, 0.02, 12, mask=seen)
    window = {"winSize": (21, 21), "maxLevel": 3}
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, here, None, **window)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **window)
    same = np.linalg.norm((back - here)[:, 0], axis=1) < 0.3
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1) & same
    return here[kept, 0].astype(float), there[kept, 0].astype(float)


def _rays(points: np.ndarray, shape: tuple[int, ...], focal: float) -> np.ndarray:
    # OpenCV counts from the middle of the first pixel.
    middle = np.array([shape[1], shape[0]]) / 2 - 0.5
    rays = np.column_stack([(points - middle) / focal, np.ones(len(points))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def _integral(rate, start_s: float, end_s: float) -> Callable[[np.ndarray], np.ndarray]:
    """Attitudes (N, 3, 3) at any moments between, against that at the start."""
    grid = np.arange(start_s, end_s + STEP_S, STEP_S)
    rates = rate(grid + STEP_S / 2)
    steps = [np.eye(3)]
    for step in rates:
        steps.append(steps[-1] @ cv2.Rodrigues(step * STEP_S)[0])

    def attitude(t_s: np.ndarray) -> np.ndarray:
        step = np.clip(((t_s - start_s) / STEP_S).astype(int), 0, len(grid) - 1)
        rest = rates[step] * (t_s - grid[step])[:, None]
        return np.array([steps[n] @ cv2.Rodrigues(r)[0] for n, r in zip(step, rest, strict=True)])

    return attitude


def _rotation(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The rotation that brings unit vectors nearest to others: Kabsch."""
    u, _, v = np.linalg.svd(points.T @ onto)
    return v.T @ np.diag([1, 1, np.linalg.det(u) * np.linalg.det(v)]) @ u.T
