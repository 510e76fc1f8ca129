"""What begins and ends a recording besides a command, on time that passes when a test says so."""

import errno
import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import VALUE_DTYPES, PacketType, Samples, UsageError
from camm.declared import DeclarationError, parse
from daemon.camcorder import Camcorder
from daemon.configuration import (
    Configuration,
    MotionSettings,
    SpeedSettings,
    StorageSettings,
    TimesSettings,
    TriggerSettings,
)
from daemon.control import Control
from daemon.rig import simulated_rig
from daemon.shelf import Shelf
from daemon.status import Status
from daemon.triggers import Lasting, Triggers, is_time, shines, spread
from drivers.errors import DeviceError

LOOK = 100_000_000
SECOND = 1_000_000_000
MONDAY = datetime(2026, 6, 1)  # noqa: DTZ001 - local time, whose zone is nobody's business here


class Told:
    """A camcorder that does at once what it is told, and remembers it."""

    def __init__(self):
        self.said = []
        self.troubles = {}
        self.camcorder = SimpleNamespace(newest={}, status=Status("ready", flowing=True))
        self.km_h = None

    def be(self, **status):
        self.camcorder.status = replace(self.camcorder.status, **status)

    def start(self):
        self.said.append("start")
        self.be(state="recording")

    def stop(self):
        self.said.append("stop")
        self.be(state="ready")

    def mark(self, text):
        if self.camcorder.status.state != "recording":
            raise UsageError("there is no clip to mark")
        self.said.append(f"mark {text}")

    def moving_at(self, km_h):
        """From now on, north-east; None: without fixes."""
        self.km_h = km_h

    def measure(self, now_ns):
        """Ten fixes a second."""
        if self.km_h is None:
            return
        fix = np.zeros(1, VALUE_DTYPES[PacketType.GPS])
        fix["velocity_east"] = fix["velocity_north"] = self.km_h / 3.6 / np.sqrt(2)
        fix["velocity_up"] = 40
        times = np.array([now_ns - 200_000_000])
        self.camcorder.newest[PacketType.GPS] = Samples(PacketType.GPS, times, fix)


class Line:
    """A button and a lamp, whichever is asked for."""

    def __init__(self, name):
        self.name = name
        self.coming = []
        self.shone = []
        self.broken = False
        self.closed = False

    def changes(self):
        if self.broken:
            raise DeviceError(errno.ENODEV, "GPIO line 17: ENODEV")
        changes, self.coming = self.coming, []
        return changes

    def shine(self, on):
        if self.broken:
            raise DeviceError(errno.ENODEV, "GPIO line 17: ENODEV")
        self.shone.append(on)

    def close(self):
        self.closed = True


class Host:
    """Triggers that look ten times a second of a time of the test's own."""

    def __init__(self, **settings):
        self.control = Told()
        self.lines = {}
        self.now_ns = 5_000 * SECOND
        self.triggers = Triggers(
            self.control, TriggerSettings(**settings), button=self._line, light=self._line
        )

    def _line(self, name):
        return self.lines.setdefault(name, Line(name))

    def run(self, seconds, each_look=lambda: None):
        for _ in range(round(seconds * 10)):
            self.now_ns += LOOK
            self.control.measure(self.now_ns)
            each_look()
            self.triggers.look(self.now_ns)

    def press(self, seconds):
        """A press of the button that is let go in time."""
        line = self.lines["button"]
        line.coming.append((self.now_ns, True))
        self.run(seconds)
        line.coming.append((self.now_ns, False))
        self.run(0.1)

    def since(self):
        """What has been said since the last time this was asked."""
        said, self.control.said = self.control.said, []
        return said


def test_what_is_seen_counts_when_it_has_lasted():
    lasting = Lasting(2, 3)
    assert not lasting.after(0, seen=True)
    assert not lasting.after(2 * SECOND - 1, seen=True)
    assert lasting.after(2 * SECOND, seen=True)
    assert lasting.after(4 * SECOND, seen=False)
    assert lasting.after(7 * SECOND - 1, seen=False)
    assert not lasting.after(7 * SECOND, seen=False)


