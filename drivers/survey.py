"""What is on an I2C bus, how fast the bus runs, and how much of it a sensor takes.

Who answers is found out by reading a byte, with nothing written: a stranger's registers stay as
they are. Only at the addresses of chips that we know is somebody asked who it is.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from drivers import find
from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.errors import BusError, WrongChip
from drivers.fifo import FifoImu
from drivers.identities import magnetometer_at, motion_sensor_at
from drivers.imu import Magnetometer

_ADDRESSES = range(0x08, 0x78)  # the rest is reserved (I2C specification, section 3.1.12)
_ABSENT = (errno.ENXIO, errno.EREMOTEIO)
_SHORT_READ, _LONG_READ, _READS = 16, 272, 3
_BITS_A_BYTE = 9  # with its acknowledgement
_TRANSACTION_BITS = 30  # start, address, register, repeated start, address, stop
_LEVEL_BYTES = 2  # of a FIFO's fill level
# Of a magnetometer, until its clock is known, and then one look; status, three axes, status.
_LOOKS_A_SAMPLE, _LOOK_BYTES = 1.45, 9


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody on a bus. `name` is empty where we do not know who it is; `held`: by the kernel."""

    address: int
    name: str = ""
    held: bool = False


def answers(bus: I2CBus) -> Iterator[Answer]:
    """Everybody on the bus, by address. BusError where the bus itself does not work."""
    for address in _ADDRESSES:
        try:
            bus.transfer(address, b"", 1)
        except BusError as error:
            if error.errno == errno.EBUSY:
                yield Answer(address, held=True)
            elif error.errno not in _ABSENT:
                raise
        else:
            yield Answer(address, _who(bus, address))


def bit_rate(bus: I2CBus, clock: Clock, imu: FifoImu) -> float:
    """Bits a second on the wire, from how much longer a long read takes than a short one.

    Read is the FIFO of a sensor that has not been set up yet, where it does no harm. BusError.
    """
    address = int(str(imu.description["address"]), 16)

    def duration_ns(length: int) -> int:
        begin_ns = clock.now_ns()
        bus.read(address, imu.fifo_port, length)
        return clock.now_ns() - begin_ns

    long = min(duration_ns(_LONG_READ) for _ in range(_READS))
    short = min(duration_ns(_SHORT_READ) for _ in range(_READS))
    return (_LONG_READ - _SHORT_READ) * _BITS_A_BYTE * 1e9 / max(long - short, 1)


def imu_load(imu: FifoImu) -> float:
    """Bits a second that a motion sensor takes of its bus, as it is set up."""
    looks = 1e9 / imu.poll_interval_ns
    a_look = 2 * _TRANSACTION_BITS + _LEVEL_BYTES * _BITS_A_BYTE
    return looks * a_look + imu.rate_hz * imu.sample_bytes * _BITS_A_BYTE


def magnetometer_load(magnetometer: Magnetometer) -> float:
    """Bits a second that a magnetometer takes of its bus, as it is set up."""
    looks = magnetometer.rate_hz * _LOOKS_A_SAMPLE
    return looks * (_TRANSACTION_BITS + _LOOK_BYTES * _BITS_A_BYTE)


def _who(bus: I2CBus, address: int) -> str:
    """The name of the chip at an address; empty where it is none that we know."""
    imus = [kind for kind in dict.fromkeys(find.DRIVERS.values()) if address in kind.addresses]
    for imu in imus:
        with suppress(WrongChip, BusError):
            return imu.probe(bus, address).name
    if imus and (known := motion_sensor_at(bus, address)):
        return known.partition(" ")[2]
    return magnetometer_at(bus, address).partition(" ")[2]
