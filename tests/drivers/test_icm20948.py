"""The ICM-20948 driver against the register map of DS-000189, written down here a second time."""

import errno
import math

import numpy as np
import pytest

from camm import UsageError
from drivers.bus import I2CBus
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, WrongChip
from drivers.icm20948 import Icm20948

BYTE_NS = 22_500  # nine bits at 400 kHz


class Chip(I2CBus):
    """An ICM-20948 as far as the FIFO goes: it samples by its own clock, which is 1.2 % fast.

    Sample n has n in its X axis of acceleration and -n in its X axis of rotation.
    """

    name = "test bus"

    def close(self):
        pass

    def __init__(self, clock, address=0x69, identity=0xEA):
        self.clock, self.address = clock, address
        self.registers = {(0, 0x00): identity, (0, 0x06): 0x41, (0, 0x75): 0x00}
        self.bank = 0
        self.fifo = b""
        self.next_sample = 0
        self.first_ns = None
        self.fail_fifo_reads = 0

    def transfer(self, address, out, read_length=0):
        if address != self.address:
            raise BusError(errno.ENXIO, "no answer")
        self.clock.t_ns += (len(out) + 1) * BYTE_NS
        self.advance()
        register = out[0]
        for offset, value in enumerate(out[1:]):
            self.write_one(register + offset, value)
        answer = self.answer(register, read_length) if read_length else b""
        self.clock.t_ns += read_length * BYTE_NS
        return answer

    def answer(self, register, length):
        if (self.bank, register) == (0, 0x70):
            return len(self.fifo).to_bytes(2, "big")
        if (self.bank, register) == (0, 0x72):
            taken, self.fifo = self.fifo[:length], self.fifo[length:]
            if self.fail_fifo_reads:
                self.fail_fifo_reads -= 1
                raise BusError(errno.EREMOTEIO, "the wire came off for a moment")
            return taken
        return bytes(self.registers.get((self.bank, register + i), 0) for i in range(length))

    def write_one(self, register, value):
        if register == 0x7F:
            self.bank = value >> 4
            return
        self.registers[self.bank, register] = value
        if (self.bank, register, value & 0x80) == (0, 0x06, 0x80):
            self.registers[0, 0x06] = 0x41
        if (self.bank, register) == (0, 0x68):
            self.fifo = b""

    @property
    def period_ns(self):
        return 1e9 * (1 + self.registers.get((2, 0x00), 0)) / 1125 / 1.012

    @property
    def running(self):
        return self.registers.get((0, 0x03), 0) & 0x40 and not self.registers.get((0, 0x68))

    def time_of(self, sample):
        return self.first_ns + sample * self.period_ns

    def advance(self):
        if self.first_ns is None:
            if not self.running:
                return
            self.first_ns = self.clock.t_ns + 0.3 * self.period_ns
        while self.time_of(self.next_sample) <= self.clock.t_ns:
            n = self.next_sample
            sample = np.array([n, 1, 2, -n, 3, 4], ">i2").tobytes()
            if self.running:
                self.fifo = (self.fifo + sample)[:512]  # snapshot mode: what does not fit is lost
            self.next_sample += 1


@pytest.fixture
def chip(clock):
    return Chip(clock)


@pytest.fixture
def imu(chip, clock):
    imu = Icm20948.probe(chip)
    imu.configure(clock)
    return imu


def poll(imu, clock, seconds):
    bursts, end = [], clock.now_ns() + seconds * 1e9
    while clock.now_ns() < end:
        clock.sleep_until(clock.now_ns() + imu.poll_interval_ns)
        if (burst := imu.read_burst(clock)) is not None:
            bursts.append(burst)
    return bursts


def samples_of(bursts):
    """The chip's own number of each sample, and the count that the driver gave it."""
    numbers = np.concatenate([b.accel[:, 0] for b in bursts]) / 9.80665 * 4096
    counts = np.concatenate([b.first_count + np.arange(len(b)) for b in bursts])
    return np.rint(numbers).astype(int), counts


def test_the_registers_are_set_as_the_datasheet_asks(chip, imu):
    assert imu.rate_hz == 225
    assert chip.bank == 0
    assert chip.registers[0, 0x06] == 0x01  # awake, best clock
    assert chip.registers[0, 0x07] == 0x00  # all axes
    assert chip.registers[0, 0x0F] == 0x02  # bypass to the magnetometer
    assert chip.registers[0, 0x03] == 0x40  # FIFO on, I2C master off
    assert chip.registers[2, 0x00] == 4
    assert (chip.registers[2, 0x10], chip.registers[2, 0x11]) == (0, 4)
    assert chip.registers[2, 0x01] == 0b011_10_1  # 51.2 Hz, 1000 deg/s, filter on
    assert chip.registers[2, 0x14] == 0b011_10_1  # 50.4 Hz, 8 g, filter on
    assert chip.registers[2, 0x09] == 1
    assert chip.registers[0, 0x67] == 0x1E
    assert chip.registers[0, 0x69] & 1  # snapshot


