"""Fixes from gpsd, where it holds the receiver: the receiver's own bytes and gpsd's reports.

gpsd passes on what the receiver says, byte for byte (`raw` 2): whole packets between its reports.
Where they bring records of type 6, these are exactly those of a receiver at a port of ours. Of
others (a binary language of another maker, NMEA without accuracies) gpsd's reports are taken.

A TPV report has what NAV-PVT has, by the names of gpsd's json.adoc: `altHAE` above the ellipsoid,
`eph` and `epv`, velocity by `velE velN velD` or by `speed`, `track` and `climb`, `eps`. What gpsd
does not report is not a number. `climb` is differentiated by gpsd for some receivers.
"""

from __future__ import annotations

import errno
import json
import math
import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from camm.errors import UsageError
from camm.gps_time import gps_ns_from_utc
from camm.packets import PacketType, empty_values
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.gps_decoder import GpsDecoder
from drivers.gps_fix import GpsFix
from drivers.gps_messages import REPORT, Message, MessageCutter
from drivers.pps import realtime_offset_ns
from drivers.receiver import GpsStatistics

_DEFAULT_PORT = 2947
_CONNECT_S = 3.0
_QUIET_NS = 200_000_000
_WATCH = b'?WATCH={"enable":true,"json":true,"pps":true,"raw":2}\n'
_CHUNK = 65_536
_OUTDATED_NS = 2_000_000_000
"""So long after the receiver's own last fix, gpsd's account of it is better than none."""
_NOT_AS_DOCUMENTED = (ValueError, TypeError, KeyError, OverflowError, RecursionError)
"""What comes of a line that is no JSON, or of a report that is not as in gpsd's json.adoc."""
_FIX_2D, _FIX_3D = 2, 3
_NO_FIX_STATUS = frozenset({5, 8})  # dead reckoning alone, simulated
_DEVICE_TELLS = ("driver", "subtype", "subtype1")


class GpsdReceiver:
    """A receiver behind gpsd, at `gpsd://HOST:PORT`; connected when made.

    The arrival of a fix is that of gpsd's report, which comes when the epoch is over. Time pulses
    that gpsd knows of are passed on where it runs on this host, for they are on its clock.

    DeviceError where no gpsd answers, UsageError for an address that is none.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.name = url
        self._clock = clock
        self._identity: dict[str, str] = {}
        self._socket = _connect(url)
        self._here = self._socket.getpeername()[0] in ("127.0.0.1", "::1")
        self._cutter = MessageCutter(reports=True)
        self._decoder = GpsDecoder()
        self._damaged = self._fixes = 0  # of gpsd's reports
        self._pulse: tuple[int, int] | None = None
        self._held: GpsFix | None = None  # until gpsd begins another epoch, or pauses
        self._told_ns = 0
        self._own_ns: int | None = None  # GPS time of the newest fix by the receiver's own bytes

    @property
    def identity(self) -> Mapping[str, str]:
        """The release of gpsd, and what it found the receiver to be."""
        return dict(self._identity)

    @property
    def statistics(self) -> GpsStatistics:
        """A snapshot of the counters."""
        counted = self._decoder.statistics(self._cutter.counts)
        return replace(counted, damaged=counted.damaged + self._damaged, fixes=self._fixes)

    def read(self) -> GpsFix | None:
        """Wait for the next message; its fix, or None where it gave none. Call it again.

        DeviceError where gpsd has gone.
        """
        message = self._message()
        if message is None:
            fix = self._own(self._decoder.finish()) or self._finish()
        elif message.raw.startswith(REPORT):
            fix = self._take_apart(message)
        else:
            fix = self._own(self._decoder.take(message))
        self._fixes += fix is not None
        return fix

    def newest_pulse(self) -> tuple[int, int] | None:
        """Number of the newest time pulse, and CLOCK_MONOTONIC when it came, ns; None without."""
        return self._pulse

    def close(self) -> None:
        """Hang up. May be called twice."""
        self._socket.close()

    def _message(self) -> Message | None:
        """The next report or packet; None where none comes for a while."""
        while (message := self._cutter.next()) is None:
            until_ns = self._clock.now_ns() + _QUIET_NS
            if not self._clock.wait_readable(self._socket.fileno(), until_ns):
                return None
            now_ns = self._clock.now_ns()
            try:
                chunk = self._socket.recv(_CHUNK)
            except OSError as error:
                raise DeviceError(errno.EIO, f"{self.name} went away: {error.strerror}") from None
            if not chunk:
                raise DeviceError(errno.EIO, f"{self.name} hung up: is gpsd still running?")
            self._cutter.add(chunk, now_ns)
        return message

    def _own(self, fix: GpsFix | None) -> GpsFix | None:
        """A fix by the receiver's own bytes, if it is better than what gpsd tells of it."""
        if fix is None or fix.kind is not PacketType.GPS:
            return None
        self._own_ns = fix.gps_time_ns
        self._held = None
        return fix

    def _take_apart(self, message: Message) -> GpsFix | None:
        try:
            return self._take(json.loads(message.raw), message.arrival_ns)
        except _NOT_AS_DOCUMENTED:
            self._damaged += 1
            return None

    def _take(self, report: Mapping[str, Any], arrival_ns: int) -> GpsFix | None:
        """Note what a report says; the fix of the epoch before, where it begins another."""
        match report["class"]:
            case "TPV":
                fix = fix_from_tpv(report, arrival_ns)
                return self._hold(fix) if fix is not None else None
            case "SKY" if self._own_ns is None:
                self._decoder.tell_sky(report.get("uSat"), report.get("pdop"))
            case "PPS" if self._here:
                clock_ns = int(report["clock_sec"]) * 1_000_000_000 + int(report["clock_nsec"])
                self._pulse = int(report["real_sec"]), clock_ns - realtime_offset_ns()
            case "VERSION":
                self._identity["gpsd"] = str(report["release"])
            case "DEVICES":
                for device in report["devices"][:1]:
                    self._identify(device)
            case "DEVICE":
                self._identify(report)
        return None

    def _hold(self, fix: GpsFix) -> GpsFix | None:
        """An epoch may be reported in several steps: the last knows most, the first was in time."""
        held = self._held
        if self._own_ns is not None and fix.gps_time_ns < self._own_ns + _OUTDATED_NS:
            return None
        if held is not None and fix.gps_time_ns == held.gps_time_ns:
            self._held = replace(fix, arrival_ns=held.arrival_ns)
            return None
        if fix.gps_time_ns == self._told_ns:
            return None
        finished = self._finish()
        self._held = fix
        return finished

    def _finish(self) -> GpsFix | None:
        held, self._held = self._held, None
        if held is not None:
            self._told_ns = held.gps_time_ns
        return held

    def _identify(self, device: object) -> None:
        if not isinstance(device, Mapping):
            raise TypeError(f"a device is an object, found {device!r}")
        self._identity |= {name: str(device[name]) for name in _DEVICE_TELLS if device.get(name)}


