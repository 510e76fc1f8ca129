"""When each sample that was found is due, of every track, in one movie time.

Pictures at a constant rate count for themselves (muxer.salvage.pictures). Other tracks at one count
on too; across damage they are set by the lead that they have over the pictures before
it, which keeps sound and picture together. Pictures at a variable rate take their times from sound
between which they lie, on the grid of the healthy file if that has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from muxer.salvage.carve import Samples
from muxer.salvage.pictures import Break, breaks, picture_numbers
from muxer.salvage.reference import Floats, Reference, ReferenceTrack
from muxer.sample_table import Ints

_SETTLING = 400
"""Places where a picture follows, on each side of damage, by which a track is set again."""
_LATE_S = 0.1
_ALIKE_S, _PATTERN, _FEW = 0.002, 8, 4
"""When two patterns of leads are the same, and how many make one."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Of each sample of a track: decoding time and time of showing, ticks of movie time."""

    dts: Ints
    pts: Ints


def constant_rate(track: ReferenceTrack, number: Ints) -> Times:
    """Samples at a constant rate that are shown in the order of these numbers, from 0 on."""
    delay = track.shown - track.start
    pts = track.start + delay + number * track.duration
    dts = track.start + np.sort(number) * track.duration
    return Times(dts, pts)


def picture_clock(
    track: ReferenceTrack, samples: Samples, wrap: int, lost: Ints, media: int
) -> Times:
    """Times of pictures at a constant rate."""
    return constant_rate(track, picture_numbers(samples, wrap, lost, media))


def counted(
    track: ReferenceTrack,
    offset: Ints,
    frames: Ints,
    lost: Ints,
    pictures: tuple[Ints, Floats] | None,
    lead_s: tuple[float, float] | None,
) -> Times:
    """Times of a track at a constant rate that counts on, and is set again behind damage.

    `frames` is how many of the track's samples each row holds (PCM: many). `pictures` are the
    offsets and decoding times in seconds of the pictures it is compared with.
    """
    number: Ints = np.cumsum(frames) - frames
    gone = breaks(offset, lost)
    if not len(offset):
        return constant_rate(track, number)
    rate = 1 / track.period_s
    end_s = (number + frames) * track.period_s
    lead = leads(track, offset, end_s, pictures) if pictures is not None else None
    if lead is not None and lead_s is not None and len(lead):
        ahead = late_start(lead, lead_s, gone[0].row if gone else len(lead), track.period_s)
        number += round(max(ahead, 0.0) * rate)
        lead += round(max(ahead, 0.0) * rate) * track.period_s
    ends = [*(gap.row for gap in gone), len(offset)][1:]
    each = _bytes_each(offset, number, gone)
    for gap, end in zip(gone, ends, strict=True):
        behind = None if lead is None else fallen_behind(lead, gap.row, end, lead_s)
        if behind is None:
            missed = round(gap.lost / max(each, 1e-9))
        else:
            missed = _by_chunks(track, offset, number, gap.row, behind * rate, pictures)
        number[gap.row :] += missed
        if lead is not None:
            lead[gap.row :] += missed * track.period_s
            if behind is None:  # not sure enough to judge others by
                lead[gap.row : end] = np.nan
    return constant_rate(track, number)


def _bytes_each(offset: Ints, number: Ints, gone: Sequence[Break]) -> float:
    """Bytes of media, whoever's they are, for each sample that was found; 0 without a gap."""
    if not gone:
        return 0.0
    there = int(offset[-1] - offset[0]) - sum(gap.lost for gap in gone)
    return there / max(int(number[-1]), 1)


def _by_chunks(
    track: ReferenceTrack,
    offset: Ints,
    number: Ints,
    row: int,
    about: float,
    pictures: tuple[Ints, Floats] | None,
) -> int:
    """About so many samples, so that chunks hold as many as in the healthy file if all do there."""
    low, high = track.per_chunk
    if not low or pictures is None:
        return max(round(about), 0)
    group = np.searchsorted(pictures[0], offset)
    had = int(np.isin(group, group[[row - 1, row]]).sum())
    whole = about + had
    chunks = max(round(whole / ((low + high) / 2)), 1)
    return max(min(max(round(whole), chunks * low), chunks * high) - had, 0)


def late_start(lead: Floats, lead_s: tuple[float, float], until: int, period_s: float) -> float:
    """Seconds by which a track begins after the pictures where the beginning of the file is lost.

    Negative where the pictures begin after it; 0 where both are as in the healthy file, give or
    take what differs from take to take.
    """
    found = lead[:until][:_SETTLING]
    found = found[~np.isnan(found)]
    if not len(found):
        return 0.0
    low, high = lead_s
    behind = max(low - float(found.max()), 0.0) + min(high - float(found.min()), 0.0)
    return behind if abs(behind) > max(_LATE_S, 2 * period_s) else 0.0


def fallen_behind(
    lead: Floats, row: int, end: int, lead_s: tuple[float, float] | None
) -> float | None:
    """Seconds by which the lead from a row on is less than before; None where nothing tells."""
    before = lead[max(0, row - _SETTLING) : max(row - 1, 0)]  # the last may lie in the damage
    after = lead[row : min(row + _SETTLING, end)]
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    if not len(after):
        return None
    if not len(before):
        return float(np.mean(lead_s) - after.mean()) if lead_s else None
    chunks = np.diff(np.flatnonzero(~np.isnan(lead[row:end]))[: 2 * _PATTERN])
    if len(chunks) and np.median(chunks) >= _FEW:
        # Between chunks of many samples the lead drifts, until a shorter one sets it back.
        return _at_edge(before[::-1]) - _at_edge(after)
    # Packets and pictures take turns in a pattern, whose extremes are the same on both sides.
    low, high = before.min() - after.min(), before.max() - after.max()
    alike = abs(low - high) < _ALIKE_S and min(len(before), len(after)) >= _PATTERN
    return float((low + high) / 2 if alike else before.mean() - after.mean())


