"""When motion records were measured, by their order in the file alone.

The sensor that is read most often beats time; the others come once in so many beats. Across damage
the GPS tells the time, or else the pictures between which records lie, and last the bytes that are
lost; then the turn in which the other sensors come settles which beat it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camm import PACKET_SIZES, PacketType
from muxer.salvage.carve import Samples
from muxer.salvage.codecs.scanner import Readable
from muxer.salvage.pictures import Break, breaks
from muxer.salvage.reference import Floats, ReferenceTrack
from muxer.salvage.timeline import Times, fallen_behind, leads
from muxer.sample_table import Ints

_DIVISIBLE = 0.02
"""How near to a whole number of beats a sensor's period must be to be taken for it."""
_NEAR = 2000
"""Records on each side of damage that are compared."""
_LONG_S = 5.0
"""Over which the GPS tells the rate of the beat better than the healthy file."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Motion records in the order of the file: packet types, GPS time in seconds (NaN: none)."""

    kind: Ints
    gps_s: Floats


def motion_records(source: Readable, samples: Samples) -> Records:
    """Read what of the records tells time."""
    kind = np.empty(len(samples), np.int64)
    gps = np.full(len(samples), np.nan)
    edges = np.flatnonzero(samples.offset[1:] != samples.end[:-1]) + 1
    for rows in np.split(np.arange(len(samples)), edges):
        begin = int(samples.offset[rows[0]])
        data = np.frombuffer(source.read(begin, int(samples.end[rows[-1]]) - begin), np.uint8)
        place = samples.offset[rows] - begin
        kind[rows] = data[place + 2]
        fixes = kind[rows] == PacketType.GPS
        octets = data[place[fixes][:, None] + np.arange(4, 12)]
        gps[rows[fixes]] = np.ascontiguousarray(octets).view("<f8")[:, 0]
    return Records(kind, np.where(gps > 0, gps, np.nan))


@dataclass(frozen=True, slots=True)
class MotionClock:
    """What the healthy file says of its sensors.

    `beat`    packet type that comes most often
    `period`  ticks from one of it to the next
    `first`   ticks from the beginning of the track to the first beat
    `share`   by type, how many come in a beat
    `phase`   by type, how many beats after a beat it comes
    """

    beat: int
    period: float
    first: float
    share: dict[int, float]
    phase: dict[int, float]

    @classmethod
    def of(cls, track: ReferenceTrack) -> MotionClock:
        kind = np.array([sample[2] for sample in track.samples])
        tick = np.append(0, np.cumsum(track.durations[: len(kind) - 1]))
        counts = np.bincount(kind, minlength=len(PacketType))
        beat = int(counts.argmax())
        beats = tick[kind == beat]
        period = float(beats[-1] - beats[0]) / max(len(beats) - 1, 1) or 1.0
        first = float(np.median(beats - np.arange(len(beats)) * period))
        share, phase = {}, {}
        for other in np.flatnonzero(counts).tolist():
            own = (tick[kind == other] - first) / period
            share[other] = _whole_division(
                (len(own) - 1) / (own[-1] - own[0]) if len(own) > 1 else 0
            )
            turn = 1 / share[other] if share[other] else 1.0
            phase[other] = float(np.median(own - np.arange(len(own)) * turn))
        return cls(beat, period, first, share, phase)

    def times(
        self,
        track: ReferenceTrack,
        records: Records,
        offset: Ints,
        lost: Ints,
        pictures: tuple[Ints, Floats] | None,
    ) -> Times:
        """When each record is due."""
        beat = np.cumsum(records.kind == self.beat) - 1
        period_s = self.period / track.timescale
        for gap in breaks(offset, lost):
            beat[gap.row :] += self._missed(gap, records, offset, beat, track, pictures)
        position = np.empty(len(beat))
        for kind in np.unique(records.kind).tolist():
            rows = records.kind == kind
            position[rows] = self._positions(kind, beat[rows])
        period = self._period(records, position, period_s) * track.timescale
        tick = track.start + np.round(self.first + position * period).astype(np.int64)
        tick = np.maximum.accumulate(np.maximum(tick, track.start))
        return Times(tick, tick)

    def _positions(self, kind: int, beat: Ints) -> Floats:
        """In beats, when the records of one type are due that lie behind these beats."""
        share = self.share.get(kind, 0.0)
        if kind == self.beat or not share:
            return beat.astype(np.float64)
        turn = 1 / share
        # Where in a turn they come differs from take to take: as in the healthy file if that can
        # be, else in the middle of what the order allows.
        allowed = beat + 0.5
        phase = self.phase[kind]
        number = np.ceil((allowed - phase) / turn - 0.5)
        off = allowed - (phase + number * turn)
        shift = 0.0 if np.abs(np.median(off)) <= 0.75 else float(np.median(off))
        position: Floats = phase + shift + np.ceil((allowed - phase - shift) / turn - 0.5) * turn
        return position

    def _period(self, records: Records, position: Floats, period_s: float) -> float:
        """Seconds of a beat: by GPS time where there is enough of it."""
        fixes = ~np.isnan(records.gps_s)
        gps, at = records.gps_s[fixes], position[fixes]
        if len(gps) < 3 or at[-1] <= at[0]:
            return period_s
        steady = np.abs(np.diff(gps) - np.diff(at) * period_s) < 0.2 * np.diff(gps) + period_s
        if gps[-1] - gps[0] < _LONG_S or not steady.all():
            return period_s
        return float((gps[-1] - gps[0]) / (at[-1] - at[0]))

    def _missed(
        self,
        gap: Break,
        records: Records,
        offset: Ints,
        beat: Ints,
        track: ReferenceTrack,
        pictures: tuple[Ints, Floats] | None,
    ) -> int:
        """Beats that are lost in a gap."""
        period_s = self.period / track.timescale
        near = slice(max(0, gap.row - _NEAR), gap.row + _NEAR)
        behind = records.gps_s[near] - beat[near] * period_s
        row = gap.row - near.start
        before, after = behind[:row], behind[row:]
        before, after = before[~np.isnan(before)], after[~np.isnan(after)]
        if len(before) and len(after):
            return max(round(float(after[0] - before[-1]) / period_s), 0)
        found = None
        if pictures is not None:
            clock = leads(track, offset[near], (beat[near] + 1) * period_s, pictures)
            found = fallen_behind(clock, row, len(clock), None)
        if found is None:
            per_beat = sum(n * PACKET_SIZES[PacketType(kind)] for kind, n in self.share.items())
            found = gap.lost / max(per_beat, 1) * period_s
        return self._in_turn(max(round(found / period_s), 0), records.kind[near], beat[near], row)

    def _in_turn(self, about: int, kind: Ints, beat: Ints, row: int) -> int:
        """The number of lost beats near `about` with which the other types come in their turn."""
        guesses = np.arange(max(0, about - 4), about + 5)
        misfit = np.abs(guesses - about) * 0.05
        for other, share in self.share.items():
            before, after = beat[:row][kind[:row] == other], beat[row:][kind[row:] == other]
            if other == self.beat or not share or not len(before) or not len(after):
                continue
            turns = (after[0] + guesses - before[-1]) * share
            misfit = misfit + np.abs(turns - np.round(turns)) / share
        return int(guesses[np.argmin(misfit)])


def _whole_division(share: float) -> float:
    """One in so many, where it is nearly that."""
    if share <= 0:
        return 0.0
    turn = 1 / share
    whole = max(round(turn), 1)
    return 1 / whole if abs(turn - whole) < _DIVISIBLE * turn else share
