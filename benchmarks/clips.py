"""Clips to read, made by our own recorder: the same bytes on every machine.

`python -m benchmarks.clips NAME` makes one, unless it is there, and says where it is.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from benchmarks.process import CACHE
from camm import FIELD_NAMES, Packet, PacketType, Samples, StreamFormat, empty_values
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

SECOND = 1_000_000_000
GPS_HZ = 10
FRAMES_HZ = 10
ABOUT = MovieDescription(datetime(2026, 1, 1, tzinfo=UTC), "cammcorder", "benchmark", {})
_STEP_S = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """A clip: gyroscope and accelerometer at one rate, fixes, and a tiny video."""

    seconds: int
    motion_hz: int

    @property
    def records(self) -> int:
        """How many it holds."""
        return self.seconds * (2 * self.motion_hz + GPS_HZ)


PLANS = {
    "10 min": Plan(600, 200),  # 246,000 records
    "79 min": Plan(4740, 225),  # 2,180,400
}


def clip(name: str, folder: Path = CACHE) -> Path:
    """The clip of that name, made when it is asked for first."""
    path = folder / f"{name.replace(' ', '-')}.mp4"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as room:  # others may be at it, too
            record(PLANS[name], Path(room) / path.name).replace(path)
    return path


def record(plan: Plan, path: Path) -> Path:
    """Make a clip; its times tremble by a twentieth of a period, as those of real sensors do."""
    rng = np.random.default_rng(0)
    motion_ns = trembling(rng, plan.seconds, plan.motion_hz)
    blocks = [
        Samples(kind, motion_ns, rng.normal(mean, size=(len(motion_ns), 3)).astype(np.float32))
        for kind, mean in ((PacketType.GYRO, 0), (PacketType.ACCELERATION, (0, -9.81, 0)))
    ]
    blocks.append(fixes(rng, trembling(rng, plan.seconds, GPS_HZ)))
    stream, picture = tiny_video()
    recording = Recording(path, [stream], ABOUT, sources=["rig"])
    for start in range(0, plan.seconds, _STEP_S):
        end = min(start + _STEP_S, plan.seconds)
        recording.add_packets(
            [
                Packet(0, picture, n * SECOND // FRAMES_HZ, n * SECOND // FRAMES_HZ, SECOND // 10)
                for n in range(start * FRAMES_HZ, end * FRAMES_HZ)
            ]
        )
        edges = [np.searchsorted(block.t_ns, (start * SECOND, end * SECOND)) for block in blocks]
        due = [block[slice(*edge)] for block, edge in zip(blocks, edges, strict=True)]
        recording.add_samples("rig", due, end * SECOND)
        recording.advance(end * SECOND)
    recording.finish(plan.seconds * SECOND, ABOUT)
    return path


def trembling(rng: np.random.Generator, seconds: int, hz: int) -> npt.NDArray[np.int64]:
    """Times of a rate, the first at zero."""
    tremble = rng.uniform(-0.05, 0.05, seconds * hz)
    tremble[0] = 0
    t_ns: npt.NDArray[np.int64] = ((np.arange(seconds * hz) + tremble) * (SECOND / hz)).astype(
        np.int64
    )
    return t_ns


def fixes(rng: np.random.Generator, t_ns: npt.NDArray[np.int64]) -> Samples:
    """A walk."""
    values = empty_values(PacketType.GPS, len(t_ns))
    values["time_gps_epoch"] = 1_451_000_000 + t_ns / SECOND
    values["gps_fix_type"] = 3
    values["latitude"] = 52.5 + np.cumsum(rng.normal(0, 1e-6, len(t_ns)))
    values["longitude"] = 13.4 + np.cumsum(rng.normal(0, 1e-6, len(t_ns)))
    for name in FIELD_NAMES[PacketType.GPS][4:]:
        values[name] = rng.normal(size=len(t_ns))
    return Samples(PacketType.GPS, t_ns, values)


def tiny_video() -> tuple[StreamFormat, bytes]:
    """A stream of H.264 and the one picture, a key frame, of which it consists."""
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.framerate = Fraction(FRAMES_HZ)
    encoder.options = {"threads": "1", "tune": "zerolatency"}
    frame = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), "yuv420p")
    (packet,) = [*encoder.encode(frame), *encoder.encode(None)]
    # Annex B, its parameter sets in front of the picture
    return StreamFormat("video", "h264", 90_000, bytes(packet), width=64, height=48), bytes(packet)


if __name__ == "__main__":
    print(json.dumps({"clip": str(clip(sys.argv[1]))}))
