"""The I2C bus: one operation, and the back-ends: Linux, and a socket that another process serves.

A chip driver is given an `I2CBus` and neither knows nor cares whether a wire, the simulator or a
test stands behind it. A back-end supplies `transfer` and `close`, nothing else.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from abc import ABC, abstractmethod
from typing import Self

from drivers.errors import BusError


class I2CBus(ABC):
    """A bus that several chip drivers share."""

    name: str
    """How a person knows the bus: "/dev/i2c-1"."""

    @abstractmethod
    def transfer(self, address: int, out: bytes, read_length: int = 0) -> bytes:
        """Write `out` to the chip at the 7-bit `address`, then read `read_length` bytes.

        With nothing to write it is a read alone, for chips that have no registers.
        Both halves are one combined transaction (repeated start, no stop between), so no other
        user of the bus comes between a register's number and its value. Where `out` is empty
        nothing is written, not even that number. There is no length limit of SMBus' 32 bytes: FIFO
        bursts need hundreds. BusError where the chip does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the bus back. May be called twice."""

    def read(self, address: int, register: int, length: int = 1) -> bytes:
        """`length` bytes from `register` on."""
        return self.transfer(address, bytes([register]), length)

    def write(self, address: int, register: int, *values: int) -> None:
        """Set `register`, and those behind it where there are several values."""
        self.transfer(address, bytes([register, *values]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_bus(name: str) -> I2CBus:
    """The bus at a device such as /dev/i2c-1, or the one that is served at `unix:PATH`."""
    socket_path = name.removeprefix("unix:")
    return LinuxI2C(name) if socket_path == name else SocketI2C(socket_path)


class LinuxI2C(I2CBus):
    """The bus at a device such as /dev/i2c-1, through smbus2 and the kernel's I2C_RDWR.

    BusError at once where there is no such bus or no permission.
    """

    def __init__(self, path: str) -> None:
        from smbus2 import SMBus  # late: the simulator and the offline tools never need it

        self.name = path
        try:
            self._bus = SMBus(path)
        except FileNotFoundError:
            raise BusError(
                errno.ENOENT, f"there is no {self.name}: switch I2C on (raspi-config, Interfaces)"
            ) from None
        except PermissionError:
            raise BusError(
                errno.EACCES, f"no permission for {self.name}: add this user to the group i2c"
            ) from None
        except OSError as error:
            raise BusError(error.errno or 0, f"{self.name}: {error.strerror}") from None

    def transfer(self, address: int, out: bytes, read_length: int = 0) -> bytes:
        from smbus2 import i2c_msg

        messages = [i2c_msg.write(address, out)] if out else []
        if read_length:
            messages.append(i2c_msg.read(address, read_length))
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise BusError(error.errno or 0, _why(error.errno, address, self.name)) from None
        # bytes() of the message is 150 times quicker than list(): it copies the buffer once.
        return bytes(messages[-1]) if read_length else b""

    def close(self) -> None:
        self._bus.close()


class SocketI2C(I2CBus):
    """A bus that another process serves at a Unix socket, as `cammcorder sim serve` does.

    A request is the address, the number of bytes out and of bytes to read (uint8, uint16, uint16),
    and the bytes out; a reply is an errno, 0 for none, the number of bytes read (int32, uint16),
    and these bytes. All little-endian.

    BusError at once where nobody serves it. A server that has gone is looked for again with the
    next transaction, as a chip that was unplugged would be.
    """

    def __init__(self, path: str) -> None:
        self.name = f"unix:{path}"
        self._path = path
        self._turn = threading.Lock()  # a rig's sensors share the bus, each from its own thread
        self._socket: socket.socket | None = self._connect()

    def transfer(self, address: int, out: bytes, read_length: int = 0) -> bytes:
        with self._turn:
            try:
                if self._socket is None:
                    self._socket = self._connect()
                self._socket.sendall(_REQUEST.pack(address, len(out), read_length) + out)
                number, data = self._receive(self._socket, read_length)
            except OSError as error:
                self._disconnect()  # half a reply may still come: nothing after it would fit
                if isinstance(error, BusError):
                    raise
                late = isinstance(error, BlockingIOError)
                raise BusError(
                    errno.ETIMEDOUT if late else errno.ENOTCONN,
                    f"what served {self.name} "
                    + (f"has not answered for {_REPLY_S:g} s" if late else "has gone"),
                ) from None
        if number:
            raise BusError(number, _why(number, address, self.name))
        return data

    def close(self) -> None:
        with self._turn:
            self._disconnect()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        # The kernel keeps the time: a timeout of Python's own costs a call to poll each time.
        timeout = _TIMEVAL.pack(*divmod(round(_REPLY_S * 1e6), 1_000_000))
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, timeout)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise BusError(
                error.errno or errno.EINVAL,
                f"nobody serves a bus at {self.name} ({error.strerror or error}): start "
                "`cammcorder sim serve`",
            ) from None
        return connection

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self, connection: socket.socket, read_length: int) -> tuple[int, bytes]:
        """The errno of a reply and its bytes, at most as many as were asked for."""
        data, length = b"", _REPLY.size
        while len(data) < length:
            part = connection.recv(max(length, _REPLY.size + read_length) - len(data))
            if not part:
                raise ConnectionResetError(errno.ECONNRESET, "it closed the connection")
            data += part
            if len(data) >= _REPLY.size:
                length = _REPLY.size + _REPLY.unpack_from(data)[1]
        return _REPLY.unpack_from(data)[0], data[_REPLY.size :]


_REQUEST, _REPLY = struct.Struct("<BHH"), struct.Struct("<iH")
_REPLY_S = 2.0
_TIMEVAL = struct.Struct("@ll")


def _why(number: int | None, address: int, bus: str) -> str:
    if number in (errno.EREMOTEIO, errno.ENXIO):
        return f"nothing answers at 0x{address:02x} on {bus}: check power, wiring and address"
    if number == errno.EBUSY:
        return f"a kernel driver holds 0x{address:02x} on {bus}: unload it (lsmod, dtoverlay)"
    if number == errno.ETIMEDOUT:
        return f"{bus} timed out at 0x{address:02x}: a chip may be holding the clock line"
    return f"{bus}, address 0x{address:02x}: {errno.errorcode.get(number or 0, number)}"
