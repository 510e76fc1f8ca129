"""gpsd as a receiver: a socket of ours that says what gpsd said."""

import json
import select
import socket
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyubx2 import UBXReader

from camm import PacketType, UsageError
from camm.gps_time import gps_ns_from_utc, utc_from_gps
from drivers.errors import DeviceError
from drivers.gps_decoder import fix_from_nav_pvt
from drivers.gps_messages import Message, MessageCutter
from drivers.gpsd import GpsdReceiver, fix_from_tpv

DATA = Path(__file__).parents[1] / "data" / "gps"
VERSION = b'{"class":"VERSION","release":"3.25","rev":"3.25","proto_major":3,"proto_minor":15}\r\n'
DEVICES = (
    b'{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/ttyACM0","driver":"u-blox",'
    b'"subtype":"SW ROM CORE 3.01 (107888),HW 00080000","subtype1":"FWVER=SPG 3.01,PROTVER=18.00",'
    b'"bps":9600}]}\r\n'
)
TPV = {
    "class": "TPV", "mode": 3, "status": 1, "time": "2021-06-10T18:18:41.250Z", "lat": 49.5,
    "lon": -14.25, "altHAE": 321.5, "eph": 2.5, "epv": 4.25, "speed": 2.0, "track": 270.0,
    "climb": -0.5, "eps": 0.75,
}  # fmt: skip


class Clock:
    """Stands still while there is something to read, and goes on by what a wait may take."""

    def __init__(self):
        self.t_ns = 1_000_000_000_000

    def now_ns(self):
        return self.t_ns

    def wait_readable(self, fd, until_ns):
        if select.select([fd], [], [], 0.05)[0]:
            self.t_ns += 1_000
            return True
        self.t_ns = until_ns
        return False


@pytest.fixture
def gpsd():
    """A gpsd that says VERSION and DEVICES, then what it is given; the receiver it serves."""
    server = socket.create_server(("127.0.0.1", 0))
    opened = [server]

    def serve(data, *, hang_up=False):
        receiver = GpsdReceiver(f"gpsd://127.0.0.1:{server.getsockname()[1]}", Clock())
        connection, _ = server.accept()
        opened.extend((connection, receiver))
        serve.say = connection.sendall
        assert json.loads(connection.recv(1000).removeprefix(b"?WATCH=")) == {
            "enable": True,
            "json": True,
            "pps": True,
            "raw": 2,
        }
        connection.sendall(VERSION + DEVICES + data)
        if hang_up:
            connection.close()
        return receiver

    yield serve
    for thing in opened:
        thing.close()


def read_all(receiver, reads):
    return [fix for fix in (receiver.read() for _ in range(reads)) if fix is not None]


def lines(*reports):
    """Reports as gpsd writes them: without blanks, the class first."""
    return b"".join(
        json.dumps(report, separators=(",", ":")).encode() + b"\r\n" for report in reports
    )


def test_what_gpsd_reports_becomes_type_6(gpsd):
    receiver = gpsd(lines(TPV))
    [fix] = read_all(receiver, 6)
    row = fix.values[0]
    assert fix.kind is PacketType.GPS
    day, since_midnight = np.datetime64("2021-06-10").item(), (18 * 60 + 18) * 60 + 41.25
    assert fix.gps_time_ns == gps_ns_from_utc(day, round(since_midnight * 1e9))
    assert row["time_gps_epoch"] == fix.gps_time_ns / 1e9
    assert (row["latitude"], row["longitude"], row["altitude"]) == (49.5, -14.25, 321.5)
    assert (row["horizontal_accuracy"], row["vertical_accuracy"]) == (2.5, 4.25)
    assert row["velocity_east"] == pytest.approx(-2.0)
    assert row["velocity_north"] == pytest.approx(0.0, abs=1e-6)
    assert (row["velocity_up"], row["speed_accuracy"]) == (-0.5, 0.75)
    assert row["gps_fix_type"] == 3
    assert receiver.identity == {
        "gpsd": "3.25",
        "driver": "u-blox",
        "subtype": "SW ROM CORE 3.01 (107888),HW 00080000",
        "subtype1": "FWVER=SPG 3.01,PROTVER=18.00",
    }


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [("ublox-neo-m8p", PacketType.GPS, 58), ("ublox-8", PacketType.GPS, 72)],
)
def test_real_reports_one_fix_an_epoch(gpsd, name, kind, count):
    log = (DATA / f"{name}.log.chk").read_bytes()
    receiver = gpsd(log)
    fixes = read_all(receiver, log.count(b"\n") + 10)
    assert {fix.kind for fix in fixes} == {kind}
    assert len(fixes) == count
    said = {}
    for line in log.splitlines():
        if line.startswith(b'{"class":"TPV"'):
            report = json.loads(line)
            said[report["time"]] = report
    for fix, report in zip(fixes, said.values(), strict=True):
        row = fix.values[0]
        assert (row["latitude"], row["longitude"]) == (report["lat"], report["lon"])
        assert row["altitude"] == np.float32(report["altHAE"])
        assert row["vertical_accuracy"] == np.float32(report["epv"])
    assert receiver.statistics.damaged == 0
    assert receiver.statistics.fixes == count


