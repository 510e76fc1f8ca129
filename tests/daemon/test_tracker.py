"""A tracker's poses: what is taken, what is refused, and what becomes of a clip when it goes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, UsageError
from daemon.account import Account
from daemon.configuration import Configuration, FusionSettings, SimulatorSettings
from daemon.recorder import Recorder
from daemon.rig import make_rig, simulated_rig
from daemon.session import RecordingSession
from daemon.tracker import Pose, TrackerSource, poses_in
from hw_sim.clock import VirtualClock
from muxer import reader
from muxer.check import check

SECOND = 1_000_000_000
NOW_NS = 50 * SECOND
HALF = np.sqrt(0.5)


def pose(t_ns, position=(1.0, 2.0, 3.0), orientation=(1.0, 0.0, 0.0, 0.0)):
    return Pose(t_ns, position, orientation)


@pytest.fixture
def tracker():
    source = TrackerSource(VirtualClock(NOW_NS, 0), position=True, orientation=True)
    source.connect("orb")
    return source


def refused(counts):
    return {why: count for why, count in counts.items() if count and why != "accepted"}


def test_poses_come_out_as_records(tracker):
    rows = [pose(NOW_NS - 30_000_000), pose(NOW_NS - 1, (4.0, 5.0, 6.0), (HALF, 0.0, HALF, 0.0))]
    assert tracker.take(rows) == {"accepted": 2, "late": 0, "early": 0, "unwanted": 0}
    delivery = tracker.rest()
    position, turned = delivery.content.blocks
    assert position.kind is PacketType.POSITION
    assert turned.kind is PacketType.ANGLE_AXIS
    np.testing.assert_array_equal(position.t_ns, [NOW_NS - 30_000_000, NOW_NS - 1])
    np.testing.assert_array_equal(position.data, [(1, 2, 3), (4, 5, 6)])
    np.testing.assert_allclose(turned.data, [(1e-9, 0, 0), (0, np.pi / 2, 0)], atol=1e-12)
    assert NOW_NS - 1 < delivery.complete_until_ns <= NOW_NS + 1000
    assert tracker.rest().content.blocks == []
    assert tracker.statistics.delivered == 2


def test_a_quaternion_that_was_rounded_is_made_one(tracker):
    tracker.take([pose(NOW_NS, orientation=(0.71, 0.0, 0.71, 0.0))])
    _, turned = tracker.rest().content.blocks
    np.testing.assert_allclose(turned.data, [(0, np.pi / 2, 0)])


def test_time_does_not_run_backwards(tracker):
    assert refused(tracker.take([pose(NOW_NS - 10), pose(NOW_NS - 20)])) == {"late": 1}
    assert refused(tracker.take([pose(NOW_NS - 10)])) == {"late": 1}
    assert refused(tracker.take([pose(NOW_NS - 10 + 1000)])) == {"early": 1}


def test_what_may_have_been_written_is_late(tracker):
    assert refused(tracker.take([pose(NOW_NS - 1_800_000_001)])) == {"late": 1}
    assert refused(tracker.take([pose(NOW_NS - 1_800_000_000)])) == {}


def test_what_has_not_come_is_early(tracker):
    assert refused(tracker.take([pose(NOW_NS + 1), pose(NOW_NS)])) == {"early": 1}


def test_nobody_waits_for_a_tracker_that_is_not_there():
    source = TrackerSource(VirtualClock(NOW_NS, 0), position=True, orientation=False)
    assert source.rest().complete_until_ns == NOW_NS
    source.connect("orb")
    assert refused(source.take([pose(NOW_NS - 1)])) == {"late": 1}
    assert refused(source.take([pose(NOW_NS)])) == {}


def test_only_what_is_wanted_is_taken():
    source = TrackerSource(VirtualClock(NOW_NS, 0), position=True, orientation=False)
    source.connect("orb")
    assert refused(source.take([pose(NOW_NS - 5000, None)])) == {"unwanted": 1}
    assert refused(source.take([pose(NOW_NS)])) == {}
    [position] = source.rest().content.blocks
    assert position.kind is PacketType.POSITION
    assert source.expectation() == {"position": True, "orientation": False, "now_ns": NOW_NS}


def test_there_is_one_at_a_time(tracker):
    with pytest.raises(UsageError, match="another tracker is connected, 'orb'"):
        tracker.connect("vins")
    tracker.disconnect()
    assert tracker.statistics.error == "'orb' has gone"
    tracker.connect("vins")
    assert tracker.statistics.error == ""
    assert tracker.describe()["called"] == "vins"


def test_a_line_is_a_pose_or_several():
    one = '{"t_ns": 5, "position": [1, 2.5, -3e0]}'
    other = '{"t_ns": 6, "orientation": [1, 0, 0, 0]}'
    first, second = pose(5, (1, 2.5, -3.0), None), pose(6, None, (1, 0, 0, 0))
    assert poses_in(one.encode()) == [first]
    assert poses_in(f"[{one}, {other}]\n".encode()) == [first, second]
    assert poses_in(b"[]") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "a line is JSON"),
        ("{", "a line is JSON"),
        ("\xff", "a line is JSON"),
        ("[" * 900 + "]" * 900, "a (line|pose) is"),
        ("[" * 30_000, "a line is JSON"),
        ("5", "a pose is"),
        ("[[]]", "a pose is"),
        ('{"t_ns": 1}', "a pose is"),
        ('{"position": [0, 0, 0]}', "a pose is"),
        ('{"t_ns": 1, "position": [0, 0, 0], "velocity": 1}', "a pose is"),
        ('{"do": "status"}', "a pose is"),
        ('{"t_ns": 1.5, "position": [0, 0, 0]}', "t_ns is whole nanoseconds"),
        ('{"t_ns": true, "position": [0, 0, 0]}', "t_ns is whole nanoseconds"),
        ('{"t_ns": 1, "position": [0, 0]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": null}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, true]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, "1"]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, NaN]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, -Infinity]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, 1e40]}', "position is 3 numbers"),
        ('{"t_ns": 1, "position": [0, 0, 1' + "0" * 400 + "]}", "position is 3 numbers"),
        ('{"t_ns": 1, "orientation": [0, 0, 0, 0]}', "unit length"),
        ('{"t_ns": 1, "orientation": [1, 1, 1, 1]}', "unit length"),
    ],
)
def test_what_is_no_pose_is_said_in_a_line(line, words):
    with pytest.raises(UsageError, match=words) as said:
        poses_in(line.encode("latin-1"))
    assert len(str(said.value)) < 300
    assert "\n" not in str(said.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.fixed_dictionaries(
        {}, optional={"t_ns": _JSON, "position": _JSON, "orientation": _JSON, "x": _JSON}
    )
    | _JSON
)
def test_whatever_is_said_is_poses_or_refused(told):
    try:
        poses = poses_in(json.dumps(told).encode())
    except UsageError:
        return
    source = TrackerSource(VirtualClock(NOW_NS, 0), position=True, orientation=True)
    source.connect("any")
    assert sum(source.take(poses).values()) == len(poses)
    source.rest()


def recorded(path, monkeypatch, tell, seconds=8, **wanted):
    """A clip of the walk, with a thread of simulated time that `tell`s a tracker's poses."""
    filter_name = "tracker" if wanted["orientation"] else "vqf"

    def recorder(rig, sink, account, _):
        return Recorder(rig, sink, account, filter_name)

    monkeypatch.setattr("daemon.session.Recorder", recorder)
    with simulated_rig("walk", None) as rig:
        rig.tracker = TrackerSource(rig.clock, **wanted)
        thread = rig.clock.thread(lambda: tell(rig.tracker, rig.clock), "tracker program")
        result = RecordingSession(rig, path, version="test").record(seconds * SECOND)
        rig.clock.join(thread)
    assert not any(result.statistics.late.values())
    return reader.open(path)


