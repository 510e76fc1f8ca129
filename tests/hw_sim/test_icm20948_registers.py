import dataclasses
import math

import numpy as np
import pytest

from hw_sim.icm20948 import Icm20948
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


def turning(t_ns):
    """Motion from which the time of a measurement can be read back."""
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + t, -20 + zero, 30 + zero], axis=-1))
    force = np.stack([1 + t, -2 + zero, 9.80665 + zero], axis=-1)
    return rate, force


def chip(errors=QUIET, motion=turning):
    return Icm20948(motion, errors, START, 7)


def awake(errors=QUIET, divider=0, align=1, gyro=0x01, accel=0x01):
    """A chip woken, configured and past its start-up; returns it and the time."""
    imu = chip(errors)
    at = START + 10 * MS
    imu.write(0x06, b"\x01", at)
    imu.write(0x7F, b"\x20", at)
    imu.write(0x09, bytes([align]), at)
    imu.write(0x00, bytes([divider]), at)
    imu.write(0x10, divider.to_bytes(2, "big"), at)
    imu.write(0x01, bytes([gyro]), at)
    imu.write(0x14, bytes([accel]), at)
    imu.write(0x7F, b"\x00", at)
    return imu, at + 36 * MS


def into_fifo(imu, at, what=0x1E, mode=0):
    imu.write(0x69, bytes([mode]), at)
    imu.write(0x67, bytes([what]), at)
    imu.write(0x03, b"\x40", at)
    imu.write(0x68, b"\x1f", at)
    imu.write(0x68, b"\x00", at)


def count(imu, at):
    return int.from_bytes(imu.read(0x70, 2, at), "big")


def test_it_says_who_it_is_and_sleeps():
    imu = chip()
    assert imu.read(0x00, 1, START) == b"\xea"
    assert imu.read(0x06, 2, START) == b"\x41\x00"
    assert imu.read(0x1A, 1, START + 10**9) == b"\x00"
    assert imu.read(0x2D, 14, START + 10**9) == bytes(14)


def test_banks_are_separate_and_the_bank_is_read_back():
    imu = chip()
    imu.write(0x7F, b"\x20", START)
    assert imu.read(0x7F, 1, START) == b"\x20"
    assert imu.read(0x00, 2, START) == b"\x00\x01"
    imu.write(0x00, b"\x09", START)
    imu.write(0x7F, b"\x00", START)
    assert imu.read(0x00, 1, START) == b"\xea"


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake()
    imu.write(0x06, b"\x80", at)
    imu.write(0x06, b"\x01", at + MS)
    assert imu.read(0x06, 1, at + MS)[0] & 0x80
    assert imu.read(0x06, 1, at + 101 * MS) == b"\x41"
    assert imu.truth().gyro_t_ns.max() < at


def test_registers_hold_the_latest_sample_in_datasheet_units():
    imu, at = awake(gyro=0x01 | 1 << 1, accel=0x01 | 2 << 1)  # 500 deg/s, 8 g
    values = np.frombuffer(imu.read(0x2D, 14, at), ">i2")
    truth = imu.truth()
    np.testing.assert_allclose(values[3:6], np.degrees(truth.gyro[-1]) * 65.5, atol=0.51)
    np.testing.assert_allclose(values[:3], truth.accel[-1] / 9.80665 * 4096, atol=0.51)
    assert values[6] / 333.87 + 21 == pytest.approx(34.5, abs=0.01)


def test_too_much_motion_saturates():
    imu = Icm20948(
        lambda t: (np.full((len(t), 3), -100.0), np.full((len(t), 3), 900.0)), QUIET, START, 1
    )
    imu.write(0x06, b"\x01", START)
    values = np.frombuffer(imu.read(0x2D, 12, START + 100 * MS), ">i2")
    assert values.tolist() == [32767] * 3 + [-32768] * 3


def test_data_ready_clears_when_read():
    imu, at = awake()
    assert imu.read(0x1A, 1, at) == b"\x01"
    assert imu.read(0x1A, 1, at) == b"\x00"
    assert imu.read(0x1A, 1, at + 2 * MS) == b"\x01"


