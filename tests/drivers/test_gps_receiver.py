"""GPS receivers on a real pty, against what gpsd makes of the same bytes."""

import json
import os
import select
import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camm import PacketType, UsageError
from camm.gps_time import gps_from_utc, gps_ns_from_utc, utc_from_gps
from drivers.errors import DeviceError
from drivers.gps import GpsReceiver
from drivers.gps_fix import Latency

DATA = Path(__file__).parents[1] / "data" / "gps"
BAUD = 9600
BYTE_NS = 10_000_000_000 // BAUD


class Line:
    """A pty and the clock of its far end: bytes come in, `burst` at a time, while somebody waits.

    `pieces` are handed over one after the other; None is half a second of silence.
    """

    def __init__(self, pieces, burst=32):
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        self.t_ns = 1_000_000_000_000
        self.began_ns = []  # when the first byte of each piece began to be sent
        self.burst = burst
        self._pieces = list(pieces)
        self._left = b""

    @property
    def exhausted(self):
        return not self._pieces and not self._left

    def now_ns(self):
        return self.t_ns

    def wait_readable(self, fd, until_ns):
        if select.select([fd], [], [], 0)[0]:
            return True
        if not self._left and self._pieces:
            piece = self._pieces.pop(0)
            if piece is None:
                self.t_ns += 500_000_000
                return False
            self.began_ns.append(self.t_ns)
            self._left = piece
        if not self._left:
            self.t_ns = until_ns
            return False
        sent, self._left = self._left[: self.burst], self._left[self.burst :]
        os.write(self.master, sent)
        self.t_ns += len(sent) * BYTE_NS
        return bool(select.select([fd], [], [], 5)[0])  # the kernel hands it over at its leisure

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def fixes_of(*pieces, burst=32):
    line = Line(pieces, burst)
    receiver = GpsReceiver(line.path, BAUD, line)
    try:
        fixes = []
        while not line.exhausted:
            fixes.append(receiver.read())
        # What is still in the buffers, and the epoch that silence ends.
        fixes += [receiver.read() for _ in range(400)]
        return [fix for fix in fixes if fix is not None], receiver.statistics, line
    finally:
        receiver.close()
        line.close()


def reports_of_gpsd(name, kind):
    """gpsd's reports of a class by their time in whole milliseconds; the last one of each time.

    Numbers are as gpsd wrote them, digit by digit.
    """
    lines = (DATA / f"{name}.log.chk").read_bytes().splitlines()
    reports = (json.loads(line, parse_float=str) for line in lines if line.startswith(b"{"))
    return {
        report["time"]: report for report in reports if report["class"] == kind and "time" in report
    }


def label(fix):
    """A fix's time as gpsd writes it."""
    utc = utc_from_gps(round(fix.gps_time_s, 3)) + timedelta(microseconds=500)
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"


def nav_pvt(**changes):
    """A NAV-PVT message, its layout from u-blox' interface description."""
    field = {
        "year": 2024, "month": 3, "day": 28, "hour": 15, "min": 57, "sec": 37, "valid": 0x07,
        "nano": 0, "fix": 3, "flags": 0x01, "flags3": 0, "lon": -1170207302, "lat": 464045956,
        "height": 247522, "velN": 46, "velE": 249, "velD": -69,
    } | changes  # fmt: skip
    body = struct.pack(
        "<IHBBBBBBIiBBBBiiiiIIiiiiiIIHH4xihH",
        0, field["year"], field["month"], field["day"], field["hour"], field["min"], field["sec"],
        field["valid"], 0, field["nano"], field["fix"], field["flags"], 0, 10, field["lon"],
        field["lat"], field["height"], 265694, 7915, 11179, field["velN"], field["velE"],
        field["velD"], 253, 0, 727, 0, 230, field["flags3"], 0, 0, 0,
    )  # fmt: skip
    return ubx(0x01, 0x07, body)


