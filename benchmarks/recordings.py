"""Recordings that are measured from inside: `python -m benchmarks.recordings NAME` makes one.

Samples come as a rig delivers them, ten blocks a second of each kind, as fast as they are taken.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.process import CACHE
from camm import PACKET_SIZES, Packet, PacketType, Samples, StreamFormat, empty_values
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

SECOND = 1_000_000_000
HZ = 10
"""Blocks, fixes and frames a second."""
ABOUT = MovieDescription(datetime(2026, 1, 1, tzinfo=UTC), "cammcorder", "benchmark", {})
VIDEO = StreamFormat("video", "mjpeg", 90_000, width=64, height=48)
MOTION = (PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.ACCELERATION)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is recorded: orientation, gyroscope and accelerometer at one rate, fixes, and video.

    `picture`  bytes of each frame; nobody will look at them
    """

    seconds: int
    motion_hz: int
    picture: int = 100


PLANS = {
    "10 min at 1 kHz": Plan(600, 1000),
    "60 min at 1 kHz": Plan(3600, 1000),
    "1 GiB of video": Plan(600, 200, (1 << 30) // 6000),
    "4 GiB of video": Plan(1800, 200, (4 << 30) // 18000),
}


@dataclass(slots=True)
class Meter:
    """Counts bytes that are written, and the time for which the disk is waited for."""

    written: int = 0
    syncs: int = 0
    sync_s: float = 0.0

    def counting(self, pwrite: Callable[..., int]) -> Callable[..., int]:
        """The function, counted."""

        def counted(fd: int, data: bytes, offset: int) -> int:
            count = pwrite(fd, data, offset)
            self.written += count
            return count

        return counted

    def timing(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        """The function, timed."""

        def timed(fd: int) -> None:
            begin = time.perf_counter()
            sync(fd)
            self.sync_s += time.perf_counter() - begin
            self.syncs += 1

        return timed


def record(plan: Plan, path: Path) -> dict[str, Any]:
    """Make a recording and say what it took.

    `sync_s` is the part of the time that went to fdatasync before the end, `finish_s` the time from
    the last delivery until the file is whole.
    """
    meter = Meter()
    with (
        patch.object(os, "pwrite", meter.counting(os.pwrite)),
        patch.object(os, "fdatasync", meter.timing(os.fdatasync)),
    ):
        begin = time.perf_counter()
        recording = Recording(path, [VIDEO], ABOUT, sources=["rig"])
        deliver(plan, recording)
        delivered = time.perf_counter()
        sync_s = meter.sync_s
        statistics = recording.finish(plan.seconds * SECOND, ABOUT)
        end = time.perf_counter()
    records = sum(statistics.written.values())
    payload = plan.picture * statistics.frames + sum(
        PACKET_SIZES[kind] * count for kind, count in statistics.written.items()
    )
    return {
        "records": records,
        "records_per_s": round(records / (end - begin)),
        "records_per_s_without_sync": round(records / (end - begin - meter.sync_s)),
        "sync_s": sync_s,
        "syncs": meter.syncs,
        "finish_s": end - delivered,
        "payload_mb": payload / 1e6,
        "written_per_payload": meter.written / payload,
        "size_per_payload": path.stat().st_size / payload,
    }


def deliver(plan: Plan, recording: Recording) -> None:
    """Hand over everything, and let every fragment be written that is due."""
    picture = bytes(plan.picture)
    rows = plan.motion_hz // HZ
    values = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    offsets = np.arange(rows) * (SECOND // plan.motion_hz)
    fix = empty_values(PacketType.GPS, 1)
    for block in range(plan.seconds * HZ):
        at_ns = block * SECOND // HZ
        samples = [Samples(kind, at_ns + offsets, values) for kind in MOTION]
        samples.append(Samples(PacketType.GPS, np.array([at_ns]), fix))
        recording.add_packets([Packet(0, picture, at_ns, at_ns, SECOND // HZ, block % HZ == 0)])
        recording.add_samples("rig", samples, at_ns + SECOND // HZ)
        recording.advance(at_ns + SECOND // HZ)


def main(name: str) -> None:
    """Make a recording on the disk that holds this folder, and delete it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        print(json.dumps(record(PLANS[name], Path(folder) / "clip.mp4")))


if __name__ == "__main__":
    main(*sys.argv[1:])