@pytest.mark.parametrize(("divider", "rate"), [(0, 1125.0), (4, 225.0), (10, 1125 / 11)])
def test_samples_come_at_the_divided_rate_of_the_chips_own_clock(divider, rate):
    imu, at = awake(divider=divider)
    imu.read(0x00, 1, at + 10_000 * MS)
    period_ns = np.diff(imu.truth().gyro_t_ns).mean()
    chip_rate = 1e9 / period_ns / rate - 1
    assert chip_rate == pytest.approx(12000e-6, abs=160e-6)
    assert chip_rate != pytest.approx(12000e-6, abs=10e-6)


def test_the_filter_delays_by_the_group_delay_of_a_first_order_filter():
    early, at = awake(gyro=0x01 | 0 << 3, accel=0x01 | 0 << 3)
    late, _ = awake(gyro=0x01 | 5 << 3, accel=0x01 | 5 << 3)
    for imu in (early, late):
        imu.read(0x00, 1, at)
    shift = early.truth().gyro_t_ns - late.truth().gyro_t_ns
    assert shift / 1e9 == pytest.approx((1 / 11.6 - 1 / 196.6) / (2 * math.pi), abs=2e-9)
    shift = early.truth().accel_t_ns - late.truth().accel_t_ns
    assert shift / 1e9 == pytest.approx((1 / 11.5 - 1 / 246.0) / (2 * math.pi), abs=2e-9)


def test_the_truth_says_when_what_the_registers_hold_was_so():
    imu, at = awake(gyro=0x01, accel=0x01)
    values = np.frombuffer(imu.read(0x2D, 12, at), ">i2")
    t = (imu.truth().gyro_t_ns[-1] - START) / 1e9
    assert values[3] / 131.0 == pytest.approx(10 + t, abs=0.005)


