"""What an accelerometer says in many poses: bias, scale and crossed axes, by gravity alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camm.frames import Array
from fusion.calibration.correction import Correction
from fusion.calibration.ellipsoid import fit_ellipsoid, forms
from fusion.calibration.errors import CalibrationError
from fusion.calibration.sphere import CENTRES, name_of

_STANDARD_GRAVITY = 9.80665
FEWEST_POSES = 12
_APART = np.cos(np.radians(10.0))
_WEAKEST = 0.15
"""Of nine unknowns, how well the poses tell the one they tell worst; 0.37 if they were anywhere."""
_WORST = 0.05
_FAR_OFF = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class AccelFit:
    """The correction, over how many poses, and what gravity is off in them, rms m/s^2."""

    correction: Correction
    poses: int
    residual: float


def distinct_poses(means: Array) -> Array:
    """Of mean forces (K, 3), those that differ from all before by ten degrees and more."""
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    near = unit @ unit.T > _APART
    kept: list[int] = []
    for number in range(len(means)):
        if not near[number, kept].any():
            kept.append(number)
    return means[kept]


def missing_pose(poses: Array) -> str | None:
    """Which pose is wanted next beside those there are (K, 3), as "+X-Y"; None where none is."""
    unit = poses / np.linalg.norm(poses, axis=1, keepdims=True)
    _, told, unknowns = np.linalg.svd(forms(unit) / np.sqrt(max(len(unit), 1)))
    if len(unit) >= FEWEST_POSES and told[-1] > _WEAKEST:
        return None
    return name_of(CENTRES[np.abs(forms(CENTRES) @ unknowns[-1]).argmax()])


def normal_gravity(latitude: float | None = None, height_m: float = 0.0) -> float:
    """Gravity at a place, m/s^2: of WGS 84 (Somigliana), good to 0.001; the standard's without."""
    if latitude is None:
        return _STANDARD_GRAVITY
    square = float(np.sin(np.radians(latitude)) ** 2)
    on_ellipsoid = 9.7803253359 * (1 + 0.00193185265241 * square)
    return on_ellipsoid / float(np.sqrt(1 - 0.00669437999014 * square)) - 3.086e-6 * height_m


def fit_accel(poses: Array, gravity: float) -> AccelFit:
    """The correction of an accelerometer by its mean force (K, 3) in poses at rest, m/s^2.

    CalibrationError for too few poses, for such as leave something open, and where gravity comes
    out as different in different poses.
    """
    if (missing := missing_pose(poses)) is not None:
        raise CalibrationError(
            f"{len(poses)} different poses do not suffice, one is missing with {missing} up: rest "
            f"the rig for two seconds in {FEWEST_POSES} or more, on faces, edges and corners"
        )
    fit = fit_ellipsoid(poses, gravity)
    if fit.residual > _WORST:
        raise CalibrationError(
            f"gravity differs by {fit.residual:.3f} m/s² from pose to pose, expected at most "
            f"{_WORST}: hold the rig still in each, or lean it against something"
        )
    off = np.abs(fit.correction.matrix - np.eye(3)).max()
    if off > _FAR_OFF:
        raise CalibrationError(
            f"the axes come out {100 * off:.0f} % off, no accelerometer is as wrong as that: check "
            "its full scale, and --gravity"
        )
    return AccelFit(fit.correction, len(poses), fit.residual)
