"""Frames of reference: the conventions by number, the algebra by random poses.

The poses are built here from elementary matrices, written down from the definition of heading,
pitch and roll, and not with the code under test.
"""

from math import cos, pi, radians, sin

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from camm import PacketType, UsageError, decode, encode, frames

component = st.floats(-1, 1, allow_subnormal=False)
G = 9.807

# Mount A of the examples: x to the camera's right, y forward, z up.
MOUNT_A = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
WORLDS = [
    (frames.CAMM_FROM_ENU, [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    (frames.CAMM_FROM_NED, [[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    (frames.CAMM_FROM_NWU, [[0, -1, 0], [0, 0, -1], [1, 0, 0]]),
]


def rx(a):
    return np.array([[1, 0, 0], [0, cos(a), -sin(a)], [0, sin(a), cos(a)]])


def ry(a):
    return np.array([[cos(a), 0, sin(a)], [0, 1, 0], [-sin(a), 0, cos(a)]])


def rz(a):
    return np.array([[cos(a), -sin(a), 0], [sin(a), cos(a), 0], [0, 0, 1]])


def pose(heading, pitch, roll):
    """World from camera: heading clockwise from north, pitch up, roll right side down; degrees."""
    return ry(radians(heading)) @ rx(radians(pitch)) @ rz(radians(roll))


@st.composite
def unit_quaternions(draw):
    q = np.array(draw(st.tuples(component, component, component, component)))
    length = np.linalg.norm(q)
    assume(length > 1e-3)
    return q / length


def degrees_between(a, b):
    """The angle of the rotation from one to the other, by the chord of their matrices."""
    chord = np.linalg.norm(np.asarray(a) - np.asarray(b), axis=(-2, -1))
    return np.degrees(2 * np.arcsin(np.minimum(chord / np.sqrt(8), 1)))


EXAMPLES = [
    # heading, pitch, roll, angle-axis, specific force in camera axes
    ((0, 0, 0), (0, 0, 0), (0, -9.807, 0)),
    ((90, 0, 0), (0, 1.5708, 0), (0, -9.807, 0)),
    ((180, 0, 0), (0, 3.14159, 0), (0, -9.807, 0)),
    ((270, 0, 0), (0, -1.5708, 0), (0, -9.807, 0)),
    ((0, 30, 0), (0.5236, 0, 0), (0, -8.493, 4.903)),
    ((0, 0, 20), (0, 0, 0.34907), (-3.354, -9.215, 0)),
    ((90, 30, 20), (0.66454, 1.42511, -0.13705), (-2.905, -7.981, 4.903)),
    ((179.9, 0, 0), (0, 3.1398, 0), (0, -9.807, 0)),
    ((180.1, 0, 0), (0, -3.1398, 0), (0, -9.807, 0)),
]


@pytest.mark.parametrize(("angles", "angle_axis", "force"), EXAMPLES)
@pytest.mark.parametrize(("camm_from_world", "matrix"), WORLDS, ids=["ENU", "NED", "NWU"])
def test_a_pose_is_written_as_the_worked_examples_say(
    angles, angle_axis, force, camm_from_world, matrix
):
    camera = pose(*angles)
    world_from_sensor = np.array(matrix).T @ camera @ MOUNT_A
    out = frames.to_angle_axis(
        frames.world_from_camera(frames.from_matrix(world_from_sensor), MOUNT_A, camm_from_world)
    )
    if angles == (180, 0, 0):
        out = np.abs(out)  # facing south exactly, both signs are the same rotation
    np.testing.assert_allclose(out, angle_axis, atol=6e-5)

    upward_in_sensor = MOUNT_A.T @ camera.T @ [0, -G, 0]
    np.testing.assert_allclose(
        frames.rotate_to_camera(MOUNT_A, [upward_in_sensor])[0], force, atol=1e-3
    )


@pytest.mark.parametrize(("constant", "matrix"), WORLDS, ids=["ENU", "NED", "NWU"])
def test_the_world_constants_are_the_matrices_of_their_definition(constant, matrix):
    np.testing.assert_allclose(frames.to_matrix(constant), matrix, atol=1e-15)


def test_the_worlds_agree_on_where_east_down_and_north_are():
    east, down, north = np.eye(3)
    for constant, axes in [
        (frames.CAMM_FROM_ENU, ([1, 0, 0], [0, 0, -1], [0, 1, 0])),
        (frames.CAMM_FROM_NED, ([0, 1, 0], [0, 0, 1], [1, 0, 0])),
        (frames.CAMM_FROM_NWU, ([0, -1, 0], [0, 0, -1], [1, 0, 0])),
    ]:
        np.testing.assert_allclose(frames.rotate(constant, axes), [east, down, north], atol=1e-15)


@pytest.mark.parametrize("degrees", [5.17, -12.5])
def test_an_eastern_declination_turns_the_camera_clockwise(degrees):
    magnetic = pose(40, 10, -5)
    world_from_sensor = np.array(WORLDS[0][1]).T @ magnetic @ MOUNT_A
    out = frames.world_from_camera(
        frames.from_matrix(world_from_sensor), MOUNT_A, declination=radians(degrees)
    )
    assert degrees_between(frames.to_matrix(out), pose(40 + degrees, 10, -5)) < 1e-6


def test_no_rotation_is_never_written_as_zero():
    for q in ([1, 0, 0, 0], [-1, 0, 0, 0], [1, 1e-30, 0, 0], [1, 0, 0, 1e-11]):
        vector = frames.to_angle_axis([q]).astype(np.float32)[0]
        assert vector.tolist() == [np.float32(1e-9), 0, 0]


def test_a_camera_that_turns_through_south_stays_the_same_rotation():
    headings = np.linspace(179, 181, 201)
    poses = np.array([pose(h, 0, 0) for h in headings])
    vectors = frames.to_angle_axis(frames.from_matrix(poses))
    assert vectors[0, 1] > 3
    assert vectors[-1, 1] < -3
    assert (np.linalg.norm(vectors, axis=1) <= pi).all()
    back = frames.to_matrix(frames.from_angle_axis(vectors))
    assert degrees_between(back, poses).max() < 1e-6


@given(unit_quaternions(), unit_quaternions())
def test_composing_quaternions_multiplies_their_matrices(a, b):
    np.testing.assert_allclose(
        frames.to_matrix(frames.multiply(a, b)),
        frames.to_matrix(a) @ frames.to_matrix(b),
        atol=1e-12,
    )


@given(unit_quaternions(), st.tuples(component, component, component))
def test_turning_there_and_back_changes_nothing(q, vector):
    np.testing.assert_allclose(frames.multiply(q, frames.conjugate(q)), [1, 0, 0, 0], atol=1e-12)
    there = frames.rotate(q, vector)
    np.testing.assert_allclose(there, frames.to_matrix(q) @ vector, atol=1e-12)
    np.testing.assert_allclose(frames.rotate(frames.conjugate(q), there), vector, atol=1e-12)


@given(unit_quaternions())
def test_a_matrix_gives_its_quaternion_back(q):
    back = frames.from_matrix(frames.to_matrix(q))
    assert back[0] >= 0
    assert abs(abs(back @ q) - 1) < 1e-12


@given(unit_quaternions())
def test_an_angle_axis_is_canonical_and_gives_its_rotation_back(q):
    vector = frames.to_angle_axis(q)
    assert 0 < np.linalg.norm(vector) <= pi * (1 + 1e-15)
    assert abs(abs(frames.from_angle_axis(vector) @ q) - 1) < 1e-12


@given(
    st.tuples(component, component, component),
    st.one_of(st.floats(2e-9, 1e-5), st.floats(pi - 1e-5, pi), st.floats(2e-9, pi)),
)
def test_angles_near_zero_and_near_pi_keep_their_digits(axis, angle):
    assume(np.linalg.norm(axis) > 1e-3)
    vector = np.array(axis) / np.linalg.norm(axis) * angle
    back = frames.to_angle_axis(frames.from_angle_axis(vector))
    if pi - angle < 1e-9 and back @ vector < 0:
        back = -back
    np.testing.assert_allclose(back, vector, rtol=1e-9, atol=1e-12)


@given(unit_quaternions())
def test_the_file_keeps_an_orientation_to_a_hundred_thousandth_of_a_degree(q):
    kind = PacketType.ANGLE_AXIS
    stored = decode(kind, encode(kind, frames.to_angle_axis([q])))[0].astype(np.float64)
    assert stored.any()
    back = frames.from_angle_axis(stored)
    # The chord of the two quaternions: half the angle between them.
    chord = min(np.linalg.norm(back - q), np.linalg.norm(back + q))
    assert np.degrees(2 * chord) < 1e-5 * 1.5


@given(st.floats(-20, 20))
def test_any_number_of_turns_is_understood(angle):
    got = frames.to_matrix(frames.from_angle_axis([0, angle, 0]))
    np.testing.assert_allclose(got, ry(angle), atol=1e-12)


def test_between_two_samples_the_camera_turns_steadily():
    origin = 10**18  # an uptime far beyond what a float64 counts in nanoseconds
    t = np.array([0, 10, 20], np.int64) + origin
    q = frames.from_matrix([pose(170, 5, 0), pose(190, 5, 0), pose(190, 45, 0)])
    at = np.array([-5, 0, 1, 5, 10, 15, 20, 99], np.int64) + origin
    got = frames.to_matrix(frames.interpolate(t, q, at))
    middle = frames.to_matrix(q[0]) @ frames.to_matrix(
        frames.from_angle_axis(
            0.5 * frames.to_angle_axis(frames.multiply(frames.conjugate(q[0]), q[1]))
        )
    )
    assert degrees_between(got[[0, 1]], pose(170, 5, 0)).max() < 1e-6
    assert degrees_between(got[3], middle) < 1e-6
    assert degrees_between(got[3], pose(180, 5, 0)) < 0.1  # a great circle, not a parallel
    assert degrees_between(got[5], pose(190, 25, 0)) < 1e-6
    assert degrees_between(got[[6, 7]], pose(190, 45, 0)).max() < 1e-6
    whole = degrees_between(pose(170, 5, 0), pose(190, 5, 0))
    assert degrees_between(got[2], got[1]) == pytest.approx(whole / 10, abs=1e-6)


def test_interpolation_goes_the_short_way_whatever_the_signs():
    q = frames.from_matrix([pose(10, 0, 0), pose(30, 0, 0)]) * [[1], [-1]]
    t = np.array([0, 2], np.int64)
    got = frames.interpolate(t, q, np.array([1], np.int64))
    assert degrees_between(frames.to_matrix(got)[0], pose(20, 0, 0)) < 1e-6


def test_one_sample_is_held_and_none_is_an_error():
    q = frames.from_matrix([pose(10, 20, 30)])
    got = frames.interpolate(np.array([7], np.int64), q, np.array([0, 7, 9], np.int64))
    np.testing.assert_array_equal(got, np.repeat(q, 3, axis=0))
    with pytest.raises(UsageError, match="at least one"):
        frames.interpolate(np.empty(0, np.int64), np.empty((0, 4)), np.array([1], np.int64))


def test_a_mount_is_told_by_where_the_axes_point():
    np.testing.assert_array_equal(frames.mount_from_axes(x="right", y="forward", z="up"), MOUNT_A)
    np.testing.assert_array_equal(
        frames.mount_from_axes(x="right", y="down", z="forward"), np.eye(3)
    )
    turned = frames.mount_from_axes(x="back", y="up", z="left")
    assert (turned @ [1, 0, 0]).tolist() == [0, 0, -1]
    assert (turned @ [0, 1, 0]).tolist() == [0, -1, 0]
    assert (turned @ [0, 0, 1]).tolist() == [-1, 0, 0]
    np.testing.assert_array_equal(turned, frames.mount_from_axes(x="backward", y="up", z="left"))


def test_there_are_exactly_24_ways_to_mount_a_sensor():
    names = ["right", "left", "up", "down", "forward", "back"]
    mounts = []
    for x in names:
        for y in names:
            for z in names:
                try:
                    mounts.append(frames.mount_from_axes(x=x, y=y, z=z))
                except UsageError:
                    continue
    assert len({mount.tobytes() for mount in mounts}) == len(mounts) == 24
    np.testing.assert_allclose(np.linalg.det(mounts), 1)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"x": "right", "y": "forward", "z": "down"}, "z axis points up, found down"),
        ({"x": "right", "y": "left", "z": "up"}, "at right angles"),
        ({"x": "right", "y": "right", "z": "up"}, "at right angles"),
        ({"x": "north", "y": "down", "z": "up"}, "cannot point 'north'"),
    ],
)
def test_a_mount_that_cannot_be_is_refused_with_the_reason(axes, message):
    with pytest.raises(UsageError, match=message):
        frames.mount_from_axes(**axes)


@pytest.mark.parametrize(
    "matrix",
    [np.eye(2), np.eye(3) * 1.1, np.diag([1, 1, -1]), np.full((3, 3), np.nan), np.zeros((3, 3))],
)
def test_a_matrix_that_is_no_rotation_is_no_mount(matrix):
    with pytest.raises(UsageError, match="mount"):
        frames.check_mount(matrix)


def test_euler_angles_turn_about_the_cameras_own_axes_one_after_the_other():
    np.testing.assert_allclose(frames.mount_from_euler(90, 0, 0), MOUNT_A, atol=1e-12)
    a, b, c = radians(10), radians(-35), radians(120)
    turned = frames.mount_from_euler(10, -35, 120)
    np.testing.assert_allclose(turned, rz(c) @ ry(b) @ rx(a), atol=1e-12)


@given(st.tuples(*[st.floats(-360, 360)] * 3))
def test_any_angles_make_a_mount_and_its_matrix_says_the_same_with_few_digits(angles):
    mount = frames.check_mount(frames.mount_from_euler(*angles))
    written = np.round(mount, 4)
    read = frames.check_mount(frames.mount_from_matrix(written))
    np.testing.assert_allclose(read, mount, atol=2e-4)


@pytest.mark.parametrize(
    "matrix",
    [np.eye(2), np.diag([1, 1, -1]), np.eye(3) * 1.01, np.full((3, 3), np.nan), np.zeros((3, 3))],
)
def test_a_written_matrix_that_is_no_rotation_is_refused(matrix):
    with pytest.raises(UsageError, match="mount"):
        frames.mount_from_matrix(matrix)


@given(unit_quaternions(), unit_quaternions(), st.floats(0, 1))
def test_between_two_orientations_the_turn_is_in_proportion(first, second, part):
    between = frames.interpolated(first[None], second[None], np.array([part]))[0]
    whole = frames.to_angle_axis(frames.multiply(frames.conjugate(first), second))
    some = frames.to_angle_axis(frames.multiply(frames.conjugate(first), between))
    assume(np.linalg.norm(whole) < pi - 1e-6)
    np.testing.assert_allclose(some, part * whole, atol=1e-7)


@pytest.mark.parametrize("angle", [0, 1e-12, 1e-9, 1e-6, pi - 1e-9, pi - 1e-12, pi])
@given(axis=st.tuples(component, component, component))
def test_the_smallest_and_the_largest_angles_come_back(angle, axis):
    length = np.linalg.norm(axis)
    assume(length > 1e-3)
    vector = np.array(axis) / length * angle
    back = frames.to_angle_axis(frames.from_angle_axis(vector))
    rounding = 1e-12
    assert frames.SMALLEST_ANGLE * (1 - rounding) <= np.linalg.norm(back) <= pi * (1 + rounding)
    turn = frames.multiply(
        frames.from_angle_axis(back), frames.conjugate(frames.from_angle_axis(vector))
    )
    assert np.abs(turn[1:]).max() < 2e-9
