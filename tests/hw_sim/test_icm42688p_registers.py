import dataclasses

import numpy as np
import pytest

from hw_sim.icm42688p import Icm42688P
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
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + t, -20 + zero, 30 + zero], axis=-1))
    return rate, np.stack([1 + t, -2 + zero, 9.80665 + zero], axis=-1)


def awake(odr=7, fifo=0x80, packets=0x07, filters=0x11, gyro=1, accel=1, interface=0x30):
    """A chip at 1000 deg/s and 8 g with both sensors on for 60 ms; returns it and the time."""
    imu = Icm42688P(turning, QUIET, START, 7)
    imu.write(0x4C, bytes([interface]), START)
    imu.write(0x4F, bytes([gyro << 5 | odr, accel << 5 | odr]), START)
    imu.write(0x52, bytes([filters]), START)
    imu.write(0x5F, bytes([packets]), START)
    imu.write(0x16, bytes([fifo]), START)
    imu.write(0x4E, b"\x0f", START)
    return imu, START + 60 * MS


def flush(imu, at):
    imu.write(0x4B, b"\x02", at)
    imu.read(0x2E, 2, at)


def count(imu, at):
    return int.from_bytes(imu.read(0x2E, 2, at), "big")


def packets_of(imu, at, size=16):
    return np.frombuffer(imu.read(0x30, count(imu, at), at), np.uint8).reshape(-1, size)


def test_it_says_who_it_is_and_measures_nothing_at_first():
    imu = Icm42688P(turning, QUIET, START, 7)
    assert imu.read(0x75, 1, START) == b"\x47"
    assert imu.read(0x4C, 6, START + 1000 * MS) == b"\x30\x91\x00\x06\x06\x16"
    assert len(imu.truth().gyro_t_ns) == 0


def test_banks_are_separate_and_a_reset_goes_back_to_the_first():
    imu = Icm42688P(turning, QUIET, START, 7)
    imu.write(0x76, b"\x01", START)
    assert imu.read(0x75, 2, START) == b"\x00\x01"
    imu.write(0x76, b"\x00", START)
    imu.write(0x11, b"\x01", START)
    imu.write(0x4F, b"\x47", START + 100_000)
    assert imu.read(0x2D, 1, START + 2 * MS) == b"\x10"  # reset done, once
    assert imu.read(0x2D, 1, START + 2 * MS) == b"\x00"
    assert imu.read(0x4F, 1, START + 2 * MS) == b"\x06"


