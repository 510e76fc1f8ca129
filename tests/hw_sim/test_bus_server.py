"""The simulated bus as other processes see it: served at a socket, whatever clients do."""

import errno
import socket
import struct
import threading

import pytest

from camm import UsageError
from drivers.bus import I2CBus, SocketI2C
from drivers.errors import BusError
from hw_sim.real_time import RealTimeClock
from hw_sim.serve import BusServer


class Memory(I2CBus):
    """A bus with one chip of 256 registers at 0x50."""

    name = "memory"

    def __init__(self):
        self.registers = bytearray(range(256))
        self.inside = 0

    def transfer(self, address, out, read_length=0):
        self.inside += 1
        assert self.inside == 1, "two transactions at a time"
        try:
            if address != 0x50:
                raise BusError(errno.EREMOTEIO, "nothing there")
            self.registers[out[0] : out[0] + len(out) - 1] = out[1:]
            return bytes(self.registers[out[0] : out[0] + read_length])
        finally:
            self.inside -= 1

    def close(self):
        pass


@pytest.fixture
def path(tmp_path):
    with BusServer(Memory(), tmp_path / "bus"):
        yield tmp_path / "bus"


def test_registers_are_written_and_read(path):
    with SocketI2C(str(path)) as bus:
        bus.write(0x50, 0x10, 7, 8)
        assert bus.read(0x50, 0x0F, 4) == bytes([0x0F, 7, 8, 0x12])


def test_a_fault_crosses_the_socket(path):
    with SocketI2C(str(path)) as bus:
        with pytest.raises(BusError, match="nothing answers at 0x51") as fault:
            bus.read(0x51, 0)
        assert fault.value.errno == errno.EREMOTEIO
        assert bus.read(0x50, 1) == b"\x01"


def test_clients_come_one_after_the_other_and_all_at_once(path):
    for _ in range(3):
        with SocketI2C(str(path)) as bus:
            assert bus.read(0x50, 5) == b"\x05"
    found = []

    def client():
        with SocketI2C(str(path)) as bus:
            found.extend(bus.read(0x50, n) for n in range(100))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert sorted(found) == sorted(bytes([n]) for n in range(100) for _ in range(4))


@pytest.mark.parametrize(
    "last_words",
    [b"", b"\x50", struct.pack("<BHH", 0x50, 100, 0) + b"half", struct.pack("<BHH", 0x50, 1, 9)],
)
def test_a_client_that_dies_in_the_middle_harms_nobody(path, last_words):
    dying = socket.socket(socket.AF_UNIX)
    dying.connect(str(path))
    dying.sendall(last_words)
    dying.close()
    with SocketI2C(str(path)) as bus:
        assert bus.read(0x50, 3) == b"\x03"


def test_the_socket_goes_with_the_server_and_not_before(tmp_path):
    with BusServer(Memory(), tmp_path / "bus"):
        assert (tmp_path / "bus").is_socket()
        with pytest.raises(UsageError, match="it is taken"):
            BusServer(Memory(), tmp_path / "bus")
    assert not (tmp_path / "bus").exists()


def test_what_a_dead_server_has_left_is_replaced(tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "bus"))
    dead.close()
    with BusServer(Memory(), tmp_path / "bus"), SocketI2C(str(tmp_path / "bus")) as bus:
        assert bus.read(0x50, 1) == b"\x01"


def test_a_file_is_not_replaced_and_a_folder_must_be_there(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="it is taken"):
        BusServer(Memory(), tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    with pytest.raises(UsageError, match="no socket can be made"):
        BusServer(Memory(), tmp_path / "no/such/folder")
    with pytest.raises(UsageError, match="no socket can be made"):
        BusServer(Memory(), tmp_path / ("x" * 200))


def test_real_time_goes_on_by_itself():
    clock = RealTimeClock(5)
    begin = clock.now_ns()
    clock.sleep_until(begin + 1_000_000)
    assert clock.now_ns() >= begin + 1_000_000
    assert clock.utc_ns() >= 1_000_005
    seen = []
    clock.join(clock.thread(lambda: seen.append(clock.now_ns()), "a thread"))
    assert seen[0] <= clock.now_ns()
    end, other = socket.socketpair()
    with end, other:
        assert not clock.wait_readable(end.fileno(), clock.now_ns() + 1_000_000)
        other.send(b"x")
        assert clock.wait_readable(end.fileno(), clock.now_ns() + 10**9)
