"""What breaks in a simulated rig, as the host meets with it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from drivers.errors import BusError, DeviceError
from hw_sim.bus import SimulatedI2C
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.rig import SimulatedRig
from hw_sim.scenario import Fault, load_scenario

MS = 1_000_000
SECOND = 1_000_000_000
START = 3600 * SECOND
WALK = load_scenario("walk")
WHO_AM_I, PWR_MGMT_1 = 0x00, 0x06  # of an ICM-20948


class Registers:
    """A chip of 16 registers that remembers when it had no power."""

    def __init__(self):
        self.values = bytearray(range(16))
        self.dark = []

    def answers(self):
        return True

    def write(self, register, data, at_ns):
        self.values[register : register + len(data)] = data

    def read(self, register, length, at_ns):
        return bytes(self.values[register : register + length])

    def lose_power(self, at_ns, until_ns):
        self.values = bytearray(range(16))
        self.dark.append((at_ns, until_ns))


def bus_with(*faults: Fault) -> tuple[SimulatedI2C, VirtualClock, Registers]:
    clock, chip = VirtualClock(START, 0), Registers()
    parts = {0x50: "imu", 0x51: "mag"}
    devices = {0x50: chip, 0x51: Registers()}
    return SimulatedI2C(clock, devices, faults=Faults(faults, START), parts=parts), clock, chip


def answers(bus, clock, at_s: float, address: int = 0x50) -> bytes | int:
    """What a read says at a time: the bytes, or the number of the error."""
    clock.sleep_until(START + round(at_s * SECOND))
    try:
        return bus.read(address, 4, 3)
    except BusError as error:
        return error.errno


def test_a_chip_that_does_not_acknowledge_keeps_what_it_was_told():
    bus, clock, chip = bus_with(Fault("nack", 1.0, 0.5, "imu"))
    bus.write(0x50, 4, 77)
    assert answers(bus, clock, 0.9) == bytes([77, 5, 6])
    assert answers(bus, clock, 1.0) == errno.EREMOTEIO
    assert answers(bus, clock, 1.2, 0x51) == bytes([4, 5, 6])
    assert answers(bus, clock, 1.499) == errno.EREMOTEIO
    assert answers(bus, clock, 1.5) == bytes([77, 5, 6])
    assert chip.dark == []


def test_a_chip_that_was_unplugged_has_forgotten_what_it_was_told():
    bus, clock, chip = bus_with(Fault("unplug", 1.0, 0.5, "imu"))
    bus.write(0x50, 4, 77)
    assert answers(bus, clock, 1.2) == errno.EREMOTEIO
    assert answers(bus, clock, 1.6) == bytes([4, 5, 6])
    assert chip.dark == [(START + SECOND, START + 3 * SECOND // 2)]


def test_a_chip_has_been_unplugged_though_nobody_looked_meanwhile():
    bus, clock, chip = bus_with(Fault("unplug", 1.0, 0.5, "imu"), Fault("unplug", 2.0, 0.1, "imu"))
    bus.write(0x50, 4, 77)
    assert answers(bus, clock, 2.5) == bytes([4, 5, 6])
    assert len(chip.dark) == 2


def test_some_of_the_transactions_fail_on_a_bad_wire():
    bus, clock, _ = bus_with(Fault("nack", 0.0, None, "imu", 0.3))
    failed = sum(answers(bus, clock, n / 1000) == errno.EREMOTEIO for n in range(1000))
    assert 240 < failed < 360


def test_a_bus_that_hangs_costs_everybody_the_kernels_patience():
    bus, clock, _ = bus_with(Fault("bus_stuck", 1.0, 0.5))
    assert answers(bus, clock, 1.1) == errno.ETIMEDOUT
    assert clock.now_ns() == START + 2_100 * MS
    assert answers(bus, clock, 2.2, 0x51) == bytes([4, 5, 6])


def test_a_short_read_is_a_byte_short():
    bus, clock, _ = bus_with(Fault("short_read", 1.0, 0.5, "imu"))
    assert answers(bus, clock, 1.2) == bytes([4, 5])
    assert answers(bus, clock, 1.2, 0x51) == bytes([4, 5, 6])


def test_a_stalled_thread_goes_on_when_the_stall_is_over():
    clock = VirtualClock(START, 0)
    clock.stall("imu", START + 100 * MS, START + 250 * MS)
    woken = {"imu": [], "mag": []}

    def look(name):
        for n in range(1, 6):
            clock.sleep_until(START + n * 60 * MS)
            woken[name].append((clock.now_ns() - START) // MS)

    threads = [clock.thread(lambda name=name: look(name), name) for name in woken]
    for thread in threads:
        clock.join(thread)
    assert woken == {"imu": [60, 250, 250, 250, 300], "mag": [60, 120, 180, 240, 300]}


@pytest.fixture
def rig():
    """Makes rigs of the walk with faults; each is closed in the end."""
    made = []

    def make(*faults: Fault) -> tuple[SimulatedRig, VirtualClock]:
        small = replace(WALK.camera, width=64, height=36)
        clock = VirtualClock(START, 0)
        made.append(SimulatedRig(replace(WALK, fault=faults, camera=small), clock))
        return made[-1], clock

    yield make
    for each in made:
        each.close()


def test_a_fault_of_the_disk_is_said_to_be_nobodys_here(rig, caplog):
    rig(Fault("disk_full", 2.0))
    assert "disk_full at 2 s: there is no disk in the simulator, nothing will happen" in caplog.text


def test_a_real_chip_wakes_from_a_power_cut_with_its_reset_values(rig):
    rig, clock = rig(Fault("unplug", 1.0, 0.5, "imu"))
    clock.sleep_until(START + 500 * MS)
    rig.bus.write(0x69, PWR_MGMT_1, 0x01)
    clock.sleep_until(START + 2 * SECOND)
    assert rig.bus.read(0x69, PWR_MGMT_1) == b"\x41"
    assert rig.bus.read(0x69, WHO_AM_I) == b"\xea"
    assert (rig.truth()["imu_t_ns"] < START + SECOND).all()


def films(rig, count: int) -> list[int]:
    rig.camera.open()
    return [rig.camera.read()[0].pts_ns for _ in range(count)]


def test_dropped_frames_leave_a_gap_and_what_follows_can_be_decoded(rig):
    rig, _ = rig(Fault("drop_frames", 0.5, 0.2))
    times = np.array(films(rig, 30))
    steps = np.rint(np.diff(times) * 30 / SECOND)
    assert sorted(set(steps)) == [1, 7]
    assert rig.camera.dropped == 6
    np.testing.assert_array_equal(rig.truth()["frame_centre_ns"], times)


def test_a_camera_that_is_unplugged_says_so_at_that_moment(rig):
    rig, clock = rig(Fault("unplug", 0.5, part="camera"))
    with pytest.raises(DeviceError, match="went away"):
        films(rig, 30)
    assert clock.now_ns() == START + 500 * MS
    with pytest.raises(DeviceError, match="went away"):
        rig.camera.read()


def test_jitter_delays_the_hand_over_and_not_the_picture():
    jittery = replace(WALK.camera, width=64, height=36, hand_over_jitter_ms=8.0)
    clock = VirtualClock(START, 0)
    rig = SimulatedRig(replace(WALK, camera=jittery), clock)
    rig.camera.open()
    seen = [(rig.camera.read()[0].pts_ns, clock.now_ns()) for _ in range(60)]
    rig.close()
    pts, handed = np.array(seen).T
    np.testing.assert_allclose(np.diff(pts), SECOND / 30, atol=2000)
    late = handed - pts
    assert 6 * MS < np.ptp(late) <= 8 * MS


def read_until(port, clock, end_ns: int) -> bytes:
    heard = b""
    while clock.wait_readable(port, end_ns):
        heard += os.read(port, 4096)
    return heard


def hear(rig, clock, until_s: float) -> bytes:
    """What a terminal that is open from now on hears until a time."""
    port = os.open(rig.gps_port, os.O_RDONLY | os.O_NOCTTY)
    try:
        return read_until(port, clock, START + round(until_s * SECOND))
    finally:
        os.close(port)


NAV_PVT = b"\xb5\x62\x01\x07"


@pytest.mark.parametrize(
    ("kind", "whole", "bytes_heard"),
    [("gps_silent", 0, 0), ("partial_message", 0, 500), ("baud_garbage", 0, 1000)],
)
def test_what_the_line_does_to_messages(rig, kind, whole, bytes_heard):
    rig, clock = rig(Fault(kind, 2.03, 1.0))
    rig.start()
    before = hear(rig, clock, 2.03)
    during = hear(rig, clock, 3.03)
    after = hear(rig, clock, 4.03)
    assert before.count(NAV_PVT) == 18
    assert after.count(NAV_PVT) == 10
    assert len(during) == bytes_heard
    assert during.count(NAV_PVT) == (10 if kind == "partial_message" else whole)
    truth = rig.truth()
    assert (~truth["gps_whole"]).sum() == 10


def test_a_lost_fix_is_told_in_both_languages(rig):
    rig, clock = rig(Fault("fix_lost", 2.0, 1.0))
    rig.start()
    hear(rig, clock, 2.5)
    frame = hear(rig, clock, 2.7)
    start = frame.index(NAV_PVT) + 6
    assert (frame[start + 20], frame[start + 21] & 1) == (0, 0)
    assert set(rig.truth()["gps_fix"]) == {0, 3}


def test_a_receiver_that_is_unplugged_hangs_up_and_comes_back_elsewhere(rig):
    rig, clock = rig(Fault("unplug", 1.0, 1.0, "gps"))
    rig.start()
    port = os.open(rig.gps_port, os.O_RDONLY | os.O_NOCTTY)
    with pytest.raises(OSError, match="Input/output"):
        read_until(port, clock, START + 3 * SECOND)
    assert clock.now_ns() == START + SECOND
    assert not os.path.exists(rig.gps_port)  # noqa: PTH110 - a text, as drivers have it
    os.close(port)
    clock.sleep_until(START + 2 * SECOND + MS)
    assert hear(rig, clock, 3.0).count(NAV_PVT) > 5
