"""Sources that tell what a log has recorded, each sample at the moment of its time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camm import PacketType, Samples
from daemon.logs import MOTION, Recorded
from daemon.sources import Content, Delivery, Inertial, Magnetic, Source
from drivers.clock import Clock
from drivers.errors import EndOfSource
from hw_sim.replay.log import Stream
from muxer.gps_epoch import gps_seconds, recognise

_PIECE_NS = 100_000_000


class LogSource(Source):
    """Recorded samples handed over as they are, each at the moment of its time.

    `recorded` has what `kinds` name; its times count from `zero_ns`, when the film begins.
    """

    comes_back = False  # a log that cannot be read on will not be another time

    def __init__(
        self,
        name: str,
        clock: Clock,
        recorded: Recorded,
        kinds: frozenset[PacketType],
        zero_ns: int,
    ) -> None:
        super().__init__(name, clock)
        self._logs = {kind: recorded.logs[kind] for kind in sorted(kinds)}
        self._told_ns = self._zero_ns = zero_ns
        self._streams: list[Stream] = []
        self._ready: deque[Delivery] = deque()

    def open(self) -> None:
        self._streams = [Stream(log, kind, self._zero_ns) for kind, log in self._logs.items()]

    def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> Mapping[str, Any]:
        return {"log": {kind.label: log.name for kind, log in self._logs.items()}}

    def read(self) -> Delivery | None:
        if self._ready:
            return self._ready.popleft()
        if all(stream.ended for stream in self._streams):
            raise EndOfSource(0, "all of the log has been told")
        before_ns, self._told_ns = self._told_ns, self._told_ns + _PIECE_NS
        self.clock.sleep_until(self._told_ns)
        pieces = [stream.until(self._told_ns) for stream in self._streams]
        self._delivered += sum(map(len, pieces))
        self._lost = sum(stream.out_of_order for stream in self._streams)
        contents = self._contents(pieces)
        for number, content in enumerate(contents, start=1):
            until_ns = self._told_ns if number == len(contents) else before_ns
            self._ready.append(Delivery(self.name, content, until_ns, self.clock.now_ns()))
        return self._ready.popleft() if self._ready else None

    def _contents(self, pieces: Sequence[Samples]) -> Sequence[Content]:
        """What is handed over of a piece of time; of all kinds there is a block, be it empty."""
        return [samples for samples in pieces if len(samples)] or [None]


class LogImu(LogSource):
    """Angular rates and forces of the same moments, for an orientation to be made of."""

    def __init__(self, clock: Clock, recorded: Recorded, zero_ns: int, period_ns: float) -> None:
        super().__init__("imu", clock, recorded, frozenset(MOTION), zero_ns)
        self._period_ns = round(period_ns)

    def _contents(self, pieces: Sequence[Samples]) -> Sequence[Content]:
        gyro, accel = pieces
        if not len(gyro):
            return []  # how far the orientation is, the fuser knows
        return [Inertial(gyro.t_ns, gyro.data, accel.data, self._period_ns)]


class LogMag(LogSource):
    """A recorded field, for an orientation to be made of."""

    def _contents(self, pieces: Sequence[Samples]) -> Sequence[Content]:
        return [Magnetic(field.t_ns, field.data) for field in pieces if len(field)] or [None]


class LogGps(LogSource):
    """Recorded fixes."""

    _gps_ahead_ns: int | None = None

    def open(self) -> None:
        super().open()
        if (log := self._logs.get(PacketType.GPS)) is not None:
            for fixes in log.blocks(PacketType.GPS):
                times = fixes.data["time_gps_epoch"]
                gps_s = gps_seconds(times, recognise(times, log.created))
                known = np.flatnonzero(np.isfinite(gps_s))
                if len(known):
                    at_ns = self._zero_ns + int(fixes.t_ns[known[0]])
                    self._gps_ahead_ns = round(gps_s[known[0]] * 1e9) - at_ns
                    return

    def gps_time_ns_at(self, t_ns: int) -> int | None:
        """GPS time of a moment of CLOCK_MONOTONIC, by the log's first fix that tells one."""
        return None if self._gps_ahead_ns is None else t_ns + self._gps_ahead_ns
