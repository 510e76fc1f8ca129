"""Putting the records of logs into a clip that was filmed without them.

A log's times count from the first video frame, or it is dated and placed by UTC: then one has to
know when the clip begins (`muxer.remux.start`). As in a recording of ours, quantities that are
continuous in time begin at the first frame with an interpolated record, and fixes are never made.
Only what lies within the film goes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from camm import PacketType, Samples, UsageError
from muxer.clip import Clip
from muxer.clip_writer import CAMM_TIMESCALE
from muxer.movie_start import type_from
from muxer.records import Records
from muxer.remux.movie import NewTrack, Watch, remux
from muxer.remux.order import InOrder

_HELD_NS = 1_000_000_000
"""A sensor that begins within so long of the first frame is taken to have begun with it."""
_QUARTER_NS = 900_000_000_000
"""Time zones differ by quarters of an hour,"""
_ZONES = 56
"""by fourteen hours at most."""
_EVER = 1 << 62
_AN_AGE = timedelta(days=36525)
"""A log and a film so far apart have a date that is none."""


class Log(Protocol):
    """Recorded samples in camera axes, by packet type."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def created(self) -> datetime | None:
        """When it was made, where it says so."""

    @property
    def by_utc(self) -> bool:
        """Whether times count from that moment, and not from the first video frame."""

    @property
    def blocks(self) -> Callable[[PacketType], Iterator[Samples]]:
        """Gives the samples of one type."""


@dataclass(slots=True)
class Cover:
    """How much of a film one type of a log covers, in nanoseconds of the movie.

    `first_ns`, `last_ns`, `count`  of what lies within the film
    `earliest_ns`, `latest_ns`      of all that the log has
    """

    name: str
    kind: PacketType
    first_ns: int = _EVER
    last_ns: int = -_EVER
    count: int = 0
    earliest_ns: int = _EVER
    latest_ns: int = -_EVER

    def note(self, block: Samples) -> None:
        """Count what the log has."""
        self.earliest_ns = min(self.earliest_ns, int(block.t_ns.min()))
        self.latest_ns = max(self.latest_ns, int(block.t_ns.max()))

    def note_within(self, block: Samples) -> None:
        """Count what goes into the film."""
        self.first_ns = min(self.first_ns, int(block.t_ns.min()))
        self.last_ns = max(self.last_ns, int(block.t_ns.max()))
        self.count += len(block)


@dataclass(frozen=True, slots=True)
class Injected:
    """What came of it: a cover for each type of the logs, and how long the film is.

    `late`  records out of all order, left out
    """

    covers: Sequence[Cover]
    end_ns: int
    late: int


def inject(
    clip: Clip,
    logs: Mapping[PacketType, Log],
    out: Path,
    *,
    start: datetime | None,
    offset_ns: int = 0,
    over: Literal["nothing", "replace", "merge"] = "nothing",
    watch: Watch = lambda what, done, total: None,
) -> Injected:
    """Write the clip with a CAMM track of what the logs have.

    `start` is UTC of the clip's first frame, for logs that are dated; `offset_ns` is added to all
    times of logs. `over` says what becomes of a track that is there: "merge" keeps what it has of
    other types.
    UsageError where there is one and nothing is to become of it, where a log is dated and `start`
    is not known, and where a log has nothing to say of the time of the film.
    """
    if clip.camm_tracks and over == "nothing":
        held = ", ".join(kind.label for kind in clip.counts) or "no records"
        raise UsageError(
            f"{clip.path} has a CAMM track already ({held}): --replace it, or --merge with it"
        )
    end_ns = clip.video.duration_ns if clip.video is not None else clip.duration_ns
    covers = [Cover(log.name, kind) for kind, log in logs.items()]
    streams = [
        _stream(log.blocks, cover, _zero_ns(clip, log, start) + offset_ns, end_ns)
        for log, cover in zip(logs.values(), covers, strict=True)
    ]
    if over == "merge":
        own = [kind for kind in clip.counts if kind not in logs]
        streams += [map(Records.of, clip.blocks(kind)) for kind in own]
    records = InOrder(streams)
    new = NewTrack(
        CAMM_TIMESCALE,
        [track.number for track in clip.camm_tracks],
        end_ns,
        start,
        {**clip.metadata, "injected": _account(logs, start, offset_ns)},
    )
    remux(clip, _overlapping(records, covers, end_ns), new, out, watch)
    return Injected(covers, end_ns, records.late)