def ubx(message_class, message_id, body):
    frame = bytes([message_class, message_id]) + struct.pack("<H", len(body)) + body
    a = b = 0
    for byte in frame:
        a = (a + byte) % 256
        b = (b + a) % 256
    return b"\xb5\x62" + frame + bytes([a, b])


def nmea(text):
    checksum = 0
    for byte in text.encode():
        checksum ^= byte
    return f"${text}*{checksum:02X}\r\n".encode()


RMC = "GNRMC,{time},A,3806.62964,N,12237.61382,W,10.0,90.0,{date},,,A,V"
GGA = "GNGGA,{time},3806.62964,N,12237.61382,W,1,12,0.54,83.1,M,-29.5,M,,"
GST = "GNGST,{time},12,2.5,2.4,126,3.0,4.0,3.1"


def epoch(time="120000.00", date="110720", *, gst=True):
    texts = [RMC, GGA, GST] if gst else [RMC, GGA]
    return b"".join(nmea(text.format(time=time, date=date)) for text in texts)


@pytest.mark.parametrize(
    ("name", "count"), [("ublox-neo-m8p", 58), ("navisys-gr8013", 35), ("ublox-zed-f9p-sfrbx", 18)]
)
def test_ubx_fixes_are_those_of_gpsd_to_the_last_digit(name, count):
    fixes, _, _ = fixes_of((DATA / f"{name}.log").read_bytes())
    ours = {label(fix): fix.values[0] for fix in fixes}
    assert {fix.kind for fix in fixes} == {PacketType.GPS}
    theirs = reports_of_gpsd(name, "TPV")
    # gpsd keeps the last epoch of a log that ends in the middle of it.
    assert theirs.keys() <= ours.keys()
    assert len(ours) - len(theirs) <= 1
    assert len(theirs) == count
    for time, report in theirs.items():
        row = ours[time]
        assert f"{row['latitude']:.9f}" == report["lat"]
        assert f"{row['longitude']:.9f}" == report["lon"]
        assert f"{row['altitude']:.3f}0" == report["altHAE"]
        assert f"{row['horizontal_accuracy']:.3f}" == report["eph"]
        assert f"{row['vertical_accuracy']:.3f}" == report["epv"]
        speed = np.hypot(row["velocity_east"], row["velocity_north"])
        assert speed == pytest.approx(float(report["speed"]), abs=2e-3)
        assert row["gps_fix_type"] == report["mode"] == 3
        assert row["speed_accuracy"] > 0


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("ublox-8", PacketType.MIN_GPS, 72),
        ("mt3339", PacketType.MIN_GPS, 30),
        ("gp-320fw-2019-03-28", PacketType.MIN_GPS, 19),
        ("ublox-neo-m9n-nmea", PacketType.GPS, 61),
        ("quectel-L70", PacketType.GPS, 16),
    ],
)
def test_nmea_fixes_are_those_of_gpsd(name, kind, count):
    """Type 5 without GST, type 6 with it, and never both."""
    fixes, _, _ = fixes_of((DATA / f"{name}.log").read_bytes())
    assert {fix.kind for fix in fixes} == {kind}
    ours = {label(fix): fix.values[0] for fix in fixes}
    assert len(ours) == len(fixes)
    theirs = reports_of_gpsd(name, "TPV")
    assert theirs.keys() <= ours.keys()
    assert len(ours) - len(theirs) <= 1
    assert len(theirs) == count
    for time, report in theirs.items():
        row = ours[time]
        assert row["latitude"] == pytest.approx(float(report["lat"]), abs=1.1e-9)
        assert row["longitude"] == pytest.approx(float(report["lon"]), abs=1.1e-9)
        assert row["altitude"] == pytest.approx(float(report["altHAE"]), abs=6e-4)
    for time, report in reports_of_gpsd(name, "GST").items():
        row, sigma = ours[time], [float(report[way]) for way in ("lat", "lon", "alt")]
        assert row["horizontal_accuracy"] == pytest.approx(np.hypot(*sigma[:2]))
        assert row["vertical_accuracy"] == pytest.approx(sigma[2])


