"""The simulated BNO085 against the references of its transport and its sensor hub."""

import struct

import numpy as np
import pytest

from drivers.errors import BusError
from hw_sim.bno085 import Bno085
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.scenario import load_scenario

START = 1_000_000_000
MS = 1_000_000
SCENARIO = load_scenario("walk")


def still(t_ns):
    return np.zeros((len(t_ns), 3)), np.tile([0.0, 0.0, 9.80665], (len(t_ns), 1))


class Bench:
    def __init__(self):
        self.clock = VirtualClock(START, 0)
        self.chip = Bno085(
            still,
            lambda t_ns: np.tile([0.5, 0.5, -0.5, 0.5], (len(t_ns), 1)),
            lambda t_ns: np.tile([20.0, 0.0, -40.0], (len(t_ns), 1)),
            SCENARIO.imu,
            SCENARIO.mag,
            START,
            3,
        )
        self.bus = SimulatedI2C(self.clock, {0x4A: self.chip})

    def read(self, length):
        return self.bus.transfer(0x4A, b"", length)

    def write(self, channel, payload):
        self.bus.transfer(0x4A, struct.pack("<HBB", len(payload) + 4, channel, 0) + payload)

    def wait(self, milliseconds):
        self.clock.sleep_until(self.clock.now_ns() + round(milliseconds * MS))

    def cargo(self):
        """Channel and payload of the next one; None where there is none."""
        length, channel, _ = struct.unpack("<HBB", self.read(4))
        return (channel, self.read(length & 0x7FFF)[4:]) if length else None

    def drain(self):
        cargoes = []
        while (cargo := self.cargo()) is not None:
            cargoes.append(cargo)
        return cargoes

    def ask(self, report, interval_us):
        self.write(2, struct.pack("<BBBHIII", 0xFD, report, 0, 0, interval_us, 0, 0))


@pytest.fixture
def up():
    bench = Bench()
    bench.drain()
    return bench


def test_it_says_who_it_is_when_it_has_come_up():
    bench = Bench()
    (first, _), second, (third, answer) = bench.drain()
    assert first == 0  # the advertisement
    assert second == (1, b"\x01")  # reset complete
    assert (third, answer[:3]) == (2, bytes([0xF1, 0x00, 0x84]))  # initialised, unasked
    assert bench.read(4) == bytes(4)


def test_a_header_that_is_read_alone_leaves_the_cargo_as_a_continuation():
    bench = Bench()
    length, channel, sequence = struct.unpack("<HBB", bench.read(4))
    assert (length, channel, sequence) == (276, 0, 0)
    again, channel, sequence = struct.unpack_from("<HBB", bench.read(24))
    assert (again, channel, sequence) == (276 | 0x8000, 0, 1)
    rest, channel, sequence = struct.unpack_from("<HBB", bench.read(300))
    assert (rest, channel, sequence) == (276 - 20 | 0x8000, 0, 2)
    assert bench.cargo() == (1, b"\x01")


def test_it_knows_no_repeated_start(up):
    with pytest.raises(BusError, match="no repeated start"):
        up.bus.transfer(0x4A, b"\x06\x00\x02\x00\xf9\x00", 4)


def test_it_tells_its_product(up):
    up.write(2, b"\xf9\x00")
    channel, answer = up.cargo()
    assert (channel, answer[0], len(answer)) == (2, 0xF8, 16)


@pytest.mark.parametrize(
    ("report", "asked_us", "granted_us"),
    [
        (0x02, 5000, 5000),
        (0x02, 4444, 2500),
        (0x02, 1000, 2500),
        (0x01, 5000, 4000),
        (0x03, 20000, 20000),
        (0x05, 10000, 10000),
        (0x02, 0, 0),
    ],
)
def test_it_grants_a_rate_of_its_own_no_slower_than_asked(up, report, asked_us, granted_us):
    up.ask(report, asked_us)
    channel, answer = up.cargo()
    assert (channel, answer[:2]) == (2, bytes([0xFC, report]))
    assert struct.unpack_from("<I", answer, 5)[0] == granted_us


def test_reports_have_numbers_units_and_times(up):
    up.ask(0x01, 10_000)
    up.ask(0x05, 10_000)
    up.drain()
    up.wait(50)
    reports = []
    for channel, payload in up.drain():
        assert (channel, payload[0]) == (3, 0xFB)
        at = 5
        while at < len(payload):
            length = {0x01: 10, 0x05: 14}[payload[at]]
            reports.append(payload[at : at + length])
            at += length
    forces = [r for r in reports if r[0] == 0x01]
    turns = [r for r in reports if r[0] == 0x05]
    assert [r[1] for r in forces] == list(range(len(forces)))
    assert struct.unpack_from("<3h", forces[0], 4)[2] / 256 == pytest.approx(9.8, abs=0.2)
    assert struct.unpack_from("<4h", turns[0], 4) == (8192, -8192, 8192, 8192)  # i, j, k, real
    assert all(r[2] & 3 == 3 for r in reports)


def test_what_waits_for_long_says_how_long(up):
    """The base is before the interrupt, which is raised again once the last cargo was read."""
    up.ask(0x02, 10_000)
    up.drain()
    up.wait(30)
    _, payload = up.cargo()
    raised_after, delay = struct.unpack_from("<i", payload, 1)[0], payload[8]
    assert raised_after == 5  # ready half a millisecond after the sample
    assert delay == 0
    _, payload = up.cargo()
    assert struct.unpack_from("<i", payload, 1)[0] > 50  # by then it had waited for the first


def test_what_nobody_reads_is_given_up_from_the_oldest(up):
    up.ask(0x02, 2_500)
    up.drain()
    up.wait(2000)
    numbers = []
    for _ in range(10):
        _, payload = up.cargo()
        numbers += [payload[at + 1] for at in range(5, len(payload), 10)]
    steps = np.diff(numbers) % 256
    assert (steps == 1).all()
    assert numbers[0] > 0


def test_after_a_reset_it_begins_anew(up):
    up.ask(0x02, 10_000)
    up.write(1, b"\x01")
    assert up.read(4) == bytes(4)
    up.wait(200)
    assert up.drain()[1] == (1, b"\x01")
    up.wait(100)
    assert up.drain() == []