def fix_from_tpv(report: Mapping[str, Any], arrival_ns: int) -> GpsFix | None:
    """A record of type 6 of a TPV report, of type 5 where accuracies or velocity are not known.

    None without a fix, or without its time. ValueError, TypeError or KeyError for a report that is
    not as gpsd documents it.
    """
    mode = report.get("mode", 0)
    if mode not in (_FIX_2D, _FIX_3D) or report.get("status") in _NO_FIX_STATUS:
        return None
    if "time" not in report or "lat" not in report or "lon" not in report:
        return None
    latitude, longitude = float(report["lat"]), float(report["lon"])
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    gps_time_ns = _gps_time_ns(str(report["time"]))
    velocity = _velocity(report)
    complete = velocity is not None and "eph" in report and "epv" in report
    kind = PacketType.GPS if complete else PacketType.MIN_GPS
    values = empty_values(kind, 1)
    values["latitude"] = latitude
    values["longitude"] = longitude
    values["altitude"] = float(report.get("altHAE", math.nan))
    if velocity is not None and complete:
        values["time_gps_epoch"] = gps_time_ns / 1e9
        values["gps_fix_type"] = mode
        values["horizontal_accuracy"] = float(report["eph"])
        values["vertical_accuracy"] = float(report["epv"])
        values["velocity_east"], values["velocity_north"], values["velocity_up"] = velocity
        values["speed_accuracy"] = float(report.get("eps", math.nan))
    return GpsFix(kind, values, gps_time_ns, arrival_ns)


def _velocity(report: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """East, north, up in m/s."""
    if "velE" in report and "velN" in report:
        return float(report["velE"]), float(report["velN"]), -float(report.get("velD", math.nan))
    if "speed" not in report:
        return None
    # Without a course (standing still) there is no direction to speak of.
    speed = float(report["speed"]) if "track" in report else 0.0
    track = math.radians(float(report.get("track", 0.0)))
    return speed * math.sin(track), speed * math.cos(track), float(report.get("climb", math.nan))


def _gps_time_ns(text: str) -> int:
    """GPS time of `2021-06-10T18:18:41.250Z`; the second may be 60."""
    day, _, clock = text.removesuffix("Z").partition("T")
    hours, minutes, seconds = clock.split(":")
    whole, _, fraction = seconds.partition(".")
    since_midnight = (int(hours) * 60 + int(minutes)) * 60 + int(whole)
    nanoseconds = int(fraction.ljust(9, "0")[:9])
    return gps_ns_from_utc(date.fromisoformat(day), since_midnight * 1_000_000_000 + nanoseconds)


def _connect(url: str) -> socket.socket:
    try:
        parts = urlsplit(url)
        address = (parts.hostname or "localhost", parts.port or _DEFAULT_PORT)
    except ValueError:
        raise UsageError(f"{url} is no address: gpsd://HOST:PORT is expected") from None
    try:
        connection = socket.create_connection(address, _CONNECT_S)
    except OSError as error:
        raise DeviceError(
            error.errno or errno.ECONNREFUSED,
            f"no gpsd answers at {address[0]}:{address[1]}: {error.strerror or error}",
        ) from None
    connection.sendall(_WATCH)
    return connection
