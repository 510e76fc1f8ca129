"""Draws what a turning camera sees: every line at its own time, for as long as it is exposed.

Optical flow, rolling shutter and motion blur then agree with the gyroscope.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hw_sim.panorama import SIZE, enlarge, paint, texels
from hw_sim.scenario import CameraParameters
from hw_sim.trajectory import Pose, Trajectory

_COLUMN_STEP, _ROW_STEP = 16, 8
_MOST_ASIDE = 4  # poses before and after the middle of an exposure: nine draw a smear well enough

Plane = npt.NDArray[np.uint8]
_Words = npt.NDArray[np.uint32]


class Renderer:
    """Draws the panorama as a turning camera sees it.

    Where a pixel looks is computed on a coarse grid and interpolated: over 16 pixels and 8 lines
    the map is straight to a tenth of a pixel, and no pixel costs a root or an angle. Luma is
    interpolated between texels, to a 256th of one.
    """

    def __init__(self, parameters: CameraParameters, trajectory: Trajectory, seed: int) -> None:
        width, height = parameters.width, parameters.height
        self._trajectory = trajectory
        self._blur = parameters.blur
        self._focal = focal = width / 2 / math.tan(math.radians(parameters.hfov_deg) / 2)
        columns = np.arange(math.ceil(width / _COLUMN_STEP) + 1) * _COLUMN_STEP
        rows = np.arange(math.ceil(height / _ROW_STEP) + 1) * _ROW_STEP
        # A knot lies on the upper edge of its line, half a line before the line's middle.
        self._delays_s = (rows - np.float64(0.5)) * (parameters.line_time_ns * 1e-9)
        # Rays through the knots; a pixel's centre is half a pixel from its corner.
        self._rays = np.empty((len(rows), len(columns), 3))
        self._rays[..., 0] = (columns - width / 2) / focal
        self._rays[..., 1] = ((rows - height / 2) / focal)[:, None]
        self._rays[..., 2] = 1
        luma, *chroma = paint(seed)
        self._quads = _quads(luma)
        self._chroma = [plane.ravel() for plane in chroma]

    def draw(self, start_s: float, exposure_s: float, planes: Sequence[Plane]) -> None:
        """Fill luma (H, W) and both chroma planes (H/2, W/2).

        The first line is exposed from `start_s` of the trajectory on. Colour is that of the middle
        of the exposure; luma is the mean of as many poses as it moves pixels meanwhile, or nearly.
        """
        luma, *chroma = planes
        times = start_s + exposure_s / 2 + self._delays_s
        pose = self._trajectory.pose(times)
        column, row = self._look(pose, luma.shape)
        nearest_row, nearest_column = (row[::2, ::2] + 128) >> 8, (column[::2, ::2] + 128) >> 8
        nearest = (nearest_row * SIZE + nearest_column).astype(np.intp)
        for plane, out in zip(self._chroma, chroma, strict=True):
            np.take(plane, nearest, out=out, mode="clip")
        total = self._sample(column, row)
        aside = self._poses_aside(pose, exposure_s)
        poses = 2 * aside + 1
        for number in (*range(-aside, 0), *range(1, aside + 1)):
            pose = self._trajectory.pose(times + number / poses * exposure_s)
            total += self._sample(*self._look(pose, luma.shape))
        total += np.uint32(poses << 15)  # half, to round
        total //= np.uint32(poses << 16)
        luma[...] = total

    def _poses_aside(self, pose: Pose, exposure_s: float) -> int:
        """How many poses there are on either side of the middle of an exposure.

        What moves by less than two pixels is as sharp as what stands still.
        """
        if not self._blur:
            return 0
        rate = float(np.linalg.norm(pose.angular_rate, axis=1).max())
        return min(int(rate * exposure_s * self._focal / 2), _MOST_ASIDE)

    def _look(self, pose: Pose, shape: tuple[int, ...]) -> tuple[_Words, _Words]:
        """Where in the map each pixel looks: column and row, in 256ths, from the middle of the
        first texel on.
        """
        turned = self._rays @ np.swapaxes(pose.rotation, 1, 2)
        column, row = (
            enlarge(np.maximum(knots * 256 - 128, 0), _ROW_STEP, _COLUMN_STEP)[
                : shape[0], : shape[1]
            ].astype(np.uint32)
            for knots in texels(turned)
        )
        return column, row

    def _sample(self, column: _Words, row: _Words) -> _Words:
        """Luma between texels, in 65536ths."""
        # Two texels lie in each word, 16 bits apart, and are weighed together: no sum is larger.
        quads = np.take(self._quads, (row >> 8) * SIZE + (column >> 8), mode="clip")
        left = quads & np.uint32(0x00FF00FF)
        quads >>= 8
        quads &= np.uint32(0x00FF00FF)
        quads -= left
        quads *= column & 255
        left <<= 8
        left += quads
        upper: _Words = left & np.uint32(0xFFFF)
        lower = left >> 16
        lower -= upper
        lower *= row & 255
        upper <<= 8
        upper += lower
        return upper


def _quads(luma: Plane) -> _Words:
    """Of each texel four bytes in a word: itself, the one to its right, and the two below."""
    words = luma.astype(np.uint32)
    words |= np.roll(words, -1, axis=1) << 8
    words |= np.roll(words, -1, axis=0) << 16
    return words.ravel()
