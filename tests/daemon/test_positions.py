"""Type 4 of a simulated rig: how near the truth it is, and when it says nothing."""

from dataclasses import replace

import numpy as np
import pytest

from camm import PacketType, UsageError
from daemon.account import Account
from daemon.configuration import Configuration, FusionSettings, GpsSettings, SimulatorSettings
from daemon.recorder import Recorder
from daemon.rig import simulated_rig
from daemon.session import RecordingSession
from hw_sim.scenario import Fault, load_scenario
from muxer import reader
from muxer.check import check


def recorded(path, monkeypatch, scenario="walk", seconds=20, output="imu"):
    """The clip and the truth."""

    def recorder(rig, sink, account, filter_name):
        return Recorder(rig, sink, account, filter_name, output, "gps")

    monkeypatch.setattr("daemon.session.Recorder", recorder)
    truth = path.with_suffix(".npz")
    with simulated_rig(scenario, None) as rig:
        RecordingSession(rig, path, version="test").record(seconds * 1_000_000_000)
        rig.save_truth(truth)
    with np.load(truth) as arrays:
        return reader.open(path), dict(arrays)


def geocentric(latitude_deg, longitude_deg, height):
    """Metres from the centre of the Earth (N, 3), by the textbook."""
    semi_major, flattening = 6_378_137.0, 1 / 298.257223563
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    square = flattening * (2 - flattening)
    normal = semi_major / np.sqrt(1 - square * np.sin(latitude) ** 2)
    level = (normal + height) * np.cos(latitude)
    upright = (normal * (1 - square) + height) * np.sin(latitude)
    return np.stack([level * np.cos(longitude), level * np.sin(longitude), upright], axis=-1)


def from_place(origin, place):
    """East, down, north (N, 3) of an origin, both as latitude, longitude, height."""
    away = geocentric(*place) - geocentric(*origin)
    latitude, longitude = np.radians(origin[:2])
    x, y, z = away.T
    outwards = x * np.cos(longitude) + y * np.sin(longitude)
    east = y * np.cos(longitude) - x * np.sin(longitude)
    north = z * np.cos(latitude) - outwards * np.sin(latitude)
    up = z * np.sin(latitude) + outwards * np.cos(latitude)
    return np.stack([east, -up, north], axis=-1)


def errors(clip, truth, scenario):
    """Of the positions, and of the fixes at their own times; both east, down, north."""
    place = load_scenario(scenario).place
    centre = place.latitude_deg, place.longitude_deg, place.height_m
    [frame] = clip.metadata["fusion"]["position"]["frames"]
    origin = from_place(centre, tuple(np.array([frame[key]]) for key in GEODETIC))

    def true(t_ns):
        zero_ns = clip.metadata["movie"]["zero_monotonic_ns"]
        at = (t_ns + zero_ns - truth["imu_t_ns"][0]) / 1e9
        known = (truth["imu_t_ns"] - truth["imu_t_ns"][0]) / 1e9
        return np.stack([np.interp(at, known, axis) for axis in truth["imu_position"].T], axis=1)

    fixes = clip.gps.data
    said = from_place(centre, (fixes["latitude"], fixes["longitude"], fixes["altitude"]))
    positions = clip.position
    return positions.data + origin - true(positions.t_ns), said - true(clip.gps.t_ns)


GEODETIC = ("latitude", "longitude", "altitude")


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


@pytest.mark.parametrize("scenario", ["walk", "car-city"])
def test_positions_are_as_near_as_the_fixes_and_much_smoother(tmp_path, monkeypatch, scenario):
    clip, truth = recorded(tmp_path / "clip.mp4", monkeypatch, scenario)
    with clip:
        found, fixes = errors(clip, truth, scenario)
        level = [0, 2]
        assert rms(found[:, level]) < 1.15 * rms(fixes[:, level])
        assert rms(found) < 2.5
        # By how much the error changes within the tenth of a second between two fixes.
        apart = clip.position.t_ns.searchsorted(clip.position.t_ns[0] + 100_000_000)
        wander = rms((found[apart:] - found[:-apart])[:, level])
        assert wander < 0.25 * rms(np.diff(fixes, axis=0)[:, level])
        assert np.abs(np.diff(found, axis=0)).max() < 0.02
        assert not clip.metadata["late"]


