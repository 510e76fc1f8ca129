"""When there is an orientation in a clip: with each sample, with each picture, or at a rate."""

from typing import get_args, get_type_hints

import numpy as np
import pytest

from camm import UsageError
from daemon.account import Account
from daemon.configuration import FusionSettings, Mount
from daemon.recorder import Recorder
from daemon.rig import Rig, simulated_rig
from daemon.session import RecordingSession
from fusion.orientation import CHIP, TRACKER, filters
from hw_sim.clock import VirtualClock
from muxer import reader


def recorded(path, monkeypatch, output, seconds=6):
    def recorder(rig, sink, account, filter_name):
        return Recorder(rig, sink, account, filter_name, output)

    monkeypatch.setattr("daemon.session.Recorder", recorder)
    with simulated_rig("walk", None) as rig:
        RecordingSession(rig, path, version="test").record(seconds * 1_000_000_000)
    return reader.open(path)


def test_with_each_picture_at_its_time(tmp_path, monkeypatch):
    with recorded(tmp_path / "clip.mp4", monkeypatch, "frame") as clip:
        np.testing.assert_array_equal(clip.angle_axis.t_ns, np.sort(clip.video.pts_ns))
        assert len(clip.angle_axis) == 180
        assert not any(clip.metadata["late"].values())
        assert len(clip.gyro) > 1300
        with recorded(tmp_path / "samples.mp4", monkeypatch, "imu") as samples:
            assert len(samples.angle_axis) == len(samples.gyro)
            near = samples.angle_axis.t_ns.searchsorted(clip.angle_axis.t_ns)[1:-1]
            apart = samples.angle_axis.data[near] - clip.angle_axis.data[1:-1]
            assert np.degrees(np.abs(apart)).max() < 1  # 4 ms of a walk


def test_so_many_a_second_whatever_the_sensor_does(tmp_path, monkeypatch):
    with recorded(tmp_path / "clip.mp4", monkeypatch, 50.0) as clip:
        t_ns = clip.angle_axis.t_ns
        assert 300 <= len(t_ns) <= 301
        np.testing.assert_allclose(np.diff(t_ns[1:]), 20_000_000, atol=1000)  # ticks of 1 us


def test_pictures_want_a_camera():
    clock = VirtualClock(0, 0)
    rig = Rig(clock)
    with pytest.raises(UsageError, match="wants a camera"):
        Recorder(rig, None, Account(rig, "test"), "vqf", "frame")


def test_the_configuration_has_the_filters_that_there_are():
    names = get_args(get_type_hints(FusionSettings)["filter"])
    assert sorted(names) == sorted([*filters(), CHIP, TRACKER])


@pytest.mark.parametrize("output", ["frames", 0.0, -5.0, 1e6, ""])
def test_an_output_that_is_none_is_refused(output):
    with pytest.raises(UsageError, match='output is "imu", "frame" or a number of Hz'):
        FusionSettings(output=output)


def test_a_chips_own_orientation_is_not_refined():
    with pytest.raises(UsageError, match="in the place of the chip's"):
        FusionSettings(filter="chip", refine=True)


@pytest.mark.parametrize(
    "sits", [{"x": "left", "euler_deg": (0, 0, 0)}, {"euler_deg": (0, 0, 0), "matrix": np.eye(3)}]
)
def test_a_mount_is_told_in_one_way(sits):
    with pytest.raises(UsageError, match="leave the others out"):
        Mount(**sits)


def test_a_mount_is_the_same_in_whatever_way_it_is_told():
    rotation = Mount().rotation()
    turned, written = Mount(euler_deg=(90, 0, 0)), Mount(matrix=((1, 0, 0), (0, 0, -1), (0, 1, 0)))
    np.testing.assert_allclose(turned.rotation(), rotation, atol=1e-12)
    np.testing.assert_allclose(written.rotation(), rotation, atol=1e-12)
