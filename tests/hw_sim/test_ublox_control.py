"""The simulated receiver's settings, asked for in messages that pyubx2 makes."""

import dataclasses
import os
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyubx2 import POLL, SET, UBXMessage, UBXReader

from hw_sim.clock import VirtualClock
from hw_sim.receiver import SimulatedReceiver
from hw_sim.scenario import load_scenario
from hw_sim.time_pulse import SimulatedTimePulse
from hw_sim.trajectory import Trajectory
from hw_sim.ublox_control import UbloxControl

WALK = load_scenario("walk")
START = 77_000_000_000
SECOND = 1_000_000_000


def control(generation):
    return UbloxControl(generation, baud=38_400, period_ms=1000, ubx=False, nmea=True)


def ask(receiver, message):
    """The answers, parsed."""
    left, answers = receiver.hear(message.serialize()), []
    while left:
        size = 8 + int.from_bytes(left[4:6], "little")
        answers.append(UBXReader.parse(left[:size]))
        left = left[size:]
    return answers


def verdict(receiver, message):
    return ask(receiver, message)[-1].identity


RATE = UBXMessage("CFG", "CFG-RATE", SET, measRate=200, navRate=1, timeRef=0)
NAV_PVT = UBXMessage("CFG", "CFG-MSG", SET, payload=b"\x01\x07\x01")
KEYS = UBXMessage.config_set(1, 0, [("CFG_RATE_MEAS", 200), ("CFG_MSGOUT_UBX_NAV_PVT_UART1", 1)])


@pytest.mark.parametrize(
    ("generation", "hardware", "protocol"),
    [("M8", b"00080000", b"18.00"), ("M9", b"00190000", b"32.01"), ("M10", b"000A0000", b"34.10")],
)
def test_mon_ver_tells_the_generation(generation, hardware, protocol):
    [version] = ask(control(generation), UBXMessage("MON", "MON-VER", POLL))
    assert version.hwVersion.rstrip(b"\0") == hardware
    assert b"PROTVER=" + protocol in version.serialize()


@pytest.mark.parametrize(
    ("generation", "messages", "keys"),
    [("M8", "ACK-ACK", "ACK-NAK"), ("M9", "ACK-ACK", "ACK-ACK"), ("M10", "ACK-NAK", "ACK-ACK")],
)
def test_each_generation_takes_its_own_language(generation, messages, keys):
    receiver = control(generation)
    assert [verdict(receiver, m) for m in (RATE, NAV_PVT)] == [messages] * 2
    assert (receiver.period_ms, receiver.ubx) == (
        (200, True) if messages == "ACK-ACK" else (1000, False)
    )
    receiver = control(generation)
    assert verdict(receiver, KEYS) == keys
    assert (receiver.period_ms, receiver.ubx) == (
        (200, True) if keys == "ACK-ACK" else (1000, False)
    )


@pytest.mark.parametrize(("generation", "refused"), [("M8", 10), ("F9", 13)])
def test_the_dynamic_model_is_taken_where_there_is_one_of_that_number(generation, refused):
    receiver = control(generation)
    for code, answer in ((4, "ACK-ACK"), (1, "ACK-NAK"), (refused, "ACK-NAK")):
        message = UBXMessage("CFG", "CFG-NAV5", SET, dyn=1, dynModel=code)
        assert verdict(receiver, message) == answer
        assert receiver.dynamic_model == 4
    assert verdict(receiver, UBXMessage("CFG", "CFG-NAV5", SET, dyn=0, dynModel=2)) == "ACK-ACK"
    assert receiver.dynamic_model == 4


def test_what_is_set_at_another_uart_changes_nothing_at_ours():
    receiver = UbloxControl("F9", baud=9600, period_ms=1000, ubx=False, nmea=True, port="UART2")
    other = UBXMessage.config_set(
        1, 0, [("CFG_UART1_BAUDRATE", 460_800), ("CFG_MSGOUT_UBX_NAV_PVT_UART1", 1)]
    )
    assert verdict(receiver, other) == "ACK-ACK"
    assert (receiver.baud, receiver.ubx) == (9600, False)
    own = UBXMessage.config_set(
        1, 0, [("CFG_UART2_BAUDRATE", 460_800), ("CFG_MSGOUT_UBX_NAV_PVT_UART2", 1)]
    )
    assert verdict(receiver, own) == "ACK-ACK"
    assert (receiver.baud, receiver.ubx) == (460_800, True)
    port, _ = ask(receiver, UBXMessage("CFG", "CFG-PRT", POLL))
    assert port.portID == 2


def test_an_acknowledgement_names_what_it_acknowledges():
    [answer] = ask(control("M8"), RATE)
    assert (answer.clsID, answer.msgID) == (0x06, 0x08)


