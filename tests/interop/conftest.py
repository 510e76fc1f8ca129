"""Other people's readers."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from camm import FIELD_NAMES, PacketType, is_vector
from muxer import reader

HERE = Path(__file__).parent


def missing(what: str) -> None:
    """In CI all must be there; elsewhere a missing one skips its test."""
    reason = f"{what} is not installed: .ci/run says where it comes from"
    if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def program():
    """Run a program of the system that judges our files; its standard output."""

    def run(name: str, *arguments: object) -> str:
        if shutil.which(name) is None:
            missing(name)
        command = [name, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


@dataclass
class Mp4boxTrack:
    """What mp4box.js says of a track; `samples` are presentation and decoding time and bytes."""

    codec: str
    timescale: int
    name: str
    samples: list[tuple[int, int, bytes]] = field(default_factory=list)


@pytest.fixture(scope="session")
def mp4box(program):
    """The tracks that mp4box.js finds in a file, and its complaints."""

    def read(path: object) -> tuple[list[Mp4boxTrack], set[str]]:
        if not (HERE / "node_modules/mp4box").is_dir():
            missing("mp4box.js")
        tracks: dict[int, Mp4boxTrack] = {}
        complaints = set()
        for line in program("node", HERE / "mp4box_dump.mjs", path).splitlines():
            match json.loads(line):
                case {"complaint": text}:
                    complaints.add(text)
                case {"track": number, **found}:
                    tracks[number] = Mp4boxTrack(**found)
                case {"of": number, "pts": pts, "dts": dts, "size": size, "data": data}:
                    content = base64.b64decode(data)
                    assert len(content) == size
                    tracks[number].samples.append((pts, dts, content))
        return list(tracks.values()), complaints

    return read


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
