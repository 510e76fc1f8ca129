"""Clip after clip: nothing is lost or told twice between one and the next."""

import errno
from datetime import UTC, datetime

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camm import Packet, PacketType, Samples, StreamFormat, empty_values
from muxer import reader
from muxer.clip_writer import ClipWriter
from muxer.recording_file import MovieDescription
from muxer.reel import Reel

ABOUT = MovieDescription(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "Maker", "Model", {})
VIDEO = StreamFormat("video", "mjpeg", 90_000, width=64, height=48)
ZERO = 7_000_000_123_000
MS = 1_000_000
SECOND = 1_000_000_000
PERIOD = 40 * MS
LEAD = 9 * MS
"""The shutter opens so long before a picture's presentation time."""


class Folder:
    """Clips in a folder, some of which the disk does not take."""

    def __init__(self, path, formats=(VIDEO,)):
        self.path, self.formats = path, formats
        self.ended, self.failed = [], []
        self.room = 10**9
        self.number = 0

    def begin(self, zero_ns):
        self.number += 1
        clip = ClipWriter(self.path / f"{self.number}.mp4", self.formats, ABOUT, zero_ns)
        write = clip.write

        def until_full(piece):
            if self.room <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room -= 1
            write(piece)

        clip.write = until_full
        return clip

    def end(self, clip, statistics, end_ns):
        clip.finalise(ABOUT)
        self.ended.append((clip.path, clip.zero_ns, statistics, end_ns))

    def fail(self, clip, error):
        if clip is not None:
            clip.close()
        self.failed.append((clip and clip.path, error))


class Rig:
    """A camera of 25 pictures a second, a gyroscope at 200 Hz, a receiver at 10 Hz."""

    def __init__(self, reel, key=25, camera=True):
        self.reel, self.key, self.camera = reel, key, camera
        self.now = ZERO
        self.number = self.sampled = self.fixed = 0

    def run(self, seconds):
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.now += PERIOD
            pts = ZERO + self.number * PERIOD
            if self.camera:
                told = {"exposure_start_ns": pts - LEAD, "exposure_ns": MS, "skew_ns": MS}
                key = self.number % self.key == 0
                data = b"picture %d" % self.number
                self.reel.add_packets([Packet(0, data, pts, pts, PERIOD, key, **told)])
            self.number += 1
            numbers = np.arange(self.sampled, self.sampled + 8)
            self.sampled += 8
            t_ns = ZERO + numbers * 5 * MS + 777
            rates = np.stack([numbers, numbers, numbers], axis=1).astype(float)
            blocks = [Samples(PacketType.GYRO, t_ns, rates)]
            self.reel.add_samples("imu", blocks, int(t_ns[-1]) + 1)
            if self.number % 3 == 0:
                values = empty_values(PacketType.MIN_GPS, 1)
                values["latitude"] = self.fixed
                t_ns = np.array([ZERO + self.fixed * 120 * MS + 555])
                self.fixed += 1
                blocks = [Samples(PacketType.MIN_GPS, t_ns, values)]
                self.reel.add_samples("gps", blocks, int(t_ns[0]) + 120 * MS)
            self.reel.advance(self.now)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def make(folder, **options):
    return Reel(folder.formats, folder, sources=["imu", "gps"], **options)


def pictures_in(path):
    with av.open(str(path)) as container:
        return [int(bytes(p).split()[1]) for p in container.demux(video=0) if p.size]


def samples_in(path, kind):
    """Those that were measured: of what stands at zero nothing was."""
    with reader.open(path) as clip:
        samples = {PacketType.GYRO: clip.gyro, PacketType.MIN_GPS: clip.min_gps}[kind]
        return samples[samples.t_ns > 0]


