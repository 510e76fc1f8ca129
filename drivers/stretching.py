"""Transactions with chips that stretch the clock, which not every host can bear.

The BNO055 and the BNO08x hold the clock line in nearly every transaction. The I2C hardware of
Raspberry Pi 1 to 4 gets that wrong now and then: no answer comes, or one with wrong bits.
"""

from __future__ import annotations

import errno

from drivers.bus import I2CBus
from drivers.errors import BusError

_ADVICE = (
    "it stretches the clock, which the I2C of Raspberry Pi 1 to 4 cannot bear: see i2c-gpio in "
    "docs/HARDWARE.md"
)


def transfer(bus: I2CBus, name: str, address: int, out: bytes, length: int) -> bytes:
    """`length` bytes from the chip, which is known to be there.

    BusError with advice where they did not come, or not all of them.
    """
    try:
        data = bus.transfer(address, out, length)
    except BusError as error:
        raise BusError(error.errno or 0, f"{name}: {error.message}; {_ADVICE}") from None
    if len(data) != length:
        raise garbled(bus, name, address, f"{len(data)} bytes came, not {length}")
    return data


def garbled(bus: I2CBus, name: str, address: int, what: str) -> BusError:
    """The error for an answer that cannot be right."""
    return BusError(errno.EIO, f"{name} at 0x{address:02x} on {bus.name}: {what}; {_ADVICE}")
