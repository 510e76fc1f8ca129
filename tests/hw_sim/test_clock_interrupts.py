"""Ctrl-C reaches the thread that made the clock wherever it is; the others go on."""

import itertools
import sys
import threading

import hw_sim.clock
from hw_sim.clock import VirtualClock


def interrupted_at(number):
    """Two threads that wait in turn, the main one interrupted at the so-manieth chance.

    Python raises KeyboardInterrupt where a function begins or has been called. Whether the chance
    came, and how far the other thread and time got within the main one's next ten waits.
    """
    clock = VirtualClock(0, 0)
    over = False
    looked = []

    def look():
        while not over:
            clock.sleep_until(clock.now_ns() + 7)
            looked.append(clock.now_ns())

    chances = itertools.count()

    def raise_then(frame, event, _):
        here = frame.f_code.co_filename == hw_sim.clock.__file__
        if here and event in ("call", "c_return") and next(chances) == number:
            sys.setprofile(None)
            raise KeyboardInterrupt

    thread = clock.thread(look, "other")
    came = False
    try:
        sys.setprofile(raise_then)
        for _ in range(3):
            clock.sleep_until(clock.now_ns() + 10)
        sys.setprofile(None)
    except KeyboardInterrupt:
        came = True
    before_ns = clock.now_ns()
    for _ in range(10):
        clock.sleep_until(clock.now_ns() + 10)
    over = True
    clock.join(thread)
    return came, looked, clock.now_ns() - before_ns


def test_an_interruption_anywhere_leaves_a_clock_that_goes_on():
    for number in itertools.count():
        done = []
        main = threading.Thread(target=lambda n=number, d=done: d.append(interrupted_at(n)))
        main.daemon = True
        main.start()
        main.join(20)
        assert done, f"the clock stands still after an interruption at chance {number}"
        ((came, looked, passed_ns),) = done
        if not came:
            break
        assert passed_ns >= 100
        assert looked == sorted(looked)
        assert len(looked) >= 14
    assert number > 30
