"""What may be asked of a camcorder: its documents, marks, and clips by their names."""

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest
from faulty_films import scenario

from camm import CammError, UsageError
from daemon.camcorder import Camcorder
from daemon.configuration import (
    CameraSettings,
    Configuration,
    GpsSettings,
    ImuSettings,
    StorageSettings,
)
from daemon.control import Control
from daemon.rig import make_rig, simulated_rig
from daemon.shelf import Shelf
from muxer import reader

FILM = Path(__file__).parents[1] / "data/video/sample-5s.mp4"


class Running:
    """A control of a camcorder that runs on simulated time."""

    def __init__(self, folder, path, speed=10.0, make=None, **storage):
        settings = StorageSettings(folder=str(folder), keep_free_mb=1, **storage)
        self.camcorder = Camcorder(
            make or (lambda: simulated_rig(str(path), speed)),
            Shelf(folder, "1f3a9c02"),
            settings,
            version="test",
        )
        self.control = Control(self.camcorder, "test")
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.camcorder.run()
        except Exception as error:
            self.error = error

    def until(self, holds, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not holds(status := self.control.status()):
            assert time.monotonic() < deadline, status
            assert self.thread.is_alive(), self.error
            time.sleep(0.005)
        return status

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.camcorder.close()
        self.thread.join()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "clips"


@pytest.fixture
def running(tmp_path, folder):
    with Running(folder, scenario(tmp_path, "walk")) as running:
        yield running


def recording(status):
    return status["clip"] is not None and status["clip"]["frames"] > 30


def test_a_status_says_all_in_words_of_json(running):
    running.control.start()
    status = running.until(lambda s: recording(s) and s["fix"] and s["orientation"])
    assert json.loads(json.dumps(status, allow_nan=False)) == status
    assert set(status["clip"]) == {"name", "seconds", "bytes", "frames", "records", "late"}
    assert {source["name"]: source["required"] for source in status["sources"]} == {
        "imu": True,
        "mag": False,
        "gps": False,
        "camera": True,
    }
    assert 0 <= status["orientation"]["yaw_deg"] <= 360
    assert abs(status["orientation"]["pitch_deg"]) < 25
    assert status["fix"]["speed_m_s"] == pytest.approx(1.4, abs=0.4)
    assert status["fix"]["accuracy_m"] == pytest.approx(1.3)
    assert status["utc"].startswith("2026-07-02T16:4")
    assert status["seconds_left"] > 0


def test_before_there_is_a_rig_there_is_a_status(tmp_path, folder):
    status = Running(folder, tmp_path).control.status()
    assert status["state"] == "starting"
    assert status["fix"] is status["orientation"] is status["utc"] is status["clip"] is None


def test_a_mark_is_in_the_clip_and_keeps_it(running, folder):
    running.control.start()
    running.until(recording)
    mark = running.control.mark("near miss")
    told = {key: mark[key] for key in ("t_s", "utc", "text")}
    beside = folder / f"{mark['name']}.protected"  # found there where the clip is never finished
    running.until(lambda _: beside.exists() and beside.read_text().endswith("\n"))
    assert json.loads(beside.read_text()) == told
    running.control.stop()
    running.until(lambda s: s["last_clip"] is not None and s["clip"] is None)
    [clip] = running.control.clips()
    assert clip["protected"]
    assert mark["name"].removesuffix(".unfinished.mp4") == clip["name"].removesuffix(".mp4")
    assert json.loads((folder / f"{clip['name']}.protected").read_text()) == told
    with reader.open(folder / clip["name"]) as opened:
        assert opened.metadata["marks"] == [told]
        assert 0 < mark["t_s"] < opened.duration_ns / 1e9
    with pytest.raises(UsageError, match="protected"):
        running.control.delete(clip["name"])


def test_every_mark_is_in_one_of_the_segments(tmp_path, folder):
    with Running(folder, scenario(tmp_path, "walk"), segment_s=1.0) as running:
        running.control.start()
        running.until(lambda s: s["clip"] is not None)
        for number in range(12):
            running.control.mark(str(number))
            deadline = running.camcorder.now_ns + 300_000_000
            running.until(lambda _, until=deadline: running.camcorder.now_ns > until)
    told = []
    for path in sorted(folder.glob("*.mp4")):
        with reader.open(path) as clip:
            marks = clip.metadata.get("marks", [])
            assert all(0 <= mark["t_s"] <= clip.duration_ns / 1e9 for mark in marks)
            told += [mark["text"] for mark in marks]
    assert told == [str(number) for number in range(12)]


def test_a_mark_needs_a_clip(running):
    running.until(lambda s: s["state"] == "ready")
    with pytest.raises(UsageError, match="there is no clip to mark"):
        running.control.mark("nothing")
    with pytest.raises(UsageError, match="at most 500 letters"):
        running.control.mark("x" * 501)


def test_a_clip_that_is_protected_while_it_is_made_stays_so(running):
    running.control.start()
    name = running.until(recording)["clip"]["name"]
    assert running.control.protect(name, protected=True)["unfinished"]
    running.control.stop()
    running.until(lambda s: s["last_clip"] is not None)
    [clip] = running.control.clips()
    assert clip["protected"]
    assert not clip["unfinished"]
    assert clip["seconds"] > 1
    assert not running.control.protect(clip["name"], protected=False)["protected"]
    assert running.control.delete(clip["name"])["name"] == clip["name"]
    assert running.control.clips() == []


def test_starting_twice_is_starting_once(running, folder):
    running.control.start()
    running.until(recording)
    running.control.start()
    running.control.stop()
    running.control.stop()
    running.until(lambda s: s["last_clip"] is not None)
    assert len(list(folder.glob("*.mp4"))) == 1


def test_clips_that_cannot_be_read_are_listed_all_the_same(running, folder):
    (folder / "alien.mp4").write_bytes(b"no clip")
    [clip] = running.control.clips()
    assert (clip["name"], clip["bytes"], clip["seconds"]) == ("alien.mp4", 7, None)
    assert running.control.clip("alien").path == folder / "alien.mp4"


def test_who_subscribes_hears_of_fixes_and_of_finished_clips(running):
    async def listen():
        heard = []
        async for kind, document in running.control.subscribe():
            heard.append(kind)
            if kind == "status" and document["state"] == "ready":
                await asyncio.to_thread(running.control.start)
            elif kind == "status" and recording(document):
                await asyncio.to_thread(running.control.stop)
            elif kind == "clip":
                return heard, document
        raise AssertionError

    heard, clip = asyncio.run(asyncio.wait_for(listen(), 30))
    assert "fix" in heard
    assert clip["name"].endswith("Z.mp4")


def test_the_picture_is_the_last_key_frame(running):
    running.until(lambda _: running.control.picture() is not None)
    stream, picture = running.control.picture()
    assert (stream.codec, stream.width) == ("h264", 64)
    assert picture.keyframe


def test_other_limits_and_another_shelf_hold_from_the_next_clip_on(running, tmp_path, folder):
    running.control.start()
    running.until(recording)
    other = Shelf(tmp_path / "other", "1f3a9c02")
    limits = StorageSettings(folder=str(other.folder), keep_free_mb=1, segment_s=1.0)
    running.camcorder.change_storage(limits, other)
    running.until(lambda _: len(other.clips()) > 1)
    [first] = folder.glob("*.mp4")
    assert not first.name.endswith(".unfinished.mp4")


def test_clips_get_their_utc_when_the_receiver_has_it(tmp_path, folder, monkeypatch):
    known = []
    path = scenario(tmp_path, "walk")

    def make():
        rig = simulated_rig(str(path), 10.0)
        tell = rig.gps.gps_time_ns_at
        monkeypatch.setattr(rig.gps, "gps_time_ns_at", lambda t_ns: tell(t_ns) if known else None)
        return rig

    with Running(folder, path, make=make, segment_s=1.0) as running:
        running.control.start()
        status = running.until(lambda s: s["last_clip"] is not None)
        assert status["last_clip"].startswith("boot-1f3a9c02-0036")
        known.append(True)
        running.until(lambda s: (s["last_clip"] or "").startswith("2026-07-02"))
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) > 1
    assert all(name.startswith("2026-07-02T16-") and name.endswith("Z.mp4") for name in names)


