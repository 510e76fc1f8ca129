"""GPS receivers on a serial port: u-blox' UBX or anybody's NMEA 0183.

UBX-NAV-PVT has the whole of a fix in one message and wins; a receiver that speaks NMEA alone gives
what NMEA can (`drivers.gps_nmea`). Messages are framed and taken apart by pyubx2 and pynmeagps.
What those libraries cannot know is when a message began to come in, and so a `StampedStream`
stands between them and the port.
"""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from datetime import date

import serial
from pynmeagps import NMEAReader
from pynmeagps.exceptions import (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
)
from pyubx2 import (
    ERR_LOG,
    NMEA_PROTOCOL,
    PARSE_NONE,
    RTCM3_PROTOCOL,
    UBX_PROTOCOL,
    UBXMessage,
    UBXMessageError,
    UBXParseError,
    UBXReader,
    UBXStreamError,
    UBXTypeError,
)

from camm.errors import UsageError
from camm.gps_time import gps_ns_from_utc
from camm.packets import PacketType, empty_values
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.gps_fix import GpsFix, Latency
from drivers.gps_nmea import SENTENCES, NmeaEpochs

__all__ = ["GpsFix", "GpsReceiver", "GpsStatistics", "Latency", "StampedStream", "fix_from_nav_pvt"]

_QUIET_NS = 200_000_000  # longer than any pause inside an epoch, shorter than that between two
_LONGEST_MESSAGE = 4096  # more than any receiver sends: what claims to be longer is garbage
_LONGEST_LINE = 1024
_BITS_A_BYTE = 10  # with start and stop bit

_NAV_PVT = b"\xb5\x62\x01\x07"
_NAV_PVT_BYTES = 8 + 84  # at the least: u-blox 7 has 84 bytes of payload, later ones 92
_FIX_TYPES = {2: 2, 3: 3, 4: 3}
"""NAV-PVT's fixType to CAMM's: 2D, 3D, and GNSS with dead reckoning. The rest is no fix: none,
dead reckoning alone, time only."""

_LIBRARY_ERRORS = (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
    UBXMessageError,
    UBXParseError,
    UBXStreamError,
    UBXTypeError,
    ValueError,  # bytes in a sentence that are no text, a date that is none
)


@dataclass(frozen=True, slots=True)
class GpsStatistics:
    """What has come over the line: messages, those of them that were damaged, and fixes."""

    messages: int
    damaged: int
    fixes: int


