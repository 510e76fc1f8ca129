"""Every filter, whatever its library thinks of frames, says the same of a camera at rest."""

import logging
import sys
from math import cos, radians, sin

import numpy as np
import pytest

from camm import UsageError, frames
from fusion.orientation import OFFLINE, SIX_AXES, filters, make_filter

STREAMED = [name for name in filters() if name != SIX_AXES]
ALL = [*filters(), OFFLINE]
WITH_NORTH = [*STREAMED, OFFLINE]
PERIOD_S = 0.005
DIP = radians(67)

MOUNTS = {
    "x right, y forward, z up": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "camera axes": np.eye(3),
    "x down, y back, z left": np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}
POSES = {
    "level, north": (0, 0, 0),
    "east": (90, 0, 0),
    "south-west": (225, 0, 0),
    "west": (270, 0, 0),
    "north, 30 up": (0, 30, 0),
    "north, rolled 20": (0, 0, 20),
    "east, 30 up, rolled 20": (90, 30, 20),
    "looking far down": (140, -75, 10),
}


def world_from_camera(heading, pitch, roll):
    h, p, r = radians(heading), radians(pitch), radians(roll)
    about_y = np.array([[cos(h), 0, sin(h)], [0, 1, 0], [-sin(h), 0, cos(h)]])
    about_x = np.array([[1, 0, 0], [0, cos(p), -sin(p)], [0, sin(p), cos(p)]])
    about_z = np.array([[cos(r), -sin(r), 0], [sin(r), cos(r), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def at_rest(pose, mount, rows):
    """What the sensors of a camera at rest read: specific force up, the field north and down."""
    sensor_from_world = mount.T @ world_from_camera(*pose).T
    force = sensor_from_world @ [0, -9.81, 0]
    field = sensor_from_world @ [0, 48 * sin(DIP), 48 * cos(DIP)]
    return np.zeros((rows, 3)), np.tile(force, (rows, 1)), np.tile(field, (rows, 1))


def degrees_off(q, pose, mount):
    """Between the last orientation of a filter and the truth."""
    got = frames.to_matrix(frames.world_from_camera(q[-1], mount))
    cosine = (np.trace(got.T @ world_from_camera(*pose)) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


SOME_MOUNTS = [
    pytest.param(mount, id=name, marks=[pytest.mark.proof] if number else [])
    for number, (name, mount) in enumerate(reversed(MOUNTS.items()))
]


@pytest.mark.parametrize("name", STREAMED)
@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
@pytest.mark.parametrize("mount", SOME_MOUNTS)
def test_a_camera_at_rest_points_where_it_points(name, pose, mount):
    q = make_filter(name, PERIOD_S).update(*at_rest(pose, mount, 400))
    assert q.shape == (400, 4)
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1, atol=1e-9)
    assert degrees_off(q, pose, mount) < 0.1


@pytest.mark.parametrize("name", STREAMED)
def test_a_filter_corrects_a_wrong_start_even_when_the_gyro_reads_exactly_zero(name):
    mount = MOUNTS["camera axes"]
    tested = make_filter(name, PERIOD_S)
    tested.update(*at_rest((90, 0, 0), mount, 10))
    q = tested.update(*at_rest((100, 5, 0), mount, 12000))
    assert degrees_off(q, (100, 5, 0), mount) < 1


@pytest.mark.parametrize("name", ALL)
def test_without_a_magnetometer_only_the_heading_is_free(name):
    mount = MOUNTS["x right, y forward, z up"]
    gyro, force, field = at_rest((90, 30, 20), mount, 400)
    q = make_filter(name, PERIOD_S).update(gyro, force, np.zeros_like(field))
    camera = frames.to_matrix(frames.world_from_camera(q[-1], mount))
    down_in_camera = world_from_camera(90, 30, 20)[1]
    np.testing.assert_allclose(camera[1], down_in_camera, atol=1e-3)


@pytest.mark.parametrize("name", STREAMED)
def test_north_is_taken_up_at_once_when_the_magnetometer_comes_late(name):
    mount = MOUNTS["camera axes"]
    gyro, force, field = at_rest((200, 10, 0), mount, 200)
    tested = make_filter(name, PERIOD_S)
    tested.update(gyro, force, np.zeros_like(field))
    assert degrees_off(tested.update(gyro, force, field), (200, 10, 0), mount) < 0.1


@pytest.mark.parametrize("name", STREAMED)
def test_a_turn_without_force_and_field_is_followed_by_the_gyro(name):
    mount = MOUNTS["camera axes"]
    tested = make_filter(name, PERIOD_S)
    tested.update(*at_rest((10, 0, 0), mount, 400))
    rate = np.tile([0, radians(40) / 0.5, 0], (100, 1))  # half a second, clockwise from above
    nothing = np.zeros((100, 3))
    q = tested.update(rate, nothing, nothing)
    assert degrees_off(q, (50, 0, 0), mount) < 0.2


@pytest.mark.parametrize("name", STREAMED)
def test_a_filter_that_starts_again_forgets_where_it_pointed(name):
    mount = MOUNTS["camera axes"]
    tested = make_filter(name, PERIOD_S)
    tested.update(*at_rest((10, 0, 0), mount, 400))
    tested.restart()
    assert degrees_off(tested.update(*at_rest((200, 40, 0), mount, 400)), (200, 40, 0), mount) < 0.1


# Of the frames' documentation: heading, pitch and roll, the angle-axis of type 0 and what the
# accelerometer reads in camera axes.
EXAMPLES = [
    ((0, 0, 0), (0, 0, 0), (0, -9.807, 0)),
    ((90, 0, 0), (0, 1.5708, 0), (0, -9.807, 0)),
    ((270, 0, 0), (0, -1.5708, 0), (0, -9.807, 0)),
    ((0, 30, 0), (0.5236, 0, 0), (0, -8.493, 4.903)),
    ((0, 0, 20), (0, 0, 0.34907), (-3.354, -9.215, 0)),
    ((90, 30, 20), (0.66454, 1.42511, -0.13705), (-2.905, -7.981, 4.903)),
]


@pytest.mark.parametrize("name", WITH_NORTH)
@pytest.mark.parametrize(("pose", "angle_axis", "force"), EXAMPLES, ids=str)
def test_the_examples_come_out_as_they_are_written(name, pose, angle_axis, force):
    mount = MOUNTS["x right, y forward, z up"]
    _, forces, fields = at_rest(pose, mount, 400)
    accel = np.tile(np.array(force) @ mount, (400, 1))
    np.testing.assert_allclose(accel * 9.81 / 9.807, forces, atol=2e-3)
    q = make_filter(name, PERIOD_S).update(np.zeros((400, 3)), accel, fields)
    found = frames.to_angle_axis(frames.world_from_camera(q[-1], mount))
    np.testing.assert_allclose(found, angle_axis, atol=2e-3)


@pytest.mark.parametrize("name", WITH_NORTH)
def test_facing_south_is_half_a_turn_whichever_way_round(name):
    mount = MOUNTS["x right, y forward, z up"]
    q = make_filter(name, PERIOD_S).update(*at_rest((180, 0, 0), mount, 400))
    found = frames.to_angle_axis(frames.world_from_camera(q[-1], mount))
    np.testing.assert_allclose(np.abs(found), [0, np.pi, 0], atol=2e-3)


@pytest.mark.parametrize("name", WITH_NORTH)
def test_a_turn_clockwise_on_the_map_raises_the_heading(name):
    mount = MOUNTS["x right, y forward, z up"]
    headings = np.linspace(20, 80, 400)  # 30 degrees a second
    rows = [at_rest((heading, 10, -5), mount, 1) for heading in headings]
    force, field = (np.concatenate([row[k] for row in rows]) for k in (1, 2))
    gyro = np.tile(mount.T @ world_from_camera(0, 10, -5).T @ [0, radians(60) / 2, 0], (400, 1))
    q = make_filter(name, PERIOD_S).update(gyro, force, field)
    assert degrees_off(q[:200], (headings[199], 10, -5), mount) < 1
    assert degrees_off(q, (80, 10, -5), mount) < 1


def test_six_axes_take_no_notice_of_the_field():
    mount = MOUNTS["camera axes"]
    gyro, force, field = at_rest((90, 10, 0), mount, 400)
    tested = make_filter(SIX_AXES, PERIOD_S), make_filter(SIX_AXES, PERIOD_S)
    q = tested[0].update(gyro, force, field)
    np.testing.assert_array_equal(q, tested[1].update(gyro, force, np.zeros_like(field)))


def test_looking_ahead_bridges_what_is_missing_of_the_field_and_of_the_force():
    mount = MOUNTS["camera axes"]
    gyro, force, field = at_rest((200, 10, 5), mount, 6000)
    field[:300] = field[2000:3500] = field[-1:] = 0
    force[1000:1010] = 0
    q = make_filter(OFFLINE, PERIOD_S).update(gyro, force, field)
    for row in (1, 200, 1005, 2500, 6000):
        assert degrees_off(q[:row], (200, 10, 5), mount) < 0.1


def test_vqf_keeps_the_gyro_bias_over_a_restart():
    mount = MOUNTS["camera axes"]
    gyro, force, field = at_rest((10, 0, 0), mount, 4000)
    biased = gyro + np.radians([0.5, -0.8, 1.0])
    nothing = np.zeros_like(field)
    tested = make_filter("vqf", PERIOD_S)
    tested.update(biased, force, nothing)
    tested.restart()
    # One second, before a rest can be noticed anew: 1 deg/s of bias would show as 1 degree.
    q = tested.update(biased[:200], force[:200], nothing[:200])
    turn = frames.to_angle_axis(frames.multiply(frames.conjugate(q[0]), q[-1]))
    assert np.degrees(np.linalg.norm(turn)) < 0.05


@pytest.mark.parametrize("name", filters())
def test_how_the_samples_are_cut_into_blocks_makes_no_difference(name):
    rng = np.random.default_rng(5)
    gyro, force, field = at_rest((30, 10, 5), MOUNTS["camera axes"], 600)
    gyro = gyro + rng.normal(0, 0.5, gyro.shape)
    field = np.where(np.arange(600)[:, None] % 4 == 0, field, 0)
    whole = make_filter(name, PERIOD_S).update(gyro, force, field)
    tested = make_filter(name, PERIOD_S)
    cuts = np.split(np.arange(600), np.sort(rng.choice(600, 40)))
    parts = [tested.update(gyro[rows], force[rows], field[rows]) for rows in cuts]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_vqf_is_the_first_choice():
    assert filters()[0] == "vqf"
    assert make_filter("vqf", PERIOD_S).name == "vqf"


def test_without_vqf_there_is_madgwick_and_a_warning(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "vqf", None)
    monkeypatch.delitem(sys.modules, "fusion.vqf_filter", raising=False)
    with caplog.at_level(logging.WARNING):
        assert make_filter("vqf", PERIOD_S).name == "madgwick"
    assert "vqf is not installed" in caplog.text


def test_without_vqf_nothing_looks_ahead_either(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "vqf", None)
    monkeypatch.delitem(sys.modules, "fusion.vqf_filter", raising=False)
    assert not make_filter(OFFLINE, PERIOD_S).acausal
    assert "falls back" in caplog.text
    with pytest.raises(UsageError, match=r"cammcorder\[vqf\]"):
        make_filter(SIX_AXES, PERIOD_S)


def test_a_filter_whose_package_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imufusion", None)
    monkeypatch.delitem(sys.modules, "fusion.imufusion_filter", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'cammcorder\[imufusion\]'"):
        make_filter("imufusion", PERIOD_S)


def test_an_unknown_filter_is_refused_with_the_known_names():
    with pytest.raises(UsageError, match="vqf, madgwick"):
        make_filter("kalman", PERIOD_S)


@pytest.mark.parametrize("period", [0, -1, float("nan"), float("inf")])
def test_a_filter_needs_a_sample_period(period):
    with pytest.raises(UsageError, match="period"):
        make_filter("vqf", period)
