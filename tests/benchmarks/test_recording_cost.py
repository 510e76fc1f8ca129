"""What a recording costs is measured where it arises."""

import threading
import time

import pytest

from benchmarks import live, process, recording
from muxer import reader


def busy(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_stage_has_its_own_time_and_not_that_of_others():
    stages = live.Stages()
    inner = stages.timing("inner", lambda: busy(0.04))

    def work():
        busy(0.02)
        inner()
        inner()

    outer = stages.timing("outer", work)
    threads = [threading.Thread(target=outer) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert stages.calls == {"outer": 2, "inner": 4}
    assert stages.seconds["inner"] == pytest.approx(0.16, rel=0.1)
    assert stages.seconds["outer"] == pytest.approx(0.04, rel=0.3)


def test_waiting_costs_nothing():
    stages = live.Stages()
    stages.timing("waits", lambda: threading.Event().wait(0.05))()
    assert stages.seconds["waits"] < 0.02


def test_a_recording_is_measured_in_every_stage(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "CACHE", tmp_path)
    monkeypatch.setattr(live, "CACHE", tmp_path)
    take = live.Take("MPU-6500", 250.0)
    row = live.record(take, 2.5, tmp_path / "clip.mp4", staged=True)
    assert 0 < row["cpu_percent"] < 200
    for stage in recording.STAGES:
        assert row[f"{stage}_us"] > 0, stage
        assert row[f"{stage}_percent"] > 0, stage
    assert tuple(live.STAGES) == recording.STAGES
    assert 0 < row["queue_ms"] < 2000
    with reader.open(tmp_path / "clip.mp4") as clip:
        assert len(clip.video.table) > 50
        assert len(clip.gyro) > 300
        assert len(clip.magnetic_field) > 100
        assert len(clip.gps) > 10


def test_the_takes_in_the_table_are_those_that_can_be_made():
    assert tuple(live.TAKES) == recording.TAKES


def test_a_take_that_fails_is_a_row_with_its_error(monkeypatch):
    def fail(command, *, answers):
        raise process.MeasurementError("no such chip")

    monkeypatch.setattr(process, "run", fail)
    rows = list(recording.recordings(1.0))
    assert [row["error"] for row in rows] == ["no such chip"] * len(recording.TAKES)
