import dataclasses

import numpy as np
import pytest

from hw_sim.mpu import Mpu
from hw_sim.scenario import load_scenario

ERRORS = load_scenario("walk").imu
QUIET = dataclasses.replace(
    ERRORS,
    gyro_noise_deg_s_rthz=0.0,
    accel_noise_m_s2_rthz=0.0,
    gyro_bias_deg_s=(0.0, 0.0, 0.0),
    accel_bias_m_s2=(0.0, 0.0, 0.0),
)
START = 5_000_000_000
MS = 1_000_000
YOUNG = ["MPU-6500", "MPU-9250", "MPU-9255"]


def turning(t_ns):
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + t, -20 + zero, 30 + zero], axis=-1))
    return rate, np.stack([1 + t, -2 + zero, 9.80665 + zero], axis=-1)


def awake(name, divider=4, low_pass=3, fifo_mode=0x40, gyro=0, accel=0):
    imu = Mpu(turning, QUIET, START, 7, name)
    imu.write(0x6B, b"\x01", START)
    imu.write(0x19, bytes([divider, low_pass | fifo_mode, gyro << 3, accel << 3, low_pass]), START)
    return imu, START + 50 * MS


def into_fifo(imu, at, what=0x78):
    imu.write(0x23, bytes([what]), at)
    imu.write(0x6A, b"\x04", at)
    imu.write(0x6A, b"\x40", at)


def count(imu, at):
    return int.from_bytes(imu.read(0x72, 2, at), "big")


@pytest.mark.parametrize(
    ("name", "identity", "power"),
    [("MPU-6050", 0x68, 0x40), ("MPU-6500", 0x70, 1), ("MPU-9250", 0x71, 1), ("MPU-9255", 0x73, 1)],
)
def test_it_says_who_it_is_and_only_the_oldest_sleeps_at_first(name, identity, power):
    imu = Mpu(turning, QUIET, START, 7, name)
    assert imu.read(0x75, 1, START) == bytes([identity])
    assert imu.read(0x6B, 1, START) == bytes([power])
    imu.read(0x75, 1, START + 1000 * MS)
    assert (len(imu.truth().gyro_t_ns) > 0) == (name != "MPU-6050")


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake("MPU-6050")
    imu.write(0x6B, b"\x80", at)
    imu.write(0x6B, b"\x01", at + MS)
    assert imu.read(0x6B, 1, at + MS)[0] & 0x80
    assert imu.read(0x6B, 1, at + 101 * MS) == b"\x40"


@pytest.mark.parametrize("name", ["MPU-6050", *YOUNG])
def test_registers_hold_accelerometer_thermometer_gyroscope(name):
    imu, at = awake(name, gyro=1, accel=2)
    values = np.frombuffer(imu.read(0x3B, 14, at), ">i2")
    truth = imu.truth()
    np.testing.assert_allclose(values[:3], truth.accel[-1] / 9.80665 * 4096, atol=0.51)
    np.testing.assert_allclose(values[4:], np.degrees(truth.gyro[-1]) * 65.5, atol=0.51)
    degrees = values[3] / 340 + 36.53 if name == "MPU-6050" else values[3] / 333.87 + 21
    assert degrees == pytest.approx(34.5, abs=0.01)


