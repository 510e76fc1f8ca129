"""Setting up u-blox receivers: against the simulated ones, which share no code with the driver."""

import dataclasses
import logging
import os
import select
from itertools import pairwise

import pytest

from camm import PacketType
from drivers.errors import DeviceError
from drivers.gps import GpsReceiver
from drivers.gps_line import GpsLine
from drivers.ublox import USUAL_BAUD_RATES, identity_from_mon_ver, set_up
from hw_sim.clock import VirtualClock
from hw_sim.receiver import SimulatedReceiver
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Trajectory
from hw_sim.ublox_control import UbloxControl

WALK = load_scenario("walk")
START = 77_000_000_000
SECOND = 1_000_000_000
MODULES = {
    "M8": {"firmware": "SPG 3.01", "hardware": "00080000", "protocol": "18.00"},
    "M9": {"firmware": "SPG 4.04", "hardware": "00190000", "protocol": "32.01"},
    "M10": {"firmware": "SPG 5.10", "hardware": "000A0000", "protocol": "34.10"},
    "F9": {"firmware": "HPG 1.13", "hardware": "00190000", "protocol": "27.12"},
}


@pytest.fixture
def rig():
    """Make a receiver as it leaves the factory: NMEA, one fix a second."""
    made = []

    def make(generation, baud, **quality):
        clock = VirtualClock(START, 0)
        fresh = {"protocol": "nmea", "rate_hz": 1} | quality
        source = SimulatedReceiver(
            clock,
            dataclasses.replace(WALK.gps, generation=generation, baud=baud, **fresh),
            WALK.place,
            Trajectory(WALK.trajectory, WALK.place.gravity_m_s2),
            WALK.start,
            START,
            5,
        )
        made.append(source)
        source.start()
        return source, clock

    yield make
    for source in made:
        source.close()


def fixes_of(receiver, clock, seconds):
    fixes, end = [], clock.now_ns() + round(seconds * SECOND)
    while clock.now_ns() < end:
        if (fix := receiver.read()) is not None:
            fixes.append(fix)
    return fixes


@pytest.mark.parametrize("baud", USUAL_BAUD_RATES)
@pytest.mark.parametrize("generation", ["M8", "M9", "M10", "F9"])
def test_a_fresh_receiver_says_nav_pvt_ten_times_a_second(rig, caplog, generation, baud):
    source, clock = rig(generation, baud)
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    fixes = fixes_of(receiver, clock, 3)
    assert clock.now_ns() - START < 10 * SECOND
    assert {fix.kind for fix in fixes} == {PacketType.GPS}
    steps = [b.gps_time_ns - a.gps_time_ns for a, b in pairwise(fixes)]
    assert len(steps) > 25
    assert set(steps) == {SECOND // 10}
    assert not source.control.nmea
    assert source.control.baud == 115_200
    assert MODULES[generation].items() <= receiver.identity.items()
    assert receiver.identity["baud"] == "115200"
    assert receiver.statistics.damaged == receiver.statistics.stray_bytes == 0
    assert caplog.records == []
    receiver.close()


@pytest.mark.parametrize("generation", ["M8", "M9", "M10"])
def test_settings_go_to_ram_and_nowhere_else(rig, generation):
    source, clock = rig(generation, 38_400)
    GpsReceiver(source.path, 115_200, clock, rate_hz=5).close()
    assert source.control.period_ms == 200
    assert not source.control.stored


@pytest.mark.parametrize("generation", ["M8", "M9", "M10", "F9"])
@pytest.mark.parametrize(("model", "code"), [("automotive", 4), ("airborne1g", 6), (None, 0)])
def test_the_dynamic_model_is_told_to_each_generation(rig, caplog, generation, model, code):
    source, clock = rig(generation, 115_200)
    GpsReceiver(source.path, 115_200, clock, rate_hz=10, model=model).close()
    assert source.control.dynamic_model == code
    assert caplog.records == []


def test_a_model_that_is_refused_is_told_and_the_rest_holds(rig, caplog):
    source, clock = rig("M8", 115_200)
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10, model="bike")
    [warning] = caplog.records
    assert warning.getMessage().endswith("the receiver refuses CFG-NAV5")
    assert len(fixes_of(receiver, clock, 3)) > 20
    receiver.close()


