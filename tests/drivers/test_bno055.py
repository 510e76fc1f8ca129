"""The BNO055's driver on its simulated chip, which is written from the datasheet anew."""

import dataclasses
import errno
import logging

import numpy as np
import pytest

from camm import UsageError
from drivers.bno055 import Bno055
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.find import find_imu
from hw_sim.bno055 import Bno055 as Chip
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 40_000_000_000
MS = 1_000_000


def turning(t_ns):
    """Motion that tells its time: rates that grow, and no attitude twice."""
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + 2 * t, -20 + zero, 30 + zero], axis=-1))
    return rate, np.stack([1 + 0.1 * t, -2 + zero, 9.80665 + zero], axis=-1)


def resting(t_ns):
    zero = np.zeros((len(t_ns), 3))
    return zero, zero + np.array([0, 0, 9.80665])


def attitude(t_ns):
    """A turn to the left, seen from above, of 10 degrees a second, from X east."""
    half = np.radians(5) * (t_ns - START) / 1e9
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, zero, np.sin(half)], axis=-1)


def field(t_ns):
    t = (t_ns - START) / 1e9
    return np.stack([20 + t, -5 + 0 * t, -40 + 0 * t], axis=-1)


class Wire(SimulatedI2C):
    """Takes the wire off now and then, gives less than was asked for, or other bits."""

    fail = short = 0
    turned = None

    def transfer(self, address, out, read_length=0):
        answer = super().transfer(address, out, read_length)
        if read_length > 6 and self.fail:
            self.fail -= 1
            raise BusError(errno.EREMOTEIO, "the wire came off")
        if read_length > 6 and self.short:
            self.short -= 1
            return answer[:-1]
        if read_length > 6 and self.turned is not None:
            answer = bytearray(answer)
            answer[self.turned] ^= 0x40
            self.turned = None
            return bytes(answer)
        return answer


