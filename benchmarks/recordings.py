"""Recordings that are measured from inside: `python -m benchmarks.recordings NAME` makes one.

They come as a rig delivers them, but as fast as they are taken: ten deliveries a second, each with
three pictures and what was told of their shutter, a block of orientation, of angular rate and of
acceleration, and a fix. A fragment of a second at 1 kHz so holds 3,040 records of five types and 30
pictures.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec
from unittest.mock import patch

import numpy as np

from benchmarks.process import CACHE
from camm import PACKET_SIZES, Packet, PacketType, Samples, StreamFormat, empty_values
from muxer import moov_first, reader
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

SECOND = 1_000_000_000
HZ = 10
"""Deliveries and fixes a second."""
FRAMES = 3
"""Pictures in a delivery."""
EXPOSURE_NS, SKEW_NS = 10_000_000, 20_000_000
ABOUT = MovieDescription(datetime(2026, 1, 1, tzinfo=UTC), "cammcorder", "benchmark", {})
VIDEO = StreamFormat("video", "mjpeg", 90_000, width=64, height=48)
BLOCK = 1 << 16
MOTION = (PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.ACCELERATION)

P = ParamSpec("P")
_pwrite = os.pwrite


@dataclass(frozen=True, slots=True)
class Plan:
    """What is recorded: orientation, gyroscope and accelerometer at one rate, fixes, and video.

    `picture`  bytes of each frame; nobody will look at them
    `holes`    whether blocks of zeros, which is to say pictures, become holes in the file
    `copy`     whether the `moov` is brought to the front by a copy, as if nothing else could
    """

    seconds: int
    motion_hz: int
    picture: int = 100
    holes: bool = False
    copy: bool = False


PLANS = {
    "10 min at 200 Hz": Plan(600, 200),
    "10 min at 1 kHz": Plan(600, 1000),
    "60 min at 1 kHz": Plan(3600, 1000),
    "1 GiB of video": Plan(600, 200, (1 << 30) // 18_000),
    "4 GiB of video": Plan(1800, 200, (4 << 30) // 54_000),
    "4 GiB of holes": Plan(1800, 200, (4 << 30) // 54_000, holes=True),
    "4 GiB of holes, copied": Plan(1800, 200, (4 << 30) // 54_000, holes=True, copy=True),
}


@dataclass(slots=True)
class Meter:
    """Counts bytes that are written, and the time for which the disk is waited for."""

    written: int = 0
    syncs: int = 0
    sync_s: float = 0.0

    def counting(self, function: Callable[P, int]) -> Callable[P, int]:
        """A function that returns how much it has written, counted."""

        def counted(*args: P.args, **kwargs: P.kwargs) -> int:
            count = function(*args, **kwargs)
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


def with_holes(fd: int, data: bytes | memoryview, offset: int) -> int:
    """As `os.pwrite`, but blocks of zeros behind the end of the file are not written."""
    view = memoryview(data)
    os.ftruncate(fd, max(os.fstat(fd).st_size, offset + len(view)))
    for at in range(0, len(view), BLOCK):
        if np.frombuffer(view[at : at + BLOCK], np.uint8).any():
            _pwrite(fd, view[at : at + BLOCK], offset + at)
    return len(view)


def cannot_insert(fd: int, offset: int, length: int) -> None:
    """A file system without `FALLOC_FL_INSERT_RANGE`."""
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def record(plan: Plan, path: Path) -> dict[str, Any]:
    """Make a recording and say what it took.

    `sync_s` is the part of the time that went to fdatasync before the end, `finish_s` the time from
    the last delivery until the file is whole, and `moov` where that has put the `moov`.
    """
    meter = Meter()
    with ExitStack() as patches:
        for name, instead in (
            ("pwrite", meter.counting(with_holes if plan.holes else _pwrite)),
            ("copy_file_range", meter.counting(os.copy_file_range)),
            ("fdatasync", meter.timing(os.fdatasync)),
        ):
            patches.enter_context(patch.object(os, name, instead))
        if plan.copy:
            patches.enter_context(patch.object(moov_first, "insert_range", cannot_insert))
        begin = time.perf_counter()
        recording = Recording(path, [VIDEO], ABOUT, sources=["rig"])
        deliver(plan, recording)
        delivered = time.perf_counter()
        sync_s = meter.sync_s
        statistics = recording.finish(plan.seconds * SECOND, ABOUT, copy=plan.copy)
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
        "moov": moov_place(path, copied=plan.copy),
        "payload_mb": payload / 1e6,
        "written_per_payload": meter.written / payload,
        "size_per_payload": path.stat().st_size / payload,
    }


def moov_place(path: Path, *, copied: bool) -> str:
    """Where the `moov` is, and how it came there."""
    with reader.open(path) as clip:
        if not clip.moov_first:
            return "at the end: no room can be made on this file system"
    return "copied" if copied else "room made"


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
        recording.add_packets(
            [frame(picture, number) for number in range(block * FRAMES, (block + 1) * FRAMES)]
        )
        recording.add_samples("rig", samples, at_ns + SECOND // HZ)
        recording.advance(at_ns + SECOND // HZ)


def frame(picture: bytes, number: int) -> Packet:
    """A picture of 30 a second, a key frame every second, and when its shutter was open."""
    at_ns = number * SECOND // (HZ * FRAMES)
    return Packet(
        0,
        picture,
        at_ns,
        at_ns,
        SECOND // (HZ * FRAMES),
        number % (HZ * FRAMES) == 0,
        exposure_start_ns=at_ns - EXPOSURE_NS // 2,
        exposure_ns=EXPOSURE_NS,
        skew_ns=SKEW_NS,
    )


def main(name: str) -> None:
    """Make a recording on the disk that holds this folder, and delete it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        print(json.dumps(record(PLANS[name], Path(folder) / "clip.mp4")))


if __name__ == "__main__":
    main(*sys.argv[1:])
