"""`cammcorder sim`: a simulated rig that another process films with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hw_sim.scenario import scenario_names
from muxer import reader

ROOT = Path(__file__).parents[2]


class Served:
    """A rig that is being served, and what it has said of itself."""

    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cammcorder", "sim", "serve", *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background has them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        self.about = self.process.stdout.readline()
        self.command = self.process.stdout.readline().split()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*arguments):
        started.append(Served(tmp_path, *arguments))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


def test_another_process_films_with_it(serve, run, tmp_path):
    """In real time, with the drivers of a real rig."""
    served = serve("walk", "--gps-link", "receiver")
    assert served.about == "cammcorder: walk, ICM-20948; end with Ctrl-C\n"
    assert served.command[:5] == [
        "record", "--i2c", f"unix:{tmp_path / 'walk.i2c'}", "--gps", "receiver",
    ]  # fmt: skip
    done = run(*served.command, "--duration", "3", "-o", "out.mp4", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    with reader.open(tmp_path / "out.mp4") as clip:
        imu = clip.metadata["sources"]["imu"]
        assert (imu["chip"], imu["bus"], imu["failures"]) == ("ICM-20948", served.command[2], 0)
        assert len(clip.gyro) == len(clip.acceleration) > 400
        assert len(clip.angle_axis) > 400
        assert len(clip.magnetic_field) > 100
        assert len(clip.gps) > 10
        # The walk: gravity, and the place.
        assert np.linalg.norm(clip.acceleration.data, axis=1).mean() == pytest.approx(9.8, abs=0.5)
        assert clip.acceleration.data[:, 1].mean() < -8
        assert clip.metadata["sources"]["gps"]["maker"] == "u-blox"
        assert clip.metadata["fusion"]["heading"] == "true north"
    assert served.end() == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4"]


def test_a_second_one_is_refused_and_a_killed_one_replaced(serve, run, tmp_path):
    socket = tmp_path / "bus"
    first = serve("walk", "--socket", socket)
    assert first.command[2] == f"unix:{socket}"
    done = run("sim", "serve", "walk", "--socket", socket)
    assert (done.returncode, done.stdout) == (2, "")
    assert "it is taken: name another" in done.stderr
    first.process.kill()
    first.process.wait()
    assert socket.is_socket()
    second = serve("walk", "--socket", socket)
    assert second.end(signal.SIGINT) == (0, "")
    assert not socket.exists()


def test_a_link_that_is_something_else_is_kept(run, tmp_path):
    (tmp_path / "mine").write_text("mine")
    done = run(
        "sim", "serve", "walk", "--socket", tmp_path / "bus", "--gps-link", tmp_path / "mine"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "exists: name another link" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_rig_that_is_not_served_is_one_line(run, tmp_path):
    done = run("record", "--i2c", f"unix:{tmp_path}/none", "-o", "x.mp4", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "nobody serves a bus at" in line
    assert "sim serve" in line


def test_the_scenarios_are_listed(run):
    done = run("sim", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == scenario_names()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["serve", "wlak"], "did you mean"), (["serve"], "SCENARIO"), ([], "ACTION")],
)
def test_what_cannot_be_served(run, arguments, words):
    done = run("sim", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
