"""The BNO085's driver on its simulated chip, which is written from the references anew."""

import dataclasses
import errno
import logging
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import UsageError
from drivers.bno085 import Bno085
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.find import find_imu
from drivers.sh2 import Report, Sensor, Stream, pieces, read_input
from hw_sim.bno085 import Bno085 as Chip
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 40_000_000_000
MS = 1_000_000


def turning(t_ns):
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.stack([0.2 + 0.1 * t, -0.3 + zero, 0.5 + zero], axis=-1)
    return rate, np.stack([1 + 0.5 * t, -2 + zero, 9.80665 + zero], axis=-1)


def attitude(t_ns):
    """A turn to the left, seen from above, of 10 degrees a second, from X east."""
    half = np.radians(5) * (t_ns - START) / 1e9
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def field(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + t, -5 + 0 * t, -40 + 0 * t], axis=-1)


class Wire(SimulatedI2C):
    """Takes the wire off, gives less than was asked for, or turns a bit of a cargo over."""

    fail = short = 0
    turned: tuple[int, int] | None = None
    deaf_until_ns = 0

    def transfer(self, address, out, read_length=0):
        if self._clock.now_ns() < self.deaf_until_ns:
            raise BusError(errno.EREMOTEIO, "nothing answers")
        answer = super().transfer(address, out, read_length)
        if read_length > 20:
            if self.fail:
                self.fail -= 1
                raise BusError(errno.EREMOTEIO, "the wire came off")
            if self.short:
                self.short -= 1
                return answer[:-3]
            if self.turned is not None:
                at, bit = self.turned
                self.turned = None
                answer = answer[:at] + bytes([answer[at] ^ bit]) + answer[at + 1 :]
        return answer


class Bench:
    def __init__(self, address=0x4A, ppm=12_000.0, kind=Chip):
        scenario = load_scenario("walk")
        errors = dataclasses.replace(
            scenario.imu,
            chip="BNO085",
            clock_ppm=ppm,
            gyro_bias_deg_s=(0.0, 0.0, 0.0),
            accel_bias_m_s2=(0.0, 0.0, 0.0),
            gyro_noise_deg_s_rthz=0.0,
            accel_noise_m_s2_rthz=0.0,
        )
        mag = dataclasses.replace(scenario.mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=0.0)
        self.clock = VirtualClock(START, 0)
        self.chip = kind(turning, attitude, field, errors, mag, START, 7)
        self.bus = Wire(self.clock, {address: self.chip})
        self.imu = find_imu(self.bus, "BNO085")
        self.before = 0

    def configure(self, rate_hz=200.0):
        self.imu.configure(self.clock, rate_hz=rate_hz)
        self.before = 0

    def poll(self, seconds, mag=None):
        """Bursts of the motion sensor; those of `mag` go to `self.fields`."""
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        self.fields = []
        while self.clock.now_ns() < end:
            at = max(at + self.imu.poll_interval_ns, self.clock.now_ns())
            self.clock.sleep_until(at)
            if (burst := self.imu.read_burst(self.clock)) is not None:
                bursts.append(burst)
            if mag is not None and (burst := mag.read_burst(self.clock)) is not None:
                self.fields.append(burst)
        return bursts

    def stall(self, nanoseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(nanoseconds))

    def times(self):
        return self.chip.truth().gyro_t_ns

    def numbers(self, bursts):
        """Which of the chip's samples each is, by the attitude it tells."""
        w, _, _, z = np.concatenate([b.orientation for b in bursts]).T
        told = START + np.degrees(np.arctan2(z, w)) / 5 * 1e9
        return np.abs(told[:, None] - self.times()).argmin(axis=1)


def counts_of(bursts):
    return np.concatenate([b.first_count + np.arange(len(b)) for b in bursts])