PVT_UART1, PVT_UART2 = 0x20910007, 0x20910008


@pytest.mark.parametrize("baud", [9600, 38_400, 115_200])
def test_an_f9_at_its_second_uart_is_set_up_there_and_nowhere_else(rig, caplog, baud):
    source, clock = rig("F9", baud)
    second = UbloxControl("F9", baud=baud, period_ms=1000, ubx=False, nmea=True, port="UART2")
    source.control, source._line.answer = second, second.hear
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    assert len(fixes_of(receiver, clock, 2)) > 15
    assert (second.baud, second.nmea) == (115_200, False)
    # The other UART may have a radio with corrections.
    assert second._settings[PVT_UART2] == 1
    assert second._settings[PVT_UART1] == 0
    assert second._settings[BAUD] == 38_400
    assert caplog.records == []
    receiver.close()


def test_a_receiver_with_keys_that_does_not_tell_its_port_is_told_for_all(rig, caplog):
    source, clock = rig("F9", 38_400)
    second = UbloxControl("F9", baud=38_400, period_ms=1000, ubx=False, nmea=True, port="UART2")
    second._model = dataclasses.replace(second._model, messages=False)
    source.control, source._line.answer = second, second.hear
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    assert len(fixes_of(receiver, clock, 2)) > 15
    assert second._settings[PVT_UART1] == second._settings[PVT_UART2] == 1
    assert second.baud == 115_200
    assert caplog.records == []
    receiver.close()


@pytest.mark.parametrize("baud", [9600, 115_200, 460_800])
def test_a_receiver_that_does_not_answer_is_read_as_it_is(rig, caplog, baud):
    source, clock = rig("none", baud)
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    assert receiver.identity == {"baud": str(baud)}
    assert len(fixes_of(receiver, clock, 5)) in (4, 5)
    [warning] = caplog.records
    assert f"no u-blox receiver answers; whatever there is is read as it is, at {baud} baud" in (
        warning.getMessage()
    )
    receiver.close()


def test_a_receiver_that_is_to_be_left_alone_is_told_nothing(rig):
    source, clock = rig("M9", 38_400)
    heard = []
    answer = source.control.hear
    source._line.answer = lambda data: heard.append(data) or answer(data)
    receiver = GpsReceiver(source.path, 38_400, clock)
    assert len(fixes_of(receiver, clock, 3)) in (2, 3)
    assert heard == []
    receiver.close()


def test_a_rate_that_is_refused_is_told(rig, caplog):
    source, clock = rig("M8", 115_200)
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=25)
    [warning] = caplog.records
    assert warning.getMessage().endswith("the receiver refuses CFG-RATE")
    assert {fix.kind for fix in fixes_of(receiver, clock, 3)} == {PacketType.GPS}
    receiver.close()


BAUD, SAYS_UBX, SAYS_NMEA = 0x40520001, 0x10740001, 0x10740002  # keys of UART 1


@pytest.mark.parametrize(
    ("lost", "trouble"),
    [
        ({SAYS_UBX: 0, SAYS_NMEA: 1}, "no NAV-PVT any more: has it lost its power"),
        ({BAUD: 9600}, "and no message at 115200 baud: is that its rate"),
        ({SAYS_UBX: 0}, "nothing for 5 s: has it power"),
    ],
    ids=["NMEA again", "its own baud rate", "silence"],
)
def test_a_receiver_that_lost_its_settings_is_an_error_and_opening_it_again_mends_it(
    rig, lost, trouble
):
    source, clock = rig("M9", 115_200)
    receiver = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    assert fixes_of(receiver, clock, 1)
    source.control._settings |= lost
    with pytest.raises(DeviceError, match=trouble):
        fixes_of(receiver, clock, 10)
    receiver.close()
    again = GpsReceiver(source.path, 115_200, clock, rate_hz=10)
    assert len(fixes_of(again, clock, 1)) >= 9
    again.close()


