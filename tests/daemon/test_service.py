"""The service as a process of its own, on a simulated rig, with a service manager that listens."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from faulty_films import scenario

from cammcorder import __version__
from daemon.control_client import ControlClient
from daemon.notify import Notifier
from daemon.service import changes, is_well, load
from daemon.status import Status
from muxer import reader

DATA = Path(__file__).parents[1] / "data"
SPEED = 10.0
WATCHDOG_S = 0.4
PATIENCE_S = 60.0


class Manager:
    """What systemd hears of a service."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(PATIENCE_S)
        self.heard: list[Mapping[str, str]] = []

    def next(self):
        """The next message, waited for."""
        text = self.socket.recv(4096).decode()
        self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))
        return self.heard[-1]

    def until(self, key, words=""):
        """Listen up to a message that has a key, with some words in its value."""
        while True:
            message = self.next()
            if key in message and words in message[key]:
                return message

    def all_that_was_said(self):
        """What has been heard and what is there to be heard."""
        self.socket.setblocking(False)
        try:
            while True:
                self.next()
        except BlockingIOError:
            return self.heard


class Daemon:
    """`cammcorder daemon`, and what goes with it; ended when the context is left."""

    def __init__(self, folder: Path, rig: str, *, storage="", name="notify", http="") -> None:
        self.http = http
        self.clips = folder / "clips"
        self.socket = folder / "control.sock"
        self.file = folder / "rig.toml"
        self.configure(rig, storage)
        address = str(folder / name) if not name.startswith("@") else name
        self.manager = Manager(address)
        self.log = (folder / "log").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cammcorder", "daemon", "-c", str(self.file)],
            env={
                **os.environ,
                "NOTIFY_SOCKET": address,
                "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
            },
            stderr=self.log,
        )

    def configure(self, rig, storage=""):
        self.file.write_text(
            f'{rig}\n[storage]\nfolder = "{self.clips}"\nkeep_free_mb = 1\n{storage}\n'
            f'[control]\nsocket = "{self.socket}"\nhttp = "{self.http}"\n'
        )

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, do, **what):
        with ControlClient(str(self.socket)) as client:
            return client.ask(do, **what)

    def until(self, holds):
        """The status as soon as something is so."""
        deadline = time.monotonic() + PATIENCE_S
        with ControlClient(str(self.socket)) as client:
            while not holds(status := client.ask("status")):
                assert time.monotonic() < deadline, status
                time.sleep(0.01)
        return status

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.socket.close()
        self.log.close()


def simulator(tmp_path, *faults):
    path = scenario(tmp_path, "walk", *faults)
    return f'[simulator]\nscenario = "{path}"\nspeed = {SPEED}\n'


def silent_in(status):
    return [source["name"] for source in status["sources"] if not source["delivering"]]


def test_ready_comes_when_all_deliver_and_then_it_is_said_how_it_goes(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path)) as daemon:
        before = len(daemon.manager.heard)
        daemon.manager.until("READY", "1")
        assert before == 0
        assert all("WATCHDOG" not in message for message in daemon.manager.heard[:1])
        assert daemon.ask("status")["flowing"]
        daemon.ask("start")
        daemon.manager.until("STATUS", "recording 2026-07-02T16-4")
        assert "imu 2" in daemon.manager.heard[-1]["STATUS"]
        for _ in range(3):
            daemon.manager.until("WATCHDOG", "1")
        assert daemon.end() == 0
        assert sum("READY" in message for message in daemon.manager.all_that_was_said()) == 1


def test_an_abstract_notify_socket_will_do(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path), name=f"@cammcorder-test-{os.getpid()}") as daemon:
        daemon.manager.until("READY", "1")
        assert daemon.end() == 0


def test_sigterm_finishes_the_clip_and_a_second_one_changes_nothing(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path)) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 60)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.manager.until("STOPPING", "1")
        daemon.process.send_signal(signal.SIGTERM)
        assert int(daemon.manager.until("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"]) > 1e6
        assert daemon.process.wait(PATIENCE_S) == 0
        assert not daemon.socket.exists()
        [path] = daemon.clips.iterdir()
        assert path.name.endswith("Z.mp4")
        with reader.open(path) as clip:
            assert clip.duration_ns > 2e9
            assert "unfinished" not in clip.metadata


def test_segments_follow_one_another(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path), storage="segment_s = 1.0") as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["last_clip"] is not None)
        second = daemon.until(lambda s: s["clip"] is not None)["clip"]["name"]
        daemon.until(lambda s: s["clip"] is not None and s["clip"]["name"] != second)
        assert len(daemon.ask("clips")) >= 3
        assert daemon.end() == 0