@pytest.mark.parametrize(
    ("odr", "rate"), [(5, 2000), (6, 1000), (15, 500), (7, 200), (8, 100), (10, 25), (11, 12.5)]
)
def test_samples_come_at_the_rate_of_the_chips_own_clock(odr, rate):
    imu, at = awake(odr=odr)
    imu.read(0x75, 1, at + 4000 * MS)
    period = np.diff(imu.truth().gyro_t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(0.012, abs=160e-6)


@pytest.mark.parametrize("interface", [0x30, 0x00])
def test_registers_hold_the_latest_sample_in_the_order_of_bytes_that_is_set(interface):
    imu, at = awake(gyro=2, accel=2, interface=interface)
    values = np.frombuffer(imu.read(0x1D, 14, at), ">i2" if interface else "<i2")
    truth = imu.truth()
    assert values[0] / 132.48 + 25 == pytest.approx(34.5, abs=0.01)
    np.testing.assert_allclose(values[1:4], truth.accel[-1] / 9.80665 * 8192, atol=0.51)
    np.testing.assert_allclose(values[4:], np.degrees(truth.gyro[-1]) * 65.5, atol=0.51)


def test_packets_have_header_sensors_temperature_and_time():
    imu, at = awake()
    flush(imu, at)
    already = imu.truth().in_fifo.sum()
    packets = packets_of(imu, at + 52 * MS)
    truth = imu.truth()
    assert len(packets) == truth.in_fifo.sum() - already == 10
    assert set(packets[:, 0]) == {0x68}
    words = np.frombuffer(packets[:, 1:13].tobytes(), ">i2").reshape(-1, 6)
    np.testing.assert_allclose(words[:, :3], truth.accel[-10:] / 9.80665 * 4096, atol=0.51)
    np.testing.assert_allclose(words[:, 3:], np.degrees(truth.gyro[-10:]) * 32.8, atol=0.51)
    assert packets[0, 13].view(np.int8) / 2.07 + 25 == pytest.approx(34.5, abs=0.3)
    stamps = np.frombuffer(packets[:, 14:].tobytes(), ">u2").astype(int)
    # 5 ms of the chip's time are 5000 * 30 / 32 counts (section 12.7).
    assert np.diff(stamps) % 65536 == pytest.approx(4687.5, abs=1)


def test_the_first_packet_says_that_the_rate_has_changed():
    imu, at = awake()
    imu.read(0x2E, 2, at)
    assert packets_of(imu, at)[0, 0] == 0x6B


@pytest.mark.parametrize(
    ("what", "size", "header"),
    [(0x01, 8, 0x40), (0x02, 8, 0x20), (0x03, 16, 0x68), (0x17, 20, 0x78)],
)
def test_the_size_of_packets_follows_what_is_enabled(what, size, header):
    imu, at = awake(packets=what)
    flush(imu, at)
    packets = packets_of(imu, at + 52 * MS, size)
    assert len(packets) == 10
    assert packets[0, 0] == header


def test_the_first_count_after_a_flush_reads_zero():
    imu, at = awake()
    imu.write(0x4B, b"\x02", at)
    assert count(imu, at + 30 * MS) == 0
    assert count(imu, at + 30 * MS) == 96


def test_the_count_is_in_records_where_so_asked():
    imu, at = awake(interface=0x70)
    flush(imu, at)
    assert count(imu, at + 52 * MS) == 10


def test_the_count_is_latched_by_its_high_byte():
    imu, at = awake()
    flush(imu, at)
    first = count(imu, at + 52 * MS)
    assert imu.read(0x2F, 1, at + 200 * MS)[0] == first & 0xFF


@pytest.mark.parametrize("mode", [0x80, 0x40])
def test_a_full_fifo_counts_the_packets_that_it_loses(mode):
    imu, at = awake(fifo=mode)
    flush(imu, at)
    imu.read(0x2D, 1, at)
    already = imu.truth().in_fifo.sum()
    later = at + 1000 * MS
    assert imu.read(0x2D, 1, later)[0] & 0x02
    packets = packets_of(imu, later)
    assert len(packets) == 127
    truth = imu.truth()
    there = truth.gyro[truth.in_fifo][already:]
    lost = int.from_bytes(imu.read(0x6C, 2, later), "big")
    assert lost == len(there) - 127
    kept = there[:127] if mode == 0x80 else there[-127:]
    words = np.frombuffer(packets[:, 7:13].tobytes(), ">i2").reshape(-1, 3)
    np.testing.assert_allclose(words, np.degrees(kept) * 32.8, atol=0.51)


def test_in_bypass_the_fifo_takes_nothing():
    imu, at = awake(fifo=0)
    imu.read(0x2E, 2, at)
    assert count(imu, at + 100 * MS) == 0
    assert imu.read(0x30, 3, at + 100 * MS) == b"\xff\xff\xff"


def test_the_watermark_is_told():
    imu, at = awake()
    imu.write(0x60, b"\xa0\x00", at)
    flush(imu, at)
    imu.read(0x2D, 1, at)
    assert not imu.read(0x2D, 1, at + 40 * MS)[0] & 0x04
    assert imu.read(0x2D, 1, at + 52 * MS)[0] & 0x04


@pytest.mark.parametrize(("odr", "code", "delay_ms"), [(7, 1, 5.1), (6, 3, 3.2), (8, 5, 12.9)])
def test_the_ui_filter_delays_as_the_datasheet_says(odr, code, delay_ms):
    imu, at = awake(odr=odr, filters=code << 4 | code)
    quick, _ = awake(odr=odr, filters=0)
    for chip in (imu, quick):
        chip.read(0x75, 1, at + 100 * MS)
    first = {7: 3.3, 6: 0.7, 8: 6.5}[odr]
    shift = (quick.truth().gyro_t_ns - imu.truth().gyro_t_ns)[-1] / MS
    assert shift == pytest.approx(delay_ms - first, abs=1e-6)


def test_too_much_motion_stops_short_of_the_code_for_no_sample():
    imu = Icm42688P(
        lambda t: (np.full((len(t), 3), -100.0), np.full((len(t), 3), 900.0)), QUIET, START, 1
    )
    imu.write(0x4E, b"\x0f", START)
    values = np.frombuffer(imu.read(0x1F, 12, START + 100 * MS), ">i2")
    assert values.tolist() == [32767] * 3 + [-32766] * 3
