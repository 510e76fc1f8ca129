"""When samples were taken, by chips that stamp them and by interrupt lines, against the truth."""

import dataclasses
import errno
import logging

import numpy as np
import pytest

from camm import UsageError
from drivers.clock_fit import ClockFit
from drivers.dating import Counter, Dating, InterruptEdges, Reading, StampedSamples
from drivers.errors import BusError
from drivers.find import find_imu
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.interrupt import SimulatedInterrupt
from hw_sim.rig import make_imu
from hw_sim.scenario import load_scenario

START = 40_000_000_000
ADDRESSES = {
    "ICM-42688-P": 0x68,
    "LSM6DSOX": 0x6A,
    "BMI160": 0x68,
    "BMI270": 0x68,
    "ICM-20948": 0x69,
    "LSM6DS3TR-C": 0x6A,
    "LSM9DS1": 0x6B,
    "MPU-6050": 0x68,
    "MPU-9250": 0x68,
}
STAMPING = ["ICM-42688-P", "LSM6DSOX", "BMI160", "BMI270"]
COUNTERS = {"ICM-42688-P": 0x62, "LSM6DSOX": 0x40, "BMI160": 0x18, "BMI270": 0x18}
KEEP_STAMPS = ["ICM-42688-P", "LSM6DSOX"]


@pytest.fixture(autouse=True)
def _bmi270_file(tmp_path, monkeypatch):
    path = tmp_path / "bmi270.bin"
    path.write_bytes(bytes(8192))
    monkeypatch.setenv("CAMMCORDER_BMI270", str(path))


class Bus(SimulatedI2C):
    """Spoils what is read from some register, one time in so many."""

    register, every, fails = None, 20, False
    reads = 0

    def transfer(self, address, out, read_length=0):
        answer = super().transfer(address, out, read_length)
        if out[0] == self.register and read_length:
            self.reads += 1
            if self.reads % self.every == 0:
                if self.fails:
                    raise BusError(errno.EREMOTEIO, "the wire came off for a moment")
                return self.spoil(answer)
        return answer

    @staticmethod
    def spoil(answer):
        return bytes(byte ^ 0x15 for byte in answer)


class BadLine(SimulatedInterrupt):
    """A line that loses edges, adds some, and hands some over late."""

    def __init__(self, *arguments, miss=0.0, spurious=0.0, late=0.0, late_ns=0):
        super().__init__(*arguments)
        self.random = np.random.default_rng(11)
        self.miss, self.spurious, self.late, self.late_ns = miss, spurious, late, late_ns
        self.seen_ns = START

    def edges(self):
        edges = [edge for edge in super().edges() if self.random.random() >= self.miss]
        edges = [
            edge + round(self.random.uniform(0, self.late_ns)) * (self.random.random() < self.late)
            for edge in edges
        ]
        now_ns = self._clock.now_ns()
        if self.random.random() < self.spurious:
            edges.append(int(self.random.integers(self.seen_ns, now_ns + 1)))
        self.seen_ns = now_ns
        return sorted(edges)


def turning(t_ns):
    zero = np.zeros_like(t_ns, dtype=float)
    return np.stack([zero, zero, zero], axis=-1), np.stack([zero, zero, 9.81 + zero], axis=-1)