def test_sighup_changes_what_can_be_and_names_the_rest(tmp_path):
    rig = simulator(tmp_path)
    with Daemon(tmp_path, rig) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] is not None)
        before_us = time.monotonic_ns() // 1000
        changed = rig.replace("speed = 10.0", "speed = 11.0") + '[fusion]\nfilter = "madgwick"\n'
        daemon.configure(changed, "segment_s = 1.0")
        daemon.process.send_signal(signal.SIGHUP)
        reloading = daemon.manager.until("RELOADING", "1")
        assert before_us <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        daemon.manager.until("READY", "1")
        daemon.until(lambda s: s["last_clip"] is not None)
        assert "again: storage.segment_s\n" in daemon.said()
        assert "needs a restart: simulator.speed, fusion.filter\n" in daemon.said()
        daemon.file.write_text("[storage]\nsegment = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.manager.until("RELOADING", "1")
        daemon.manager.until("READY", "1")
        assert "the configuration stays as it was: " in daemon.said()
        assert "did you mean 'segment_s'?" in daemon.said()
        assert daemon.ask("status")["state"] == "recording"
        assert daemon.end() == 0


def test_clips_have_positions_where_they_are_asked_for(tmp_path):
    rig = simulator(tmp_path) + '[fusion]\nposition = "gps"\n'
    with Daemon(tmp_path, rig, storage="segment_s = 2.0") as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["last_clip"] is not None)
        assert daemon.end() == 0
        first, *_ = sorted(daemon.clips.iterdir())
        with reader.open(first) as clip:
            own = clip.gyro.t_ns
            np.testing.assert_array_equal(clip.position.t_ns, own[own > 0])
            assert clip.metadata["late"] == {}
            assert clip.metadata["fusion"]["position"]["begun"] == 1


def test_a_tracker_is_told_of_until_it_has_gone(tmp_path):
    # Slowly: a pose of 1.8 s ago is late.
    rig = simulator(tmp_path).replace(f"speed = {SPEED}", "speed = 2")
    rig += '[fusion]\nfilter = "tracker"\nposition = "tracker"\n'
    with Daemon(tmp_path, rig) as daemon:
        daemon.manager.until("READY")
        daemon.until(lambda s: "tracker delivers nothing" in s["warnings"])
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 30)
        with ControlClient(str(daemon.socket)) as tracker:
            begin_ns = tracker.ask("track", name="orb")["now_ns"]
            then = daemon.ask("status")["utc"]
            daemon.until(lambda s: s["utc"] != then)  # simulated time goes on in steps
            poses = [
                {"t_ns": begin_ns + n * 1000, "position": [n, 0, 0], "orientation": [1, 0, 0, 0]}
                for n in range(10)
            ]
            tracker._socket.sendall(json.dumps(poses).encode() + b"\n")
            counts = json.loads(tracker._lines.readline())["answer"]
            assert counts == {"accepted": 10, "late": 0, "early": 0, "unwanted": 0}
            daemon.until(lambda s: s["orientation"] and "tracker" not in silent_in(s))
        daemon.until(lambda s: "tracker delivers nothing: 'orb' has gone" in s["warnings"])
        assert daemon.end() == 0
        [path] = daemon.clips.iterdir()
        with reader.open(path) as clip:
            np.testing.assert_array_equal(clip.position.data[:, 0], np.arange(10))
            assert len(clip.angle_axis) == 10
            assert clip.metadata["sources"]["tracker"]["called"] == "orb"


def test_the_watchdog_goes_hungry_while_a_sensor_is_away(tmp_path):
    away = {"kind": "unplug", "part": "imu", "at_s": 8.0, "for_s": 20.0}
    with Daemon(tmp_path, simulator(tmp_path, away)) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        status = daemon.until(lambda s: silent_in(s) == ["imu", "mag"])
        assert not status["flowing"]
        assert status["warnings"][0].startswith("imu delivers nothing: ")
        assert status["state"] == "recording"
        assert status["growing"]
        daemon.manager.until("STATUS", "imu delivers nothing")
        daemon.until(lambda s: s["flowing"])
        heard = daemon.manager.all_that_was_said()
        said = [i for i, m in enumerate(heard) if "imu delivers nothing" in m.get("STATUS", "")]
        assert len(said) > 1
        assert all("WATCHDOG" not in message for message in heard[said[0] : said[-1] + 1])
        daemon.manager.socket.settimeout(PATIENCE_S)
        daemon.manager.until("WATCHDOG", "1")
        assert daemon.end() == 0


