"""`cammcorder record` as a user meets it: errors in one line, interruptions, what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from muxer import reader

WALK = ("--sim", "walk", "--speed", "max")


def assert_one_line(done, code: int, *words: str) -> None:
    assert done.returncode == code
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("cammcorder: ")
    for word in words:
        assert word in lines[0]


def test_it_says_what_it_made(run, tmp_path):
    done = run("record", *WALK, "--duration", "1", "-o", tmp_path / "out.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1.0 s, 30 frames, nothing lost" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.truth.npz"]


def test_an_output_that_exists_is_kept(run, tmp_path):
    taken = tmp_path / "out.mp4"
    taken.write_text("mine")
    done = run("record", *WALK, "--duration", "1", "-o", taken)
    assert_one_line(done, 2, "exists", "--force")
    assert taken.read_text() == "mine"


def test_force_replaces_it_once_the_new_one_is_there(run, tmp_path):
    taken = tmp_path / "out.mp4"
    taken.write_text("mine")
    assert run("record", *WALK, "--duration", "1", "-o", taken, "--force").returncode == 0
    with reader.open(taken) as clip:
        assert len(clip.video.table) == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sim", "wlak", "-o", "x.mp4"], ["wlak", "walk"]),
        (["--sim", "missing/scene.toml", "-o", "x.mp4"], ["missing/scene.toml"]),
        (["-o", "x.mp4"], ["--sim", "--replay", "--i2c"]),
        (["--sim", "walk", "--replay", "x.log", "-o", "x.mp4"], ["--sim"]),
        (["--replay", "nothing.log", "-o", "x.mp4"], ["nothing.log"]),
        (["--replay-video", "nothing.mp4", "-o", "x.mp4"], ["nothing.mp4"]),
        (["--replay-video", "x.mp4", "--replay-exact", "-o", "x.mp4"], ["--replay LOG"]),
        (["--replay", ".", "-o", "x.mp4"], ["no tables"]),
        (["--sim", "walk", "-o", "no/such/folder/x.mp4"], ["no/such/folder", "make it"]),
        (["--sim", "walk", "-o", "."], ["is a folder"]),
        (["--sim", "walk", "--filter", "kalmann", "-o", "x.mp4"], ["kalmann", "vqf"]),
        (["--sim", "walk", "--timescale", "90", "-o", "x.mp4"], ["1,000", "90"]),
        (["--i2c", "1", "--speed", "2", "-o", "x.mp4"], ["--speed"]),
        (["--i2c", "1", "--mount", "up", "-o", "x.mp4"], ["--mount"]),
        (["--i2c", "1", "--mount", "up,up,up", "-o", "x.mp4"], ["imu.mount", "right angles"]),
        (["--gps", "/dev/null", "--mount", "up,up,up", "-o", "x.mp4"], ["--mount", "--i2c N"]),
        (["--i2c", "1", "--imu-rate", "-5", "-o", "x.mp4"], ["imu.rate_hz", "greater than 0"]),
        (["--gps", "/dev/null", "--imu", "MPU-9250", "-o", "x.mp4"], ["MPU-9250", "--i2c N"]),
        (["--i2c", "1", "--pps", "/dev/pps0", "-o", "x.mp4"], ["--pps", "--gps PORT"]),
        (["--i2c", "1", "--gps-model", "sea", "-o", "x.mp4"], ["--gps-model", "--gps PORT"]),
        (
            ["--gps", "/x", "--gps-model", "car", "-o", "x.mp4"],
            ["gps.model", "'automotive'", "car"],
        ),
        (
            ["--gps", "/x", "--gps-model", "sea", "--gps-rate", "0", "-o", "x.mp4"],
            ["'sea'", "set up"],
        ),
        (["--gps", "gpsd://here", "--pps", "/dev/pps0", "-o", "x.mp4"], ["gpsd", "by itself"]),
        (["--gps", "gpsd://here:many", "-o", "x.mp4"], ["gpsd://HOST:PORT"]),
    ],
)
def test_a_request_that_cannot_be_carried_out(run, tmp_path, arguments, words):
    assert_one_line(run("record", *arguments, cwd=tmp_path), 2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--i2c", "97"], ["/dev/i2c-97"]),
        (["--gps", "/dev/ttyNowhere"], ["/dev/ttyNowhere", "plugged in"]),
        (["--gps", "gpsd://127.0.0.1:1"], ["no gpsd answers at 127.0.0.1:1"]),
    ],
)
def test_hardware_that_is_not_there(run, tmp_path, arguments, words):
    assert_one_line(run("record", *arguments, "-o", "x.mp4", cwd=tmp_path), 1, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option",
    [
        ["--duration", "0"],
        ["--duration", "soon"],
        ["--speed", "-1"],
        ["--gps-latency", "200"],
        ["--gps-latency", "250..180"],
        ["--gps-rate", "7"],
    ],
    ids=" ".join,
)
def test_numbers_that_are_none(run, tmp_path, option):
    done = run("record", "--sim", "walk", "-o", "x.mp4", *option, cwd=tmp_path)
    assert done.returncode == 2
    assert option[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_film_that_is_none(run, tmp_path):
    (tmp_path / "notes.txt").write_text("no film")
    done = run("record", "--replay-video", "notes.txt", "-o", "x.mp4", cwd=tmp_path)
    assert_one_line(done, 1, "notes.txt")


def test_a_folder_that_cannot_be_written_to(run):
    # Where not even root can make a file.
    assert_one_line(run("record", *WALK, "-o", "/proc/x.mp4"), 2, "cannot write", "/proc")


def start_recording(folder: Path) -> subprocess.Popen:
    """A recording in real time that has its first fragments on the disk."""
    command = [sys.executable, "-m", "cammcorder", "record", "--sim", "walk", "-o", "out.mp4"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    recording = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=-1,
        stderr=-1,
        text=True,
        # A shell that starts the tests in the background has them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    unfinished = folder / "out.unfinished.mp4"
    while not (unfinished.exists() and unfinished.stat().st_size > 300_000):
        assert recording.poll() is None, recording.communicate()
        time.sleep(0.05)
    return recording


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_finishes_the_clip(tmp_path, how):
    recording = start_recording(tmp_path)
    recording.send_signal(how)
    out, err = recording.communicate(timeout=120)
    assert (recording.returncode, err) == (0, "")
    assert "nothing lost" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.truth.npz"]
    with reader.open(tmp_path / "out.mp4") as clip:
        assert not clip.fragmented
        assert len(clip.video.table) >= 30
        assert clip.gyro.t_ns[-1] <= clip.duration_ns


def test_a_kill_leaves_an_unfinished_clip_that_opens(run, tmp_path):
    recording = start_recording(tmp_path)
    recording.kill()
    recording.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name == "out.unfinished.mp4"
    with reader.open(left) as clip:
        assert clip.fragmented
        assert len(clip.video.table) >= 30
        assert len(clip.gyro) == len(clip.acceleration) > 200
    done = run("info", left)
    assert done.returncode == 0
    assert "unfinished" in done.stdout


def test_help_needs_nothing_heavy():
    code = (
        "import sys, cammcorder.__main__ as m; m._parser().format_help();"
        "print([name for name in ('numpy', 'av', 'rich', 'serial', 'vqf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_verb_has_help(run):
    for verb in ("record", "extract", "info", "check", "report", "demo", "sim"):
        done = run(verb, "--help")
        assert done.returncode == 0
        assert verb in done.stdout
    assert run("--version").stdout.startswith("cammcorder ")
    assert run().returncode == 2


def test_the_python_api(walk):
    import cammcorder

    with cammcorder.open(walk.clip) as clip:
        assert clip.gyro.t_ns.dtype == "int64"
        assert clip.gyro.data.shape == (len(clip.gyro.t_ns), 3)
        assert clip.gps.data["latitude"].shape == clip.gps.t_ns.shape
        assert len(clip.position) == len(clip.min_gps) == 0
        assert clip.position.data.shape == (0, 3)
    assert set(cammcorder.__all__) <= set(dir(cammcorder))
