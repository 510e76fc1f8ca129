import dataclasses
import math

import numpy as np
import pytest

from hw_sim.rotation import from_heading_pitch_roll, to_angle_axis, to_matrix
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Field, Trajectory

WALK = load_scenario("walk")
TRAJECTORY = Trajectory(WALK.trajectory, WALK.place.gravity_m_s2)
T = np.linspace(0, 130, 2001)
H = 1e-4


def standing(heading_deg, pitch_deg=0.0, roll_deg=0.0, gravity=9.81):
    """Somebody who stands on a vast circle, so that nothing pulls but gravity."""
    still = dataclasses.replace(
        WALK.trajectory,
        speed_m_s=0.0,
        start_deg=heading_deg - 90,
        sway_m=(),
        bob_m=(),
        yaw_mean_deg=0.0,
        yaw_deg=(),
        pitch_mean_deg=pitch_deg,
        pitch_deg=(),
        roll_mean_deg=roll_deg,
        roll_deg=(),
    )
    return Trajectory(still, gravity).pose(np.zeros(1))


@pytest.mark.parametrize(
    ("attitude", "angle_axis", "force"),
    [
        ((0, 0, 0), (0, 0, 0), (0, -9.81, 0)),
        ((90, 0, 0), (0, 1.5708, 0), (0, -9.81, 0)),
        ((270, 0, 0), (0, -1.5708, 0), (0, -9.81, 0)),
        ((0, 30, 0), (0.5236, 0, 0), (0, -8.4957, 4.905)),
        ((0, 0, 20), (0, 0, 0.34907), (-3.3552, -9.2184, 0)),
        ((90, 30, 20), (0.66454, 1.42511, -0.13705), (-2.9057, -7.9833, 4.905)),
    ],
)
def test_a_still_camera_reads_as_the_specification_says(attitude, angle_axis, force):
    pose = standing(*attitude)
    np.testing.assert_allclose(to_angle_axis(pose.quaternion)[0], angle_axis, atol=1e-4)
    np.testing.assert_allclose(pose.specific_force[0], force, atol=1e-3)
    np.testing.assert_allclose(pose.angular_rate, 0, atol=1e-12)


def test_facing_south_is_half_a_turn():
    angle_axis = to_angle_axis(standing(180).quaternion)[0]
    assert math.isclose(np.linalg.norm(angle_axis), math.pi, rel_tol=1e-9)


def test_the_compass_of_a_level_camera_points_to_magnetic_north():
    declination = math.radians(WALK.magnetic_field.declination_deg)
    inclination = math.radians(WALK.magnetic_field.inclination_deg)
    field = Field(WALK.magnetic_field)
    at_north = field.in_camera(standing(0).quaternion)[0]
    strength = WALK.magnetic_field.strength_ut
    expected = [
        math.cos(inclination) * math.sin(declination),
        math.sin(inclination),
        math.cos(inclination) * math.cos(declination),
    ]
    np.testing.assert_allclose(at_north, strength * np.array(expected), rtol=1e-9)
    at_magnetic_north = field.in_camera(standing(math.degrees(declination)).quaternion)[0]
    assert abs(at_magnetic_north[0]) < 1e-9
    assert at_magnetic_north[2] > 0


def test_velocity_is_the_derivative_of_position():
    step = TRAJECTORY.pose(T + H).position - TRAJECTORY.pose(T - H).position
    np.testing.assert_allclose(step / (2 * H), TRAJECTORY.pose(T).velocity, atol=2e-6)


def test_specific_force_is_acceleration_less_gravity_in_camera_axes():
    step = TRAJECTORY.pose(T + H).velocity - TRAJECTORY.pose(T - H).velocity
    east, north, up = (step / (2 * H)).T
    world = np.stack([east, -up - WALK.place.gravity_m_s2, north], axis=-1)
    pose = TRAJECTORY.pose(T)
    turned = np.einsum("nij,nj->ni", pose.rotation, pose.specific_force)
    np.testing.assert_allclose(turned, world, atol=1e-4)


def test_angular_rate_is_how_the_rotation_changes_in_its_own_axes():
    change = np.einsum(
        "nji,njk->nik", TRAJECTORY.pose(T - H).rotation, TRAJECTORY.pose(T + H).rotation
    )
    skew = (change - np.swapaxes(change, 1, 2)) / (4 * H)
    numeric = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1)
    np.testing.assert_allclose(TRAJECTORY.pose(T).angular_rate, numeric, atol=1e-5)


def test_the_walk_is_a_walk():
    pose = TRAJECTORY.pose(T)
    ground_speed = np.hypot(pose.velocity[:, 0], pose.velocity[:, 1])
    assert 1.2 < ground_speed.mean() < 1.6
    rate = np.degrees(np.linalg.norm(pose.angular_rate, axis=1))
    assert 10 < rate.mean() < 60
    assert rate.max() < 200
    force = np.linalg.norm(pose.specific_force, axis=1)
    assert 5 < force.min() < 9
    assert 11 < force.max() < 16


def test_the_walk_begins_neither_level_nor_facing_north_nor_at_the_origin():
    pose = TRAJECTORY.pose(np.zeros(1))
    heading = math.atan2(pose.rotation[0, 0, 2], pose.rotation[0, 2, 2])
    assert abs(heading) > 0.2
    assert abs(pose.rotation[0, 1, 2]) > 0.02
    assert np.linalg.norm(pose.position) > 1
    assert np.linalg.norm(pose.angular_rate) > 0.01


def test_a_quaternion_and_its_matrix_are_one_rotation():
    angles = np.random.default_rng(4).uniform(-3, 3, (3, 50))
    quaternion = from_heading_pitch_roll(*angles)
    matrix = to_matrix(quaternion)
    np.testing.assert_allclose(
        matrix @ np.swapaxes(matrix, 1, 2), np.eye(3)[None] + 0 * matrix, atol=1e-12
    )
    axis = to_angle_axis(quaternion)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", matrix, axis), axis, atol=1e-9)
    cosine = (np.trace(matrix, axis1=1, axis2=2) - 1) / 2
    np.testing.assert_allclose(np.cos(np.linalg.norm(axis, axis=1)), cosine, atol=1e-9)
