"""Whether a clip holds what was recorded: its records beside those of a log or of another clip.

The two may count time from different moments, and one of them may count it wrongly: records are
found again by their values first, and by how alike their motion is where values were changed; only
what the times are then is compared. Everything goes in pieces of some seconds, so that hours need
little memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camm import VALUE_DTYPES, PacketType, Samples, is_vector
from muxer.check.alignment import (
    FURTHEST_NS,
    Floats,
    columns,
    find_shift,
    half_period_ns,
    local_shift,
    nearest,
)
from muxer.check.stream import Mark
from muxer.sample_table import Ints

_HEAD = 30_000
"""Records from which the shift between the two times is found."""
_PIECE_NS = 10_000_000_000
_EXACT = 1e-6
"""By which share of all that a column ever changes by a value may be off and be the same."""
_STEPS = 4
"""Or so many steps of its floating point number, which a text may round otherwise."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the recorded records of one type.

    `recorded`    in the log; `outside` of them are before the clip's first record or behind its
                  last
    `missing`     recorded, within the clip's time, and not in it; `first_missing_s` of the clip
    `extra`       in the clip and not in the log, but for those interpolated at time zero
    `changed`     in both with other values, by up to `largest` in the column `largest_in`
    `shift_s`     what is to be added to the log's times, None where nothing matches
    `drift_ppm`   by how much faster the clip counts than the log
    `jitter_ms`   how far single times differ beyond both (rms); `worst_ms` at the most
    `found_by`    what shift was found by: "values", "motion", or "times" where neither told
    """

    kind: PacketType
    recorded: int
    matched: int = 0
    outside: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0
    largest: float = 0.0
    largest_in: str = ""
    shift_s: float | None = None
    drift_ppm: float = 0.0
    jitter_ms: float = 0.0
    worst_ms: float = 0.0
    first_missing_s: float | None = None
    first_extra_s: float | None = None
    first_changed_s: float | None = None
    found_by: str = "times"

    @property
    def same(self) -> bool:
        """Whether all that was recorded in the clip's time is in it, and nothing else."""
        return bool(self.matched) and not (self.missing or self.extra or self.changed)


def compare(kind: PacketType, mine: Iterator[Samples], recorded: Iterator[Samples]) -> Comparison:
    """Compare all records of one type, a clip's and a log's, given in blocks."""
    clip, log = _Feed(kind, mine), _Feed(kind, recorded)
    clip.fill(count=_HEAD)
    log.fill(count=_HEAD)
    if not len(log.waiting) or not len(clip.waiting):
        there, here = (sum(map(len, feed.rest())) for feed in (log, clip))
        return Comparison(kind, there, missing=there, extra=here)
    shift_ns, found_by = find_shift(clip.waiting, log.waiting)
    tally = _Tally(kind, shift_ns, half_period_ns(log.waiting))
    while len(log.waiting):
        until_ns = int(log.waiting.t_ns[0]) + _PIECE_NS
        log.fill(until_ns=until_ns)
        piece = log.waiting[log.waiting.t_ns <= until_ns]
        log.waiting = log.waiting[len(piece) :]
        clip.fill(until_ns=int(piece.t_ns[-1]) + round(tally.shift_ns) + FURTHEST_NS)
        clip.waiting = tally.take(clip.waiting, piece)
        log.fill(count=1)
    for samples in clip.rest():
        tally.take_extra(samples.t_ns)
    return tally.comparison(found_by)


class _Feed:
    """Records in blocks, those waiting that were read and not used up, in order of time."""

    def __init__(self, kind: PacketType, blocks: Iterator[Samples]) -> None:
        self.waiting = Samples.empty(kind)
        self._blocks = blocks

    def fill(self, *, count: int = 0, until_ns: int | None = None) -> None:
        """Read until so many wait, or one that is later than that."""
        parts = [self.waiting]
        held = len(self.waiting)
        last_ns = int(self.waiting.t_ns[-1]) if held else None
        while held < count or (until_ns is not None and (last_ns is None or last_ns <= until_ns)):
            block = next(self._blocks, None)
            if block is None:
                break
            if len(block):
                parts.append(block)
                held += len(block)
                newest_ns = int(block.t_ns.max())
                last_ns = newest_ns if last_ns is None else max(last_ns, newest_ns)
        if len(parts) > 1:
            both = Samples.concatenate(self.waiting.kind, parts)
            self.waiting = both[np.argsort(both.t_ns, kind="stable")]

    def rest(self) -> Iterator[Samples]:
        """Those that wait, and all blocks behind them."""
        yield self.waiting
        yield from self._blocks


