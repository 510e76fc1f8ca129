"""The LSM6DS3TR-C's FIFO has no tags: what happens when words of it are gone."""

import dataclasses

import numpy as np
import pytest

from drivers.errors import BusError
from drivers.lsm6ds3trc import Lsm6ds3trC
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.lsm6ds3trc import Lsm6ds3trC as Chip
from hw_sim.scenario import load_scenario

START = 40_000_000_000
MS = 1_000_000
QUIET = dataclasses.replace(
    load_scenario("walk").imu,
    gyro_noise_deg_s_rthz=0.0,
    accel_noise_m_s2_rthz=0.0,
    gyro_bias_deg_s=(0.0, 0.0, 0.0),
    accel_bias_m_s2=(0.0, 0.0, 0.0),
)


def steep(t_ns):
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([-1900 + 160 * t, zero, zero], axis=-1))
    return rate, np.stack([zero, zero, 9.80665 + zero], axis=-1)


class Bench:
    def __init__(self):
        self.clock = VirtualClock(START, 0)
        self.chip = Chip(steep, QUIET, START, 7)
        self.bus = SimulatedI2C(self.clock, {0x6A: self.chip})
        self.imu = Lsm6ds3trC.probe(self.bus)
        self.imu.configure(self.clock, gyro_range_dps=2000.0)
        self.before = int(self.chip.truth().in_fifo.sum())

    def poll(self, seconds):
        bursts, end = [], self.clock.now_ns() + seconds * 1e9
        while self.clock.now_ns() < end:
            self.clock.sleep_until(self.clock.now_ns() + self.imu.poll_interval_ns)
            if (burst := self.imu.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts

    def numbers(self, bursts):
        told = np.concatenate([b.gyro[:, 0] for b in bursts])
        truth = self.chip.truth()
        rates = truth.gyro[truth.in_fifo][self.before :, 0]
        after = np.clip(np.searchsorted(rates, told), 1, len(rates) - 1)
        return after - (told - rates[after - 1] < rates[after] - told)


def counts_of(bursts):
    return np.concatenate([b.first_count + np.arange(len(b)) for b in bursts])


@pytest.mark.parametrize("words", [1, 2, 3, 4, 5, 7])
def test_words_that_another_program_read_cost_samples_and_no_alignment(words):
    bench = Bench()
    before = bench.poll(5)
    bench.clock.sleep_until(bench.clock.now_ns() + 15 * MS)
    bench.bus.read(0x6A, 0x3E, 2 * words)
    with pytest.raises(BusError, match="somebody else reads the FIFO of the LSM6DS3TR-C at 0x6a"):
        bench.imu.read_burst(bench.clock)
    after = bench.poll(2)
    numbers = bench.numbers(before + after)
    assert np.array_equal(numbers, counts_of(before + after))
    assert sum(burst.lost for burst in after) == np.diff(numbers).max() - 1 > 0
    assert np.concatenate([b.accel for b in after])[:, 2] == pytest.approx(9.80665, abs=0.003)


def test_a_fault_of_the_status_costs_nothing():
    bench = Bench()
    before = bench.poll(2)
    transfer = bench.bus.transfer

    def fail(address, out, read_length=0):
        bench.bus.transfer = transfer
        raise BusError(121, "the wire came off for a moment")

    bench.bus.transfer = fail
    with pytest.raises(BusError):
        bench.poll(0.1)
    bursts = before + bench.poll(2)
    assert np.array_equal(bench.numbers(bursts), np.arange(len(counts_of(bursts))))
    assert sum(burst.lost for burst in bursts) == 0


def test_a_chip_that_says_nothing_but_0_delivers_nothing():
    bench = Bench()
    bench.poll(1)
    bench.chip.read = lambda register, length, at_ns: bytes(length)
    assert bench.poll(1) == []


def test_a_level_of_0_after_an_overrun_is_a_full_fifo():
    """2048 words are more than the level's eleven bits tell."""
    bench = Bench()
    before = bench.poll(5)
    read = bench.chip.read

    def overrun(register, length, at_ns):
        answer = read(register, length, at_ns)
        if register == 0x3A:
            bench.chip.read = read
            return b"\x00\x60" + answer[2:]
        return answer

    bench.clock.sleep_until(bench.clock.now_ns() + 2_000 * MS)
    bench.chip.read = overrun
    after = bench.poll(1)
    assert max(len(burst) for burst in after) == 341
    numbers = bench.numbers(before + after)
    assert np.array_equal(numbers, counts_of(before + after))
    assert sum(burst.lost for burst in after) == np.diff(numbers).max() - 1 > 0
