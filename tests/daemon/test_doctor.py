"""The doctor: what it measures of rigs that are well, and what it says of those that are not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from camm import PacketType
from camm.packets import empty_values
from daemon import doctor
from daemon.configuration import Configuration, GpsSettings, ImuSettings
from daemon.diagnosis import judge_imu, judge_load, judge_magnetometer, judge_receiver
from daemon.doctor import discover, examine, examine_devices, well
from daemon.gps_source import GpsSource
from daemon.host import HostReading, Port
from daemon.readings import BusReading
from daemon.rig import Rig, simulated_rig
from daemon.sampled_source import ImuSource
from drivers.errors import BusError
from drivers.gps import GpsReceiver
from drivers.gps_fix import GpsFix, Latency
from drivers.imu import ImuBurst
from drivers.receiver import GpsStatistics
from hw_sim import SimulatedRig, VirtualClock, load_scenario
from hw_sim.receiver import SerialLine

WALK = Path(__file__).parents[2] / "hw_sim/scenarios/walk.toml"
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def walk():
    with simulated_rig("walk", None) as rig:
        return examine(rig, GpsSettings("here"))


def sentences(findings):
    return [str(finding) for finding in findings]


def changed(folder, *changes):
    """The walk with lines of its scenario changed."""
    text = WALK.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "changed.toml"
    path.write_text(text)
    return str(path)


def line(key):
    """The line of the scenario that sets a key."""
    [found] = [text for text in WALK.read_text().splitlines() if text.startswith(f"{key} =")]
    return found


def test_a_rig_that_is_well_is_measured_and_nothing_is_found(walk):
    assert walk.findings == ()
    assert [(a.address, a.name) for a in walk.bus.answers] == [(0x69, "ICM-20948")]
    assert walk.bus.bit_rate_hz == pytest.approx(400_000, rel=1e-3)
    imu, mag, gps = walk.imu, walk.mag, walk.gps
    truth = load_scenario("walk")
    assert (imu.chip, imu.address, imu.nominal_hz) == ("ICM-20948", "0x69", 225.0)
    assert imu.rate_hz == pytest.approx(225 * (1 + truth.imu.clock_ppm * 1e-6), rel=5e-4)
    assert imu.samples == pytest.approx(2 * imu.rate_hz, rel=0.2)
    assert 0 < imu.jitter_s < 0.01 / 225
    assert (imu.lost, mag.lost, mag.saturated) == (0, 0, 0)
    assert imu.temperature_c == pytest.approx(truth.imu.temperature_c, abs=0.1)
    assert imu.gravity_m_s2 == pytest.approx(9.8, abs=0.5)
    assert imu.up == "+Z"
    assert mag.field_ut == pytest.approx(truth.magnetic_field.strength_ut, abs=5)
    assert mag.rate_hz == pytest.approx(100 * (1 + truth.mag.clock_ppm * 1e-6), rel=2e-3)
    assert (gps.name, gps.baud, gps.accuracies) == ("NEO-M9N", "115200", True)
    assert gps.rate_hz == pytest.approx(10, rel=0.01)
    assert gps.horizontal_m == pytest.approx(truth.gps.horizontal_accuracy_m, abs=0.01)
    assert gps.satellites >= 4


def test_how_far_it_is_is_told():
    told = []
    with simulated_rig("walk", None) as rig:
        examine(rig, seconds=1.0, watch=told.append)
    assert told == sorted(told)
    assert told[0] == 0
    assert 0.9 < told[-1] < 1


def test_a_time_pulse_tells_how_late_the_messages_are(tmp_path):
    path = changed(tmp_path, (line("time_pulse"), "time_pulse = true"))
    with simulated_rig(path, None) as rig:
        found = examine(rig, GpsSettings("here", pps="/dev/pps0"), seconds=5.0)
    assert found.findings == ()
    assert found.gps.pulses is True
    least, _, most = load_scenario("walk").gps.latency_ms
    assert least / 1e3 - 0.001 < found.gps.latency_s[0] <= found.gps.latency_s[1]
    assert found.gps.latency_s[1] < most / 1e3 + 0.02


def test_a_time_pulse_that_does_not_come_is_missed(walk):
    without = dataclasses.replace(walk.gps, pulses=False)
    assert sentences(judge_receiver(without)) == [
        "no time pulse of simulated receiver has come (the wire, or the receiver gives none before "
        "it has a fix): check its PPS pin and dtoverlay=pps-gpio,gpiopin=18"
    ]


def test_a_bus_that_is_too_slow_is_told_with_the_arithmetic():
    with simulated_rig("walk", None) as rig:
        rig.bus.bit_rate = 25_000
        found = examine(rig)
    assert not well(found.findings)
    [slow] = [text for text in sentences(found.findings) if "kB/s" in text]
    assert slow.startswith("the sensors on simulated bus need ")
    assert "at 25 kHz it carries 2.8" in slow
    assert "i2c_arm_baudrate=400000" in slow
    # 225 samples of 12 bytes, 50 looks at the level, 143 at the magnetometer.
    needed = float(slow.split("need ")[1].split()[0])
    assert needed == pytest.approx((225 * 12 + 50 * (60 / 9 + 2) + 143 * (30 / 9 + 9)) / 1e3, 0.03)


@pytest.mark.parametrize(
    ("share", "severities"), [(0.69, []), (0.71, ["warning"]), (1.01, ["error"])]
)
def test_a_bus_is_busy_before_it_is_too_slow(share, severities):
    bus = BusReading("here", (), 100_000)
    assert [f.severity for f in judge_load(bus, share * 100_000)] == severities
    assert list(judge_load(dataclasses.replace(bus, bit_rate_hz=None), 1e9)) == []


@pytest.mark.parametrize(("iron_ut", "words"), [(90.0, "the Earth's field is"), (9000.0, "strong")])
def test_iron_and_magnets_near_the_magnetometer(tmp_path, iron_ut, words):
    path = changed(tmp_path, (line("hard_iron_ut"), f"hard_iron_ut = [{iron_ut}, 0.0, 0.0]"))
    with simulated_rig(path, None) as rig:
        found = examine(rig)
    [told] = sentences(found.findings)
    assert words in told
    assert "loudspeakers" in told


def test_a_chip_without_a_magnetometer_leaves_north_open(tmp_path):
    path = changed(tmp_path, ("address = 0x69", 'address = 0x68\nchip = "MPU-6500"'))
    with simulated_rig(path, None) as rig:
        found = examine(rig)
    assert found.mag is None
    assert well(found.findings)
    assert sentences(found.findings) == [
        "there is no magnetometer (headings have an arbitrary north): add one, or use an IMU with "
        "one inside"
    ]


class Still:
    """A motion sensor that gives the same sample again and again, or none."""

    name, rate_hz, poll_interval_ns = "broken", 200.0, 20_000_000
    description = {"chip": "broken", "bus": "b", "address": "0x68", "rate_hz": 200.0}

    def __init__(self, values):
        self.values, self.count = values, 0

    def read_burst(self, clock):
        if self.values is None:
            return None
        self.count += 4
        sample = np.tile(self.values, (4, 1))
        now = clock.now_ns()
        return ImuBurst(
            self.count - 4, sample[:, :3], sample[:, 3:], now - 5_000_000, now, 1000.0, 0, 0
        )

    def close(self):
        pass


def rig_with(device):
    clock = VirtualClock(SECOND, 0)
    return Rig(clock, imu=ImuSource("imu", clock, lambda clock: device))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0] * 6, "broken gives the same values again and again for the gyroscope's X, "),
        (
            [0.01, 0.0, 0.0, 0.0, 0.0, 9.8],
            "broken gives the same values again and again for the gyroscope's X, ",
        ),
        (None, "broken answers and gives no sample"),
    ],
)
def test_a_sensor_that_stands_still_is_found(values, words):
    with rig_with(Still(values)) as rig:
        found = examine(rig)
    assert not well(found.findings)
    assert any(words in text for text in sentences(found.findings))


class Gone(Still):
    def read_burst(self, clock):
        raise BusError(121, "nothing answers at 0x68: check power")


def test_a_sensor_that_goes_away_and_one_that_is_not_there():
    with rig_with(Gone(None)) as rig:
        found = examine(rig)
    assert "imu failed on its way: nothing answers at 0x68: check power" in sentences(
        found.findings
    )
    clock = VirtualClock(SECOND, 0)

    def absent(clock):
        raise BusError(121, "no motion sensor on b: check power")

    found = examine(Rig(clock, imu=ImuSource("imu", clock, absent)))
    assert found.imu is None
    assert "imu: no motion sensor on b: check power" in sentences(found.findings)


CHANGES = [
    ({"rate_hz": 225 * 1.032}, "warning", "the clock of ICM-20948 is +3.2 % off"),
    ({"rate_hz": 225 * 0.965}, "error", "the clock of ICM-20948 is -3.5 % off"),
    ({"lost": 7, "samples": 443}, "error", "ICM-20948 lost 7 of 450 samples"),
    ({"jitter_s": 100e-6}, "warning", "steady to 100 µs only"),
    ({"temperature_c": 80.0}, "warning", "ICM-20948 is at 80 °C"),
    ({"saturated": 0.02}, "warning", "2% of the samples of ICM-20948 are at full scale"),
    ({"at_rest": True, "gravity_m_s2": 10.5}, "warning", "10.50 m/s², not 9.81"),
    ({"at_rest": True, "gravity_m_s2": 4.9}, "error", "such as an LSM6DSO32"),
    ({"at_rest": True, "gyro_noise_deg_s": 0.8}, "warning", "its noise is 0.8 °/s"),
    ({"stuck": ("the gyroscope's X",)}, "error", "again and again for the gyroscope's X"),
]


@pytest.mark.parametrize(("change", "severity", "words"), CHANGES)
def test_what_is_wrong_with_a_motion_sensor_is_said(walk, change, severity, words):
    rest = {"at_rest": False, "gyro_noise_deg_s": 0.1}
    assert list(judge_imu(dataclasses.replace(walk.imu, **rest))) == []
    [finding] = judge_imu(dataclasses.replace(walk.imu, **(rest | change)))
    assert finding.severity == severity
    assert words in str(finding)


def test_a_weak_field_is_as_wrong_as_a_strong_one(walk):
    [finding] = judge_magnetometer(dataclasses.replace(walk.mag, field_ut=12.0))
    assert "measures 12 µT; the Earth's field is 22 to 67 µT" in str(finding)


RECEIVERS = [
    ({"messages": 0, "fixes": 0}, "error", "is silent"),
    ({"messages": 0, "fixes": 0, "stray_bytes": 99}, "error", "gives 99 bytes and no message"),
    ({"fixes": 0, "satellites": 0.0}, "error", "has no fix and uses 0 satellites"),
    ({"fixes": 0, "satellites": None}, "error", "has no fix (its antenna"),
    ({"damaged": 3, "messages": 17}, "warning", "3 of 20 messages from"),
    ({"accuracies": False, "horizontal_m": None}, "warning", "neither accuracies nor velocities"),
    ({"horizontal_m": 25.0}, "warning", "fixes are good to 25 m only"),
    ({"rate_hz": 1.0}, "warning", "gives 1.0 fixes a second, asked for 10"),
]


@pytest.mark.parametrize(("change", "severity", "words"), RECEIVERS)
def test_what_is_wrong_with_a_receiver_is_said(walk, change, severity, words):
    assert list(judge_receiver(walk.gps)) == []
    [finding] = judge_receiver(dataclasses.replace(walk.gps, **change))
    assert finding.severity == severity
    assert words in str(finding)


@pytest.mark.parametrize(("baud", "words"), [(9600, "is silent"), (19_200, "9600 baud is not its")])
def test_silence_and_a_wrong_rate_are_told_apart(baud, words):
    clock = VirtualClock(SECOND, 0)
    far_end = SerialLine(clock, baud)
    far_end.start(
        lambda: [
            far_end.send(b"$GPTXT*00\r\n" if baud != 9600 else b"", n * SECOND // 5)
            for n in range(30)
        ],
        "far end",
    )
    source = GpsSource(
        clock, "here", lambda clock: GpsReceiver(far_end.path, 9600, clock), Latency()
    )
    found = examine(Rig(clock, gps=source))
    [told] = sentences(found.findings)
    assert words in told
    far_end.close()


class Indoors:
    """A receiver that hears nothing from above."""

    identity = {"module": "NEO-M9N", "baud": "115200"}
    statistics = GpsStatistics(20, 0, 0, 0, None, None)

    def __init__(self, clock):
        self.clock = clock

    def read(self):
        self.clock.sleep_until(self.clock.now_ns() + SECOND // 10)

    def newest_pulse(self):
        return None

    def close(self):
        pass


class Simple(Indoors):
    """One that gives no accuracies."""

    statistics = GpsStatistics(20, 0, 0, 20, None, None)
    number = 0

    def read(self):
        super().read()
        self.number += 1
        values = empty_values(PacketType.MIN_GPS, 1)
        return GpsFix(PacketType.MIN_GPS, values, self.number * SECOND // 10, self.clock.now_ns())


@pytest.mark.parametrize(
    ("kind", "words"), [(Indoors, "has no fix"), (Simple, "neither accuracies nor velocities")]
)
def test_receivers_that_tell_little(kind, words):
    clock = VirtualClock(SECOND, 0)
    found = examine(Rig(clock, gps=GpsSource(clock, "here", kind, Latency())))
    [told] = sentences(found.findings)
    assert words in told
    assert found.gps.satellites is None


HOST = HostReading((), (), (), (), (), False, 10**11, 0.01, ())


@pytest.fixture
def buses(monkeypatch):
    """Simulated buses in the places of Linux'."""
    wired = {}

    def open_bus(path):
        if path not in wired:
            raise BusError(13, f"no permission for {path}: add this user to the group i2c")
        return wired[path]

    monkeypatch.setattr(doctor, "open_bus", open_bus)
    return wired


