"""What holds for every motion sensor, on its simulated chip.

The oracle of scales are the tables that Linux' own IIO drivers report (kernel 6.1); the simulated
chips are written from datasheets and share nothing with the drivers.
"""

import dataclasses
import errno

import numpy as np
import pytest

from camm import UsageError
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.fifo import FifoImu
from drivers.find import DRIVERS, find_imu
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.rig import make_imu
from hw_sim.scenario import load_scenario

START = 40_000_000_000
MS = 1_000_000
INVENSENSE = (
    {250: 0.000133090, 500: 0.000266181, 1000: 0.000532362, 2000: 0.001064724},
    {2: 0.000598, 4: 0.001196, 8: 0.002392, 16: 0.004785},
)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of one chip: address, Linux' scales, nominal rates asked for and got, FIFO in samples."""

    address: int
    gyro_scales: dict
    accel_scales: dict
    rates: dict
    fifo_samples: int
    keeps_oldest: bool = True


ST_GYRO = {250: 0.000152716, 500: 0.000305432, 1000: 0.000610865, 2000: 0.001221729}
ST_ACCEL = {2: 0.000598205, 4: 0.001196411, 8: 0.002392822, 16: 0.004785645}
BOSCH = (
    {250: 0.000133, 500: 0.000266, 1000: 0.000532, 2000: 0.001065},
    {2: 0.000598, 4: 0.001197, 8: 0.002394, 16: 0.004788},
)
BOSCH_RATES = {225: 200, 100: 100, 700: 800, 1300: 1600, 30: 25}
MPU_RATES = {225: 250, 200: 200, 1000: 1000, 60: 58.82, 400: 333.33}
FACTS = {
    "MPU-6050": Facts(0x68, *INVENSENSE, MPU_RATES, 85, keeps_oldest=False),
    "MPU-6500": Facts(0x68, *INVENSENSE, MPU_RATES, 42),
    "MPU-9250": Facts(0x68, *INVENSENSE, MPU_RATES, 42),
    "MPU-9255": Facts(0x69, *INVENSENSE, MPU_RATES, 42),
    "ICM-42688-P": Facts(0x69, *INVENSENSE, {225: 200, 100: 100, 700: 500, 20: 25, 13: 12.5}, 127),
    "BMI160": Facts(0x69, *BOSCH, BOSCH_RATES, 78, keeps_oldest=False),
    "BMI270": Facts(0x68, *BOSCH, BOSCH_RATES, 157),
    "LSM6DS3TR-C": Facts(
        0x6B,
        ST_GYRO,
        ST_ACCEL,
        {225: 208, 100: 104, 700: 833, 1500: 1666, 30: 26, 13: 12.5},
        341,
    ),
    "LSM9DS1": Facts(  # 1000 deg/s it has not: those of 2000 are taken
        0x6A,
        {**ST_GYRO, 1000: 0.001221729},
        {**ST_ACCEL, 16: 0.007178467},
        {225: 238, 100: 119, 700: 476, 900: 952, 15: 14.9},
        32,
    ),
    "LSM6DSOX": Facts(
        0x6A,
        ST_GYRO,
        ST_ACCEL,
        {225: 208.33, 100: 104.17, 700: 833.33, 1500: 1666.67, 3000: 3333.33, 30: 26.04, 13: 13.02},
        170,
    ),
    "ICM-20948": Facts(0x69, *INVENSENSE, {225: 225, 200: 187.5, 1000: 1125, 100: 102.27}, 42),
}


@pytest.fixture(autouse=True)
def _bmi270_file(tmp_path, monkeypatch):
    path = tmp_path / "bmi270.bin"
    path.write_bytes(bytes(8192))
    monkeypatch.setenv("CAMMCORDER_BMI270", str(path))


def test_the_contract_runs_over_all_drivers():
    with_a_fifo = {name for name, kind in DRIVERS.items() if issubclass(kind, FifoImu)}
    assert set(FACTS) == with_a_fifo


