"""A recording in the registers of a chip: every sample comes out again, and at its time."""

import math

import numpy as np
import pytest

from drivers.clock_fit import ClockFit
from drivers.find import find_imu
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.replay.chip import RecordedMotion, Rows, recorded_chip

SECOND = 1_000_000_000
POWER_ON = 5 * SECOND
ZERO = 9 * SECOND


def recording(rate_hz, seconds=20, drift=3e-4):
    """Samples of a chip whose clock drifts, and jitters by microseconds: each can be told by its
    values, which are of steps that any chip has."""
    noise = np.random.default_rng(7)
    n = np.arange(round(rate_hz * seconds))
    t_s = n / rate_hz * (1 + drift * n / len(n))
    t_ns = ZERO + np.rint(1e9 * t_s).astype(np.int64) + noise.integers(-20_000, 20_000, len(n))
    gyro = np.radians(np.stack([n % 200 - 100.0, n // 200 - 50.0, np.full(len(n), 7.0)], axis=1))
    accel = np.stack([(n % 40 - 20) / 16, (n // 40 % 40 - 20) / 16, np.ones(len(n))], axis=1)
    return Rows(t_ns, gyro, accel * 9.80665)


def blocks(rows, size):
    for at in range(0, len(rows.t_ns), size):
        part = slice(at, at + size)
        yield Rows(rows.t_ns[part], rows.gyro[part], rows.accel[part])


def play(chip, address, rate_hz, rows, block=300):
    """What the driver of the chip reads, with the times of a clock fit."""
    clock = VirtualClock(POWER_ON, 0)
    period_ns = (rows.t_ns[-1] - rows.t_ns[0]) / (len(rows.t_ns) - 1)
    motion = RecordedMotion(blocks(rows, block), period_ns)
    bus = SimulatedI2C(clock, {address: recorded_chip(chip, address, motion, POWER_ON)})
    imu = find_imu(bus, chip)
    imu.configure(clock, rate_hz=rate_hz, gyro_range_dps=250, accel_range_g=4)
    fit = ClockFit(1e9 / imu.rate_hz)
    times, gyro, accel, lost = [], [], [], 0
    while clock.now_ns() < rows.t_ns[-1] + SECOND // 2:
        clock.sleep_until(clock.now_ns() + imu.poll_interval_ns)
        burst = imu.read_burst(clock)
        if burst is not None:
            fit.observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
            counts = np.arange(burst.first_count, burst.first_count + len(burst))
            times.append(fit.times(counts) - burst.group_delay_ns)
            gyro.append(burst.gyro)
            accel.append(burst.accel)
            lost += burst.lost
    assert lost == 0
    return np.concatenate(times), np.concatenate(gyro), np.concatenate(accel)


CHIPS = [
    ("ICM-42688-P", 0x68, 200.0),
    ("ICM-42688-P", 0x68, 1000.0),
    ("LSM6DSOX", 0x6A, 416.0),
    ("ICM-20948", 0x69, 225.0),
    ("ICM-20948", 0x69, 1125.0),
    ("BMI160", 0x68, 400.0),
    ("BMI160", 0x68, 800.0),
    ("MPU-6500", 0x68, 100.0),
    ("MPU-6500", 0x68, 1000.0),
]


@pytest.mark.parametrize(("chip", "address", "rate_hz"), CHIPS)
def test_each_recorded_sample_comes_once_and_to_half_a_step(chip, address, rate_hz):
    rows = recording(1.02 * rate_hz, seconds=8)
    _, gyro, accel = play(chip, address, rate_hz, rows)
    gyro, accel = gyro[-len(rows.t_ns) :], accel[-len(rows.t_ns) :]
    assert np.degrees(np.abs(gyro - rows.gyro)).max() < 250 / 32768 * 1.2
    assert np.abs(accel - rows.accel).max() / 9.80665 < 4 / 32768 * 1.2


def test_they_come_at_their_times():
    rows = recording(227.7, seconds=30, drift=2e-5)
    t_ns, gyro, _ = play("ICM-20948", 0x69, 225.0, rows)
    error_ns = t_ns[-len(rows.t_ns) :] - rows.t_ns
    assert np.abs(error_ns).max() < 300_000
    assert error_ns.std() < 80_000
    before = gyro[: -len(rows.t_ns)]
    assert len(before) > 600
    assert np.abs(before[:-1]).max() == 0  # at rest, until something was recorded


def test_before_the_recording_the_chip_rests_in_its_attitude():
    rows = recording(200, seconds=2)
    _, gyro, accel = play("ICM-42688-P", 0x68, 200.0, rows)
    waited = len(gyro) - len(rows.t_ns)
    assert waited > 500
    np.testing.assert_allclose(accel[: waited - 1], rows.accel[:1].repeat(waited - 1, 0), atol=2e-3)


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_the_recording_may_come_in_blocks_of_any_size(block):
    rows = recording(200, seconds=6)
    _, gyro, _ = play("ICM-42688-P", 0x68, 200.0, rows, block)
    error = np.degrees(np.abs(gyro[-len(rows.t_ns) :] - rows.gyro))
    assert error.max() < 250 / 32768 * 1.2


def test_the_crystal_tells_the_same_both_ways():
    rows = recording(200, seconds=30)
    motion = RecordedMotion(blocks(rows, 500), 5e6)
    begun = motion.begin(POWER_ON, 0.005, 3_000_000)
    assert math.isclose(begun / 0.005, round(begun / 0.005), abs_tol=1e-9)
    for at in (0, 1, 2000, 5000):
        (ready,) = motion.host_ns(np.array([at * 0.005]))
        assert ready == rows.t_ns[at] + 3_000_000
        assert motion.chip_s(int(ready)) == pytest.approx(at * 0.005, abs=1e-7)
    assert motion.host_ns(np.array([len(rows.t_ns) * 0.005]))[0] > 1 << 60