def simulated_bus(path):
    return SimulatedRig(load_scenario(path), VirtualClock(0, 0)).bus


def test_what_is_there_makes_rigs(buses, tmp_path):
    lonely = changed(tmp_path, ("address = 0x69", 'address = 0x68\nchip = "MPU-6500"'))
    buses |= {"/dev/i2c-1": simulated_bus("walk"), "/dev/i2c-4": simulated_bus(lonely)}
    ports = (Port("/dev/ttyUSB0", "an Arduino", False), Port("/dev/gps-ublox", "u-blox", True))
    host = dataclasses.replace(
        HOST, i2c=("/dev/i2c-1", "/dev/i2c-4"), serial=ports, pps=("/dev/pps0",)
    )
    found = discover(host)
    first, second = found.rigs
    assert (first.imu.bus, second.imu.bus) == ("/dev/i2c-1", "/dev/i2c-4")
    assert first.gps == GpsSettings("/dev/gps-ublox", pps="/dev/pps0")
    assert second.gps is second.magnetometer is None
    assert found.findings == found.other_buses == ()


def test_gpsd_has_the_receiver_for_itself(buses):
    host = dataclasses.replace(HOST, gpsd=True, serial=(Port("/dev/gps-ublox", "u-blox", True),))
    found = discover(host)
    assert found.rigs[0].gps.port == "gpsd://localhost:2947"
    assert "there is no I2C bus" in str(found.findings[0])


