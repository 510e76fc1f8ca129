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
from drivers.errors import DeviceError, EndOfSource
from hw_sim import SimulatedRig, VirtualClock, load_scenario
from hw_sim.real_time import RealTimeClock
from hw_sim.serve import BusServer
from muxer import reader

WALK = Path(__file__).parents[2] / "hw_sim" / "scenarios" / "walk.toml"
COMPASSES = {
    "ICM-20948": "AK09916",
    "LSM9DS1": "LSM9DS1",
    "MPU-9250": "AK8963",
    "MPU-9255": "AK8963",
}


def scenario(folder: Path, chip: str, address: int = 0x68) -> Path:
    path = folder / "chip.toml"
    text = WALK.read_text().replace("address = 0x69", f'address = {address}\nchip = "{chip}"')
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "chip",
    [
        "BMI160",
        "BMI270",
        "ICM-20948",
        "ICM-42688-P",
        "LSM6DS3TR-C",
        "LSM6DSOX",
        "LSM9DS1",
        "MPU-6050",
        "MPU-6500",
        "MPU-9250",
        "MPU-9255",
    ],
)
def test_whatever_chip_is_there_is_recorded(tmp_path, caplog, monkeypatch, chip):
    caplog.set_level(logging.WARNING)
    (tmp_path / "bmi270.bin").write_bytes(bytes(8192))
    monkeypatch.setenv("CAMMCORDER_BMI270", str(tmp_path / "bmi270.bin"))
    address = 0x6B if chip.startswith("LSM") else 0x68
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
    with pytest.raises(CammError, match=r"nothing answers at 0x28, 0x29, 0x4a, 0x4b, 0x68"):
        simulated_rig(str(scenario(tmp_path, "MPU-9250", 0x10)), None)


@pytest.fixture
def wired(tmp_path, monkeypatch):
    """A simulated chip where /dev/i2c-1 would be."""

    def wire(chip: str) -> None:
        rig = SimulatedRig(load_scenario(scenario(tmp_path, chip)), VirtualClock(0, 0))
        monkeypatch.setattr("daemon.rig.open_bus", lambda _: rig.bus)

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


@pytest.mark.parametrize("chip", ["MPU-9250", "MPU-6500"])
def test_a_motion_sensor_that_comes_later_brings_its_magnetometer(tmp_path, chip):
    socket = tmp_path / "i2c"
    settings = ImuSettings(f"unix:{socket}", required=False)
    with hardware_rig(Configuration(imu=settings)) as rig:
        for source in (rig.imu, rig.mag):
            with pytest.raises(DeviceError, match="nobody serves a bus"):
                source.open()
        simulated = SimulatedRig(load_scenario(scenario(tmp_path, chip)), RealTimeClock(0))
        with BusServer(simulated.bus, socket):
            rig.imu.open()
            assert rig.imu.describe()["chip"] == chip
            if chip in COMPASSES:
                rig.mag.open()
                assert rig.mag.describe()["chip"] == COMPASSES[chip]
            else:
                with pytest.raises(EndOfSource, match="MPU-6500 has no magnetometer"):
                    rig.mag.open()
        simulated.close()


def test_a_board_with_an_mpu_6500_is_told_from_what_it_was_sold_as(wired, caplog):
    wired("MPU-6500")
    with pytest.raises(CammError, match="is an MPU-6500 and no MPU-9250: it has no magnetometer"):
        hardware_rig(wired_imu("MPU-9250"))
    with hardware_rig(wired_imu()) as rig:
        assert rig.mag is None
    assert "MPU-6500 has no magnetometer: which way is north remains unknown" in caplog.text


@pytest.mark.parametrize("chip", ["ICM-20948", "ICM-42688-P"])
def test_an_interrupt_line_dates_the_samples(tmp_path, chip):
    path = scenario(tmp_path, chip)
    path.write_text(path.read_text().replace("[imu]", "[imu]\ninterrupt = true"))
    with simulated_rig(str(path), None) as rig:
        result = RecordingSession(rig, tmp_path / "c.mp4", version="test").record(3_000_000_000)
    assert result.metadata["sources"]["imu"]["stamped_by"] == "interrupt"
    assert result.metadata["sources"]["imu"]["lost"] == 0


def test_a_line_that_cannot_be_had_is_said_so(wired):
    wired("MPU-9250")
    settings = ImuSettings(interrupt="gpiochip77:3")
    with pytest.raises(CammError, match="gpiochip77"):
        hardware_rig(Configuration(imu=settings))


def test_a_magnetometer_of_its_own_is_turned_as_it_sits(tmp_path):
    path = scenario(tmp_path, "MPU-6500")
    text = path.read_text().replace(
        "[mag]", '[mag]\nchip = "LIS3MDL"\nmount = { x = "down", y = "left", z = "forward" }'
    )
    path.write_text(text)
    with simulated_rig(str(path), None) as rig:
        result = RecordingSession(rig, tmp_path / "c.mp4", version="test").record(3_000_000_000)
        rig.save_truth(tmp_path / "truth.npz")
    assert result.metadata["sources"]["mag"]["chip"] == "LIS3MDL"
    with reader.open(tmp_path / "c.mp4") as clip, np.load(tmp_path / "truth.npz") as truth:
        start_ns = truth["frame_start_ns"][0] + truth["exposure_ns"][0] // 2
        mag = clip.magnetic_field
        true_s = (truth["mag_t_ns"] - start_ns) / 1e9
        for axis in range(3):
            true = np.interp(mag.t_ns / 1e9, true_s, truth["mag_field"][:, axis])
            assert np.abs(mag.data[:, axis] - true).max() < 4.0
