"""What holds for every magnetometer, on its simulated chip.

The simulated chips are written from datasheets and share nothing with the drivers. The oracle of
scales are Linux' own IIO drivers where they know the chip (st_magn, hmc5843, ak8975: kernel 6.1),
else the datasheets' counts per gauss.
"""

import dataclasses
import errno
import itertools

import numpy as np
import pytest

from camm import UsageError
from drivers.ak09916 import Ak09916
from drivers.ak8963 import Ak8963
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.find_magnetometer import DRIVERS, find_magnetometer
from hw_sim.ak09916 import Ak09916 as SimulatedAk09916
from hw_sim.ak8963 import Ak8963 as SimulatedAk8963
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.hmc5883l import Hmc5883L as SimulatedHmc5883L
from hw_sim.lis3mdl import Lis3mdl as SimulatedLis3mdl
from hw_sim.lis3mdl import Lsm9ds1Mag as SimulatedLsm9ds1Mag
from hw_sim.mmc5983ma import Mmc5983ma as SimulatedMmc5983ma
from hw_sim.qmc5883l import Qmc5883L as SimulatedQmc5883L
from hw_sim.qmc5883p import Qmc5883P as SimulatedQmc5883P
from hw_sim.scenario import load_scenario

START = 40_000_000_000
MS = 1_000_000
ST_RATES = {100: 80, 40: 40, 0.5: 0.625, 10: 10, 120: 155, 300: 300, 560: 560, 1000: 1000}
ST_SCALES = {400: 0.000146, 800: 0.000292, 1200: 0.000438, 1600: 0.000584}


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of one chip: what stands for it, addresses, gauss per count by range, rates asked and got.

    `too_strong_ut` is a field beyond its smallest range, `tells` whether it flags an overrun.
    """

    simulated: type
    addresses: tuple
    scales: dict
    rates: dict
    too_strong_ut: float
    tells: bool = True
    inside: type | None = None


AK_SCALES = {4912: 0.0015}
FACTS = {
    "AK8963": Facts(
        SimulatedAk8963, (0x0C,), AK_SCALES, {100: 100, 10: 8, 60: 100}, 2000, inside=Ak8963
    ),
    "AK09916": Facts(
        SimulatedAk09916,
        (0x0C,),
        AK_SCALES,
        {100: 100, 75: 100, 60: 50, 20: 20, 5: 10},
        2000,
        inside=Ak09916,
    ),
    "LIS3MDL": Facts(SimulatedLis3mdl, (0x1C, 0x1E), ST_SCALES, ST_RATES, 420),
    "LSM9DS1": Facts(SimulatedLsm9ds1Mag, (0x1C, 0x1E), ST_SCALES, ST_RATES, 420),
    "HMC5883L": Facts(
        SimulatedHmc5883L,
        (0x1E,),
        {
            88: 1 / 1370,
            130: 1 / 1090,
            190: 1 / 820,
            250: 1 / 660,
            400: 1 / 440,
            470: 1 / 390,
            560: 1 / 330,
            810: 1 / 230,
        },
        {100: 75, 30: 30, 20: 15, 8: 7.5, 3: 3, 1: 0.75},
        260,
        tells=False,
    ),
    "QMC5883L": Facts(
        SimulatedQmc5883L,
        (0x0D,),
        {200: 1 / 12000, 800: 1 / 3000},
        {100: 100, 75: 100, 300: 200, 40: 50, 10: 10},
        300,
    ),
    "QMC5883P": Facts(
        SimulatedQmc5883P,
        (0x2C,),
        {200: 1 / 15000, 800: 1 / 3750, 1200: 1 / 2500, 3000: 1 / 1000},
        {100: 100, 75: 100, 300: 200, 40: 50, 10: 10},
        300,
        tells=False,
    ),
    "MMC5983MA": Facts(
        SimulatedMmc5983ma,
        (0x30,),
        {800: 1 / 16384},
        {100: 100, 75: 100, 300: 200, 2000: 1000, 40: 50, 15: 20, 10: 10, 1: 1},
        1100,
        tells=False,
    ),
}
SILENT = {"hard_iron_ut": (0.0, 0.0, 0.0), "noise_ut": 0.0}


def test_the_contract_runs_over_all_drivers():
    assert {name for name, facts in FACTS.items() if not facts.inside} == set(DRIVERS)


class Lsm9ds1:
    """Accelerometer and gyroscope of an LSM9DS1, as far as they tell who they are."""

    def answers(self):
        return True

    def read(self, register, length, at_ns):
        return b"\x68" * length


def turning(t_ns):
    """A field that differs from one sample to the next, and never comes to the same again."""
    t = (t_ns - START) / 1e9
    turns = t[:, np.newaxis] * [0.31, 0.23, 0.17] + [0.0, 0.1, 0.4]
    return 45 * np.sin(2 * np.pi * turns) + [5, -8, 12]


class FaultyBus(SimulatedI2C):
    """Takes the wire off now and then, or gives less than was asked for."""

    fail = short = 0

    def transfer(self, address, out, read_length=0):
        answer = super().transfer(address, out, read_length)
        if read_length > 2 and self.fail:
            self.fail -= 1
            raise BusError(errno.EREMOTEIO, "the wire came off for a moment")
        if read_length > 2 and self.short:
            self.short -= 1
            return answer[: read_length // 2]
        return answer


class Bench:
    """A chip on a bus, and its driver."""

    def __init__(self, name, field=turning, ppm=-8500.0, address=None, **errors):
        self.name, self.facts = name, FACTS[name]
        self.address = address or self.facts.addresses[0]
        walk = load_scenario("walk").mag
        errors = dataclasses.replace(walk, clock_ppm=ppm, **SILENT | errors)
        self.clock = VirtualClock(START, 0)
        self.chip = self.facts.simulated(field, errors, START, 7)
        devices = {self.address: self.chip}
        if name == "LSM9DS1":
            devices[0x6B] = Lsm9ds1()
        self.bus = FaultyBus(self.clock, devices)
        self.mag = self.find()
        self.before = 0

    def find(self):
        if self.facts.inside:
            return self.facts.inside.probe(self.bus)
        return find_magnetometer(self.bus, self.name)

    def configure(self, **settings):
        self.mag.configure(self.clock, **settings)
        self.before = len(self.chip.truth().t_ns)

    def poll(self, seconds):
        """In the rhythm of the recorder: missed polls are not made up for."""
        at = self.clock.now_ns()
        bursts, end = [], at + seconds * 1e9
        while self.clock.now_ns() < end:
            at = max(at + self.mag.poll_interval_ns, self.clock.now_ns())
            self.clock.sleep_until(at)
            if (burst := self.mag.read_burst(self.clock)) is not None:
                bursts.append(burst)
        return bursts

    def stall(self, nanoseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(nanoseconds))

    def truth(self):
        """Middles of the measurements since `configure`."""
        return self.chip.truth().t_ns[self.before :]

    def numbers(self, bursts):
        """Which of the chip's measurements each burst is, by the field that it tells."""
        truth = self.chip.truth().field[self.before :]
        told = np.concatenate([b.field for b in bursts])
        return np.array([int(np.linalg.norm(truth - f, axis=1).argmin()) for f in told])