def test_samples_come_in_order_in_si_units(imu, clock):
    bursts = poll(imu, clock, 1)
    numbers, counts = samples_of(bursts)
    assert len(numbers) > 200
    assert np.array_equal(numbers, np.arange(len(numbers)))
    assert np.array_equal(counts, numbers)
    newest = bursts[-1]
    assert newest.accel[-1, 1:] == pytest.approx([9.80665 / 4096, 2 * 9.80665 / 4096])
    rate = math.radians(1 / 32.8)
    assert newest.gyro[-1] == pytest.approx([-numbers[-1] * rate, 3 * rate, 4 * rate])


@pytest.mark.parametrize(
    ("rate_hz", "legal"), [(225, 225), (200, 187.5), (1000, 1125), (100, 102.27)]
)
def test_the_rate_is_the_nearest_that_the_chip_has(chip, clock, rate_hz, legal):
    imu = Icm20948.probe(chip)
    imu.configure(clock, rate_hz=rate_hz)
    assert imu.rate_hz == pytest.approx(legal, abs=0.01)
    assert imu.description["gyro_bandwidth_hz"] < imu.rate_hz / 2
    assert imu.poll_interval_ns < 42 / imu.rate_hz * 1e9 / 1.9


def test_the_newest_sample_lies_in_the_interval(imu, clock, chip):
    for burst in poll(imu, clock, 5):
        true = chip.time_of(burst.newest_count)
        assert burst.earliest_ns - 3 * burst.noise_ns <= true
        assert true <= burst.latest_ns + 3 * burst.noise_ns


@pytest.mark.parametrize("stall_ms", [140, 250, 437, 1000])
def test_after_an_overflow_the_count_is_true_to_time(imu, clock, chip, stall_ms):
    before = poll(imu, clock, 5)
    clock.t_ns += stall_ms * 1_000_000
    after = poll(imu, clock, 2)
    numbers, counts = samples_of(before + after)
    assert np.array_equal(numbers, counts)
    lost = sum(burst.lost for burst in after)
    assert lost == np.diff(numbers).max() - 1
    assert (lost > 0) == (stall_ms > 140)
    fit = ClockFit(1e9 / imu.rate_hz)
    for burst in before + after:
        fit.observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
    assert fit.statistics.refused == 0
    assert abs(int(fit.times(counts[-1:])[0]) - chip.time_of(int(numbers[-1]))) < 300_000


@pytest.mark.parametrize("phase", np.arange(0.0, 1.0, 0.05))
def test_no_phase_of_the_overflow_makes_the_count_ambiguous(imu, clock, chip, phase):
    before = poll(imu, clock, 3)
    clock.t_ns += round(300e6 + phase * chip.period_ns)
    numbers, counts = samples_of(before + poll(imu, clock, 0.2))
    assert np.array_equal(numbers, counts)


def test_a_fault_in_the_middle_of_the_fifo_costs_samples_and_no_alignment(imu, clock, chip):
    before = poll(imu, clock, 5)
    chip.fail_fifo_reads = 1
    with pytest.raises(BusError):
        poll(imu, clock, 0.1)
    after = poll(imu, clock, 1)
    numbers, counts = samples_of(before + after)
    assert np.array_equal(numbers, counts)
    assert sum(burst.lost for burst in after) == np.diff(numbers).max() - 1 > 0


def test_it_is_found_at_the_other_address_and_in_another_bank(clock):
    chip = Chip(clock, address=0x68)
    chip.bank = 2
    assert Icm20948.probe(chip).description["address"] == "0x68"


def test_a_relative_at_the_address_is_named(clock):
    chip = Chip(clock, identity=0x00)
    chip.registers[0, 0x75] = 0x70
    with pytest.raises(WrongChip, match=r"0x69 is 0x00, .* 0xea; this is an MPU-6500"):
        Icm20948.probe(chip)


def test_an_empty_bus_says_where_it_looked(clock):
    with pytest.raises(BusError, match="nothing answers at 0x69 or 0x68"):
        Icm20948.probe(Chip(clock, address=0x10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gyro_range_dps": 300}, "one of 250, 500, 1000, 2000 deg/s, asked for 300"),
        ({"accel_range_g": 32}, "one of 2, 4, 8, 16 g, asked for 32"),
        ({"rate_hz": 2000}, "4.4 to 1125 Hz, asked for 2000"),
    ],
)
def test_what_the_chip_has_not_is_a_usage_error(chip, clock, changes, message):
    with pytest.raises(UsageError, match=message):
        Icm20948.probe(chip).configure(clock, **changes)


def test_close_puts_it_to_sleep_even_without_power(chip, imu):
    imu.close()
    assert chip.registers[0, 0x06] & 0x40
    chip.address = 0x00
    imu.close()
