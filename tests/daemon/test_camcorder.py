"""A rig that is always on: clips on command, one after the other, whatever happens to the disk."""

import errno
import itertools
import os
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from camm import CammError, PacketType
from daemon.camcorder import Camcorder
from daemon.configuration import StorageSettings
from daemon.rig import simulated_rig
from daemon.shelf import Shelf
from muxer import reader

BOOT = "1f3a9c02"


class Running:
    """A camcorder in threads of its own, on simulated time."""

    def __init__(self, folder: Path, make=None, speed=20.0, **storage):
        self.shelf = Shelf(folder, BOOT)
        settings = StorageSettings(folder=str(folder), keep_free_mb=1, **storage)
        make = make or (lambda: simulated_rig("walk", speed))
        self.camcorder = Camcorder(make, self.shelf, settings, version="test")
        self.error = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.camcorder.run()
        except Exception as error:
            self.error = error

    def until(self, holds, seconds=30.0):
        """Wait until something is so, as of the camcorder's own status."""
        deadline = time.monotonic() + seconds
        while not holds(self.camcorder.status):
            assert time.monotonic() < deadline, self.camcorder.status
            assert self.thread.is_alive(), self.error
            time.sleep(0.005)
        return self.camcorder.status

    def close(self):
        self.camcorder.close()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def clips_of(running):
    return [clip.path for clip in running.shelf.clips()]


def frames_in(path):
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def test_it_records_when_it_is_told_to(tmp_path):
    with Running(tmp_path) as running:
        status = running.until(lambda s: s.state == "ready")
        assert status.flowing
        assert {source.name for source in status.sources} == {"imu", "mag", "gps", "camera"}
        running.camcorder.start()
        status = running.until(lambda s: s.clip is not None and s.clip.frames > 90)
        assert status.state == "recording"
        assert status.growing
        assert status.clip.name.endswith(".unfinished.mp4")
        running.camcorder.stop()
        status = running.until(lambda s: s.last_clip is not None)
        assert status.warnings == ()
    assert running.error is None
    [path] = clips_of(running)
    assert path.name == status.last_clip
    assert path.name.startswith("2026-07-02T16-4")
    assert path.name.endswith("Z.mp4")
    assert frames_in(path) > 90
    with reader.open(path) as clip:
        told = clip.metadata["sources"]
        assert told["imu"]["lost"] == 0
        assert told["gps"]["delivered"] < 200  # in the clip, not since the start
        assert clip.metadata["fusion"]["heading"] == "true north"


def test_segments_are_consecutive(tmp_path):
    with Running(tmp_path, segment_s=2.0) as running:
        running.until(lambda s: s.sources and s.sources[0].delivered > 1500)
        running.camcorder.start()
        running.until(lambda _: len(clips_of(running)) > 3)
        running.camcorder.stop()
        running.until(lambda s: s.state == "ready")
    paths = clips_of(running)
    ends, gyro = [], []
    for path in paths:
        with reader.open(path) as clip:
            zero = clip.metadata["movie"]["zero_monotonic_ns"]
            real = clip.gyro.t_ns > 0
            gyro.append(clip.gyro.t_ns[real] + zero)
            ends.append((zero, zero + clip.exposure.t_ns[-1]))
            assert clip.metadata["late"] == {}
    gaps = np.diff(np.concatenate(gyro))
    assert gaps.min() > 0.98 * np.median(gaps)
    assert gaps.max() < 1.02 * np.median(gaps)
    for (_, end), (zero, _) in itertools.pairwise(ends):
        assert 0 < zero - end < 45_000_000


def test_no_clip_is_finished_and_in_the_making_at_once(tmp_path, monkeypatch):
    """However long the disk takes between two segments."""
    new, going_on = Shelf.new, threading.Event()

    def slow(self, *arguments):
        if self.clips():
            going_on.wait(30)
        return new(self, *arguments)

    monkeypatch.setattr(Shelf, "new", slow)
    with Running(tmp_path, segment_s=1.0) as running:
        running.camcorder.start()
        running.until(lambda _: any(not clip.unfinished for clip in running.shelf.clips()))
        since_ns = time.monotonic_ns()
        status = running.until(lambda s: s.looked_ns > since_ns)
        going_on.set()
        assert status.clip.name.endswith(".unfinished.mp4")
        assert status.last_clip is None
        status = running.until(lambda s: s.last_clip is not None)
        assert status.clip.name != status.last_clip.replace(".mp4", ".unfinished.mp4")


