"""What CEVA's sensor hubs say over SHTP: features that are asked for, reports that come of them.

Source: "SH-2 Reference Manual", 1000-3625, and the BNO08X datasheet, 1000-3927. A report carries a
number of 8 bits that counts the samples of its sensor and a delay after the time base that its
cargo begins with; that again is so many ticks before the hub raised its interrupt.

The traps: without the interrupt line all that is known of that moment is that it was after the
last read and before this one; sensors have rates of their own, whatever was asked for; an
identifier that is not known makes the rest of a cargo unreadable.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from drivers.clock_fit import ClockFit

_TICK_NS = 100_000
_NOISE_NS = 60_000.0  # two roundings to ticks, and when the interrupt was raised
_SEQUENCES = 256
_MARGIN = 2  # samples by which a clock fit may be wrong ...
_BEYOND = 16  # ... and by which it is not
_ROUND = 0.05  # how far the length of a quaternion may be from 1


class Sensor(IntEnum):
    """Sensors, by the identifiers of their reports."""

    ACCELEROMETER = 0x01
    GYROSCOPE = 0x02
    MAGNETIC_FIELD = 0x03
    ROTATION_VECTOR = 0x05


class Message(IntEnum):
    """Other identifiers: of requests, and of answers."""

    PRODUCT_ID_RESPONSE = 0xF8
    PRODUCT_ID_REQUEST = 0xF9
    REBASE = 0xFA
    TIME_BASE = 0xFB
    FEATURE_RESPONSE = 0xFC
    SET_FEATURE = 0xFD


_ITEM = {  # of the 16-bit words behind a report's first four bytes: how many, for one unit
    Sensor.ACCELEROMETER: (3, 256.0),  # m/s^2
    Sensor.GYROSCOPE: (3, 512.0),  # rad/s
    Sensor.MAGNETIC_FIELD: (3, 16.0),  # uT
    Sensor.ROTATION_VECTOR: (5, 16384.0),  # i, j, k, real; and, for one rad, 4096
}
# fmt: off
_LENGTHS = {
    0x01: 10, 0x02: 10, 0x03: 10, 0x04: 10, 0x05: 14, 0x06: 10, 0x07: 16, 0x08: 12, 0x09: 14,
    0x0A: 8, 0x0B: 8, 0x0C: 6, 0x0D: 6, 0x0E: 6, 0x0F: 16, 0x10: 5, 0x11: 12, 0x12: 6, 0x13: 6,
    0x14: 16, 0x15: 16, 0x16: 16, 0x18: 8, 0x19: 6, 0x1A: 6, 0x1B: 8, 0x1C: 6, 0x1E: 16, 0x1F: 6,
    0x20: 6, 0x21: 6, 0x22: 6, 0x23: 6, 0x28: 14, 0x29: 12, 0x2A: 14,
    0xEF: 2, 0xF1: 16, 0xF3: 16, 0xF5: 4, 0xF8: 16, 0xFA: 5, 0xFB: 5, 0xFC: 17,
}
# fmt: on
"""Bytes of every report there is, so that those not asked for can be passed over."""


@dataclass(frozen=True, slots=True)
class Report:
    """A sample of a sensor; `ticks_ns` is when it was, from the interrupt (negative: before it)."""

    sensor: Sensor
    sequence: int
    accuracy: int
    ticks_ns: int
    values: tuple[float, ...]


def set_feature(sensor: Sensor, interval_us: int) -> bytes:
    """The command that has a sensor report every so often; never, with 0."""
    return struct.pack("<BBBHIII", Message.SET_FEATURE, sensor, 0, 0, interval_us, 0, 0)


def pieces(payload: bytes) -> Iterator[bytes]:
    """The reports in a cargo, one by one. ValueError where the rest of it cannot be read."""
    at = 0
    while at < len(payload):
        length = _LENGTHS.get(payload[at], 0)
        if not length or at + length > len(payload):
            raise ValueError(f"report 0x{payload[at]:02x} at {at} of {len(payload)} bytes")
        yield payload[at : at + length]
        at += length


def read_input(payload: bytes) -> Iterator[Report]:
    """The samples in a cargo of the input channel; ValueError as `pieces`."""
    base = 0
    for piece in pieces(payload):
        if piece[0] == Message.TIME_BASE:
            base = -int.from_bytes(piece[1:5], "little", signed=True)
        elif piece[0] == Message.REBASE:
            base += int.from_bytes(piece[1:5], "little", signed=True)
        elif piece[0] in set(Sensor):
            sensor = Sensor(piece[0])
            count, lsb = _ITEM[sensor]
            words = struct.unpack_from(f"<{count}h", piece, 4)
            delay = (piece[2] & 0xFC) << 6 | piece[3]
            values = tuple(word / lsb for word in words)
            if sensor is Sensor.ROTATION_VECTOR and abs(math.hypot(*values[:4]) - 1) > _ROUND:
                raise ValueError(f"a rotation vector of length {math.hypot(*values[:4]):.2f}")
            yield Report(sensor, piece[1], piece[2] & 3, (base + delay) * _TICK_NS, values)


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample in its place: counts, times and losses as in `drivers.imu`."""

    count: int
    values: tuple[float, ...]
    earliest_ns: int
    latest_ns: int
    noise_ns: float
    lost: int