def test_unaligned_sensors_measure_at_different_moments():
    aligned, at = awake(divider=4)
    apart, _ = awake(divider=4, align=0)
    for imu in (aligned, apart):
        imu.read(0x00, 1, at + 50 * MS)
    gaps = [imu.truth().gyro_t_ns - imu.truth().accel_t_ns for imu in (aligned, apart)]
    assert np.ptp(gaps[0]) <= 2
    assert np.all(np.abs(gaps[1] - gaps[0]) > MS // 10)


def test_the_fifo_holds_accelerometer_then_gyroscope_big_endian():
    imu, at = awake(divider=4)
    into_fifo(imu, at)
    later = at + 40 * MS
    size = count(imu, later)
    assert size == 12 * 9
    rows = np.frombuffer(imu.read(0x72, size, later), ">i2").reshape(-1, 6)
    truth = imu.truth()
    assert truth.in_fifo.sum() == 9
    kept = truth.in_fifo
    np.testing.assert_allclose(rows[:, :3], truth.accel[kept] / 9.80665 * 16384, atol=0.51)
    np.testing.assert_allclose(rows[:, 3:], np.degrees(truth.gyro[kept]) * 131, atol=0.51)
    assert count(imu, later) == 0


@pytest.mark.parametrize(
    ("enable", "record"), [(0x10, 6), (0x0E, 6), (0x02, 2), (0x01, 2), (0x1F, 14)]
)
def test_the_fifo_takes_the_sensors_that_are_enabled(enable, record):
    imu, at = awake(divider=4)
    into_fifo(imu, at, enable)
    assert count(imu, at + 40 * MS) == 9 * record


@pytest.mark.parametrize(("enable", "axis"), [(0x02, 0), (0x04, 1), (0x08, 2)])
def test_each_axis_of_the_gyroscope_has_its_own_bit(enable, axis):
    imu, at = awake(divider=4)
    into_fifo(imu, at, enable)
    value = np.frombuffer(imu.read(0x72, 2, at + 10 * MS), ">i2")
    truth = imu.truth()
    first = truth.gyro[truth.in_fifo][0, axis]
    np.testing.assert_allclose(value, math.degrees(first) * 131, atol=0.51)


def test_the_count_is_latched_by_its_high_byte():
    imu, at = awake()
    into_fifo(imu, at)
    first = count(imu, at + 10 * MS)
    assert imu.read(0x71, 1, at + 20 * MS)[0] == first & 0xFF
    assert count(imu, at + 20 * MS) > first


def test_the_fifo_port_does_not_count_on_and_a_dry_fifo_reads_ff():
    imu, at = awake()
    into_fifo(imu, at)
    size = count(imu, at + 5 * MS)
    data = imu.read(0x72, size + 4, at + 5 * MS)
    assert data[-4:] == b"\xff" * 4
    assert data[:2] != b"\xff\xff"


def test_an_overflowing_stream_loses_the_oldest_bytes_and_its_alignment():
    imu, at = awake(divider=4)
    into_fifo(imu, at)
    later = at + 1000 * MS
    assert imu.read(0x1B, 1, later) == b"\x01"
    assert imu.read(0x1B, 1, later) == b"\x00"
    assert count(imu, later) == 512
    data = imu.read(0x72, 512, later)
    truth = imu.truth()
    rows = np.frombuffer(data[512 % 12 :], ">i2").reshape(-1, 6)
    np.testing.assert_allclose(rows[:, 3:], np.degrees(truth.gyro[-len(rows) :]) * 131, atol=0.51)


def test_an_overflowing_snapshot_keeps_the_oldest():
    imu, at = awake(divider=4)
    into_fifo(imu, at, mode=0x1F)
    later = at + 1000 * MS
    assert count(imu, later) == 512
    assert imu.read(0x1B, 1, later) == b"\x01"
    rows = np.frombuffer(imu.read(0x72, 504, later), ">i2").reshape(-1, 6)
    truth = imu.truth()
    first = np.flatnonzero(truth.in_fifo)[: len(rows)]
    np.testing.assert_allclose(rows[:, 3:], np.degrees(truth.gyro[first]) * 131, atol=0.51)


def test_a_fifo_held_in_reset_stays_empty():
    imu, at = awake()
    into_fifo(imu, at)
    imu.write(0x68, b"\x1f", at)
    assert count(imu, at + 20 * MS) == 0
    imu.write(0x68, b"\x1e", at + 20 * MS)
    assert count(imu, at + 40 * MS) > 0


def test_noise_and_bias_are_the_scenarios():
    imu, at = awake(ERRORS)
    imu.write(0x67, b"\x1e", at)
    rows = []
    imu.write(0x03, b"\x40", at)
    for step in range(1, 200):
        size = count(imu, at + step * 20 * MS)
        rows.append(np.frombuffer(imu.read(0x72, size, at + step * 20 * MS), ">i2"))
    values = np.concatenate(rows).reshape(-1, 6)
    truth = imu.truth()
    error = values[:, 3:] / 131 - np.degrees(truth.gyro[truth.in_fifo])
    np.testing.assert_allclose(error.mean(axis=0), [0.09, -0.07, 0.05], atol=0.02)
    np.testing.assert_allclose(error.std(axis=0), 0.015 * math.sqrt(229.8), rtol=0.05)


def test_what_is_sampled_does_not_depend_on_how_often_it_is_asked():
    often, at = awake(ERRORS)
    seldom, _ = awake(ERRORS)
    for imu in (often, seldom):
        into_fifo(imu, at)
    for step in range(300):
        often.read(0x19, 1, at + step * 100_000)
    end = at + 30 * MS
    size = count(often, end)
    assert size == count(seldom, end) > 300
    assert often.read(0x72, size, end) == seldom.read(0x72, size, end)


def test_bypass_needs_its_bit_and_an_idle_master():
    imu = chip()
    assert not imu.bypass
    imu.write(0x0F, b"\x02", START)
    assert imu.bypass
    imu.write(0x03, b"\x20", START)
    assert not imu.bypass