def counts_of(bursts):
    return np.array([b.first_count for b in bursts])


def stamped(bursts, rate_hz):
    """Host times of all samples, by a clock fit as the recorder has it, and the fit."""
    fit, times = ClockFit(1e9 / rate_hz), []
    for b in bursts:
        fit.observe(b.newest_count, b.earliest_ns, b.latest_ns, b.noise_ns)
        times.append(int(fit.times(np.array([b.first_count]))[0]) - b.group_delay_ns)
    return np.array(times), fit


SIBLING = "LSM9DS1"
"""Its driver is that of the LIS3MDL: it is tried by the proofs."""


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.proof) if n == SIBLING else n for n in FACTS]
)
def name(request):
    return request.param


@pytest.fixture
def bench(name):
    return Bench(name)


def test_it_is_found_at_any_of_its_addresses_by_its_name_and_without(name):
    for address in FACTS[name].addresses:
        bench = Bench(name, address=address)
        assert bench.mag.name == name
        assert bench.mag.description["chip"] == name
        assert bench.mag.description["address"] == f"0x{address:02x}"
        if not bench.facts.inside:
            assert find_magnetometer(bench.bus).name == name


@pytest.mark.parametrize(("there", "wanted"), list(itertools.permutations(DRIVERS, 2)))
def test_another_name_is_refused_and_the_chip_named(there, wanted):
    with pytest.raises(WrongChip, match=f"on simulated bus is {there}, no {wanted}"):
        find_magnetometer(Bench(there).bus, wanted)


