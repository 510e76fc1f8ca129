"""The line to a GPS receiver: messages in, bytes out."""

from __future__ import annotations

import errno

import serial

from camm.errors import UsageError
from drivers.clock import Clock
from drivers.errors import DeviceError, EndOfSource
from drivers.gps_messages import LineCounts, Message, MessageCutter

_QUIET_NS = 200_000_000  # longer than any pause inside an epoch, shorter than that between two
_PATIENCE_NS = 1_000_000_000  # with a line that is never quiet and never makes sense
_WRITE_TIMEOUT_S = 1.0
_BYTE_NS_AT_ONE_BAUD = 10_000_000_000  # eight bits, a start and a stop bit


class GpsLine:
    """A serial port with a receiver at its other end, opened when made.

    Bytes are taken in whole chunks, as the kernel has them. `counts` says what came.
    DeviceError where there is no such port, no permission for it, or another program holds it.
    """

    def __init__(self, port_path: str, baud: int, clock: Clock) -> None:
        self.name = port_path
        self.clock = clock
        self._port = _open(port_path, baud)
        self._cutter = MessageCutter(_BYTE_NS_AT_ONE_BAUD // baud)

    @property
    def baud(self) -> int:
        """Bits a second of the line."""
        return int(self._port.baudrate)

    @baud.setter
    def baud(self, baud: int) -> None:
        """Go on at another rate; what has come at the old one is forgotten."""
        self._port.baudrate = baud
        self._port.reset_input_buffer()
        self._cutter.forget()
        self._cutter.byte_ns = _BYTE_NS_AT_ONE_BAUD // baud

    @property
    def counts(self) -> LineCounts:
        """What has come since the beginning, or since `forget_counts`."""
        return self._cutter.counts

    def read(self, until_ns: int | None = None) -> Message | None:
        """Wait for the next message; None where the line is quiet, or makes no sense for a second.

        `until_ns` says how long that may take. DeviceError where the port has gone.
        """
        give_up_ns = self.clock.now_ns() + _PATIENCE_NS if until_ns is None else until_ns
        while (message := self._cutter.next()) is None:
            now_ns = self.clock.now_ns()
            if now_ns >= give_up_ns:
                return None
            if not self._fill(min(now_ns + _QUIET_NS, give_up_ns)):
                if not self._cutter.pending:
                    return None
                self._cutter.give_up()  # what had begun will not be finished
        return message

    def forget_counts(self) -> None:
        """Count from nothing: what came while the receiver was looked for says nothing of it."""
        self._cutter.counts = LineCounts()

    def write(self, data: bytes) -> None:
        """Send bytes to the receiver. DeviceError where that cannot be done."""
        try:
            self._port.write(data)
        except OSError as error:  # of which pyserial's own is one
            raise self._gone(error) from None

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._port.close()

    def _fill(self, until_ns: int) -> bool:
        """Wait for bytes and take them over; False where none came."""
        try:
            if not self.clock.wait_readable(self._port.fileno(), until_ns):
                return False
            now_ns = self.clock.now_ns()
            chunk = self._port.read(max(1, self._port.in_waiting))
        except EndOfSource:
            raise
        except OSError as error:
            raise self._gone(error) from None
        self._cutter.add(chunk, now_ns)
        return bool(chunk)

    def _gone(self, error: OSError) -> DeviceError:
        return DeviceError(errno.EIO, f"{self.name} went away: check the cable ({error})")


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