def test_what_a_kill_leaves_is_finished_by_the_next_start(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path)) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 60)
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
        assert daemon.socket.exists()
        [left] = daemon.clips.iterdir()
        assert left.name.endswith(".unfinished.mp4")
    with Daemon(tmp_path, simulator(tmp_path), name="another") as daemon:
        daemon.manager.until("READY")
        assert f"{left.name} was cut off; " in daemon.said()
        [clip] = daemon.ask("clips")
        assert clip["name"] == left.name.replace(".unfinished", "")
        assert clip["seconds"] > 1.9
        assert daemon.end() == 0


def test_a_second_one_is_refused_in_one_line(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path)) as daemon:
        daemon.manager.until("READY")
        elsewhere = tmp_path / "other.toml"
        elsewhere.write_text(daemon.file.read_text().replace("control.sock", "other.sock"))
        for file in (daemon.file, elsewhere):
            command = [sys.executable, "-m", "cammcorder", "daemon", "-c", str(file)]
            second = subprocess.run(command, capture_output=True, text=True, check=False)
            assert second.returncode == 2
            [line] = second.stderr.splitlines()
            assert line.startswith("cammcorder: another camcorder records to ")
        assert daemon.ask("status")["flowing"]


def test_a_source_that_is_not_there_is_done_without_unless_it_is_required(tmp_path):
    film = DATA / "video/sample-5s.mp4"
    rig = f'[gps]\nport = "{tmp_path}/no-receiver"\n[camera]\ndevice = "{film}"\n'
    with Daemon(tmp_path, rig) as daemon:
        daemon.manager.until("READY")
        status = daemon.until(lambda s: s["warnings"])
        assert status["flowing"]
        [gps, camera] = status["sources"]
        assert camera["delivering"]
        assert gps["failures"] > 0
        assert "no-receiver" in status["warnings"][0]
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 20)
        assert daemon.end() == 0


def test_a_source_that_is_required_is_waited_for(tmp_path):
    film = tmp_path / "later.mp4"
    rig = f'[camera]\ndevice = "{film}"\n'
    with Daemon(tmp_path, rig) as daemon:
        daemon.manager.until("STATUS", f"there is no file {film}")
        daemon.ask("start")
        assert daemon.ask("status")["state"] == "starting"
        assert daemon.end() == 0
        assert all("READY" not in message for message in daemon.manager.all_that_was_said())


def test_a_manager_that_has_gone_is_no_trouble(tmp_path):
    nobody = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert not nobody.tell(READY=1)
    nobody.close()
    assert Notifier({}).tell(READY=1)


def test_all_is_well_while_samples_flow_the_clip_grows_and_somebody_looked():
    well = Status("recording", flowing=True, growing=True, looked_ns=100_000_000_000)
    assert is_well(well, 102_000_000_000)
    assert not is_well(well, 106_000_000_000)
    assert not is_well(replace(well, flowing=False), 102_000_000_000)
    assert not is_well(replace(well, growing=False), 102_000_000_000)


def test_words_of_many_lines_are_one_field(tmp_path):
    manager = Manager(str(tmp_path / "notify"))
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert notifier.tell(STATUS="a\nREADY=1", WATCHDOG=1)
    assert manager.next() == {"STATUS": "a READY=1", "WATCHDOG": "1"}
    notifier.close()
    manager.socket.close()


def test_the_page_is_served_and_its_address_is_waited_for(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Daemon(tmp_path, simulator(tmp_path), http=f"127.0.0.1:{port}") as daemon:
            daemon.manager.until("READY")  # the page is not what a camcorder is for
            status = daemon.until(lambda s: s["warnings"])
            assert "Address already in use" in status["warnings"][0]
            assert daemon.end() == 0
    with Daemon(tmp_path, simulator(tmp_path), http=f"127.0.0.1:{port}", name="two") as daemon:
        daemon.manager.until("READY")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status") as answer:
            assert json.load(answer)["flowing"]
        assert daemon.end() == 0


def test_the_watchdog_of_another_process_is_not_ours():
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "3000000"}).watchdog_s == 3.0
    assert Notifier({}).watchdog_s is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "No such file or directory"),
        ("[storage]\n", "declares no device: add"),
        ("[imu]\nrate = 3\n", "unknown key 'imu.rate'"),
    ],
)
def test_a_configuration_that_is_none_is_refused_in_one_line(tmp_path, text, complaint, capfd):
    from cammcorder.__main__ import main

    file = tmp_path / "rig.toml"
    if text is not None:
        file.write_text(text)
    assert main(["daemon", "-c", str(file)]) == 2
    [line] = capfd.readouterr().err.splitlines()
    assert complaint in line
    assert str(file) in line


def test_a_table_that_comes_or_goes_is_a_change(tmp_path):
    file = tmp_path / "rig.toml"
    file.write_text("[imu]\n")
    before = load(file)
    file.write_text(
        '[imu]\nrate_hz = 100.0\n[gps]\nport = "/dev/ttyS0"\n[storage]\nsegment_s = 9.0\n'
    )
    can, cannot = changes(before, load(file))
    assert can == ["storage.segment_s"]
    assert cannot == ["imu.rate_hz", "gps"]


