"""The app over a stand-in for the camcorder: a shelf on disk, and a status that a test sets."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import av
import numpy as np
import pytest
from starlette.testclient import TestClient

from camm import Packet, StreamFormat, UsageError
from daemon.configuration import ControlSettings
from daemon.control import Control
from daemon.http.app import make_app
from daemon.shelf import Shelf
from daemon.status import ClipStatus, SourceStatus, Status

BYTES = np.random.default_rng(7).bytes(300_000)
TOKEN = "correct-horse-battery-staple"  # noqa: S105 - opens nothing


class Camcorder:
    """What `Control` asks of one."""

    def __init__(self, folder):
        self.shelf = Shelf(folder, "1f3a9c02")
        self.newest = {}
        self.newest_picture = None
        self.formats = ()
        self.now_ns = 0
        self.asked = []
        self.status = Status(
            state="ready",
            sources=(SourceStatus("imu", True, True, 225.1, 4711, 3, 1, "no answer at 0x68"),),
            flowing=True,
            free=12_345_678,
            missed=2,
            slowest_write_s=0.25,
            queued=1,
            utc=datetime(2026, 7, 2, 16, 42, 17, tzinfo=UTC),
        )

    def start(self):
        self.asked.append("start")
        clip = ClipStatus("2026-07-02T16-42-17Z.unfinished.mp4", 12.5, 5_000_000, 375, 9000, 4, 12)
        self.status = replace(
            self.status,
            state="recording",
            clip=clip,
            seconds_left=60.0,
            warnings=("gps has no fix",),
        )

    def stop(self):
        self.asked.append("stop")
        self.status = replace(self.status, state="ready", clip=None, warnings=())

    def mark(self, text):
        if self.status.clip is None:
            raise UsageError("nothing is being recorded: there is no clip to mark")
        self.asked.append(text)
        utc = "2026-07-02T16:42:29.500+00:00"
        return {"name": self.status.clip.name, "t_s": 12.5, "utc": utc, "text": text}


class Seconds:
    """A clock that a test sets; `each` passes whenever it is read."""

    def __init__(self, each=0.0):
        self.now, self.each = 1000.0, each

    def __call__(self):
        self.now += self.each
        return self.now


@pytest.fixture
def camcorder(tmp_path):
    return Camcorder(tmp_path / "clips")


@pytest.fixture
def control(camcorder):
    return Control(camcorder, "0.1.0")


@pytest.fixture
def put(camcorder):
    """Puts a clip on the shelf; each was written a minute after the one before."""
    minutes = itertools.count()

    def put(name, content=BYTES):
        path = camcorder.shelf.folder / name
        path.write_bytes(content)
        written = 1_783_010_537 + 60 * next(minutes)
        os.utime(path, (written, written))
        return path

    return put


@pytest.fixture
def now_s():
    return Seconds()


@pytest.fixture
def app(control, now_s):
    return make_app(control, ControlSettings(), now_s=now_s)


@pytest.fixture
def client(app):
    return TestClient(app, "http://localhost:8080")


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def locked(control, now_s, token_file):
    """A client of a camcorder that wants the token."""
    settings = ControlSettings(http="0.0.0.0:8080", token_file=str(token_file))
    return TestClient(make_app(control, settings, now_s=now_s), "http://localhost:8080")


@pytest.fixture
def film(camcorder):
    """Lets the camera deliver a key frame in which everything has one colour."""

    def film(width, height, grey, pixel_aspect=(1, 1)):
        encoder = av.VideoCodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = Fraction(1, 30)
        encoder.options = {"preset": "ultrafast", "x264-params": "annexb=0"}
        encoder.flags |= 1 << 22  # global header
        picture = np.full((height, width, 3), grey, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        (packet, *_) = [*encoder.encode(frame), *encoder.encode(None)]
        extradata = bytes(encoder.extradata)
        stream = StreamFormat("video", "h264", 30, extradata, width, height, pixel_aspect)
        camcorder.formats = (stream,)
        camcorder.newest_picture = Packet(0, bytes(packet), 0, 0, 33_000_000)

    return film