@pytest.mark.parametrize("there", ["QMC5883L", "QMC5883P"])
def test_what_was_sold_as_hmc5883l_is_mostly_another(there):
    with pytest.raises(WrongChip, match=f"{there}, no HMC5883L: boards sold as GY-271 or HMC5883L"):
        find_magnetometer(Bench(there).bus, "HMC5883L")


def test_the_two_that_share_an_identity_are_told_apart_by_their_neighbour():
    with pytest.raises(WrongChip, match=r"that of the LSM9DS1 on this bus: ask for LSM9DS1"):
        DRIVERS["LIS3MDL"].probe(Bench("LSM9DS1").bus)
    with pytest.raises(WrongChip, match=r"of no LSM9DS1, for there is none at 0x6a and 0x6b: ask"):
        DRIVERS["LSM9DS1"].probe(Bench("LIS3MDL").bus)


def test_the_rate_is_the_nearest_that_the_chip_has_and_the_chip_keeps_it(bench):
    for asked, got in bench.facts.rates.items():
        bench.configure(rate_hz=asked)
        assert bench.mag.rate_hz == bench.mag.description["rate_hz"] == pytest.approx(got)
        assert bench.mag.poll_interval_ns < 0.9e9 / got
        bursts = bench.poll(max(0.4, 6 / got))
        assert len(bursts) > 3
        period_ns = np.diff(bench.truth()).mean()
        assert period_ns * (1 - 8500e-6) == pytest.approx(1e9 / got, rel=3e-4)


def test_every_rate_of_the_driver_is_one_of_the_chip(bench):
    for rate in bench.mag.rates:
        bench.configure(rate_hz=rate)
        bench.poll(6 / rate)
        period_ns = np.diff(bench.truth()).mean()
        assert period_ns * (1 - 8500e-6) == pytest.approx(1e9 / rate, rel=3e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate_hz": 5000.0}, "times a second, asked for 5000 Hz"),
        ({"rate_hz": 0.1}, "times a second, asked for 0.1 Hz"),
        ({"rate_hz": float("nan")}, "times a second, asked for nan Hz"),
        ({"range_ut": 10_000.0}, "microtesla, asked for 10000"),
        ({"range_ut": 0.0}, "microtesla, asked for 0"),
    ],
)
def test_what_the_chip_has_not_is_a_usage_error(bench, changes, message):
    with pytest.raises(UsageError, match=f"{bench.name} measures .* {message}"):
        bench.configure(**changes)


