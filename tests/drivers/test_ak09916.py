"""The AK09916 driver against its datasheet, written down here a second time."""

import errno

import numpy as np
import pytest

from drivers.ak09916 import Ak09916
from drivers.bus import I2CBus
from drivers.errors import BusError, WrongChip

PERIOD_NS = 1e7 / 0.985


class Chip(I2CBus):
    """Sample n reads (n, 100, -200) counts; at 400 kHz a look takes 0.3 ms."""

    name = "test bus"

    def close(self):
        pass

    def __init__(self, clock, identity=(0x48, 0x09)):
        self.clock, self.identity = clock, bytes(identity)
        self.mode = self.resets = 0
        self.first_ns = None
        self.next_sample = 0
        self.saturate = frozenset()
        self.silent = False

    def transfer(self, address, out, read_length=0):
        if address != 0x0C or self.silent:
            raise BusError(errno.EREMOTEIO, "no answer")
        if out[0] == 0x00:
            return self.identity[:read_length]
        if out == bytes([0x32, 0x01]):
            self.resets += 1
        elif out[0] == 0x31:
            self.mode = out[1]
            self.first_ns = self.clock.t_ns + PERIOD_NS
        elif out[0] == 0x10:
            assert read_length == 9
            self.clock.t_ns += 100_000
            answer = self.status_and_field()
            self.clock.t_ns += 200_000
            return answer
        return b""

    def time_of(self, sample):
        return self.first_ns + sample * PERIOD_NS

    def status_and_field(self):
        ready = int((self.clock.t_ns - self.first_ns) // PERIOD_NS) + 1
        new = ready - self.next_sample
        self.next_sample = ready
        newest = ready - 1
        status = (1 if new else 0) | (2 if new > 1 else 0)
        field = np.array([newest, 100, -200], "<i2").tobytes()
        return bytes([status]) + field + bytes([0, 0x08 if newest in self.saturate else 0])


@pytest.fixture
def chip(clock):
    return Chip(clock)


@pytest.fixture
def mag(chip, clock):
    mag = Ak09916.probe(chip)
    mag.configure(clock)
    return mag


def poll(mag, clock, seconds):
    bursts, end = [], clock.now_ns() + seconds * 1e9
    while clock.now_ns() < end:
        clock.sleep_until(clock.now_ns() + mag.poll_interval_ns)
        if (burst := mag.read_burst(clock)) is not None:
            bursts.append(burst)
    return bursts


def test_it_is_reset_and_measures_at_100_hz(chip, mag):
    assert chip.resets == 1
    assert chip.mode == 0x08
    assert mag.rate_hz == 100


def test_the_field_is_in_microtesla_and_in_the_axes_of_the_imu(mag, clock):
    bursts = poll(mag, clock, 1)
    assert len(bursts) in (97, 98)
    assert [b.first_count for b in bursts] == list(range(len(bursts)))
    assert bursts[40].field[0] == pytest.approx([40 * 0.15, -15.0, 30.0])


def test_the_interval_holds_the_truth_and_narrows(mag, clock, chip):
    bursts = poll(mag, clock, 20)
    for burst in bursts:
        assert burst.earliest_ns - 3 * burst.noise_ns <= chip.time_of(burst.newest_count)
        assert chip.time_of(burst.newest_count) <= burst.latest_ns + 3 * burst.noise_ns
    assert min(b.latest_ns - b.earliest_ns for b in bursts[100:]) < 6e6


def test_polls_never_fall_into_step(mag, clock):
    intervals = set()
    for _ in range(50):
        intervals.add(mag.poll_interval_ns)
        mag.read_burst(clock)
    assert len(intervals) > 40
    assert max(intervals) < 0.95e7


def test_overwritten_samples_are_counted(mag, clock, chip):
    poll(mag, clock, 10)
    clock.t_ns += 234_000_000
    [burst] = poll(mag, clock, 0.001)
    assert burst.newest_count == chip.next_sample - 1
    assert burst.lost in (22, 23, 24)


def test_a_saturated_sample_is_refused_and_counted(mag, clock, chip):
    chip.saturate = frozenset({20, 21})
    bursts = poll(mag, clock, 1)
    assert mag.saturated == 2
    counts = [b.first_count for b in bursts]
    assert counts[18:22] == [18, 19, 22, 23]


def test_another_chip_is_named_by_its_identity(clock):
    with pytest.raises(WrongChip, match="identity at 0x0c is 48 05, that of an AK09916 is 48 09"):
        Ak09916.probe(Chip(clock, identity=(0x48, 0x05)))


def test_silence_points_to_the_imu(chip):
    chip.silent = True
    with pytest.raises(BusError, match="ICM-20948 must be configured first"):
        Ak09916.probe(chip)


def test_close_powers_down_even_without_power(chip, mag):
    mag.close()
    assert chip.mode == 0
    chip.silent = True
    mag.close()
