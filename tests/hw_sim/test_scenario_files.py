import dataclasses
from pathlib import Path

import numpy as np
import pytest

from camm import UsageError
from hw_sim.scenario import Mount, load_scenario, scenario_names

WALK = Path(__file__).parents[2] / "hw_sim" / "scenarios" / "walk.toml"


def altered(tmp_path: Path, old: str, new: str) -> Path:
    text = WALK.read_text()
    assert old in text
    path = tmp_path / "altered.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_walk_is_built_in_and_says_what_its_file_says():
    assert "walk" in scenario_names()
    walk = load_scenario("walk")
    assert walk.name == "walk"
    assert walk.start.isoformat() == "2026-07-02T16:42:17.337000+00:00"
    assert walk.imu.address == 0x69
    assert walk.gps.latency_ms == (181.0, 204.0, 241.0)
    assert (walk.camera.width, walk.camera.height, walk.camera.fps) == (640, 360, 30)
    assert dataclasses.replace(load_scenario(WALK), name="walk") == walk


def test_a_wrong_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'walk'"):
        load_scenario("wakl")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(UsageError, match="there is no scenario file"):
        load_scenario(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("rate_hz = 10", "rate = 10", r"altered\.toml: unknown key 'gps\.rate', did you mean"),
        ("seed = 20948", "", "the key 'seed' is missing"),
        ("seed = 20948", "seed = true", "seed must be a whole number, found True"),
        ("baud = 115200", "baud = 9600.5", r"gps\.baud must be a whole number"),
        ("speed_m_s = 1.4", 'speed_m_s = "fast"', r"trajectory\.speed_m_s must be a number"),
        ("[181.0, 204.0, 241.0]", "[181.0, 204.0]", "must be a list of 3 numbers"),
        ("[31.0, 0.043, 70.0]", "[31.0, 0.043]", r"yaw_deg\[0\] must be a list of 3 numbers"),
        ('"ubx"', '"rtcm"', "must be 'ubx' or 'nmea' or 'both'"),
        ('"forward"', '"backward"', "no right-handed axes"),
        ('"forward"', '"sideways"', "found 'sideways'"),
        ("337Z", "337", "needs an offset from UTC"),
        ("width = 640", "width = 641", "must be even"),
        ("[place]", "[place", "cannot be read as TOML"),
    ],
)
def test_an_error_in_the_file_is_named(tmp_path, old, new, complaint):
    with pytest.raises(UsageError, match=complaint):
        load_scenario(altered(tmp_path, old, new))


def test_a_mount_turns_imu_axes_into_camera_axes():
    matrix = Mount("right", "forward", "up").matrix()
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    matrix = Mount("down", "left", "forward").matrix()
    np.testing.assert_array_equal(matrix @ [1, 2, 3], [-2, 1, 3])
    matrix = Mount("up", "left", "backward").matrix()
    np.testing.assert_array_equal(matrix @ [1, 2, 3], [-2, -1, -3])
