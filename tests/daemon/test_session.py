"""A recording session: the same at any speed, sources that fail, files that run full."""

from __future__ import annotations

import dataclasses
import errno
import logging
from pathlib import Path

import numpy as np
import pytest

from camm import CammError, Packet, PacketType, Samples, StreamFormat, empty_values
from daemon.replay import replay_rig
from daemon.rig import Rig, simulated_rig
from daemon.session import RecordingError, RecordingSession
from daemon.sources import CameraSource, Delivery, Source
from drivers.errors import DeviceError, EndOfSource
from hw_sim.clock import VirtualClock
from muxer import reader
from muxer.recording import Recording

SECOND = 1_000_000_000
START = 7_000 * SECOND


def record(rig: Rig, path: Path, seconds: float | None = None, **options):
    with rig:
        session = RecordingSession(rig, path, version="test", **options)
        return session.record(None if seconds is None else round(seconds * SECOND))


@pytest.mark.parametrize("speed", [10.0, 40.0])
def test_a_simulated_recording_is_the_same_at_any_speed(tmp_path, speed):
    record(simulated_rig("walk", None), tmp_path / "fast.mp4", 1.5)
    record(simulated_rig("walk", speed), tmp_path / "paced.mp4", 1.5)
    assert (tmp_path / "fast.mp4").read_bytes() == (tmp_path / "paced.mp4").read_bytes()


def test_madgwick_can_be_chosen_and_finds_down_and_north_too(tmp_path):
    result = record(simulated_rig("walk", None), tmp_path / "m.mp4", 2, filter_name="madgwick")
    assert result.metadata["fusion"]["filter"] == "madgwick"
    vqf = record(simulated_rig("walk", None), tmp_path / "v.mp4", 2)
    assert vqf.metadata["fusion"]["filter"] == "vqf"
    with reader.open(tmp_path / "m.mp4") as m, reader.open(tmp_path / "v.mp4") as v:
        assert np.degrees(np.abs(m.angle_axis.data - v.angle_axis.data).max()) < 15
        np.testing.assert_array_equal(m.gyro.data, v.gyro.data)


class Thermometer(Source):
    """A source of the test's own: a GPS-like sample ten times a second, with faults on demand."""

    def __init__(self, clock, faults=(), name="gps"):
        super().__init__(name, clock)
        self.faults = list(faults)
        self.opened = 0
        self.closed = 0
        self.number = 0

    def open(self):
        self.opened += 1

    def close(self):
        self.closed += 1

    def gps_time_ns_at(self, t_ns):
        return None

    def read(self):
        self.number += 1
        t_ns = START + self.number * SECOND // 10
        self.clock.sleep_until(t_ns)
        if self.faults and self.number == self.faults[0]:
            self.faults.pop(0)
            raise DeviceError(errno.EIO, "unplugged")
        now = self.clock.now_ns()
        values = empty_values(PacketType.MIN_GPS, 1)
        values["latitude"] = self.number
        self._delivered += 1
        return Delivery(
            self.name, Samples(PacketType.MIN_GPS, np.array([t_ns]), values), t_ns + 1, now
        )


