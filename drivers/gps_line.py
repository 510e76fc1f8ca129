"""The line to a GPS receiver: messages in, with the times at which they began to come; bytes out.

UBX frames and NMEA sentences are cut out of what comes, and only those whose checksum holds. After
damage the search goes on one byte further, so a message with a false length swallows nothing of
what follows it.
"""

from __future__ import annotations

import errno
import re
from collections import deque
from dataclasses import dataclass

import serial
from pyubx2 import calc_checksum

from camm.errors import UsageError
from drivers.clock import Clock
from drivers.errors import DeviceError

_QUIET_NS = 200_000_000  # longer than any pause inside an epoch, shorter than that between two
_PATIENCE_NS = 1_000_000_000  # with a line that is never quiet and never makes sense
_WRITE_TIMEOUT_S = 1.0
_LONGEST_MESSAGE = 4096  # more than any receiver sends: what claims to be longer is garbage
_BITS_A_BYTE = 10  # with start and stop bit

_START = re.compile(rb"\xb5(?:\x62|\Z)|\$(?:[A-Z]|\Z)")
_SENTENCE = re.compile(rb"\$([A-Z][ -)+-~]{1,1000})\*([0-9A-Fa-f]{2})\r?\n")
_SENTENCE_BEGUN = re.compile(rb"\$[ -~]{0,1000}\r?\Z")
_SENTENCE_NAME = re.compile(rb"\$[A-Z][0-9A-Z]{2,5},")


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came, and CLOCK_MONOTONIC when its first byte had come in."""

    raw: bytes
    arrival_ns: int


class GpsLine:
    """A serial port with a receiver at its other end, opened when made.

    Bytes are taken in whole chunks, as the kernel has them. The last byte of a chunk has just come
    in, the others one byte's transmission earlier each, but none before the chunk that went ahead.

    `messages` and `damaged` count what came whole and what did not, `stray_bytes` those that are
    part of no message: comments, another maker's language, or all there is at a wrong baud rate.
    DeviceError where there is no such port, no permission for it, or another program holds it.
    """

    def __init__(self, port_path: str, baud: int, clock: Clock) -> None:
        self.name = port_path
        self.clock = clock
        self.forget_counts()
        self._port = _open(port_path, baud)
        self._buffer = bytearray()
        self._position = 0  # of the buffer's first byte, counted from the first byte of all
        self._chunks: deque[tuple[int, int]] = deque([(0, 0)])  # end position, time of its end

    @property
    def baud(self) -> int:
        """Bits a second of the line."""
        return int(self._port.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        """Go on at another rate; what has come at the old one is forgotten."""
        self._port.baudrate = baud
        self._port.reset_input_buffer()
        self._drop(len(self._buffer))

    def read(self, until_ns: int | None = None) -> Message | None:
        """Wait for the next message; None where the line is quiet, or makes no sense for a second.

        `until_ns` says how long that may take. DeviceError where the port has gone.
        """
        give_up_ns = self.clock.now_ns() + _PATIENCE_NS if until_ns is None else until_ns
        while (message := self._next()) is None:
            now_ns = self.clock.now_ns()
            if now_ns >= give_up_ns:
                return None
            if not self._fill(min(now_ns + _QUIET_NS, give_up_ns)):
                if not self._buffer:
                    return None
                self._count_damage()  # what had begun will not be finished
        self.messages += 1
        return message

    def forget_counts(self) -> None:
        """Count from nothing: what came while the receiver was looked for says nothing of it."""
        self.messages = self.damaged = self.stray_bytes = 0

    def write(self, data: bytes) -> None:
        """Send bytes to the receiver. DeviceError where that cannot be done."""
        try:
            self._port.write(data)
        except OSError as error:  # of which pyserial's own is one
            raise self._gone(error) from None

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._port.close()

    def _next(self) -> Message | None:
        """The first whole message of the buffer, which is left at a beginning or empty."""
        while (start := _START.search(self._buffer)) is not None:
            self._skip(start.start())
            size = _size(self._buffer)
            if size is None:
                return None
            if size:
                message = Message(bytes(self._buffer[:size]), self._arrival_ns())
                self._drop(size)
                return message
            self._count_damage()
        self._skip(len(self._buffer))
        return None

    def _count_damage(self) -> None:
        """Give up the message that the buffer begins with."""
        if self._buffer.startswith(b"\xb5\x62") or _SENTENCE_NAME.match(self._buffer):
            self.damaged += 1
        self._skip(1)

    def _arrival_ns(self) -> int:
        """When the buffer's first byte had come in."""
        start = self._position
        while len(self._chunks) > 2 and self._chunks[1][0] <= start:
            self._chunks.popleft()
        byte_ns = _BITS_A_BYTE * 1_000_000_000 // self.baud
        before = 0
        for end, at_ns in self._chunks:
            if end > start:
                return max(before, at_ns - (end - 1 - start) * byte_ns)
            before = at_ns
        return before

    def _fill(self, until_ns: int) -> bool:
        """Wait for bytes and take them over; False where none came."""
        try:
            if not self.clock.wait_readable(self._port.fileno(), until_ns):
                return False
            now_ns = self.clock.now_ns()
            chunk = self._port.read(max(1, self._port.in_waiting))
        except OSError as error:
            raise self._gone(error) from None
        self._buffer += chunk
        self._chunks.append((self._chunks[-1][0] + len(chunk), now_ns))
        return bool(chunk)

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._position += size

    def _skip(self, size: int) -> None:
        self.stray_bytes += size
        self._drop(size)

    def _gone(self, error: OSError) -> DeviceError:
        return DeviceError(errno.EIO, f"{self.name} went away: check the cable ({error})")


def _size(buffer: bytearray) -> int | None:
    """Length of the message that the buffer begins with; 0: it is none; None: more must come."""
    if buffer.startswith(b"$"):
        if (sentence := _SENTENCE.match(buffer)) is not None:
            checksum = 0
            for byte in sentence[1]:
                checksum ^= byte
            return sentence.end() if checksum == int(sentence[2], 16) else 0
        return None if _SENTENCE_BEGUN.match(buffer) else 0
    if len(buffer) < 6:
        return None
    size = 8 + int.from_bytes(buffer[4:6], "little")
    if size > _LONGEST_MESSAGE:
        return 0
    if len(buffer) < size:
        return None
    return size if calc_checksum(bytes(buffer[2 : size - 2])) == buffer[size - 2 : size] else 0


def _open(port_path: str, baud: int) -> serial.Serial:
    try:
        return serial.Serial(
            port_path, baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True
        )
    except serial.SerialException as error:
        number = error.errno or errno.EIO
        reason = {
            errno.ENOENT: f"there is no {port_path}: is the receiver plugged in?",
            errno.EACCES: f"no permission for {port_path}: add this user to the group dialout",
            errno.EBUSY: f"another program holds {port_path}: stop it, or record from gpsd://",
            errno.EAGAIN: f"another program holds {port_path}: stop it, or record from gpsd://",
            errno.ENOTTY: f"{port_path} is no serial port",
        }.get(number, f"{port_path} cannot be opened: {error}")
        raise DeviceError(number, reason) from None
    except ValueError:
        raise UsageError(
            f"{port_path} cannot run at {baud} baud: 9600 and 115200 are usual"
        ) from None