@pytest.mark.parametrize(
    ("name", "fixes", "messages", "damaged"),
    [
        ("ublox-neo-m8u-hnr", 1, 46, 0),
        ("u-blox-m8t-time", 0, 1511, 1),
        ("bu303-moving", 0, 0, None),
        ("pygpsdata-MIXED", 39, 308, 0),
        ("pygpsdata-BADHDR", 0, 2, 0),
        ("pygpsdata-BADEOF1", 1, 3, 1),
    ],
)
def test_what_else_receivers_say_is_passed_over(name, fixes, messages, damaged):
    """Other UBX messages, the binary language of another maker, broken headers and ends."""
    found, statistics, _ = fixes_of((DATA / f"{name}.log").read_bytes(), burst=500)
    assert (len(found), statistics.messages) == (fixes, messages)
    assert damaged in (None, statistics.damaged)


def test_nav_pvt_becomes_type_6_field_by_field():
    [fix], _, _ = fixes_of(nav_pvt(lat=501350851, nano=-250_000_000))
    row = fix.values[0]
    utc = datetime(2024, 3, 28, 15, 57, 36, 750_000, UTC)
    assert fix.gps_time_s == gps_from_utc(utc) == row["time_gps_epoch"]
    # Seconds since 1980-01-06, with 18 leap seconds.
    assert fix.gps_time_ns == int((utc.timestamp() - 315_964_800 + 18) * 1000) * 1_000_000
    assert row["latitude"] == 50.1350851
    assert row["longitude"] == -117.0207302
    assert row["altitude"] == np.float32(247.522)
    assert row["velocity_east"] == np.float32(0.249)
    assert row["velocity_north"] == np.float32(0.046)
    assert row["velocity_up"] == np.float32(0.069)
    assert row["speed_accuracy"] == np.float32(0.727)


@pytest.mark.parametrize(
    "changes",
    [{"flags": 0}, {"fix": 0}, {"fix": 1}, {"fix": 5}, {"flags3": 1}, {"valid": 1}, {"month": 13}],
    ids=str,
)
def test_what_is_no_fix_leaves_no_record(changes):
    fixes, statistics, _ = fixes_of(nav_pvt(**changes))
    assert fixes == []
    assert statistics.messages == 1


@pytest.mark.parametrize(("fix", "recorded"), [(2, 2), (3, 3), (4, 3)])
def test_fix_types(fix, recorded):
    [found], _, _ = fixes_of(nav_pvt(fix=fix))
    assert found.values["gps_fix_type"] == recorded


def test_a_leap_second_is_a_second_of_its_own():
    second_60, [after] = (
        gps_ns_from_utc(date(2016, 12, 31), 86_400 * 10**9),
        [gps_ns_from_utc(date(2017, 1, 1), 0)],
    )
    assert after - second_60 == 10**9
    [fix], _, _ = fixes_of(nav_pvt(year=2016, month=12, day=31, hour=23, min=59, sec=60))
    assert fix.gps_time_ns == second_60


@pytest.mark.parametrize("burst", [1, 32, 1000])
def test_the_arrival_is_that_of_the_first_byte_however_the_bytes_come(burst):
    message = nav_pvt()
    fixes, _, line = fixes_of(ubx(0x01, 0x04, bytes(18)), message, message, burst=burst)
    for fix, began in zip(fixes, line.began_ns[1:], strict=True):
        assert fix.arrival_ns - began == pytest.approx(BYTE_NS, abs=2)


def test_an_nmea_epoch_arrives_with_its_first_sentence():
    fixes, _, line = fixes_of(epoch("120000.00"), None, epoch("120001.00"), None)
    assert len(fixes) == 2
    for fix, began in zip(fixes, line.began_ns, strict=True):
        assert fix.arrival_ns - began == pytest.approx(BYTE_NS, abs=2)


