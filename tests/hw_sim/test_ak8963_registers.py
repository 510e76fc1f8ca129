import dataclasses

import numpy as np
import pytest

from hw_sim.ak8963 import Ak8963
from hw_sim.scenario import load_scenario

QUIET = dataclasses.replace(load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)
START = 3_000_000_000
MS = 1_000_000


def drifting(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 15 * t, 5 + 0 * t, -43 + 0 * t], axis=-1)


def chip(field=drifting):
    return Ak8963(field, QUIET, START, 3, lambda: True)


def test_it_says_who_it_is():
    assert chip().read(0x00, 1, START) == b"\x48"
    assert chip().read(0x00, 2, START)[1] != 0x09


def test_the_fuse_rom_is_read_in_its_own_mode_only():
    mag = chip()
    assert mag.read(0x10, 3, START) == bytes(3)
    mag.write(0x0A, b"\x0f", START)
    assert mag.read(0x10, 3, START) == bytes([176, 178, 169])


@pytest.mark.parametrize(("mode", "rate"), [(0x12, 8), (0x16, 100), (0x06, 100)])
def test_continuous_modes_measure_at_their_rate_by_its_own_clock(mode, rate):
    mag = chip()
    mag.write(0x0A, bytes([mode]), START)
    mag.read(0x02, 8, START + 20_000 * MS)
    period = np.diff(mag.truth().t_ns).mean() / 1e9
    assert 1 / period / rate - 1 == pytest.approx(-8500e-6, abs=130e-6)


@pytest.mark.parametrize(("mode", "lsb", "status"), [(0x16, 0.15, 0x10), (0x06, 0.6, 0x00)])
def test_axes_are_swapped_and_each_has_its_sensitivity(mode, lsb, status):
    mag = chip()
    mag.write(0x0A, bytes([mode]), START)
    burst = mag.read(0x02, 8, START + 8 * MS)
    assert (burst[0], burst[7]) == (0x01, status)
    x, y, z = np.frombuffer(burst[1:7], "<i2") * lsb * ((np.array([176, 178, 169]) + 128) / 256)
    np.testing.assert_allclose([y, x, -z], mag.truth().field[-1], atol=lsb * 0.61)


def test_data_are_held_until_st2_is_read():
    mag = chip()
    mag.write(0x0A, b"\x16", START)
    held = mag.read(0x02, 7, START + 8 * MS)[1:]
    assert mag.read(0x03, 6, START + 50 * MS) == held
    mag.read(0x09, 1, START + 50 * MS)
    assert mag.read(0x02, 8, START + 70 * MS)[0] == 0x03
    assert mag.read(0x02, 1, START + 70 * MS) == b"\x00"


def test_from_a_mode_that_measures_it_goes_to_power_down_only():
    mag = chip()
    mag.write(0x0A, b"\x16", START)
    mag.write(0x0A, b"\x0f", START)
    assert mag.read(0x0A, 1, START) == b"\x16"
    mag.write(0x0A, b"\x00", START)
    mag.write(0x0A, b"\x0f", START)
    assert mag.read(0x0A, 1, START) == b"\x0f"


def test_too_strong_a_field_is_flagged():
    mag = chip(lambda t: np.full((len(t), 3), 2000.0))
    mag.write(0x0A, b"\x16", START)
    assert mag.read(0x02, 8, START + 8 * MS)[7] == 0x18


def test_a_reset_powers_down():
    mag = chip()
    mag.write(0x0A, b"\x16", START)
    mag.write(0x0B, b"\x01", START)
    assert mag.read(0x0A, 1, START) == b"\x00"
