"""The simulated BNO055 against its datasheet, register by register."""

import numpy as np
import pytest

from hw_sim.bno055 import Bno055
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 1_000_000_000
MS = 1_000_000
SCENARIO = load_scenario("walk")


def still(t_ns):
    return np.zeros((len(t_ns), 3)), np.tile([0.0, 0.0, 9.80665], (len(t_ns), 1))


class Bench:
    def __init__(self, motion=still):
        self.clock = VirtualClock(START, 0)
        self.chip = Bno055(
            motion,
            lambda t_ns: np.tile([0.5, 0.5, -0.5, 0.5], (len(t_ns), 1)),
            lambda t_ns: np.tile([20.0, 0.0, -40.0], (len(t_ns), 1)),
            SCENARIO.imu,
            SCENARIO.mag,
            START,
            3,
        )
        self.bus = SimulatedI2C(self.clock, {0x28: self.chip})

    def read(self, register, length=1):
        return self.bus.read(0x28, register, length)

    def write(self, register, value):
        self.bus.write(0x28, register, value)

    def wait(self, milliseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(milliseconds * MS))


@pytest.fixture
def fusing():
    bench = Bench()
    bench.write(0x3D, 0x0C)
    bench.wait(100)
    return bench


def test_identities_and_reset_values():
    bench = Bench()
    assert bench.read(0x00, 4) == bytes([0xA0, 0xFB, 0x32, 0x0F])
    assert bench.read(0x3B) == b"\x80"  # UNIT_SEL
    assert bench.read(0x3D) == b"\x00"  # CONFIGMODE
    assert bench.read(0x41, 2) == bytes([0x24, 0x00])  # axes


def test_nothing_is_measured_in_the_mode_of_configuration():
    bench = Bench()
    bench.wait(100)
    assert bench.read(0x08, 32) == bytes(32)
    assert bench.read(0x39) == b"\x00"


def test_it_takes_7_ms_to_change_the_mode_and_10_ms_to_the_first_sample():
    bench = Bench()
    bench.write(0x3D, 0x0C)
    bench.wait(16)
    assert bench.read(0x39) == b"\x00"
    bench.wait(1.5)
    assert bench.read(0x39) == b"\x05"  # the fusion runs
    assert bench.read(0x3D) == b"\x0c"


def test_samples_come_a_hundred_times_a_second(fusing):
    fusing.wait(5000)
    fusing.read(0x00)
    spacing = np.diff(fusing.chip.truth().gyro_t_ns) * (1 + SCENARIO.imu.clock_ppm * 1e-6)
    assert spacing.mean() == pytest.approx(10 * MS, rel=3e-4)
    fields = np.diff(fusing.chip.mag_truth().t_ns) * (1 + SCENARIO.imu.clock_ppm * 1e-6)
    assert fields.mean() == pytest.approx(50 * MS, rel=3e-4)


def test_units_are_those_of_the_datasheet(fusing):
    words = np.frombuffer(fusing.read(0x08, 32), "<i2")
    assert words[2] == pytest.approx(980.7, abs=10)  # 100 LSB for one m/s^2
    assert np.abs(words[6:9]).max() < 16  # deg/s: 16 LSB
    assert words[3:6] == pytest.approx([320, 0, -640], abs=20)  # uT: 16 LSB
    assert words[12:16].tolist() == [8192, 8192, -8192, 8192]  # 2^14
    assert fusing.read(0x34) == bytes([round(SCENARIO.imu.temperature_c)])


def test_full_scales_are_4_g_and_2000_degrees_a_second():
    bench = Bench(lambda t: (np.full((len(t), 3), -90.0), np.full((len(t), 3), 90.0)))
    bench.write(0x3D, 0x0C)
    bench.wait(50)
    words = np.frombuffer(bench.read(0x08, 18), "<i2")
    assert words[:3].tolist() == [3923] * 3
    assert words[6:].tolist() == [-32000] * 3


def test_settings_are_taken_in_the_mode_of_configuration_alone(fusing):
    fusing.write(0x41, 0x21)
    assert fusing.read(0x41) == b"\x24"
    fusing.write(0x3D, 0x00)
    fusing.write(0x41, 0x21)
    assert fusing.read(0x41) == b"\x21"


def test_the_second_page_hides_the_first(fusing):
    fusing.write(0x07, 1)
    assert fusing.read(0x00) == b"\x00"
    fusing.write(0x07, 0)
    assert fusing.read(0x00) == b"\xa0"


def test_without_power_it_forgets_its_mode(fusing):
    now = fusing.clock.now_ns()
    fusing.chip.lose_power(now, now + 10 * MS)
    fusing.wait(20)
    assert fusing.read(0x3D) == b"\x00"