@pytest.mark.parametrize("interruption", [False, None])
def test_what_is_interrupted_has_to_last_again(interruption):
    lasting = Lasting(2, 2)
    lasting.after(0, seen=True)
    lasting.after(SECOND, seen=interruption)
    assert not lasting.after(2 * SECOND, seen=True)
    assert not lasting.after(3 * SECOND, seen=True)
    assert lasting.after(4 * SECOND, seen=True)


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.sampled_from([True, False, None])), max_size=60)
)
def test_what_counts_has_always_been_seen_without_a_break_before_it_did(seen):
    lasting, t_ns, counts, since = Lasting(2, 1), 0, False, {}
    for step, what in seen:
        t_ns += step
        since = {what: since.get(what, t_ns)}
        after = lasting.after(t_ns, what)
        if after is not counts:
            assert what is after
            assert t_ns - since[after] >= (2 if after else 1) * SECOND
        counts = after


class Moving:
    """Newest samples: at rest with bias and gravity, or shaken."""

    def __init__(self, host, gyro=0.0, accel=0.0):
        self.host = host
        self.gyro, self.accel = gyro, accel
        self.chance = np.random.default_rng(5)

    def __call__(self):
        newest = self.host.control.camcorder.newest
        for kind, mean, deviation in (
            (PacketType.GYRO, (0.3, -0.2, 0.1), self.gyro),
            (PacketType.ACCELERATION, (0.0, -9.81, 0.3), self.accel),
        ):
            row = np.array(mean) + self.chance.normal(0, deviation, 3)
            newest[kind] = Samples(kind, np.array([self.host.now_ns - 7]), row[None])


def test_a_rig_that_begins_to_move_is_filmed_until_it_has_been_still():
    host = Host(motion=MotionSettings(start_after_s=2, stop_after_s=10))
    host.run(30, Moving(host, gyro=0.005, accel=0.03))
    assert host.since() == []
    host.run(5, Moving(host, gyro=0.2, accel=0.03))
    assert host.since() == ["start"]
    host.run(9, Moving(host))
    assert host.since() == []
    host.run(4, Moving(host))
    assert host.since() == ["stop"]


def test_acceleration_alone_is_motion_too_and_a_steady_rate_of_turn_is_none():
    host = Host(motion=MotionSettings(gyro_dps=5, accel_g=0.05, start_after_s=1))
    host.run(10, Moving(host))  # turning at 0.37 rad/s, or so a bias would have it
    assert host.since() == []
    host.run(4, Moving(host, accel=0.7))
    assert host.since() == ["start"]


def test_a_jolt_is_no_motion():
    host = Host(motion=MotionSettings(start_after_s=5))
    host.run(10, Moving(host))
    host.run(0.3, Moving(host, gyro=2, accel=20))
    host.run(20, Moving(host))
    assert host.since() == []


def test_a_motion_sensor_that_falls_silent_ends_no_recording():
    host = Host(motion=MotionSettings(start_after_s=1, stop_after_s=5))
    host.run(5, Moving(host, gyro=0.5))
    assert host.since() == ["start"]
    host.run(60)
    host.control.camcorder.newest.clear()
    host.run(60)
    assert host.since() == []


def test_a_spread_counts_all_three_axes():
    values = np.array([[1, 0, 5], [-1, 2, 5], [1, 0, 5], [-1, 2, 5]], np.float32)
    assert spread(values) == pytest.approx(np.sqrt(2))


def test_a_rig_under_way_is_filmed_until_it_has_stood():
    host = Host(speed=SpeedSettings(start_km_h=10, stop_km_h=5, start_after_s=3, stop_after_s=60))
    for km_h, seconds, said in [
        (9.9, 60, []),
        (12.0, 2.9, []),
        (8.0, 1, []),  # neither: three seconds begin again
        (12.0, 3.1, ["start"]),
        (7.0, 600, []),  # slow, and above the speed at which it stops
        (0.3, 59, []),
        (30.0, 1, []),
        (0.3, 59, []),
        (0.3, 2, ["stop"]),
    ]:
        host.control.moving_at(km_h)
        host.run(seconds)
        assert host.since() == said, (km_h, seconds)