def thirty_a_second(seconds, latency_ns=60_000_000):
    """A program that knows each pose a while after its moment."""

    def tell(source, clock):
        source.connect("orb")
        begin_ns = clock.now_ns()
        for number in range(1, seconds * 30):
            t_ns = begin_ns + number * SECOND // 30
            clock.sleep_until(t_ns + latency_ns)
            place = (float(number), -1.0, 0.5)
            assert source.take([pose(t_ns, place)])["accepted"] == 1

    return tell


def test_a_clip_has_the_trackers_poses_and_no_others(tmp_path, monkeypatch):
    tell = thirty_a_second(14)
    path = tmp_path / "clip.mp4"
    with recorded(path, monkeypatch, tell, position=True, orientation=True) as clip:
        assert 238 <= len(clip.position) <= 242
        np.testing.assert_array_equal(
            clip.position.t_ns, clip.angle_axis.t_ns[-len(clip.position) :]
        )
        assert len(clip.angle_axis) - len(clip.position) in (0, 1)  # one is made at time zero
        np.testing.assert_array_equal(np.diff(clip.position.data[:, 0]), 1.0)
        np.testing.assert_allclose(np.diff(clip.position.t_ns), SECOND / 30, atol=1001)
        assert clip.metadata["fusion"] == {
            "filter": "tracker",
            "heading": "arbitrary",
            "position": {"filter": "tracker"},
        }
        told = clip.metadata["sources"]["tracker"]
        assert told["called"] == "orb"
        assert told["accepted"] >= told["delivered"] >= len(clip.position)  # from before it, too
        assert len(clip.gyro) > 1700
        assert check(clip).sound