@dataclass(slots=True)
class _Tally:
    """What comparing comes to, piece by piece; places of `missing` and all others in the clip."""

    kind: PacketType
    shift_ns: float
    tolerance_ns: float
    recorded: int = 0
    matched: int = 0
    before: int = 0
    missing: Mark = field(default_factory=Mark)
    extra: Mark = field(default_factory=Mark)
    changed: Mark = field(default_factory=Mark)
    largest: float = 0.0
    largest_in: str = ""
    shifts: list[tuple[float, float]] = field(default_factory=list)
    """Of each piece: a time of the log, and by how much the clip's is later."""
    squares: float = 0.0
    worst_ns: float = 0.0
    behind: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Recorded and not found since the last match: missing only if the clip goes on."""

    def take(self, clip: Samples, log: Samples) -> Samples:
        """Compare a piece of the log with what there is of the clip; gives what is left of that."""
        self.recorded += len(log)
        shift_ns = local_shift(clip, log, self.shift_ns, self.tolerance_ns)
        expected = log.t_ns + np.rint(shift_ns).astype(np.int64)
        here, there = nearest(clip.t_ns, expected, self.tolerance_ns)
        lost = np.ones(len(log), np.bool_)
        lost[there] = False
        self._take_lost(expected[lost], expected[there])
        # What lies behind the last of this piece may be matched by the next one.
        ends = int(np.searchsorted(clip.t_ns, expected[-1], side="right"))
        ends = max(ends, int(here.max(initial=-1)) + 1)
        surplus = np.ones(ends, np.bool_)
        surplus[here] = False
        self.take_extra(clip.t_ns[:ends][surplus])
        if len(here):
            self._take_times(clip.t_ns[here], log.t_ns[there])
            self._take_values(clip[here], log[there])
            self.matched += len(here)
        return clip[ends:]

    def take_extra(self, t_ns: Ints) -> None:
        """Count records of the clip that are not in the log."""
        # At time zero stands what was interpolated, or held.
        self.extra.add(t_ns != 0, t_ns)

    def comparison(self, found_by: str) -> Comparison:
        """The outcome, at the end of both."""
        drift = 0.0
        if len(self.shifts) > 1:
            (first_ns, begin), (last_ns, end) = self.shifts[0], self.shifts[-1]
            drift = (end - begin) / max(last_ns - first_ns, 1.0) * 1e6
        return Comparison(
            kind=self.kind,
            recorded=self.recorded,
            matched=self.matched,
            outside=self.before + len(self.behind),
            missing=self.missing.count,
            extra=self.extra.count,
            changed=self.changed.count,
            largest=self.largest,
            largest_in=self.largest_in,
            shift_s=float(np.median([s for _, s in self.shifts])) / 1e9 if self.shifts else None,
            drift_ppm=drift,
            jitter_ms=float(np.sqrt(self.squares / max(self.matched, 1))) / 1e6,
            worst_ms=self.worst_ns / 1e6,
            first_missing_s=_seconds(self.missing.first_ns),
            first_extra_s=_seconds(self.extra.first_ns),
            first_changed_s=_seconds(self.changed.first_ns),
            found_by=found_by,
        )

    def _take_lost(self, lost: Ints, found: Ints) -> None:
        """Records between those that were found are missing; before and behind them is no clip."""
        if not self.matched and len(found):
            lost = np.concatenate([self.behind, lost])
            self.before += int((lost < found[0]).sum())
            self.behind = lost[:0]
            lost = lost[lost >= found[0]]
        lost = np.concatenate([self.behind, lost])
        gone = lost < found[-1] if len(found) else np.zeros(len(lost), np.bool_)
        self.missing.add(gone, lost)
        self.behind = lost[~gone]

    def _take_times(self, mine: Ints, theirs: Ints) -> None:
        """How the shift goes on, and how far single times are off the line that it is on."""
        shifts = mine - theirs
        self.shift_ns = float(np.median(shifts))
        self.shifts.append((float(np.median(theirs)), self.shift_ns))
        at_ns = (theirs - theirs[0]).astype(np.float64)
        line = np.polyfit(at_ns, shifts - shifts[0], 1) if np.ptp(at_ns) else np.zeros(2)
        off = shifts - shifts[0] - np.polyval(line, at_ns)
        off -= float(np.median(off))
        self.squares += float((off**2).sum())
        self.worst_ns = max(self.worst_ns, float(np.abs(off).max()))

    def _take_values(self, mine: Samples, theirs: Samples) -> None:
        changed = np.zeros(len(mine), np.bool_)
        recorded = columns(theirs)
        for name, ours in columns(mine).items():
            other = recorded[name]
            with np.errstate(invalid="ignore", over="ignore"):
                apart = np.abs(ours - other)
                allowed = _EXACT * _spread(other) + _grain(self.kind, name) * np.abs(other)
            same = (apart <= allowed) | (ours == other) | (np.isnan(ours) & np.isnan(other))
            changed |= ~same
            most = float(apart[~same & np.isfinite(apart)].max(initial=0.0))
            if most > self.largest:
                self.largest, self.largest_in = most, name
        self.changed.add(changed, mine.t_ns)


def _seconds(t_ns: int | None) -> float | None:
    return None if t_ns is None else t_ns / 1e9


def _grain(kind: PacketType, column: str) -> float:
    """How finely a column's numbers are kept, as a share of them."""
    row: np.dtype[Any] = VALUE_DTYPES[kind]
    kept = row if is_vector(kind) else row[column]
    return _STEPS * float(np.finfo(kept).eps) if kept.kind == "f" else 0.0


def _spread(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if len(finite) else 0.0
