"""Sensors that contradict the orientations: the likely cause is told, and a sound clip has none."""

from datetime import UTC, datetime

import numpy as np
import pytest

from camm import PacketType, Samples
from muxer import reader
from muxer.check import check
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

RATE = 200
SECONDS = 20
UP = np.array([0.0, -1.0, 0.0])
FIELD = np.array([0.0, 42.0, 21.0])  # dips to the north
RULES = {
    "gyro_agrees_with_orientation",
    "gravity_agrees_with_orientation",
    "field_agrees_with_orientation",
}


def turned_about(axis, angle):
    """Rotation matrices about x, y or z."""
    cos, sin = np.cos(angle), np.sin(angle)
    turns = np.tile(np.eye(3), (len(angle), 1, 1))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turns[:, i, i], turns[:, i, j], turns[:, j, i], turns[:, j, j] = cos, -sin, sin, cos
    return turns


def rotation_vectors(turns):
    """Axis times angle of matrices whose angle is neither 0 nor a half turn."""
    angle = np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1))
    axis = np.stack(
        [
            turns[:, 2, 1] - turns[:, 1, 2],
            turns[:, 0, 2] - turns[:, 2, 0],
            turns[:, 1, 0] - turns[:, 0, 1],
        ],
        axis=1,
    )
    return axis * (angle / (2 * np.sin(angle)))[:, None]


