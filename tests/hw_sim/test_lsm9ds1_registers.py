import dataclasses

import numpy as np
import pytest

from hw_sim.lsm9ds1 import Lsm9ds1
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


def awake(odr=4, gyro=0, accel=3, mode=1, bandwidth=6):
    """A chip at 250 deg/s and 8 g that has sampled for 100 ms; returns it and the time."""
    imu = Lsm9ds1(turning, QUIET, START, 7)
    imu.write(0x20, bytes([odr << 5 | accel << 3 | bandwidth]), START)
    imu.write(0x10, bytes([odr << 5 | gyro << 3]), START)
    imu.read(0x0F, 1, START + 100 * MS)
    imu.write(0x23, b"\x02", START + 100 * MS)
    imu.write(0x2E, bytes([mode << 5]), START + 100 * MS)
    return imu, START + 100 * MS


def drawn(vectors):
    """As the axes are drawn on the package, whose Z is against a right-handed frame's."""
    return vectors * [1, 1, -1]


def samples_of(imu, at):
    level = imu.read(0x2F, 1, at)[0] & 0x3F
    return np.frombuffer(imu.read(0x18, 12 * level, at), "<i2").reshape(-1, 6)


def test_it_says_who_it_is_and_measures_nothing_at_first():
    imu = Lsm9ds1(turning, QUIET, START, 7)
    assert imu.read(0x0F, 2, START) == b"\x68\x00"
    assert imu.read(0x1E, 5, START) == b"\x38\x38\x00\x00\x04"
    imu.read(0x0F, 1, START + 1000 * MS)
    assert len(imu.truth().gyro_t_ns) == 0


def test_a_reset_takes_a_while_and_loses_what_is_written_meanwhile():
    imu, at = awake()
    imu.write(0x22, b"\x01", at)
    imu.write(0x10, b"\x80", at + MS)
    assert imu.read(0x10, 1, at + 30 * MS) == b"\x00"


@pytest.mark.parametrize(
    ("odr", "rate"), [(1, 14.9), (2, 59.5), (3, 119), (4, 238), (5, 476), (6, 952)]
)
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, rate):
    imu, at = awake(odr=odr)
    imu.read(0x0F, 1, at + 4000 * MS)
    period = np.diff(imu.truth().gyro_t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize(("code", "mg"), [(0, 0.061), (1, 0.732), (2, 0.122), (3, 0.244)])
@pytest.mark.parametrize(("gyro", "mdps"), [(0, 8.75), (1, 17.5), (3, 70.0)])
def test_a_burst_goes_from_gyroscope_to_accelerometer_and_round_again(code, mg, gyro, mdps):
    imu, at = awake(gyro=gyro, accel=code, mode=0)
    twice = np.frombuffer(imu.read(0x18, 24, at), "<i2").reshape(2, 6)
    truth = imu.truth()
    for values in twice:
        np.testing.assert_allclose(
            values[:3], drawn(np.degrees(truth.gyro[-1])) * 1000 / mdps, atol=0.51
        )
        np.testing.assert_allclose(
            values[3:], drawn(truth.accel[-1]) / 9.80665 * 1000 / mg, atol=0.51
        )
    assert imu.read(0x28, 6, at) == twice[0].tobytes()[6:]
    assert int.from_bytes(imu.read(0x15, 2, at), "little") / 16 + 25 == pytest.approx(
        34.5, abs=0.04
    )


def test_data_ready_clears_when_read():
    imu, at = awake(mode=0)
    assert imu.read(0x17, 1, at)[0] == imu.read(0x27, 1, at)[0] == 0x07
    imu.read(0x18, 6, at)
    assert imu.read(0x27, 1, at)[0] & 0x03 == 0x01
    imu.read(0x28, 6, at)
    assert imu.read(0x17, 1, at)[0] & 0x03 == 0x00


def test_the_fifo_holds_samples_of_both():
    imu, at = awake()
    later = at + 50 * MS
    assert imu.read(0x2F, 1, later)[0] == 12
    samples = samples_of(imu, later)
    truth = imu.truth()
    kept = truth.in_fifo
    assert kept.sum() == len(samples) == 12
    np.testing.assert_allclose(
        samples[:, :3], drawn(np.degrees(truth.gyro[kept])) / 0.00875, atol=0.51
    )
    accel = drawn(truth.accel[kept]) / 9.80665 / 0.000244
    np.testing.assert_allclose(samples[:, 3:], accel, atol=0.51)
    assert imu.read(0x2F, 1, later)[0] == 0


@pytest.mark.parametrize("mode", [1, 6])
def test_a_full_fifo_keeps_what_its_mode_says(mode):
    imu, at = awake(mode=mode)
    later = at + 1000 * MS
    assert imu.read(0x2F, 1, later)[0] == 0x60
    samples = samples_of(imu, later)
    truth = imu.truth()
    there = truth.gyro[truth.in_fifo]
    kept = there[:32] if mode == 1 else there[-32:]
    np.testing.assert_allclose(samples[:, :3], drawn(np.degrees(kept)) / 0.00875, atol=0.51)
    assert imu.read(0x2F, 1, later)[0] == 0


def test_the_threshold_is_told():
    imu, at = awake()
    imu.write(0x2E, b"\x28", at)
    assert imu.read(0x2F, 1, at + 30 * MS)[0] == 7
    assert imu.read(0x2F, 1, at + 34 * MS)[0] == 0x88


@pytest.mark.parametrize(("register", "off", "on"), [(0x2E, 0x00, 0x20), (0x23, 0x00, 0x02)])
def test_the_fifo_is_emptied_when_it_is_switched_off(register, off, on):
    imu, at = awake()
    imu.write(register, bytes([off]), at + 50 * MS)
    assert imu.read(0x2F, 1, at + 100 * MS)[0] == 0
    imu.write(register, bytes([on]), at + 100 * MS)
    assert imu.read(0x2F, 1, at + 150 * MS)[0] == 12


@pytest.mark.parametrize(
    ("odr", "bandwidth", "gyro_hz", "accel_hz"),
    [(4, 0, 76, 105), (4, 4, 76, 408), (4, 6, 76, 105), (3, 7, 38, 50), (6, 0, 100, 408)],
)
def test_filters_delay_as_first_order_ones(odr, bandwidth, gyro_hz, accel_hz):
    imu, at = awake(odr=odr, bandwidth=bandwidth)
    imu.read(0x0F, 1, at)
    truth = imu.truth()
    shift = (truth.accel_t_ns - truth.gyro_t_ns)[-1] / 1e9
    assert shift == pytest.approx((1 / gyro_hz - 1 / accel_hz) / (2 * np.pi), abs=2e-9)
