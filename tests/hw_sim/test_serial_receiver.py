import dataclasses
import os
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from pyubx2 import UBXReader

from camm import UsageError
from hw_sim.clock import VirtualClock
from hw_sim.receiver import SimulatedReceiver
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Trajectory

WALK = load_scenario("walk")
START = 77_000_000_000


def receiver(clock, **quality):
    return SimulatedReceiver(
        clock,
        dataclasses.replace(WALK.gps, **quality),
        WALK.place,
        Trajectory(WALK.trajectory, WALK.place.gravity_m_s2),
        WALK.start,
        START,
        5,
    )


def listen(seconds, **quality):
    """What arrived and when, as (time, bytes), and the truth."""
    clock = VirtualClock(START, 0)
    source = receiver(clock, **quality)
    terminal = os.open(source.path, os.O_RDWR | os.O_NOCTTY)
    source.start()
    heard = []
    end = START + round(seconds * 1e9)
    while clock.wait_readable(terminal, end):
        heard.append((clock.now_ns(), os.read(terminal, 4096)))
    source.close()
    os.close(terminal)
    return heard, source.truth()


def test_the_epochs_are_tenths_of_gps_seconds_on_the_hosts_clock():
    _, truth = listen(3)
    tenths = truth["gps_time"] * 10
    np.testing.assert_allclose(tenths, np.rint(tenths), atol=1e-4)
    assert np.diff(truth["gps_t_ns"]).tolist() == pytest.approx([1e8 * (1 + 14e-6)] * 27, abs=2)
    # The rig began at 16:42:17.337 UTC; the first epoch is at .4, eighteen leap seconds on.
    first = WALK.start + timedelta(seconds=0.063)
    assert truth["gps_t_ns"][0] == pytest.approx(START + 63e6, abs=2000)
    assert truth["gps_time"][0] - first.timestamp() + 315964800 == pytest.approx(18, abs=1e-6)


def test_a_message_comes_late_and_at_the_pace_of_the_line():
    heard, truth = listen(5)
    starts = [t for t, data in heard if data.startswith(b"\xb5\x62")]
    chunk = len(heard[0][1])
    assert all(len(data) == chunk for _, data in heard if data.startswith(b"\xb5\x62"))
    # The first chunk is there when its last bit is through: ten bits a byte.
    chunk_ns = chunk * 10 * 1e9 / 115200
    latency = (np.array(starts[:45]) - chunk_ns - truth["gps_t_ns"][:45]) / 1e6
    assert 181 - 0.001 <= latency.min() < 190
    assert 225 < latency.max() <= 241 + 9
    assert np.median(latency) == pytest.approx(204, abs=6)
    # The last of a message's 100 bytes comes when 1000 bits have passed.
    ends = [t for (t, _), (_, later) in pairwise(heard) if later.startswith(b"\xb5\x62")]
    length = np.array(ends[:45]) - np.array(starts[:45]) + chunk_ns
    np.testing.assert_allclose(length, 100 * 10 * 1e9 / 115200, atol=2)


def test_the_reported_place_is_wrong_by_as_much_as_the_scenario_says():
    heard, truth = listen(120, rate_hz=2)
    data = b"".join(data for _, data in heard)
    messages = [UBXReader.parse(data[i : i + 100]) for i in range(0, len(data), 100)]
    count = len(messages)
    assert count > 200
    np.testing.assert_allclose(
        [m.lat for m in messages], truth["reported_latitude"][:count], atol=1e-7
    )
    north = np.radians(truth["reported_latitude"] - truth["latitude"]) * 6.36e6
    assert 0.2 < north.std() < 2.0
    assert np.abs(np.diff(north)).max() < 0.9  # it wanders, it does not jump
    assert (truth["reported_velocity"] - truth["velocity"]).std() == pytest.approx(0.05, rel=0.15)
    place = WALK.place
    east = (
        np.radians(truth["longitude"] - place.longitude_deg)
        * 6.39e6
        * np.cos(np.radians(place.latitude_deg))
    )
    north = np.radians(truth["latitude"] - place.latitude_deg) * 6.36e6
    np.testing.assert_allclose(np.hypot(east, north), 22, atol=0.2)


def test_the_same_seed_gives_the_same_bytes_at_the_same_times():
    first, _ = listen(2, protocol="both")
    second, _ = listen(2, protocol="both")
    assert first == second
    assert b"$GNRMC" in b"".join(data for _, data in first)


def test_bytes_that_nobody_reads_are_lost_and_counted():
    clock = VirtualClock(START, 0)
    source = receiver(clock)
    source.start()
    clock.sleep_until(START + 10_000_000_000)
    source.close()
    assert source.lost > 4000
    source.close()


def test_a_baud_rate_that_terminals_do_not_have_is_refused():
    with pytest.raises(UsageError, match="terminals cannot run at 12345 baud"):
        receiver(VirtualClock(START, 0), baud=12_345)