def stamped(bursts, rate_hz):
    fit, times = ClockFit(1e9 / rate_hz), []
    for b in bursts:
        fit.observe(b.newest_count, b.earliest_ns, b.latest_ns, b.noise_ns)
        times.append(fit.times(b.first_count + np.arange(len(b))) - b.group_delay_ns)
    return np.concatenate(times), fit


@pytest.fixture
def bench():
    bench = Bench()
    bench.configure()
    return bench


@pytest.mark.parametrize("address", [0x4A, 0x4B])
def test_it_is_found_at_either_address_by_its_name_and_without(address):
    bench = Bench(address)
    assert bench.imu.name == find_imu(bench.bus).name == "BNO085"
    description = bench.imu.description
    assert description["address"] == f"0x{address:02x}"
    assert (description["firmware"], description["part"]) == ("3.2.13", 10003608)


class Stranger:
    """A chip with registers at the hub's address; it writes down what is written to it."""

    def __init__(self, says):
        self.says, self.written = says, []

    def answers(self):
        return True

    def lose_power(self, at_ns, until_ns):
        pass

    def exchange(self, out, length, at_ns):
        self.written.append(out)
        return self.says[:length].ljust(length, b"\xff") if length else b""


@pytest.mark.parametrize(
    "says", [b"\x19\x00", b"\x83\x95\x03\x01", b"\x20\x01\x09\x01", b"\xff" * 4, b"\x02\0\0\0"]
)
def test_nothing_is_written_to_what_does_not_look_like_a_hub(says):
    stranger = Stranger(says)
    bus = SimulatedI2C(VirtualClock(START, 0), {0x4A: stranger})
    with pytest.raises(
        WrongChip, match="at 0x4a on simulated bus does not tell a product as a BNO085"
    ):
        Bno085.probe(bus)
    assert not any(stranger.written)


@pytest.mark.parametrize("says", [bytes(300), b"\x83\x85\x03\x01"])
def test_what_looks_like_a_hub_and_tells_no_product_is_none(says):
    bus = SimulatedI2C(VirtualClock(START, 0), {0x4A: Stranger(says)})
    with pytest.raises(WrongChip, match="does not tell a product"):
        Bno085.probe(bus)


def test_nothing_on_the_bus_says_where_it_looked():
    with pytest.raises(BusError, match="nothing answers at 0x4a or 0x4b"):
        Bno085.probe(SimulatedI2C(VirtualClock(START, 0), {}))


@pytest.mark.parametrize(("asked", "got"), [(225, 200), (400, 400), (60, 50), (130, 100), (25, 25)])
def test_the_rate_is_the_nearest_that_the_chip_has(asked, got):
    bench = Bench()
    bench.configure(asked)
    assert bench.imu.rate_hz == got
    counts = counts_of(bench.poll(2))
    assert len(counts) == pytest.approx(2 * got * 1.012, abs=6)


@pytest.mark.parametrize("rate", [1000.0, 5.0])
def test_a_rate_out_of_reach_is_a_usage_error(rate):
    with pytest.raises(UsageError, match=f"BNO085 samples at 25 to 400 Hz, asked for {rate:g}"):
        Bench().configure(rate)