class Turning:
    """Somebody looks about with a camera in the hand, on all three axes."""

    def __init__(self, tilt=1.0, looks_up=0.0):
        t = np.arange(-2, SECONDS * RATE + 2) / RATE
        yaw = 0.9 + 0.8 * np.sin(1.9 * t) + 0.2 * np.sin(7.1 * t)
        pitch = looks_up + tilt * (0.3 * np.sin(2.7 * t + 1) + 0.05 * np.sin(11 * t))
        roll = tilt * (0.25 * np.sin(3.3 * t + 2) + 0.04 * np.sin(9 * t))
        pose = turned_about(1, yaw) @ turned_about(0, pitch) @ turned_about(2, roll)
        steps = np.swapaxes(pose[:-1], 1, 2) @ pose[1:]
        rates = rotation_vectors(steps) * RATE
        noise = np.random.default_rng(4)
        self.pose = pose[2:-2]
        self.gyro = (rates[1:-2] + rates[2:-1]) / 2 + noise.normal(0, 0.003, (len(t) - 4, 3))
        self.gyro += (0.01, -0.02, 0.005)
        self.force = -self.in_camera(UP * -9.81) + noise.normal(0, 0.3, self.gyro.shape)
        self.field = self.in_camera(FIELD) + noise.normal(0, 0.5, self.gyro.shape)
        self.gyro_late_ns = 0

    def in_camera(self, vector):
        return np.einsum("nij,i->nj", self.pose, vector)

    def found(self, folder):
        """What the rules of agreement say: (rule, severity, message)."""
        path = folder / "turning.mp4"
        t_ns = np.arange(SECONDS * RATE) * (1_000_000_000 // RATE)
        blocks = [
            Samples(PacketType.ANGLE_AXIS, t_ns, rotation_vectors(self.pose)),
            Samples(PacketType.GYRO, t_ns + self.gyro_late_ns, self.gyro),
            Samples(PacketType.ACCELERATION, t_ns, self.force),
            Samples(PacketType.MAGNETIC_FIELD, t_ns, self.field),
        ]
        about = MovieDescription(datetime(2026, 6, 1, 12, tzinfo=UTC), "maker", "model", {})
        recording = Recording(path, [], about, sources=["all"], start_ns=0)
        recording.add_samples("all", blocks, None)
        recording.finish(SECONDS * 1_000_000_000, about)
        with reader.open(path) as clip:
            return [
                (each.rule, each.severity, each.message)
                for each in check(clip).findings
                if each.rule in RULES
            ]


def the_finding(turning, folder, rule):
    ((found, severity, message),) = turning.found(folder)
    assert found == rule
    return severity, message


def test_sensors_and_orientations_of_one_motion_agree(tmp_path):
    assert Turning().found(tmp_path) == []


def test_a_filter_that_learns_where_north_is_jumps_and_agrees_all_the_same(tmp_path):
    turning = Turning()
    north = turned_about(1, np.full(1, 2.5))[0]
    turning.pose[2000:] = north @ turning.pose[2000:]
    turning.field[2000:] = turning.in_camera(FIELD)[2000:]
    assert turning.found(tmp_path) == []


GYROS = {
    "swapped": ([0, 2, 1], (1, 1, 1), "gyro y and z look swapped"),
    "one negated": ([0, 1, 2], (1, -1, 1), "gyro y looks negated"),
    "two negated": ([0, 1, 2], (-1, 1, -1), "gyro x and z look negated"),
    "all negated": ([0, 1, 2], (-1, -1, -1), "gyro looks negated on all axes"),
    "turned": (
        [1, 2, 0],
        (1, 1, 1),
        "what should be x, y, z of gyro looks to be its z, x, y",
    ),
    "turned and negated": (
        [0, 2, 1],
        (1, 1, -1),
        "what should be x, y, z of gyro looks to be its x, -z, y",
    ),
}


@pytest.mark.parametrize("case", GYROS)
def test_axes_of_the_gyro_that_were_mixed_up_are_named(case, tmp_path):
    order, signs, message = GYROS[case]
    turning = Turning()
    turning.gyro = turning.gyro[:, order] * signs
    severity, told = the_finding(turning, tmp_path, "gyro_agrees_with_orientation")
    assert severity == "error"
    assert told.startswith(message)


@pytest.mark.parametrize("late_ms", [-40, 30, 120])
def test_a_gyro_that_comes_late_is_told_with_how_late(late_ms, tmp_path):
    turning = Turning()
    shift = late_ms * RATE // 1000
    turning.gyro = np.roll(turning.gyro, shift, axis=0)
    severity, told = the_finding(turning, tmp_path, "gyro_agrees_with_orientation")
    assert severity == "warning"
    side = "later" if late_ms > 0 else "earlier"
    said = float(told.split()[3])
    assert told == f"angular rates come {said:.0f} ms {side} than the orientations say"
    assert said == pytest.approx(abs(late_ms), abs=4)


def test_a_gyro_in_degrees_is_told_by_the_orientations(tmp_path):
    turning = Turning()
    turning.gyro = np.degrees(turning.gyro)
    severity, told = the_finding(turning, tmp_path, "gyro_agrees_with_orientation")
    assert severity == "error"
    assert told.endswith("times what the orientations turn by: they look like degrees")


def test_a_gyro_of_the_wrong_range_is_told_by_the_orientations(tmp_path):
    turning = Turning()
    turning.gyro *= 2
    severity, told = the_finding(turning, tmp_path, "gyro_agrees_with_orientation")
    assert severity == "warning"
    assert told.startswith("angular rates are 2.0")


def test_a_gyro_of_another_motion_is_told(tmp_path):
    turning = Turning()
    turning.gyro = turning.gyro[::-1].copy() * np.sin(np.arange(len(turning.gyro)) / 13)[:, None]
    _, told = the_finding(turning, tmp_path, "gyro_agrees_with_orientation")
    assert told.startswith("angular rates do not turn one orientation into the next")


def test_orientations_of_the_world_in_the_camera_are_told(tmp_path):
    turning = Turning(looks_up=0.7)
    turning.pose = np.swapaxes(turning.pose, 1, 2)
    found = {rule: told for rule, _, told in turning.found(tmp_path)}
    assert "type 0 looks like world to camera" in found["gyro_agrees_with_orientation"]
    assert "type 0 looks like world to camera" in found["gravity_agrees_with_orientation"]


def test_an_acceleration_that_points_along_gravity_is_told(tmp_path):
    turning = Turning()
    turning.force *= -1
    severity, told = the_finding(turning, tmp_path, "gravity_agrees_with_orientation")
    assert severity == "error"
    assert "acceleration looks negated" in told


def test_axes_of_the_acceleration_that_were_mixed_up_are_named(tmp_path):
    turning = Turning(tilt=2)
    turning.force = turning.force[:, [0, 2, 1]]
    severity, told = the_finding(turning, tmp_path, "gravity_agrees_with_orientation")
    assert severity == "error"
    assert told.endswith("acceleration y and z look swapped")


def test_a_world_with_another_axis_up_is_told(tmp_path):
    turning = Turning()
    enu_from_camm = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    turning.pose = enu_from_camm @ turning.pose
    found = {rule: (severity, told) for rule, severity, told in turning.found(tmp_path)}
    severity, told = found["gravity_agrees_with_orientation"]
    assert severity == "error"
    assert told.endswith("the world of type 0 looks to have its +Z axis up")
    assert "gyro_agrees_with_orientation" not in found


def test_a_mount_that_is_a_little_off_is_told_by_its_angle(tmp_path):
    turning = Turning()
    turning.force = turning.force @ turned_about(2, np.array([np.radians(25)]))[0]
    severity, told = the_finding(turning, tmp_path, "gravity_agrees_with_orientation")
    assert severity == "warning"
    assert told.startswith("gravity is 2")  # the yaw turns the error, and takes from its mean
    assert told.endswith("is the mount right?")


def test_axes_of_the_field_that_were_mixed_up_are_named(tmp_path):
    turning = Turning(tilt=2)
    turning.field = turning.field * (1, -1, -1)
    _, told = the_finding(turning, tmp_path, "field_agrees_with_orientation")
    assert told == "the field turns with the camera: magnetic_field y and z look negated"


def test_a_field_of_the_camera_itself_is_told(tmp_path):
    turning = Turning(tilt=2)
    turning.field = turning.field / 10 + (30, 5, -20)
    turning.field = (
        turning.field * np.where(np.arange(len(turning.field)) % 400 < 200, 1, -1)[:, None]
    )
    _, told = the_finding(turning, tmp_path, "field_agrees_with_orientation")
    assert told.endswith("its axes or its calibration are wrong")


def test_a_camera_at_rest_shows_nothing_of_its_axes(tmp_path):
    turning = Turning()
    turning.pose[:] = turning.pose[0]
    noise = np.random.default_rng(5)
    turning.gyro = noise.normal(0, 0.003, turning.gyro.shape)
    turning.force = turning.in_camera(UP * 9.81) + noise.normal(0, 0.05, turning.gyro.shape)
    turning.field = turning.in_camera(FIELD)
    assert turning.found(tmp_path) == []