def test_in_a_tunnel_things_stay_as_they_are():
    host = Host(speed=SpeedSettings(stop_after_s=5))
    host.control.moving_at(50)
    host.run(5)
    assert host.since() == ["start"]
    host.control.moving_at(2)
    host.run(1)
    host.control.moving_at(None)
    host.run(600)  # the last fix was one of standing, and is not one of now
    host.control.camcorder.newest.clear()  # a receiver that tells no speed
    host.run(600)
    assert host.since() == []


@pytest.mark.parametrize(
    ("between", "days", "at", "expected"),
    [
        ("07:30-09:00", "mon", "Mon 07:29", False),
        ("07:30-09:00", "mon", "Mon 07:30", True),
        ("07:30-09:00", "mon", "Mon 08:59", True),
        ("07:30-09:00", "mon", "Mon 09:00", False),
        ("07:30-09:00", "mon", "Tue 08:00", False),
        ("22:00-06:00", "mon", "Mon 23:00", True),
        ("22:00-06:00", "mon", "Tue 05:59", True),
        ("22:00-06:00", "mon", "Tue 06:00", False),
        ("22:00-06:00", "mon", "Mon 05:00", False),
        ("22:00-06:00", "sun", "Mon 05:00", True),
        ("00:00-24:00", "sat sun", "Sun 23:59", True),
        ("00:00-24:00", "sat sun", "Mon 00:00", False),
        ("06:00-07:00 20:00-21:00", "wed", "Wed 20:30", True),
        ("06:00-07:00 20:00-21:00", "wed", "Wed 12:00", False),
    ],
)
def test_times_of_the_day_and_days_of_the_week(between, days, at, expected):
    settings = TimesSettings(tuple(between.split()), tuple(days.split()))
    day, clock = at.split()
    hour, minute = map(int, clock.split(":"))
    shift = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].index(day)
    assert is_time(settings, MONDAY + timedelta(shift, hours=hour, minutes=minute)) is expected


def test_a_recording_by_the_clock_goes_by_local_time(monkeypatch):
    monkeypatch.setenv("TZ", "IST-5:30")
    time.tzset()
    try:
        host = Host(times=TimesSettings(("08:00-09:00",)))
        host.run(1)
        assert host.since() == []  # nobody knows what time it is
        for utc, said in [
            (datetime(2026, 6, 1, 2, 29, 59, tzinfo=UTC), []),
            (datetime(2026, 6, 1, 2, 30, tzinfo=UTC), ["start"]),
            (None, []),
            (datetime(2026, 6, 1, 3, 29, 59, tzinfo=UTC), []),
            (datetime(2026, 6, 1, 3, 30, tzinfo=UTC), ["stop"]),
        ]:
            host.control.be(utc=utc)
            host.run(0.3)
            assert host.since() == said, utc
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "span", ["8:00-9:00", "08:00", "08:00-25:00", "08:60-09:00", "08:00-24:30", "08:00-08:00"]
)
def test_a_time_that_is_none_is_refused_with_its_line(span):
    with pytest.raises(DeclarationError, match=rf"rig.toml, line 2: triggers.times: .*'{span}'"):
        parse(Configuration, f'\n[triggers.times]\nbetween = ["{span}"]\n', "rig.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[triggers.times]\nbetween = []", "must not be empty"),
        ('[triggers.times]\nbetween = ["08:00-09:00"]\ndays = ["monday"]', "must be 'mon', 'tue'"),
        ("[triggers.speed]\nstop_km_h = 20", "must not be above start_km_h, found 20 and 10"),
        ("[triggers.motion]\ngyro = 3", "unknown key 'triggers.motion.gyro'"),
    ],
)
def test_triggers_that_make_no_sense_are_refused(text, complaint):
    with pytest.raises(DeclarationError, match=complaint):
        parse(Configuration, text, "rig.toml")