def assert_consecutive(paths):
    """Every picture, its exposure and every sample is in one of the clips, in order, once."""
    pictures = [number for path in paths for number in pictures_in(path)]
    assert pictures == list(range(pictures[0], pictures[0] + len(pictures)))
    told = np.concatenate([samples_in(path, PacketType.GYRO).data[:, 0] for path in paths])
    assert np.array_equal(told, np.arange(told[0], told[0] + len(told)))
    fixes = np.concatenate(
        [samples_in(path, PacketType.MIN_GPS).data["latitude"] for path in paths]
    )
    assert np.array_equal(fixes, np.arange(fixes[0], fixes[0] + len(fixes)))
    for path in paths:
        with reader.open(path) as clip:
            assert len(clip.exposure.t_ns) == len(pictures_in(path))
            assert clip.exposure.data["pixel_exposure_time"].min() == MS


@given(
    key=st.sampled_from([10, 25, 60]),
    longest=st.sampled_from([1.0, 1.7, 3.0]),
    seconds=st.floats(4, 9),
)
@settings(max_examples=12)
def test_segments_follow_each_other_without_a_gap(tmp_path_factory, key, longest, seconds):
    folder = Folder(tmp_path_factory.mktemp("clips"))
    reel = make(folder, longest_ns=round(longest * SECOND))
    rig = Rig(reel, key)
    reel.start(rig.now)
    rig.run(seconds)
    reel.finish(rig.now)
    paths = [path for path, *_ in folder.ended]
    assert len(paths) > 1
    assert pictures_in(paths[0])[0] == 0
    assert pictures_in(paths[-1])[-1] == rig.number - 1
    assert_consecutive(paths)
    for _, zero_ns, statistics, end_ns in folder.ended[:-1]:
        assert end_ns - zero_ns >= longest * SECOND
        assert not any(statistics.late.values())
    assert reel.missed == 0


def test_a_clip_is_followed_by_another_when_it_is_large(folder):
    reel = make(folder, largest=12_000)
    rig = Rig(reel)
    reel.start(rig.now)
    rig.run(8)
    reel.finish(rig.now)
    paths = [path for path, *_ in folder.ended]
    assert len(paths) > 2
    for _, _, statistics, _ in folder.ended[:-1]:
        assert 12_000 <= statistics.bytes < 12_000 + 8_000
    assert_consecutive(paths)


@pytest.mark.parametrize("pre_roll", [0.0, 1.0, 2.5])
def test_a_clip_begins_before_it_is_asked_for(folder, pre_roll):
    reel = make(folder, pre_roll_ns=round(pre_roll * SECOND))
    rig = Rig(reel)
    rig.run(7.3)
    reel.start(rig.now)
    rig.run(PERIOD / SECOND)
    assert reel.statistics().frames >= 25  # something is in the file at once
    asked = rig.now - PERIOD
    rig.run(2)
    reel.finish(rig.now)
    [(path, zero_ns, _, _)] = folder.ended
    early = (asked - zero_ns) / SECOND
    assert max(pre_roll, 0.3) <= early <= pre_roll + 2.5
    assert (pictures_in(path)[0]) % 25 == 0
    assert_consecutive([path])
    with reader.open(path) as clip:  # what stands at zero lies between its neighbours
        assert clip.gyro.t_ns[0] == 0
        assert 0 < clip.gyro.data[1, 0] - clip.gyro.data[0, 0] < 1


def test_a_clip_ends_with_the_picture_before_it_is_told_to(folder):
    reel = make(folder)
    rig = Rig(reel)
    reel.start(rig.now)
    rig.run(3.5)
    asked = rig.now
    reel.stop(asked)
    rig.run(2)
    [(path, _, statistics, end_ns)] = folder.ended
    last = pictures_in(path)[-1]
    assert ZERO + last * PERIOD - LEAD < asked <= ZERO + (last + 1) * PERIOD - LEAD
    assert asked <= end_ns < asked + PERIOD
    assert statistics.frames == last + 1
    assert not reel.wanted
    assert_consecutive([path])


