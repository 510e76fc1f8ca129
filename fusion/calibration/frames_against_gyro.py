"""How a camera and a gyroscope sit and tick against each other, by what both see of a turn.

Points of the picture are followed from frame to frame. A camera that only turns moves them as the
gyroscope says, if it is told how the one sits on the other, how their clocks differ, and how long
the lens is. Every point has the time of its own line, so a rolling shutter does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from camm.frames import Array, conjugate, from_angle_axis, interpolate, multiply, rotate, to_matrix
from fusion.calibration.errors import CalibrationError
from fusion.calibration.following import (
    ROBUST_PX,
    Tracks,
    coarse_offset,
    kabsch,
    rates_seen,
    rays,
    well_followed,
)
from fusion.calibration.turning import integrate

Times = npt.NDArray[np.int64]

_USUAL_FOCAL = 0.9  # of the width: 58 degrees across, between phones and action cameras
_PLANAR = 0.02
_ROUNDS = 15
_MARGIN_NS = 1_000_000_000  # of the gyroscope before the first frame and after the last
_SETTLED = 1e-6
_MOUNT_SIGMA, _OFFSET_SIGMA_S = np.radians(0.5), 0.002
_WORST_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class FramesFit:
    """What was found; each `sigma` is one standard deviation.

    `offset_s`     to be added to the frames' times to have those of the gyroscope
    `mount`        R_camera,sensor (3, 3); `mount_sigma` of the worst axis, rad
    `planar`       whether the turns were about one axis alone: the mount about it is a guess
    `hfov_deg`     across the picture
    `residual_px`  median of what a point is off
    """

    offset_s: float
    offset_sigma_s: float
    mount: Array
    mount_sigma: float
    planar: bool
    hfov_deg: float
    pairs: int
    residual_px: float

    def require_offset(self) -> None:
        """CalibrationError where the offset is not worth having."""
        if self.offset_sigma_s > _OFFSET_SIGMA_S:
            raise CalibrationError(
                f"the offset is known to {1e3 * self.offset_sigma_s:.1f} ms only, expected "
                f"{1e3 * _OFFSET_SIGMA_S:.0f}: film longer, and turn the camera faster to and fro"
            )

    def require_mount(self) -> None:
        """CalibrationError where the mount is not worth having."""
        if self.planar:
            raise CalibrationError(
                "the camera turned about one axis alone, about which the mount stays unknown: look "
                "left and right, nod, and tilt it to both sides"
            )
        if self.mount_sigma > _MOUNT_SIGMA:
            raise CalibrationError(
                f"the mount is known to {np.degrees(self.mount_sigma):.1f}° only, expected "
                f"{np.degrees(_MOUNT_SIGMA):.1f}°: film longer, and turn more about all three axes"
            )


class _State(NamedTuple):
    """What is sought; of the focal length, in widths of the picture, only where it is not told."""

    mount: Array
    offset_s: float
    bias: Array
    focal: float


def fit_frames(
    tracks: Tracks, t_ns: Times, gyro: Array, hfov_deg: float | None = None
) -> FramesFit:
    """Offset, mount and, unless `hfov_deg` tells it, focal length; rates (N, 3) in sensor axes.

    CalibrationError where the picture has too little to follow, where the camera hardly turned, and
    where picture and gyroscope do not tell of the same motion.
    """
    tracks = well_followed(tracks, t_ns)
    read = (t_ns > tracks.frame_ns.min() - _MARGIN_NS) & (t_ns < tracks.frame_ns.max() + _MARGIN_NS)
    t_ns, gyro = t_ns[read], gyro[read]
    focal = _USUAL_FOCAL if hfov_deg is None else 0.5 / np.tan(np.radians(hfov_deg) / 2)
    turned = integrate(t_ns, gyro)
    seen = rates_seen(tracks, focal)
    offset_s, told = coarse_offset(seen, tracks.frame_ns, t_ns, turned)
    mount = kabsch(told, seen)
    fit = _Refinement(tracks, t_ns, turned, free_focal=hfov_deg is None)
    state, covariance, residual = fit.solve(_State(mount, offset_s, np.zeros(3), focal))
    if residual * tracks.width > _WORST_PX:
        raise CalibrationError(
            f"points are {residual * tracks.width:.1f} pixels beside where the gyroscope has them, "
            f"expected at most {_WORST_PX:.0f}: film something still and far away, and turn only"
        )
    spread = np.linalg.eigvalsh(told.T @ told)
    return FramesFit(
        float(state.offset_s),
        float(np.sqrt(covariance[3, 3])),
        state.mount,
        float(np.sqrt(np.linalg.eigvalsh(covariance[:3, :3])[-1])),
        bool(spread[1] < _PLANAR * spread[2]),
        float(np.degrees(2 * np.arctan(0.5 / state.focal))),
        len(tracks.frame_ns),
        residual * tracks.width,
    )


class _Refinement:
    """Least squares of where points are against where the gyroscope has them."""

    def __init__(self, tracks: Tracks, t_ns: Times, turned: Array, *, free_focal: bool) -> None:
        self._tracks = tracks
        self._t_ns, self._turned = t_ns, turned
        self._unknowns = 8 if free_focal else 7
        self._span_s = (tracks.after_ns - tracks.before_ns)[:, None] / 1e9
        self._starts = np.flatnonzero(np.diff(tracks.pair, prepend=-1))

    def solve(self, state: _State) -> tuple[_State, Array, float]:
        """The best state, the covariance of turn, offset, bias and focal length, and what is off.

        Points of one pair of frames share their errors: the covariance counts pairs, not points.
        """
        covariance = np.eye(self._unknowns)
        limit = ROBUST_PX / self._tracks.width
        off = np.empty((0, 2))
        for _ in range(_ROUNDS):
            off, jacobian = self._linear(state)
            weight = 1 / (1 + (off**2).sum(axis=1) / limit**2)
            pull = np.einsum("nik,ni,n->nk", jacobian, off, weight)
            inverse = np.linalg.pinv(np.einsum("nik,nij,n->kj", jacobian, jacobian, weight))
            step = -inverse @ pull.sum(axis=0)
            of_pairs = np.add.reduceat(pull, self._starts)
            covariance = inverse @ (of_pairs.T @ of_pairs) @ inverse
            state = self._moved(state, step)
            if np.abs(step[:4]).max() < _SETTLED:
                break
        return state, covariance, float(np.median(np.linalg.norm(off, axis=1)))

    def _linear(self, state: _State) -> tuple[Array, Array]:
        """What points are off (M, 2), and how that follows the unknowns (M, 2, K)."""
        turn = self._turn(state.offset_s)
        off = self._off(state, turn)
        columns = []
        for unknown in range(self._unknowns):
            step = np.zeros(self._unknowns)
            step[unknown] = 1e-4
            moved = self._moved(state, step)
            there = turn if moved.offset_s == state.offset_s else self._turn(moved.offset_s)
            columns.append((self._off(moved, there) - off) / 1e-4)
        return off, np.stack(columns, axis=2)

    def _turn(self, offset_s: float) -> Array:
        """How the sensor turned between both moments of each point, as a quaternion, (M, 4)."""
        shift_ns = round(offset_s * 1e9)
        first = interpolate(self._t_ns, self._turned, self._tracks.before_ns + shift_ns)
        second = interpolate(self._t_ns, self._turned, self._tracks.after_ns + shift_ns)
        return multiply(conjugate(second), first)

    def _off(self, state: _State, turn: Array) -> Array:
        seen = rotate(turn, rays(self._tracks.before, state.focal) @ state.mount)
        seen = (seen + np.cross(state.bias * self._span_s, seen)) @ state.mount.T
        return np.asarray(state.focal * seen[:, :2] / seen[:, 2:] - self._tracks.after)

    def _moved(self, state: _State, step: Array) -> _State:
        focal = state.focal * np.exp(step[7]) if self._unknowns > 7 else state.focal
        return _State(
            to_matrix(from_angle_axis(step[:3])) @ state.mount,
            state.offset_s + float(step[3]),
            state.bias + step[4:7],
            float(focal),
        )