def test_velocity_by_its_components_is_preferred(gpsd):
    [fix] = read_all(gpsd(lines(TPV | {"velN": 1.0, "velE": 2.0, "velD": 3.0})), 6)
    row = fix.values[0]
    assert (row["velocity_north"], row["velocity_east"], row["velocity_up"]) == (1, 2, -3)


@pytest.mark.parametrize("missing", ["eph", "epv", "speed"])
def test_without_accuracies_or_velocity_it_is_type_5(missing):
    fix = fix_from_tpv({key: value for key, value in TPV.items() if key != missing}, 0)
    assert fix.kind is PacketType.MIN_GPS
    assert fix.values["altitude"] == 321.5


@pytest.mark.parametrize(
    "changes", [{"mode": 0}, {"mode": 1}, {"status": 5}, {"status": 8}], ids=str
)
def test_what_is_no_fix_leaves_no_record(changes):
    assert fix_from_tpv(TPV | changes, 0) is None


def test_who_stands_still_has_no_course_and_no_velocity():
    fix = fix_from_tpv({key: value for key, value in TPV.items() if key != "track"}, 0)
    assert fix.kind is PacketType.GPS
    assert (fix.values["velocity_east"], fix.values["velocity_north"]) == (0, 0)


def test_without_a_height_above_the_ellipsoid_it_is_not_known():
    report = {key: value for key, value in TPV.items() if key != "altHAE"}
    assert np.isnan(fix_from_tpv(report | {"altMSL": 300.0}, 0).values["altitude"][0])


def test_an_epoch_in_two_steps_is_one_fix_with_the_first_arrival_and_the_last_word(gpsd):
    first = {key: value for key, value in TPV.items() if key not in ("eph", "epv")}
    receiver = gpsd(lines(first))
    assert read_all(receiver, 3) == []
    first_ns = receiver._clock.now_ns()
    receiver._clock.t_ns += 30_000_000
    gpsd.say(lines(TPV))
    [fix] = read_all(receiver, 3)
    assert fix.kind is PacketType.GPS
    assert fix.arrival_ns == first_ns


def test_pulses_are_brought_to_the_monotonic_clock(gpsd):
    unix_s = 1_780_000_000
    now, monotonic = time.time_ns(), time.monotonic_ns()
    pulse = {
        "class": "PPS", "device": "/dev/ttyACM0", "real_sec": unix_s, "real_nsec": 0,
        "clock_sec": now // 10**9, "clock_nsec": now % 10**9, "precision": -20, "shm": "NTP2",
    }  # fmt: skip
    receiver = gpsd(lines(pulse))
    assert receiver.newest_pulse() is None
    read_all(receiver, 4)
    number, t_ns = receiver.newest_pulse()
    assert number == unix_s
    assert abs(t_ns - monotonic) < 10_000_000
    # Those of another host are on a clock that is not ours.
    receiver._here = False
    receiver._take_apart(Message(lines(pulse | {"real_sec": unix_s + 1}), 0))
    assert receiver.newest_pulse() == (number, t_ns)


def packets_of(name):
    """The whole packets in what a real receiver said, each as gpsd would pass it on."""
    cutter = MessageCutter()
    cutter.add((DATA / f"{name}.log").read_bytes(), 0)
    return [message.raw for message in iter(cutter.next, None)]


def nav_pvt(raw):
    fix = fix_from_nav_pvt(UBXReader.parse(raw), 0) if raw[2:4] == b"\x01\x07" else None
    return [] if fix is None else [fix]


def test_what_a_u_blox_says_is_taken_from_its_own_bytes_to_the_last_digit(gpsd):
    packets = packets_of("ublox-neo-m8p")
    reports = [
        line + b"\r\n"
        for line in (DATA / "ublox-neo-m8p.log.chk").read_bytes().splitlines()
        if line.startswith(b'{"class":"TPV"')
    ]
    stream, told = b"", 0
    for packet in packets:
        stream += packet
        told += len(nav_pvt(packet))
        if nav_pvt(packet) and told <= len(reports):
            stream += reports[told - 1]
    receiver = gpsd(stream)
    fixes = read_all(receiver, len(packets) + len(reports) + 10)
    expected = [fix for packet in packets for fix in nav_pvt(packet)]
    assert [fix.gps_time_ns for fix in fixes] == [fix.gps_time_ns for fix in expected]
    for fix, own in zip(fixes, expected, strict=True):
        assert fix.values.tobytes() == own.values.tobytes()
    statistics = receiver.statistics
    assert (statistics.fixes, statistics.damaged) == (len(expected), 0)
    assert statistics.messages == len(packets) + min(told, len(reports)) + 2
    assert statistics.satellites.median >= 5