def test_clips_that_are_started_and_stopped_share_nothing(folder):
    reel = make(folder)
    rig = Rig(reel)
    for _ in range(5):
        rig.run(1.7)
        reel.start(rig.now)
        rig.run(2.1)
        reel.stop(rig.now)
        rig.run(1.1)
    paths = [path for path, *_ in folder.ended]
    assert len(paths) == 5
    numbers = [number for path in paths for number in pictures_in(path)]
    assert len(set(numbers)) == len(numbers)
    for path in paths:
        assert_consecutive([path])
    assert reel.missed == 0


def test_stopping_before_there_is_a_picture_makes_no_clip(folder):
    reel = make(folder)
    reel.start(ZERO)
    reel.stop(ZERO)
    rig = Rig(reel)
    rig.run(3)
    assert not reel.wanted
    assert len(folder.ended) <= 1


def test_a_full_disk_halts_and_nothing_of_the_clip_is_lost(folder):
    reel = make(folder)
    rig = Rig(reel)
    reel.start(rig.now)
    folder.room = 3
    rig.run(8)
    [(path, error)] = folder.failed
    assert error.errno == errno.ENOSPC
    assert reel.halted
    assert reel.wanted
    first = pictures_in(path)
    assert first == list(range(len(first)))
    folder.room = 100
    reel.resume()
    rig.run(3)
    reel.finish(rig.now)
    [(path, *_)] = folder.ended
    second = pictures_in(path)
    assert second[-1] == rig.number - 1
    assert reel.missed == second[0] - len(first) > 0
    assert_consecutive([path])


def test_a_disk_that_recovers_at_once_costs_nothing(folder):
    reel = make(folder, pre_roll_ns=2 * SECOND)
    rig = Rig(reel)
    reel.start(rig.now)
    folder.room = 3
    while not reel.halted:
        rig.run(0.04)
    folder.room = 100
    reel.resume()
    rig.run(3)
    reel.finish(rig.now)
    failed, ended = folder.failed[0][0], folder.ended[0][0]
    assert pictures_in(failed) + pictures_in(ended) == list(range(rig.number))
    assert reel.missed == 0
    # What was measured while the first picture of the new clip was taken is in neither.
    last = samples_in(failed, PacketType.GYRO).data[-1, 0]
    first = samples_in(ended, PacketType.GYRO).data[0, 0]
    assert 1 <= first - last <= 1 + LEAD / (5 * MS)


def test_a_camera_that_hangs_ends_with_the_clock(folder):
    reel = make(folder)
    rig = Rig(reel)
    reel.start(rig.now)
    rig.run(3)
    rig.camera = False
    reel.stop(rig.now)
    rig.run(4)
    [(path, *_)] = folder.ended
    assert len(pictures_in(path)) == 75
    assert not reel.wanted


def test_what_is_held_for_a_camera_that_hangs_has_an_end(folder):
    reel = make(folder, pre_roll_ns=2 * SECOND)
    rig = Rig(reel)
    rig.run(3)
    rig.camera = False
    rig.run(40)
    held = len(reel._held)
    rig.run(40)
    assert len(reel._held) <= held <= 35
    rig.camera = True
    rig.run(3)
    reel.start(rig.now)
    rig.run(3)
    reel.finish(rig.now)
    [(path, *_)] = folder.ended
    assert_consecutive([path])
    assert reel.missed == 0


def test_a_rig_without_a_camera_has_clips_of_samples(tmp_path):
    folder = Folder(tmp_path, formats=())
    reel = make(folder, start_ns=ZERO, longest_ns=2 * SECOND)
    rig = Rig(reel, camera=False)
    rig.run(1.5)
    reel.start(rig.now)
    rig.run(5.2)
    reel.stop(rig.now)
    rig.run(3)
    paths = [path for path, *_ in folder.ended]
    assert len(paths) == 4
    told = np.concatenate([samples_in(path, PacketType.GYRO).data[:, 0] for path in paths])
    assert np.array_equal(told, np.arange(told[0], told[0] + len(told)))
    last_ns = folder.ended[-1][3]
    assert ZERO + told[-1] * 5 * MS + 777 == pytest.approx(last_ns, abs=5 * MS)
