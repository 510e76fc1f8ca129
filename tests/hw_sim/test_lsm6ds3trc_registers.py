import dataclasses

import numpy as np
import pytest

from hw_sim.lsm6ds3trc import Lsm6ds3trC
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


def awake(odr=5, gyro=2, accel=3, mode=1, sets=0x09, lpf1=3):
    """A chip at 1000 deg/s and 8 g that has sampled for 100 ms; returns it and the time."""
    imu = Lsm6ds3trC(turning, QUIET, START, 7)
    if lpf1 is not None:
        imu.write(0x13, b"\x02", START)
        imu.write(0x15, bytes([lpf1]), START)
    imu.write(0x10, bytes([odr << 4 | accel << 2 | 2, odr << 4 | gyro << 2]), START)
    imu.read(0x0F, 1, START + 100 * MS)
    imu.write(0x08, bytes([sets, 0, odr << 3 | mode]), START + 100 * MS)
    return imu, START + 100 * MS


def status(imu, at):
    """Words, flags, place in the pattern."""
    low, high, pattern, pattern_high = imu.read(0x3A, 4, at)
    return (high & 7) << 8 | low, high & 0xF8, (pattern_high & 3) << 8 | pattern


def words_of(imu, at):
    words, _, _ = status(imu, at)
    return np.frombuffer(imu.read(0x3E, 2 * words, at), "<i2")


def test_it_says_who_it_is_and_measures_nothing_at_first():
    imu = Lsm6ds3trC(turning, QUIET, START, 7)
    assert imu.read(0x0F, 4, START) == b"\x6a\x00\x00\x04"
    assert status(imu, START + 1000 * MS) == (0, 0x10, 0)
    assert len(imu.truth().gyro_t_ns) == 0


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake()
    imu.write(0x12, b"\x01", at)
    imu.write(0x10, b"\x50", at + MS)
    assert imu.read(0x10, 3, at + 20 * MS) == b"\x00\x00\x04"


@pytest.mark.parametrize(
    ("odr", "rate"), [(1, 12.5), (2, 26), (4, 104), (5, 208), (7, 833), (8, 1666)]
)
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, rate):
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


def test_the_fifo_holds_gyroscope_then_accelerometer_without_tags():
    imu, at = awake()
    later = at + 50 * MS
    assert status(imu, later) == (60, 0, 0)
    samples = words_of(imu, later).reshape(-1, 6)
    truth = imu.truth()
    kept = truth.in_fifo
    assert kept.sum() == len(samples) == 10
    np.testing.assert_allclose(samples[:, :3], np.degrees(truth.gyro[kept]) / 0.035, atol=0.51)
    accel = truth.accel[kept] / 9.80665 / 0.000244
    np.testing.assert_allclose(samples[:, 3:], accel, atol=0.51)
    assert status(imu, later) == (0, 0x10, 0)


@pytest.mark.parametrize(("sets", "words"), [(0x08, 3), (0x01, 3), (0x09, 6), (0x00, 0)])
def test_the_fifo_takes_the_sets_that_are_on(sets, words):
    imu, at = awake(sets=sets)
    assert status(imu, at + 50 * MS)[0] == 10 * words


def test_the_pattern_tells_whose_is_the_next_word():
    imu, at = awake()
    later = at + 50 * MS
    for read in range(9):
        assert status(imu, later)[2] == read % 6
        imu.read(0x3E, 2, later)


def test_a_full_fifo_in_fifo_mode_keeps_whole_samples_and_takes_no_more():
    imu, at = awake()
    later = at + 3000 * MS
    assert status(imu, later) == (2046, 0x20, 0)
    samples = words_of(imu, later).reshape(-1, 6)
    truth = imu.truth()
    oldest = truth.gyro[truth.in_fifo][:341]
    np.testing.assert_allclose(samples[:, :3], np.degrees(oldest) / 0.035, atol=0.51)


def test_a_full_fifo_in_continuous_mode_drops_words_and_says_0():
    imu, at = awake(mode=6)
    later = at + 3000 * MS
    words, flags, pattern = status(imu, later)
    assert (words, flags) == (0, 0x60)
    assert pattern == 4  # 2048 words from the end: two of a sample, then 341 whole ones
    data = np.frombuffer(imu.read(0x3E, 4096, later), "<i2")
    truth = imu.truth()
    newest = truth.gyro[truth.in_fifo][-341:]
    np.testing.assert_allclose(
        data[2:].reshape(-1, 6)[:, :3], np.degrees(newest) / 0.035, atol=0.51
    )
    assert status(imu, later) == (0, 0x10, 0)


def test_bypass_empties_the_fifo_and_begins_the_pattern_anew():
    imu, at = awake()
    imu.read(0x3E, 4, at + 50 * MS)
    imu.write(0x0A, b"\x00", at + 50 * MS)
    assert status(imu, at + 100 * MS) == (0, 0x10, 0)
    imu.write(0x0A, b"\x29", at + 100 * MS)
    assert status(imu, at + 150 * MS) == (60, 0, 0)


def test_the_watermark_is_told():
    imu, at = awake()
    imu.write(0x06, b"\x3c", at)
    assert not status(imu, at + 45 * MS)[1] & 0x80
    assert status(imu, at + 50 * MS)[1] & 0x80


@pytest.mark.parametrize(("high", "tick_s"), [(0x10, 25e-6), (0x00, 6.4e-3)])
def test_the_time_stamp_counts_by_the_chips_own_clock(high, tick_s):
    imu, at = awake()
    imu.write(0x5C, bytes([high]), at)
    assert imu.read(0x40, 3, at) == b"\x00\x00\x00"
    imu.write(0x19, b"\x20", at)

    def stamp(t_ns):
        return int.from_bytes(imu.read(0x40, 3, t_ns), "little")

    assert stamp(at + 2000 * MS) == pytest.approx(2.024 / tick_s, rel=2e-4, abs=1)
    imu.write(0x42, b"\xaa", at + 2000 * MS)
    assert stamp(at + 3000 * MS) == pytest.approx(1.012 / tick_s, rel=2e-4, abs=1)
    if high:
        wrap_s = (1 << 24) * tick_s / 1.012
        assert stamp(at + 2000 * MS + int(wrap_s * 1.001e9)) < 0.002 * (1 << 24)


@pytest.mark.parametrize(
    ("odr", "ftype", "degrees"), [(5, 3, 39), (5, 2, 45), (6, 0, 23), (7, 1, 17), (8, 3, 8)]
)
def test_the_gyroscopes_filter_delays_as_its_phase_at_20_hz_says(odr, ftype, degrees):
    imu, at = awake(odr=odr, lpf1=ftype)
    imu.read(0x0F, 1, at)
    truth = imu.truth()
    rate = {5: 208, 6: 416, 7: 833, 8: 1666}[odr]
    accel_s = 1 / (2 * np.pi * rate / 4)
    shift = (truth.accel_t_ns - truth.gyro_t_ns)[-1] / 1e9
    assert shift == pytest.approx(degrees / 360 / 20 - accel_s, abs=2e-9)