class Deaf:
    """A pty with nobody at the other end, and a clock."""

    def __init__(self, answers=()):
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        self.t_ns = START
        self.sent = []
        self._answers = dict(answers)

    def now_ns(self):
        return self.t_ns

    def wait_readable(self, fd, until_ns):
        while select.select([self.master], [], [], 0)[0]:
            self.sent.append(os.read(self.master, 4096))
            if (answer := self._answers.get(self.sent[-1])) is not None:
                os.write(self.master, answer)
        if select.select([fd], [], [], 0.0)[0]:
            self.t_ns += 1_000_000
            return True
        self.t_ns = until_ns
        return False

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def test_the_poll_and_the_settings_are_the_known_bytes():
    # Made with pyubx2 1.4.0 and checked against the interface description.
    poll = bytes.fromhex("b5620a0400000e34")
    version = b"ROM CORE 3.01 (107888)".ljust(30, b"\0") + b"00080000".ljust(10, b"\0")
    version += b"PROTVER=18.00".ljust(30, b"\0")
    far_end = Deaf({poll: frame(0x0A, 0x04, version)})
    line = GpsLine(far_end.path, 115_200, far_end)
    set_up(line, 10)
    assert far_end.sent[0] == poll
    assert bytes.fromhex("b562060806006400010000007910") in far_end.sent
    port = next(data for data in far_end.sent if data[2:6] == bytes.fromhex("06001400"))
    assert port[6] == 1
    assert port[20:22] == b"\x01\x00"  # UBX alone goes out
    line.close()
    far_end.close()


def test_where_nobody_speaks_every_rate_is_tried_twice_and_the_first_kept(caplog):
    far_end = Deaf()
    line = GpsLine(far_end.path, 57_600, far_end)
    assert set_up(line, 10) == {}
    assert line.baud == 57_600
    assert far_end.sent == [bytes.fromhex("b5620a0400000e34")] * 12
    assert far_end.t_ns - START < 8 * SECOND
    assert len(caplog.records) == 1
    line.close()
    far_end.close()


def frame(number_class, number, payload):
    body = bytes([number_class, number]) + len(payload).to_bytes(2, "little") + payload
    a = b = 0
    for byte in body:
        a = (a + byte) & 255
        b = (b + a) & 255
    return b"\xb5\x62" + body + bytes([a, b])


@pytest.mark.parametrize(
    ("extension", "protocol"),
    [("PROTVER=27.11", 27.11), ("PROTVER 14.00", 14.0), ("PROTVER=abc", 0.0), ("", 0.0)],
)
def test_the_protocol_version_is_found_however_it_is_written(extension, protocol):
    payload = b"x".ljust(30, b"\0") + b"00070000\0\0" + extension.encode().ljust(30, b"\0")
    identity = identity_from_mon_ver(frame(0x0A, 0x04, payload))
    assert identity.protocol == protocol
    assert identity.hardware == "00070000"


def test_silence_and_a_wrong_rate_are_told_once_each(rig, caplog):
    caplog.set_level(logging.WARNING)
    source, clock = rig("none", 9600)
    receiver = GpsReceiver(source.path, 19_200, clock)
    assert fixes_of(receiver, clock, 30) == []
    [warning] = caplog.records
    assert "no message at 19200 baud: is that its rate?" in warning.getMessage()
    assert receiver.statistics.stray_bytes > 1000
    receiver.close()
    far_end = Deaf()
    receiver = GpsReceiver(far_end.path, 9600, far_end)
    while far_end.t_ns < START + 30 * SECOND:
        receiver.read()
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records[1:]] == [
        "nothing for 5 s: has it power, and is its TX wired to our RX?"
    ]
    receiver.close()
    far_end.close()


def test_a_receiver_that_is_not_there_yet_is_an_error_so_that_it_is_looked_for_again():
    far_end = Deaf()
    receiver = GpsReceiver(far_end.path, 115_200, far_end, rate_hz=10)
    with pytest.raises(DeviceError, match="nothing for 5 s: has it power"):
        [receiver.read() for _ in range(100)]
    receiver.close()
    far_end.close()