class FaultyBus(SimulatedI2C):
    """Takes the wire off in the middle of the FIFO, or gives less of it than was asked for."""

    fail = short = 0
    port = None

    def transfer(self, address, out, read_length=0):
        answer = super().transfer(address, out, read_length)
        if out[0] == self.port and self.fail:
            self.fail -= 1
            raise BusError(errno.EREMOTEIO, "the wire came off for a moment")
        if out[0] == self.port and self.short:
            self.short -= 1
            return answer[: read_length // 2]
        return answer


def turning(t_ns):
    """Motion from which the time of a measurement can be read back: slow, and never still."""
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([10 + 2 * t, -20 + zero, 30 + zero], axis=-1))
    return rate, np.stack([1 + 0.1 * t, -2 + zero, 9.80665 + zero], axis=-1)


class Bench:
    """A chip on a bus, and its driver."""

    def __init__(self, name, motion=turning, ppm=12_000.0, address=None):
        self.facts = FACTS[name]
        self.errors = dataclasses.replace(
            load_scenario("walk").imu,
            chip=name,
            address=address or self.facts.address,
            clock_ppm=ppm,
            gyro_bias_deg_s=(0.0, 0.0, 0.0),
            accel_bias_m_s2=(0.0, 0.0, 0.0),
            gyro_noise_deg_s_rthz=0.0,
            accel_noise_m_s2_rthz=0.0,
        )
        self.clock = VirtualClock(START, 0)
        self.chip = make_imu(motion, self.errors, START, 7)
        self.bus = FaultyBus(self.clock, {self.errors.address: self.chip})
        self.imu = find_imu(self.bus, name)
        self.bus.port = self.imu.fifo_port
        self.before = 0

    def configure(self, **settings):
        settings = {"rate_hz": 225.0, "gyro_range_dps": 1000.0, "accel_range_g": 8.0, **settings}
        self.imu.configure(self.clock, **settings)
        self.before = int(self.chip.truth().in_fifo.sum())

    def poll(self, seconds):
        """In the rhythm of the recorder: missed polls are not made up for."""
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        while self.clock.now_ns() < end:
            at = max(at + self.imu.poll_interval_ns, self.clock.now_ns())
            self.clock.sleep_until(at)
            if (burst := self.imu.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts

    def stall(self, nanoseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(nanoseconds))

    def truth(self):
        """Times of the samples since `configure`: of the motion that they tell."""
        truth = self.chip.truth()
        return truth.gyro_t_ns[truth.in_fifo][self.before :]

    def numbers(self, bursts):
        """Which of the chip's samples each of the delivered ones is, by the motion it tells."""
        told = np.concatenate([b.gyro[:, 0] for b in bursts])
        true = self.chip.truth()
        rates = true.gyro[true.in_fifo][self.before :, 0]
        # The motion is steady: what lies nearest is the sample.
        after = np.clip(np.searchsorted(rates, told), 1, len(rates) - 1)
        return after - (told - rates[after - 1] < rates[after] - told)


def counts_of(bursts):
    return np.concatenate([b.first_count + np.arange(len(b)) for b in bursts])


def stamped(bursts, rate_hz):
    """Host times of all samples, by a clock fit as the recorder has it, and the fit."""
    fit, times = ClockFit(1e9 / rate_hz), []
    for b in bursts:
        fit.observe(b.newest_count, b.earliest_ns, b.latest_ns, b.noise_ns)
        times.append(fit.times(b.first_count + np.arange(len(b))) - b.group_delay_ns)
    return np.concatenate(times), fit


SIBLINGS = {"MPU-6500", "MPU-9255", "LSM6DS3TR-C"}
"""Those whose driver is that of another here: they are tried by the proofs."""

CHIPS = [pytest.param(n, marks=pytest.mark.proof) if n in SIBLINGS else n for n in FACTS]


@pytest.fixture(params=CHIPS)
def bench(request):
    return Bench(request.param)


@pytest.fixture(params=CHIPS)
def name(request):
    return request.param


def steep(t_ns):
    """Motion so quick that each sample differs from the next by some LSB, at +-2000 deg/s."""
    t = (t_ns - START) / 1e9
    zero = np.zeros_like(t)
    rate = np.radians(np.stack([-1900 + 160 * t, zero, zero], axis=-1))
    return rate, np.stack([zero, zero, 9.80665 + zero], axis=-1)


def test_it_is_found_at_any_of_its_addresses_by_its_name_and_without(name):
    for address in DRIVERS[name].addresses:
        bench = Bench(name, address=address)
        assert bench.imu.name == find_imu(bench.bus).name == name
        assert bench.imu.description["address"] == f"0x{address:02x}"


def test_another_name_is_refused_and_the_chip_named(name):
    bench = Bench(name)
    neighbours = [n for n in DRIVERS if set(DRIVERS[n].addresses) & set(DRIVERS[name].addresses)]
    for other in set(neighbours) - {name}:
        with pytest.raises(WrongChip, match=name):
            find_imu(bench.bus, other)


@pytest.mark.parametrize("name", ["MPU-9250", "MPU-9255"])
def test_an_mpu_6500_in_the_place_of_an_mpu_9250_has_no_magnetometer(name):
    bench = Bench("MPU-6500")
    message = f"0x68 on simulated bus is an MPU-6500 and no {name}: it has no magnetometer"
    with pytest.raises(WrongChip, match=message):
        find_imu(bench.bus, name)


def test_the_rate_is_the_nearest_that_the_chip_has(bench):
    for asked, got in bench.facts.rates.items():
        bench.configure(rate_hz=asked)
        assert bench.imu.rate_hz == pytest.approx(got, abs=0.01)
        description = bench.imu.description
        if asked > 15:
            assert description["gyro_bandwidth_hz"] < got / 2
            assert description["accel_bandwidth_hz"] < got / 2
        assert bench.imu.poll_interval_ns < bench.facts.fifo_samples / got * 1e9 / 1.9


def test_a_narrower_filter_can_be_asked_for(bench):
    bench.configure(rate_hz=max(bench.facts.rates))
    widest = bench.imu.description["gyro_bandwidth_hz"]
    bench.configure(rate_hz=max(bench.facts.rates), low_pass_hz=widest)
    assert bench.imu.description["gyro_bandwidth_hz"] == widest
    bench.configure(rate_hz=max(bench.facts.rates), low_pass_hz=0.99 * widest)
    narrower = bench.imu.description["gyro_bandwidth_hz"]
    assert narrower <= widest
    bench.configure(rate_hz=max(bench.facts.rates), low_pass_hz=0.001)
    narrowest = bench.imu.description["gyro_bandwidth_hz"]
    assert narrowest <= narrower
    assert (narrower < widest) == (narrowest < widest)
    assert len(counts_of(bench.poll(0.3))) > 10


def test_the_chip_keeps_the_rate_that_was_chosen(bench):
    for asked, got in bench.facts.rates.items():
        bench.configure(rate_hz=asked)
        bench.poll(1.0)
        period_ns = np.diff(bench.truth()).mean()
        assert period_ns * 1.012 == pytest.approx(1e9 / got, rel=3e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gyro_range_dps": 300.0}, "deg/s, asked for 300"),
        ({"accel_range_g": 32.0}, "2, 4, 8, 16 g, asked for 32"),
        ({"rate_hz": 30_000.0}, "Hz, asked for 30000"),
        ({"rate_hz": 0.1}, "Hz, asked for 0.1"),
    ],
)
def test_what_the_chip_has_not_is_a_usage_error(bench, changes, message):
    with pytest.raises(UsageError, match=f"{bench.imu.name}.*{message}"):
        bench.configure(**changes)


