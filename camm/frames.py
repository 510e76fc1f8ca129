"""Frames of reference: how a sensor's axes become the camera's, and a filter's world CAMM's.

Camera: X right, Y down, Z forward. World: X east, Y down, Z north (true). Quaternions are scalar
first (w, x, y, z), shape (N, 4), of unit norm, and turn vectors of the frame named last into the
frame named first: `world_from_camera` takes camera vectors to the world. Everything works on whole
blocks; a single (4,) or (3,) passes wherever rows do.

Source: the Camera Motion Metadata specification, types 0, 2, 3 and 7.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from camm.errors import UsageError

Array = npt.NDArray[np.float64]


def _constant(*values: float) -> Array:
    array = np.array(values, np.float64)
    array.setflags(write=False)
    return array


_HALF = np.sqrt(0.5)

CAMM_FROM_ENU = _constant(_HALF, _HALF, 0.0, 0.0)
"""The CAMM world from east-north-up (vqf)."""
CAMM_FROM_NED = _constant(-0.5, 0.5, 0.5, 0.5)
"""The CAMM world from north-east-down."""
CAMM_FROM_NWU = _constant(0.5, 0.5, -0.5, 0.5)
"""The CAMM world from north-west-up (Madgwick)."""

SMALLEST_ANGLE = 1e-9
"""Radians. No angle-axis is shorter: readers divide by the length (Gyroflow's makes NaN of 0)."""

_CAMERA_AXES = {
    "right": _constant(1, 0, 0),
    "left": _constant(-1, 0, 0),
    "down": _constant(0, 1, 0),
    "up": _constant(0, -1, 0),
    "forward": _constant(0, 0, 1),
    "back": _constant(0, 0, -1),
    "backward": _constant(0, 0, -1),
}


def multiply(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """The product a b: the rotation b followed by the rotation a."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, np.float64), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, np.float64), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def conjugate(q: npt.ArrayLike) -> Array:
    """The inverse rotation."""
    return np.asarray(q, np.float64) * (1.0, -1.0, -1.0, -1.0)


def rotate(q: npt.ArrayLike, vectors: npt.ArrayLike) -> Array:
    """The vectors (N, 3), turned by the quaternions."""
    q = np.asarray(q, np.float64)
    vectors = np.asarray(vectors, np.float64)
    twice = 2.0 * np.cross(q[..., 1:], vectors)
    return vectors + q[..., :1] * twice + np.cross(q[..., 1:], twice)


def to_matrix(q: npt.ArrayLike) -> Array:
    """Rotation matrices (N, 3, 3) of unit quaternions."""
    w, x, y, z = np.moveaxis(np.asarray(q, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(matrix: npt.ArrayLike) -> Array:
    """Unit quaternions, w >= 0, of rotation matrices (N, 3, 3)."""
    m = np.asarray(matrix, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx = m[..., 2, 1] - m[..., 1, 2]
    wy = m[..., 0, 2] - m[..., 2, 0]
    wz = m[..., 1, 0] - m[..., 0, 1]
    xy = m[..., 1, 0] + m[..., 0, 1]
    xz = m[..., 0, 2] + m[..., 2, 0]
    yz = m[..., 2, 1] + m[..., 1, 2]
    rows = [
        [1 + xx + yy + zz, wx, wy, wz],
        [wx, 1 + xx - yy - zz, xy, xz],
        [wy, xy, 1 - xx + yy - zz, yz],
        [wz, xz, yz, 1 - xx - yy + zz],
    ]
    # These are the rows of 4 q q^T. Each is q up to a factor; the one with the largest square on
    # the diagonal is the one that loses no digits, whatever the angle.
    outer = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
    best = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(outer, best[..., None, None], axis=-2)[..., 0, :]
    sign = np.where(q[..., :1] < 0, -1.0, 1.0)
    return np.asarray(sign * q / np.linalg.norm(q, axis=-1, keepdims=True))


def from_angle_axis(angle_axis: npt.ArrayLike) -> Array:
    """Unit quaternions of angle-axis vectors (N, 3): axis times angle, radians, any angle."""
    vector = np.asarray(angle_axis, np.float64)
    half = np.linalg.norm(vector, axis=-1, keepdims=True) / 2
    # np.sinc(x) is sin(pi x) / (pi x), and 1 at 0.
    return np.concatenate([np.cos(half), np.sinc(half / np.pi) / 2 * vector], axis=-1)


def to_angle_axis(q: npt.ArrayLike) -> Array:
    """What CAMM type 0 holds: axis times angle, (N, 3), the angle in [SMALLEST_ANGLE, pi].

    The vector changes sign where the angle passes pi, which a level camera does whenever it turns
    through south. Both signs are the same rotation there; interpolate quaternions, never these.
    """
    vector, angle = _logarithm(np.asarray(q, np.float64))
    null = np.abs(angle) < SMALLEST_ANGLE
    return np.where(null, (SMALLEST_ANGLE, 0.0, 0.0), vector) if null.any() else vector


def heading_pitch_roll(angle_axis: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Degrees of M = Ry(heading) Rx(pitch) Rz(roll), for vectors (N, 3) of CAMM type 0.

    Heading is 0 to 360, clockwise from north; pitch -90 to 90, up; roll -180 to 180, right side
    down.
    """
    with np.errstate(invalid="ignore"):  # an infinite angle has no direction: NaN
        world_from_camera = to_matrix(from_angle_axis(angle_axis))
    forward = world_from_camera[:, :, 2]
    heading = np.degrees(np.arctan2(forward[:, 0], forward[:, 2])) % 360
    pitch = np.degrees(np.arcsin(np.clip(-forward[:, 1], -1, 1)))
    roll = np.degrees(np.arctan2(world_from_camera[:, 1, 0], world_from_camera[:, 1, 1]))
    return heading, pitch, roll


def _logarithm(q: Array) -> tuple[Array, Array]:
    """Axis times the angle of the shorter way round, and that angle: (..., 3) and (..., 1)."""
    w, v = q[..., :1], q[..., 1:]
    length = np.sqrt((v * v).sum(axis=-1, keepdims=True))
    # q and -q are one rotation; the one with w >= 0 has its angle in [0, pi]. The arctangent keeps
    # its digits at both ends, where the arccosine of w loses half of them at 0.
    angle = np.copysign(2.0 * np.arctan2(length, np.abs(w)), w)
    return v * (angle / np.maximum(length, _TINY)), angle


_TINY = float(np.finfo(np.float64).tiny)


def interpolate(
    t_ns: npt.NDArray[np.int64], q: npt.ArrayLike, at_ns: npt.NDArray[np.int64]
) -> Array:
    """Orientations at the times `at_ns`, turning steadily between the samples (slerp).

    `t_ns` int64[N] strictly increasing, `q` (N, 4). Before the first and after the last sample
    the orientation is that sample's. UsageError where there is no sample at all.
    """
    q = np.asarray(q, np.float64)
    if not len(t_ns):
        raise UsageError("orientation between samples needs at least one sample, found none")
    after = np.minimum(np.searchsorted(t_ns, at_ns), len(t_ns) - 1)
    before = np.maximum(after - 1, 0)
    # Differences first: nanoseconds since boot have more digits than a float64.
    span = np.maximum(t_ns[after] - t_ns[before], 1)
    return interpolated(q[before], q[after], np.clip((at_ns - t_ns[before]) / span, 0.0, 1.0))


def interpolated(first: Array, second: Array, part: Array) -> Array:
    """Orientations (N, 4) between two, row by row: so far, 0 to 1, on the shorter way (slerp)."""
    turn, _ = _logarithm(multiply(conjugate(first), second))
    return multiply(first, from_angle_axis(part[:, None] * turn))


def mount_from_axes(*, x: str, y: str, z: str) -> Array:
    """The mount R_camera,sensor of a sensor whose axes point where the names say.

    The names are as seen from behind the camera: right, left, up, down, forward, back (or
    backward). UsageError for another name, and where the three are no right-handed frame: a
    mirrored mount would turn every motion the wrong way round.
    """
    columns = []
    for axis, name in (("x", x), ("y", y), ("z", z)):
        if name not in _CAMERA_AXES:
            known = ", ".join(_CAMERA_AXES)
            raise UsageError(f"the sensor's {axis} axis cannot point {name!r}: choose of {known}")
        columns.append(_CAMERA_AXES[name])
    third = np.cross(columns[0], columns[1])
    if not third.any():
        raise UsageError(
            f"the sensor's x axis points {x} and its y axis {y}: they must be at right angles"
        )
    if not np.array_equal(third, columns[2]):
        right = next(name for name, way in _CAMERA_AXES.items() if np.array_equal(way, third))
        raise UsageError(
            f"with x {x} and y {y} a right-handed sensor's z axis points {right}, found {z}: "
            "look at the arrows printed on the board again"
        )
    return np.stack(columns, axis=1)


def mount_from_euler(x_deg: float, y_deg: float, z_deg: float) -> Array:
    """The mount R_camera,sensor = Rz Ry Rx of a sensor that was turned from the camera's axes.

    About the camera's own X (right), then Y (down), then Z (forward), right-handed. 90, 0, 0 is a
    sensor whose x points right, y forward and z up.
    """
    x, y, z = from_angle_axis(np.diag(np.radians([x_deg, y_deg, z_deg])))
    return to_matrix(multiply(z, multiply(y, x)))


def mount_from_matrix(matrix: npt.ArrayLike) -> Array:
    """The rotation nearest to a matrix that was written with a few digits.

    UsageError where it is none to a thousandth.
    """
    return to_matrix(from_matrix(check_mount(matrix, tolerance=1e-3)))


def check_mount(mount: npt.ArrayLike, tolerance: float = 1e-6) -> Array:
    """The matrix R_camera,sensor, once it is known to be a rotation; else UsageError."""
    matrix = np.asarray(mount, np.float64)
    if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, np.eye(3), atol=tolerance):
        raise UsageError(f"a mount is a rotation matrix of 3 x 3, found {matrix.tolist()}")
    if np.linalg.det(matrix) < 0:
        raise UsageError(f"the mount {matrix.tolist()} is a mirror: turn one axis the other way")
    return matrix


def rotate_to_camera(mount: Array, vectors: npt.ArrayLike) -> Array:
    """Sensor vectors (N, 3) in camera axes, as CAMM types 2, 3 and 7 want them."""
    return np.asarray(vectors, np.float64) @ mount.T


def world_from_camera(
    world_from_sensor: npt.ArrayLike,
    mount: npt.ArrayLike,
    camm_from_world: npt.ArrayLike = CAMM_FROM_ENU,
    declination: float = 0.0,
) -> Array:
    """The camera's orientation in the CAMM world: M = Ry(declination) R_G,W R_W,S R_C,S^T.

    `world_from_sensor` (N, 4) is what the filter says, `camm_from_world` the constant for the
    filter's world, `mount` R_camera,sensor (3, 3), `declination` how far magnetic north lies east
    of true north, radians. World Y points down, so a positive turn about it is clockwise on a map.
    """
    north = from_angle_axis([0.0, declination, 0.0])
    outer = multiply(north, camm_from_world)
    sensor_from_camera = conjugate(from_matrix(mount))
    return multiply(multiply(outer, world_from_sensor), sensor_from_camera)