def test_the_port_can_be_asked_for_and_set():
    receiver = control("M8")
    port, answer = ask(receiver, UBXMessage("CFG", "CFG-PRT", POLL))
    assert (port.portID, port.baudRate, port.outNMEA, port.outUBX) == (1, 38_400, 1, 1)
    assert answer.identity == "ACK-ACK"
    changed = UBXMessage(
        "CFG", "CFG-PRT", SET, portID=1, charLen=3, parity=4, baudRate=115_200, inUBX=1, outUBX=1
    )
    assert verdict(receiver, changed) == "ACK-ACK"
    assert (receiver.baud, receiver.nmea) == (115_200, False)


def test_a_message_with_a_key_that_is_unknown_changes_nothing():
    receiver = control("M10")  # which has no USB
    both = UBXMessage.config_set(1, 0, [("CFG_RATE_MEAS", 100), ("CFG_USBOUTPROT_NMEA", 0)])
    assert verdict(receiver, both) == "ACK-NAK"
    assert receiver.period_ms == 1000


def test_a_rate_beyond_the_receiver_is_refused():
    fast = UBXMessage("CFG", "CFG-RATE", SET, measRate=40, navRate=1, timeRef=0)
    assert verdict(control("M8"), fast) == "ACK-NAK"
    assert verdict(control("M9"), fast) == "ACK-ACK"


@pytest.mark.parametrize(("layers", "stored"), [(1, False), (2, True), (7, True)])
def test_it_remembers_who_wrote_to_more_than_ram(layers, stored):
    receiver = control("M9")
    assert (
        verdict(receiver, UBXMessage.config_set(layers, 0, [("CFG_RATE_MEAS", 100)])) == "ACK-ACK"
    )
    assert receiver.stored is stored


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.just(b"\xb5\x62"), st.just(b"\xb5\x62\x06\x8a")))
)
def test_noise_and_pieces_do_not_deafen_it(pieces):
    receiver = control("M9")
    for piece in pieces:
        receiver.hear(piece)
    poll = UBXMessage("MON", "MON-VER", POLL).serialize()
    # A beginning that claims to be long waits for its end, or for proof that it is none.
    heard = b"".join(receiver.hear(byte.to_bytes(1)) for byte in poll * 150)
    assert b"PROTVER=32.01" in heard


def listen(terminal, clock, until_ns):
    heard = b""
    while clock.wait_readable(terminal, until_ns):
        heard += os.read(terminal, 4096)
    return heard


def test_at_another_baud_rate_both_sides_hear_noise():
    clock = VirtualClock(START, 0)
    source = SimulatedReceiver(
        clock,
        dataclasses.replace(WALK.gps, generation="M9", baud=38_400),
        WALK.place,
        Trajectory(WALK.trajectory, WALK.place.gravity_m_s2),
        WALK.start,
        START,
        5,
    )
    terminal = os.open(source.path, os.O_RDWR | os.O_NOCTTY)
    source.start()
    attributes = termios.tcgetattr(terminal)
    assert attributes[4:6] == [termios.B38400] * 2  # both ends are alike at first
    assert b"\xb5\x62\x01\x07" in listen(terminal, clock, START + SECOND)

    attributes[4] = attributes[5] = termios.B9600
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    os.write(terminal, KEYS.serialize())
    noise = listen(terminal, clock, START + 2 * SECOND)
    assert len(noise) > 900
    assert b"\xb5\x62" not in noise
    assert source.control.period_ms == 100

    # The change of rate is acknowledged at the old one, and then is.
    attributes[4] = attributes[5] = termios.B38400
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    os.write(terminal, UBXMessage.config_set(1, 0, [("CFG_UART1_BAUDRATE", 9600)]).serialize())
    assert b"\xb5\x62\x05\x01\x02\x00\x06\x8a" in listen(terminal, clock, clock.now_ns() + 10**8)
    attributes[4] = attributes[5] = termios.B9600
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    assert b"\xb5\x62\x01\x07" in listen(terminal, clock, clock.now_ns() + SECOND)
    source.close()
    os.close(terminal)


def test_pulses_come_at_whole_gps_seconds_a_little_late():
    clock = VirtualClock(START, 0)
    pulse = SimulatedTimePulse(clock, 1_000 * SECOND + 750_000_000, START, 1 + 20e-6, 1)
    clock.sleep_until(START + 200_000_000)
    assert pulse.newest() is None
    late = []
    for number in range(1, 50):
        clock.sleep_until(START + number * SECOND)
        told, t_ns = pulse.newest()
        assert told == number
        true_ns = START + round((number - 0.75) * SECOND * (1 + 20e-6))
        late.append(t_ns - true_ns)
        assert pulse.newest() == (told, t_ns)
    assert 1_900 < min(late) < max(late) < 9_100
    assert len(set(late)) > 10