def test_a_camera_that_is_not_required_may_come_later(tmp_path, folder):
    later = tmp_path / "later.mp4"
    devices = Configuration(
        camera=CameraSettings(str(later), required=False),
        gps=GpsSettings(str(tmp_path / "nowhere")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.camcorder._RETRY_NS", 50_000_000)
        with Running(folder, None, make=lambda: make_rig(devices)) as running:
            status = running.until(lambda s: s["warnings"] and s["sources"])
            assert status["flowing"]  # as nothing is required
            assert any("there is no file" in warning for warning in status["warnings"])
            later.symlink_to(FILM)
            running.control.start()
            running.until(recording)
    assert running.error is None


def test_a_sensor_that_is_required_keeps_the_rig_from_coming_up(tmp_path, folder):
    bus = f"unix:{tmp_path}/no-bus"
    with pytest.raises(CammError, match="nobody serves a bus"):
        make_rig(Configuration(imu=ImuSettings(bus=bus)))
    with make_rig(Configuration(imu=ImuSettings(bus=bus, required=False))) as rig:
        assert rig.imu is not None
        assert not rig.imu.required
        with pytest.raises(CammError, match="nobody serves a bus"):
            rig.imu.open()
    with pytest.raises(UsageError, match="no driver for 'MPU-1'"):
        make_rig(Configuration(imu=ImuSettings(chip="MPU-1", required=False)))


def test_a_card_that_was_pulled_is_missed(tmp_path, folder, monkeypatch):
    with Running(folder, scenario(tmp_path, "walk")) as running:
        running.control.start()
        running.until(recording)
        card = folder.rename(tmp_path / "pulled")
        running.until(lambda s: any("No such file" in warning for warning in s["warnings"]))
        running.until(lambda s: s["state"] in ("halted", "recording"))
        card.rename(folder)
        running.until(lambda s: s["state"] == "recording" and not s["warnings"])
    assert running.error is None
    assert all(not path.name.endswith("unfinished.mp4") for path in folder.iterdir())