def test_scales_are_those_of_linux_and_the_datasheets(name):
    bench = Bench(name, noise_ut=1.0)
    for range_ut, gauss in bench.facts.scales.items():
        bench.configure(range_ut=range_ut * 0.97)
        assert bench.mag.description["range_ut"] == range_ut
        field = np.concatenate([b.field for b in bench.poll(6)])
        steps = np.diff(np.unique(np.round(field[:, 2], 9)))
        # An AK8963 adjusts each axis on its own, here by 169 / 256 + 1 / 2.
        lsb_ut = gauss * 100 * ((169 - 128) / 256 + 1 if name == "AK8963" else 1)
        assert steps.min() == pytest.approx(lsb_ut, rel=4e-3)
        assert np.isin(np.rint(steps / steps.min()), np.arange(1, 400)).all()
        assert steps == pytest.approx(np.rint(steps / lsb_ut) * lsb_ut, rel=5e-3)


def test_the_field_is_in_the_axes_of_the_package(bench):
    bench.configure()
    bursts = bench.poll(3)
    field = np.concatenate([b.field for b in bursts])
    truth = bench.chip.truth().field[bench.before :][counts_of(bursts)]
    lsb_ut = max(bench.facts.scales[min(bench.facts.scales)], 1 / 1090) * 100
    np.testing.assert_allclose(field, truth, atol=0.8 * lsb_ut)