def _zero_ns(clip: Clip, log: Log, start: datetime | None) -> int:
    """Where the log's time zero lies in the movie."""
    shown = clip.video.pts_ns if clip.video is not None else np.zeros(1, np.int64)
    first_ns = int(shown.min()) if len(shown) else 0
    if not log.by_utc:
        return first_ns
    if start is None or log.created is None:
        raise UsageError(
            f"{log.name} is placed by its dates, and {clip.path} has none: say when it begins, "
            "--start 2026-06-01T12:00:00Z"
        )
    apart = log.created - start
    if abs(apart) > _AN_AGE:
        raise UsageError(
            f"{log.name} begins in {log.created.year} and {clip.path} in {start.year}: say when it "
            "begins, --start 2026-06-01T12:00:00Z"
        )
    return first_ns + apart // timedelta(microseconds=1) * 1000


def _stream(
    blocks: Callable[[PacketType], Iterator[Samples]], cover: Cover, shift_ns: int, end_ns: int
) -> Iterator[Records]:
    """The records of one type as far as the film goes; `cover` counts while they are read."""
    moved = (
        Samples(block.kind, block.t_ns + shift_ns, block.data)
        for block in blocks(cover.kind)
        if len(block)
    )
    for block in _from_zero(moved, cover):
        within = block[block.t_ns <= end_ns]
        if len(within):
            cover.note_within(within)
            yield Records.of(within)


def _from_zero(blocks: Iterator[Samples], cover: Cover) -> Iterator[Samples]:
    """The samples from the first frame on, by the rules of a recording (`muxer.movie_start`)."""
    head = Samples.empty(cover.kind)
    begun = False
    for block in blocks:
        cover.note(block)
        if begun:
            yield block
            continue
        head = Samples.concatenate(cover.kind, [head, block])
        before = head.t_ns[head.t_ns <= 0]
        head = head[head.t_ns >= before.max(initial=-_HELD_NS)]
        if cover.latest_ns >= _HELD_NS:
            begun = True
            yield _begun(head)
    if not begun:
        yield _begun(head)


def _begun(head: Samples) -> Samples:
    """A sensor that begins later has nothing at the first frame."""
    t_ns = head.t_ns
    if not (t_ns >= 0).any() or t_ns.min() >= _HELD_NS:
        return head[t_ns >= 0]
    return type_from(0, head)


def _overlapping(
    records: Iterable[Records], covers: Sequence[Cover], end_ns: int
) -> Iterator[Records]:
    """The records; UsageError where in the end a log has given none."""
    yield from records
    for name in dict.fromkeys(cover.name for cover in covers):
        of_log = [cover for cover in covers if cover.name == name]
        if not any(cover.count for cover in of_log):
            earliest_ns = min(cover.earliest_ns for cover in of_log)
            latest_ns = max(cover.latest_ns for cover in of_log)
            raise UsageError(
                f"{name} covers {clock(earliest_ns)} to {clock(latest_ns)}, counted from the first "
                f"frame; the film ends at {clock(end_ns)}{_advice(earliest_ns, latest_ns, end_ns)}"
            )


def _advice(earliest_ns: int, latest_ns: int, end_ns: int) -> str:
    """The time zone that would explain why they do not meet, if it is one alone."""
    shifts = np.arange(-_ZONES, _ZONES + 1) * _QUARTER_NS
    shared = np.minimum(latest_ns + shifts, end_ns) - np.maximum(earliest_ns + shifts, 0)
    best = shifts[(shared == shared.max()) & (shared >= 0)]
    if len(best) != 1:
        return ": do they belong together? --start and --offset move it"
    return f": if one of the two clocks has local time, --offset {best[0] // 1_000_000_000}"


def clock(t_ns: int) -> str:
    """A time of the movie for people, to the second: 09:58, -2:00:03."""
    seconds = round(abs(t_ns) / 1e9)
    hours, minutes = divmod(seconds // 60, 60)
    sign = "-" if t_ns < 0 and seconds else ""
    return f"{sign}{f'{hours}:' if hours else ''}{minutes:02d}:{seconds % 60:02d}"


def _account(
    logs: Mapping[PacketType, Log], start: datetime | None, offset_ns: int
) -> dict[str, Any]:
    """What the clip remembers of where its records come from."""
    return {
        "logs": {kind.label: Path(log.name).name for kind, log in logs.items()},
        "start": start.isoformat() if start is not None else None,
        "offset_s": offset_ns / 1e9,
    }
