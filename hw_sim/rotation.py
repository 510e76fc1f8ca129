"""Rotations of the simulated rig: quaternions and matrices, N at a time.

Quaternions are scalar first (w, x, y, z) and turn camera axes into world axes (X east, Y down,
Z north). The simulator keeps its own few lines of this, so that an error of sign in the recorder
cannot be cancelled by the same error here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
AttitudeAt = Callable[[npt.NDArray[np.int64]], Floats]
"""Of N instants: quaternions (N, 4) that turn a chip's axes into east, magnetic north and up."""


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


def multiply(a: Floats, b: Floats) -> Floats:
    """The rotation b, and a after it: quaternions (N, 4), or (4,) for the same one in all rows."""
    aw, ax, ay, az = np.moveaxis(a, -1, 0)
    bw, bx, by, bz = np.moveaxis(b, -1, 0)
    rows = [
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ]
    return np.stack(rows, axis=-1)


def from_matrix(matrix: Floats) -> Floats:
    """The unit quaternion (4,) of one matrix (3, 3): the eigenvector that Bar-Itzhack gives."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    vector: Floats = np.linalg.eigh(symmetric)[1][:, -1]
    return vector


def against_magnetic_north(quaternion: Floats, to_camera: Floats, declination: float) -> Floats:
    """Quaternions that turn the axes of a chip into east, magnetic north and up, (N, 4).

    `quaternion` (N, 4) is the camera's, `to_camera` (3, 3) turns the chip's axes into the camera's;
    magnetic north is `declination` radians east of true north.
    """
    # Down is Y: a turn about it by the declination, backwards, leaves headings from magnetic north.
    turn = np.array([np.cos(declination / 2), 0.0, -np.sin(declination / 2), 0.0])
    up_is_z = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0])
    world = multiply(up_is_z, turn)
    return multiply(multiply(world, quaternion), from_matrix(to_camera))
