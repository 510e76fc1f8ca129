import dataclasses
import re
import typing
from pathlib import Path

import numpy as np
import pytest

from camm import UsageError
from camm.declared import DeclarationError, make
from hw_sim.scenario import (
    Fault,
    Mount,
    Route,
    Scenario,
    TrajectoryParameters,
    load_scenario,
    scenario_names,
)

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
        ("rate_hz = 10", "rate = 10", r"altered\.toml, line \d+: unknown key 'gps\.rate', did"),
        ("seed = 20948", "", "the key 'seed' is missing"),
        ("seed = 20948", "seed = true", "seed must be a whole number, found true"),
        ("baud = 115200", "baud = 9600.5", r"gps\.baud must be a whole number"),
        ("speed_m_s = 1.4", 'speed_m_s = "fast"', r"trajectory\.circle\.speed_m_s must be a num"),
        ("[181.0, 204.0, 241.0]", "[181.0, 204.0]", "latency_ms has too few items, number 3"),
        ("[31.0, 0.043, 70.0]", "[31.0, 0.043]", r"yaw_deg\[0\] has too few items, number 3"),
        ('"ubx"', '"rtcm"', "must be 'ubx', 'nmea' or 'both'"),
        ('"forward"', '"backward"', "no right-handed axes"),
        ('"forward"', '"sideways"', "found 'sideways'"),
        ("337Z", "337", "needs an offset from UTC"),
        ("width = 640", "width = 641", "camera.width must be a multiple of 2, found 641"),
        ("[place]", "[place", "cannot be read as TOML"),
    ],
)
def test_an_error_in_the_file_is_named(tmp_path, old, new, complaint):
    with pytest.raises(DeclarationError) as raised:
        load_scenario(altered(tmp_path, old, new))
    assert any(re.search(complaint, problem) for problem in raised.value.problems)


FAULT = """seed = 20948
[[fault]]
kind = "unplug"
part = "imu"
at_s = 5
for_s = 1.5
"""


def test_a_fault_has_its_place_and_time(tmp_path):
    (fault,) = load_scenario(altered(tmp_path, "[place]", f"{FAULT[13:]}[place]")).fault
    assert (fault.kind, fault.part, fault.at_s, fault.for_s) == ("unplug", "imu", 5.0, 1.5)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"unplug"', '"explode"', r"fault\[0\]\.kind must be 'unplug', 'nack'"),
        (
            'part = "imu"',
            "",
            r"unplug happens to part 'imu' or 'mag' or 'gps' or 'camera' or 'microphone', found ''",
        ),
        ('"imu"', '"disk"', "found 'disk'"),
        ("at_s = 5", "at_s = -1", r"at_s must be greater than or equal to 0"),
        ("for_s = 1.5", "until_s = 1.5", r"unknown key 'fault\[0\]\.until_s'"),
        ('"unplug"', '"stall"\n#', "needs an end"),
    ],
)
def test_an_error_in_a_fault_is_named(tmp_path, old, new, complaint):
    assert old in FAULT
    wrong = FAULT.replace(old, new)
    if "stall" in new:
        wrong = wrong.replace("for_s = 1.5", "")
    with pytest.raises(DeclarationError) as raised:
        load_scenario(altered(tmp_path, "[place]", f"{wrong[13:]}[place]"))
    assert any(re.search(complaint, problem) for problem in raised.value.problems)


WAYPOINTS = [[0.0, 0, 0, 5, 0], [9, 0, 0, 0, 2], [9, 9, 0, 3, 0]]


@pytest.mark.parametrize(
    ("waypoints", "complaint"),
    [
        (WAYPOINTS[:2], "at least 3 items"),
        ([*WAYPOINTS, [9, 9, 1, 2, 0]], "two waypoints are at"),
        ([*WAYPOINTS, [0, 0, 3, 2, 0]], "two waypoints are at"),
        ([*WAYPOINTS, [0, 9, 0, 0, 0], [0, 5, 0, 0, 0]], "nobody gets from"),
        ([*WAYPOINTS, [0, 9, 0, 4, 1]], "has no speed there"),
        ([*WAYPOINTS, [0, 9, 0, 4]], "number 5 is missing"),
    ],
)
def test_an_impossible_route_is_told(waypoints, complaint):
    with pytest.raises(UsageError, match=complaint):
        make(Route, {"waypoints": waypoints})


def test_a_trajectory_has_one_way():
    with pytest.raises(UsageError, match="needs one way, circle, route or random, found 0"):
        TrajectoryParameters()


def keys(kind):
    """Every key of a table and of those in it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield field.name
        hint = hints[field.name]
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                yield from keys(inner)


def test_every_key_is_explained():
    text = (Path(__file__).parents[2] / "docs" / "SIMULATOR.md").read_text()
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", text))))
    assert set(keys(Scenario)) - {"name"} - explained == set()


def test_every_fault_and_every_built_in_scenario_is_explained():
    text = (Path(__file__).parents[2] / "docs" / "SIMULATOR.md").read_text()
    kinds = typing.get_args(typing.get_type_hints(Fault)["kind"])
    assert [kind for kind in (*kinds, *scenario_names()) if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("name", scenario_names())
def test_a_built_in_scenario_says_what_it_is(name):
    about = load_scenario(name).about
    assert 20 < len(about) < 100
    assert about.endswith(".")


def test_a_mount_turns_imu_axes_into_camera_axes():
    matrix = Mount("right", "forward", "up").matrix()
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    matrix = Mount("down", "left", "forward").matrix()
    np.testing.assert_array_equal(matrix @ [1, 2, 3], [-2, 1, 3])
    matrix = Mount("up", "left", "backward").matrix()
    np.testing.assert_array_equal(matrix @ [1, 2, 3], [-2, -1, -3])