def smallest_step(values):
    """One LSB, where neighbouring readings occur among the values."""
    return np.diff(np.unique(np.round(values, 9))).min()


def test_scales_are_those_of_linux(bench):
    facts = bench.facts
    for gyro, accel in zip(facts.gyro_scales.items(), facts.accel_scales.items(), strict=True):
        bench.configure(gyro_range_dps=gyro[0], accel_range_g=accel[0])
        bursts = bench.poll(0.6)
        rates = np.concatenate([b.gyro for b in bursts])
        forces = np.concatenate([b.accel for b in bursts])
        assert smallest_step(rates[:, 0]) == pytest.approx(gyro[1], rel=2e-3)
        assert smallest_step(forces[:, 0]) == pytest.approx(accel[1], rel=2e-3)
        assert rates[:, 1:] == pytest.approx(np.radians([[-20, 30]] * len(rates)), abs=gyro[1])
        assert forces[:, 1:] == pytest.approx(np.array([[-2, 9.80665]] * len(rates)), abs=accel[1])


@pytest.mark.parametrize("name", ["BMI160", "BMI270", "LSM6DSOX", "LSM6DS3TR-C", "LSM9DS1"])
def test_the_filters_are_those_that_it_tells(name):
    """Where the accelerometer's is as late as a first-order one."""
    bench = Bench(name)
    for asked, got in bench.facts.rates.items():
        bench.configure(rate_hz=asked)
        bench.poll(2 / got)
        told, truth = bench.imu.description, bench.chip.truth()
        shift_ns = int(truth.accel_t_ns[-1] - truth.gyro_t_ns[-1])
        accel_ns = 1e9 / (2 * np.pi * told["accel_bandwidth_hz"])
        assert shift_ns == pytest.approx(told["group_delay_ns"] - accel_ns, abs=3)


