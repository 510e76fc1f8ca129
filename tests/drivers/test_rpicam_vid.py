"""The program rpicam-vid through its simulated stand-in: a real process, real pipes, real H.264."""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import av
import pytest

from camm.errors import CammError
from drivers.camera import CameraOptions
from drivers.clock import HostClock
from drivers.errors import DeviceError
from drivers.line_time import SensorMode
from drivers.rpicam_vid import RpicamVid

OPTIONS = CameraOptions("rpicam-vid", width=320, height=180, fps=30)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts the stand-in on the PATH, with a plan; gives the file of the truth."""

    def put(**plan):
        script = tmp_path / "bin/rpicam-vid"
        script.parent.mkdir(exist_ok=True)
        run = f'PYTHONPATH={ROOT} exec {sys.executable} -m hw_sim.rpicam_vid "$@"'
        script.write_text(f"#!/bin/sh\n{run}\n")
        script.chmod(0o755)
        plan = {"truth": str(tmp_path / "truth"), **plan}
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        monkeypatch.setenv("RPICAM_VID_SIM", json.dumps(plan))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return tmp_path / "truth"

    return put


@pytest.fixture
def camera():
    camera = RpicamVid(OPTIONS, HostClock(), lambda _: SensorMode(1640, 1232, 18904.0))
    yield camera
    camera.close()


def film(camera):
    """All packets until it ends, and how that is told."""
    packets = []
    camera.open()
    while True:
        try:
            packets += camera.read()
        except DeviceError as error:
            return packets, str(error)


def truths(path):
    return {t["number"]: t for t in map(json.loads, path.read_text().splitlines())}


def numbers(packets, truth):
    """Which pictures they are, by what they say of their shutter; to a microsecond."""
    told = []
    for packet in packets:
        (number,) = (
            n
            for n, t in truth.items()
            if abs(packet.pts_ns - (t["start_ns"] + t["end_ns"]) / 2) < 1000
        )
        if packet.exposure_ns is not None:
            assert abs(packet.exposure_start_ns - truth[number]["start_ns"]) < 1000
            assert packet.exposure_ns == truth[number]["exposure_ns"]
            end_ns = packet.exposure_start_ns + packet.exposure_ns + packet.skew_ns
            assert abs(end_ns - truth[number]["end_ns"]) < 1000
        told.append(number)
    return told


def test_every_picture_has_the_shutter_that_was_its_own(program, camera):
    truth = program(pictures=90)
    packets, end = film(camera)
    # The parser holds the last one back until another begins.
    assert numbers(packets, truths(truth)) == list(range(89))
    assert all(packet.exposure_ns is not None for packet in packets)
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 30, 60]
    assert end.startswith("rpicam-vid has ended: ")


def test_the_pictures_can_be_decoded(program, camera):
    program(pictures=40)
    packets, _ = film(camera)
    decoder = av.VideoCodecContext.create("h264", "r")
    frames = [frame for p in packets for frame in decoder.decode(av.Packet(p.data))]
    frames += decoder.decode(None)
    assert len(frames) == 39
    assert (frames[0].width, frames[0].height) == (320, 180)


@pytest.mark.parametrize("first", [0, 1, 5])
def test_pictures_that_the_encoder_leaves_out_shift_no_times(program, camera, first):
    left_out = [first, 40, 41]
    truth = program(pictures=80, left_out=left_out)
    packets, _ = film(camera)
    # It tells of one picture with each that it writes: of the last three it has not yet.
    assert numbers(packets, truths(truth)) == [n for n in range(77) if n not in left_out]
    assert camera.describe()["dropped_by_encoder"] == len([n for n in left_out if n > 0])


def test_pictures_that_nobody_gets_leave_a_gap(program, camera):
    truth = program(pictures=60, lost=[20, 21])
    packets, _ = film(camera)
    told = numbers(packets, truths(truth))
    assert told == [n for n in range(59) if n not in (20, 21)]
    assert camera.describe()["dropped_by_encoder"] == 0


def test_a_picture_without_metadata_has_a_time_and_no_shutter(program, camera):
    program(pictures=60, untold=[25])
    packets, _ = film(camera)
    without = [n for n, packet in enumerate(packets) if packet.exposure_ns is None]
    assert without == [25]
    assert abs(packets[25].pts_ns - (packets[24].pts_ns + packets[26].pts_ns) // 2) < 100_000
    assert camera.describe()["without_shutter"] == 1


def test_what_the_picture_shows_of_the_sensor_counts(program, camera):
    truth = program(pictures=40, crop=[0, 310, 3280, 1844])
    packets, _ = film(camera)
    assert numbers(packets, truths(truth)) == list(range(39))
    assert packets[0].skew_ns == 921 * 18904


def test_the_mode_is_read_from_the_log_where_the_sensor_cannot_be_asked(program):
    program(pictures=40)
    camera = RpicamVid(OPTIONS, HostClock(), lambda _: None)
    packets, _ = film(camera)
    camera.close()
    assert camera.describe()["line_time"] == "table"
    assert packets[0].skew_ns == pytest.approx(1231 * 3448 / 182.4e6 * 1e9, abs=1)


@pytest.mark.parametrize("pipe", ["output", "times", "metadata"])
def test_nonsense_is_told(program, camera, pipe):
    program(pictures=120, garbage=pipe)
    _, end = film(camera)
    assert "\n" not in end
    assert "cannot be read" in end or "other times than pictures" in end


def test_why_it_has_ended_is_its_last_line(program, camera):
    program(pictures=0, log="failed to acquire camera /base/soc/i2c0mux/i2c@1/imx219@10")
    packets, end = film(camera)
    assert packets == []
    assert end.endswith("ERROR: *** failed to acquire camera /base/soc/i2c0mux/i2c@1/imx219@10 ***")


def test_a_camera_that_is_not_there_is_told_when_it_is_opened(program):
    program()
    camera = RpicamVid(CameraOptions("rpicam-vid:1"), HostClock())
    with pytest.raises(DeviceError, match="no camera 1, rpicam-vid lists 1"):
        camera.open()


def test_a_program_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="apt install rpicam-apps"):
        RpicamVid(OPTIONS, HostClock()).open()


def test_an_encoder_cannot_be_chosen(program):
    camera = RpicamVid(CameraOptions("rpicam-vid", encoder="libx265"), HostClock())
    with pytest.raises(CammError, match="leave `encoder` out"):
        camera.open()


def test_it_is_closed_while_it_films_and_leaves_nothing_behind(program, camera, tmp_path):
    program()
    before = (len(list(Path("/proc/self/fd").iterdir())), threading.active_count())
    camera.open()
    while not camera.read():
        pass
    (folder,) = tmp_path.glob("cammcorder-*")
    camera.close()
    assert not folder.exists()
    assert (len(list(Path("/proc/self/fd").iterdir())), threading.active_count()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_hangs_gives_nothing_and_is_closed(program, camera):
    program(pictures=20, hang=True)
    camera.open()
    while not camera.read():
        pass
    while camera.read():
        pass
    camera.close()


def test_it_can_be_opened_again_after_it_has_ended(program, camera):
    program(pictures=30)
    film(camera)
    camera.close()
    packets, _ = film(camera)
    assert len(packets) == 29
