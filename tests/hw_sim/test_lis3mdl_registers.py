import dataclasses

import numpy as np
import pytest

from hw_sim.lis3mdl import Lis3mdl, Lsm9ds1Mag
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(
    load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0, temperature_c=33.5
)
START = 3_000_000_000
MS = 1_000_000


def drifting(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 15 * t, 5 + 0 * t, -43 + 0 * t], axis=-1)


def chip(field=drifting, kind=Lis3mdl):
    return kind(field, QUIET, START, 3)


def measuring(control_1=0x7C, **changes):
    """At 80 Hz and in all precision, unless told otherwise."""
    mag = chip(**changes)
    mag.write(0xA0, bytes([control_1, 0x00]), START)
    mag.write(0x22, b"\x00", START)
    return mag


def test_it_says_who_it_is_and_is_powered_down():
    mag = chip()
    assert mag.read(0x0F, 1, START) == b"\x3d"
    assert mag.read(0xA0, 5, START) == b"\x10\x00\x03\x00\x00"
    assert mag.read(0xA7, 7, START + 1000 * MS) == bytes(7)


def test_the_pointer_stands_without_its_highest_bit_and_rolls_over_at_the_end_of_the_field():
    mag = measuring()
    at = START + 8 * MS
    x, y, z = (mag.read(register, 2, at)[0] for register in (0x29, 0x2B, 0x2D))
    assert mag.read(0x29, 3, at) == bytes([x] * 3)
    assert mag.read(0xA9, 7, at)[::2] == bytes([x, y, z, x])


@pytest.mark.parametrize(
    ("setting", "rate"),
    [
        (0x60, 0.625), (0x64, 1.25), (0x68, 2.5), (0x6C, 5), (0x70, 10), (0x74, 20), (0x78, 40),
        (0x7C, 80), (0x62, 155), (0x42, 300), (0x22, 560), (0x02, 1000), (0x1C, 80),
    ],
)  # fmt: skip
def test_it_measures_at_its_rates_by_its_own_clock(setting, rate):
    mag = measuring(setting)
    mag.read(0x27, 1, START + 20_000 * MS)
    period = np.diff(mag.truth().t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)


@pytest.mark.parametrize(("scale", "per_gauss"), [(0, 6842), (1, 3421), (2, 2281), (3, 1711)])
def test_full_scales(scale, per_gauss):
    mag = measuring()
    mag.write(0x21, bytes([scale << 5]), START)
    field = np.frombuffer(mag.read(0xA8, 6, START + 8 * MS), "<i2") * (100 / per_gauss)
    np.testing.assert_allclose(field, mag.truth().field[-1], atol=51 / per_gauss)


def test_a_field_beyond_its_words_stays_at_their_end():
    mag = measuring(field=lambda t: np.full((len(t), 3), 900.0) * [1, -1, 1])
    field = np.frombuffer(mag.read(0xA8, 6, START + 8 * MS), "<i2")
    assert field.tolist() == [32767, -32768, 32767]


def test_data_ready_falls_with_the_high_bytes_and_what_was_missed_is_told():
    mag = measuring()
    assert mag.read(0x27, 1, START + 8 * MS) == b"\x0f"
    mag.read(0xA8, 2, START + 8 * MS)
    assert mag.read(0x27, 1, START + 8 * MS) == b"\x06"
    mag.read(0xA8, 6, START + 8 * MS)
    assert mag.read(0x27, 1, START + 8 * MS) == b"\x00"
    assert mag.read(0x27, 1, START + 60 * MS) == b"\xff"
    mag.read(0xA8, 6, START + 60 * MS)
    assert mag.read(0x27, 1, START + 60 * MS) == b"\x00"


def test_with_bdu_a_word_is_held_between_its_bytes():
    mag = measuring()
    mag.write(0x24, b"\x40", START)
    low = mag.read(0x28, 1, START + 8 * MS)
    assert mag.read(0x28, 1, START + 500 * MS) == low
    mag.read(0x29, 1, START + 500 * MS)
    mag.read(0x27, 1, START + 520 * MS)
    assert mag.read(0xA8, 6, START + 520 * MS)[:1] != low
    assert not mag.truth().kept.all()


def test_the_temperature_is_measured_when_it_is_enabled():
    assert measuring(0x7C).read(0xAE, 2, START) == b"\x00\x00"
    assert measuring(0xFC).read(0xAE, 2, START) == b"\x44\x00"
    assert measuring(0xFC, kind=Lsm9ds1Mag).read(0xAE, 2, START) == b"\x00\x00"


def test_x_of_an_lsm9ds1_points_the_other_way():
    """And Z, in the right-handed frame in which its motion is given."""
    mag = measuring(kind=Lsm9ds1Mag)
    assert mag.read(0x0F, 1, START) == b"\x3d"
    x, y, z = np.frombuffer(mag.read(0xA8, 6, START + 8 * MS), "<i2") / 68.42
    np.testing.assert_allclose([-x, y, -z], mag.truth().field[-1], atol=0.01)


@pytest.mark.parametrize("register", [0x21, 0xA1])
def test_a_soft_reset_powers_it_down(register):
    mag = measuring()
    mag.write(register, b"\x04", START + 9 * MS)
    assert mag.read(0xA0, 5, START) == b"\x10\x00\x03\x00\x00"
    assert mag.read(0xA7, 7, START + 100 * MS) == bytes(7)