class StampedStream:
    """A serial port as the file that pyubx2 reads, with the arrival time of every byte.

    It reads in whole chunks, as the kernel has them. The last byte of a chunk has just come in, the
    others one byte's transmission earlier each, but none before the chunk that went ahead of it.
    """

    def __init__(self, port: serial.Serial, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._byte_ns: int = _BITS_A_BYTE * 1_000_000_000 // port.baudrate
        self._buffer = bytearray()
        self._position = 0
        self._chunks: deque[tuple[int, int]] = deque([(0, 0)])  # end position, time of its end

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer, or none, where the line falls quiet before they are there.

        A size beyond any message's is garbage taken for a length, and gets one byte: the reader
        gives that message up and looks for the next.
        """
        if size > _LONGEST_MESSAGE:
            size = 1
        while len(self._buffer) < size and self._fill():
            pass
        return self._take(size)

    def readline(self) -> bytes:
        """Bytes up to a line feed; without one where the line falls quiet or has no end."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched >= _LONGEST_LINE or not self._fill():
                return self._take(_LONGEST_LINE)
        return self._take(min(end + 1, _LONGEST_LINE))

    def arrival_ns(self, length: int) -> int:
        """When the first of the `length` bytes read last had come in, CLOCK_MONOTONIC."""
        start = self._position - length
        while len(self._chunks) > 2 and self._chunks[1][0] <= start:
            self._chunks.popleft()
        before = 0
        for end, at_ns in self._chunks:
            if end > start:
                return max(before, at_ns - (end - 1 - start) * self._byte_ns)
            before = at_ns
        return before

    def _fill(self) -> bool:
        """Wait for bytes and take them over; False where none came for a while."""
        if not self._clock.wait_readable(self._port.fileno(), self._clock.now_ns() + _QUIET_NS):
            return False
        now = self._clock.now_ns()
        try:
            chunk = self._port.read(max(1, self._port.in_waiting))
        except OSError as error:  # of which pyserial's own is one
            raise DeviceError(
                errno.EIO, f"{self._port.port} went away: check the cable ({error})"
            ) from None
        self._buffer += chunk
        self._chunks.append((self._chunks[-1][0] + len(chunk), now))
        return bool(chunk)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[: len(taken)]
        self._position += len(taken)
        return taken


class GpsReceiver:
    """A receiver at a serial port, opened when made.

    DeviceError where there is no such port, no permission for it, or another program holds it.
    """

    def __init__(self, port_path: str, baud: int, clock: Clock) -> None:
        self.name = port_path
        self._port = _open(port_path, baud)
        self._stream = StampedStream(self._port, clock)
        self._reader = UBXReader(
            self._stream,
            protfilter=UBX_PROTOCOL | NMEA_PROTOCOL | RTCM3_PROTOCOL,
            quitonerror=ERR_LOG,
            errorhandler=self._count_damage,
            # Framing alone: we take apart the few messages that we use.
            parsing=PARSE_NONE,
        )
        self._epochs = NmeaEpochs()
        self._speaks_ubx = False
        self._messages = 0
        self._damaged = 0
        self._fixes = 0

    def read(self) -> GpsFix | None:
        """Wait for the next message; its fix, or None where it gave none. Call it again.

        Never waits long: None also where the line is quiet. NMEA gives a fix when its epoch is
        over. Once a NAV-PVT has come NMEA is no longer looked at, so no epoch comes twice; and as
        an NMEA epoch is given out only when it is over, a NAV-PVT of that same epoch is in time.

        DeviceError where the receiver has been unplugged.
        """
        try:
            raw, _ = self._reader.read()
            fix = self._epochs.finish() if raw is None else self._take_apart(raw)
        except _LIBRARY_ERRORS as error:
            self._count_damage(error)
            return None
        if fix is not None:
            self._fixes += 1
        return fix

    @property
    def statistics(self) -> GpsStatistics:
        """A snapshot of the counters."""
        return GpsStatistics(self._messages, self._damaged, self._fixes)

    def close(self) -> None:
        """Give the port back. May be called twice."""
        self._port.close()

    def _take_apart(self, raw: bytes) -> GpsFix | None:
        self._messages += 1
        arrival_ns = self._stream.arrival_ns(len(raw))
        if raw.startswith(_NAV_PVT) and len(raw) >= _NAV_PVT_BYTES:
            message = UBXReader.parse(raw)
            self._speaks_ubx = True
            self._epochs = NmeaEpochs()  # and what it had collected of this epoch is dropped
            return fix_from_nav_pvt(message, arrival_ns)
        if not self._speaks_ubx and raw.startswith(b"$") and raw[3:6] in SENTENCES:
            sentence = NMEAReader.parse(raw)
            if sentence is None:
                self._damaged += 1
                return None
            return self._epochs.add(sentence, arrival_ns)
        return None

    def _count_damage(self, _error: Exception) -> None:
        self._damaged += 1


def fix_from_nav_pvt(message: UBXMessage, arrival_ns: int) -> GpsFix | None:
    """A record of type 6 of a parsed UBX-NAV-PVT; None where the message says there is no fix.

    Interface description of u-blox M8, section UBX-NAV-PVT. A receiver that has lost the sky goes
    on sending plausible positions, and clears `gnssFixOk`.
    """
    fix_type = _FIX_TYPES.get(message.fixType)
    if (
        fix_type is None
        or not message.gnssFixOk
        or message.invalidLlh
        or not (message.validDate and message.validTime)
    ):
        return None
    # `nano` is what rounding to the second has left over, and may be negative; `second` may be 60.
    seconds = (message.hour * 60 + message.min) * 60 + message.second
    day = date(message.year, message.month, message.day)
    gps_time_ns = gps_ns_from_utc(day, seconds * 1_000_000_000 + message.nano)
    values = empty_values(PacketType.GPS, 1)
    values["time_gps_epoch"] = gps_time_ns / 1e9
    values["gps_fix_type"] = fix_type
    values["latitude"] = message.lat
    values["longitude"] = message.lon
    values["altitude"] = message.height / 1e3  # above the ellipsoid; hMSL is above the sea
    values["horizontal_accuracy"] = message.hAcc / 1e3
    values["vertical_accuracy"] = message.vAcc / 1e3
    values["velocity_east"] = message.velE / 1e3
    values["velocity_north"] = message.velN / 1e3
    values["velocity_up"] = -message.velD / 1e3
    values["speed_accuracy"] = message.sAcc / 1e3
    return GpsFix(PacketType.GPS, values, gps_time_ns, arrival_ns)


def _open(port_path: str, baud: int) -> serial.Serial:
    try:
        return serial.Serial(port_path, baud, timeout=0, exclusive=True)
    except serial.SerialException as error:
        number = error.errno or errno.EIO
        reason = {
            errno.ENOENT: f"there is no {port_path}: is the receiver plugged in?",
            errno.EACCES: f"no permission for {port_path}: add this user to the group dialout",
            errno.EBUSY: f"another program holds {port_path}: stop it (gpsd?)",
            errno.EAGAIN: f"another program holds {port_path}: stop it (gpsd?)",
            errno.ENOTTY: f"{port_path} is no serial port",
        }.get(number, f"{port_path} cannot be opened: {error}")
        raise DeviceError(number, reason) from None
    except ValueError:
        raise UsageError(
            f"{port_path} cannot run at {baud} baud: 9600 and 115200 are usual"
        ) from None
