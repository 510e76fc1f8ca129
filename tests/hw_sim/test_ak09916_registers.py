import dataclasses

import numpy as np
import pytest

from hw_sim.ak09916 import Ak09916
from hw_sim.scenario import load_scenario

ERRORS = load_scenario("walk").mag
QUIET = dataclasses.replace(ERRORS, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)
START = 3_000_000_000
MS = 1_000_000


def drifting(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 15 * t, 5 + 0 * t, -43 + 0 * t], axis=-1)


def chip(errors=QUIET, field=drifting, present=True):
    return Ak09916(field, errors, START, 3, lambda: present)


def test_it_says_who_it_is_also_across_the_gap_in_its_addresses():
    assert chip().read(0x00, 2, START) == b"\x48\x09"
    mag = chip()
    mag.write(0x31, b"\x08", START)
    assert mag.read(0x03, 2, START + 9 * MS)[1] == 0x01


def test_it_is_on_the_bus_only_while_the_auxiliary_bus_leads_there():
    assert chip().answers()
    assert not chip(present=False).answers()


def test_powered_down_it_measures_nothing():
    mag = chip()
    assert mag.read(0x10, 9, START + 1000 * MS) == bytes(9)


@pytest.mark.parametrize(("mode", "rate"), [(2, 10), (4, 20), (6, 50), (8, 100)])
def test_continuous_modes_measure_at_their_rate_by_its_own_clock(mode, rate):
    mag = chip()
    mag.write(0x31, bytes([mode]), START)
    mag.read(0x10, 9, START + 20_000 * MS)
    period = np.diff(mag.truth().t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)


def test_a_burst_gives_the_field_little_endian_with_y_and_z_turned_round():
    mag = chip()
    mag.write(0x31, b"\x08", START)
    burst = mag.read(0x10, 9, START + 8 * MS)
    truth = mag.truth()
    assert burst[0] == 0x01
    assert burst[7:] == b"\x00\x00"
    x, y, z = np.frombuffer(burst[1:7], "<i2") * 0.15
    np.testing.assert_allclose([x, -y, -z], truth.field[-1], atol=0.076)
    assert x == pytest.approx(20.05, abs=0.2)
    assert y == pytest.approx(-5, abs=0.1)
    assert z == pytest.approx(43, abs=0.1)
    # The instant is the middle of the 7.2 ms that the measurement took.
    assert truth.t_ns[-1] - START == pytest.approx(3.6 * MS, abs=0.1 * MS)


def test_data_ready_falls_when_the_data_is_read():
    mag = chip()
    mag.write(0x31, b"\x08", START)
    at = START + 8 * MS
    assert mag.read(0x10, 1, at) == b"\x01"
    assert mag.read(0x10, 1, at) == b"\x01"
    mag.read(0x11, 8, at)
    assert mag.read(0x10, 1, at) == b"\x00"


def test_a_missed_measurement_is_an_overrun():
    mag = chip()
    mag.write(0x31, b"\x08", START)
    assert mag.read(0x10, 9, START + 35 * MS)[0] == 0x03
    assert mag.read(0x10, 9, START + 40 * MS)[0] == 0x01


def test_data_stays_fast_until_st2_is_read():
    mag = chip()
    mag.write(0x31, b"\x08", START)
    first = mag.read(0x11, 6, START + 8 * MS)
    assert mag.read(0x11, 6, START + 100 * MS) == first
    mag.read(0x18, 1, START + 100 * MS)
    assert mag.read(0x11, 6, START + 115 * MS) != first
    assert not mag.truth().kept.all()


def test_a_single_measurement_ends_in_power_down():
    mag = chip()
    mag.write(0x31, b"\x01", START)
    assert mag.read(0x31, 1, START + MS) == b"\x01"
    assert mag.read(0x10, 1, START + 9 * MS) == b"\x01"
    assert mag.read(0x31, 1, START + 9 * MS) == b"\x00"
    assert len(mag.truth().t_ns) == 1


def test_a_soft_reset_powers_it_down():
    mag = chip()
    mag.write(0x31, b"\x08", START)
    mag.write(0x32, b"\x01", START + 9 * MS)
    assert mag.read(0x31, 1, START + 9 * MS) == b"\x00"
    assert mag.read(0x10, 9, START + 100 * MS) == bytes(9)


def test_a_magnet_overflows_it():
    mag = chip(field=lambda t: np.full((len(t), 3), 2000.0))
    mag.write(0x31, b"\x08", START)
    assert mag.read(0x18, 1, START + 9 * MS) == b"\x08"


def test_hard_iron_and_noise_are_the_scenarios():
    mag = chip(ERRORS)
    mag.write(0x31, b"\x08", START)
    rows = []
    for step in range(1, 500):
        burst = mag.read(0x10, 9, START + step * 12 * MS)
        rows.append(np.frombuffer(burst[1:7], "<i2") * 0.15 * [1, -1, -1])
    truth = mag.truth()
    error = np.array(rows) - truth.field[truth.kept][: len(rows)]
    np.testing.assert_allclose(error.mean(axis=0), [0.22, -0.15, 0.1], atol=0.06)
    np.testing.assert_allclose(error.std(axis=0), 0.3, rtol=0.15)