def test_nmea_of_an_epoch_that_ubx_has_too_is_dropped():
    pvt = nav_pvt(year=2020, month=7, day=11, hour=12, min=0, sec=0)
    again = nav_pvt(year=2020, month=7, day=11, hour=12, min=0, sec=1)
    fixes, _, _ = fixes_of(
        epoch("120000.00"), pvt, None, epoch("120001.00"), again, None, epoch("120002.00"), None
    )
    assert [fix.gps_time_ns for fix in fixes] == [
        gps_ns_from_utc(date(2020, 7, 11), second * 10**9) for second in (43_200, 43_201)
    ]
    assert all(fix.values["speed_accuracy"] == np.float32(0.727) for fix in fixes)


def test_a_sentence_that_comes_late_makes_no_second_fix_of_its_epoch():
    late = nmea(GGA.format(time="120000.00"))
    fixes, _, _ = fixes_of(epoch("120000.00"), None, late, None, epoch("120001.00"), None)
    assert [fix.gps_time_ns % 10**10 // 10**9 for fix in fixes] == [8, 9]  # 18 leap seconds
    assert all(fix.kind is PacketType.GPS for fix in fixes)


def test_speed_and_course_become_a_velocity():
    [fix], _, _ = fixes_of(epoch())
    assert fix.values["velocity_east"] == pytest.approx(5.14444, abs=1e-4)
    assert fix.values["velocity_north"] == pytest.approx(0, abs=1e-6)
    assert fix.values["horizontal_accuracy"] == 5.0


def test_without_a_geoid_separation_the_height_is_not_known():
    gga = "GNGGA,120000.00,3806.62964,N,12237.61382,W,1,12,0.54,83.1,M,,M,,"
    [fix], _, _ = fixes_of(nmea(RMC.format(time="120000.00", date="110720")) + nmea(gga))
    assert np.isnan(fix.values["altitude"][0])


def test_after_midnight_the_day_is_the_next_one_before_any_sentence_says_so():
    gga = nmea(GGA.format(time="000000.00"))
    fixes, _, _ = fixes_of(epoch("235959.00", "311220", gst=False), None, gga, None)
    assert fixes[1].gps_time_ns - fixes[0].gps_time_ns == 10**9


def test_an_epoch_without_a_date_is_no_fix():
    fixes, _, _ = fixes_of(nmea(GGA.format(time="120000.00")), None)
    assert fixes == []


def test_a_damaged_message_is_counted_and_the_next_one_read():
    message = nav_pvt()
    broken = message[:40] + bytes([message[40] ^ 0x10]) + message[41:]
    line = nmea(RMC.format(time="120000.00", date="110720"))
    fixes, statistics, _ = fixes_of(line.replace(b"*", b"1*"), broken, b"\x00\xffnoise", message)
    assert len(fixes) == 1
    assert statistics.damaged == 2
    assert statistics.fixes == 1


def test_a_length_that_cannot_be_does_not_swallow_what_follows():
    fixes, statistics, _ = fixes_of(b"\xb5\x62\x01\x07\xff\xff", nav_pvt(), nav_pvt(sec=38))
    assert len(fixes) >= 1
    assert statistics.damaged >= 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xb5\x62\x01\x07\x00\x03",  # claims 768 bytes
        nav_pvt()[:60],  # the end of it was lost
        b"$GNRMC,120000.00,A,38",
        b"\xb5",
        b"$",
        b"$G",
        bytes(range(256)) * 3,
    ],
    ids=["false length", "cut UBX", "cut NMEA", "b5", "$", "$G", "noise"],
)
def test_garbage_swallows_nothing_of_what_follows_it(garbage):
    followers = [nav_pvt(sec=second) for second in range(20)]
    fixes, statistics, _ = fixes_of(garbage + b"".join(followers))
    assert [fix.gps_time_ns // 10**9 % 60 for fix in fixes] == [(s + 18) % 60 for s in range(20)]
    assert statistics.stray_bytes == len(garbage)
    # And each has kept the time at which it came.
    arrivals = np.diff([fix.arrival_ns for fix in fixes])
    np.testing.assert_allclose(arrivals, 100 * BYTE_NS, atol=2)


def test_pieces_that_come_with_pauses_are_one_message_still():
    message = nav_pvt()
    pieces = [message[at : at + 7] for at in range(0, len(message), 7)]
    fixes, statistics, _ = fixes_of(*pieces)
    assert len(fixes) == 1
    assert statistics.damaged == 0


def test_a_message_that_silence_cuts_is_damaged_and_the_next_is_whole():
    fixes, statistics, _ = fixes_of(nav_pvt()[:70], None, nav_pvt(sec=38))
    assert len(fixes) == 1
    assert statistics.damaged == 1


def test_a_line_that_is_never_quiet_and_makes_no_sense_does_not_hold_up_its_reader():
    noise = np.random.default_rng(4).integers(0, 0xB0, 60_000, np.uint8).tobytes()
    line = Line([noise])
    receiver = GpsReceiver(line.path, BAUD, line)
    for _ in range(5):
        before = line.t_ns
        assert receiver.read() is None
        assert line.t_ns - before < 1_200_000_000
    assert not line.exhausted
    receiver.close()
    line.close()


@settings(max_examples=30)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from([b"\xb5\x62\x01\x07", b"\xb5\x62", b"$GNRMC,", b"\xd3\x00", b"\r\n"]),
            st.text("GPNRMCAVTS0123456789.,*-$", max_size=60).map(nmea),
            st.text("0123456789.,AVNSEW-", max_size=70).map(lambda text: nmea("GNGGA," + text)),
            st.text("0123456789.,AVNSEW-", max_size=70).map(lambda text: nmea("GNRMC," + text)),
            st.binary(max_size=100).map(lambda body: ubx(0x01, 0x07, body)),
        ),
        max_size=12,
    )
)
@example([ubx(0x01, 0x07, nav_pvt()[6:90])])  # 84 bytes: NAV-PVT of u-blox 7
@example([nmea("GNGGA,120000,9999.0,N,99999.0,E,1,12,1e999,nan,M,inf,M,,")])
@example([nmea("GNGSA,A,9,,,,,,,,,,,,,1,1,1"), nmea("GNZDA,120000,99,99,9999,0,0")])
@example([b"$G\xff\xfe,1,2*00\r\n"])
def test_no_bytes_whatever_stop_the_receiver(pieces):
    fixes, _, _ = fixes_of(b"".join(pieces), epoch("120001.00"), None, None)
    for fix in fixes:
        assert abs(fix.values["latitude"][0]) <= 90
        assert abs(fix.values["longitude"][0]) <= 180


