"""Who is on a bus, and what the bus can carry."""

from __future__ import annotations

import errno

import pytest

from drivers.bus import I2CBus
from drivers.errors import BusError
from drivers.find import find_imu
from drivers.survey import Answer, answers, bit_rate, imu_load, magnetometer_load
from hw_sim import SimulatedRig, VirtualClock, load_scenario
from hw_sim.bus import SimulatedI2C


class Board(I2CBus):
    """Registers by address; 256 of each. What is written beyond a register's number is kept."""

    name = "board"

    def __init__(self, chips):
        self.chips = {address: bytes(256) if c is None else c for address, c in chips.items()}
        self.written = []
        self.asked = set()

    def transfer(self, address, out, read_length=0):
        held = self.chips.get(address)
        if held is None:
            raise BusError(errno.EREMOTEIO, "nothing")
        if held == "held":
            raise BusError(errno.EBUSY, "held")
        if out:
            self.asked.add(address)
        if len(out) > 1:
            self.written.append((address, out))
        start = out[0] if out else 0
        return (held + held)[start : start + read_length]

    def close(self):
        pass


def registers(**values):
    chip = bytearray(256)
    for register, value in values.items():
        chip[int(register[1:], 16)] = value
    return bytes(chip)


def test_who_answers_is_named_and_strangers_are_not_written_to():
    bus = Board(
        {
            0x3C: None,  # a display
            0x50: None,  # a memory
            0x6A: registers(x0F=0x6C),
            0x1E: registers(x0A=ord("H"), x0B=ord("4"), x0C=ord("3")),
            0x29: "held",
            0x68: registers(x75=0x98),
        }
    )
    assert list(answers(bus)) == [
        Answer(0x1E, "HMC5883L"),
        Answer(0x29, held=True),
        Answer(0x3C),
        Answer(0x50),
        Answer(0x68, "ICM-20689"),
        Answer(0x6A, "LSM6DSOX"),
    ]
    assert bus.asked.isdisjoint({0x3C, 0x50})
    assert {address for address, _ in bus.written} <= {0x68}  # the bank of an ICM-20948


def test_a_bus_that_does_not_work_is_an_error():
    class Stuck(Board):
        def transfer(self, address, out, read_length=0):
            raise BusError(errno.ETIMEDOUT, "timed out: a chip may be holding the clock line")

    with pytest.raises(BusError, match="timed out"):
        list(answers(Stuck({})))


@pytest.mark.parametrize("rate", [100_000, 400_000, 1_000_000])
def test_the_bit_rate_is_timed(rate):
    clock = VirtualClock(0, 0)
    rig = SimulatedRig(load_scenario("walk"), clock)
    bus = SimulatedI2C(clock, rig.bus._devices, rate)
    assert bit_rate(bus, clock, find_imu(bus)) == pytest.approx(rate, rel=1e-3)


class Metered(SimulatedI2C):
    """Counts the bits on the wire."""

    bits = 0

    def transfer(self, address, out, read_length=0):
        self.bits += 20 + 9 * len(out) + (10 + 9 * read_length if read_length else 0)
        return super().transfer(address, out, read_length)


def test_what_sensors_need_is_what_they_take():
    clock = VirtualClock(0, 0)
    rig = SimulatedRig(load_scenario("walk"), clock)
    bus = Metered(clock, rig.bus._devices)
    imu = find_imu(bus)
    imu.configure(clock, rate_hz=1000)
    mag = imu.magnetometer(bus)
    mag.configure(clock)
    for device, load in ((imu, imu_load(imu)), (mag, magnetometer_load(mag))):
        device.read_burst(clock)
        bus.bits, begin = 0, clock.now_ns()
        while clock.now_ns() < begin + 2_000_000_000:
            clock.sleep_until(clock.now_ns() + device.poll_interval_ns)
            device.read_burst(clock)
        assert bus.bits / 2 == pytest.approx(load, rel=0.06)
