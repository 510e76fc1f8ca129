import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import UsageError
from hw_sim.clock import VirtualClock
from hw_sim.replay import ReplayedReceiver, split_epochs

LOGS = Path(__file__).parents[1] / "data" / "gps"
START = 9_000_000_000


def play(name, baud=115200):
    """What a reader of the terminal gets: (time, bytes) pairs."""
    clock = VirtualClock(START, 0)
    source = ReplayedReceiver(clock, LOGS / name, baud)
    terminal = os.open(source.path, os.O_RDONLY | os.O_NOCTTY)
    source.start()
    heard = []
    while clock.wait_readable(terminal, START + source.duration_ns + 10**9):
        heard.append((clock.now_ns(), os.read(terminal, 4096)))
    assert source.done
    assert source.lost == 0
    source.close()
    os.close(terminal)
    return source, heard


@pytest.mark.parametrize(
    ("name", "epochs", "step_ms"), [("ublox-neo-m8p.log", 59, 250), ("ublox-8.log", 73, 1000)]
)
def test_a_log_goes_through_byte_for_byte_at_its_own_pace(name, epochs, step_ms):
    source, heard = play(name)
    assert b"".join(data for _, data in heard) == (LOGS / name).read_bytes()
    chunk_ns = len(heard[0][1]) * 10 * 10**9 // 115200
    assert heard[0][0] == START + 300_000_000 + chunk_ns
    assert heard[-1][0] == START + source.duration_ns
    assert source.last_epoch_ns == 100_000_000 + (epochs - 1) * step_ms * 1_000_000
    silences = [b - a for (a, _), (b, _) in pairwise(heard) if b - a > 2 * chunk_ns]
    assert len(silences) == epochs - 1


def test_each_burst_begins_with_its_own_epoch():
    bursts = split_epochs((LOGS / "ublox-8.log").read_bytes())
    assert bursts[0].data.startswith(b"# Name:Uputronics")
    assert all(burst.data.startswith(b"$GNRMC,") for burst in bursts[1:])


def test_midnight_is_one_second_after_the_second_before():
    log = (
        b"$GPGGA,235959.00,a\r\n$GPRMC,235959.00,a\r\n$GPGGA,000000.00,b\r\n$GPRMC,000000.00,b\r\n"
    )
    assert [burst.epoch_ms for burst in split_epochs(log)] == [0, 1000]


def test_time_that_goes_back_or_is_absent_goes_on_by_a_second():
    log = b"".join(
        b"$GPRMC,%s,V\r\n$GPGGA,%s,,\r\n" % (time, time)
        for time in (b"", b"", b"120000.00", b"115000.00", b"115001.50")
    )
    assert [burst.epoch_ms for burst in split_epochs(log)] == [0, 1000, 2000, 3000, 4500]


def test_ubx_and_nmea_of_one_epoch_stay_together():
    itow = (45_296_000 + 18_000 + 3 * 86_400_000).to_bytes(4, "little")  # Wednesday 12:34:56 UTC
    body = b"\x01\x61\x04\x00" + itow
    a = b = 0
    for byte in body:
        a = (a + byte) & 255
        b = (b + a) & 255
    log = b"$GNGGA,123456.00,x\r\n\xb5\x62" + body + bytes([a, b])
    assert len(split_epochs(log + b"$GNGGA,123457.00,x\r\n")) == 2


@given(
    st.lists(st.sampled_from([b"$GPGGA,", b"123519", b",\r\n", b"\xb5\x62\x01\x07", b"\x00", b"$"]))
)
def test_whatever_the_log_nothing_is_lost_and_time_never_goes_back(parts):
    log = b"".join(parts)
    bursts = split_epochs(log)
    assert b"".join(burst.data for burst in bursts) == log
    assert all(a.epoch_ms < b.epoch_ms for a, b in pairwise(bursts))


def test_a_log_that_is_missing_or_empty_is_refused(tmp_path):
    clock = VirtualClock(0, 0)
    with pytest.raises(UsageError, match="cannot be read"):
        ReplayedReceiver(clock, tmp_path / "none.log")
    (tmp_path / "empty.log").touch()
    with pytest.raises(UsageError, match="is empty"):
        ReplayedReceiver(clock, tmp_path / "empty.log")
