"""What a receiver sends, cut into messages with the times at which they began to come.

UBX frames and NMEA sentences are cut out of what comes, and only those whose checksum holds; out of
what gpsd passes on also its own reports, a line each. After damage the search goes on one byte
further, so a message with a false length swallows nothing of what follows it.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from pyubx2 import calc_checksum

_LONGEST_MESSAGE = 4096  # more than any receiver sends: what claims to be longer is garbage
_LONGEST_REPORT = 65_536  # gpsd's own longest is a sixth of it

UBX, REPORT = b"\xb5\x62", b'{"class":'
"""How a frame of UBX and a report of gpsd begin."""

_START = re.compile(rb"\xb5(?:\x62|\Z)|\$(?:[A-Z]|\Z)")
_START_OR_REPORT = re.compile(rb"\xb5(?:\x62|\Z)|\$(?:[A-Z]|\Z)|\{(?:\"|\Z)")
_SENTENCE = re.compile(rb"\$([A-Z][ -)+-~]{1,1000})\*([0-9A-Fa-f]{2})\r?\n")
_SENTENCE_BEGUN = re.compile(rb"\$[ -~]{0,1000}\r?\Z")
_SENTENCE_NAME = re.compile(rb"\$[A-Z][0-9A-Z]{2,5},")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came, and CLOCK_MONOTONIC when its first byte had come in."""

    raw: bytes
    arrival_ns: int


@dataclass(slots=True)
class LineCounts:
    """What has come so far.

    `messages` whole ones; `damaged` those that were not; `stray_bytes` that are part of no message:
    comments, another maker's language, or all there is at a wrong baud rate.
    """

    messages: int = 0
    damaged: int = 0
    stray_bytes: int = 0


class MessageCutter:
    """Takes chunks of bytes as they come and gives out messages.

    The last byte of a chunk has just come in, the others `byte_ns` earlier each, but none before
    the chunk that went ahead. `reports` says that gpsd speaks too.
    """

    def __init__(self, byte_ns: int = 0, *, reports: bool = False) -> None:
        self.byte_ns = byte_ns
        self._start = _START_OR_REPORT if reports else _START
        self.counts = LineCounts()
        self._buffer = bytearray()
        self._position = 0  # of the buffer's first byte, counted from the first byte of all
        self._chunks: deque[tuple[int, int]] = deque([(0, 0)])  # end position, time of its end

    def add(self, chunk: bytes, now_ns: int) -> None:
        """Take over what has come in until now."""
        self._buffer += chunk
        self._chunks.append((self._chunks[-1][0] + len(chunk), now_ns))

    def next(self) -> Message | None:
        """The first whole message; None where more must come."""
        while (start := self._start.search(self._buffer)) is not None:
            self._skip(start.start())
            size = _size(self._buffer)
            if size is None:
                return None
            if size:
                message = Message(bytes(self._buffer[:size]), self._arrival_ns())
                self._drop(size)
                self.counts.messages += 1
                return message
            self.give_up()
        self._skip(len(self._buffer))
        return None

    @property
    def pending(self) -> bool:
        """Whether a message has begun."""
        return bool(self._buffer)

    def give_up(self) -> None:
        """Count the message that has begun as damaged, and search behind its first byte."""
        buffer = self._buffer
        if buffer.startswith((UBX, REPORT)) or _SENTENCE_NAME.match(buffer):
            self.counts.damaged += 1
        self._skip(1)

    def forget(self) -> None:
        """Throw away what is no whole message yet."""
        self._drop(len(self._buffer))

    def _arrival_ns(self) -> int:
        """When the buffer's first byte had come in."""
        start = self._position
        while len(self._chunks) > 2 and self._chunks[1][0] <= start:
            self._chunks.popleft()
        before = 0
        for end, at_ns in self._chunks:
            if end > start:
                return max(before, at_ns - (end - 1 - start) * self.byte_ns)
            before = at_ns
        return before

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._position += size

    def _skip(self, size: int) -> None:
        self.counts.stray_bytes += size
        self._drop(size)


def _size(buffer: bytearray) -> int | None:
    """Length of the message that the buffer begins with; 0: it is none; None: more must come."""
    if buffer.startswith(b"$"):
        return _sentence_size(buffer)
    return _report_size(buffer) if buffer.startswith(b"{") else _frame_size(buffer)


def _sentence_size(buffer: bytearray) -> int | None:
    if (sentence := _SENTENCE.match(buffer)) is not None:
        checksum = 0
        for byte in sentence[1]:
            checksum ^= byte
        return sentence.end() if checksum == int(sentence[2], 16) else 0
    return None if _SENTENCE_BEGUN.match(buffer) else 0


def _frame_size(buffer: bytearray) -> int | None:
    if len(buffer) < 6:
        return None
    size = 8 + int.from_bytes(buffer[4:6], "little")
    if size > _LONGEST_MESSAGE:
        return 0
    if len(buffer) < size:
        return None
    return size if calc_checksum(bytes(buffer[2 : size - 2])) == buffer[size - 2 : size] else 0


def _report_size(buffer: bytearray) -> int | None:
    if not buffer.startswith(REPORT[: len(buffer)]):
        return 0
    if (end := buffer.find(b"\n")) >= 0:
        return end + 1
    return None if len(buffer) < _LONGEST_REPORT else 0
