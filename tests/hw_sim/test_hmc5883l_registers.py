import dataclasses

import numpy as np
import pytest

from hw_sim.hmc5883l import Hmc5883L
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)
START = 3_000_000_000
MS = 1_000_000


def drifting(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 15 * t, 5 + 0 * t, -43 + 0 * t], axis=-1)


def measuring(config=0x18, field=drifting):
    """At 75 Hz, unless told otherwise."""
    mag = Hmc5883L(field, QUIET, START, 3)
    mag.write(0x00, bytes([config]), START)
    mag.write(0x02, b"\x00", START)
    return mag


def field_of(data, per_gauss=1090):
    x, z, y = np.frombuffer(data, ">i2") * (100 / per_gauss)
    return [x, y, z]


def test_it_says_who_it_is_and_measures_nothing():
    mag = Hmc5883L(drifting, QUIET, START, 3)
    assert mag.read(0x0A, 3, START) == b"H43"
    assert mag.read(0x00, 3, START) == b"\x10\x20\x01"
    assert mag.read(0x03, 7, START + 1000 * MS) == bytes(7)


def test_the_pointer_rolls_from_field_to_field_and_from_identity_to_configuration():
    mag = measuring()
    once = mag.read(0x03, 6, START + 40 * MS)
    assert mag.read(0x03, 12, START + 40 * MS) == once * 2
    assert mag.read(0x0A, 12, START + 40 * MS) == b"H43\x18\x20\x00" + once


@pytest.mark.parametrize(
    ("code", "rate"), [(0, 0.75), (1, 1.5), (2, 3), (3, 7.5), (4, 15), (5, 30), (6, 75)]
)
def test_it_measures_at_its_rates_by_its_own_clock_and_begins_after_two_periods(code, rate):
    mag = measuring(code << 2)
    mag.read(0x03, 6, START + 20_000 * MS)
    times = mag.truth().t_ns
    assert 1e9 / np.diff(times).mean() / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)
    assert times[0] + 3 * MS - START == pytest.approx(2e9 / rate, rel=0.01)


@pytest.mark.parametrize(
    ("code", "per_gauss"),
    [(0, 1370), (1, 1090), (2, 820), (3, 660), (4, 440), (5, 390), (6, 330), (7, 230)],
)
def test_gains_hold_from_the_second_measurement_on(code, per_gauss):
    mag = measuring()
    mag.write(0x01, bytes([code << 5]), START)
    first = field_of(mag.read(0x03, 6, START + 28 * MS))
    np.testing.assert_allclose(first, mag.truth().field[-1], atol=51 / 1090)
    second = field_of(mag.read(0x03, 6, START + 42 * MS), per_gauss)
    np.testing.assert_allclose(second, mag.truth().field[-1], atol=51 / per_gauss)


def test_the_ready_bit_stays_but_for_the_moment_of_writing():
    mag = measuring()
    assert mag.read(0x09, 1, START + 20 * MS) == b"\x00"
    assert mag.read(0x09, 1, START + 28 * MS) == b"\x01"
    mag.read(0x03, 6, START + 28 * MS)
    assert mag.read(0x09, 1, START + 28 * MS) == b"\x01"
    second_ns = int(mag.truth().t_ns[0]) + 3 * MS + round(1e9 / 75 / (1 - 8500e-6))
    assert mag.read(0x09, 1, second_ns - MS // 10) == b"\x00"
    assert mag.read(0x09, 1, second_ns + MS // 10) == b"\x01"


@pytest.mark.parametrize(("register", "length"), [(0x03, 2), (0x02, 1)])
def test_reading_a_part_or_the_mode_locks_the_field_until_all_of_it_is_read(register, length):
    mag = measuring()
    before = mag.read(0x03, 6, START + 30 * MS)
    mag.read(register, length, START + 30 * MS)
    assert mag.read(0x09, 1, START + 500 * MS) == b"\x03"
    assert mag.read(0x03, 6, START + 500 * MS) == before
    assert mag.read(0x09, 1, START + 520 * MS) == b"\x01"
    assert mag.read(0x03, 6, START + 520 * MS) != before
    assert not mag.truth().kept.all()


def test_a_single_measurement_ends_idle():
    mag = Hmc5883L(drifting, QUIET, START, 3)
    mag.write(0x02, b"\x01", START)
    assert mag.read(0x09, 1, START + 5 * MS) == b"\x00"
    np.testing.assert_allclose(
        field_of(mag.read(0x03, 6, START + 7 * MS)), mag.truth().field[-1], atol=0.05
    )
    assert mag.read(0x02, 1, START + 7 * MS) == b"\x03"
    assert len(mag.truth().t_ns) == 1


def test_an_axis_that_overflows_says_so():
    mag = measuring(field=lambda t: np.tile([20.0, 200.0, -43.0], (len(t), 1)))
    x, z, y = np.frombuffer(mag.read(0x03, 6, START + 30 * MS), ">i2")
    assert (x, y, z) == (218, -4096, -469)
