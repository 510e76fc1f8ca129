"""What a magnetometer says while the rig is turned every way: hard and soft iron, and its axes.

The ellipsoid gives all but how its axes are turned against the gyroscope's. That comes of the field
standing still while the gyroscope says how the rig turned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camm.frames import Array, conjugate, from_angle_axis, interpolate, multiply, to_matrix
from fusion.calibration.correction import Correction
from fusion.calibration.ellipsoid import fit_ellipsoid
from fusion.calibration.errors import CalibrationError
from fusion.calibration.sphere import middle_of_gap, seen
from fusion.calibration.turning import integrate

Times = npt.NDArray[np.int64]

WITHIN_DEG = 30.0
_SUFFICIENT = 0.95  # the last corners tell little, and take long to find
_WEAKEST_UT = 15.0  # nowhere on Earth is the field below 22: what is smaller is noise
_ENOUGH = 1000  # fields that tell coverage: they are looked at again and again
_LAG_NS = 300_000_000
_ROUNDS = 5
_WORST = 0.06  # of the field: what more is has other causes than noise
_WORST_AXES = 2.0
_STEADY_M_S2 = 0.7
_STANDARD_GRAVITY = 9.80665


@dataclass(frozen=True, slots=True, eq=False)
class MagFit:
    """The correction, into the gyroscope's axes; the field's strength; what is off by it, rms, uT.

    `twist_deg` is how far the axes were turned against the gyroscope's, `dip_deg` how far the field
    points down, NaN where the rig never was slow enough to tell.
    """

    correction: Correction
    strength_ut: float
    twist_deg: float
    dip_deg: float
    samples: int
    residual: float


def covered(field: Array) -> npt.NDArray[np.bool_]:
    """Which cells of `sphere` fields (M, 3) have seen so far, about the middle that they show."""
    if not len(field):
        return seen(field, WITHIN_DEG)
    some = field[:: len(field) // _ENOUGH + 1]
    try:
        fit = fit_ellipsoid(some)
        about, radius = fit.correction.apply(some), fit.radius
    except CalibrationError:
        about = some - (some.max(axis=0) + some.min(axis=0)) / 2
        radius = float(np.ptp(some, axis=0).max()) / 2
    return seen(about if radius > _WEAKEST_UT else about[:0], WITHIN_DEG)


def suffices(cells: npt.NDArray[np.bool_]) -> bool:
    """Whether so many of the cells were seen that a fit is good all round."""
    return float(cells.mean()) >= _SUFFICIENT


def fit_mag(
    t_ns: Times,
    field: Array,
    imu_t_ns: Times,
    gyro: Array,
    accel: Array,
    strength_ut: float | None = None,
) -> MagFit:
    """The correction of fields (M, 3) in uT, with the motion that went with them, in the same axes.

    `strength_ut` is of the field there; without it the measured one stays. CalibrationError where
    not all directions were seen, and where the field was not the same everywhere.
    """
    cells = covered(field)
    if not suffices(cells):
        raise CalibrationError(
            f"{100 * cells.mean():.0f} % of all directions were seen, most is missing about the "
            f"sensor's {middle_of_gap(cells)}: turn the rig until every side has been up, down and "
            "to each side"
        )
    ellipsoid = fit_ellipsoid(field, strength_ut)
    if ellipsoid.residual > _WORST * ellipsoid.radius:
        raise CalibrationError(
            f"the field differs by {ellipsoid.residual:.1f} of {ellipsoid.radius:.0f} µT from "
            "place to place: turn the rig on the spot, away from iron, magnets and currents"
        )
    axes = np.linalg.svd(ellipsoid.correction.matrix, compute_uv=False)
    if axes[0] > _WORST_AXES * axes[-1]:
        raise CalibrationError(
            f"one axis says {axes[0] / axes[-1]:.1f} times as much as another: iron is too near to "
            "the magnetometer; move it away"
        )
    within = (t_ns >= imu_t_ns[0]) & (t_ns <= imu_t_ns[-1])
    times = t_ns[within]
    q = interpolate(imu_t_ns, integrate(imu_t_ns, gyro), times)
    twist = _twist(times, ellipsoid.correction.apply(field[within]), q)
    correction = Correction(ellipsoid.correction.bias, twist @ ellipsoid.correction.matrix)
    cosine = np.clip((np.trace(twist) - 1) / 2, -1, 1)
    return MagFit(
        correction,
        ellipsoid.radius,
        float(np.degrees(np.arccos(cosine))),
        _dip(times, correction.apply(field[within]), imu_t_ns, accel),
        len(field),
        ellipsoid.residual,
    )


def _twist(t_ns: Times, field: Array, q: Array) -> Array:
    """The rotation (3, 3) after which fields change as a field does that stands still.

    `q` (M, 4) says how the rig was turned. The gyroscope's bias is found on the way: over the lag
    it turns the field about itself.
    """
    lag = max(round(_LAG_NS / float(np.median(np.diff(t_ns)))), 1)
    back = to_matrix(multiply(conjugate(q[lag:]), q[:-lag]))
    lag_s = (t_ns[lag:] - t_ns[:-lag])[:, None, None] / 1e9
    twist = np.eye(3)
    for _ in range(_ROUNDS):
        turned = field @ twist.T
        before, after = turned[:-lag], turned[lag:]
        off = after - np.einsum("nij,nj->ni", back, before)
        by_twist = np.einsum("nij,njk->nik", back, -_cross(before)) + _cross(after)
        by_bias = -_cross(after) * lag_s
        design = np.concatenate([by_twist, by_bias], axis=2).reshape(-1, 6)
        step = np.linalg.lstsq(design, off.ravel(), rcond=None)[0][:3]
        twist = to_matrix(from_angle_axis(step)) @ twist
    return twist


def _cross(vectors: Array) -> Array:
    """Matrices (N, 3, 3) that are the vector product with these from the left."""
    x, y, z = vectors.T
    none = np.zeros_like(x)
    return np.array([[none, -z, y], [z, none, -x], [-y, x, none]]).transpose(2, 0, 1)


def _dip(t_ns: Times, field: Array, imu_t_ns: Times, accel: Array) -> float:
    """How far the field points below level, degrees, by the moments at which gravity was alone."""
    force = np.stack([np.interp(t_ns, imu_t_ns, axis) for axis in accel.T], axis=1)
    length = np.linalg.norm(force, axis=1)
    steady = np.abs(length - _STANDARD_GRAVITY) < _STEADY_M_S2
    if not steady.any():
        return float("nan")
    down = -force[steady] / length[steady, None]
    sine = (field[steady] * down).sum(axis=1) / np.linalg.norm(field[steady], axis=1)
    return float(np.degrees(np.arcsin(np.clip(np.median(sine), -1, 1))))