def test_a_position_stands_at_each_inertial_sample(tmp_path, monkeypatch):
    clip, _ = recorded(tmp_path / "clip.mp4", monkeypatch, seconds=6)
    with clip:
        t_ns, own = clip.position.t_ns, clip.gyro.t_ns
        np.testing.assert_array_equal(t_ns, own[own > 0])  # a fix behind the end was waited for
        told = clip.metadata["fusion"]["position"]
        assert told["filter"] == "gps"
        assert told["begun"] == 1
        assert told["refused"] == 0
        assert told["used"] >= 60
        assert check(clip).sound


@pytest.mark.parametrize("output", ["frame", 20.0])
def test_output_says_when_there_is_a_position(tmp_path, monkeypatch, output):
    clip, _ = recorded(tmp_path / "clip.mp4", monkeypatch, seconds=6, output=output)
    with clip:
        position, turned = clip.position.t_ns, clip.angle_axis.t_ns
        # At time zero an orientation is interpolated, a position is not.
        wanted = turned[(turned >= position[0]) & (turned <= position[-1])]
        np.testing.assert_array_equal(position, wanted)
        assert len(position) > 0.9 * len(turned)
        assert not clip.metadata["late"]


def test_without_fixes_there_are_no_positions_and_the_clip_goes_on(tmp_path, monkeypatch):
    scenario = load_scenario("walk")
    silent = Fault(kind="gps_silent", part="gps", at_s=8.0, for_s=4.0)
    scenario = replace(scenario, fault=(silent,))
    monkeypatch.setattr("hw_sim.scenario.load_scenario", lambda name: scenario)
    clip, truth = recorded(tmp_path / "clip.mp4", monkeypatch, seconds=15)
    with clip:
        gaps = np.diff(clip.position.t_ns)
        assert np.count_nonzero(gaps > 100_000_000) == 1
        hole = int(np.argmax(gaps))
        outage = np.diff(clip.gps.t_ns).max()
        assert gaps[hole] == pytest.approx(outage, abs=20_000_000)
        assert 3.9e9 < outage < 4.3e9
        assert clip.metadata["fusion"]["position"]["begun"] == 2
        found, _ = errors(clip, truth, "walk")
        assert rms(found[:, [0, 2]]) < 2.0
        assert not clip.metadata["late"]
        assert np.diff(clip.gyro.t_ns).max() < 10_000_000


def test_two_recordings_are_the_same(tmp_path, monkeypatch):
    first, _ = recorded(tmp_path / "a.mp4", monkeypatch, seconds=3)
    second, _ = recorded(tmp_path / "b.mp4", monkeypatch, seconds=3)
    with first, second:
        np.testing.assert_array_equal(first.position.t_ns, second.position.t_ns)
        np.testing.assert_array_equal(first.position.data, second.position.data)


def test_what_cannot_be_is_said_beforehand():
    with simulated_rig("hand-held", None) as rig:  # it has no magnetometer
        for source in rig.all_sources:
            source.open()
        with pytest.raises(UsageError, match="without north"):
            Recorder(rig, None, Account(rig, "test"), "vqf", "imu", "gps")
        for source in rig.all_sources:
            source.close()
    with pytest.raises(UsageError, match="'vqf-6d' tells none"):
        FusionSettings(filter="vqf-6d", position="gps")
    with pytest.raises(UsageError, match="a receiver and a motion sensor"):
        Configuration(gps=GpsSettings(port="/dev/x"), fusion=FusionSettings(position="gps"))
    Configuration(simulator=SimulatorSettings(), fusion=FusionSettings(position="gps"))


def test_without_being_asked_for_there_is_none(walk):
    with reader.open(walk.clip) as clip:
        assert PacketType.POSITION not in clip.counts
        assert "position" not in clip.metadata["fusion"]