def test_recording_goes_on_while_one_trigger_asks_for_it():
    host = Host(
        speed=SpeedSettings(start_after_s=1, stop_after_s=1),
        times=TimesSettings(("12:00-13:00",)),
    )
    noon = datetime(2026, 6, 1, 12).astimezone(UTC)
    host.control.moving_at(50)
    host.run(3)
    assert host.since() == ["start"]
    host.control.be(utc=noon)
    host.run(3)
    host.control.moving_at(0)
    host.run(30)
    assert host.since() == []
    host.control.be(utc=noon + timedelta(hours=1))
    host.run(1)
    assert host.since() == ["stop"]


def test_each_trigger_sees_what_happens_while_another_asks():
    host = Host(
        motion=MotionSettings(start_after_s=1, stop_after_s=1),
        speed=SpeedSettings(start_after_s=8, stop_after_s=1),
    )
    host.control.moving_at(50)
    host.run(3, Moving(host, gyro=1))
    host.control.moving_at(0)
    host.run(9, Moving(host, gyro=1))
    host.control.moving_at(50)
    host.run(5, Moving(host))
    assert host.since() == ["start", "stop"]


def test_what_a_person_says_holds_until_a_trigger_changes_its_mind():
    host = Host(speed=SpeedSettings(start_after_s=1, stop_after_s=1))
    host.control.moving_at(50)
    host.run(3)
    host.control.stop()
    assert host.since() == ["start", "stop"]
    host.run(600)
    assert host.since() == []  # stopped by hand, and still under way
    host.control.moving_at(0)
    host.run(3)
    host.since()
    host.control.start()
    host.run(600)
    assert host.since() == ["start"]  # started by hand, and still standing
    host.control.moving_at(50)
    host.run(3)
    host.control.moving_at(0)
    host.run(3)
    assert host.since() == ["start", "stop"]


def test_a_short_press_starts_and_the_next_one_stops():
    host = Host(button="button")
    host.press(0.2)
    assert host.since() == ["start"]
    host.run(5)
    host.press(0.9)
    assert host.since() == ["stop"]


def test_a_long_press_marks_while_it_is_still_held_and_once():
    host = Host(button="button")
    host.control.start()
    host.since()
    line = host.lines["button"]
    line.coming.append((host.now_ns, True))
    host.run(0.9)
    assert host.since() == []
    host.run(0.2)
    assert host.since() == ["mark button"]
    host.run(5)
    line.coming.append((host.now_ns, False))
    host.run(1)
    assert host.since() == []


def test_presses_between_two_looks_count_by_their_own_times():
    host = Host(button="button")
    line = host.lines["button"]
    at = host.now_ns
    line.coming += [(at, True), (at + 40_000_000, False)]
    host.run(0.1)
    assert host.since() == ["start"]
    line.coming += [(at, True), (at + SECOND, False)]  # the look was late
    host.run(0.1)
    assert host.since() == ["mark button"]


def test_a_button_that_was_down_from_the_start_says_nothing_when_it_is_let_go():
    host = Host(button="button")
    host.lines["button"].coming.append((host.now_ns, False))
    host.run(3)
    assert host.since() == []


def test_a_press_while_there_is_no_room_takes_the_wish_back():
    host = Host(button="button")
    host.control.be(state="halted")
    host.press(0.2)
    assert host.since() == ["stop"]


def test_a_mark_without_a_clip_is_only_told(caplog):
    host = Host(button="button")
    with caplog.at_level(logging.WARNING):
        host.press(1.5)
    assert caplog.messages == ["there is no clip to mark"]
    host.press(0.2)
    assert host.since() == ["start"]


def blinks(host, seconds=8):
    """Of the lamp: how often it went on, and for which share of the time it shone."""
    shone = host.lines["led"].shone
    shone.clear()
    host.run(seconds)
    rises = sum(now and not before for before, now in pairwise(shone))
    return rises / seconds, sum(shone) / len(shone)