@pytest.mark.parametrize(("low_pass", "rate"), [(1, 200.0), (6, 200.0), (0, 1600.0), (7, 1600.0)])
def test_the_divider_divides_1_khz_with_the_filter_and_8_khz_without(low_pass, rate):
    imu, at = awake("MPU-6050", low_pass=low_pass)
    imu.read(0x75, 1, at + 2000 * MS)
    period = np.diff(imu.truth().gyro_t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize("name", YOUNG)
def test_without_the_filter_the_younger_ones_are_not_divided(name):
    imu, at = awake(name, low_pass=7)
    imu.read(0x75, 1, at + 200 * MS)
    assert 1e9 / np.diff(imu.truth().gyro_t_ns).mean() == pytest.approx(8000 * 1.012, rel=3e-4)


@pytest.mark.parametrize(
    ("name", "gyro_ms", "accel_ms"), [("MPU-6050", 4.8, 4.9), ("MPU-9250", 5.9, 4.88)]
)
def test_the_filters_delay_as_the_register_map_says(name, gyro_ms, accel_ms):
    quick, at = awake(name, low_pass=1)
    slow, _ = awake(name, low_pass=3)
    for imu in (quick, slow):
        imu.read(0x75, 1, at)
    first = {"MPU-6050": (1.9, 2.0), "MPU-9250": (2.9, 1.88)}[name]
    gyro = (quick.truth().gyro_t_ns - slow.truth().gyro_t_ns)[-1] / MS
    accel = (quick.truth().accel_t_ns - slow.truth().accel_t_ns)[-1] / MS
    assert gyro == pytest.approx(gyro_ms - first[0], abs=1e-6)
    assert accel == pytest.approx(accel_ms - first[1], abs=1e-6)


@pytest.mark.parametrize(
    ("enable", "record"), [(0x08, 6), (0x70, 6), (0x40, 2), (0x80, 2), (0x78, 12), (0xF8, 14)]
)
def test_the_fifo_takes_what_is_enabled_in_the_order_of_the_registers(enable, record):
    imu, at = awake("MPU-9250")
    into_fifo(imu, at, enable)
    later = at + 50 * MS
    assert count(imu, later) == 10 * record
    if enable == 0xF8:
        rows = np.frombuffer(imu.read(0x74, 140, later), ">i2").reshape(-1, 7)
        truth = imu.truth()
        kept = truth.in_fifo
        np.testing.assert_allclose(rows[:, :3], truth.accel[kept] / 9.80665 * 16384, atol=0.51)
        np.testing.assert_allclose(rows[:, 4:], np.degrees(truth.gyro[kept]) * 131, atol=0.51)


def test_the_fifo_is_reset_only_while_it_is_off():
    imu, at = awake("MPU-6050")
    into_fifo(imu, at)
    imu.write(0x6A, b"\x44", at + 50 * MS)
    assert count(imu, at + 50 * MS) > 0
    imu.write(0x6A, b"\x04", at + 50 * MS)
    assert count(imu, at + 50 * MS) == 0
    assert imu.read(0x6A, 1, at + 50 * MS) == b"\x00"


@pytest.mark.parametrize(("name", "size"), [("MPU-6050", 1024), *((name, 512) for name in YOUNG)])
def test_an_overflow_is_told_once(name, size):
    imu, at = awake(name)
    into_fifo(imu, at)
    later = at + 2000 * MS
    assert imu.read(0x3A, 1, later) == b"\x11"
    assert imu.read(0x3A, 1, later) == b"\x00"
    assert count(imu, later) == size


@pytest.mark.parametrize(("name", "mode"), [("MPU-6050", 0x40), ("MPU-9250", 0)])
def test_a_full_fifo_loses_its_oldest_bytes_and_its_alignment(name, mode):
    imu, at = awake(name, fifo_mode=mode)
    into_fifo(imu, at)
    later = at + 2000 * MS
    size = count(imu, later)
    data = imu.read(0x74, size, later)
    rows = np.frombuffer(data[size % 12 :], ">i2").reshape(-1, 6)
    newest = np.degrees(imu.truth().gyro[-len(rows) :]) * 131
    np.testing.assert_allclose(rows[:, 3:], newest, atol=0.51)


@pytest.mark.parametrize("name", YOUNG)
def test_a_full_fifo_with_fifo_mode_keeps_the_oldest(name):
    imu, at = awake(name)
    into_fifo(imu, at)
    rows = np.frombuffer(imu.read(0x74, 504, at + 2000 * MS), ">i2").reshape(-1, 6)
    truth = imu.truth()
    first = np.flatnonzero(truth.in_fifo)[: len(rows)]
    np.testing.assert_allclose(rows[:, 3:], np.degrees(truth.gyro[first]) * 131, atol=0.51)


def test_an_empty_fifo_repeats_its_last_byte():
    imu, at = awake("MPU-6050")
    into_fifo(imu, at)
    data = imu.read(0x74, count(imu, at + 10 * MS) + 3, at + 10 * MS)
    assert data[-4:] == data[-1:] * 4


def test_bypass_needs_its_bit_and_an_idle_master():
    imu, at = awake("MPU-9250")
    assert not imu.bypass
    imu.write(0x37, b"\x02", at)
    assert imu.bypass
    imu.write(0x6A, b"\x20", at)
    assert not imu.bypass
