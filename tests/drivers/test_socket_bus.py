"""The bus at a socket, against a server of the test's own, to the byte."""

import errno
import socket
import struct
import threading

import pytest

from drivers.bus import SocketI2C, open_bus
from drivers.errors import BusError


@pytest.fixture
def served(tmp_path):
    """Answers requests with what `answers` gives; keeps what it was asked."""

    class Served:
        path = tmp_path / "bus"
        answers = staticmethod(lambda request: struct.pack("<iH", 0, 2) + b"\x47\x48")
        asked: list[bytes] = []

        def listen(self):
            self.door = socket.socket(socket.AF_UNIX)
            self.door.bind(str(self.path))
            self.door.listen()
            threading.Thread(target=self.accept, daemon=True).start()

        def accept(self):
            while True:
                try:
                    connection, _ = self.door.accept()
                except OSError:
                    return
                with connection:
                    while request := connection.recv(100):
                        self.asked.append(request)
                        if (answer := self.answers(request)) is None:
                            break
                        for byte in answer:  # as slowly as it may come
                            connection.sendall(bytes([byte]))

        def leave(self):
            self.door.shutdown(socket.SHUT_RDWR)
            self.door.close()
            self.path.unlink()

    made = Served()
    made.asked = []
    made.listen()
    yield made
    if made.path.exists():
        made.leave()


def test_a_transaction_is_a_request_and_a_reply(served):
    with SocketI2C(str(served.path)) as bus:
        assert bus.name == f"unix:{served.path}"
        assert bus.read(0x68, 0x75, 2) == b"\x47\x48"
    assert served.asked == [b"\x68\x01\x00\x02\x00\x75"]


def test_a_write_reads_nothing(served):
    served.answers = lambda request: struct.pack("<iH", 0, 0)
    with SocketI2C(str(served.path)) as bus:
        bus.write(0x69, 0x06, 0x80, 0x01)
    assert served.asked == [b"\x69\x03\x00\x00\x00\x06\x80\x01"]


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EREMOTEIO, "nothing answers at 0x68"), (errno.ETIMEDOUT, "timed out")],
)
def test_a_fault_of_the_bus_is_that_of_a_real_one(served, number, words):
    served.answers = lambda request: struct.pack("<iH", number, 0)
    with SocketI2C(str(served.path)) as bus, pytest.raises(BusError, match=words) as fault:
        bus.read(0x68, 0)
    assert fault.value.errno == number


def test_nobody_there_is_said_at_once(tmp_path):
    with pytest.raises(BusError, match=r"nobody serves a bus at unix:.*sim serve") as fault:
        SocketI2C(str(tmp_path / "none"))
    assert fault.value.errno == errno.ENOENT
    assert "\n" not in str(fault.value)


def test_a_server_that_goes_and_comes_back_is_found_again(served):
    with SocketI2C(str(served.path)) as bus:
        bus.read(0x68, 0)
        served.answers = lambda request: None
        with pytest.raises(BusError, match="has gone"):
            bus.read(0x68, 0)
        served.leave()
        with pytest.raises(BusError, match="nobody serves"):
            bus.read(0x68, 0)
        served.answers = lambda request: struct.pack("<iH", 0, 1) + b"\x01"
        served.listen()
        assert bus.read(0x68, 0) == b"\x01"


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(served, monkeypatch):
    monkeypatch.setattr("drivers.bus._REPLY_S", 0.05)
    served.answers = lambda request: b""
    with SocketI2C(str(served.path)) as bus, pytest.raises(BusError, match="not answered") as fault:
        bus.read(0x68, 0)
    assert fault.value.errno == errno.ETIMEDOUT


def test_the_name_of_a_bus_says_of_which_kind_it_is(served):
    with open_bus(f"unix:{served.path}") as bus:
        assert isinstance(bus, SocketI2C)
    with pytest.raises(BusError, match="/dev/i2c-97"):
        open_bus("/dev/i2c-97")


def test_closing_twice_is_allowed(served):
    bus = SocketI2C(str(served.path))
    bus.close()
    bus.close()
