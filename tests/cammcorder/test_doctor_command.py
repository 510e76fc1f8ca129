"""`cammcorder doctor` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cammcorder.commands import doctor

FILM = Path(__file__).parents[1] / "data/video/sample-5s.mp4"


def test_a_simulated_rig_is_well(run):
    done = run("doctor", "--sim", "walk")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any("0x69" in line and "ICM-20948" in line for line in lines)
    [imu] = [line for line in lines if line.startswith("imu ")]
    assert imu.startswith("imu ICM-20948 on simulated bus at 0x69: 227.")
    assert " of 225 Hz, period steady to " in imu
    [gps] = [line for line in lines if line.startswith("gps ")]
    assert "NEO-M9N at simulated receiver at 115200 baud" in gps
    assert lines[-1] == "all is well"


def test_json_is_one_object_with_what_is_documented(run):
    done = run("doctor", "--sim", "walk", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts.keys() == {"well", "host", "buses", "cameras", "rigs", "findings"}
    assert (facts["well"], facts["host"], facts["findings"]) == (True, None, [])
    assert facts["buses"][0]["answers"] == [{"address": 0x69, "name": "ICM-20948", "held": False}]
    [rig] = facts["rigs"]
    assert rig.keys() == {"imu", "mag", "gps", "camera"}
    assert rig["imu"]["nominal_hz"] == 225
    assert rig["gps"]["satellites"] >= 4
    assert rig["camera"]["rate_hz"] == pytest.approx(30, abs=0.1)
    assert rig["camera"]["lost"] == 0
    assert rig["camera"]["exposure_s"] > 0


def test_what_is_wrong_is_said_and_is_the_exit_code(run):
    done = run("doctor", "--i2c", "97")
    assert done.returncode == 1
    assert "error: there is no /dev/i2c-97: switch I2C on" in done.stdout
    done = run("doctor", "--gps", "/dev/ttyNowhere", "--json")
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert not facts["well"]
    [missing] = [f for f in facts["findings"] if "/dev/ttyNowhere" in f["what"]]
    assert missing["severity"] == "error"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sim", "wlak"], ["wlak"]),
        (["--sim", "walk", "--i2c", "1"], ["--sim", "--i2c"]),
        (["--imu", "MPU-9250"], ["--i2c N"]),
    ],
)
def test_a_request_that_contradicts_itself(run, arguments, words):
    done = run("doctor", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert all(word in line for word in words)


def test_a_camera_is_read_too(run):
    done = run("doctor", "--camera", str(FILM))
    assert done.returncode == 0
    [line] = [line for line in done.stdout.splitlines() if line.startswith("camera ")]
    assert "video h264, audio aac" in line
    assert "of 30 pictures a second" in line
    assert "nothing told of its shutter" in line


def test_a_camera_that_is_not_there_is_an_error(run):
    done = run("doctor", "--camera", "/dev/video97")
    assert done.returncode == 1
    assert "error: camera: there is no /dev/video97: is the camera plugged in?" in done.stdout


def test_errors_come_before_warnings(capsys):
    from daemon.finding import error, warning

    doctor._print(None, [], [], [], [warning("second", "why"), error("first", "", "remedy")])
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == ["error: first: remedy", "warning: second (why)"]