@pytest.mark.parametrize("ppm", [12_000.0, -5_000.0, -30_000.0])
@pytest.mark.parametrize("rate", [100.0, pytest.param(200.0, marks=pytest.mark.proof)])
def test_samples_come_in_order_with_their_times(ppm, rate):
    bench = Bench(ppm=ppm)
    bench.configure(rate)
    bursts = bench.poll(20)
    counts = counts_of(bursts)
    assert np.array_equal(counts, np.arange(len(counts)))
    assert sum(b.lost for b in bursts) == 0
    times, fit = stamped(bursts, rate)
    assert fit.statistics.refused == 0
    error = (times - bench.times()[: len(times)])[len(times) // 4 :]
    assert np.abs(error).max() < 400_000
    assert np.abs(error.mean()) < 250_000


def test_accelerometer_and_orientation_are_of_the_time_of_the_gyroscope(bench):
    """The accelerometer reports at 250 Hz and the others at 200."""
    bursts = bench.poll(5)
    t_ns = bench.times()[counts_of(bursts)]
    rate, force = turning(t_ns)
    settled = slice(200, None)
    gyro = np.concatenate([b.gyro for b in bursts])
    accel = np.concatenate([b.accel for b in bursts])
    turn = np.concatenate([b.orientation for b in bursts])
    assert gyro[settled] == pytest.approx(rate[settled], abs=1 / 512)
    assert accel[settled] == pytest.approx(force[settled], abs=1 / 128)
    assert turn[settled] == pytest.approx(attitude(t_ns)[settled], abs=2e-4)
    assert bench.imu.description["orientation"] == "magnetic north"


def test_a_quaternion_whose_sign_changes_is_the_same_rotation(bench, monkeypatch):
    told = bench.chip._attitude
    bench.chip._attitude = lambda t_ns: told(t_ns) * np.where(t_ns // 5_000_000 % 2, 1, -1)[:, None]
    bench.configure()
    bursts = bench.poll(3)
    turn = np.concatenate([b.orientation for b in bursts])
    true = attitude(bench.times()[-len(turn) :])
    assert np.abs((turn * true).sum(axis=1)).min() > 0.999


@pytest.mark.parametrize("seconds", [0.05, 0.5, 3.0, 7.3])
def test_after_a_stall_the_count_is_true_to_time(bench, seconds):
    """The hub keeps some hundred reports; of what it gave up its numbers tell, modulo 256."""
    before = bench.poll(5)
    bench.stall(seconds * 1e9)
    after = bench.poll(2)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    lost = sum(b.lost for b in after)
    assert lost == len(set(range(counts[-1])) - set(counts.tolist()))
    assert (lost > 0) == (seconds > 0.4)
    _, fit = stamped(before + after, bench.imu.rate_hz)
    assert fit.statistics.refused == 0


@pytest.mark.parametrize("fault", ["fail", "short"])
def test_a_fault_costs_the_cargo_and_gives_advice(bench, fault):
    before = bench.poll(4)
    setattr(bench.bus, fault, 1)
    with pytest.raises(BusError, match=r"BNO085.*stretches the clock.*i2c-gpio"):
        bench.poll(0.1)
    after = bench.poll(1)
    assert np.array_equal(bench.numbers(before + after), counts_of(before + after))


@pytest.mark.parametrize(
    ("at", "bit"),
    [(4, 0x80), (0, 0x01), (2, 0x02), (9, 0x40), (5, 0x10), (10, 0x08)],
    ids=["base", "length", "channel", "report", "delta", "number"],
)
def test_a_bit_turned_over_costs_reports_and_no_more(bench, at, bit):
    """0xfb read as 0x7b is what clock stretching has made of many a time base in the field."""
    before = bench.poll(4)
    bench.bus.turned = (at, bit)
    after = bench.poll(1)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    assert sum(b.lost for b in after) <= 4


def test_a_hub_that_makes_no_sense_any_more_gives_advice(bench):
    exchange = bench.chip.exchange
    bench.chip.exchange = lambda out, length, at: exchange(out, length, at) and b"\xff" * length
    with pytest.raises(BusError, match="nothing it sends makes sense; it stretches the clock"):
        bench.poll(1)


def test_a_hub_that_repeats_the_header_without_the_bit_of_continuation_is_understood():
    class Repeating(Chip):
        def _say(self, length, at_ns):
            fresh, kept = self._rest is None, self._rest
            said = super()._say(length, at_ns)
            if not fresh and kept and length > 4:
                said = said[:1] + bytes([said[1] & 0x7F]) + said[2:]
            return said

    bench = Bench(kind=Repeating)
    bench.configure()
    counts = counts_of(bench.poll(2))
    assert np.array_equal(counts, np.arange(len(counts)))
    assert bench.imu.description["damaged"] == 0


def test_the_rest_that_a_dead_program_has_left_is_passed_over():
    bench = Bench()
    bench.configure()
    bench.stall(0.2e9)
    bench.bus.transfer(0x4A, b"", 4)
    bench.bus.transfer(0x4A, b"", 20)
    bench.imu = find_imu(bench.bus, "BNO085")
    bench.configure()
    assert len(counts_of(bench.poll(1))) > 190


def test_a_chip_that_resets_by_itself_is_told_and_can_be_configured_again(bench):
    bench.poll(1)
    bench.chip._boot(bench.clock.now_ns())
    with pytest.raises(
        BusError, match="BNO085 at 0x4a on simulated bus has come up anew by itself"
    ):
        bench.poll(1)
    bench.configure()
    bursts = bench.poll(1)
    assert bursts[0].first_count == 0


def test_silence_is_told_after_a_second(bench):
    bench.poll(1)
    bench.chip._features.clear()
    with pytest.raises(BusError, match="has fallen silent"):
        bench.poll(2)


def test_one_that_does_not_come_up_is_told():
    bench = Bench()
    bench.chip._boot = lambda at_ns: None
    with pytest.raises(BusError, match="does not come up after a reset: cut its power"):
        bench.configure()


def test_one_that_does_not_answer_while_it_comes_up_is_waited_for():
    bench = Bench()
    boot = bench.chip._boot

    def deaf(at_ns):
        boot(at_ns)
        bench.bus.deaf_until_ns = at_ns + 150 * MS

    bench.chip._boot = deaf
    bench.configure()
    assert len(counts_of(bench.poll(1))) > 190


def test_a_feature_that_is_refused_is_told():
    bench = Bench()
    bench.chip._set_feature = lambda report, interval_us, at_ns: None
    with pytest.raises(BusError, match="does not report its accelerometer"):
        bench.configure()


def test_one_without_calibration_is_warned_of_once(bench, caplog):
    caplog.set_level(logging.WARNING)
    bench.chip.status = 0
    bench.poll(4)
    assert caplog.text.count("BNO085 is not calibrated yet, its heading means little") == 1
    assert bench.imu.description["accuracy"] == 0


def test_close_ends_the_reports_even_without_power(bench):
    bench.poll(0.2)
    bench.imu.close()
    already = len(bench.times())
    bench.stall(1e9)
    bench.bus.transfer(0x4A, b"", 4)
    assert len(bench.times()) == already
    bench.chip.answers = lambda: False
    bench.imu.close()


def test_its_magnetometer_comes_in_the_same_stream_with_its_time(bench):
    mag = bench.imu.magnetometer(bench.bus)
    mag.configure(bench.clock)
    bench.poll(20, mag)
    counts = counts_of(bench.fields)
    assert np.array_equal(counts, np.arange(len(counts)))
    times, fit = stamped(bench.fields, mag.rate_hz)
    assert fit.statistics.refused == 0
    truth = bench.chip.mag_truth()
    assert np.abs(times - truth.t_ns[: len(times)])[len(times) // 4 :].max() < 1 * MS
    told = np.concatenate([b.field for b in bench.fields])
    assert told == pytest.approx(truth.field[: len(told)], abs=0.05)
    assert mag.description["rate_hz"] == 50.0


def test_the_magnetometer_has_rates_of_its_own(bench):
    mag = bench.imu.magnetometer(bench.bus)
    for asked, got in ((100, 100), (60, 50), (10, 12.5)):
        mag.configure(bench.clock, rate_hz=asked)
        assert mag.rate_hz == got
    for settings in ({"rate_hz": 300.0}, {"range_ut": 2000.0}):
        with pytest.raises(UsageError, match=r"of a BNO085 measures 12.5 to 100 times a second"):
            mag.configure(bench.clock, **settings)
    with pytest.raises(UsageError, match="BNO085 is read without an interrupt line"):
        bench.imu.configure(bench.clock, interrupt=object())


def test_the_magnetometer_goes_on_when_the_motion_sensor_is_configured_again(bench):
    mag = bench.imu.magnetometer(bench.bus)
    mag.configure(bench.clock)
    bench.poll(2, mag)
    first = bench.fields
    bench.imu = find_imu(bench.bus, "BNO085")
    bench.configure()
    bench.poll(2, mag)
    counts = counts_of(first + bench.fields)
    assert (np.diff(counts) > 0).all()
    assert len(counts_of(bench.fields)) > 90
    mag.close()
    bench.poll(1, None)


def report(number, sensor=Sensor.GYROSCOPE):
    return Report(sensor, number & 0xFF, 3, 0, (float(number), 0.0, 0.0))


def test_numbers_of_eight_bits_are_told_apart_by_time():
    stream = Stream(5 * MS)
    for number in (*range(300), 900, *range(901, 1000)):
        at = START + number * 5 * MS
        stream.take_in(report(number), at - MS, at + MS)
    run = stream.take_run(2000)
    assert [s.count for s in run] == list(range(300))
    assert [s.count for s in stream.take_run(2000)] == list(range(900, 1000))


def test_a_number_that_leaves_a_choice_is_given_up():
    stream = Stream(5 * MS)
    for number in range(300):
        at = START + number * 5 * MS
        stream.take_in(report(number), at - MS, at + MS)
    late = START + 2000 * 5 * MS
    stream.take_in(report(2000), START + 300 * 5 * MS, late + MS)  # any time since the last one
    assert stream.samples[-1].count == 299
    stream.take_in(report(2001), late, late + 6 * MS)
    assert (stream.samples[-1].count, stream.samples[-1].lost) == (2001, 1701)


def test_a_report_that_is_told_twice_counts_once():
    stream = Stream(5 * MS)
    for number in (0, 1, 1, 2):
        at = START + number * 5 * MS
        stream.take_in(report(number), at - MS, at + MS)
    assert [s.count for s in stream.samples] == [0, 1, 2]


def test_times_are_the_base_before_the_interrupt_and_the_delay_after_that():
    base = struct.pack("<Bi", 0xFB, 120)
    rebase = struct.pack("<Bi", 0xFA, 20)
    first = bytes([0x02, 7, 0x03, 30]) + struct.pack("<3h", 512, -512, 256)
    second = bytes([0x01, 8, 1 << 2 | 0x02, 5]) + struct.pack("<3h", 256, 0, -256)
    told = list(read_input(base + first + rebase + second))
    assert told == [
        Report(Sensor.GYROSCOPE, 7, 3, (30 - 120) * 100_000, (1.0, -1.0, 0.5)),
        Report(Sensor.ACCELEROMETER, 8, 2, (20 - 120 + 256 + 5) * 100_000, (1.0, 0.0, -1.0)),
    ]


def test_reports_that_were_not_asked_for_are_passed_over_and_unknown_ones_end_the_cargo():
    known = bytes([0x11]).ljust(12, b"\0")
    gyro = bytes([0x02, 7, 0x03, 0]).ljust(10, b"\0")
    assert [r.sensor for r in read_input(known + gyro)] == [Sensor.GYROSCOPE]
    with pytest.raises(ValueError, match="report 0x7b at 22 of 27 bytes"):
        list(read_input(known + gyro + b"\x7b\0\0\0\0"))
    with pytest.raises(ValueError, match="report 0x02 at 10 of 15"):
        list(pieces(gyro + gyro[:5]))


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(payload):
    stream = Stream(5 * MS)
    try:
        for found in read_input(payload):
            stream.take_in(found, START, START + MS)
    except ValueError:
        pass
    assert all(np.isfinite(sample.values).all() for sample in stream.samples)
