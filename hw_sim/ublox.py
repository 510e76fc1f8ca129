"""What a u-blox receiver says of one epoch: UBX-NAV-PVT, and NMEA 4.1 RMC, GGA, GSA, GST.

Layouts: u-blox M8 receiver description, UBX-13003221, sections 31 (NMEA) and 32 (UBX).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

GPS_EPOCH = datetime(1980, 1, 6, tzinfo=UTC)
LEAP_SECONDS = 18
"""GPS time is ahead of UTC by this much since 2017."""

_IDENTITIES = (2, 5, 7, 9, 13, 16, 20, 29, 30)
_WEEK_NS = 604_800 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """One navigation solution as the receiver reports it.

    `gps_ns` nanoseconds of GPS time since 1980-01-06; degrees; metres above the ellipsoid; m/s.
    `fix` is 3 or 2, the number of dimensions, or 0: none.
    """

    gps_ns: int
    latitude_deg: float
    longitude_deg: float
    height_m: float
    geoid_separation_m: float
    east_m_s: float
    north_m_s: float
    up_m_s: float
    horizontal_accuracy_m: float
    vertical_accuracy_m: float
    speed_accuracy_m_s: float
    fix: int = 3
    satellites: int = 14

    @property
    def ground_speed_m_s(self) -> float:
        """Speed over ground."""
        return math.hypot(self.east_m_s, self.north_m_s)

    @property
    def course_deg(self) -> float:
        """Direction of travel, clockwise from north, 0 to 360."""
        return math.degrees(math.atan2(self.east_m_s, self.north_m_s)) % 360

    def utc(self) -> tuple[datetime, int, int]:
        """Whole second, hundredths, and the nanoseconds from the whole second to the instant.

        The receiver rounds to hundredths first, so the nanoseconds are negative just before a
        second begins.
        """
        utc_ns = self.gps_ns - LEAP_SECONDS * 1_000_000_000
        hundredths = (utc_ns + 5_000_000) // 10_000_000
        second = hundredths // 100
        return (
            GPS_EPOCH + timedelta(seconds=second),
            hundredths % 100,
            utc_ns - second * 1_000_000_000,
        )


def ubx(kind: int, number: int, payload: bytes) -> bytes:
    """A UBX frame with its Fletcher checksum."""
    body = struct.pack("<BBH", kind, number, len(payload)) + payload
    a = b = 0
    for byte in body:
        a = (a + byte) & 0xFF
        b = (b + a) & 0xFF
    return b"\xb5\x62" + body + bytes([a, b])


def nav_pvt(epoch: Epoch) -> bytes:
    """UBX-NAV-PVT. Without a fix the position is in it, and only `gnssFixOK` says not to use it."""
    utc, _, nano = epoch.utc()
    mm = [
        round(1000 * value)
        for value in (
            epoch.height_m,
            epoch.height_m - epoch.geoid_separation_m,
            epoch.horizontal_accuracy_m,
            epoch.vertical_accuracy_m,
            epoch.north_m_s,
            epoch.east_m_s,
            -epoch.up_m_s,
            epoch.ground_speed_m_s,
        )
    ]
    payload = struct.pack(
        "<IHBBBBBBIiBBBBiiiiIIiiiiiIIHH4xihH",
        (epoch.gps_ns % _WEEK_NS + 500_000) // 1_000_000,
        *(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second),
        0x07,  # date and time valid, seconds fully resolved
        25,  # time accuracy, ns
        nano,
        epoch.fix,
        0x01 if epoch.fix else 0x00,  # gnssFixOK
        0xE0,  # date and time confirmed
        epoch.satellites,
        round(epoch.longitude_deg * 1e7),
        round(epoch.latitude_deg * 1e7),
        *mm,
        round(epoch.course_deg * 1e5),
        round(1000 * epoch.speed_accuracy_m_s),
        round(4.5 * 1e5),  # heading accuracy
        142,  # PDOP 1.42
        *(0, 0, 0, 0),
    )
    return ubx(0x01, 0x07, payload)


def nmea(epoch: Epoch) -> bytes:
    """RMC, GGA, GSA and GST in the order in which the receiver sends them."""
    utc, hundredths, _ = epoch.utc()
    time, day = f"{utc:%H%M%S}.{hundredths:02d}", f"{utc:%d%m%y}"
    used = _IDENTITIES[: min(epoch.satellites, len(_IDENTITIES))] if epoch.fix else ()
    listed = ",".join([*(f"{number:02d}" for number in used), *[""] * (12 - len(used))])
    if not epoch.fix:
        return b"".join(
            map(
                _sentence,
                (
                    f"GNRMC,{time},V,,,,,,,{day},,,N,V",
                    f"GNGGA,{time},,,,,0,{epoch.satellites:02d},99.99,,,,,,",
                    f"GNGSA,A,1,{listed},99.99,99.99,99.99,1",
                    f"GNGST,{time},,,,,,,",
                ),
            )
        )
    place = f"{_angle(epoch.latitude_deg, 2, 'NS')},{_angle(epoch.longitude_deg, 3, 'EW')}"
    knots = epoch.ground_speed_m_s * 3600 / 1852
    altitude = epoch.height_m - epoch.geoid_separation_m
    sigma = epoch.horizontal_accuracy_m / math.sqrt(2)
    satellites = min(epoch.satellites, 12)
    return b"".join(
        map(
            _sentence,
            (
                f"GNRMC,{time},A,{place},{knots:.3f},{epoch.course_deg:.2f},{day},,,A,V",
                f"GNGGA,{time},{place},1,{satellites:02d},0.71,{altitude:.3f},M,"
                f"{epoch.geoid_separation_m:.3f},M,,",
                f"GNGSA,A,{epoch.fix},{listed},1.42,0.71,1.23,1",
                f"GNGST,{time},6.5,,,,{sigma:.2f},{sigma:.2f},{epoch.vertical_accuracy_m:.2f}",
            ),
        )
    )


def _angle(degrees: float, width: int, letters: str) -> str:
    # Hundred-thousandths of a minute: rounding the whole cannot give a sixtieth minute.
    whole, part = divmod(round(abs(degrees) * 60e5), 60 * 100_000)
    return f"{whole:0{width}d}{part / 1e5:08.5f},{letters[degrees < 0]}"


def _sentence(body: str) -> bytes:
    checksum = 0
    for byte in body.encode("ascii"):
        checksum ^= byte
    return f"${body}*{checksum:02X}\r\n".encode("ascii")