class Stream:
    """The samples of one sensor: counted by their numbers, dated by a clock fit, kept until taken.

    `samples`   those not taken yet, oldest first
    `accuracy`  what the newest says of itself, 0 (unreliable) to 3; None before any
    """

    def __init__(self, period_ns: float) -> None:
        self._fit = ClockFit(period_ns)
        self._count = -1
        self._offset: int | None = None
        self.samples: deque[Sample] = deque()
        self.accuracy: int | None = None

    def restart(self) -> None:
        """The hub counts from anew, and time says how many samples there would have been."""
        self._offset = None

    def take_in(self, report: Report, earliest_ns: int, latest_ns: int) -> None:
        """A report of a cargo that the hub had ready between these two instants."""
        earliest_ns, latest_ns = earliest_ns + report.ticks_ns, latest_ns + report.ticks_ns
        count = self._number(report.sequence, earliest_ns, latest_ns)
        if count is None:
            return
        self._fit.observe(count, earliest_ns, latest_ns, _NOISE_NS)
        lost, self._count = count - self._count - 1, count
        self.accuracy = report.accuracy
        self.samples.append(Sample(count, report.values, earliest_ns, latest_ns, _NOISE_NS, lost))

    def take_run(self, most: int) -> list[Sample]:
        """The oldest samples between which none is missing, so many at most."""
        run: list[Sample] = []
        while self.samples and len(run) < most and not (run and self.samples[0].lost):
            run.append(self.samples.popleft())
        return run

    def times(self) -> npt.NDArray[np.int64]:
        """When the kept samples were, as far as is known now."""
        return self._fit.times(np.array([sample.count for sample in self.samples], np.int64))

    def values(self) -> npt.NDArray[np.float64]:
        """What the kept samples say, a row for each."""
        return np.array([sample.values for sample in self.samples])

    def forget_before(self, t_ns: int) -> None:
        """Drop the samples that say nothing of times from `t_ns` on, not even between two."""
        for _ in range(int(np.count_nonzero(self.times() <= t_ns)) - 1):
            self.samples.popleft()

    def _number(self, sequence: int, earliest_ns: int, latest_ns: int) -> int | None:
        """The count of a sample of which the last eight bits and the time are known.

        None where they contradict, as with one that was told before, or leave a choice.
        """
        following = self._count + 1
        if self._offset is None:
            if self._fit.locked:
                middle = self._fit.count_at((earliest_ns + latest_ns) // 2)
                following = max(following, math.floor(middle))
            self._offset = following - sequence
            return following
        least = max(following, math.floor(self._fit.count_at(earliest_ns)) - _MARGIN)
        number = least + (sequence + self._offset - least) % _SEQUENCES
        greatest = self._fit.count_at(latest_ns)
        if number > greatest + _BEYOND or number + _SEQUENCES <= greatest + _MARGIN:
            return None
        return number
