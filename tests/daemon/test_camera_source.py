"""A camera that ends, fails, hangs and comes back, perhaps as another."""

import errno
import itertools
import threading
import time

import numpy as np
import pytest

from camm import Packet, PacketType, Samples, StreamFormat, empty_values
from daemon.camcorder import Camcorder
from daemon.configuration import StorageSettings
from daemon.rig import Rig
from daemon.shelf import Shelf
from daemon.sources import CameraSource, Delivery, Filming, Source
from drivers.errors import DeviceError, EndOfSource
from hw_sim.clock import VirtualClock
from muxer import reader

SECOND = 1_000_000_000
START = 7_000 * SECOND
FRAME = SECOND // 25
SMALL = StreamFormat("video", "mjpeg", 1000, width=16, height=16)
LARGE = StreamFormat("video", "mjpeg", 1000, width=32, height=32)


class Lantern:
    """Twenty-five slides a second. `plan` is what it does, from one opening to the next:

    (format, slides, what then): an error, or "hang".
    """

    name = "lantern"

    def __init__(self, clock, *plan, key_every=1):
        self.clock, self.plan, self.key_every = clock, list(plan), key_every
        self.opened = self.closed = self.number = 0

    def open(self):
        self.opened += 1
        if isinstance(self.plan[0], Exception):
            raise self.plan.pop(0)
        form, self.left, self.then = self.plan.pop(0)
        self.formats = [form]

    def read(self):
        if self.left == 0:
            if self.then == "hang":
                self.clock.sleep_until(self.clock.now_ns() + SECOND // 4)
                return []
            raise self.then
        self.left -= 1
        self.number += 1
        t_ns = (self.clock.now_ns() // FRAME + 1) * FRAME
        self.clock.sleep_until(t_ns)
        key = self.left % self.key_every == 0
        return [Packet(0, b"\xff\xd8" + bytes(100), t_ns, t_ns, FRAME, key)]

    def close(self):
        self.closed += 1

    def describe(self):
        return {"time": "of the lamp"}


UNPLUGGED = DeviceError(errno.ENODEV, "unplugged")
ENDED = EndOfSource(0, "no more slides")


def delivered(*plan, until_s=20, comes_back=True, **options):
    """What a source delivers, None for its last word, and the source."""
    clock = VirtualClock(START, 0)
    source = CameraSource(Lantern(clock, *plan, **options), clock)
    source.comes_back = comes_back
    source.open()
    got = []
    source.start(got.append)
    clock.sleep_until(START + until_s * SECOND)
    source.stop()
    source.join()
    return got, source


def contents(got):
    """In short: how many packets, or what changed."""
    short = []
    for content in (delivery.content for delivery in got):
        match content:
            case Filming(formats, packets):
                short.append(("filming", [form.width for form in formats], len(packets)))
            case None:
                short.append("end")
            case packets if short and isinstance(short[-1], int):
                short[-1] += len(packets)
            case packets:
                short.append(len(packets))
    return short


def test_one_that_fails_has_gone_at_once_and_comes_back_as_another():
    got, source = delivered((SMALL, 50, UNPLUGGED), (LARGE, 25, "hang"), until_s=4)
    assert contents(got) == [50, ("filming", [], 0), ("filming", [32], 1), 24, "end"]
    assert source.statistics.failures == 1
    assert source.formats == [LARGE]


def test_it_is_waited_for_as_long_as_it_takes():
    away = [DeviceError(errno.ENODEV, "there is no lantern")] * 3
    got, source = delivered((SMALL, 50, UNPLUGGED), *away, (SMALL, 10**9, "hang"))
    assert contents(got)[:3] == [50, ("filming", [], 0), ("filming", [16], 1)]
    assert source.statistics.failures == 4


def test_one_that_hangs_is_taken_for_one_that_has_gone():
    got, source = delivered((SMALL, 50, "hang"), (SMALL, 10**9, "hang"))
    assert contents(got)[:3] == [50, ("filming", [], 0), ("filming", [16], 1)]
    assert source.statistics.error == "lantern shows nothing: check its cable and mode"
    gone_ns = next(d.at_ns for d in got if isinstance(d.content, Filming))
    assert 3 * SECOND < gone_ns - START - 50 * FRAME < 4 * SECOND


def test_one_that_shows_no_picture_at_all_hangs_too():
    _, source = delivered((SMALL, 0, "hang"), (SMALL, 0, "hang"), (SMALL, 0, "hang"), until_s=8)
    assert source.statistics.failures == 2


def test_one_that_comes_back_is_there_with_its_first_key_frame():
    got, _ = delivered((SMALL, 50, UNPLUGGED), (SMALL, 53, "hang"), until_s=5, key_every=10)
    assert contents(got) == [50, ("filming", [], 0), ("filming", [16], 1), 50, "end"]


def test_a_film_that_has_ended_begins_anew():
    got, source = delivered((SMALL, 50, ENDED), (SMALL, 50, ENDED), (SMALL, 5, "hang"), until_s=5)
    again = ("filming", [16], 1)
    assert contents(got) == [50, again, 49, again, 4, "end"]
    assert source.statistics.failures == 0


def test_a_film_without_a_picture_does_not():
    got, source = delivered((SMALL, 0, ENDED), (SMALL, 50, "hang"), until_s=4)
    assert contents(got) == [("filming", [], 0), "end"]
    assert source.finished


def test_a_film_that_cannot_begin_anew_has_gone():
    missing = DeviceError(errno.ENOENT, "there is no file")
    got, _ = delivered((SMALL, 50, ENDED), missing, (SMALL, 5, "hang"), until_s=4)
    assert contents(got) == [50, ("filming", [], 0), ("filming", [16], 1), 4, "end"]


@pytest.mark.parametrize(("then", "failures"), [(UNPLUGGED, 1), (ENDED, 0), ("hang", 1)])
def test_of_one_file_it_is_the_end(then, failures):
    got, source = delivered((SMALL, 50, then), until_s=6, comes_back=False)
    assert contents(got) == [50, "end"]
    assert source.statistics.failures == failures
    assert source.finished


def test_a_picture_that_is_missing_is_counted():
    clock = VirtualClock(START, 0)
    source = CameraSource(Gaps(clock), clock)
    source.open()
    for _ in range(5):
        source.read()
    assert (source.statistics.delivered, source.statistics.lost) == (5, 3)
    assert source.describe() == {
        "device": "gaps",
        "streams": ["video mjpeg"],
        "time": "of the lamp",
    }


class Gaps(Lantern):
    name = "gaps"

    def __init__(self, clock):
        super().__init__(clock, (SMALL, 10, "hang"))
        self.frames = iter([0, 1, 3, 4, 7])

    def read(self):
        t_ns = START + next(self.frames) * FRAME + self.left % 2 * 3_000_000
        return [Packet(0, b"", t_ns, t_ns, FRAME)]


class Thermometer(Source):
    """Ten samples a second, whatever the camera does."""

    def __init__(self, clock):
        super().__init__("gps", clock)

    def open(self):
        pass

    def close(self):
        pass

    def gps_time_ns_at(self, t_ns):
        return None

    def read(self):
        t_ns = (self.clock.now_ns() // (SECOND // 10) + 1) * (SECOND // 10)
        self.clock.sleep_until(t_ns)
        self._delivered += 1
        samples = Samples(PacketType.MIN_GPS, np.array([t_ns]), empty_values(PacketType.MIN_GPS, 1))
        return Delivery(self.name, samples, t_ns + 1, t_ns)


def frames_of(camcorder):
    clip = camcorder.status.clip
    return 0 if clip is None else clip.frames


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("then", [UNPLUGGED, "hang"], ids=str)
def test_a_clip_ends_with_the_camera_and_another_begins_when_it_is_back(tmp_path, then, required):
    """In between the sensors are recorded on, in a clip without pictures."""

    def make():
        clock = VirtualClock(START, 1_800_000_000 * SECOND)
        rig = Rig(clock, warm_up_ns=0)
        away = [DeviceError(errno.ENODEV, "there is no lantern")] * 6
        lantern = Lantern(clock, (SMALL, 100, then), *away, (LARGE, 10**9, "hang"))
        rig.camera = CameraSource(lantern, clock)
        rig.camera.required = required
        rig.gps = Thermometer(clock)
        rig.begin = lambda: setattr(clock, "speed", 20.0)
        return rig

    storage = StorageSettings(folder=str(tmp_path), keep_free_mb=1, pre_roll_s=0)
    camcorder = Camcorder(make, Shelf(tmp_path, "1f3a9c02"), storage, version="test")
    thread = threading.Thread(target=camcorder.run)
    camcorder.start()
    thread.start()
    said = set()
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("*.mp4"))) < 3 or frames_of(camcorder) < 50:
        assert time.monotonic() < deadline, camcorder.status
        said.update(camcorder.status.warnings)
        time.sleep(0.005)
    camcorder.close()
    thread.join()
    assert "camera delivers nothing: there is no lantern" in said
    clips = []
    for path in sorted(tmp_path.glob("*.mp4"), key=lambda path: path.name):
        assert "unfinished" not in path.name
        with reader.open(path) as clip:
            zero = clip.metadata["movie"]["zero_monotonic_ns"]
            frames = 0 if clip.video is None else len(clip.video.table)
            width = 0 if clip.video is None else clip.video.width
            t_ns = clip.min_gps.t_ns + zero
            clips.append((zero, frames, width, t_ns))
    clips.sort(key=lambda clip: clip[0])
    (_, frames, width, first), (_, none, nothing, between), (_, more, other, last) = clips
    assert 99 <= frames <= 100  # recording may begin a moment after filming
    assert (width, none, nothing, other) == (16, 0, 0, 32)
    assert more >= 50
    times = sorted({int(t) for block in (first, between, last) for t in block[1:]})
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert max(steps) <= 3 * SECOND // 10
