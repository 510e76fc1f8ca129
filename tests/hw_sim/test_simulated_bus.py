import errno

import pytest

from drivers.errors import BusError
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock


class Notebook:
    """A chip that writes down what it is asked, and when."""

    def __init__(self, present=True):
        self.present = present
        self.asked = []

    def answers(self):
        return self.present

    def write(self, register, data, at_ns):
        self.asked.append(("write", register, data, at_ns))

    def read(self, register, length, at_ns):
        self.asked.append(("read", register, length, at_ns))
        return bytes(range(length))


def test_a_read_takes_thirty_bits_and_nine_for_each_byte():
    clock, chip = VirtualClock(1000, 0), Notebook()
    bus = SimulatedI2C(clock, {0x69: chip})
    assert bus.read(0x69, 0x2D, 12) == bytes(range(12))
    assert clock.now_ns() == 1000 + (30 + 9 * 12) * 2500
    assert chip.asked == [("read", 0x2D, 12, 1000 + 29 * 2500)]


def test_a_write_takes_two_bits_and_nine_for_each_byte():
    clock, chip = VirtualClock(0, 0), Notebook()
    SimulatedI2C(clock, {0x69: chip}, 100_000).write(0x69, 0x06, 0x01, 0x02)
    assert clock.now_ns() == (2 + 9 * 4) * 10_000
    assert chip.asked == [("write", 0x06, b"\x01\x02", (1 + 9 * 4) * 10_000)]


@pytest.mark.parametrize("devices", [{}, {0x0C: Notebook(present=False)}])
def test_nobody_at_the_address_is_a_remote_io_error(devices):
    clock = VirtualClock(0, 0)
    with pytest.raises(BusError, match="nothing answers at 0x0c") as caught:
        SimulatedI2C(clock, devices).read(0x0C, 0x00)
    assert caught.value.errno == errno.EREMOTEIO
    assert clock.now_ns() == 11 * 2500


def test_two_users_queue():
    clock, chip = VirtualClock(0, 0), Notebook()
    bus = SimulatedI2C(clock, {0x69: chip})
    threads = [clock.thread(lambda: bus.read(0x69, 0, 100), f"user {i}") for i in range(3)]
    for thread in threads:
        clock.join(thread)
    length = (30 + 900) * 2500
    assert [at for *_, at in chip.asked] == [29 * 2500 + i * length for i in range(3)]
    assert clock.now_ns() == 3 * length
