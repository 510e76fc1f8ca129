import dataclasses
import math

import numpy as np
import pytest

from hw_sim.rotation import from_heading_pitch_roll, to_angle_axis, to_matrix
from hw_sim.scenario import (
    Circle,
    RandomRoute,
    Route,
    TrajectoryParameters,
    load_scenario,
    scenario_names,
)
from hw_sim.trajectory import Field, Trajectory

WALK = load_scenario("walk")
TRAJECTORY = Trajectory(WALK.trajectory, WALK.place.gravity_m_s2)
T = np.linspace(0, 130, 2001)
H = 1e-4


def standing(heading_deg, pitch_deg=0.0, roll_deg=0.0, gravity=9.81):
    """Somebody who stands on a vast circle, so that nothing pulls but gravity."""
    still = dataclasses.replace(
        WALK.trajectory,
        circle=Circle(0.0, 22.0, heading_deg - 90),
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


SHAKEN = {
    "lean": 0.8,
    "sway_m": ((0.05, 0.9, 40.0),),
    "bob_m": ((0.03, 1.7, 10.0),),
    "yaw_mean_deg": 9.0,
    "yaw_deg": ((20.0, 0.11, 70.0),),
    "pitch_deg": ((8.0, 0.23, 110.0),),
    "roll_deg": ((6.0, 0.31, 300.0),),
    "shake_m": ((0.001, 3.0, 9.0),),
    "shake_deg": ((0.3, 0.5, 6.0),),
}
ROUND_THE_BLOCK = Route(
    (
        (40.0, 0.0, 0.0, 9.0, 0.0),
        (45.0, 60.0, 2.0, 0.0, 4.0),
        (20.0, 90.0, 4.0, 6.0, 0.0),
        (-40.0, 70.0, 1.0, 12.0, 0.0),
        (-30.0, -10.0, 0.0, 5.0, 0.0),
    )
)
MOVING = {
    "circle": TrajectoryParameters(circle=Circle(6.0, 25.0, 130.0), **SHAKEN),
    "route": TrajectoryParameters(route=ROUND_THE_BLOCK, **SHAKEN),
    "random": TrajectoryParameters(random=RandomRoute(9, 60.0, (2.0, 20.0), (3.0, 8.0)), **SHAKEN),
    "rest": TrajectoryParameters(
        circle=Circle(0.0, 4.0, 77.0), pitch_mean_deg=-3.0, shake_deg=((0.4, 0.2, 3.0),)
    ),
    **{name: load_scenario(name).trajectory for name in scenario_names()},
}
GRAVITY = 9.8


@pytest.fixture(params=MOVING)
def moving(request):
    return Trajectory(MOVING[request.param], GRAVITY, seed=7)


def test_velocity_is_the_derivative_of_position(moving):
    step = moving.pose(T + H).position - moving.pose(T - H).position
    np.testing.assert_allclose(step / (2 * H), moving.pose(T).velocity, atol=2e-5)


def test_specific_force_is_acceleration_less_gravity_in_camera_axes(moving):
    step = moving.pose(T + H).velocity - moving.pose(T - H).velocity
    east, north, up = (step / (2 * H)).T
    world = np.stack([east, -up - GRAVITY, north], axis=-1)
    pose = moving.pose(T)
    turned = np.einsum("nij,nj->ni", pose.rotation, pose.specific_force)
    np.testing.assert_allclose(turned, world, atol=2e-3)


def test_angular_rate_is_how_the_rotation_changes_in_its_own_axes(moving):
    h = H / 5  # a vibration of 90 Hz is not straight for long
    change = np.einsum("nji,njk->nik", moving.pose(T - h).rotation, moving.pose(T + h).rotation)
    skew = (change - np.swapaxes(change, 1, 2)) / (4 * h)
    numeric = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=-1)
    np.testing.assert_allclose(moving.pose(T).angular_rate, numeric, atol=1e-4)