def test_a_port_that_is_not_there_says_so():
    with pytest.raises(DeviceError, match="there is no /dev/ttyNONE: is the receiver plugged in"):
        GpsReceiver("/dev/ttyNONE", BAUD, Line([]))


def test_a_port_that_another_program_holds_says_so():
    line = Line([])
    holder = GpsReceiver(line.path, BAUD, line)
    with pytest.raises(DeviceError, match="another program holds"):
        GpsReceiver(line.path, BAUD, line)
    holder.close()
    holder.close()
    line.close()


def test_a_file_is_no_serial_port(tmp_path):
    path = tmp_path / "log.ubx"
    path.touch()
    with pytest.raises(DeviceError, match=r"log\.ubx"):
        GpsReceiver(str(path), BAUD, Line([]))


def test_a_baud_rate_that_is_none_is_a_usage_error():
    line = Line([])
    with pytest.raises(UsageError, match="cannot run at -1 baud"):
        GpsReceiver(line.path, -1, line)
    line.close()


def test_an_unplugged_receiver_is_a_device_error():
    line = Line([])
    receiver = GpsReceiver(line.path, BAUD, line)
    os.close(line.master)
    with pytest.raises(DeviceError, match="went away"):
        receiver.read()
    receiver.close()
    os.close(line.slave)


def test_the_latency_is_a_window():
    assert Latency().shortest_ns < Latency().longest_ns
