"""How a camcorder is, for the people and programs that ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from daemon.sources import Source

State: TypeAlias = Literal["recovering", "starting", "ready", "recording", "halted", "stopped"]

_SILENT_NS = 3_000_000_000
"""A source that has delivered nothing for so long delivers nothing."""
_RATE_OVER_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source fares since the start; `rate_hz` is over the last two seconds."""

    name: str
    required: bool
    delivering: bool
    rate_hz: float
    delivered: int
    lost: int
    failures: int
    error: str


@dataclass(frozen=True, slots=True)
class ClipStatus:
    """The clip in the making; `records` and `late` as in `RecordingStatistics`, over all kinds."""

    name: str
    seconds: float
    bytes: int
    frames: int
    records: int
    late: int
    fragments: int


@dataclass(frozen=True, slots=True)
class Status:
    """How the camcorder is, at a moment.

    `state`     "recovering" while clips that were cut off are finished; "starting" until every
                source delivers and clocks are fitted; "ready"; "recording"; "halted" where it
                should be recording and cannot; "stopped" in the end
    `clip`      the one in the making
    `flowing`   whether all sources that are required deliver
    `growing`   whether the clip does; True where there is none to grow
    `free`      bytes for clips; `seconds_left` what that is at the rate of this clip
    `missed`    pictures that no clip could take, since the start
    `slowest_write_s`  the longest that the disk has taken for a fragment of this clip
    `queued`    deliveries that wait for the writer
    `warnings`  what is wrong, in words
    `utc`       the time, as well as the rig knows it
    `looked_ns` when all this was so, by the host's CLOCK_MONOTONIC: an old one tells of a rig that
                hangs
    """

    state: State = "starting"
    clip: ClipStatus | None = None
    last_clip: str | None = None
    sources: tuple[SourceStatus, ...] = ()
    flowing: bool = False
    growing: bool = True
    free: int = 0
    seconds_left: float | None = None
    missed: int = 0
    slowest_write_s: float = 0.0
    queued: int = 0
    warnings: tuple[str, ...] = ()
    utc: datetime | None = None
    looked_ns: int = 0


class Observer:
    """Watches the sources: what they have delivered lately."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._counts: deque[tuple[int, Sequence[int]]] = deque()
        self._since: dict[str, int] = {}

    def look(self, now_ns: int) -> tuple[SourceStatus, ...]:
        """How each of them is. Call it some times a second."""
        told = [source.statistics for source in self._sources]
        counts = [statistics.delivered for statistics in told]
        newest = self._counts[-1][1] if self._counts else [0] * len(counts)
        for source, count, before in zip(self._sources, counts, newest, strict=True):
            if count != before:
                self._since[source.name] = now_ns
        self._counts.append((now_ns, counts))
        while self._counts[0][0] < now_ns - _RATE_OVER_NS:
            self._counts.popleft()
        then_ns, earlier = self._counts[0]
        seconds = max(now_ns - then_ns, 1) / 1e9
        return tuple(
            SourceStatus(
                source.name,
                source.required,
                now_ns - self._since.get(source.name, now_ns - _SILENT_NS) < _SILENT_NS,
                (statistics.delivered - before) / seconds,
                statistics.delivered,
                statistics.lost,
                statistics.failures,
                statistics.error,
            )
            for source, statistics, before in zip(self._sources, told, earlier, strict=True)
        )