@pytest.mark.parametrize("ppm", [12_000.0, -8_500.0, -30_000.0])
def test_samples_come_in_order_with_their_times(name, ppm):
    bench = Bench(name, ppm=ppm)
    bench.configure()
    bursts = bench.poll(15)
    counts = counts_of(bursts)
    assert sum(b.lost for b in bursts) == counts[-1] + 1 - len(counts)
    # Without flags, what may be the one or the other of two is given up, in the beginning.
    assert len(counts) >= counts[-1] + 1 - (0 if bench.facts.tells else 8)
    times, fit = stamped(bursts, bench.mag.rate_hz)
    assert fit.statistics.refused == 0
    assert fit.statistics.period_error_ppm == pytest.approx(-ppm, rel=0.04, abs=300)
    error = (times - bench.truth()[counts])[len(times) // 3 :]
    assert np.abs(error).max() < 500_000
    assert np.abs(error.mean()) < 200_000


@pytest.mark.parametrize("ppm", [12_000.0, -30_000.0])
def test_once_its_clock_is_known_a_look_a_sample_will_do_where_an_overrun_is_told(name, ppm):
    bench = Bench(name, ppm=ppm)
    bench.configure()
    bench.poll(10)
    looks, look = [], bench.mag._look
    bench.mag._look = lambda: looks.append(1) or look()
    bursts = bench.poll(10)
    a_sample = len(looks) / len(bursts)
    assert 1.0 < a_sample < 1.1 if bench.facts.tells else 2.0 < a_sample < 2.4
    if bench.facts.tells:  # the clock stays known by looks just before a sample, and just after
        assert sum(b.lost for b in bursts) == 0
        widths = np.array([b.latest_ns - b.earliest_ns for b in bursts])
        assert widths.min() < 0.3e9 / bench.mag.rate_hz


@pytest.mark.parametrize("noise_ut", [0.03, 0.06, 0.2])
@pytest.mark.parametrize("ppm", [12_000.0, -30_000.0])
def test_samples_that_read_alike_do_not_shift_the_count(noise_ut, ppm):
    """Two in three of a still HMC5883L read like the one before, at the least noise of these."""
    still = Bench("HMC5883L", lambda t: np.full((len(t), 3), 20.0), ppm, noise_ut=noise_ut)
    still.configure()
    bursts = still.poll(20)
    times, fit = stamped(bursts, still.mag.rate_hz)
    assert fit.statistics.refused == 0
    late = slice(len(times) // 3, None)
    distances = np.abs(times[late, np.newaxis] - still.truth())
    assert distances.min(axis=1).max() < 500_000
    # What came before the first that differs is not known of.
    assert len(set(distances.argmin(axis=1) - counts_of(bursts)[late])) == 1


@pytest.mark.parametrize("ppm", [12_000.0, -30_000.0])
def test_the_sample_lies_in_the_interval(name, ppm):
    bench = Bench(name, ppm=ppm)
    bench.configure()
    bursts = bench.poll(5)
    ends = bench.truth() + bursts[0].group_delay_ns
    for b in bursts:
        assert b.earliest_ns - 3 * b.noise_ns <= ends[b.newest_count]
        assert ends[b.newest_count] <= b.latest_ns + 3 * b.noise_ns


def test_polls_never_fall_into_step(bench):
    bench.configure()
    intervals = set()
    for _ in range(50):
        intervals.add(bench.mag.poll_interval_ns)
        bench.poll(1e-6)
    assert len(intervals) > 40


@pytest.mark.parametrize("periods", [1.5, 2.0, 7.25, 23.5, 60.1])
def test_overwritten_samples_are_counted(name, periods):
    bench = Bench(name)
    bench.configure(rate_hz=75)
    before = bench.poll(8)
    bench.stall(periods * 1e9 / bench.mag.rate_hz)
    after = bench.poll(2)
    bursts = before + after
    counts = counts_of(bursts)
    assert np.array_equal(bench.numbers(bursts)[-20:], counts[-20:])
    assert sum(b.lost for b in bursts) == counts[-1] + 1 - len(counts)
    assert sum(b.lost for b in after) >= round(periods) - 2
    _, fit = stamped(bursts, bench.mag.rate_hz)
    assert fit.statistics.refused == 0


@pytest.mark.parametrize("phase", np.arange(0.0, 1.0, 0.1))
def test_no_phase_of_the_stall_makes_the_count_ambiguous(name, phase):
    bench = Bench(name)
    bench.configure(rate_hz=75)
    before = bench.poll(5)
    bench.stall((5 + phase) * 1e9 / bench.mag.rate_hz)
    bursts = before + bench.poll(1)
    assert np.array_equal(bench.numbers(bursts)[-20:], counts_of(bursts)[-20:])


def test_what_comes_before_the_first_look_is_not_lost(bench):
    """The other devices of a rig are opened meanwhile."""
    bench.configure(rate_hz=75)
    bench.stall(0.7e9)
    bursts = bench.poll(2)
    assert bursts[0].first_count == bursts[0].lost == 0
    numbers, counts = bench.numbers(bursts), counts_of(bursts)
    assert np.array_equal(numbers - numbers[0], counts)


def test_a_field_too_strong_is_refused_and_counted(name):
    strength = FACTS[name].too_strong_ut

    def strong_for_a_while(t_ns):
        t = (t_ns - START) / 1e9
        return np.where(((t > 2.5) & (t < 3.0))[:, None], strength, turning(t_ns))

    bench = Bench(name, strong_for_a_while)
    bench.configure(rate_hz=75)
    bursts = bench.poll(6)
    assert bench.mag.saturated >= (0.4 * bench.mag.rate_hz if FACTS[name].tells else 1)
    field = np.concatenate([b.field for b in bursts])
    assert np.abs(field).max() < 60.5
    counts = counts_of(bursts)
    assert np.array_equal(bench.numbers(bursts)[-50:], counts[-50:])
    truth = bench.chip.truth().field[bench.before :][counts]
    np.testing.assert_allclose(field[-50:], truth[-50:], atol=0.2)


@pytest.mark.parametrize("fault", ["fail", "short"])
def test_faults_cost_samples_and_no_order(name, fault):
    bench = Bench(name)
    bench.configure(rate_hz=75)
    before = bench.poll(5)
    setattr(bench.bus, fault, 3)
    for _ in range(3):
        with pytest.raises(BusError):
            bench.poll(0.2)
    bursts = before + bench.poll(2)
    assert np.array_equal(bench.numbers(bursts)[-20:], counts_of(bursts)[-20:])


@pytest.mark.parametrize("name", ["LIS3MDL", "MMC5983MA"])
def test_the_temperature_is_in_the_description(name):
    bench = Bench(name, temperature_c=34.2)
    assert "temperature_c" not in bench.mag.description
    bench.configure()
    bench.poll(0.1)
    assert bench.mag.description["temperature_c"] == pytest.approx(34.2, abs=0.41)


def test_it_can_be_configured_again(bench):
    bench.configure(rate_hz=10, range_ut=max(bench.facts.scales))
    bench.poll(1)
    bench.configure()
    bursts = bench.poll(1)
    assert bursts[0].first_count == 0
    assert bench.mag.saturated == 0
    told = np.concatenate([b.field for b in bursts])
    true = bench.chip.truth().field[bench.before :][counts_of(bursts)]
    np.testing.assert_allclose(told, true, atol=0.1)


def test_close_ends_the_measuring_even_without_power(bench):
    bench.configure()
    bench.poll(0.2)
    bench.mag.close()
    already = len(bench.truth())
    bench.stall(1e9)
    bench.bus.read(bench.address, 0x00)
    assert len(bench.truth()) == already
    bench.chip.answers = lambda: False
    bench.mag.close()


def test_what_a_bridge_measures_without_supply_is_no_offset():
    bench = Bench("MMC5983MA")
    bench.chip._command = lambda value: None
    with pytest.raises(BusError, match="MMC5983MA at 0x30 on simulated bus does not measure"):
        bench.configure()


def test_an_empty_bus_says_where_it_looked():
    bus = SimulatedI2C(VirtualClock(START, 0), {})
    places = "0x0d, 0x1c, 0x1e, 0x2c, 0x30"
    with pytest.raises(BusError, match=f"no magnetometer on simulated bus: .* {places}; check"):
        find_magnetometer(bus)
    with pytest.raises(BusError, match="no HMC5883L on simulated bus: nothing answers at 0x1e; ch"):
        find_magnetometer(bus, "HMC5883L")


def test_a_stranger_is_named():
    class Lis2mdl:
        def answers(self):
            return True

        def read(self, register, length, at_ns):
            return bytes([0x40 if register == 0x4F else 0]).ljust(length, b"\0")

    bus = SimulatedI2C(VirtualClock(START, 0), {0x1E: Lis2mdl()})
    with pytest.raises(WrongChip, match=r"no magnetometer that we know .* this is an LIS2MDL"):
        find_magnetometer(bus)
    with pytest.raises(WrongChip, match=r"that of an HMC5883L is 48 34 33; this is an LIS2MDL"):
        find_magnetometer(bus, "HMC5883L")


class HeldBus(SimulatedI2C):
    """The kernel has a driver at 0x1e."""

    def transfer(self, address, out, read_length=0):
        if address == 0x1E:
            raise BusError(errno.EBUSY, "a kernel driver holds 0x1e")
        return super().transfer(address, out, read_length)


def test_a_chip_that_the_kernel_holds_is_said_to_be_held_and_hides_no_other():
    clock = VirtualClock(START, 0)
    for name in ("auto", "HMC5883L"):
        with pytest.raises(BusError, match="a kernel driver holds 0x1e"):
            find_magnetometer(HeldBus(clock, {}), name)
    bench = Bench("MMC5983MA")
    assert find_magnetometer(HeldBus(bench.clock, {0x30: bench.chip})).name == "MMC5983MA"


def test_a_bus_that_is_stuck_ends_the_search():
    class Stuck(SimulatedI2C):
        def transfer(self, address, out, read_length=0):
            raise BusError(errno.ETIMEDOUT, "timed out: a chip may be holding the clock line")

    for name in ("auto", "LIS3MDL"):
        with pytest.raises(BusError, match="holding the clock line"):
            find_magnetometer(Stuck(VirtualClock(START, 0), {}), name)


def test_an_unknown_name_lists_those_that_there_are():
    bus = SimulatedI2C(VirtualClock(START, 0), {})
    with pytest.raises(UsageError, match="no driver for 'RM3100'; there are: auto, LIS3MDL, "):
        find_magnetometer(bus, "RM3100")