def test_positions_alone_stand_beside_our_own_orientation(tmp_path, monkeypatch):
    tell = thirty_a_second(14)
    path = tmp_path / "clip.mp4"
    with recorded(path, monkeypatch, tell, position=True, orientation=False) as clip:
        assert len(clip.angle_axis) == len(clip.gyro)
        assert len(clip.position) > 230
        assert clip.metadata["fusion"]["filter"] == "vqf"
        assert clip.metadata["fusion"]["heading"] == "true north"
        assert clip.metadata["fusion"]["position"] == {"filter": "tracker"}


@pytest.mark.parametrize("goes", ["hangs", "disconnects", "never comes"])
def test_a_clip_is_whole_when_the_tracker_is_not(tmp_path, monkeypatch, goes):
    def tell(source, clock):
        if goes != "never comes":
            thirty_a_second(6)(source, clock)
        if goes == "disconnects":
            source.disconnect()

    path = tmp_path / "clip.mp4"
    with recorded(path, monkeypatch, tell, position=True, orientation=True) as clip:
        assert len(clip.gyro) > 1700
        assert np.diff(clip.gyro.t_ns).max() < 10_000_000
        assert len(clip.video.table) == 240
        filmed = int(np.count_nonzero(clip.position.t_ns > 0))
        assert filmed == 0 if goes == "never comes" else 60 < filmed < 100


def test_the_configuration_says_who_tells_what():
    def made(**fusion):
        settings = FusionSettings(**fusion)
        with make_rig(Configuration(simulator=SimulatorSettings(), fusion=settings)) as rig:
            return rig.tracker

    assert made() is None
    assert made(position="gps") is None
    both = made(filter="tracker", position="tracker")
    assert (both.position, both.orientation, both.required) == (True, True, False)
    assert made(position="tracker").orientation is False
    with pytest.raises(UsageError, match="in the place of the tracker's"):
        FusionSettings(filter="tracker", refine=True)
    with pytest.raises(UsageError, match="a tracker says by itself"):
        FusionSettings(filter="tracker", output="frame")
    with pytest.raises(UsageError, match="'tracker' tells none"):
        FusionSettings(filter="tracker", position="gps")
    with simulated_rig("walk", None) as rig, pytest.raises(UsageError, match="for the service"):
        Recorder(rig, None, Account(rig, "test"), "tracker")
