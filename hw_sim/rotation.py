"""Rotations of the simulated rig: quaternions and matrices, N at a time.

Quaternions are scalar first (w, x, y, z) and turn camera axes into world axes (X east, Y down,
Z north). The simulator keeps its own few lines of this, so that an error of sign in the recorder
cannot be cancelled by the same error here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def from_heading_pitch_roll(heading: Floats, pitch: Floats, roll: Floats) -> Floats:
    """Quaternions (N, 4) of Ry(heading) Rx(pitch) Rz(roll), angles in radians.

    Heading is clockwise from north, pitch up, roll with the right side down.
    """
    ch, sh = np.cos(heading / 2), np.sin(heading / 2)
    cp, sp = np.cos(pitch / 2), np.sin(pitch / 2)
    cr, sr = np.cos(roll / 2), np.sin(roll / 2)
    w, x, y, z = ch * cp, ch * sp, sh * cp, -sh * sp
    return np.stack([w * cr - z * sr, x * cr + y * sr, y * cr - x * sr, z * cr + w * sr], axis=-1)


def to_matrix(quaternion: Floats) -> Floats:
    """Matrices (N, 3, 3) of unit quaternions (N, 4)."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def to_angle_axis(quaternion: Floats) -> Floats:
    """Axis times angle (N, 3) of unit quaternions (N, 4); the angle is in [0, pi]."""
    shortest = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(shortest[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, shortest[..., :1])
    # Near zero the ratio angle / sine tends to 2.
    ratio = np.divide(angle, sine, out=np.full_like(sine, 2.0), where=sine > 0)
    out: Floats = shortest[..., 1:] * ratio
    return out
