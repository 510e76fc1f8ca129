"""Sound beside the pictures: where the clicks are, what is missing, what goes on without it."""

import errno
import itertools
import re

import av
import numpy as np
import pytest

from camm import Packet, StreamFormat
from cammcorder.__main__ import main
from daemon.camcorder import Camcorder
from daemon.configuration import StorageSettings
from daemon.rig import Rig, simulated_rig
from daemon.session import RecordingSession
from daemon.shelf import Shelf
from daemon.sources import CameraSource
from drivers.errors import DeviceError, EndOfSource
from drivers.microphone import Microphone, MicrophoneOptions
from hw_sim import scenario as scenarios
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.microphone import SimulatedMicrophone
from hw_sim.scenario import Fault, MicrophoneParameters
from muxer import reader

SECOND = 1_000_000_000
MS = 1_000_000
START = 7_000 * SECOND
FRAME = SECOND // 10
RATE = 16_000
PICTURES = StreamFormat("video", "mjpeg", 1000, width=16, height=16)
OWN_SOUND = StreamFormat("audio", "pcm_s16le", 8000, sample_rate=8000, channels=1)


class Lantern:
    """Ten slides a second, with a sound of its own."""

    name = "lantern"

    def __init__(self, clock, formats=(PICTURES,), slides=10**9):
        self.clock, self.formats, self.left = clock, formats, slides

    def open(self):
        pass

    def read(self):
        if not self.left:
            raise EndOfSource(0, "no more slides")
        self.left -= 1
        t_ns = (self.clock.now_ns() // FRAME + 1) * FRAME
        self.clock.sleep_until(t_ns)
        shown = [Packet(0, b"\xff\xd8" + bytes(100), t_ns, t_ns, FRAME)]
        if len(self.formats) > 1:
            shown.append(Packet(1, bytes(1600), t_ns, t_ns, FRAME))
        return shown

    def close(self):
        pass

    def describe(self):
        return {"time": "of the lamp"}


def make(faults=(), formats=(PICTURES,), **parameters):
    """A rig of a lantern and a microphone in simulated time, and the microphone."""
    clock = VirtualClock(START, 1_780_000_000 * SECOND)
    rig = Rig(clock, camera=CameraSource(Lantern(clock, formats), clock))
    heard = SimulatedMicrophone(
        clock,
        MicrophoneParameters(rate_hz=RATE, **parameters),
        START,
        5,
        Faults([Fault(**fault) for fault in faults], START),
    )
    for fault in faults:
        if fault["kind"] == "stall":
            at_ns = START + round(fault["at_s"] * SECOND)
            clock.stall("microphone", at_ns, at_ns + round(fault["for_s"] * SECOND))
    rig.add_sound(Microphone(MicrophoneOptions("hw:1", RATE, 1), clock, heard.open))
    return rig, heard


def record(rig, path, seconds):
    with rig:
        session = RecordingSession(rig, path, version="test")
        return session.record(round(seconds * SECOND))


def heard_in(path):
    """Times of CLOCK_MONOTONIC and samples of the clip's sound, as FFmpeg decodes it."""
    with reader.open(path) as clip:
        zero_ns = clip.metadata["movie"]["zero_monotonic_ns"]
    t_ns, sound = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray()[0]
            begin_ns = zero_ns + round(frame.pts * frame.time_base * SECOND)
            t_ns.append(begin_ns + np.arange(len(values)) * SECOND / frame.sample_rate)
            sound.append(values)
    return np.concatenate(t_ns), np.concatenate(sound)


def wrong_ns(t_ns, sound, clicks):
    """How far from each click, which must be there, the loudest sample near it is."""
    found = []
    for click in clicks:
        begin, end = np.searchsorted(t_ns, (click - 20 * MS, click + 20 * MS))
        near = np.abs(sound[begin:end])
        assert near.max() > 0.2, (click, near.max())
        found.append(t_ns[begin + near.argmax()] - click)
    return np.array(found)


def within(clicks, t_ns):
    """The clicks that are well inside of what was heard."""
    return clicks[(clicks > t_ns[0] + SECOND // 2) & (clicks < t_ns[-1] - SECOND // 2)]


def test_clicks_are_where_they_were_after_ten_minutes(tmp_path):
    rig, heard = make(clock_ppm=150.0, hand_over_jitter_ms=3.0, click_every_s=5.0)
    record(rig, tmp_path / "c.mp4", 600)
    t_ns, sound = heard_in(tmp_path / "c.mp4")
    clicks = within(heard.truth()["click_t_ns"], t_ns)
    assert len(clicks) >= 118
    assert np.abs(wrong_ns(t_ns, sound, clicks)).max() < MS
    with reader.open(tmp_path / "c.mp4") as clip:
        track = clip.tracks[1]
        assert track.codec == "mp4a"
        durations = np.unique(np.diff(track.table.dts))
        assert durations.min() >= 1021
        assert durations.max() <= 1027
        told = clip.metadata["sources"]["microphone"]
    assert told["overruns"] == told["lost"] == told["failures"] == 0
    assert told["clock_fit"]["period_error_ppm"] == pytest.approx(-150, abs=3)
    assert told["delivered"] == pytest.approx(603 * RATE / 1024, rel=0.01)


def test_sound_begins_with_the_pictures(tmp_path):
    """What was heard while clocks were fitted is not in the file."""
    rig, _ = make()
    record(rig, tmp_path / "c.mp4", 3)
    with reader.open(tmp_path / "c.mp4") as clip:
        pictures, sound, _ = clip.tracks
        assert -100 * MS < sound.pts_ns[0] <= 0
        assert sound.duration_ns == pytest.approx(pictures.duration_ns, abs=150 * MS)


def test_an_overrun_is_a_gap_in_the_sound_alone(tmp_path):
    faults = [{"kind": "stall", "part": "microphone", "at_s": 8.25, "for_s": 2.5}]
    rig, heard = make(faults)
    result = record(rig, tmp_path / "c.mp4", 12)
    assert heard.overruns == 1
    assert result.statistics.frames == 120
    told = result.metadata["sources"]["microphone"]
    assert told["overruns"] == 1
    assert told["lost"] == pytest.approx(2 * RATE / 1024, abs=15)
    t_ns, sound = heard_in(tmp_path / "c.mp4")
    clicks = within(heard.truth()["click_t_ns"], t_ns)
    lost = (clicks > START + 8 * SECOND) & (clicks < START + 11 * SECOND)
    assert np.abs(wrong_ns(t_ns, sound, clicks[~lost])).max() < MS
    with reader.open(tmp_path / "c.mp4") as clip:
        apart = np.diff(clip.tracks[1].pts_ns)
    assert (apart > 0).all()
    assert (apart > 200 * MS).sum() == 1


def test_a_microphone_that_goes_and_comes_back_leaves_the_pictures_alone(tmp_path):
    faults = [{"kind": "unplug", "part": "microphone", "at_s": 7, "for_s": 4}]
    rig, heard = make(faults)
    result = record(rig, tmp_path / "c.mp4", 15)
    assert result.statistics.frames == 150
    told = result.metadata["sources"]["microphone"]
    assert told["failures"] >= 1
    assert "went away" in told["error"]
    t_ns, sound = heard_in(tmp_path / "c.mp4")
    clicks = within(heard.truth()["click_t_ns"], t_ns)
    away = (clicks > START + 6.5 * SECOND) & (clicks < START + 13 * SECOND)
    assert (~away).sum() > 6
    assert np.abs(wrong_ns(t_ns, sound, clicks[~away])).max() < MS
    assert t_ns[-1] > START + 17 * SECOND


def test_a_microphone_that_never_comes_back_ends_the_sound(tmp_path):
    rig, _ = make([{"kind": "unplug", "part": "microphone", "at_s": 7}])
    result = record(rig, tmp_path / "c.mp4", 15)
    assert result.statistics.frames == 150
    with reader.open(tmp_path / "c.mp4") as clip:
        _, sound, _ = clip.tracks
        assert sound.duration_ns == pytest.approx(4 * SECOND, abs=SECOND // 2)
        assert clip.duration_ns == pytest.approx(15 * SECOND, abs=FRAME)


def test_the_microphone_wins_over_the_cameras_own_sound(tmp_path):
    rig, _ = make(formats=(PICTURES, OWN_SOUND))
    record(rig, tmp_path / "c.mp4", 2)
    with reader.open(tmp_path / "c.mp4") as clip:
        assert [track.codec for track in clip.tracks] == ["jpeg", "mp4a", "camm"]
    clock = VirtualClock(START, 1_780_000_000 * SECOND)
    camera = CameraSource(Lantern(clock, (PICTURES, OWN_SOUND)), clock)
    record(Rig(clock, camera=camera), tmp_path / "own.mp4", 2)
    with reader.open(tmp_path / "own.mp4") as clip:
        assert [track.codec for track in clip.tracks] == ["jpeg", "sowt", "camm"]


class Service:
    """A camcorder that runs in a thread until simulated time has come."""

    def __init__(self, folder, rig, **storage):
        settings = StorageSettings(folder=str(folder), keep_free_mb=1, **storage)
        self.camcorder = Camcorder(lambda: rig, Shelf(folder, "1f3a9c02"), settings, version="test")
        self.clock = rig.clock
        self.folder = folder

    def run_until(self, seconds):
        self.camcorder.start()

        def end():
            self.clock.sleep_until(START + round(seconds * SECOND))
            self.camcorder.close()

        self.clock.thread(end, "end")
        self.camcorder.run()
        return sorted(self.folder.glob("*.mp4"), key=zero_of)


def zero_of(path):
    with reader.open(path) as clip:
        return clip.metadata["movie"]["zero_monotonic_ns"]


def sound_packets(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_no_packet_is_lost_between_clips(tmp_path):
    rig, heard = make(clock_ppm=-90.0)
    given = []
    deliver = rig.sound._microphone.read

    def read():
        packets = deliver()
        given.extend(packet.data for packet in packets)
        return packets

    rig.sound._microphone.read = read
    clips = Service(tmp_path, rig, segment_s=3.0, pre_roll_s=0).run_until(20)
    assert len(clips) >= 5
    stored = [data for path in clips for data in sound_packets(path)]
    first = given.index(stored[0])
    assert stored == given[first : first + len(stored)]
    assert len(given) - first - len(stored) < 10  # the last, when it was closed
    for path, following in itertools.pairwise(clips[1:]):
        t_ns, sound = heard_in(path)
        clicks = heard.truth()["click_t_ns"]
        there = clicks[(clicks > zero_of(path) + SECOND) & (clicks < zero_of(following) - SECOND)]
        assert np.abs(wrong_ns(t_ns, sound, there)).max() < MS


def test_a_clip_without_the_microphone_is_silent_and_the_next_is_not(tmp_path):
    rig, _ = make([{"kind": "unplug", "part": "microphone", "at_s": 0.0, "for_s": 9.0}])
    clips = Service(tmp_path, rig, segment_s=3.0, pre_roll_s=0).run_until(20)
    with reader.open(clips[0]) as first, reader.open(clips[-1]) as last:
        assert [track.count > 0 for track in first.tracks] == [True, False, True]
        assert [track.codec for track in last.tracks] == ["jpeg", "mp4a", "camm"]
        assert last.tracks[1].duration_ns > 2 * SECOND


def test_sound_waits_for_pictures_and_takes_no_memory_meanwhile(tmp_path):
    rig, _ = make()
    rig.camera.required = False
    missing = DeviceError(errno.ENODEV, "no lantern")

    def absent():
        if rig.clock.now_ns() < START + 8 * SECOND:
            raise missing

    rig.camera._camera.open = absent
    clips = Service(tmp_path, rig, pre_roll_s=0).run_until(16)
    (clip,) = (path for path in clips if sound_packets_if_any(path))
    with reader.open(clip) as opened:
        assert opened.tracks[1].pts_ns[0] > -100 * MS


def sound_packets_if_any(path):
    with reader.open(path) as clip:
        return any(track.codec == "mp4a" and track.count for track in clip.tracks)


def test_a_simulated_rig_with_a_microphone_records_it(tmp_path, capsys):
    walk = (scenarios._BUILT_IN / "walk.toml").read_text()
    walk = re.sub(r"width = \d+\nheight = \d+", "width = 64\nheight = 36", walk)
    table = "\n[microphone]\nrate_hz = 16_000\nclock_ppm = 60.0\nclick_every_s = 0.5\n"
    (tmp_path / "loud.toml").write_text(walk + table)
    out = tmp_path / "c.mp4"
    command = ["record", "--sim", tmp_path / "loud.toml", "--speed", "max", "--duration", "4"]
    assert main([*map(str, command), "-o", str(out)]) == 0
    assert "nothing lost" in capsys.readouterr().out
    with np.load(tmp_path / "c.truth.npz") as truth:
        clicks = truth["click_t_ns"]
    t_ns, sound = heard_in(out)
    there = clicks[(clicks > t_ns[0] + 100 * MS) & (clicks < t_ns[-1] - 100 * MS)]
    assert len(there) >= 7
    assert np.abs(wrong_ns(t_ns, sound, there)).max() < MS


def test_a_simulated_rig_is_silent_unless_it_is_told():
    with simulated_rig("walk", None) as rig:
        assert rig.sound is None
        assert rig.camera.sound is None