class Slides:
    """A camera of twenty-five key frames a second."""

    name = "slides"
    formats = (StreamFormat("video", "mjpeg", 1000, width=16, height=16),)

    def __init__(self, clock, last=10**9, fault=10**9):
        self.clock, self.last, self.fault = clock, last, fault
        self.number = 0

    def open(self):
        pass

    def close(self):
        pass

    def describe(self):
        return {}

    def read(self):
        self.number += 1
        t_ns = START + self.number * SECOND // 25
        self.clock.sleep_until(t_ns)
        if self.number > self.last:
            raise EndOfSource(0, "no more slides")
        if self.number > self.fault:
            raise DeviceError(errno.EIO, "the lamp is broken")
        return [Packet(0, b"\xff\xd8" + bytes(100), t_ns, t_ns, SECOND // 25)]


def make_rig(camera=None, sensor=None, **camera_options) -> Rig:
    clock = VirtualClock(START, 1_800_000_000 * SECOND)
    rig = Rig(clock, warm_up_ns=0)
    rig.camera = CameraSource(Slides(clock, **camera_options), clock)
    rig.gps = (sensor or Thermometer)(clock)
    return rig


def test_a_source_that_fails_comes_back_and_the_others_go_on(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    rig = make_rig(sensor=lambda clock: Thermometer(clock, faults=[5, 8]))
    result = record(rig, tmp_path / "clip.mp4", 4)
    assert rig.gps.opened == 3
    source = result.metadata["sources"]["gps"]
    assert (source["failures"], source["error"]) == (2, "unplugged")
    with reader.open(tmp_path / "clip.mp4") as clip:
        assert len(clip.video.table) == 100
        assert clip.min_gps.data["latitude"].max() > 30
        assert len(clip.min_gps) > 25
        assert (np.diff(clip.min_gps.t_ns) > 0).all()


def test_a_camera_that_fails_ends_with_a_clip_of_what_there_was(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    result = record(make_rig(fault=30), tmp_path / "clip.mp4", 3)
    assert result.metadata["sources"]["camera"]["error"] == "the lamp is broken"
    with reader.open(tmp_path / "clip.mp4") as clip:
        assert len(clip.video.table) == 30
        assert clip.min_gps.t_ns[-1] > 2.5 * SECOND


def test_a_camera_without_a_picture_is_an_error_that_leaves_no_file(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(RecordingError, match="no picture"):
        record(make_rig(fault=0), tmp_path / "clip.mp4", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_opened_is_an_error_that_leaves_no_file(tmp_path):
    class Missing(Thermometer):
        def open(self):
            raise DeviceError(errno.ENODEV, "nothing answers at 0x68")

    with pytest.raises(DeviceError, match="nothing answers"):
        record(make_rig(sensor=Missing), tmp_path / "clip.mp4", 2)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_runs_full_leaves_what_was_recorded_under_its_unfinished_name(
    tmp_path, monkeypatch
):
    import os

    write, written = os.pwrite, 0

    def pwrite(fd, data, offset):
        nonlocal written
        written += len(data)
        if written > 9000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(RecordingError, match=r"No space left.*clip\.unfinished\.mp4"):
        record(make_rig(), tmp_path / "clip.mp4", 20)
    (left,) = tmp_path.iterdir()
    assert left.name == "clip.unfinished.mp4"
    with reader.open(left) as clip:
        assert clip.fragmented
        assert len(clip.video.table) > 10
        assert len(clip.min_gps) > 3


def test_an_unfinished_recording_is_never_overwritten(tmp_path):
    precious = tmp_path / "clip.unfinished.mp4"
    precious.write_bytes(b"precious")
    with pytest.raises(CammError, match="move it away"):
        record(make_rig(), tmp_path / "clip.mp4", 1)
    assert precious.read_bytes() == b"precious"


def test_replay_ends_with_its_longest_input(tmp_path):
    data = Path(__file__).parents[1] / "data"
    rig = replay_rig([data / "gps/ublox-neo-m8p.log"], data / "video/sample-5s.mp4", None)
    result = record(rig, tmp_path / "clip.mp4")
    assert result.metadata["replay"] == {"log": "ublox-neo-m8p.log", "video": "sample-5s.mp4"}
    with reader.open(tmp_path / "clip.mp4") as clip:
        assert len(clip.video.table) == 171
        assert len(clip.gps) == 59


def test_replayed_fixes_keep_the_distances_of_their_gps_times(tmp_path):
    data = Path(__file__).parents[1] / "data"
    record(replay_rig([data / "gps/ublox-neo-m8p.log"], None, None), tmp_path / "clip.mp4")
    with reader.open(tmp_path / "clip.mp4") as clip:
        assert len(clip.gps) == 59
        apart = clip.gps.t_ns / 1e9 - clip.gps.data["time_gps_epoch"]
        assert np.ptp(apart) < 0.02
        assert clip.created.year == 2021


def test_settings_of_a_rig_are_data(tmp_path):
    """A rig with the sensor turned gives the same motion in camera axes turned likewise."""
    first, second = simulated_rig("walk", None), simulated_rig("walk", None)
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    second.mount = turn @ second.mount
    record(first, tmp_path / "a.mp4", 1)
    record(second, tmp_path / "b.mp4", 1)
    with reader.open(tmp_path / "a.mp4") as a, reader.open(tmp_path / "b.mp4") as b:
        for label in ("gyro", "acceleration", "magnetic_field"):
            np.testing.assert_allclose(
                getattr(b, label).data, getattr(a, label).data @ turn.T, atol=1e-4
            )
    assert dataclasses.is_dataclass(first)


def test_a_bug_in_the_writer_ends_the_recording_and_keeps_what_there_is(tmp_path, monkeypatch):
    calls = 0

    def advance(self, now_ns):
        nonlocal calls
        calls += 1
        if calls > 60:
            raise ZeroDivisionError("a bug")
        original(self, now_ns)

    original = Recording.advance
    monkeypatch.setattr(Recording, "advance", advance)
    with pytest.raises(ZeroDivisionError):
        record(make_rig(), tmp_path / "clip.mp4", 20)
    with reader.open(tmp_path / "clip.unfinished.mp4") as clip:
        assert len(clip.video.table) > 10
