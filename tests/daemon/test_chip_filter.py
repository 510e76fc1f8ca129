"""Recordings with chips that work out their orientation: theirs, and ours beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from camm import UsageError
from daemon.rig import simulated_rig
from daemon.session import RecordingSession
from hw_sim.rotation import to_matrix
from muxer import reader

WALK = Path(__file__).parents[2] / "hw_sim" / "scenarios" / "walk.toml"
ADDRESSES = {"BNO055": 0x28, "BNO085": 0x4B, "MPU-9250": 0x68}


def record(folder: Path, chip: str, filter_name: str, seconds: int = 5):
    """The clip, its metadata, and what was true."""
    path = folder / "chip.toml"
    where = f'address = {ADDRESSES[chip]}\nchip = "{chip}"'
    path.write_text(WALK.read_text().replace("address = 0x69", where))
    with simulated_rig(str(path), None) as rig:
        session = RecordingSession(rig, folder / "c.mp4", version="test", filter_name=filter_name)
        metadata = session.record(seconds * 1_000_000_000).metadata
        rig.save_truth(folder / "truth.npz")
    with np.load(folder / "truth.npz") as truth:
        return reader.open(folder / "c.mp4"), metadata, dict(truth)


def quaternions(angle_axis: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(angle_axis, axis=1, keepdims=True)
    return np.hstack([np.cos(angle / 2), np.sin(angle / 2) * angle_axis / np.maximum(angle, 1e-12)])


def degrees_off(clip, metadata, truth) -> np.ndarray:
    """Between type 0 and the true attitude at its times, all but the interpolated first."""
    t_ns = clip.angle_axis.t_ns[1:] + metadata["movie"]["zero_monotonic_ns"]
    true_t = truth["imu_t_ns"]
    true = quaternions(truth["imu_angle_axis"])
    flips = np.cumprod(np.concatenate([[1], np.where((true[1:] * true[:-1]).sum(1) < 0, -1, 1)]))
    true *= flips[:, None]
    at = np.stack([np.interp(t_ns, true_t, column) for column in true.T], axis=1)
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    ours = quaternions(clip.angle_axis.data[1:].astype(float))
    error = np.einsum("nij,nkj->nik", to_matrix(ours), to_matrix(at))
    trace = np.trace(error, axis1=1, axis2=2)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


@pytest.mark.parametrize("chip", ["BNO055", "BNO085"])
def test_the_chips_own_orientation_is_right_in_the_cameras_axes_and_true_north(tmp_path, chip):
    clip, metadata, truth = record(tmp_path, chip, "chip")
    with clip:
        error = degrees_off(clip, metadata, truth)
        assert len(error) == len(clip.gyro.t_ns) - 1
        # The simulated fusion is right: what remains are frames, declination and times.
        assert np.sqrt(np.mean(error**2)) < 0.3
        assert error.max() < 1.0
    assert metadata["fusion"]["filter"] == "chip"
    assert metadata["fusion"]["heading"] == "true north"
    assert metadata["fusion"]["declination_deg"] == pytest.approx(12.87, abs=0.05)
    assert metadata["sources"]["imu"]["orientation"] == "magnetic north"
    assert metadata["sources"]["imu"]["lost"] == metadata["sources"]["mag"]["lost"] == 0
    assert metadata["late"] == {}


@pytest.mark.parametrize("chip", ["BNO055", "BNO085"])
def test_raw_data_of_such_chips_go_through_our_filter_unless_asked_otherwise(tmp_path, chip):
    clip, metadata, truth = record(tmp_path, chip, "vqf")
    with clip:
        error = degrees_off(clip, metadata, truth)
        assert np.sqrt(np.mean(error**2)) < 5.0
        assert len(clip.magnetic_field.t_ns) > 90
        true_t = truth["mag_t_ns"] - metadata["movie"]["zero_monotonic_ns"]
        for axis in range(3):
            true = np.interp(clip.magnetic_field.t_ns, true_t, truth["mag_field"][:, axis])
            assert np.abs(clip.magnetic_field.data[:, axis] - true).max() < 3.0
    assert metadata["fusion"]["filter"] == "vqf"
    assert metadata["fusion"]["heading"] == "true north"


def test_a_chip_without_orientation_cannot_be_asked_for_it(tmp_path):
    message = "filter 'chip': MPU-9250 works out no orientation by itself, a BNO055 or BNO085 does"
    with pytest.raises(UsageError, match=message):
        record(tmp_path, "MPU-9250", "chip", 1)
    assert not list(tmp_path.glob("*.mp4"))
