"""A GPS source with a receiver at its other end: stamps, hot-plug, and one kind of record."""

import dataclasses

import numpy as np
import pytest

from camm import PacketType, Samples
from camm.packets import empty_values
from daemon.gps_source import GpsSource
from drivers.gps import GpsReceiver
from drivers.gps_fix import GpsFix, Latency
from drivers.receiver import GpsStatistics
from hw_sim.clock import VirtualClock
from hw_sim.receiver import SimulatedReceiver
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Trajectory

WALK = load_scenario("walk")
START = 77_000_000_000
SECOND = 1_000_000_000


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


def blocks(deliveries):
    return [d.content for d in deliveries if isinstance(d.content, Samples)]


def errors_ns(blocks, truth):
    """Stamps less the truth, by GPS time."""
    t_ns = np.concatenate([block.t_ns for block in blocks])
    gps = np.concatenate([block.data["time_gps_epoch"] for block in blocks])
    which = np.abs(truth["gps_time"][:, None] - gps).argmin(axis=0)
    return t_ns - truth["gps_t_ns"][which]


@pytest.mark.parametrize("latency_ms", [(181.0, 204.0, 241.0), (50.0, 60.0, 90.0)])
def test_with_a_time_pulse_fixes_are_stamped_to_microseconds(latency_ms):
    clock = VirtualClock(START, 0)
    far_end = receiver(clock, time_pulse=True, latency_ms=latency_ms)
    far_end.start()
    deliveries = []
    source = GpsSource(
        clock,
        "here",
        lambda clock: GpsReceiver(far_end.path, 115_200, clock, 10, lambda: far_end.time_pulse),
        Latency(),
    )
    source.open()
    source.start(deliveries.append)
    clock.sleep_until(START + 20 * SECOND)
    source.stop()
    source.join()
    errors = errors_ns(blocks(deliveries), far_end.truth())[30:]
    assert len(errors) > 140
    assert np.abs(errors).max() < 20_000
    told = source.describe()
    assert told["stamped_by"] == "time pulse"
    assert told["module"] == "NEO-M9N"
    assert told["baud"] == "115200"
    far_end.close()


def test_a_receiver_that_is_unplugged_and_comes_back_is_set_up_again(tmp_path, caplog):
    clock = VirtualClock(START, 0)
    link = tmp_path / "gps"
    first = receiver(clock)
    link.symlink_to(first.path)
    first.start()
    deliveries = []
    source = GpsSource(
        clock, "here", lambda clock: GpsReceiver(str(link), 115_200, clock, 10), Latency()
    )
    source.open()
    source.start(deliveries.append)
    clock.sleep_until(START + 5 * SECOND)
    first.close()
    link.unlink()
    clock.sleep_until(START + 8 * SECOND)
    # As it leaves the factory: it has been without power.
    second = receiver(clock, protocol="nmea", rate_hz=1, baud=38_400)
    link.symlink_to(second.path)
    second.start()
    clock.sleep_until(START + 20 * SECOND)
    source.stop()
    source.join()
    found = blocks(deliveries)
    t_ns = np.concatenate([block.t_ns for block in found])
    assert {block.kind for block in found} == {PacketType.GPS}
    assert (np.diff(t_ns) > 0).all()
    gaps = np.diff(t_ns)[np.diff(t_ns) > 0.15 * SECOND]
    assert len(gaps) == 1
    assert 3 * SECOND < gaps[0] < 11 * SECOND
    assert np.count_nonzero(t_ns > START + 15 * SECOND) > 40
    assert source.statistics.failures >= 2
    assert any("went away: check the cable" in record.message for record in caplog.records)
    second.close()


@pytest.mark.parametrize("searching", [False, True])
def test_a_source_ends_at_once_though_its_receiver_is_being_looked_for(searching, caplog):
    clock = VirtualClock(START, 0)
    far_end = receiver(clock)
    far_end.start()
    source = GpsSource(
        clock, "here", lambda clock: GpsReceiver(far_end.path, 115_200, clock, 10), Latency()
    )
    source.open()
    if searching:  # a receiver that is deaf, dumb and cold: 8 s until it is given up
        far_end._line.answer = lambda heard: b""
        far_end.control._settings = dict.fromkeys(far_end.control._settings, 0) | {
            key: value for key, value in far_end.control._settings.items() if value > 1
        }
    source.start(lambda delivery: None)
    clock.sleep_until(START + 9 * SECOND)
    assert source.statistics.failures == searching
    asked_ns = clock.now_ns()
    source.stop()
    source.join()
    assert clock.now_ns() - asked_ns < SECOND // 2
    assert source.statistics.failures == searching
    assert ("went away" in caplog.text) is False
    far_end.close()


class Said:
    """A receiver that says what it is given, a fix at a time."""

    identity = {}
    statistics = GpsStatistics(0, 0, 0, 0)

    def __init__(self, clock, kinds):
        self.clock = clock
        self.kinds = list(kinds)
        self.number = 0

    def read(self):
        self.number += 1
        self.clock.sleep_until(START + self.number * SECOND // 10)
        if self.number > len(self.kinds):
            return None
        kind = self.kinds[self.number - 1]
        now = self.clock.now_ns()
        return GpsFix(kind, empty_values(kind, 1), self.number * SECOND // 10, now)

    def newest_pulse(self):
        return None

    def close(self):
        pass


@pytest.mark.parametrize(
    ("kinds", "kept", "lost"),
    [
        ("566666666", "66666666", 1),
        ("555565555", "6", 8),
        ("655555555", "6", 8),
        ("555555655", "55555555", 1),
    ],
)
def test_fixes_of_a_clip_are_of_one_kind(kinds, kept, lost):
    """The better one, where it comes before anything was handed over."""
    clock = VirtualClock(START, 0)
    said = Said(clock, [PacketType(int(kind)) for kind in kinds])
    source = GpsSource(clock, "here", lambda clock: said, Latency())
    source.open()
    delivered = [source.read() for _ in range(len(kinds))] + [source.rest()]
    found = [d.content for d in delivered if d is not None and isinstance(d.content, Samples)]
    assert "".join(str(int(block.kind)) * len(block) for block in found) == kept
    assert source.statistics.lost == lost
