"""What a recording makes of everything that can break: it goes on, and counts what is missing."""

from __future__ import annotations

import errno
import os
import random
import typing
from typing import get_type_hints

import pytest
from disk_log import DiskLog, after
from faulty_films import FAULTS, Film, film, scenario

from daemon.rig import simulated_rig
from daemon.session import RecordingError, RecordingSession
from hw_sim.faults import Faults
from hw_sim.scenario import Fault, load_scenario
from muxer import reader
from muxer.recording import Recording

SECOND = 1_000_000_000


def test_no_kind_of_fault_is_forgotten():
    tried = {table["kind"] for fault in FAULTS for table in fault.tables}
    assert tried | {"disk_full", "power_cut"} == set(typing.get_args(get_type_hints(Fault)["kind"]))


@pytest.mark.parametrize("fault", FAULTS[::3], ids=str)  # all of them are for the proofs
def test_a_fault_costs_what_it_must_and_is_counted(tmp_path, fault):
    made = film(tmp_path, scenario(tmp_path, "walk", *fault.tables), fault.seconds)
    made.assert_sound(fault.hurts)


def test_without_a_fault_nothing_is_missing(tmp_path):
    made = film(tmp_path, scenario(tmp_path, "walk"), 2)
    made.assert_sound(frozenset())
    assert made.series("imu").made > 400


def made_with(tmp_path, *faults, seconds=5.5) -> Film:
    return film(tmp_path, scenario(tmp_path, "walk", *faults), seconds)


def test_a_fifo_that_overflows_costs_what_did_not_go_into_it(tmp_path):
    stall = {"kind": "stall", "part": "imu", "at_s": 6.0, "for_s": 1.0}
    series = made_with(tmp_path, stall).series("imu")
    fifo = 512 // 12
    assert series.missing == series.lost
    assert abs(series.lost - (225 * 1.012 * 1.0 - fifo)) < 8
    assert series.failures == 0


def test_a_sensor_that_is_gone_for_good_costs_no_more_than_itself(tmp_path):
    gone = {"kind": "unplug", "part": "imu", "at_s": 6.0}
    made = made_with(tmp_path, gone)
    assert made.times("gyro")[-1] < made.end_ns - 2 * SECOND
    came_ns, _ = made.frames()
    assert came_ns[-1] > made.end_ns - SECOND // 10
    assert made.sources["imu"]["error"].startswith("no ICM-20948 on simulated bus")


def test_a_sensor_that_lost_its_power_for_a_moment_is_set_up_again(tmp_path):
    """It answers as before, and measures nothing: only its silence tells."""
    loose = {"kind": "unplug", "part": "imu", "at_s": 6.0, "for_s": 0.004}
    made = made_with(tmp_path, loose)
    assert "lost its power" in made.sources["imu"]["error"]
    assert made.times("gyro")[-1] > made.end_ns - SECOND // 10
    assert made.times("magnetic_field")[-1] > made.end_ns - SECOND // 10


def test_messages_that_come_half_are_counted_as_damaged(tmp_path):
    half = {"kind": "partial_message", "at_s": 6.0, "for_s": 1.0}
    gps = made_with(tmp_path, half).sources["gps"]
    assert (gps["damaged"], gps["failures"]) == (10, 0)


def test_a_receiver_on_a_loose_plug_is_found_and_set_up_again(tmp_path):
    loose = {"kind": "unplug", "part": "gps", "at_s": 6.0, "for_s": 1.0}
    made = made_with(tmp_path, loose, seconds=7)
    gps = made.sources["gps"]
    assert gps["failures"] > 0
    assert gps["baud"] == "115200"
    assert made.times("gps")[-1] > made.end_ns - SECOND // 2


def test_a_bad_sky_is_in_the_records(tmp_path):
    made = made_with(tmp_path, {"kind": "fix_2d", "at_s": 6.0, "for_s": 1.5})
    with reader.open(made.path) as clip:
        fix, accuracy = clip.gps.data["gps_fix_type"], clip.gps.data["horizontal_accuracy"]
    assert set(fix) == {2, 3}
    assert (fix == 2).sum() == 15
    assert accuracy[fix == 2].max() > 1.2 * accuracy[0]
    assert accuracy[-1] < accuracy[fix == 2].max()


class SimulatedDisk:
    """Faults of the scenario's disk, by the simulated time of what is being written."""

    def __init__(self, monkeypatch, path) -> None:
        self.faults = Faults(load_scenario(path).fault, 3600 * SECOND)
        self.now_ns = 0
        advance, pwrite = Recording.advance, os.pwrite

        def dated(recording, now_ns):
            self.now_ns = now_ns
            advance(recording, now_ns)

        def write(fd, data, at):
            if self.faults.at("disk_full", "disk", self.now_ns):
                raise OSError(errno.ENOSPC, "No space left on device")
            return pwrite(fd, data, at)

        monkeypatch.setattr(Recording, "advance", dated)
        monkeypatch.setattr(os, "pwrite", write)


def test_a_disk_that_is_full_ends_the_recording_with_what_there_was(tmp_path, monkeypatch):
    path = scenario(tmp_path, "walk", {"kind": "disk_full", "at_s": 8.0})
    SimulatedDisk(monkeypatch, path)
    with simulated_rig(str(path), None) as rig:
        session = RecordingSession(rig, tmp_path / "clip.mp4", version="test")
        with pytest.raises(RecordingError, match=r"No space left.*clip\.unfinished\.mp4"):
            session.record(20 * SECOND)
    with reader.open(tmp_path / "clip.unfinished.mp4") as clip:
        assert clip.fragmented
        assert len(clip.video.table) > 60
        assert clip.gyro.t_ns[-1] > 2 * SECOND


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_leaves_all_fragments_that_were_synced(tmp_path, monkeypatch, seed):
    path = scenario(tmp_path, "walk", {"kind": "power_cut", "at_s": 8.0})
    unfinished = tmp_path / "clip.unfinished.mp4"
    disk = SimulatedDisk(monkeypatch, path)
    log = DiskLog(monkeypatch, unfinished).log
    begun = []
    advance = Recording.advance

    def dated(recording, now_ns):
        advance(recording, now_ns)
        if not disk.faults.at("power_cut", "disk", now_ns):
            begun.append((len(log), recording.statistics().frames))

    monkeypatch.setattr(Recording, "advance", dated)
    with simulated_rig(str(path), None) as rig:
        RecordingSession(rig, tmp_path / "clip.mp4", version="test").record(6 * SECOND)
    count, frames = begun[-1]
    assert count < len(log)
    assert frames > 60
    left = tmp_path / "left.mp4"
    left.write_bytes(after(log, count, random.Random(seed)).data)  # noqa: S311 - no secret
    with reader.open(left) as clip:
        assert len(clip.video.table) == frames
        assert clip.records.faults == {}