def test_a_magnetometer_of_its_own_package_is_part_of_the_rig(buses, tmp_path):
    text = changed(
        tmp_path,
        ("address = 0x69", 'address = 0x68\nchip = "MPU-6500"'),
        ("\n[mag]\n", '\n[mag]\nchip = "QMC5883L"\n'),
    )
    buses["/dev/i2c-1"] = simulated_bus(text)
    [rig] = discover(dataclasses.replace(HOST, i2c=("/dev/i2c-1",))).rigs
    assert rig.magnetometer is not None


def test_an_empty_bus_and_one_without_permission_are_told(buses):
    bus = simulated_bus("walk")
    bus._devices.clear()
    buses["/dev/i2c-1"] = bus
    found = discover(dataclasses.replace(HOST, i2c=("/dev/i2c-1", "/dev/i2c-9")))
    assert found.rigs == ()
    assert [(reading.name, reading.answers) for reading in found.other_buses] == [
        ("simulated bus", ())
    ]
    told = sentences(found.findings)
    assert "no permission for /dev/i2c-9: add this user to the group i2c" in told
    assert "there is no motion sensor: wire one as docs/HARDWARE.md says" in told
    assert "no GPS receiver is known: name its port if there is one: --gps PORT" in told


def test_a_rig_without_its_motion_sensor_is_examined_for_the_rest(buses, monkeypatch):
    bus = simulated_bus("walk")
    bus._devices = {0x3C: bus._devices[0x69]}
    buses["/dev/i2c-1"] = bus
    monkeypatch.setattr("daemon.rig.open_bus", doctor.open_bus)
    found = examine_devices(
        Configuration(ImuSettings("/dev/i2c-1"), gps=GpsSettings("/dev/ttyNONE"))
    )
    assert [(answer.address, answer.name) for answer in found.bus.answers] == [(0x3C, "")]
    assert found.imu is found.mag is found.gps is None
    imu, gps = sentences(found.findings)
    assert imu.startswith("no motion sensor on simulated bus: nothing answers at")
    assert gps == "gps: there is no /dev/ttyNONE: is the receiver plugged in?"