def test_the_version_and_all_else_of_a_status_is_json(tmp_path):
    with Daemon(tmp_path, simulator(tmp_path)) as daemon:
        daemon.manager.until("READY")
        status = daemon.until(lambda s: s["fix"] and s["orientation"])
    assert json.loads(json.dumps(status))["version"] == __version__
    assert status["fix"]["latitude"] == pytest.approx(37.77, abs=0.01)


ROOT = Path(__file__).parents[2]
RPICAM = '[camera]\ndevice = "rpicam-vid"\nwidth = 320\nheight = 180\n'


@pytest.fixture
def rpicam(tmp_path, monkeypatch):
    """A stand-in for rpicam-vid on the PATH: its process and what is true of its pictures."""
    script = tmp_path / "bin/rpicam-vid"
    script.parent.mkdir()
    run = f'PYTHONPATH={ROOT} exec {sys.executable} -m hw_sim.rpicam_vid "$@"'
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{run}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setenv("RPICAM_VID_SIM", json.dumps({"truth": str(tmp_path / "truth")}))

    class Stand:
        def send(self, number):
            os.kill(int((tmp_path / "pid").read_text()), number)

        def truth(self):
            """Start, middle and end of what was exposed, a row for each picture."""
            told = map(json.loads, (tmp_path / "truth").read_text().splitlines())
            rows = [(t["start_ns"], (t["start_ns"] + t["end_ns"]) / 2, t["end_ns"]) for t in told]
            return np.array(rows)

    return Stand()


def pictures(path, truth):
    """Which of the pictures a clip has, all of it being true of them."""
    with reader.open(path) as clip:
        zero = clip.metadata["movie"]["zero_monotonic_ns"]
        shown, begun = clip.video.pts_ns + zero, clip.exposure.t_ns + zero
        open_ns = clip.exposure.data["pixel_exposure_time"].astype(np.int64)
        open_ns += clip.exposure.data["rolling_shutter_skew_time"]
    which = np.abs(truth[:, 1] - shown[:, None]).argmin(axis=1)
    start, middle, end = truth[which].T
    np.testing.assert_allclose(shown, middle, atol=2000, rtol=0)
    np.testing.assert_allclose(begun[1:], start[1:], atol=2000, rtol=0)  # the first: before zero
    np.testing.assert_allclose(open_ns, end - start, atol=2000, rtol=0)
    return list(which)


def test_a_camera_of_a_pi_is_filmed_in_segments_and_no_picture_is_missing(tmp_path, rpicam):
    with Daemon(tmp_path, RPICAM, storage="segment_s = 1.0\npre_roll_s = 0.0") as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        first = daemon.until(lambda s: s["last_clip"])["last_clip"]
        daemon.until(lambda s: s["last_clip"] != first)
        assert daemon.end() == 0
        truth = rpicam.truth()
        clips = [pictures(path, truth) for path in sorted(daemon.clips.iterdir())]
    assert len(clips) >= 2
    filmed = [number for clip in clips for number in clip]
    assert filmed == list(range(filmed[0], filmed[-1] + 1))


def test_a_camera_whose_program_dies_ends_the_clip_and_films_the_next(tmp_path, rpicam):
    with Daemon(tmp_path, RPICAM) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 30)
        before = rpicam.truth()
        rpicam.send(signal.SIGKILL)
        status = daemon.until(lambda s: s["last_clip"] and s["clip"] and s["clip"]["frames"])
        [camera] = status["sources"]
        assert camera["failures"] == 1
        assert camera["error"].startswith("rpicam-vid has ended: ")
        assert daemon.end() == 0
        first, second = sorted(daemon.clips.iterdir())
        assert len(pictures(second, rpicam.truth())) > 0
    with reader.open(first) as clip:
        last_ns = clip.video.pts_ns[-1] + clip.metadata["movie"]["zero_monotonic_ns"]
    assert last_ns > before[-10, 1]  # what it had told of was not lost with it


def test_a_camera_that_hangs_does_not_keep_a_clip_from_its_end(tmp_path, rpicam):
    with Daemon(tmp_path, RPICAM) as daemon:
        daemon.manager.until("READY")
        daemon.ask("start")
        daemon.until(lambda s: s["clip"] and s["clip"]["frames"] > 30)
        rpicam.send(signal.SIGSTOP)
        assert daemon.end() == 0
        [path] = daemon.clips.iterdir()
        assert path.name.endswith("Z.mp4")
        with reader.open(path) as clip:
            assert "unfinished" not in clip.metadata
            assert len(clip.video.table) > 30
