"""The BMI270's file: where it is looked for, what is said of it, how it gets into the chip."""

import dataclasses

import numpy as np
import pytest

from camm import UsageError
from drivers.bmi270 import Bmi270, find_config
from drivers.errors import DeviceError
from drivers.find import find_imu
from hw_sim.bmi270 import Bmi270 as Chip
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 40_000_000_000
QUIET = dataclasses.replace(
    load_scenario("walk").imu,
    address=0x68,
    chip="BMI270",
    gyro_noise_deg_s_rthz=0.0,
    accel_noise_m_s2_rthz=0.0,
    gyro_bias_deg_s=(0.0, 0.0, 0.0),
    accel_bias_m_s2=(0.0, 0.0, 0.0),
)


def turning(t_ns):
    return np.radians(np.tile([10.0, -20.0, 300.0], (len(t_ns), 1))), np.full((len(t_ns), 3), 1.0)


class Wire(SimulatedI2C):
    """Writes go through `change`, which may lose them."""

    change = staticmethod(lambda out: out)

    def transfer(self, address, out, read_length=0):
        if len(out) > 1 and not read_length:
            out = self.change(out)
        return super().transfer(address, out, read_length)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An environment in which no file is named, and the home is empty."""
    monkeypatch.delenv("CAMMCORDER_BMI270", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def rig():
    clock = VirtualClock(START, 0)
    chip = Chip(turning, QUIET, START, 7)
    return clock, chip, Wire(clock, {0x68: chip})


def file_of(length, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(n * 37 & 0xFF for n in range(length)))
    return path


def test_a_missing_file_is_told_with_its_name_and_its_place(rig, home):
    with pytest.raises(UsageError) as error:
        find_imu(rig[2])
    text = str(error.value)
    assert "\n" not in text
    for part in (
        "bmi270_config_file",
        "BMI270_SensorAPI",
        "8192 bytes",
        "/etc/cammcorder/bmi270.bin",
        str(home / "data" / "cammcorder" / "bmi270.bin"),
        "CAMMCORDER_BMI270",
    ):
        assert part in text


def test_a_chip_of_another_kind_needs_no_file(rig):
    clock, _, _ = rig
    empty = SimulatedI2C(clock, {})
    with pytest.raises(DeviceError, match="no BMI270 on simulated bus: nothing answers"):
        find_imu(empty, "BMI270")


def test_the_file_is_that_of_the_user_or_the_one_that_is_named(home, monkeypatch):
    own = file_of(8192, home / "data" / "cammcorder" / "bmi270.bin")
    assert find_config() == own
    named = home / "elsewhere.bin"
    monkeypatch.setenv("CAMMCORDER_BMI270", str(named))
    assert find_config() == named


def test_a_named_file_that_is_not_there_is_told(rig, home, monkeypatch):
    monkeypatch.setenv("CAMMCORDER_BMI270", str(home / "gone.bin"))
    with pytest.raises(UsageError, match=r"gone\.bin cannot be read: No such file"):
        find_imu(rig[2])


@pytest.mark.parametrize("length", [0, 327, 8191, 50_000])
def test_a_file_of_another_length_is_refused(rig, home, length):
    path = file_of(length, home / "short.bin")
    with pytest.raises(UsageError, match=rf"short\.bin has {length} bytes, .* 8192"):
        Bmi270(rig[2], 0x68, path)


@pytest.mark.parametrize("length", [8192, 328])
def test_the_whole_file_comes_to_the_chip(rig, home, length):
    clock, _, bus = rig
    imu = Bmi270(bus, 0x68, file_of(length, home / "bmi270.bin"))
    sent, times = bytearray(), []

    def listen(out):
        times.append((out[0], clock.now_ns()))
        sent.extend(out[1:] if out[0] == 0x5E else b"")
        assert len(out) <= 8192  # what the kernel lets through in one message
        return out

    bus.change = listen
    imu.configure(clock)
    assert sent == (home / "bmi270.bin").read_bytes()
    awake = [register for register, _ in times].index(0x7C)
    assert times[awake + 1][1] - times[awake][1] > 450_000  # no write before that
    clock.sleep_until(clock.now_ns() + 100_000_000)
    burst = imu.read_burst(clock)
    assert len(burst) > 15
    assert np.degrees(burst.gyro[0]) == pytest.approx([10, -20, 300], abs=0.1)


def test_it_is_sent_again_whenever_the_chip_is_set_up(rig, home):
    clock, _, bus = rig
    imu = Bmi270(bus, 0x68, file_of(8192, home / "bmi270.bin"))
    imu.configure(clock)
    imu.configure(clock, rate_hz=100.0)
    assert bus.read(0x68, 0x21) == b"\x01"


def test_a_chip_that_refuses_the_file_is_told(rig, home):
    clock, _, bus = rig
    imu = Bmi270(bus, 0x68, file_of(8192, home / "bmi270.bin"))
    bus.change = lambda out: out[:-2] if out[0] == 0x5E else out  # some bytes never arrive
    with pytest.raises(DeviceError, match=r"0x68 .* 8192 bytes of configuration and refuses it"):
        imu.configure(clock)


def test_a_chip_that_does_not_run_it_is_told(rig, home):
    clock, _, bus = rig
    imu = Bmi270(bus, 0x68, file_of(8192, home / "bmi270.bin"))
    bus.change = lambda out: bytes([0x59, 0]) if out[0] == 0x59 else out  # its core is dead
    with pytest.raises(DeviceError, match="a weak supply or a counterfeit"):
        imu.configure(clock)


def test_a_chip_that_reports_another_failure_is_told(rig, home, monkeypatch):
    clock, chip, bus = rig
    imu = Bmi270(bus, 0x68, file_of(8192, home / "bmi270.bin"))
    read = chip.read
    monkeypatch.setattr(chip, "read", lambda r, n, at: b"\x05" if r == 0x21 else read(r, n, at))
    with pytest.raises(DeviceError, match="reports failure 5"):
        imu.configure(clock)


@pytest.mark.parametrize("length", [8192, 328])
@pytest.mark.parametrize("factor", [0, 7, -30])
def test_what_turning_about_z_adds_to_x_is_taken_off(rig, home, length, factor):
    clock, chip, bus = rig
    chip.cross_axis = factor
    imu = Bmi270(bus, 0x68, file_of(length, home / "bmi270.bin"))
    imu.configure(clock)
    clock.sleep_until(clock.now_ns() + 100_000_000)
    gyro = np.degrees(imu.read_burst(clock).gyro)
    assert gyro[:, 0] == pytest.approx(10, abs=0.05)
    assert gyro[:, 1:] == pytest.approx(np.tile([-20.0, 300.0], (len(gyro), 1)), abs=0.02)
