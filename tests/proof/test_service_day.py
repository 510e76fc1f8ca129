"""A camcorder that is never switched off: hours of it, and two hundred recordings."""

import os
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from faulty_films import scenario

from daemon.camcorder import Camcorder
from daemon.configuration import ImuSettings, StorageSettings
from daemon.rig import simulated_rig
from daemon.shelf import Shelf
from muxer import reader

HOURS = 6
HOUR_NS = 3_600_000_000_000
IMU_HZ = 25.0
SEGMENT_S = 300.0
SHELF_BYTES = 10_000_000


class Running:
    """A camcorder as fast as it goes, with devices that cost little."""

    def __init__(self, tmp_path, **storage):
        path = scenario(tmp_path, "walk", width=16, height=16, fps=1)
        path.write_text(path.read_text().replace("\nrate_hz = 10\n", "\nrate_hz = 1\n"))

        def make():
            rig = simulated_rig(str(path), None, with_truth=False)
            rig.mag = None
            return rig

        folder = tmp_path / "clips"
        settings = StorageSettings(folder=str(folder), keep_free_mb=1, **storage)
        self.camcorder = Camcorder(
            make,
            Shelf(folder, "1f3a9c02"),
            settings,
            version="test",
        )
        self.thread = threading.Thread(target=self.camcorder.run)

    def until(self, holds, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not holds(self.camcorder.status):
            assert time.monotonic() < deadline, self.camcorder.status
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.camcorder.close()
        self.thread.join()


@pytest.fixture(autouse=True)
def slow_imu(monkeypatch):
    monkeypatch.setattr("daemon.rig.ImuSettings", partial(ImuSettings, rate_hz=IMU_HZ))


@pytest.fixture
def unhurried(monkeypatch):
    """Whoever looks at something looks once a second, and nobody waits for the disk."""
    monkeypatch.setattr("drivers.fifo.FifoImu.longest_poll_ns", 1_000_000_000)
    monkeypatch.setattr("daemon.camcorder._LOOK_NS", 1_000_000_000)
    monkeypatch.setattr("hw_sim.receiver._LOOK_UP_NS", 1_000_000_000)
    monkeypatch.setattr("os.fdatasync", lambda fd: None)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir would count itself


@pytest.mark.proof
@pytest.mark.usefixtures("unhurried")
def test_hours_of_recording_take_no_more_memory_than_the_first_of_them(tmp_path, monkeypatch):
    def free(shelf):
        """As a disk has it: a clip that is just being renamed takes its room once."""
        sizes = {}
        for path in shelf.folder.iterdir():
            with suppress(FileNotFoundError):
                file = path.stat()
                sizes[file.st_ino] = file.st_size
        return SHELF_BYTES - sum(sizes.values())

    monkeypatch.setattr(Shelf, "free", free)
    hours, began_s = [], time.monotonic()
    with Running(tmp_path, segment_s=SEGMENT_S) as running:
        camcorder = running.camcorder
        camcorder.start()
        running.until(lambda s: s.clip is not None)
        began_ns = camcorder.now_ns
        for hour in range(1, HOURS + 1):
            end_ns = began_ns + hour * HOUR_NS
            running.until(lambda _, end_ns=end_ns: camcorder.now_ns >= end_ns, 1800.0)
            hours.append(resident_bytes())
        status = camcorder.status
        assert status.warnings == ()
        assert status.missed == 0
        assert sum(source.lost for source in status.sources) == 0
        speed = HOURS * 3600 / (time.monotonic() - began_s)
    print(f"{speed:.0f} times real time; MiB by the hour: {[size >> 20 for size in hours]}")  # noqa: T201
    assert max(hours[2:]) < hours[1] + (8 << 20)
    with reader.open(camcorder.shelf.clips()[0].path) as clip:
        assert clip.duration_ns == pytest.approx(SEGMENT_S * 1e9, rel=0.01)
        assert len(clip.gyro.t_ns) > 0.98 * IMU_HZ * SEGMENT_S


@pytest.mark.proof
def test_two_hundred_recordings_leave_no_thread_and_no_descriptor(tmp_path):
    with Running(tmp_path, pre_roll_s=0.0) as running:
        camcorder = running.camcorder
        running.until(lambda s: s.state == "ready")
        counts = []
        for number in range(200):
            last = camcorder.status.last_clip
            camcorder.start()
            running.until(lambda s: s.clip is not None)
            camcorder.stop()
            running.until(lambda s, last=last: s.clip is None and s.last_clip != last)
            if number in (9, 199):
                counts.append((threading.active_count(), open_files()))
    assert counts[0] == counts[1]
    assert len(camcorder.shelf.clips()) == 200


@pytest.mark.proof
def test_a_rig_that_is_switched_off_leaves_no_thread_and_no_descriptor(tmp_path):
    counts = []
    for _ in range(8):
        with Running(tmp_path) as running:
            running.until(lambda s: s.state == "ready")
        counts.append((threading.active_count(), open_files()))
    assert counts[2:] == counts[2:3] * 6
