"""Recordings that outgrow 32 bits: in bytes, in microseconds, in fragments."""

import os
import struct

import av
import numpy as np
import pytest

from muxer import reader
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.recording_file import METADATA_HEADER, MovieDescription, RecordingFile, TrackSpec

CAMM = b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"
TRACK = TrackSpec(1, Handler(b"meta", "Motion"), METADATA_HEADER, 1_000_000, CAMM)
ABOUT = MovieDescription(None, "maker", "model", {})


def fragment(first, times_us):
    """Gyro records that are numbered by their first value."""
    count = len(times_us)
    data = b"".join(struct.pack("<HH3f", 0, 2, first + n, 0, 0) for n in range(count))
    return [
        Run(
            1,
            data,
            np.full(count, 16),
            np.array(times_us),
            np.zeros(count, np.int64),
            1000,
            np.ones(count, np.bool_),
        )
    ]


def assert_holds(path, times_us):
    with reader.open(path) as clip:
        assert clip.gyro.t_ns.tolist() == [t_us * 1000 for t_us in times_us]
        assert clip.gyro.data[:, 0].tolist() == list(range(len(times_us)))
    with av.open(str(path)) as container:
        packets = [(p.pts, bytes(p)) for p in container.demux() if p.size]
    assert [pts for pts, _ in packets] == times_us
    assert [struct.unpack("<HH3f", data)[2] for _, data in packets] == list(range(len(times_us)))


def test_more_than_four_gigabytes(tmp_path):
    """A hole of five GiB between two fragments stands for pictures."""
    path = tmp_path / "long.mp4"
    file = RecordingFile(path, [TRACK], ABOUT)
    file.append(fragment(0, [0, 1000, 2000]))
    hole = struct.pack(">I4sQ", 1, b"free", 5 << 30)
    os.pwrite(file._fd, hole, file._end)
    file._end += 5 << 30
    file.append(fragment(3, [3000, 4000]))
    with reader.open(path) as clip:
        assert len(clip.gyro) == 5
    file.finalise(ABOUT)
    assert path.stat().st_size > 5 << 30
    assert_holds(path, [0, 1000, 2000, 3000, 4000])


def test_more_than_seventy_one_minutes(tmp_path):
    path = tmp_path / "long.mp4"
    file = RecordingFile(path, [TRACK], ABOUT)
    times = [n * 60_000_000 for n in range(200)]  # 3 h 20 min: over 2^33 microseconds
    for number, at in enumerate(times):
        file.append(fragment(number, [at]))
    file.finalise(ABOUT)
    assert_holds(path, times)
    with reader.open(path) as clip:
        assert clip.duration_ns == (times[-1] + 1000) * 1000


@pytest.mark.proof
def test_more_than_65536_fragments(tmp_path, monkeypatch):
    """Nine hours of half-second fragments."""
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)
    path = tmp_path / "long.mp4"
    file = RecordingFile(path, [TRACK], ABOUT)
    times = [n * 500_000 for n in range(66_000)]
    for number, at in enumerate(times):
        file.append(fragment(number, [at]))
    with reader.open(path) as clip:
        assert len(clip.gyro) == 66_000
    file.finalise(ABOUT)
    assert_holds(path, times)
