"""The time pulse: the kernel's structure byte by byte, and stamps that rest on it."""

import errno
import struct
import time
from datetime import date

import numpy as np
import pytest

from camm import PacketType
from camm.gps_time import gps_ns_from_utc
from camm.packets import empty_values
from drivers.errors import DeviceError
from drivers.gps_clock import GpsClock
from drivers.gps_fix import GpsFix, Latency
from drivers.pps import PpsDevice

START = 5_000_000_000_000
SECOND = 1_000_000_000
GPS = gps_ns_from_utc(date(2026, 7, 2), 0)


def fdata(number, seconds, nanoseconds):
    """struct pps_fdata as a compiler lays it out on 64 bits."""
    info = struct.pack("IIqiIqiIi", number, 0, seconds, nanoseconds, 0, 0, 0, 0, 0x1151)
    return info.ljust(48, b"\0") + struct.pack("qiI", 0, 0, 0)


def test_a_pulse_is_fetched_without_waiting_and_put_on_the_monotonic_clock(tmp_path):
    (tmp_path / "pps0").touch()
    asked = []
    utc, monotonic = time.time_ns(), time.monotonic_ns()

    def ioctl(fd, request, argument):
        asked.append((request, argument))
        return fdata(77, utc // SECOND, utc % SECOND)

    device = PpsDevice(str(tmp_path / "pps0"), ioctl)
    number, t_ns = device.newest()
    assert number == 77
    assert abs(t_ns - monotonic) < 10_000_000  # two clocks were read one after the other
    assert asked == [(0xC00870A4, bytes(64))]  # no timeout, so that the kernel does not wait
    device.close()
    device.close()


def test_before_the_first_pulse_there_is_none(tmp_path):
    (tmp_path / "pps0").touch()
    device = PpsDevice(str(tmp_path / "pps0"), lambda *_: fdata(0, 0, 0))
    assert device.newest() is None
    device.close()


def test_what_gives_no_pulses_says_so(tmp_path):
    with pytest.raises(DeviceError, match=r"there is no .*pps7: is pps-gpio in config\.txt"):
        PpsDevice(str(tmp_path / "pps7"))
    (tmp_path / "file").touch()
    device = PpsDevice(str(tmp_path / "file"))  # an ordinary file takes no ioctl
    with pytest.raises(DeviceError, match="gives no pulses") as caught:
        device.newest()
    assert caught.value.errno == errno.ENOTTY
    device.close()


def fix(gps_ns, arrival_ns):
    return GpsFix(PacketType.GPS, empty_values(PacketType.GPS, 1), gps_ns, arrival_ns)


def run(latency_ms, seconds, pulses=True, rate=1 + 14e-6, late_ns=5_000):
    """A receiver that is as late as that, ten times a second; the clock and the truth."""
    random, clock = np.random.default_rng(3), GpsClock(Latency())
    for tenth in range(seconds * 10):
        host = START + round(tenth * 1e8 * rate)
        if pulses and tenth % 10 == 0:
            clock.take_pulse(tenth // 10, host + late_ns)
        arrival = host + round(1e6 * random.uniform(*latency_ms))
        clock.take_fix(fix(GPS + tenth * SECOND // 10, arrival))
    return clock, host, GPS + tenth * SECOND // 10


@pytest.mark.parametrize("latency_ms", [(181, 241), (60, 90), (280, 340)])
def test_with_pulses_a_stamp_is_good_to_microseconds_whatever_the_latency(latency_ms):
    clock, host, gps_ns = run(latency_ms, 30)
    error_ns = int(clock.times(np.array([gps_ns]))[0]) - host
    assert abs(error_ns - 5_000) < 1_000
    told = clock.describe()
    assert told["stamped_by"] == "time pulse"
    assert abs(told["clock_fit"]["period_error_ppm"] - 14) < 0.5
    assert clock.settled


def test_without_pulses_the_latency_decides():
    clock, host, gps_ns = run((60, 90), 30, pulses=False)
    error_ms = (int(clock.times(np.array([gps_ns]))[0]) - host) / 1e6
    assert -190 < error_ms < -90
    assert clock.describe()["stamped_by"] == "arrival of messages"


def test_a_pulse_is_taken_once_and_not_before_the_second_is_known():
    clock = GpsClock(Latency())
    clock.take_pulse(1, START)
    assert clock.describe()["stamped_by"] == "arrival of messages"
    clock.take_fix(fix(GPS, START + 200_000_000))
    for _ in range(3):
        clock.take_pulse(2, START + SECOND)
    assert clock.describe()["clock_fit"]["accepted"] == 1


def test_a_pulse_of_long_ago_is_not_taken():
    clock = GpsClock(Latency())
    clock.take_fix(fix(GPS, START + 200_000_000))
    clock.take_pulse(1, START - 3_600 * SECOND)
    assert clock.describe()["stamped_by"] == "arrival of messages"
    clock.take_pulse(2, START)
    assert clock.describe()["stamped_by"] == "time pulse"


def test_a_pulse_between_two_seconds_is_none_of_ours():
    clock = GpsClock(Latency())
    clock.take_fix(fix(GPS, START + 200_000_000))
    clock.take_pulse(1, START + SECOND // 2)
    assert clock.describe()["stamped_by"] == "arrival of messages"
