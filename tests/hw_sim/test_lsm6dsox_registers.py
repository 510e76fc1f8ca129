import dataclasses
import math

import numpy as np
import pytest

from hw_sim.lsm6dsox import Lsm6dsox
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


def awake(odr=5, gyro=2, accel=3, mode=1, batch=0x55, lpf2=2):
    """A chip at 1000 deg/s and 8 g that has sampled for 100 ms; returns it and the time."""
    imu = Lsm6dsox(turning, QUIET, START, 7)
    imu.write(0x10, bytes([odr << 4 | accel << 2 | lpf2, odr << 4 | gyro << 2]), START)
    imu.read(0x0F, 1, START + 100 * MS)
    imu.write(0x09, bytes([batch, mode]), START + 100 * MS)
    return imu, START + 100 * MS


def level(imu, at):
    return int.from_bytes(imu.read(0x3A, 2, at), "little") & 0x3FF


def words_of(imu, at):
    return np.frombuffer(imu.read(0x78, 7 * level(imu, at), at), np.uint8).reshape(-1, 7)


def vectors(words):
    return np.ascontiguousarray(words[:, 1:]).view("<i2")


def test_it_says_who_it_is_and_measures_nothing_at_first():
    imu = Lsm6dsox(turning, QUIET, START, 7)
    assert imu.read(0x0F, 4, START) == b"\x6c\x00\x00\x04"
    imu.read(0x0F, 1, START + 1000 * MS)
    assert len(imu.truth().gyro_t_ns) == 0


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake()
    imu.write(0x12, b"\x01", at)
    imu.write(0x10, b"\x50", at + MS)
    assert imu.read(0x10, 3, at + 20 * MS) == b"\x00\x00\x04"


@pytest.mark.parametrize(
    ("odr", "coefficient"), [(1, 512), (2, 256), (4, 64), (5, 32), (7, 8), (8, 4), (9, 2)]
)
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, coefficient):
    """The rates of INTERNAL_FREQ_FINE: 6667 Hz by ODR_coeff. 12.5 Hz is a name for 13.02."""
    rate = 6667 / coefficient
    imu, at = awake(odr=odr)
    imu.read(0x0F, 1, at + 4000 * MS)
    period = np.diff(imu.truth().gyro_t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize(("code", "mg"), [(0, 0.061), (1, 0.488), (2, 0.122), (3, 0.244)])
def test_registers_hold_temperature_gyroscope_accelerometer(code, mg):
    imu, at = awake(gyro=1, accel=code)
    values = np.frombuffer(imu.read(0x20, 14, at), "<i2")
    truth = imu.truth()
    assert values[0] / 256 + 25 == pytest.approx(34.5, abs=0.01)
    np.testing.assert_allclose(values[1:4], np.degrees(truth.gyro[-1]) / 0.0175, atol=0.51)
    np.testing.assert_allclose(values[4:], truth.accel[-1] / 9.80665 * 1000 / mg, atol=0.51)


def test_data_ready_clears_when_read():
    imu, at = awake()
    assert imu.read(0x1E, 1, at)[0] & 0x03 == 0x03
    imu.read(0x22, 6, at)
    assert imu.read(0x1E, 1, at)[0] & 0x03 == 0x01
    imu.read(0x28, 6, at)
    assert imu.read(0x1E, 1, at)[0] & 0x03 == 0x00


def test_words_in_the_fifo_have_tag_time_slot_and_even_parity():
    imu, at = awake()
    later = at + 50 * MS
    words = words_of(imu, later)
    truth = imu.truth()
    kept = truth.in_fifo
    assert len(words) == 2 * kept.sum() == 22
    tags = words[:, 0]
    assert (tags >> 3).tolist() == [1, 2] * 11
    assert all(int(tag).bit_count() % 2 == 0 for tag in tags)
    assert (np.diff(tags[::2] >> 1 & 3) % 4 == 1).all()
    gyro, accel = vectors(words[::2]), vectors(words[1::2])
    np.testing.assert_allclose(gyro, np.degrees(truth.gyro[kept]) / 0.035, atol=0.51)
    np.testing.assert_allclose(accel, truth.accel[kept] / 9.80665 / 0.000244, atol=0.51)
    assert level(imu, later) == 0
    assert imu.read(0x78, 1, later)[0] >> 3 == 0


@pytest.mark.parametrize(("batch", "tags"), [(0x50, {1}), (0x05, {2}), (0x55, {1, 2})])
def test_the_fifo_takes_what_is_batched(batch, tags):
    imu, at = awake(batch=batch)
    assert set(words_of(imu, at + 50 * MS)[:, 0] >> 3) == tags


@pytest.mark.parametrize("mode", [1, 6])
def test_a_full_fifo_keeps_what_its_mode_says_and_tells_once(mode):
    imu, at = awake(mode=mode)
    later = at + 3000 * MS
    assert imu.read(0x3B, 1, later)[0] & 0x68 == 0x68
    assert not imu.read(0x3B, 1, later)[0] & 0x08
    words = words_of(imu, later)
    assert len(words) == 512
    truth = imu.truth()
    there = truth.gyro[truth.in_fifo]
    kept = there[:256] if mode == 1 else there[-256:]
    np.testing.assert_allclose(vectors(words[::2]), np.degrees(kept) / 0.035, atol=0.51)


def test_bypass_empties_the_fifo():
    imu, at = awake()
    imu.write(0x0A, b"\x00", at + 50 * MS)
    assert level(imu, at + 100 * MS) == 0
    imu.write(0x0A, b"\x01", at + 100 * MS)
    assert level(imu, at + 150 * MS) == 22


def test_filters_delay_as_first_order_ones():
    low, at = awake()
    high, _ = awake(odr=6)
    rate = 40_000 / 192
    for imu in (low, high):
        imu.read(0x0F, 1, at)
    truth = low.truth()
    shift = (truth.accel_t_ns - truth.gyro_t_ns)[-1] / 1e9
    assert shift == pytest.approx((1 / 66.8 - 4 / rate) / (2 * math.pi), abs=2e-9)
    unfiltered, _ = awake(lpf2=0)
    unfiltered.read(0x0F, 1, at)
    shift = (unfiltered.truth().accel_t_ns - truth.accel_t_ns)[-1] / 1e9
    assert shift == pytest.approx((4 / rate - 2 / rate) / (2 * math.pi), abs=2e-9)
