"""The QMC5883L and the QMC5883P, which have little in common but the maker."""

import dataclasses

import numpy as np
import pytest

from hw_sim.qmc5883l import Qmc5883L
from hw_sim.qmc5883p import Qmc5883P
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)
START = 3_000_000_000
MS = 1_000_000
RATES = list(enumerate([10, 50, 100, 200]))


def drifting(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 15 * t, 5 + 0 * t, -43 + 0 * t], axis=-1)


def strong(t_ns):
    return np.full((len(t_ns), 3), 300.0)


def old(control=0x09, field=drifting):
    mag = Qmc5883L(field, QUIET, START, 3)
    mag.write(0x0A, b"\x40", START)
    mag.write(0x09, bytes([control]), START)
    return mag


def young(control=0x09, scale=3, field=drifting, signs=0x06):
    mag = Qmc5883P(field, QUIET, START, 3)
    mag.write(0x29, bytes([signs]), START)
    mag.write(0x0A, bytes([control, scale << 2]), START)
    return mag


def words(data):
    return np.frombuffer(data, "<i2")


def test_they_say_who_they_are():
    assert old().read(0x0D, 1, START) == b"\xff"
    assert young().read(0x00, 1, START) == b"\x80"


def test_in_standby_they_measure_nothing():
    assert old(0x08).read(0x06, 7, START + 1000 * MS) == bytes(7)
    assert young(0x08).read(0x01, 9, START + 1000 * MS) == bytes(9)


@pytest.mark.parametrize("kind", [old, young])
@pytest.mark.parametrize(("code", "rate"), RATES)
def test_they_measure_at_their_rates_by_their_own_clocks(kind, code, rate):
    mag = kind(code << 2 | 1)
    mag.read(0x06, 1, START + 20_000 * MS)
    period = np.diff(mag.truth().t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)


@pytest.mark.parametrize(("scale", "per_gauss"), [(0, 12000), (1, 3000)])
def test_full_scales_of_the_old_one(scale, per_gauss):
    mag = old(0x09 | scale << 4)
    field = words(mag.read(0x00, 6, START + 6 * MS)) * (100 / per_gauss)
    np.testing.assert_allclose(field, mag.truth().field[-1], atol=51 / per_gauss)


@pytest.mark.parametrize(("scale", "per_gauss"), [(0, 1000), (1, 2500), (2, 3750), (3, 15000)])
def test_full_scales_of_the_young_one(scale, per_gauss):
    mag = young(scale=scale)
    field = words(mag.read(0x01, 6, START + 6 * MS)) * (100 / per_gauss)
    np.testing.assert_allclose(field, mag.truth().field[-1], atol=51 / per_gauss)


def test_the_old_ones_pointer_rolls_from_the_status_to_the_field():
    mag = old()
    answer = mag.read(0x06, 7, START + 6 * MS)
    assert answer[0] == 0x01
    np.testing.assert_allclose(words(answer[1:]) / 120, mag.truth().field[-1], atol=0.01)


def test_reading_the_old_ones_field_takes_its_flags_back():
    mag = old()
    assert mag.read(0x00, 7, START + 6 * MS)[6] == 0x00
    assert mag.read(0x06, 1, START + 36 * MS) == b"\x05"
    assert mag.read(0x06, 1, START + 36 * MS) == b"\x05"
    mag.read(0x00, 6, START + 36 * MS)
    assert mag.read(0x06, 1, START + 36 * MS) == b"\x00"


def test_reading_the_old_ones_field_holds_it_to_its_last_byte():
    mag = old()
    first = mag.read(0x00, 2, START + 6 * MS)
    assert mag.read(0x00, 2, START + 500 * MS) == first
    mag.read(0x05, 1, START + 500 * MS)
    assert mag.read(0x00, 6, START + 520 * MS)[:2] != first
    assert not mag.truth().kept.all()


def test_reading_the_young_ones_status_takes_it_back():
    mag = young()
    mag.read(0x01, 6, START + 6 * MS)
    assert mag.read(0x09, 1, START + 6 * MS) == b"\x01"
    assert mag.read(0x09, 1, START + 6 * MS) == b"\x00"


def test_the_young_ones_axes_turn_round_with_its_signs():
    mag = young(signs=0x00)
    field = words(mag.read(0x01, 6, START + 6 * MS)) / 150
    np.testing.assert_allclose(field * [1, -1, -1], mag.truth().field[-1], atol=0.01)


def test_too_strong_a_field_is_flagged():
    answer = old(field=strong).read(0x06, 7, START + 6 * MS)
    assert answer[0] == 0x03
    assert words(answer[1:]).tolist() == [32767] * 3
    assert young(field=strong).read(0x09, 1, START + 6 * MS) == b"\x03"


@pytest.mark.parametrize(("kind", "register"), [(old, 0x0A), (young, 0x0B)])
def test_a_soft_reset_puts_them_to_sleep(kind, register):
    mag = kind()
    mag.write(register, b"\x80", START + 6 * MS)
    assert mag.read(0x09, 2, START + 100 * MS) == bytes(2)
    assert len(mag.truth().t_ns) == 1