def _at_edge(lead: Floats) -> float:
    """The lead just before the first of these."""
    near = lead[:_PATTERN]
    if len(near) < _FEW:
        return float(near.mean())
    slope, first = np.polyfit(np.arange(len(near)), near, 1)
    return float(first - slope / 2)


def leads(
    track: ReferenceTrack, offset: Ints, end_s: Floats, pictures: tuple[Ints, Floats]
) -> Floats:
    """Seconds by which a track's clock is ahead of the picture that follows; NaN where none does.

    `end_s` is when each row ends, counted from the beginning of the track.
    """
    places, times = pictures
    following = np.searchsorted(places, offset)
    last = np.append(np.diff(following) > 0, True) & (following < len(places))
    lead: Floats = end_s + track.start / track.timescale
    lead -= times[np.minimum(following, len(times) - 1)]
    lead[~last] = np.nan
    return lead


@dataclass(frozen=True, slots=True, eq=False)
class Companion:
    """A track at a constant rate between whose samples those of another lie.

    `number` counts its samples up to the end of each row at these offsets, `lead_s` is how far
    ahead of a picture's its clock may be.
    """

    track: ReferenceTrack
    offset: Ints
    number: Ints
    lead_s: tuple[float, float]

    def windows(self, offset: Ints) -> tuple[Floats, Floats]:
        """Between which seconds samples at these offsets have to be decoded."""
        before = np.searchsorted(self.offset, offset) - 1
        number = np.where(before >= 0, self.number[np.maximum(before, 0)], 0)
        clock = self.track.start / self.track.timescale + number * self.track.period_s
        return clock - self.lead_s[1], clock - self.lead_s[0]

    def across(self, lost: Ints, pictures: ReferenceTrack, places: Ints) -> Companion:
        """With what is lost counted: by its bytes, and so that pictures fall on their grid."""
        number, gone = self.number.copy(), breaks(self.offset, lost)
        each = _bytes_each(self.offset, self.number, gone)
        for gap in gone:
            about = round(gap.lost / max(each, 1e-9))
            begin = np.searchsorted(places, self.offset[gap.row])
            behind = places[begin : begin + _SETTLING]
            guesses = sorted(range(max(0, about - 4), about + 5), key=lambda n: abs(n - about))

            def off_grid(missed: int, row: int = gap.row, behind: Ints = behind) -> int:
                tried = number.copy()
                tried[row:] += missed
                early, late = replace(self, number=tried).windows(behind)
                return _off_grid(pictures, early, late)

            number[gap.row :] += min(guesses, key=off_grid)
        return replace(self, number=number)


def _off_grid(track: ReferenceTrack, early: Floats, late: Floats) -> int:
    """How many windows have no place of the grid in them."""
    step = _grid(track)
    if not step:
        return 0
    first, rounding = track.start / track.timescale, 1e-6
    early, late = ((edge - first) * track.timescale / step for edge in (early, late))
    return int((np.floor(late + rounding) < np.ceil(early - rounding)).sum())


def between(track: ReferenceTrack, offset: Ints, companion: Companion) -> Times:
    """Times of pictures at a variable rate, by the sound (at a constant one) between them."""
    early, late = companion.windows(offset)
    grid = _grid(track)
    first = track.start / track.timescale
    # Several pictures with no sound between them share its time.
    group = np.cumsum(np.append(0, np.diff(early) > 0))
    place = np.arange(len(offset)) - np.searchsorted(group, group)
    count = np.bincount(group)[group]
    span = np.maximum(late - early, count * (grid or track.duration) / track.timescale)
    middle = (early + late) / 2 + span * ((place + 0.5) / count - 0.5)
    step = grid or 1
    tick = np.round((middle - first) * track.timescale / step).astype(np.int64)
    rising = np.maximum.accumulate(tick - np.arange(len(tick))) + np.arange(len(tick))
    number = (rising - rising[0]) * step if len(rising) else rising
    return Times(track.start + number, track.shown + number)


def _grid(track: ReferenceTrack) -> int:
    """Ticks of which all durations of the healthy file are multiples, give or take one; else 0."""
    durations = track.durations[track.durations > 0]
    if not len(durations):
        return 0
    step = int(durations.min())
    for part in (1, 2, 3):
        multiple = np.round(durations * part / step)
        if (np.abs(multiple * step / part - durations) <= 1 + 0.001 * durations).all():
            return step // part
    return 0


def reordered(times: Times, number: Ints) -> Times:
    """The same times, with pictures shown in the order of these numbers."""
    rank = np.argsort(np.argsort(number, kind="stable"), kind="stable")
    return Times(times.dts, times.pts[rank])


def companions(reference: Reference) -> Sequence[ReferenceTrack]:
    """Tracks by which pictures at a variable rate can be timed, the finest first."""
    able = [
        track
        for track in reference.tracks
        if track.kind != b"vide" and track.steady and track.duration and reference.lead_s(track)
    ]
    return sorted(able, key=lambda track: track.period_s)