@pytest.mark.parametrize(
    ("said", "hertz", "share"),
    [
        ({"state": "recovering", "flowing": False, "warnings": ("is finished now",)}, 0, 0),
        ({"state": "starting", "flowing": False}, 0, 0),
        ({"state": "starting", "warnings": ("nothing at 0x68",)}, 2.5, 0.5),
        ({"state": "ready"}, 0.5, 0.5),
        ({"state": "ready", "flowing": False}, 2.5, 0.5),
        ({"state": "ready", "warnings": ("gps delivers nothing",)}, 0.5, 0.5),
        ({"state": "recording"}, 0, 1),
        ({"state": "recording", "warnings": ("gps delivers nothing",)}, 0, 1),
        ({"state": "recording", "growing": False}, 2.5, 0.5),
        ({"state": "recording", "flowing": False}, 2.5, 0.5),
        ({"state": "halted"}, 2.5, 0.5),
        ({"state": "stopped", "flowing": False}, 0, 0),
    ],
)
def test_the_lamp_tells_recording_ready_and_trouble_apart(said, hertz, share):
    host = Host(led="led")
    host.control.be(**said)
    assert blinks(host) == (pytest.approx(hertz, abs=0.13), pytest.approx(share, abs=0.03))


def test_whatever_the_moment_the_lamp_shines_while_all_is_well_and_recorded():
    status = Status("recording", flowing=True)
    assert all(shines(status, t_ns) for t_ns in range(0, 3 * SECOND, 7_000_001))


def test_lines_that_cannot_be_had_are_warned_of_and_done_without(caplog):
    def refuse(name):
        raise DeviceError(errno.EACCES, f"no permission for GPIO line {name}")

    control = Told()
    settings = TriggerSettings(button="17", led="27", times=TimesSettings(("00:00-24:00",)))
    with caplog.at_level(logging.WARNING):
        triggers = Triggers(control, settings, button=refuse, light=refuse)
    complaints = [f"no permission for GPIO line {name}" for name in ("17", "27")]
    assert caplog.messages == complaints
    assert list(control.troubles.values()) == ["; ".join(complaints)]
    control.be(utc=datetime(2026, 6, 1, 12, tzinfo=UTC))
    triggers.look(0)
    assert control.said == ["start"]
    triggers.close()
    assert control.troubles == {}


@pytest.mark.parametrize("name", ["button", "led"])
def test_a_line_that_goes_is_told_once_and_given_back(name, caplog):
    host = Host(button="button", led="led")
    host.lines[name].broken = True
    with caplog.at_level(logging.WARNING):
        host.run(10)
    assert caplog.messages == ["GPIO line 17: ENODEV"]
    assert list(host.control.troubles.values()) == caplog.messages
    assert [line.closed for line in host.lines.values()] == [n == name for n in host.lines]


def test_a_closed_trigger_has_no_thread_and_no_line():
    host = Host(button="button", led="led")
    before = threading.active_count()
    host.triggers.start()
    host.triggers.close()
    assert threading.active_count() == before
    assert all(line.closed for line in host.lines.values())


def test_where_nothing_is_set_there_is_no_thread():
    host = Host()
    before = threading.active_count()
    host.triggers.start()
    assert threading.active_count() == before
    host.triggers.close()


def test_a_walk_starts_a_recording_by_its_motion_and_its_speed(tmp_path):
    shelf = Shelf(tmp_path, "1f3a9c02")
    camcorder = Camcorder(
        lambda: simulated_rig("walk", 5.0),
        shelf,
        StorageSettings(folder=str(tmp_path), keep_free_mb=1),
        version="test",
    )
    control = Control(camcorder, "test")
    settings = [
        TriggerSettings(motion=MotionSettings(start_after_s=1)),
        TriggerSettings(speed=SpeedSettings(start_km_h=2, stop_km_h=1, start_after_s=1)),
    ]
    running = threading.Thread(target=camcorder.run)
    running.start()
    try:
        deadline = time.monotonic() + 60
        for each in settings:
            triggers = Triggers(control, each)
            while control.status()["state"] != "recording":
                assert time.monotonic() < deadline
                triggers.look(camcorder.now_ns)
                time.sleep(0.01)
            camcorder.stop()
            while control.status()["state"] != "ready":
                assert time.monotonic() < deadline
                time.sleep(0.01)
            triggers.close()
    finally:
        camcorder.close()
        running.join()
    assert len(shelf.clips()) == 2