def test_packets_that_bring_no_type_6_leave_it_to_gpsd(gpsd):
    sentences = packets_of("mt3339")
    position = [raw for raw in sentences if raw[3:6] in (b"GGA", b"RMC")][:20]
    assert len(position) == 20
    receiver = gpsd(b"".join(position) + lines(TPV))
    [fix] = read_all(receiver, 30)
    assert fix.kind is PacketType.GPS
    assert fix.values["latitude"] == TPV["lat"]


def test_when_the_receivers_own_bytes_cease_gpsd_is_believed_again(gpsd):
    [packet] = [raw for raw in packets_of("ublox-neo-m8p") if nav_pvt(raw)][:1]
    [own] = nav_pvt(packet)
    at = utc_from_gps(own.gps_time_ns / 1e9)
    times = [(at + timedelta(seconds=after)).isoformat() for after in (1, 5)]
    later = [TPV | {"time": time.removesuffix("+00:00") + "Z"} for time in times]
    fixes = read_all(gpsd(packet + lines(*later)), 8)
    assert [round((fix.gps_time_ns - own.gps_time_ns) / 1e9) for fix in fixes] == [0, 5]


def test_a_report_and_a_packet_may_come_in_pieces(gpsd):
    [packet] = [raw for raw in packets_of("ublox-neo-m8p") if nav_pvt(raw)][:1]
    receiver, fixes = gpsd(b""), []
    for byte in lines({"class": "SKY", "uSat": 7, "pdop": 1.25}) + packet:
        gpsd.say(bytes([byte]))
        fixes += read_all(receiver, 1)
    fixes += read_all(receiver, 3)
    assert len(fixes) == 1
    assert receiver.statistics.damaged == receiver.statistics.stray_bytes == 0


def test_the_sky_is_told_by_gpsd_where_the_receiver_does_not(gpsd):
    sky = [{"class": "SKY", "uSat": used, "pdop": dop} for used, dop in ((7, 1.5), (9, 1.2))]
    receiver = gpsd(lines(*sky, {"class": "SKY"}, TPV))
    read_all(receiver, 8)
    statistics = receiver.statistics
    assert (statistics.satellites.last, statistics.satellites.median) == (9, 7)
    assert (statistics.pdop.last, statistics.pdop.median) == (1.2, 1.2)
    assert statistics.damaged == 0


def test_damage_is_counted_and_passed_over(gpsd):
    undated = b'{"class":"TPV","mode":3,"time":"yesterday","lat":1,"lon":2}\r\n'
    receiver = gpsd(undated + b'{"class":"TP\r\n[]\r\n{}\r\n' + lines(TPV))
    assert len(read_all(receiver, 10)) == 1
    assert receiver.statistics.damaged == 2
    assert receiver.statistics.stray_bytes == 8


def test_a_gpsd_that_goes_away_is_a_device_error(gpsd):
    receiver = gpsd(lines(TPV), hang_up=True)
    with pytest.raises(DeviceError, match="hung up: is gpsd still running"):
        read_all(receiver, 6)


def test_where_no_gpsd_is_one_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeviceError, match=f"no gpsd answers at 127.0.0.1:{port}"):
        GpsdReceiver(f"gpsd://127.0.0.1:{port}", Clock())
    with pytest.raises(UsageError, match="gpsd://HOST:PORT is expected"):
        GpsdReceiver("gpsd://localhost:many", Clock())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


documented = {
    "TPV": TPV,
    "PPS": {"real_sec": 1, "real_nsec": 2, "clock_sec": 3, "clock_nsec": 4},
    "VERSION": {"release": "3.25"},
    "DEVICES": {"devices": [{"driver": "u-blox"}]},
    "DEVICE": {"driver": "u-blox"},
    "SKY": {"uSat": 9, "pdop": 1.5},
}
reports = st.sampled_from(sorted(documented)).flatmap(
    lambda kind: st.dictionaries(
        st.sampled_from(sorted(documented[kind])), json_values, max_size=4
    ).map(lambda changes: documented[kind] | {"class": kind} | changes)
)


@settings(max_examples=150)
@given(st.lists(reports, max_size=4), st.binary(max_size=60))
@example([{"class": "DEVICES", "devices": [1]}], b'{"class":["TPV"]}')
@example([TPV | {"lat": float("nan")}], b"{" * 30_000)
def test_no_report_whatever_stops_the_receiver(reports, noise):
    server = socket.create_server(("127.0.0.1", 0))
    receiver = GpsdReceiver(f"gpsd://127.0.0.1:{server.getsockname()[1]}", Clock())
    lines = [json.dumps(report).encode() for report in reports]
    fixes = [receiver._take_apart(Message(line, 0)) for line in (*lines, noise, b'{"a":' * 10_000)]
    for fix in filter(None, fixes):
        assert abs(fix.values["latitude"][0]) <= 90
    receiver.close()
    server.close()
