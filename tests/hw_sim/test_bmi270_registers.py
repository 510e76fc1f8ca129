import dataclasses

import numpy as np
import pytest

from hw_sim.bmi270 import Bmi270
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(
    load_scenario("walk").imu,
    gyro_noise_deg_s_rthz=0.0,
    accel_noise_m_s2_rthz=0.0,
    gyro_bias_deg_s=(0.0, 0.0, 0.0),
    accel_bias_m_s2=(0.0, 0.0, 0.0),
)
START = 5_000_000_000
MS = 1_000_000


def turning(t_ns):
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + t, -20 + zero, 30 + zero], axis=-1))
    return rate, np.stack([1 + t, -2 + zero, 9.80665 + zero], axis=-1)


def powered(program=bytes(8192), chunk=512):
    """A chip that has been given a program, and the time."""
    imu = Bmi270(turning, QUIET, START, 7)
    imu.write(0x7C, b"\x00", START)
    at = START + MS
    imu.write(0x59, b"\x00", at)
    for byte in range(0, len(program), chunk):
        imu.write(0x5B, bytes([byte // 2 & 15, byte // 2 >> 4]), at)
        imu.write(0x5E, program[byte : byte + chunk], at)
    imu.write(0x59, b"\x01", at)
    return imu, at + 30 * MS


def awake(odr=9, gyro=1, accel=2, fifo=0xD0, full=1, program=bytes(8192)):
    """A chip at 1000 deg/s and 8 g that has sampled for 100 ms; returns it and the time."""
    imu, at = powered(program)
    imu.write(0x7D, b"\x0e", at)
    imu.write(0x40, bytes([0xA0 | odr, accel, 0xE0 | odr, gyro]), at)
    imu.write(0x48, bytes([full, fifo]), at)
    at = START + 200 * MS
    imu.write(0x7E, b"\xb0", at)
    return imu, at


def level(imu, at):
    return int.from_bytes(imu.read(0x24, 2, at), "little")


def vectors(data):
    frames = np.frombuffer(data, np.uint8).reshape(-1, 13)
    assert set(frames[:, 0]) <= {0x8C}
    words = np.ascontiguousarray(frames[:, 1:]).view("<i2")
    return words[:, :3], words[:, 3:]


def test_it_says_who_it_is_and_saves_power_at_first():
    imu = Bmi270(turning, QUIET, START, 7)
    assert imu.read(0x00, 1, START) == b"\x24"
    assert imu.read(0x21, 1, START) == b"\x00"
    assert imu.read(0x40, 4, START) == b"\xa8\x02\xa9\x00"
    assert imu.read(0x7C, 2, START) == b"\x03\x00"


def test_while_it_saves_power_one_write_in_450_us_is_taken():
    imu = Bmi270(turning, QUIET, START, 7)
    imu.write(0x41, b"\x03", START)
    imu.write(0x43, b"\x03", START + 100_000)
    imu.write(0x42, b"\xac", START + 600_000)
    assert imu.read(0x40, 4, START + MS) == b"\xa8\x03\xac\x00"


@pytest.mark.parametrize("chunk", [2, 32, 512, 8192])
def test_a_program_is_taken_in_any_portions(chunk):
    imu, at = powered(chunk=chunk)
    assert imu.read(0x21, 1, at - 29 * MS) == b"\x00"  # it takes 20 ms
    assert imu.read(0x21, 1, at) == b"\x01"


@pytest.mark.parametrize("length", [0, 100, 8190])
def test_half_a_program_is_refused(length):
    imu, at = powered(bytes(length))
    assert imu.read(0x21, 1, at) == b"\x02"


def test_a_program_with_a_gap_is_refused():
    imu, at = powered()
    imu.write(0x59, b"\x00", at)
    imu.write(0x5B, b"\x00\x00", at)
    imu.write(0x5E, bytes(4096), at)
    imu.write(0x5B, b"\x01\x80", at)  # one word further than it should be
    imu.write(0x5E, bytes(4096), at)
    imu.write(0x59, b"\x01", at)
    assert imu.read(0x21, 1, at + 30 * MS) == b"\x02"


def test_a_program_that_comes_while_power_is_saved_is_refused():
    imu = Bmi270(turning, QUIET, START, 7)
    steps = [(0x5B, b"\x00\x00"), (0x5E, bytes(8192)), (0x59, b"\x01")]
    for n, (register, data) in enumerate(steps):
        imu.write(register, data, START + n * MS)
    assert imu.read(0x21, 1, START + 100 * MS) == b"\x02"


def test_without_a_program_nothing_is_measured():
    imu, at = powered(b"")
    imu.write(0x7D, b"\x0e", at)
    imu.read(0x00, 1, at + 1000 * MS)
    assert len(imu.truth().gyro_t_ns) == 0


def test_a_reset_costs_the_program_and_the_settings():
    imu, at = awake()
    imu.write(0x7E, b"\xb6", at)
    imu.write(0x41, b"\x03", at + MS)
    assert imu.read(0x21, 1, at + 20 * MS) == b"\x00"
    assert imu.read(0x40, 4, at + 20 * MS) == b"\xa8\x02\xa9\x00"


@pytest.mark.parametrize(("odr", "rate"), [(6, 25), (8, 100), (9, 200), (12, 1600)])
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, rate):
    imu, at = awake(odr=odr)
    imu.read(0x00, 1, at + 4000 * MS)
    period = np.diff(imu.truth().gyro_t_ns)[2:].mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize(("code", "g"), [(0, 2), (1, 4), (2, 8), (3, 16)])
@pytest.mark.parametrize(("gyro", "dps"), [(0, 2000), (2, 500), (4, 125)])
def test_registers_hold_accelerometer_gyroscope_temperature(code, g, gyro, dps):
    imu, at = awake(gyro=gyro, accel=code)
    assert imu.read(0x03, 1, at)[0] & 0xC0 == 0xC0
    values = np.frombuffer(imu.read(0x0C, 12, at), "<i2")
    truth = imu.truth()
    np.testing.assert_allclose(values[:3], truth.accel[-1] / 9.80665 * 32768 / g, atol=0.51)
    np.testing.assert_allclose(values[3:], np.degrees(truth.gyro[-1]) * 32768 / dps, atol=0.51)
    assert int.from_bytes(imu.read(0x22, 2, at), "little") / 512 + 23 == pytest.approx(34.5)
    assert imu.read(0x03, 1, at)[0] & 0xC0 == 0


def test_sensor_time_and_fill_level_come_in_one_burst():
    imu, at = awake()
    for n in range(1, 8):
        looked = at + n * 7 * MS
        burst = imu.read(0x18, 14, looked)
        ticks = int.from_bytes(burst[:3], "little")
        age_s = (looked - imu.truth().gyro_t_ns[-1]) / 1e9 - 1 / (2 * np.pi * 88)
        assert ticks % 128 * 39.0625e-6 == pytest.approx(age_s * 1.012, abs=40e-6)
        assert int.from_bytes(burst[12:], "little") == level(imu, looked)


def test_the_fifo_holds_frames_of_both():
    imu, at = awake()
    later = at + 50 * MS
    gyro, accel = vectors(imu.read(0x26, level(imu, later), later))
    truth = imu.truth()
    kept = truth.in_fifo
    kept[: len(kept) - len(gyro)] = False  # what the flush took away
    np.testing.assert_allclose(gyro, np.degrees(truth.gyro[kept]) * 32.768, atol=0.51)
    np.testing.assert_allclose(accel, truth.accel[kept] / 9.80665 * 4096, atol=0.51)
    assert level(imu, later) == 0
    assert imu.read(0x26, 3, later) == b"\x80" * 3


@pytest.mark.parametrize(("length", "frames"), [(8192, 157), (328, 472)])
def test_a_full_fifo_stops_and_holds_more_beside_the_short_program(length, frames):
    imu, at = awake(program=bytes(length))
    before = len(imu.truth().gyro_t_ns)
    later = at + 5000 * MS
    assert level(imu, later) == 13 * frames
    gyro, _ = vectors(imu.read(0x26, 13 * frames, later))
    oldest = imu.truth().gyro[before : before + frames]
    np.testing.assert_allclose(gyro, np.degrees(oldest) * 32.768, atol=0.51)


def test_a_full_fifo_that_does_not_stop_drops_the_oldest():
    imu, at = awake(full=0)
    later = at + 2000 * MS
    data = imu.read(0x26, level(imu, later), later)
    assert data[0] == 0x40
    gyro, _ = vectors(data[2:])
    newest = imu.truth().gyro[-157:]
    np.testing.assert_allclose(gyro, np.degrees(newest) * 32.768, atol=0.51)


def test_who_reads_on_gets_the_sensor_time():
    imu, at = awake(full=2)
    later = at + 12 * MS
    frames = level(imu, later)
    data = imu.read(0x26, frames + 5, later)
    assert data[frames:] == b"\x44" + imu.read(0x18, 3, later) + b"\x80"


@pytest.mark.parametrize(
    ("length", "register", "factor"), [(8192, 0x3C, 5), (8192, 0x3C, -9), (328, 0x1E, 5)]
)
def test_turning_about_z_shows_about_x_as_much_as_it_says(length, register, factor):
    imu = Bmi270(turning, QUIET, START, 7)
    imu.cross_axis = factor
    imu.write(0x7C, b"\x00", START)
    imu.write(0x5B, b"\x00\x00", START + MS)
    imu.write(0x5E, bytes(length), START + MS)
    imu.write(0x59, b"\x01", START + MS)
    at = START + 30 * MS
    assert imu.read(register, 1, at)[0] & 0x7F == factor & 0x7F
    imu.write(0x7D, b"\x06", at)
    imu.write(0x43, b"\x03", at)
    x, _, z = np.frombuffer(imu.read(0x12, 6, at + 200 * MS), "<i2").tolist()
    true_x = np.degrees(imu.truth().gyro[-1, 0]) * 32768 / 250
    assert x == pytest.approx(true_x + factor * z / 512, abs=1.1)


def test_filters_delay_as_first_order_ones():
    imu, at = awake()
    imu.write(0x40, b"\x99", at)  # the accelerometer with half the bandwidth
    imu.read(0x00, 1, at + 100 * MS)
    truth = imu.truth()
    shift = (truth.accel_t_ns - truth.gyro_t_ns)[-1] / 1e9
    assert shift == pytest.approx((1 / 88 - 1 / 44) / (2 * np.pi), abs=2e-9)