def test_nothing_begins_at_north_nor_level_nor_at_the_origin(moving):
    pose = moving.pose(np.zeros(1))
    heading = math.atan2(pose.rotation[0, 0, 2], pose.rotation[0, 2, 2])
    assert abs(heading) > 0.1
    assert np.abs(pose.rotation[0, 1, [0, 2]]).max() > 0.005
    assert np.linalg.norm(pose.position) > 1


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("circle", "random") else pytest.param(name, marks=pytest.mark.proof)
        for name in MOVING
    ],
)
def test_nothing_that_is_felt_has_a_step(name):
    """Neither at waypoints nor where a route begins again."""
    smooth = dataclasses.replace(MOVING[name], shake_m=(), shake_deg=(), sway_m=(), bob_m=())
    for step in (1e-3, 1e-4):
        pose = Trajectory(smooth, GRAVITY, 7).pose(np.arange(0, 100, step))
        assert np.abs(np.diff(pose.specific_force, axis=0)).max() < 40 * step
        assert np.abs(np.diff(pose.angular_rate, axis=0)).max() < 15 * step


def still(trajectory, t):
    return Trajectory(trajectory, GRAVITY).pose(t)


def test_a_route_goes_through_its_waypoints_at_their_speeds_and_waits_there():
    t = np.arange(0, 120, 0.02)
    pose = still(TrajectoryParameters(route=ROUND_THE_BLOCK), t)
    speed = np.linalg.norm(pose.velocity[:, :2], axis=1)
    for east, north, up, wanted, wait in ROUND_THE_BLOCK.waypoints:
        away = np.linalg.norm(pose.position - [east, north, up], axis=1)
        assert away.min() < 0.15
        assert speed[np.argmin(away)] == pytest.approx(wanted, rel=0.1, abs=0.01)
        stood = np.count_nonzero((speed < 1e-9) & (away < 1e-9)) * 0.02
        laps = 120 / 60.7
        assert wait * math.floor(laps) * 0.95 <= stood <= wait * math.ceil(laps) + 0.1


def test_who_stands_on_a_route_looks_where_it_leads():
    t = np.arange(0, 60, 0.05)
    pose = still(TrajectoryParameters(route=ROUND_THE_BLOCK), t)
    standing_still = np.linalg.norm(pose.velocity, axis=1) == 0
    assert standing_still.sum() > 50
    np.testing.assert_array_equal(pose.angular_rate[standing_still], 0)
    ahead = np.einsum("nij,j->ni", pose.rotation, [0.0, 0, 1])[:, [0, 2]]
    moving = ~standing_still
    level = pose.velocity[moving, :2]
    level /= np.linalg.norm(level, axis=1, keepdims=True)
    np.testing.assert_allclose(ahead[moving], level, atol=1e-6)


@pytest.mark.parametrize(("lean", "felt_sideways"), [(1.0, 0.0), (0.0, 5.0)])
def test_a_motorcycle_leans_until_nothing_pulls_sideways(lean, felt_sideways):
    clockwise = TrajectoryParameters(circle=Circle(10.0, 20.0, 30.0), lean=lean)
    pose = still(clockwise, np.linspace(0, 9, 20))
    np.testing.assert_allclose(pose.specific_force[:, 0], felt_sideways, atol=1e-9)


def test_a_random_route_is_another_with_every_seed_and_the_same_with_the_same():
    way = TrajectoryParameters(random=RandomRoute(9, 60.0, (2.0, 20.0), (3.0, 8.0)))
    first, again, other = (Trajectory(way, GRAVITY, seed).pose(T) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.position, again.position)
    assert np.abs(first.position - other.position).max() > 5
    assert np.hypot(*first.position[:, :2].T).max() < 75
    assert np.hypot(*first.velocity[:, :2].T).min() > 2


def test_random_shaking_has_the_rms_and_the_band_that_are_asked_for():
    shaken = TrajectoryParameters(circle=Circle(0.0, 1.0, 90.0), shake_m=((0.01, 4.0, 8.0),))
    t = np.arange(0, 200, 0.01)
    up = Trajectory(shaken, GRAVITY, 3).pose(t).position[:, 2]
    assert up.std() == pytest.approx(0.01, rel=0.05)
    power = np.abs(np.fft.rfft(up * np.hanning(len(up)))) ** 2
    hertz = np.fft.rfftfreq(len(up), 0.01)
    inside = (hertz > 3.9) & (hertz < 8.1)
    assert power[inside].sum() > 0.999 * power.sum()


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