class Bench:
    def __init__(self, address=0x28, motion=turning, ppm=12_000.0, noise=0.0, attitude=attitude):
        scenario = load_scenario("walk")
        errors = dataclasses.replace(
            scenario.imu,
            chip="BNO055",
            clock_ppm=ppm,
            gyro_bias_deg_s=(0.0, 0.0, 0.0),
            accel_bias_m_s2=(0.0, 0.0, 0.0),
            gyro_noise_deg_s_rthz=noise,
            accel_noise_m_s2_rthz=noise,
        )
        mag = dataclasses.replace(scenario.mag, hard_iron_ut=(0.0, 0.0, 0.0), noise_ut=1.0)
        self.clock = VirtualClock(START, 0)
        self.chip = Chip(motion, attitude, field, errors, mag, START, 7)
        self.bus = Wire(self.clock, {address: self.chip})
        self.imu = find_imu(self.bus, "BNO055")
        self.before = 0

    def configure(self):
        self.imu.configure(self.clock)
        self.before = len(self.chip.truth().gyro_t_ns)

    def poll(self, seconds, device=None):
        device = device or self.imu
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        while self.clock.now_ns() < end:
            at = max(at + device.poll_interval_ns, self.clock.now_ns())
            self.clock.sleep_until(at)
            if (burst := device.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts

    def stall(self, nanoseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(nanoseconds))

    def times(self):
        """Of the samples since the chip was configured."""
        return self.chip.truth().gyro_t_ns[self.before :]

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


@pytest.mark.parametrize("address", [0x28, 0x29])
def test_it_is_found_at_either_address_by_its_name_and_without(address):
    bench = Bench(address)
    assert bench.imu.name == find_imu(bench.bus).name == "BNO055"
    assert bench.imu.description["address"] == f"0x{address:02x}"
    assert bench.imu.description["firmware"] == "3.11"


def test_another_chip_at_its_address_is_told_by_its_identity(bench):
    read = bench.chip.read
    bench.chip.read = lambda register, n, at: (
        b"\x24" * n if register == 0 else read(register, n, at)
    )
    with pytest.raises(WrongChip, match=r"at 0x28 is 0x24, that of a BNO055 is 0xa0.* a BMI270"):
        Bno055.probe(bench.bus)


def test_nothing_on_the_bus_says_where_it_looked():
    bus = SimulatedI2C(VirtualClock(START, 0), {})
    with pytest.raises(
        BusError, match="no BNO055 on simulated bus: nothing answers at 0x28 or 0x29"
    ):
        Bno055.probe(bus)


def test_its_mode_fixes_rate_and_ranges_and_the_description_says_so(bench):
    bench.imu.configure(bench.clock, rate_hz=225.0, gyro_range_dps=1000.0, accel_range_g=8.0)
    description = bench.imu.description
    assert (description["rate_hz"], description["gyro_range_dps"]) == (100.0, 2000.0)
    assert (description["accel_range_g"], description["orientation"]) == (4.0, "magnetic north")
    assert len(bench.poll(1)) == pytest.approx(101, abs=2)


def test_units_are_si_and_axes_those_of_the_chip(bench):
    for burst in bench.poll(1):
        t = np.array([(burst.latest_ns - burst.group_delay_ns - START) / 1e9])
        rate, force = turning(START + t * 1e9)
        assert burst.gyro == pytest.approx(rate, abs=np.radians(1 / 16))
        assert burst.accel == pytest.approx(force, abs=0.011)


@pytest.mark.parametrize("ppm", [12_000.0, -5_000.0, -30_000.0])
def test_each_sample_comes_once_with_its_time(ppm):
    bench = Bench(ppm=ppm)
    bench.configure()
    bursts = bench.poll(30)
    counts = counts_of(bursts)
    assert np.array_equal(counts, np.arange(len(counts)))
    assert sum(b.lost for b in bursts) == 0
    times, fit = stamped(bursts, bench.imu.rate_hz)
    assert fit.statistics.refused == 0
    error = (times - bench.times()[: len(times)])[len(times) // 4 :]
    assert np.abs(error).max() < 400_000
    assert np.abs(error.mean()) < 100_000


def test_the_newest_sample_lies_in_the_interval(bench):
    bursts = bench.poll(5)
    ready = bench.times() + bursts[0].group_delay_ns
    for burst in bursts:
        slack = 3 * burst.noise_ns
        assert burst.earliest_ns - slack <= ready[burst.newest_count] <= burst.latest_ns + slack


def test_orientation_is_that_of_the_moment_of_the_sample(bench):
    bursts = bench.poll(5)
    times = bench.times()
    for burst in bursts:
        true = attitude(times[burst.newest_count : burst.newest_count + 1])
        assert burst.orientation == pytest.approx(true, abs=1e-4)
        assert burst.values.shape == (1, 10)


def test_what_is_read_twice_is_one_sample(bench):
    bench.poll(1)
    bench.imu.read_burst(bench.clock)
    assert bench.imu.read_burst(bench.clock) is None


def test_the_magnetometers_own_rhythm_makes_no_samples():
    """Its bytes change between two samples of the others: they stand in the same registers."""
    bench = Bench(motion=turning)
    bench.configure()
    bursts = bench.poll(2)
    counts = counts_of(bursts)
    bench.chip._registers[0x0E] ^= 0x55
    again = bench.imu.read_burst(bench.clock)
    assert again is None or again.newest_count == counts[-1] + 1
    bench.chip._registers[0x0E] ^= 0x2A
    assert bench.imu.read_burst(bench.clock) is None


@pytest.mark.parametrize("milliseconds", [15, 23.7, 500, 5003.3])
def test_after_a_stall_the_count_is_true_to_time(milliseconds):
    bench = Bench()
    bench.configure()
    before = bench.poll(6)
    bench.stall(milliseconds * MS)
    after = bench.poll(2)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    assert sum(b.lost for b in after) == np.diff(counts).max() - 1 > 0
    _, fit = stamped(before + after, bench.imu.rate_hz)
    assert fit.statistics.refused == 0


@pytest.mark.parametrize("phase", np.arange(0.0, 1.0, 0.1))
def test_no_phase_of_a_stall_makes_the_count_slip_for_long(phase):
    bench = Bench()
    bench.configure()
    before = bench.poll(4)
    bench.stall((20 + phase) * 10 * MS)
    after = bench.poll(0.3)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    assert len(after) > 25


def test_at_rest_without_noise_nothing_tells_samples_apart_and_none_is_invented():
    bench = Bench(motion=resting, attitude=lambda t_ns: attitude(np.full_like(t_ns, START)))
    bench.configure()
    assert bench.poll(2) == []


def test_a_sample_that_equals_the_one_before_is_passed_over_and_time_says_so(bench):
    before = bench.poll(4)
    stored = bench.chip._store
    held = bytes(bench.chip._registers)
    bench.chip._store = lambda chip_s, raw: True
    bench.stall(1)
    silent = bench.poll(0.013)
    assert bytes(bench.chip._registers) == held
    bench.chip._store = stored
    after = bench.poll(1)
    counts = counts_of(before + silent + after)
    assert np.array_equal(bench.numbers(before + silent + after), counts)
    assert sum(b.lost for b in after) == np.diff(counts).max() - 1 >= 1


@pytest.mark.parametrize("fault", ["fail", "short"])
def test_a_fault_costs_at_most_the_sample_and_gives_advice(bench, fault):
    before = bench.poll(4)
    setattr(bench.bus, fault, 1)
    with pytest.raises(BusError, match=r"stretches the clock.*i2c-gpio in docs/HARDWARE.md"):
        bench.poll(0.1)
    after = bench.poll(1)
    assert np.array_equal(bench.numbers(before + after), counts_of(before + after))


def test_a_quaternion_that_is_no_rotation_is_not_delivered(bench):
    before = bench.poll(2)
    bench.bus.turned = 0x21 - 0x08  # the high byte of w
    after = bench.poll(0.5)
    assert sum(b.lost for b in after) == 1
    assert all(np.linalg.norm(b.orientation) == pytest.approx(1) for b in before + after)
    assert np.array_equal(bench.numbers(before + after), counts_of(before + after))


def test_temperature_and_calibration_are_told_once_a_second(bench):
    bursts = bench.poll(2.5)
    assert bursts[0].temperature_c is None
    assert bursts[-1].temperature_c == 34.0  # whole degrees are all it knows
    names = ("system", "gyro", "accel", "mag")
    assert [bench.imu.description[f"calibration_{name}"] for name in names] == [3, 3, 3, 3]
    bench.chip.calibration = 0b00_11_01_10
    bench.poll(1.5)
    assert [bench.imu.description[f"calibration_{name}"] for name in names] == [0, 3, 1, 2]


def test_one_without_calibration_is_warned_of_once(bench, caplog):
    caplog.set_level(logging.WARNING)
    bench.chip.calibration = 0x3F
    bench.poll(4)
    assert caplog.text.count("BNO055 is not calibrated yet, its heading means little") == 1


def test_the_calibration_outlives_another_recording(bench):
    """No reset: what the chip has learnt is in its memory alone."""
    written = []
    write = bench.chip.write
    bench.chip.write = lambda register, data, at: (
        written.append(register) or write(register, data, at)
    )
    bench.imu.configure(bench.clock)
    assert 0x3F not in written  # SYS_TRIGGER


def test_one_that_does_not_start_is_told_with_its_status(bench):
    bench.chip._store = lambda chip_s, raw: True
    with pytest.raises(BusError, match="does not start: status 0, error 0; cut its power"):
        bench.imu.configure(bench.clock)


def test_it_can_be_configured_again(bench):
    bench.poll(1)
    bench.configure()
    bursts = bench.poll(1)
    assert bursts[0].first_count == 0
    assert np.array_equal(bench.numbers(bursts), counts_of(bursts))


def test_close_ends_the_sampling_even_without_power(bench):
    bench.poll(0.2)
    bench.imu.close()
    already = len(bench.times())
    bench.stall(1e9)
    bench.bus.read(0x28, 0x00)
    assert len(bench.times()) == already
    bench.chip.answers = lambda: False
    bench.imu.close()


def test_what_is_out_of_its_reach_is_a_usage_error(bench):
    mag = bench.imu.magnetometer(bench.bus)
    for settings in ({"rate_hz": 100.0}, {"range_ut": 2000.0}):
        with pytest.raises(UsageError, match="of a BNO055 measures 20 times a second, up to 1300"):
            mag.configure(bench.clock, **settings)
    with pytest.raises(UsageError, match="BNO055 is read without an interrupt line"):
        bench.imu.configure(bench.clock, interrupt=object())


def test_its_magnetometer_comes_at_its_own_rate_with_its_time(bench):
    mag = bench.imu.magnetometer(bench.bus)
    mag.configure(bench.clock)
    bursts = bench.poll(30, mag)
    counts = counts_of(bursts)
    assert np.array_equal(counts, np.arange(len(counts)))
    assert mag.description["rate_hz"] == 20.0
    truth = bench.chip.mag_truth()
    times, fit = stamped(bursts, mag.rate_hz)
    assert fit.statistics.refused == 0
    first = np.abs(truth.t_ns - times[-1]).argmin() - len(times) + 1
    true = truth.t_ns[first : first + len(times)]
    assert np.abs((times - true)[len(times) // 4 :]).max() < 2 * MS
    for burst, t_ns in zip(bursts, true, strict=True):
        assert burst.field[0] == pytest.approx(field(np.array([t_ns]))[0], abs=5.0)
