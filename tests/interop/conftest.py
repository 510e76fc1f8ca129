"""Other people's readers. In CI all must be there; elsewhere a missing one skips its test."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest

from camm import FIELD_NAMES, PacketType, is_vector
from muxer import reader


@pytest.fixture(scope="session")
def program():
    """Run a program of the system that judges our files; its standard output."""

    def run(name: str, *arguments: object) -> str:
        if shutil.which(name) is None:
            reason = f"{name} is not installed: .ci/run says which packages have it"
            if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
                pytest.fail(reason)
            pytest.skip(reason)
        command = [name, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.fixture(scope="session", params=["walk", "replay"])
def clip(request):
    """Our own reading of a simulated and of a replayed recording."""
    found = request.getfixturevalue(request.param)
    with reader.open(getattr(found, "clip", found)) as opened:
        yield opened


@pytest.fixture(scope="session")
def ours(clip):
    """Times in seconds and values, as rows of numbers, of one packet type."""

    def columns(kind: PacketType) -> tuple[np.ndarray, np.ndarray]:
        samples = clip.samples(kind)
        if is_vector(kind):
            return samples.t_ns / 1e9, samples.data
        values = np.array([samples.data[name] for name in FIELD_NAMES[kind]], np.float64).T
        return samples.t_ns / 1e9, values.reshape(len(samples), len(FIELD_NAMES[kind]))

    return columns
