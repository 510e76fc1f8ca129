import dataclasses

import numpy as np
import pytest

from hw_sim.bmi160 import Bmi160
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


TICK_S = 39.0625e-6


def awake(odr=9, gyro=1, accel=8, fifo=0xD0, bandwidth=2):
    """A chip at 1000 deg/s and 8 g that has sampled for 100 ms; returns it and the time."""
    imu = Bmi160(turning, QUIET, START, 7)
    imu.write(0x7E, b"\x11", START)
    imu.write(0x7E, b"\x15", START + 5 * MS)
    conf = bandwidth << 4 | odr
    imu.write(0x40, bytes([conf, accel, conf, gyro]), START + 10 * MS)
    imu.write(0x47, bytes([fifo]), START + 200 * MS)
    imu.write(0x7E, b"\xb0", START + 200 * MS)
    return imu, START + 200 * MS


def level(imu, at):
    return int.from_bytes(imu.read(0x22, 2, at), "little")


def frames_of(imu, at):
    return np.frombuffer(imu.read(0x24, level(imu, at), at), np.uint8).reshape(-1, 13)


def vectors(frames):
    words = np.ascontiguousarray(frames[:, 1:]).view("<i2")
    return words[:, :3], words[:, 3:]


def test_it_says_who_it_is_and_measures_nothing_at_first():
    imu = Bmi160(turning, QUIET, START, 7)
    assert imu.read(0x00, 4, START) == b"\xd1\x00\x00\x00"
    assert imu.read(0x40, 4, START) == b"\x28\x03\x28\x00"
    imu.read(0x00, 1, START + 1000 * MS)
    assert len(imu.truth().gyro_t_ns) == 0


def test_while_both_sensors_are_suspended_one_write_in_450_us_is_taken():
    imu = Bmi160(turning, QUIET, START, 7)
    imu.write(0x40, b"\x29", START)
    imu.write(0x42, b"\x29", START + 100_000)
    imu.write(0x43, b"\x03", START + 600_000)
    assert imu.read(0x40, 4, START + MS) == b"\x29\x03\x28\x03"


def test_power_modes_are_told_and_samples_begin_when_the_gyroscope_has_started():
    imu = Bmi160(turning, QUIET, START, 7)
    imu.write(0x7E, b"\x11", START)
    assert imu.read(0x03, 1, START + 5 * MS) == b"\x10"
    imu.write(0x7E, b"\x15", START + 5 * MS)
    assert imu.read(0x03, 1, START + 5 * MS) == b"\x14"
    before = len(imu.truth().gyro_t_ns)
    imu.read(0x00, 1, START + 84 * MS)
    assert len(imu.truth().gyro_t_ns) == before
    imu.read(0x00, 1, START + 300 * MS)
    assert len(imu.truth().gyro_t_ns) == before + 21
    imu.write(0x7E, b"\x14", START + 300 * MS)
    imu.write(0x7E, b"\x10", START + 300 * MS)
    asleep = len(imu.truth().gyro_t_ns)
    imu.read(0x00, 1, START + 900 * MS)
    assert len(imu.truth().gyro_t_ns) == asleep


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake()
    imu.write(0x7E, b"\xb6", at)
    imu.write(0x41, b"\x0c", at + MS)
    assert imu.read(0x40, 4, at + 20 * MS) == b"\x28\x03\x28\x00"


@pytest.mark.parametrize(("odr", "rate"), [(6, 25), (8, 100), (9, 200), (10, 400), (12, 1600)])
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, rate):
    imu, at = awake(odr=odr)
    imu.read(0x00, 1, at + 4000 * MS)
    period = np.diff(imu.truth().gyro_t_ns)[2:].mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize(("code", "g"), [(3, 2), (5, 4), (8, 8), (12, 16)])
@pytest.mark.parametrize(("gyro", "dps"), [(0, 2000), (2, 500), (4, 125)])
def test_registers_hold_gyroscope_accelerometer_temperature(code, g, gyro, dps):
    imu, at = awake(gyro=gyro, accel=code)
    assert imu.read(0x1B, 1, at)[0] & 0xC0 == 0xC0
    values = np.frombuffer(imu.read(0x0C, 12, at), "<i2")
    truth = imu.truth()
    np.testing.assert_allclose(values[:3], np.degrees(truth.gyro[-1]) * 32768 / dps, atol=0.51)
    np.testing.assert_allclose(values[3:], truth.accel[-1] / 9.80665 * 32768 / g, atol=0.51)
    assert int.from_bytes(imu.read(0x20, 2, at), "little") / 512 + 23 == pytest.approx(34.5)
    assert imu.read(0x1B, 1, at)[0] & 0xC0 == 0


