"""A tracker as a source: a program beside ours that works out where the camera is by itself.

It connects to the control socket and tells its poses in lines of JSON, as docs/TRACKER.md has it;
they become types 4 and 0.
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from camm import PacketType, Samples, UsageError
from camm.frames import to_angle_axis
from daemon.sources import APART_NS, Delivery, Source, Tracked
from drivers.clock import Clock

_LOOK_NS = 100_000_000
_LATEST_NS = 1_800_000_000
"""What is older has perhaps been written without it: nobody waits for longer than two seconds."""
_TOO_MUCH = 1e9  # of any number
_UNIT = 0.05  # how far from 1 the norm of a quaternion may be
_EXAMPLE = '{"t_ns": 123456789, "position": [0, 0, 0], "orientation": [1, 0, 0, 0]}'
_SIZES = {"position": 3, "orientation": 4}


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera was at a moment of CLOCK_MONOTONIC, or how it was turned, or both.

    `position` east, down, north, m; `orientation` camera to world, w first.
    """

    t_ns: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None

    @classmethod
    def of(cls, told: object) -> Self:
        """A pose as JSON has it; UsageError where it is none."""
        if not isinstance(told, dict) or not {"t_ns"} < told.keys() <= {"t_ns", *_SIZES}:
            raise UsageError(f"a pose is {_EXAMPLE}, {_found(told)}")
        t_ns = told["t_ns"]
        if type(t_ns) is not int:
            raise UsageError(f"t_ns is whole nanoseconds of CLOCK_MONOTONIC, {_found(t_ns)}")
        numbers = {key: _numbers(key, told[key]) if key in told else None for key in _SIZES}
        turn = numbers["orientation"]
        if turn is not None and abs(math.hypot(*turn) - 1) > _UNIT:
            raise UsageError(f"orientation is a quaternion of unit length, {_found(list(turn))}")
        return cls(t_ns, **numbers)


def _numbers(key: str, told: object) -> tuple[float, ...]:
    if isinstance(told, list) and len(told) == _SIZES[key]:
        # A comparison with NaN is false, and a bool is no number.
        numbers = tuple(v for v in told if type(v) in (int, float) and abs(v) < _TOO_MUCH)
        if len(numbers) == len(told):
            return numbers
    raise UsageError(f"{key} is {_SIZES[key]} numbers, {_found(told)}")


def poses_in(line: bytes) -> list[Pose]:
    """Those of a line, one or a list of them; UsageError where there is nothing of the kind."""
    words = f"a line is JSON, a pose as {_EXAMPLE} or a list of poses"
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(words) from None
    try:
        return [Pose.of(one) for one in (told if isinstance(told, list) else [told])]
    except RecursionError:  # as deep as it could be read, and too deep to be printed
        raise UsageError(words) from None


def _found(told: object) -> str:
    """What was told instead of something, if not all of it."""
    return f"found {told!r:.100}"


class TrackerSource(Source):
    """Poses of whoever is connected, at most one at a time.

    `position` and `orientation` say which of them become records. While nobody is connected no
    piece of a clip waits for this source. `connect`, `take` and `disconnect` may be called by any
    thread.
    """

    required = False

    def __init__(self, clock: Clock, *, position: bool, orientation: bool) -> None:
        super().__init__("tracker", clock)
        self.position, self.orientation = position, orientation
        self._lock = threading.Lock()
        self._connected = False
        self._called = ""
        self._until_ns = 0  # nothing from before it will follow
        self._counts: Counter[str] = Counter()
        self._positions: list[tuple[int, tuple[float, ...]]] = []
        self._turns: list[tuple[int, tuple[float, ...]]] = []

    def open(self) -> None:
        """It comes by itself."""

    def close(self) -> None:
        """It goes by itself."""

    def connect(self, name: str) -> None:
        """Let a tracker of that name tell poses from now on; UsageError while another does."""
        with self._lock:
            if self._connected:
                raise UsageError(f"another tracker is connected, {self._called!r}: end it first")
            self._connected, self._called, self._error = True, name, ""

    def expectation(self) -> dict[str, Any]:
        """What a tracker is told to begin with: what is recorded of its poses, and our time."""
        return {
            "position": self.position,
            "orientation": self.orientation,
            "now_ns": self.clock.now_ns(),
        }

    def disconnect(self) -> None:
        """It has gone."""
        with self._lock:
            self._connected = False
            self._failures += 1
            self._error = f"{self._called!r} has gone"

    def take(self, poses: Sequence[Pose]) -> dict[str, int]:
        """Poses in order of time; how many were `accepted`, and how many were not, and why.

        `late`: not later than the one before, from before it was connected, or so old that its time
        may have been written. `early`: of a time that has not come. `unwanted`: see `position`.
        """
        counts = dict.fromkeys(("accepted", "late", "early", "unwanted"), 0)
        with self._lock:
            now_ns = self.clock.now_ns()
            self._until_ns = max(self._until_ns, now_ns - _LATEST_NS)
            for pose in poses:
                counts[self._accept(pose, now_ns)] += 1
            self._delivered += counts["accepted"]
            self._counts.update(counts)
        return counts

    def _accept(self, pose: Pose, now_ns: int) -> str:
        t_ns = pose.t_ns
        if t_ns < self._until_ns:
            return "late"
        if t_ns > now_ns:
            return "early"
        position = pose.position if self.position else None
        turn = pose.orientation if self.orientation else None
        if position is None and turn is None:
            return "unwanted"
        self._until_ns = t_ns + APART_NS
        if position is not None:
            self._positions.append((t_ns, position))
        if turn is not None:
            self._turns.append((t_ns, turn))
        return "accepted"

    def describe(self) -> Mapping[str, Any]:
        return {"called": self._called, **self._counts}

    def read(self) -> Delivery:
        self.clock.sleep_until(self.clock.now_ns() + _LOOK_NS)
        return self.rest()

    def rest(self) -> Delivery:
        with self._lock:
            positions, self._positions = self._positions, []
            turns, self._turns = self._turns, []
            now_ns = self.clock.now_ns()
            if not self._connected:
                self._until_ns = max(self._until_ns, now_ns)
            until_ns = self._until_ns
        blocks = []
        if positions:
            t_ns, rows = _columns(positions)
            blocks.append(Samples(PacketType.POSITION, t_ns, rows))
        if turns:
            t_ns, rows = _columns(turns)
            unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            blocks.append(Samples(PacketType.ANGLE_AXIS, t_ns, to_angle_axis(unit)))
        return Delivery(self.name, Tracked(blocks), until_ns, now_ns)


def _columns(
    rows: Sequence[tuple[int, tuple[float, ...]]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    times, values = zip(*rows, strict=True)
    return np.array(times, np.int64), np.array(values, np.float64)