@pytest.mark.parametrize("ppm", [12_000.0, -5_000.0, -30_000.0])
def test_samples_come_in_order_with_their_times(name, ppm):
    bench = Bench(name, ppm=ppm)
    bench.configure()
    bursts = bench.poll(30)
    counts = counts_of(bursts)
    assert np.array_equal(counts, np.arange(len(counts)))
    assert sum(b.lost for b in bursts) == 0
    times, fit = stamped(bursts, bench.imu.rate_hz)
    assert fit.statistics.refused == 0
    assert fit.statistics.period_error_ppm == pytest.approx(-ppm, rel=0.04, abs=200)
    true = bench.truth()[: len(times)]
    error = (times - true)[len(times) // 6 :]
    assert np.abs(error).max() < 150_000
    assert np.abs(error.mean()) < 50_000


@pytest.mark.parametrize("ppm", [12_000.0, -30_000.0])
def test_the_newest_sample_lies_in_the_interval(name, ppm):
    bench = Bench(name, ppm=ppm)
    bench.configure()
    bursts = bench.poll(5)
    true = bench.truth() + bursts[0].group_delay_ns
    for burst in bursts:
        ready = true[burst.newest_count]
        assert (
            burst.earliest_ns - 3 * burst.noise_ns <= ready <= burst.latest_ns + 3 * burst.noise_ns
        )


@pytest.mark.parametrize("ppm", [12_000.0, -30_000.0])
@pytest.mark.parametrize("fifos", [0.7, 1.3, 2.0, 5.17])
def test_after_an_overflow_the_count_is_true_to_time(name, ppm, fifos):
    bench = Bench(name, steep, ppm)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(6)
    bench.stall(fifos * bench.facts.fifo_samples / bench.imu.rate_hz * 1e9)
    after = bench.poll(2)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    lost = sum(burst.lost for burst in after)
    assert lost == np.diff(numbers).max() - 1
    assert (lost > 0) == (fifos > 1)
    # What a full FIFO keeps is delivered, where it keeps whole samples.
    if fifos > 1:
        kept = max(len(burst) for burst in after)
        assert (kept > 0.9 * bench.facts.fifo_samples) == bench.facts.keeps_oldest
    _, fit = stamped(before + after, bench.imu.rate_hz)
    assert fit.statistics.refused == 0


@pytest.mark.parametrize("fifos", [0.5, 5.0])
def test_what_comes_before_the_first_look_is_not_lost(name, fifos):
    """The other devices of a rig are opened meanwhile."""
    bench = Bench(name, steep)
    bench.configure(gyro_range_dps=2000.0)
    bench.stall(fifos * bench.facts.fifo_samples / bench.imu.rate_hz * 1e9)
    bursts = bench.poll(2)
    numbers, counts = bench.numbers(bursts), counts_of(bursts)
    assert counts[0] == sum(burst.lost for burst in bursts) == 0
    assert np.array_equal(numbers - numbers[0], counts)
    _, fit = stamped(bursts, bench.imu.rate_hz)
    assert fit.statistics.refused == 0


@pytest.mark.parametrize("name", ["LSM6DS3TR-C", "LSM6DSOX", "LSM9DS1"])
def test_the_first_sample_after_the_fifo_was_switched_on_is_read_away(name):
    bench = Bench(name, steep)
    reads, transfer = [], bench.bus.transfer

    def spied(address, out, read_length=0):
        answer = transfer(address, out, read_length)
        if out[0] == bench.bus.port:
            reads.append(read_length // bench.imu.sample_bytes)
        return answer

    bench.bus.transfer = spied
    bench.configure(gyro_range_dps=2000.0)
    assert len(reads) == 1
    assert reads[0] in (1, 2)
    bench.poll(3)
    bench.stall(1.5 * bench.facts.fifo_samples / bench.imu.rate_hz * 1e9)
    reads.clear()
    [kept, *_] = bench.poll(0.1)
    assert reads[0] == len(kept) > 0.9 * bench.facts.fifo_samples
    assert reads[1] in (1, 2)


@pytest.mark.parametrize("phase", np.arange(0.0, 1.0, 0.1))
def test_no_phase_of_the_overflow_makes_the_count_ambiguous(name, phase):
    bench = Bench(name, steep)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(3)
    bench.stall((1.5 * bench.facts.fifo_samples + phase) / bench.imu.rate_hz * 1e9)
    bursts = before + bench.poll(0.3)
    assert np.array_equal(bench.numbers(bursts), counts_of(bursts))


@pytest.mark.parametrize("fault", ["fail", "short"])
@pytest.mark.parametrize("times", [1, 5])
def test_faults_in_the_middle_of_the_fifo_cost_samples_and_no_alignment(name, fault, times):
    bench = Bench(name, steep)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(5)
    setattr(bench.bus, fault, times)
    for _ in range(times):
        with pytest.raises(BusError):
            bench.poll(0.1)
    after = bench.poll(1)
    numbers, counts = bench.numbers(before + after), counts_of(before + after)
    assert np.array_equal(numbers, counts)
    assert sum(burst.lost for burst in after) == np.diff(numbers).max() - 1 > 0


@pytest.mark.parametrize("name", ["BMI160", "BMI270"])
@pytest.mark.parametrize("control", [b"\x48\x01", b"\x44\x01\x02\x03", b"\x80"])
def test_a_frame_of_another_kind_is_taken_for_no_sample(name, control):
    bench = Bench(name, steep)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(3)
    transfer = bench.bus.transfer

    def with_another(address, out, read_length=0):
        answer = transfer(address, out, read_length)
        if out[0] != bench.bus.port:
            return answer
        bench.bus.transfer = transfer
        return (control + answer)[:read_length]

    bench.bus.transfer = with_another
    with pytest.raises(BusError, match="does not hold frames of gyroscope and accelerometer"):
        bench.poll(0.1)
    bursts = before + bench.poll(1)
    numbers = bench.numbers(bursts)
    assert np.array_equal(numbers, counts_of(bursts))
    assert sum(burst.lost for burst in bursts) == np.diff(numbers).max() - 1 > 0


def test_a_wait_between_count_and_data_does_not_shift_the_samples(name):
    """As when the kernel lets another program run just then: the FIFO runs over meanwhile."""
    bench = Bench(name, steep)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(5)
    transfer = bench.bus.transfer

    def slowly(address, out, read_length=0):
        if out[0] == bench.bus.port:
            bench.bus.transfer = transfer
            bench.stall(1.2 * bench.facts.fifo_samples / bench.imu.rate_hz * 1e9)
        return transfer(address, out, read_length)

    bench.bus.transfer = slowly
    bursts = before + bench.poll(3)
    numbers, counts = bench.numbers(bursts), counts_of(bursts)
    assert np.array_equal(numbers, counts)
    assert sum(burst.lost for burst in bursts) == np.diff(numbers).max() - 1 > 0


def test_too_much_motion_saturates(name):
    bench = Bench(name, lambda t: (np.full((len(t), 3), -100.0), np.full((len(t), 3), 900.0)))
    bench.configure(gyro_range_dps=250.0, accel_range_g=2.0)
    [first, *_] = bench.poll(0.1)
    # Full scale is 32768 LSB, whatever the range is called.
    assert first.gyro == pytest.approx(-32768 * bench.facts.gyro_scales[250], rel=2e-3)
    assert first.accel == pytest.approx(32767 * bench.facts.accel_scales[2], rel=2e-3)


def test_the_temperature_is_asked_once_a_second(bench):
    bench.configure()
    told = []
    read = type(bench.imu)._read_temperature
    bench.imu._read_temperature = lambda: told.append(read(bench.imu)) or told[-1]
    bursts = bench.poll(3.5)
    assert len(told) == 4
    assert [b.temperature_c for b in bursts] == pytest.approx([34.5] * len(bursts), abs=0.02)
    assert bench.imu.description["temperature_c"] == pytest.approx(34.5, abs=0.02)


def test_it_can_be_configured_again(bench):
    bench.configure(rate_hz=max(bench.facts.rates))
    bench.poll(1)
    bench.configure(rate_hz=100.0, gyro_range_dps=500.0)
    bursts = bench.poll(2)
    assert bursts[0].first_count == 0
    counts = counts_of(bursts)
    assert np.array_equal(counts, np.arange(len(counts)))
    true = bench.truth()[: len(counts)]
    told = np.degrees(np.concatenate([b.gyro[:, 0] for b in bursts]))
    assert told == pytest.approx(10 + 2 * (true - START) / 1e9, abs=0.02)


def test_a_chip_that_a_dead_program_left_behind_is_configured_all_the_same(bench):
    bench.configure(rate_hz=100.0)
    bench.poll(0.5)
    for register in (0x76, 0x7F):  # bank selectors of two of them, nothing in the others
        bench.bus.write(bench.errors.address, register, 0x20 if register == 0x7F else 0x02)
    again = find_imu(bench.bus, bench.imu.name)
    again.configure(bench.clock, rate_hz=100.0, gyro_range_dps=1000.0, accel_range_g=8.0)
    bench.imu = again
    assert len(counts_of(bench.poll(1))) > 90


def test_close_ends_the_sampling_even_without_power(bench):
    bench.configure()
    bench.poll(0.2)
    bench.imu.close()
    already = len(bench.truth())
    bench.stall(1e9)
    bench.bus.read(bench.errors.address, 0x00)
    assert len(bench.truth()) == already
    bench.chip.answers = lambda: False
    bench.imu.close()


def test_an_empty_bus_says_where_it_looked():
    bus = SimulatedI2C(VirtualClock(START, 0), {})
    with pytest.raises(
        BusError, match=r"no motion sensor on simulated bus: .* 0x68, 0x69, 0x6a, 0x6b; check"
    ):
        find_imu(bus)


def test_a_stranger_is_named():
    class Icm20602:
        def answers(self):
            return True

        def write(self, register, data, at_ns):
            pass

        def read(self, register, length, at_ns):
            return bytes([0x12 if register == 0x75 else 0]).ljust(length, b"\0")

    bus = SimulatedI2C(VirtualClock(START, 0), {0x68: Icm20602()})
    with pytest.raises(WrongChip, match=r"no motion sensor that we know .* this is an ICM-20602"):
        find_imu(bus)


def test_two_chips_at_one_address_are_thought_of():
    class Both:
        """An MPU-6500 and an ICM-42688-P: 0x70 and 0x47."""

        def answers(self):
            return True

        def write(self, register, data, at_ns):
            pass

        def read(self, register, length, at_ns):
            return bytes([0x40 if register == 0x75 else 0]).ljust(length, b"\0")

    bus = SimulatedI2C(VirtualClock(START, 0), {0x68: Both()})
    with pytest.raises(WrongChip, match=r"another chip, or two that answer at once .*DS3231"):
        find_imu(bus)


@pytest.mark.parametrize("name", [name for name in FACTS if name != "ICM-20948"])
def test_looking_for_a_chip_writes_to_none(name):
    bench = Bench(name)
    if name in ("BMI160", "BMI270"):  # an offset, where an ICM-42688-P selects banks
        bench.bus.write(bench.errors.address, 0x76, 0x02)
    transfer = bench.bus.transfer

    def reading_only(address, out, read_length=0):
        assert len(out) == 1
        return transfer(address, out, read_length)

    bench.bus.transfer = reading_only
    assert find_imu(bench.bus).name == name


def test_an_lsm9ds1_beside_an_mpu_6050_is_found_by_its_name():
    """Both say 0x68, in registers of their own."""
    mpu, lsm = Bench("MPU-6050"), Bench("LSM9DS1")
    bus = SimulatedI2C(lsm.clock, {0x68: mpu.chip, 0x6A: lsm.chip})
    assert find_imu(bus).name == "MPU-6050"
    assert find_imu(bus, "LSM9DS1").name == "LSM9DS1"


def test_an_lsm9ds1_has_what_it_has_and_says_so():
    bench = Bench("LSM9DS1")
    bench.configure(rate_hz=60.0, gyro_range_dps=1000.0)
    description = bench.imu.description
    assert description["gyro_range_dps"] == 2000.0
    assert description["rate_hz"] == 59.5
    assert description["gyro_bandwidth_hz"] == 19
    assert description["accel_bandwidth_hz"] == 50  # none is narrower


@pytest.mark.parametrize("fifos", [0.9, 1.3, 2.9, 4.2])
def test_a_bmi270_with_the_short_file_has_a_longer_fifo_which_confuses_nobody(
    tmp_path, monkeypatch, fifos
):
    path = tmp_path / "short.bin"
    path.write_bytes(bytes(328))
    monkeypatch.setenv("CAMMCORDER_BMI270", str(path))
    bench = Bench("BMI270", steep)
    bench.configure(gyro_range_dps=2000.0)
    before = bench.poll(3)
    bench.stall(fifos * bench.facts.fifo_samples / bench.imu.rate_hz * 1e9)
    bursts = before + bench.poll(1)
    numbers, counts = bench.numbers(bursts), counts_of(bursts)
    assert np.array_equal(numbers, counts)
    assert sum(burst.lost for burst in bursts) == np.diff(numbers).max() - 1
    assert (np.diff(numbers).max() > 1) == (fifos > 1)


class HeldBus(SimulatedI2C):
    """The kernel has a driver at 0x68: of a real-time clock, or of the motion sensor."""

    def transfer(self, address, out, read_length=0):
        if address == 0x68:
            raise BusError(errno.EBUSY, "a kernel driver holds 0x68")
        return super().transfer(address, out, read_length)


def test_a_chip_that_the_kernel_holds_is_said_to_be_held():
    with pytest.raises(BusError, match="a kernel driver holds 0x68"):
        find_imu(HeldBus(VirtualClock(START, 0), {}))


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if facts.address == 0x69])
def test_a_chip_that_the_kernel_holds_does_not_hide_another(name):
    bench = Bench(name)
    bus = HeldBus(bench.clock, {0x69: bench.chip})
    assert find_imu(bus).name == find_imu(bus, name).name == name


def test_a_bus_that_is_stuck_ends_the_search():
    class Stuck(SimulatedI2C):
        def transfer(self, address, out, read_length=0):
            raise BusError(errno.ETIMEDOUT, "timed out: a chip may be holding the clock line")

    with pytest.raises(BusError, match="holding the clock line"):
        find_imu(Stuck(VirtualClock(START, 0), {}))


def test_an_unknown_name_lists_those_that_there_are():
    bus = SimulatedI2C(VirtualClock(START, 0), {})
    with pytest.raises(UsageError, match="no driver for 'BMI323'; there are: auto, MPU-6050"):
        find_imu(bus, "BMI323")
