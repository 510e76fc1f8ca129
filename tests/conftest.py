"""What tests of several rooms share: the demo clip, recorded once for all of them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, and no opinion on how long they take on a busy machine.
settings.register_profile(
    "cammcorder",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("cammcorder")

DATA = Path(__file__).parent / "data"
FILM = DATA / "video/sample-5s.mp4"


@pytest.fixture(autouse=True)
def ordinary_priority():
    """SVT-AV1 puts the thread that opens it, if that is root's, before all others for good."""
    yield
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@dataclass(frozen=True)
class Walk:
    """Ten seconds of the built-in scenario, and what was true in it."""

    clip: Path
    truth: dict[str, np.ndarray]


def cammcorder(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "cammcorder", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, **options
    )


def record_once(folder: Path, name: str, arguments: Sequence[str | Path]) -> Path:
    """A clip that all workers of a test run share: the first to come records it."""
    clip = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not clip.exists():
            done = cammcorder("record", *arguments, "-o", clip)
            assert done.returncode == 0, done.stderr
    return clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory, request) -> Path:
    """A folder for clips, the same for all workers of this test run."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(request.config, "workerinput") else folder


@pytest.fixture(scope="session")
def walk(clips) -> Walk:
    clip = record_once(clips, "walk.mp4", ["--sim", "walk", "--duration", "10", "--speed", "max"])
    with np.load(clip.with_suffix(".truth.npz")) as truth:
        return Walk(clip, dict(truth))


@pytest.fixture(scope="session")
def replay(clips) -> Path:
    """A real receiver's log and a real film, with B-frames and audio."""
    return record_once(
        clips,
        "replay.mp4",
        ["--replay", DATA / "gps/ublox-neo-m8p.log", "--replay-video", FILM, "--speed", "max"],
    )


@pytest.fixture(scope="session")
def film() -> Path:
    """The film of that recording as it was before."""
    return FILM


@pytest.fixture(scope="session")
def run():
    """The command line as a function."""
    return cammcorder
