"""A recording with each motion sensor that we know: found, stamped, in the camera's axes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from camm import CammError
from daemon.configuration import Configuration, ImuSettings
from daemon.rig import hardware_rig, simulated_rig
from daemon.session import RecordingSession
from hw_sim import SimulatedRig, VirtualClock, load_scenario
from muxer import reader

WALK = Path(__file__).parents[2] / "hw_sim" / "scenarios" / "walk.toml"
COMPASSES = {"ICM-20948": "AK09916", "MPU-9250": "AK8963", "MPU-9255": "AK8963"}


def scenario(folder: Path, chip: str, address: int = 0x68) -> Path:
    path = folder / "chip.toml"
    text = WALK.read_text().replace("address = 0x69", f'address = {address}\nchip = "{chip}"')
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "chip", ["ICM-20948", "ICM-42688-P", "LSM6DSOX", "MPU-6050", "MPU-6500", "MPU-9250", "MPU-9255"]
)
def test_whatever_chip_is_there_is_recorded(tmp_path, caplog, chip):
    caplog.set_level(logging.WARNING)
    address = 0x6B if chip == "LSM6DSOX" else 0x68
    with simulated_rig(str(scenario(tmp_path, chip, address)), None) as rig:
        result = RecordingSession(rig, tmp_path / "c.mp4", version="test").record(3_000_000_000)
        rig.save_truth(tmp_path / "truth.npz")
    sources = result.metadata["sources"]
    assert sources["imu"]["chip"] == chip
    assert sources["imu"]["lost"] == 0
    assert sources["imu"]["temperature_c"] == pytest.approx(34.5, abs=0.05)
    assert sources.get("mag", {}).get("chip") == COMPASSES.get(chip)
    assert (f"{chip} has no magnetometer" in caplog.text) == (chip not in COMPASSES)
    with reader.open(tmp_path / "c.mp4") as clip, np.load(tmp_path / "truth.npz") as truth:
        start_ns = truth["frame_start_ns"][0] + truth["exposure_ns"][0] // 2
        gyro, mag = clip.gyro, clip.magnetic_field
        true_s = (truth["imu_t_ns"] - start_ns) / 1e9
        # The camera's frames are stamped by the middle of their exposure, or the start: to 20 ms.
        for axis in range(3):
            true = np.interp(gyro.t_ns / 1e9, true_s, truth["imu_gyro"][:, axis])
            assert np.corrcoef(gyro.data[:, axis], true)[0, 1] > 0.97
        assert len(gyro.data) > 500
        if chip in COMPASSES:
            true_s = (truth["mag_t_ns"] - start_ns) / 1e9
            for axis in range(3):
                true = np.interp(mag.t_ns / 1e9, true_s, truth["mag_field"][:, axis])
                assert np.abs(mag.data[:, axis] - true).max() < 3.0
        else:
            assert len(mag.data) == 0


def test_a_bus_without_a_chip_says_where_it_looked(tmp_path):
    with pytest.raises(CammError, match=r"nothing answers at 0x68, 0x69"):
        simulated_rig(str(scenario(tmp_path, "MPU-9250", 0x10)), None)


@pytest.fixture
def wired(tmp_path, monkeypatch):
    """A simulated chip where /dev/i2c-1 would be."""

    def wire(chip: str) -> None:
        rig = SimulatedRig(load_scenario(scenario(tmp_path, chip)), VirtualClock(0, 0))
        monkeypatch.setattr("daemon.rig.LinuxI2C", lambda _: rig.bus)

    return wire


def wired_imu(chip: str = "auto") -> Configuration:
    return Configuration(imu=ImuSettings(chip=chip))


def test_a_wired_chip_is_found_or_insisted_on(wired):
    wired("MPU-9250")
    for name in ("auto", "MPU-9250"):
        with hardware_rig(wired_imu(name)) as rig:
            assert rig.imu is not None
            assert rig.mag is not None
    with pytest.raises(CammError, match="is an MPU-9250 and no MPU-9255; ask for MPU-9250"):
        hardware_rig(wired_imu("MPU-9255"))


def test_a_board_with_an_mpu_6500_is_told_from_what_it_was_sold_as(wired, caplog):
    wired("MPU-6500")
    with pytest.raises(CammError, match="is an MPU-6500 and no MPU-9250: it has no magnetometer"):
        hardware_rig(wired_imu("MPU-9250"))
    with hardware_rig(wired_imu()) as rig:
        assert rig.mag is None
    assert "MPU-6500 has no magnetometer: which way is north remains unknown" in caplog.text
