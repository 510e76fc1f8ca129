"""Recorded bytes of a GPS receiver, sent again as they were sent then.

The log has the bytes but not their times. They are had from what is in them: bytes are cut into
bursts, one for each navigation epoch, and each burst leaves as long after its epoch as receivers
take. Nothing is left out and nothing changed: comments and damaged messages go through as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camm import UsageError
from hw_sim.clock import VirtualClock
from hw_sim.receiver import Receiver

_LATENCY_NS = 200_000_000
_FIRST_EPOCH_NS = 100_000_000
_SILENCE_NS = 500_000_000  # by which a reader knows that the last epoch is over
_DAY_MS = 86_400_000
_SAME_EPOCH_MS = 20  # iTOW and NMEA time of one epoch may differ by rounding
_LEAP_MS = 18_000
_ITOW_AT_4 = {0x09, 0x13, 0x14, 0x3B, 0x3C}  # NAV messages that begin with a version
_NO_ITOW = {0x10}  # NAV-RESETODO


@dataclass(frozen=True, slots=True)
class Burst:
    """The bytes of one epoch, which is so many milliseconds after the first."""

    data: bytes
    epoch_ms: int


class ReplayedReceiver(Receiver):
    """A log through a pty, byte for byte, at the pace of its own epochs.

    The first epoch is 100 ms after `start`; each burst begins 200 ms after its epoch, or when the
    line is free. `duration_ns` and `last_epoch_ns` count from `start` and are known before; `done`
    says when all is through and the line has been silent a while.
    UsageError where the log cannot be read or is empty.
    """

    name = "replayed receiver"

    def __init__(self, clock: VirtualClock, log_path: str | Path, baud: int = 115_200) -> None:
        try:
            data = Path(log_path).read_bytes()
        except OSError as error:
            raise UsageError(f"{log_path} cannot be read: {error.strerror}") from None
        self._bursts = split_epochs(data)
        if not self._bursts:
            raise UsageError(f"{log_path} is empty: there is nothing to replay")
        super().__init__(clock, baud)
        self.done = False
        end_ns = 0
        for burst in self._bursts:
            end_ns = max(end_ns, _first_byte_ns(burst)) + self._line.duration_ns(len(burst.data))
        self.duration_ns = end_ns
        self.last_epoch_ns = _first_byte_ns(self._bursts[-1]) - _LATENCY_NS

    def _run(self) -> None:
        start_ns = self._clock.now_ns()
        for burst in self._bursts:
            if not self._line.send(burst.data, start_ns + _first_byte_ns(burst)):
                return
        self._clock.sleep_until(self._clock.now_ns() + _SILENCE_NS)
        self.done = True


def _first_byte_ns(burst: Burst) -> int:
    return _FIRST_EPOCH_NS + burst.epoch_ms * 1_000_000 + _LATENCY_NS


def split_epochs(data: bytes) -> list[Burst]:
    """Cut a log into the bursts of its epochs; nothing of an empty log.

    What comes before the first time belongs to the first burst. An epoch whose time goes back
    counts as one second after the one before, and so does one without any time, which begins where
    a sentence that should tell it comes again.
    """
    bursts: list[Burst] = []
    begin, epoch_ms = 0, 0
    told_ms: int | None = None  # what the log calls the current epoch: time of day, UTC
    timeless: set[bytes] = set()  # the kinds of message that told no time in the current epoch
    for position, kind, time_ms in _marks(data):
        if time_ms is None:
            if kind not in timeless:
                timeless.add(kind)
                continue
            step_ms = 1000
        elif told_ms is None and not timeless:
            told_ms = time_ms  # the first of all
            continue
        else:
            step_ms = 1000 if told_ms is None else (time_ms - told_ms) % _DAY_MS
            if min(step_ms, _DAY_MS - step_ms) < _SAME_EPOCH_MS:
                continue
            if step_ms > _DAY_MS // 2:
                step_ms = 1000
        bursts.append(Burst(data[begin:position], epoch_ms))
        begin = position
        epoch_ms += step_ms
        told_ms = time_ms
        timeless = {kind} if time_ms is None else set()
    return [*bursts, Burst(data[begin:], epoch_ms)] if data else []


def _marks(data: bytes) -> Iterator[tuple[int, bytes, int | None]]:
    """Where a message begins that tells the time of its epoch: its kind, and its time of day."""
    position = 0
    while position < len(data):
        if data[position : position + 2] == b"\xb5\x62":
            size = _ubx_size(data, position)
            if size and (itow := _itow(data[position : position + size])) is not None:
                yield position, b"UBX", (itow - _LEAP_MS) % _DAY_MS
        elif data[position] == ord("$"):
            end = data.find(b"\n", position)
            size = (end if end >= 0 else len(data)) - position
            fields = data[position : position + size].split(b",")
            if fields[0][3:] in (b"GGA", b"RMC") and len(fields) > 1:
                yield position, fields[0][3:], _time_of_day(fields[1])
        else:
            size = 0
        position += size or 1


def _ubx_size(data: bytes, position: int) -> int:
    """The length of the UBX frame there, 0 where its checksum is not right."""
    size = 8 + int.from_bytes(data[position + 4 : position + 6], "little")
    frame = data[position : position + size]
    a = b = 0
    for byte in frame[2:-2]:
        a = (a + byte) & 0xFF
        b = (b + a) & 0xFF
    return size if len(frame) == size and frame[-2:] == bytes([a, b]) else 0


def _itow(frame: bytes) -> int | None:
    """The GPS time of week in a UBX-NAV message, milliseconds."""
    kind, number, payload = frame[2], frame[3], frame[6:-2]
    if kind != 0x01 or number in _NO_ITOW:
        return None
    at = 4 if number in _ITOW_AT_4 else 0
    return int.from_bytes(payload[at : at + 4], "little") if len(payload) >= at + 4 else None


def _time_of_day(field: bytes) -> int | None:
    """Milliseconds of `hhmmss.sss`; None where the field is empty or damaged."""
    whole, _, fraction = field.partition(b".")
    if len(whole) != 6 or not (whole + fraction).isdigit():
        return None
    hours, minutes, seconds = int(whole[:2]), int(whole[2:4]), int(whole[4:])
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + int(fraction.ljust(3, b"0")[:3])
