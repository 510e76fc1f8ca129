"""telemetry-parser, which is how Gyroflow reads a clip: orientation, motion and GPS."""

import os

import numpy as np
import pytest

from camm import PacketType
from camm.frames import from_angle_axis

if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
    import telemetry_parser
else:  # it has no wheels for the newest Pythons
    telemetry_parser = pytest.importorskip("telemetry_parser")

NAMES = {
    PacketType.GYRO: "Gyroscope",
    PacketType.ACCELERATION: "Accelerometer",
    PacketType.MAGNETIC_FIELD: "Magnetometer",
}
MICROSECOND = 1.01e-6


@pytest.fixture(scope="module")
def telemetry(clip):
    parser = telemetry_parser.Parser(clip.path)
    assert parser.camera == "CAMM"
    (section,) = parser.telemetry()
    return section


@pytest.mark.parametrize("kind", NAMES)
def test_motion(telemetry, ours, kind):
    theirs = telemetry[NAMES[kind]]["Data"]
    t_s, values = ours(kind)
    assert len(theirs) == len(t_s)
    np.testing.assert_allclose([d["t"] for d in theirs], t_s, atol=MICROSECOND)
    parsed = [[d["x"], d["y"], d["z"]] for d in theirs]
    np.testing.assert_array_equal(np.array(parsed, np.float32).reshape(-1, 3), values)


def test_orientation(telemetry, ours):
    """It turns camera and world upside down (y and z point the other way) and counts in ms."""
    theirs = telemetry["Quaternion"]["Data"]
    t_s, values = ours(PacketType.ANGLE_AXIS)
    assert len(theirs) == len(t_s)
    if len(t_s):
        np.testing.assert_allclose([d["t"] / 1e3 for d in theirs], t_s, atol=MICROSECOND)
        parsed = np.array([[d["v"][axis] for axis in "wxyz"] for d in theirs])
        expected = from_angle_axis(values) * (1, 1, -1, -1)
        np.testing.assert_allclose(parsed, expected, atol=1e-6)


def test_gps(telemetry, ours):
    theirs = telemetry["GPS"]["Data"]
    _, values = ours(PacketType.GPS)
    assert len(theirs) == len(values)
    parsed = [[d["unix_timestamp"], d["lat"], d["lon"], d["altitude"]] for d in theirs]
    np.testing.assert_array_equal(parsed, values[:, [0, 2, 3, 4]])
    assert all(d["is_acquired"] for d in theirs)


def test_gyroflow_sees_motion_from_time_zero_on(walk):
    """Its normalised samples count from the first of them, which must be the first frame."""
    samples = telemetry_parser.Parser(str(walk.clip)).normalized_imu()
    from muxer import reader

    with reader.open(walk.clip) as clip:
        t_ms = clip.gyro.t_ns / 1e6
        assert t_ms[0] == 0
    np.testing.assert_allclose([s["timestamp_ms"] for s in samples], t_ms, atol=1.01e-3)
    assert all("gyro" in s and "accl" in s for s in samples)
