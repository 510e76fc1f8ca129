"""Simulated time: threads take turns, and time moves only when all of them wait."""

from __future__ import annotations

import os
import threading
import time
import tty

import pytest

from drivers.clock import Clock
from hw_sim.clock import VirtualClock, unread_bytes

START, UTC = 5_000, 1_800_000_000_000_000_000


@pytest.fixture
def clock():
    return VirtualClock(START, UTC)


def test_it_is_a_clock(clock):
    as_protocol: Clock = clock
    assert as_protocol.now_ns() == START
    assert as_protocol.utc_ns() == UTC


def test_time_stands_still_while_somebody_works(clock):
    time.sleep(0.01)
    assert clock.now_ns() == START


def test_sleep_arrives_exactly(clock):
    clock.sleep_until(START + 1_000_000_000_000)
    assert clock.now_ns() == START + 1_000_000_000_000
    assert clock.utc_ns() == UTC + 1_000_000_000_000


def test_a_sleep_into_the_past_returns_at_once(clock):
    clock.sleep_until(START - 1)
    assert clock.now_ns() == START


def test_threads_take_turns_in_the_order_of_their_times(clock):
    log = []

    def ticker(name, period, count):
        for number in range(1, count + 1):
            clock.sleep_until(START + number * period)
            log.append((clock.now_ns() - START, name))

    threads = [clock.thread(lambda n=n, p=p: ticker(n, p, 6), n) for n, p in (("a", 20), ("b", 30))]
    for thread in threads:
        clock.join(thread)
    # At the same time who began to wait first comes first.
    assert log == [
        *((20, "a"), (30, "b"), (40, "a"), (60, "b"), (60, "a"), (80, "a")),
        *((90, "b"), (100, "a"), (120, "b"), (120, "a"), (150, "b"), (180, "b")),
    ]


def test_exactly_one_thread_runs_at_a_time(clock):
    inside, most = 0, 0

    def worker(period):
        nonlocal inside, most
        for number in range(1, 200):
            clock.sleep_until(START + number * period)
            inside += 1
            most = max(most, inside)
            time.sleep(0)
            inside -= 1

    threads = [clock.thread(lambda p=p: worker(p), str(p)) for p in (3, 5, 7)]
    for thread in threads:
        clock.join(thread)
    assert most == 1


def test_join_gives_the_turn_back_when_the_thread_has_ended(clock):
    thread = clock.thread(lambda: clock.sleep_until(START + 70), "sleeper")
    clock.join(thread)
    assert clock.now_ns() == START + 70
    assert not thread.is_alive()
    clock.join(thread)


def test_a_reader_wakes_when_bytes_come_in_and_not_before(clock):
    master, slave = os.openpty()
    tty.setraw(slave)
    seen = []

    def sender():
        clock.sleep_until(START + 400)
        os.write(master, b"hello")
        while unread_bytes(slave) < 5:
            time.sleep(1e-5)
        clock.wake(slave)

    def reader():
        seen.append((clock.wait_readable(slave, START + 100), clock.now_ns() - START))
        seen.append((clock.wait_readable(slave, START + 9000), clock.now_ns() - START))
        seen.append((os.read(slave, 10), clock.now_ns() - START))

    threads = [clock.thread(sender, "sender"), clock.thread(reader, "reader")]
    for thread in threads:
        clock.join(thread)
    os.close(master)
    os.close(slave)
    assert seen == [(False, 100), (True, 400), (b"hello", 400)]


def test_speed_holds_it_back(clock, monkeypatch):
    slept = []
    monkeypatch.setattr("hw_sim.clock.time.sleep", slept.append)
    clock.speed = 10.0
    clock.sleep_until(START + 2_000_000_000)
    assert slept == [pytest.approx(0.2, abs=0.05)]
    clock.speed = None
    clock.sleep_until(START + 9_000_000_000)
    assert len(slept) == 1


def test_an_interrupted_sleeper_goes_on_out_of_turn(clock, monkeypatch):
    """Ctrl-C arrives in the main thread while another is at work, and nobody gets stuck."""
    release = threading.Event()
    ended = []

    def worker():
        clock.sleep_until(START + 10)
        release.wait()
        clock.sleep_until(START + 1000)
        ended.append(clock.now_ns() - START)

    thread = clock.thread(worker, "worker")

    def interrupt(moment_ns):
        raise KeyboardInterrupt

    clock.speed = 1.0
    monkeypatch.setattr(clock, "_pace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clock.sleep_until(START + 500)
    monkeypatch.undo()
    release.set()
    clock.join(thread)
    assert ended == [1000]
    clock.sleep_until(START + 2000)
    assert clock.now_ns() == START + 2000