@pytest.mark.parametrize(
    ("odr", "rate", "gyro_hz"), [(6, 25, 10.7), (9, 200, 74.6), (12, 1600, 523.9)]
)
def test_samples_lie_on_whole_periods_of_sensor_time(odr, rate, gyro_hz):
    imu, at = awake(odr=odr)
    period, delay_ns = round(25600 / rate), 1e9 / (2 * np.pi * gyro_hz)
    for n in range(1, 6):
        # What the sensor time says at a look is how old the newest sample is, in ticks.
        looked = at + n * 7 * MS
        ticks = int.from_bytes(imu.read(0x18, 3, looked), "little")
        age_s = (looked - imu.truth().gyro_t_ns[-1] - delay_ns) / 1e9 * 1.012
        assert ticks % period * TICK_S == pytest.approx(age_s, abs=1.02 * TICK_S)


def test_sensor_time_and_fill_level_come_in_one_burst():
    imu, at = awake()
    later = at + 50 * MS
    burst = imu.read(0x18, 12, later)
    assert burst[:3] == imu.read(0x18, 3, later)
    assert int.from_bytes(burst[10:], "little") == level(imu, later) == 10 * 13


def test_the_fifo_holds_frames_of_both():
    imu, at = awake()
    later = at + 50 * MS
    frames = frames_of(imu, later)
    truth = imu.truth()
    kept = truth.in_fifo
    assert set(frames[:, 0]) == {0x8C}
    gyro, accel = vectors(frames)
    np.testing.assert_allclose(gyro, np.degrees(truth.gyro[kept]) * 32.768, atol=0.51)
    np.testing.assert_allclose(accel, truth.accel[kept] / 9.80665 * 4096, atol=0.51)
    assert level(imu, later) == 0
    assert imu.read(0x24, 4, later) == b"\x80" * 4


@pytest.mark.parametrize(("fifo", "size", "header"), [(0x90, 7, 0x88), (0x50, 7, 0x84)])
def test_the_fifo_takes_what_is_on_and_its_headers_say_so(fifo, size, header):
    imu, at = awake(fifo=fifo)
    later = at + 50 * MS
    assert level(imu, later) == 10 * size
    assert imu.read(0x24, size, later)[0] == header


def test_without_headers_there_are_samples_alone():
    imu, at = awake(fifo=0xC0)
    later = at + 50 * MS
    assert level(imu, later) == 10 * 12
    words = np.frombuffer(imu.read(0x24, 12, later), "<i2")
    first = imu.truth().gyro[imu.truth().in_fifo][0]
    np.testing.assert_allclose(words[:3], np.degrees(first) * 32.768, atol=0.51)


def test_a_frame_that_was_read_in_part_is_read_again():
    imu, at = awake()
    later = at + 50 * MS
    begin = imu.read(0x24, 20, later)
    assert level(imu, later) == 9 * 13
    assert imu.read(0x24, 13, later)[:7] == begin[13:]


def test_a_full_fifo_drops_the_oldest_frames_and_says_how_many():
    imu, at = awake()
    later = at + 1000 * MS
    assert level(imu, later) == 78 * 13 + 2
    data = imu.read(0x24, 78 * 13 + 2, later)
    truth = imu.truth()
    there = truth.gyro[truth.in_fifo]
    assert data[:2] == bytes([0x40, len(there) - 78])
    gyro, _ = vectors(np.frombuffer(data[2:], np.uint8).reshape(-1, 13))
    np.testing.assert_allclose(gyro, np.degrees(there[-78:]) * 32.768, atol=0.51)
    assert level(imu, later) == 0
    imu.read(0x00, 1, later + 3000 * MS)
    assert imu.read(0x24, 2, later + 3000 * MS) == b"\x40\xff"  # it counts no further


def test_who_reads_on_gets_the_sensor_time():
    imu, at = awake(fifo=0xD2)
    later = at + 12 * MS
    frames, rest = level(imu, later), imu.read(0x24, 60, later)
    assert rest[frames : frames + 4] == b"\x44" + imu.read(0x18, 3, later)
    assert set(rest[frames + 4 :]) == {0x80}


def test_a_flush_empties_the_fifo():
    imu, at = awake()
    imu.write(0x7E, b"\xb0", at + 1000 * MS)
    assert level(imu, at + 1000 * MS) == 0
    assert level(imu, at + 1050 * MS) in (10 * 13, 11 * 13)


@pytest.mark.parametrize(("bandwidth", "part"), [(2, 1.0), (1, 0.5), (0, 0.25)])
def test_filters_delay_as_first_order_ones(bandwidth, part):
    imu, at = awake(bandwidth=bandwidth)
    imu.read(0x00, 1, at)
    truth = imu.truth()
    shift = (truth.accel_t_ns - truth.gyro_t_ns)[-1] / 1e9
    assert shift == pytest.approx((1 / 74.6 - 1 / 80) / (2 * np.pi * part), abs=2e-9)
