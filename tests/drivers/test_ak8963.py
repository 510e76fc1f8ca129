"""The AK8963 driver on the simulated chip, which is written from the datasheet on its own."""

import dataclasses
import errno

import numpy as np
import pytest

from drivers.ak8963 import Ak8963
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from hw_sim.ak09916 import Ak09916 as SimulatedAk09916
from hw_sim.ak8963 import Ak8963 as SimulatedAk8963
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 40_000_000_000
QUIET = dataclasses.replace(load_scenario("walk").mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)


def turning(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + 3 * t, -12 + 0 * t, 41 + 0 * t], axis=-1)


class Bench:
    def __init__(self, field=turning, kind=SimulatedAk8963, present=True):
        self.clock = VirtualClock(START, 0)
        self.present = present
        self.chip = kind(field, QUIET, START, 3, lambda: self.present)
        self.bus = SimulatedI2C(self.clock, {0x0C: self.chip})

    def configured(self):
        mag = Ak8963.probe(self.bus)
        mag.configure(self.clock)
        return mag

    def poll(self, mag, seconds):
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        while self.clock.now_ns() < end:
            at += mag.poll_interval_ns
            self.clock.sleep_until(at)
            if (burst := mag.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts


def test_it_measures_at_100_hz_with_16_bits():
    bench = Bench()
    mag = bench.configured()
    assert bench.bus.read(0x0C, 0x0A) == b"\x16"
    bursts = bench.poll(mag, 10)
    assert [b.first_count for b in bursts] == list(range(len(bursts)))
    assert len(bursts) == pytest.approx(1000 * (1 - 8500e-6), abs=3)
    assert mag.rate_hz == mag.description["rate_hz"] == 100


def test_the_field_is_adjusted_and_in_the_axes_of_the_imu():
    bench = Bench()
    mag = bench.configured()
    bursts = bench.poll(mag, 2)
    field = np.concatenate([b.field for b in bursts])
    np.testing.assert_allclose(field, bench.chip.truth().field[: len(field)], atol=0.1)


def test_samples_are_stamped_with_the_middle_of_the_measurement():
    bench = Bench()
    mag = bench.configured()
    fit, times = ClockFit(1e7), []
    for burst in bench.poll(mag, 20):
        fit.observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
        count = np.array([burst.newest_count])
        times.append(int(fit.times(count)[0]) - burst.group_delay_ns)
    error = np.array(times) - bench.chip.truth().t_ns[: len(times)]
    assert fit.statistics.refused == 0
    assert np.abs(error[500:]).max() < 300_000


def test_overwritten_samples_are_counted():
    bench = Bench()
    mag = bench.configured()
    before = bench.poll(mag, 10)
    bench.clock.sleep_until(bench.clock.now_ns() + 234_000_000)
    [burst, *_] = bench.poll(mag, 0.1)
    assert burst.newest_count - before[-1].newest_count == burst.lost + 1
    assert burst.lost in (22, 23, 24)


def test_a_saturated_sample_is_refused_and_counted():
    def strong_for_a_while(t_ns):
        t = (t_ns - START) / 1e9
        return np.where(((t > 0.5) & (t < 0.55))[:, None], 2000.0, turning(t_ns))

    bench = Bench(strong_for_a_while)
    mag = bench.configured()
    bursts = bench.poll(mag, 1)
    assert mag.saturated == 5
    assert max(np.abs(b.field).max() for b in bursts) < 50


def test_it_can_be_configured_again():
    bench = Bench()
    mag = bench.configured()
    bench.poll(mag, 0.5)
    mag.configure(bench.clock)
    bursts = bench.poll(mag, 0.5)
    assert bursts[0].first_count == 0
    assert bursts[0].field[0] == pytest.approx([21.5, -12, 41], abs=0.2)


def test_the_younger_sister_is_no_ak8963():
    bench = Bench(kind=SimulatedAk09916)
    with pytest.raises(WrongChip, match=r"identity at 0x0c is 48 09, .* begins with 48"):
        Ak8963.probe(bench.bus)


def test_silence_points_to_the_imu_and_other_faults_pass_through():
    with pytest.raises(BusError, match="the MPU-9250 must be configured first"):
        Ak8963.probe(Bench(present=False).bus)
    bench = Bench()

    def stuck(*_):
        raise BusError(errno.ETIMEDOUT, "timed out")

    bench.bus.transfer = stuck
    with pytest.raises(BusError, match="timed out"):
        Ak8963.probe(bench.bus)


def test_close_powers_down_even_without_power():
    bench = Bench()
    mag = bench.configured()
    mag.close()
    assert bench.bus.read(0x0C, 0x0A) == b"\x00"
    bench.present = False
    mag.close()
