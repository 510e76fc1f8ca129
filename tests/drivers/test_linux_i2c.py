"""What goes to the kernel in one transaction."""

import pytest
import smbus2

from drivers.bus import LinuxI2C


@pytest.fixture
def bus(monkeypatch):
    """A bus, and the messages of its transactions: (address, read or not, length)."""

    class Kernel:
        def __init__(self, path):
            self.seen = []

        def i2c_rdwr(self, *messages):
            self.seen.append([(m.addr, bool(m.flags & 1), m.len) for m in messages])

        def close(self):
            pass

    monkeypatch.setattr(smbus2, "SMBus", Kernel)
    return LinuxI2C("/dev/i2c-1")


def test_a_register_is_read_in_one_transaction_of_two_messages(bus):
    assert bus.read(0x68, 0x75, 2) == bytes(2)
    assert bus._bus.seen == [[(0x68, False, 1), (0x68, True, 2)]]


def test_a_write_is_one_message(bus):
    assert bus.transfer(0x4A, b"\x06\x00\x02\x00\xf9\x00") == b""
    assert bus._bus.seen == [[(0x4A, False, 6)]]


def test_with_nothing_to_write_it_is_a_read_alone(bus):
    """A sensor hub knows no repeated start, and a write of no bytes would be one."""
    assert bus.transfer(0x4A, b"", 4) == bytes(4)
    assert bus._bus.seen == [[(0x4A, True, 4)]]
