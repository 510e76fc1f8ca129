"""What the motion sensors of Bosch have in common: rates, ranges, frames in the FIFO, commands.

From the datasheets BST-BMI160-DS000 and BST-BMI270-DS000, and from Bosch's SensorAPIs of the two.

The FIFO is read in header mode: each sample is a frame that says what it is, so nothing else is
ever taken for one. A frame that was read in part stays, and the FIFO always begins with a whole
one. Samples are taken whenever the sensor time is a whole number of periods, so it stamps them all.
"""

from __future__ import annotations

import errno
from typing import ClassVar, Self

import numpy as np

from drivers.bus import I2CBus
from drivers.clock import Clock
from drivers.dating import Counter, Reading
from drivers.errors import BusError
from drivers.fifo import FifoImu, Setup, Words
from drivers.identities import wrong_chip

_CHIP_ID = 0x00
_SENSOR_TIME = 0x18  # three bytes, low byte first, of 39.0625 us
_FIFO_FLUSH = 0xB0
_FRAME = 0x8C  # gyroscope, then accelerometer
_TAGS = 0x03  # of the interrupt pins, in any header
_SKIPPED = 0x40  # in front of a FIFO that has run over; how many frames that cost comes next
_FULL_SCALE = 1 << 15

RESET = 0xB6
"""Into `command_register`."""


class BoschImu(FifoImu):
    """A motion sensor of Bosch at one address.

    `identity`          what its first register says
    `command_register`  takes commands
    `length_register`   tells how many bytes are in the FIFO, two bytes, low byte first
    `temperature_register`  two bytes, low byte first
    """

    addresses = (0x68, 0x69)  # SDO low or high
    rates = {1600.0: 12, 800.0: 11, 400.0: 10, 200.0: 9, 100.0: 8, 50.0: 7, 25.0: 6}
    """acc_odr and gyr_odr; the gyroscope's 3200 Hz the accelerometer has not."""
    gyro_ranges = {
        float(dps): (code, _FULL_SCALE / dps)
        for code, dps in enumerate((2000, 1000, 500, 250, 125))
    }
    """GYR_RANGE; the datasheets round the LSB to 16.4 and so on."""
    sample_bytes = 13
    watermark = True
    identity: ClassVar[int]
    command_register: ClassVar[int]
    length_register: ClassVar[int]
    temperature_register: ClassVar[int]

    @classmethod
    def _identify(cls, bus: I2CBus, address: int) -> Self:
        found = bus.read(address, _CHIP_ID)[0]
        if found != cls.identity:
            raise wrong_chip(bus, address, found, cls.name, [cls.identity])
        return cls(bus, address)

    def _counter(self, setup: Setup) -> Counter | None:
        return Counter(1 << 16 - setup.rate_code, 1 << 24, aligned=True)

    def _read_counter(self, clock: Clock) -> Reading:
        before = clock.now_ns()
        ticks = int.from_bytes(self._read(_SENSOR_TIME, 3), "little")
        return Reading(ticks, before, clock.now_ns())

    def _hold_fifo(self) -> None:
        """Nothing: a flush empties the FIFO and lets it fill."""

    def _release_fifo(self) -> None:
        self._write(self.command_register, _FIFO_FLUSH)

    def _filled(self) -> int:
        return int.from_bytes(self._read(self.length_register, 2), "little") & 0x3FFF

    def _decode(self, raw: bytes) -> tuple[Words, Words]:
        """As `FifoImu` has it; nothing of a FIFO that has run over, which holds no whole number
        of samples and is thrown away.
        """
        frames = np.frombuffer(raw, np.uint8).reshape(-1, self.sample_bytes)
        if raw[0] == _SKIPPED and not self.keeps_oldest:
            frames = frames[:0]
        if np.any(frames[:, 0] & ~np.uint8(_TAGS) != _FRAME):
            raise BusError(
                errno.EBADMSG,
                f"the FIFO of the {self.name} at 0x{self._address:02x} on {self._bus.name} does "
                "not hold frames of gyroscope and accelerometer: check the wiring",
            )
        words = np.ascontiguousarray(frames[:, 1:]).view("<i2")
        return words[:, :3], words[:, 3:]

    def _read_temperature(self) -> float:
        raw = int.from_bytes(self._read(self.temperature_register, 2), "little", signed=True)
        return raw / 512.0 + 23.0