class Bench:
    def __init__(self, name, ppm=12_000.0, drift_ppm=150.0, drift_s=120.0):
        self.errors = dataclasses.replace(
            load_scenario("walk").imu,
            chip=name,
            address=ADDRESSES[name],
            clock_ppm=ppm,
            clock_drift_ppm=drift_ppm,
            clock_drift_period_s=drift_s,
        )
        self.clock = VirtualClock(START, 0)
        self.chip = make_imu(turning, self.errors, START, 7)
        self.bus = Bus(self.clock, {self.errors.address: self.chip})
        self.imu = find_imu(self.bus, name)
        self.random = np.random.default_rng(5)

    def line(self, **faults):
        return BadLine(self.clock, self.chip, 1, **faults)

    def configure(self, rate_hz=225.0, **more):
        self.imu.configure(self.clock, rate_hz=rate_hz, **more)
        self.before = int(self.chip.truth().in_fifo.sum())

    def poll(self, seconds, stalls=0.0):
        """In the rhythm of the recorder, now and then kept waiting for up to 15 ms."""
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        while self.clock.now_ns() < end:
            at = max(at + self.imu.poll_interval_ns, self.clock.now_ns())
            stall_ns = self.random.uniform(0, 15e6) if self.random.random() < stalls else 0.0
            self.clock.sleep_until(at + round(stall_ns))
            if (burst := self.imu.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts

    def stall(self, seconds):
        self.clock.sleep_until(self.clock.now_ns() + round(seconds * 1e9))

    def ready(self):
        """When each sample since `configure` was ready to be read."""
        truth = self.chip.truth()
        times = truth.gyro_t_ns[truth.in_fifo][self.before :]
        return times + self.chip._gyro.delay_ns

    def errors_us(self, bursts, skip=0.2):
        """Of the stamps that the recorder makes of them, after the start."""
        fit, stamps, counts = ClockFit(1e9 / self.imu.rate_hz), [], []
        for b in bursts:
            fit.observe(b.newest_count, b.earliest_ns, b.latest_ns, b.noise_ns)
            counts.append(b.first_count + np.arange(len(b)))
            stamps.append(fit.times(counts[-1]))
        counts, stamps = np.concatenate(counts), np.concatenate(stamps)
        self.fit = fit
        return ((stamps - self.ready()[counts]) / 1e3)[int(skip * len(counts)) :]

    def newest_is_where_it_is_said_to_be(self, bursts):
        ready = self.ready()
        return all(
            b.earliest_ns - 4 * b.noise_ns <= ready[b.newest_count] <= b.latest_ns + 4 * b.noise_ns
            for b in bursts
        )


@pytest.mark.parametrize("rate_hz", [50.0, pytest.param(225.0, marks=pytest.mark.proof), 800.0])
@pytest.mark.parametrize("name", STAMPING)
def test_time_stamps_date_samples_to_some_microseconds(name, rate_hz):
    bench = Bench(name)
    bench.configure(rate_hz)
    bursts = bench.poll(20, stalls=0.05)
    assert bench.imu.description["stamped_by"] == "time stamps"
    narrow = [b.latest_ns - b.earliest_ns < 100_000 for b in bursts]
    assert np.mean(narrow) > 0.5
    assert bench.newest_is_where_it_is_said_to_be(bursts)
    errors = bench.errors_us(bursts)
    # What is constant is half a transaction: when in it the counter was read is not known.
    assert errors.std() < 6
    assert abs(errors.mean()) < 25
    assert bench.fit.statistics.refused == 0


def test_faster_than_stamps_pay_for_looks_are_what_there_is():
    bench = Bench("LSM6DSOX")
    bench.configure(1600.0)
    assert bench.imu.description["stamped_by"] == "polls"
    assert bench.errors_us(bench.poll(5)).std() < 20


@pytest.mark.parametrize("rate_hz", [50.0, pytest.param(225.0, marks=pytest.mark.proof), 950.0])
@pytest.mark.parametrize("name", ADDRESSES)
def test_an_interrupt_line_dates_samples_to_microseconds(name, rate_hz):
    bench = Bench(name)
    bench.configure(rate_hz, interrupt=bench.line())
    bursts = bench.poll(20, stalls=0.05)
    assert bench.imu.description["stamped_by"] == "interrupt"
    assert np.mean([b.latest_ns == b.earliest_ns for b in bursts]) > 0.5
    assert bench.newest_is_where_it_is_said_to_be(bursts)
    errors = bench.errors_us(bursts)
    assert errors.std() < 3
    assert 2 < errors.mean() < 9  # the interrupt's own lateness
    assert bench.fit.statistics.refused == 0


@pytest.mark.parametrize(
    "faults",
    [
        {"miss": 0.3},
        {"spurious": 0.3},
        {"late": 0.03, "late_ns": 4_000_000},
        {"miss": 0.2, "spurious": 0.2, "late": 0.03, "late_ns": 2_000_000},
    ],
    ids=["missed", "spurious", "late", "all"],
)
@pytest.mark.parametrize("name", ["ICM-42688-P", "ICM-20948", "MPU-6050"])
def test_edges_that_are_missed_spurious_or_late_do_no_harm(name, faults):
    bench = Bench(name)
    bench.configure(interrupt=bench.line(**faults))
    bursts = bench.poll(30, stalls=0.05)
    errors = bench.errors_us(bursts)
    assert np.abs(errors).max() < 150
    assert errors.std() < 25
    assert bench.fit.statistics.relocked == 0


@pytest.mark.parametrize("name", ["ICM-42688-P", "ICM-20948"])
def test_a_line_without_a_wire_is_said_once_and_polling_goes_on(name, caplog):
    bench = Bench(name)
    bench.configure(interrupt=bench.line(miss=1.0))
    with caplog.at_level(logging.WARNING):
        bursts = bench.poll(30)
    [record] = caplog.records
    assert "simulated interrupt line tells nothing" in record.message
    assert bench.imu.description["stamped_by"] != "interrupt"
    alone = Bench(name)
    alone.configure()
    scatter = alone.errors_us(alone.poll(30)).std()
    assert bench.errors_us(bursts).std() == pytest.approx(scatter, rel=0.3)


def test_a_wire_that_comes_back_is_used_again():
    bench = Bench("MPU-9250")
    line = bench.line(miss=1.0)
    bench.configure(interrupt=line)
    bench.poll(3)
    assert bench.imu.description["stamped_by"] == "polls"
    line.miss = 0.0
    bench.poll(1)
    assert bench.imu.description["stamped_by"] == "interrupt"


@pytest.mark.parametrize("name", STAMPING)
def test_a_wrong_read_of_the_counter_does_no_harm(name):
    bench = Bench(name)
    bench.configure()
    bench.bus.register = COUNTERS[name]
    errors = bench.errors_us(bench.poll(60, stalls=0.05))
    assert bench.bus.reads > 1000
    assert np.abs(errors).max() < 60
    assert bench.fit.statistics.relocked == 0


@pytest.mark.parametrize("name", STAMPING)
def test_a_fault_while_the_counter_is_read_costs_samples_and_no_count(name):
    bench = Bench(name)
    bench.configure()
    bench.poll(5)
    bench.bus.register, bench.bus.every, bench.bus.fails = COUNTERS[name], 1, True
    with pytest.raises(BusError):
        bench.poll(0.1)
    bench.bus.fails = bench.bus.register = None
    bursts = bench.poll(3)
    assert bursts[0].lost > 0
    assert bench.newest_is_where_it_is_said_to_be(bursts)


@pytest.mark.parametrize("seconds", [0.4, 3.0, 60.0])
@pytest.mark.parametrize("name", STAMPING)
def test_stamps_count_what_an_overflow_lost(name, seconds):
    """A minute at 800 Hz, with a clock that changes by hundreds of ppm: time alone is far out."""
    bench = Bench(name, drift_ppm=400.0, drift_s=200.0)
    bench.configure(1000.0)
    before = bench.poll(4)
    bench.stall(seconds)
    after = bench.poll(1)
    assert sum(b.lost for b in after) > 0
    assert bench.newest_is_where_it_is_said_to_be(before + after)
    delivered = sum(len(b) for b in before + after)
    assert after[-1].newest_count + 1 == delivered + sum(b.lost for b in before + after)


@pytest.mark.parametrize("name", KEEP_STAMPS)
def test_a_misread_stamp_does_not_move_the_count(name):
    bench = Bench(name)
    bench.configure()
    before = bench.poll(5)
    bench.stall(2.0)
    bench.poll(0.01)  # the full FIFO
    bench.bus.register, bench.bus.every = bench.imu.fifo_port, 1
    bench.bus.spoil = lambda answer: answer[:-5] + bytes([answer[-5] ^ 0x40]) + answer[-4:]
    spoiled = bench.poll(0.1)
    bench.bus.register = None
    assert bench.newest_is_where_it_is_said_to_be(before + bench.poll(1))
    assert len(spoiled) > 1


@pytest.mark.parametrize("ppm", [30_000.0, -30_000.0])
@pytest.mark.parametrize("interrupt", [True, False])
@pytest.mark.parametrize("name", ["ICM-42688-P", "BMI160", "MPU-9250"])
def test_a_clock_that_is_three_per_cent_off_and_drifts_is_followed(name, ppm, interrupt):
    bench = Bench(name, ppm, drift_ppm=300.0, drift_s=100.0)
    bench.configure(interrupt=bench.line() if interrupt else None)
    errors = bench.errors_us(bench.poll(40, stalls=0.05))
    assert np.abs(errors).max() < (30 if interrupt or name != "MPU-9250" else 400)
    assert bench.fit.statistics.refused == 0


def test_the_interrupt_follows_a_new_configuration():
    bench = Bench("ICM-42688-P")
    bench.configure(1000.0, interrupt=bench.line())
    bench.poll(1)
    bench.configure(100.0, interrupt=bench.line())
    assert bench.errors_us(bench.poll(5)).std() < 5
    bench.configure(100.0)
    assert bench.imu.description["stamped_by"] == "time stamps"


def test_a_chip_without_use_for_a_line_says_so(monkeypatch):
    bench = Bench("ICM-20948")
    monkeypatch.setattr(type(bench.imu), "watermark", None)
    with pytest.raises(UsageError, match="ICM-20948 is read without an interrupt line"):
        bench.configure(interrupt=bench.line())


def fitted(period_ns=1_000_000):
    fit = ClockFit(period_ns)
    for count in range(0, 2000, 10):
        at = START + count * period_ns
        fit.observe(count, at, at, 1000.0)
    return fit


WIDE = Dating(START + 2_100_000_000 - 1_000_000, START + 2_100_000_000, 20_000.0)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_stamps_are_right_however_often_they_have_wrapped(turns):
    """Sample 2099 of a millisecond each, read 0.25 ms later; a tick is 10 us."""
    samples = StampedSamples(Counter(100.0, 1000))
    read_ns = START + 2_099_250_000
    reading = Reading((209_925 + 1000 * turns) % 1000, read_ns - 1000, read_ns + 1000)
    dated = samples.date(209_900 % 1000, reading, 2099, fitted(), WIDE)
    assert dated.earliest_ns <= START + 2_099_000_000 <= dated.latest_ns
    assert dated.latest_ns - dated.earliest_ns < 25_000


def test_a_stamp_that_leads_out_of_what_the_look_says_is_not_heard():
    samples = StampedSamples(Counter(100.0, 1 << 32))
    reading = Reading(209_925, START + 2_099_249_000, START + 2_099_251_000)
    for stamp in (209_700, 210_100, 5):
        assert samples.date(stamp, reading, 2099, fitted(), WIDE) == WIDE


def test_stamps_that_are_not_as_far_apart_as_samples_are_not_trusted():
    samples = StampedSamples(Counter(100.5, 1000))
    assert samples.newest_of(np.array([900, 0, 101])) == 101  # wrapped
    assert samples.newest_of(np.array([900, 0, 110])) is None
    assert samples.newest_of(np.array([7])) == 7


def test_what_is_lost_is_counted_over_wraps_where_time_agrees():
    samples = StampedSamples(Counter(100.0, 1000))
    assert samples.miscounted(50, 0, 50.0) == 0  # nothing known yet
    samples.remember(100, 7)
    assert samples.miscounted(120, 7, 120.4) == 0
    assert samples.miscounted(120, 107, 120.6) == 1
    assert samples.miscounted(120, 907, 119.2) == -1
    assert samples.miscounted(120, 307, 120.0) == 0  # three more: time says no


def test_of_samples_that_lie_on_the_counter_the_newest_may_have_come_too_late():
    samples = StampedSamples(Counter(128, 1 << 24, aligned=True))
    asked = START + 1_000_000_000
    reading = Reading(128 * 77 + 40, asked + 200_000, asked + 300_000)
    # 40 of 128 ticks of a millisecond, and up to 0.3 ms since the FIFO was looked at.
    assert samples.stamp_of_newest(reading, asked, fitted()) == 128 * 77
    assert samples.stamp_of_newest(reading, asked - 50_000, fitted()) is None


class Edges:
    name = "line"

    def __init__(self, *edges):
        self.told = [[], list(edges)]

    def edges(self):
        return self.told.pop(0)

    def close(self):
        pass


LOOK = START + 2_099_900_000, START + 2_100_100_000
"""At a FIFO in which sample 2099 is the newest."""


def ms(*times):
    return [START + round(time * 1e6) for time in times]


def newest_by(line, count, asked=LOOK):
    return line.date(asked, START + 2_091_500_000, count, fitted(), WIDE)


def test_the_last_of_as_many_edges_as_samples_dates_the_newest():
    edges = ms(2097.01, 2098.01, 2099.01)
    assert newest_by(InterruptEdges(Edges(*edges), "chip", None), 3) == Dating(
        edges[-1], edges[-1], pytest.approx(20_000.0)
    )
    for count in (2, 4):  # one is spurious, or was missed
        assert newest_by(InterruptEdges(Edges(*edges), "chip", None), count) == WIDE


def test_an_edge_in_the_middle_of_a_look_is_of_the_sample_that_was_counted_or_the_next():
    edges = ms(2098.01, 2099.01, 2100.01)
    counted = InterruptEdges(Edges(*edges), "chip", None)
    assert newest_by(counted, 3).latest_ns == edges[2]
    late = InterruptEdges(Edges(*edges), "chip", None)
    assert newest_by(late, 2).latest_ns == edges[1]
    late._line.told = [ms(2101.01)]
    later = tuple(time + 2_000_000 for time in LOOK)
    dating = Dating(WIDE.earliest_ns + 2_000_000, WIDE.latest_ns + 2_000_000, 20_000.0)
    assert late.date(later, START, 2, fitted(), dating).latest_ns == ms(2101.01)[0]


def test_an_edge_after_the_look_is_kept_for_the_next():
    edges = ms(2099.01, 2100.2)
    line = InterruptEdges(Edges(*edges), "chip", None)
    assert newest_by(line, 1).latest_ns == edges[0]
    line._line.told = [[]]
    later = tuple(time + 1_000_000 for time in LOOK)
    dating = Dating(WIDE.earliest_ns + 1_000_000, WIDE.latest_ns + 1_000_000, 20_000.0)
    assert line.date(later, START, 1, fitted(), dating).latest_ns == edges[1]


def test_the_edge_of_a_watermark_is_the_only_one_since_the_fifo_was_emptied():
    while_reading, reached, after = ms(2091.4, 2095.4, 2100.4)
    edges = Edges(while_reading, reached, after)
    dated = newest_by(InterruptEdges(edges, "chip", 4), 8)
    assert dated.latest_ns == pytest.approx(START + 2_099_400_000, abs=1000)
    # Fewer samples than the watermark: it is the edge of something else.
    assert newest_by(InterruptEdges(Edges(reached), "chip", 9), 8) == WIDE
    assert newest_by(InterruptEdges(Edges(reached, reached + 900_000), "chip", 4), 8) == WIDE