def test_it_can_be_told_before_it_is_up(tmp_path):
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise CammError("no motion sensor on /dev/i2c-1")
        return simulated_rig("walk", 20.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.camcorder._RETRY_S", 0.05)
        with Running(tmp_path, make) as running:
            running.camcorder.start()
            running.until(lambda s: s.clip is not None)
    assert len(attempts) == 2
    [path] = clips_of(running)
    assert not path.name.endswith(".unfinished.mp4")


def test_closing_finishes_the_clip(tmp_path):
    with Running(tmp_path) as running:
        running.camcorder.start()
        running.until(lambda s: s.clip is not None)
    assert running.camcorder.status.state == "stopped"
    [path] = clips_of(running)
    assert frames_in(path) > 20


def test_a_wrong_filter_ends_it(tmp_path):
    running = Running.__new__(Running)
    running.shelf = Shelf(tmp_path, BOOT)
    camcorder = Camcorder(
        lambda: simulated_rig("walk", None),
        running.shelf,
        StorageSettings(),
        filter_name="kalmann",
        version="test",
    )
    with pytest.raises(CammError, match="kalmann"):
        camcorder.run()


def test_a_full_disk_halts_it_until_there_is_room(tmp_path, monkeypatch):
    room = [10**9]
    monkeypatch.setattr(Shelf, "free", lambda self: room[0])
    with Running(tmp_path, delete_oldest=False) as running:
        running.camcorder.start()
        running.until(lambda s: s.clip is not None and s.clip.frames > 60)
        room[0] = 10
        status = running.until(lambda s: s.state == "halted")
        assert "are to stay free" in " ".join(status.warnings)
        running.until(lambda s: s.missed > 30)
        room[0] = 10**9
        status = running.until(lambda s: s.state == "recording" and not s.warnings)
        assert status.missed > 30
    first, second = clips_of(running)
    assert frames_in(first) > 60
    assert frames_in(second) > 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_is_said_to_and_tried_again(tmp_path, monkeypatch, number):
    from muxer.recording_file import RecordingFile

    append, broken = RecordingFile.append, []

    def fails(self, runs):
        if broken:
            raise OSError(number, os.strerror(number))
        append(self, runs)

    monkeypatch.setattr(RecordingFile, "append", fails)
    with Running(tmp_path) as running:
        running.camcorder.start()
        running.until(lambda s: s.clip is not None and s.clip.frames > 60)
        broken.append(1)
        status = running.until(lambda s: s.state == "halted")
        assert os.strerror(number) in " ".join(status.warnings)
        broken.clear()
        running.until(lambda s: s.state == "recording" and not s.warnings)
    assert len(clips_of(running)) == 2
    assert all(not path.name.endswith("unfinished.mp4") for path in clips_of(running))


def test_clips_go_to_make_room_but_not_the_protected(tmp_path, monkeypatch):
    def free(self):
        return 2_400_000 - sum(clip.size for clip in self.clips())

    monkeypatch.setattr(Shelf, "free", free)
    with Running(tmp_path, segment_s=1.0) as running:
        running.camcorder.start()
        running.until(lambda s: s.last_clip is not None)
        kept = running.shelf.protect(running.camcorder.status.last_clip, protected=True)
        running.until(lambda s: s.sources and s.sources[0].delivered > 8000)
    first, second, *_ = clips_of(running)
    assert first.name == kept.name
    zeros = []
    for path in (first, second):
        with reader.open(path) as clip:
            zeros.append(clip.metadata["movie"]["zero_monotonic_ns"])
    assert zeros[1] - zeros[0] > 3_000_000_000  # those between them have gone


def test_what_a_power_cut_has_left_is_finished_at_the_start(tmp_path):
    with Running(tmp_path) as running:
        running.camcorder.start()
        running.until(lambda s: s.clip is not None and s.clip.frames > 60)
        [path] = clips_of(running)
        (tmp_path / "copy").write_bytes(path.read_bytes())
    [whole] = clips_of(running)
    cut = tmp_path / "cut.unfinished.mp4"
    (tmp_path / "copy").rename(cut)
    with Running(tmp_path) as running:
        running.until(lambda s: s.state == "ready")
    assert frames_in(tmp_path / "cut.mp4") > 60
    assert whole.exists()


def test_the_newest_samples_can_be_seen(tmp_path):
    with Running(tmp_path) as running:
        running.until(lambda s: s.state == "ready")
        newest = running.camcorder.newest
        assert newest[PacketType.GPS].data["latitude"][0] == pytest.approx(37.77, abs=0.01)
        assert np.linalg.norm(newest[PacketType.ACCELERATION].data[0]) == pytest.approx(9.8, abs=3)
        assert running.camcorder.newest_picture.keyframe
