import dataclasses
from datetime import UTC, datetime

import pytest
from pynmeagps import NMEAReader
from pyubx2 import UBXReader

from hw_sim.ublox import GPS_EPOCH, Epoch, nav_pvt, nmea, ubx

NOON = (datetime(2026, 7, 2, 12, tzinfo=UTC) - GPS_EPOCH).total_seconds() + 18
EPOCH = Epoch(
    gps_ns=int(NOON) * 10**9 + 300_000_000 - 213,
    latitude_deg=37.7694001,
    longitude_deg=-122.4862002,
    height_m=38.123,
    geoid_separation_m=-32.3,
    east_m_s=-1.25,
    north_m_s=0.5,
    up_m_s=0.125,
    horizontal_accuracy_m=1.3,
    vertical_accuracy_m=2.1,
    speed_accuracy_m_s=0.12,
)


def test_a_frame_is_the_known_one():
    # The poll of MON-VER, as every u-blox manual prints it.
    assert ubx(0x0A, 0x04, b"").hex() == "b5620a0400000e34"


def test_nav_pvt_says_what_the_epoch_says():
    frame = nav_pvt(EPOCH)
    assert frame[:6].hex() == "b56201075c00"
    message = UBXReader.parse(frame)
    assert (message.lat, message.lon) == (37.7694001, -122.4862002)
    assert (message.height, message.hMSL) == (38123, 70423)
    assert (message.velN, message.velE, message.velD) == (500, -1250, -125)
    assert (message.hAcc, message.vAcc, message.sAcc) == (1300, 2100, 120)
    assert message.gSpeed == 1346
    assert message.headMot == pytest.approx(291.80141)
    assert (message.fixType, message.gnssFixOk, message.validDate, message.validTime) == (
        3,
        1,
        1,
        1,
    )
    assert (message.year, message.month, message.day) == (2026, 7, 2)
    assert (message.hour, message.min, message.second) == (12, 0, 0)
    assert message.nano == 299_999_787
    # Thursday noon, eighteen leap seconds on.
    assert frame[6:10] == (((4 * 24 + 12) * 3600 + 18) * 1000 + 300).to_bytes(4, "little")


def test_nanoseconds_are_negative_just_before_a_second():
    epoch = dataclasses.replace(EPOCH, gps_ns=int(NOON) * 10**9 - 213)
    message = UBXReader.parse(nav_pvt(epoch))
    assert (message.hour, message.min, message.second, message.nano) == (12, 0, 0, -213)


def test_nmea_says_what_the_epoch_says():
    lines = nmea(EPOCH).splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in lines)
    rmc, gga, gsa, gst = (NMEAReader.parse(line) for line in lines)
    for message in (rmc, gga):
        assert message.lat == pytest.approx(37.7694001, abs=1e-7)
        assert message.lon == pytest.approx(-122.4862002, abs=1e-7)
        assert message.time.isoformat() == "12:00:00.300000"
    assert rmc.date.isoformat() == "2026-07-02"
    assert rmc.status == "A"
    assert rmc.spd == pytest.approx(1.3463 * 3600 / 1852, abs=1e-3)
    assert rmc.cog == pytest.approx(291.80)
    assert (gga.alt, gga.sep, gga.quality) == (70.423, -32.3, 1)
    assert (gsa.navMode, gsa.PDOP) == (3, 1.42)
    assert (gst.stdLat, gst.stdAlt) == (0.92, 2.1)


def test_minutes_never_read_sixty():
    epoch = dataclasses.replace(EPOCH, latitude_deg=-37.99999999999)
    assert b",3800.00000,S," in nmea(epoch)
