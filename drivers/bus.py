"""The I2C bus: one operation, and the back-end for Linux.

A chip driver is given an `I2CBus` and neither knows nor cares whether a wire, the simulator or a
test stands behind it. A back-end supplies `transfer` and `close`, nothing else.
"""

from __future__ import annotations

import errno
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

        Both halves are one combined transaction (repeated start, no stop between), so no other
        user of the bus comes between a register's number and its value. There is no length limit
        of SMBus' 32 bytes: FIFO bursts need hundreds. BusError where the chip does not answer.
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

        write = i2c_msg.write(address, out)
        messages = [write]
        if read_length:
            messages.append(i2c_msg.read(address, read_length))
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise BusError(error.errno or 0, _why(error.errno, address, self.name)) from None
        # bytes() of the message is 150 times quicker than list(): it copies the buffer once.
        return bytes(messages[1]) if read_length else b""

    def close(self) -> None:
        self._bus.close()


def _why(number: int | None, address: int, bus: str) -> str:
    if number in (errno.EREMOTEIO, errno.ENXIO):
        return f"nothing answers at 0x{address:02x} on {bus}: check power, wiring and address"
    if number == errno.EBUSY:
        return f"a kernel driver holds 0x{address:02x} on {bus}: unload it (lsmod, dtoverlay)"
    if number == errno.ETIMEDOUT:
        return f"{bus} timed out at 0x{address:02x}: a chip may be holding the clock line"
    return f"{bus}, address 0x{address:02x}: {errno.errorcode.get(number or 0, number)}"
