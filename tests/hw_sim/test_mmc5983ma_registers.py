import dataclasses

import numpy as np
import pytest

from hw_sim.mmc5983ma import Mmc5983ma
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(
    load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0, temperature_c=33.0
)
START = 3_000_000_000
MS = 1_000_000


def steady(t_ns):
    return np.tile([20.0, 5.0, -43.0], (len(t_ns), 1))


def chip(field=steady):
    return Mmc5983ma(field, QUIET, START, 3)


def counts(mag, at):
    data = mag.read(0x00, 7, at)
    x, y, z = np.frombuffer(data[:6], ">u2").astype(int) << 2
    return np.array([x | data[6] >> 6, y | data[6] >> 4 & 3, z | data[6] >> 2 & 3]) - 131072


def single(mag, pulse, at):
    """A pulse, then a measurement 2 ms later, which is read 10 ms later."""
    mag.write(0x09, bytes([pulse]), at)
    mag.write(0x09, b"\x01", at + 2 * MS)
    return counts(mag, at + 12 * MS)


def test_it_says_who_it_is():
    assert chip().read(0x2F, 1, START) == b"\x30"


def test_a_measurement_takes_eight_milliseconds_and_is_said_to_be_done():
    mag = chip()
    assert mag.read(0x08, 1, START) == b"\x10"
    mag.write(0x09, b"\x01", START)
    assert mag.read(0x08, 1, START + 7 * MS) == b"\x10"
    assert mag.read(0x08, 1, START + 9 * MS) == b"\x11"
    mag.write(0x08, b"\x01", START + 9 * MS)
    assert mag.read(0x08, 1, START + 9 * MS) == b"\x10"
    mag.write(0x09, b"\x01", START + 20 * MS)
    mag.write(0x09, b"\x01", START + 30 * MS)
    assert mag.read(0x08, 1, START + 31 * MS) == b"\x10"


def test_set_and_reset_turn_the_field_round_but_not_the_offset():
    mag = chip()
    along, against = single(mag, 0x08, START), single(mag, 0x10, START + 100 * MS)
    np.testing.assert_allclose((along - against) / 2 / 163.84, [20, 5, -43], atol=0.01)
    offset = (along + against) / 2 / 163.84
    assert np.all((np.abs(offset) > 5) & (np.abs(offset) < 50))


@pytest.mark.parametrize(
    ("code", "bandwidth", "rate"),
    [(1, 0, 1), (2, 0, 10), (3, 0, 20), (4, 0, 50), (5, 0, 100), (6, 1, 200), (7, 3, 1000)],
)
def test_it_measures_at_its_rates_by_its_own_clock(code, bandwidth, rate):
    mag = chip()
    mag.write(0x0A, bytes([bandwidth, 0x08 | code]), START)
    mag.read(0x00, 7, START + 10_000 * MS)
    period = np.diff(mag.truth().t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)


def test_without_the_enable_bit_it_does_not_go_on():
    mag = chip()
    mag.write(0x0B, b"\x05", START)
    mag.read(0x00, 7, START + 1000 * MS)
    assert len(mag.truth().t_ns) == 0


def test_the_ends_of_its_eighteen_bits():
    mag = chip(lambda t: np.tile([900.0, -900.0, 0.0], (len(t), 1)))
    x, y, _ = single(mag, 0x08, START)
    assert (x, y) == (131071, -131072)


def test_a_strong_field_leaves_a_remanence_until_it_is_set_again():
    def magnet(t_ns):
        return steady(t_ns) + np.where(t_ns < START + 50 * MS, 900.0, 0.0)[:, None]

    mag, untouched = chip(magnet), single(chip(), 0x08, START)
    single(mag, 0x08, START)
    disturbed = single(mag, 0x00, START + 100 * MS)
    assert np.all(np.abs(disturbed - untouched) > 500)
    assert np.array_equal(single(mag, 0x08, START + 200 * MS), untouched)


def test_its_thermometer_has_steps_of_four_fifths_of_a_degree():
    mag = chip()
    mag.write(0x09, b"\x02", START)
    assert mag.read(0x08, 1, START) == b"\x10"
    assert mag.read(0x08, 1, START + 2 * MS) == b"\x12"
    assert mag.read(0x07, 1, START + 2 * MS)[0] * 0.8 - 75 == pytest.approx(33, abs=0.41)


def test_a_reset_stops_it():
    mag = chip()
    mag.write(0x0B, b"\x0d", START)
    mag.write(0x0A, b"\x80", START + 9 * MS)
    mag.read(0x08, 1, START + 1000 * MS)
    assert len(mag.truth().t_ns) == 1
