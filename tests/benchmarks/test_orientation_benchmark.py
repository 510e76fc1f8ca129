"""The benchmark of orientation, on a trial whose truth is known by construction."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import orientation as benchmark
from camm import frames

ROOT = Path(__file__).parents[2]
RATE = 200.0
LATE_S = 0.006


def trial(path, seconds=60, late_s=0.0):
    """A sensor that rests for ten seconds, then turns about all axes; it tells `late_s` late."""
    random = np.random.default_rng(2)
    s = np.arange(round(seconds * RATE)) / RATE

    def pose(at):
        at = np.maximum(at - 10, 0)
        angles = [0.9 * np.sin(at), 0.6 * np.sin(0.7 * at), 1.5 * np.sin(0.4 * at)]
        x, y, z = (
            frames.from_angle_axis(angle[:, None] * axis)
            for angle, axis in zip(angles, np.eye(3), strict=True)
        )
        return frames.multiply(z, frames.multiply(y, x))

    told = s - late_s
    h = 1e-3
    step = frames.multiply(frames.conjugate(pose(told - h)), pose(told + h))
    down = frames.conjugate(pose(told))
    noise = random.normal(0, [[0.002] * 3 + [0.05] * 3 + [0.2] * 3], (len(s), 9))
    np.savez(
        path,
        gyr=frames.to_angle_axis(step) / (2 * h) + noise[:, :3],
        acc=frames.rotate(down, [0, 0, 9.81]) + noise[:, 3:6],
        mag=frames.rotate(down, [0, 20, -40]) + noise[:, 6:],
        quat=pose(s),
        movement=s > 10,
        rate=RATE,
    )
    return path


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return benchmark.Trial.load(trial(tmp_path_factory.mktemp("trials") / "a.npz"))


@pytest.mark.parametrize("name", ["vqf", "vqf-offline"])
def test_what_is_right_is_found_to_be(loaded, name):
    found = benchmark.measure(loaded, name)
    assert found["total"] < 0.4
    assert np.hypot(found["heading"], found["inclination"]) == pytest.approx(
        found["total"], rel=0.02
    )
    assert 0 < found["us_per_sample"] < 1000


def test_what_is_wrong_is_found_too(loaded):
    turned = frames.multiply(frames.from_angle_axis([0, 0, np.radians(5)]), loaded.truth)
    found = benchmark.measure(benchmark.replace(loaded, truth=turned), "vqf-offline")
    assert found["heading"] == pytest.approx(5, abs=0.3)
    tilted = frames.multiply(frames.from_angle_axis([np.radians(5), 0, 0]), loaded.truth)
    found = benchmark.measure(benchmark.replace(loaded, truth=tilted), "vqf-offline")
    assert found["inclination"] == pytest.approx(5, abs=0.3)


def test_stamps_that_are_late_can_be_put_right(tmp_path):
    late = benchmark.Trial.load(trial(tmp_path / "late.npz", late_s=LATE_S))
    as_told = benchmark.measure(late, "vqf-offline")
    right = benchmark.measure(late, "vqf-offline", late_ms=LATE_S * 1e3)
    assert right["total"] < 0.3
    assert as_told["total"] > right["total"] + 0.1


@pytest.mark.parametrize("name", ["vqf", "vqf-offline"])
def test_lost_samples_and_a_clock_that_is_off_cost_little(loaded, name):
    whole = benchmark.measure(loaded, name)["total"]
    assert benchmark.measure(loaded, name, lose=0.01)["total"] < whole + 0.1
    assert benchmark.measure(loaded, name, clock=1.01)["total"] < whole + 0.2


def test_stamps_of_a_chip_that_is_too_fast_are_those_of_its_samples(loaded):
    t_ns, period_ns = benchmark.stamps(loaded, 1.01, np.random.default_rng(1))
    error_ms = (t_ns - loaded.t_ns)[round(10 * RATE) :] / 1e6
    assert np.abs(error_ms).max() < 1
    assert period_ns == pytest.approx(1e9 / RATE, rel=0.03)
    assert len(t_ns) == len(loaded.t_ns)


def test_a_cold_start_is_in_the_midst_of_the_motion(loaded):
    cold = loaded.from_the_midst()
    assert cold.moves.all()
    assert len(cold.t_ns) == len(loaded.t_ns) - round(15 * RATE) - 1
    assert benchmark.measure(cold, "vqf-offline")["total"] < 1


def test_it_prints_a_line_for_each_and_the_means_last(tmp_path):
    for name in ("a", "b"):
        trial(tmp_path / f"{name}.npz", seconds=20)
    command = [sys.executable, "-m", "benchmarks.orientation", str(tmp_path), "--lose", "0.02"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["trial"], row["mode"]) for row in rows] == [
        *((trial, mode) for trial in ("a", "b", "mean") for mode in ("online", "offline"))
    ]
    for row in rows:
        assert {"total", "heading", "inclination", "us_per_sample"} <= row.keys()
    assert rows[4]["total"] == pytest.approx((rows[0]["total"] + rows[2]["total"]) / 2, abs=0.001)


def test_a_folder_without_trials_is_refused(tmp_path):
    command = [sys.executable, "-m", "benchmarks.orientation", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "holds no trials" in done.stderr
