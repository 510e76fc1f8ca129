"""What is kept of a track and what is lost, sample by sample and stretch by stretch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muxer.repair.index import Bools, TrackIndex
from muxer.repair.judge import Fault, judge
from muxer.repair.movie import MovieTrack
from muxer.sample_table import SampleTable
from muxer.source import ByteSource

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the file and of the movie that fared alike.

    `samples`  how many of one track; 0 where no index is left that would tell
    `from_ns`, `until_ns`  times of the first and the last of them (of their neighbours where there
                           is no index) from movie time zero; None where nobody knows
    `reason`   why they are lost; empty where they are kept
    `assumed`  what is no more than likely about those that are kept; empty where all is certain
    """

    start: int
    end: int
    samples: int
    from_ns: int | None
    until_ns: int | None
    reason: str = ""
    assumed: str = ""

    def report(self) -> dict[str, Any]:
        """For scripts, as JSON can say it."""
        return {
            "kept": not self.reason,
            "reason": self.reason,
            "assumed": self.assumed,
            "bytes": [self.start, self.end],
            "samples": self.samples,
            "from_s": None if self.from_ns is None else self.from_ns / _NS,
            "until_s": None if self.until_ns is None else self.until_ns / _NS,
        }


@dataclass(frozen=True, slots=True, eq=False)
class TrackFindings:
    """What is left of one track.

    `table`       the samples that are kept; bytes of the file as it is, ticks from movie time zero
    `lost`        samples that are known of and gone
    `unverified`  samples that are kept though no checksum vouches for them
    `smeared`     pictures that are kept though one is lost on which they may depend
    `stretches`   all samples in order
    """

    track: MovieTrack
    table: SampleTable
    lost: int
    unverified: int
    smeared: int
    stretches: tuple[Stretch, ...]

    def report(self) -> dict[str, Any]:
        """For scripts, as JSON can say it."""
        return {
            "number": self.track.number,
            "codec": self.track.codec,
            "kept": len(self.table),
            "lost": self.lost,
            "unverified": self.unverified,
            "smeared": self.smeared,
            "stretches": [stretch.report() for stretch in self.stretches],
        }


def findings(
    source: ByteSource, index: TrackIndex, occupied: Sequence[tuple[int, int]]
) -> TrackFindings:
    """Judge the samples of a track that no checksum vouches for.

    `occupied` are the ranges, in the order of the file, that hold something else for certain.
    """
    table, sure = index.table, index.sure
    faults = np.full(len(table), Fault.NONE, np.uint8)
    doubtful = table.only(~sure)
    if len(doubtful):
        found = judge(source, index.track, doubtful)
        found[_overlap(doubtful, occupied)] = Fault.COVERED
        faults[~sure] = found
    if index.track.kind == b"vide":
        faults[_without_key_frame(index, faults)] = Fault.NO_KEY_FRAME
    kept = faults == Fault.NONE
    smeared = _smeared(index, kept) if index.track.kind == b"vide" else 0
    return TrackFindings(
        index.track,
        table.only(kept),
        int((~kept).sum()),
        int((kept & ~sure).sum()),
        smeared,
        _stretches(index, faults),
    )


def _overlap(table: SampleTable, occupied: Sequence[tuple[int, int]]) -> Bools:
    """Which samples reach into one of the ranges, which do not overlap one another."""
    starts = np.array([start for start, _ in occupied], np.int64)
    ends = np.array([end for _, end in occupied] + [0], np.int64)
    last = np.searchsorted(starts, table.offset + table.size) - 1  # -1 takes the 0 at the end
    reach: Bools = ends[last] > table.offset
    return reach


def _without_key_frame(index: TrackIndex, faults: npt.NDArray[np.uint8]) -> Bools:
    """Pictures at the very start with which no decoder can begin, because of what is lost there."""
    kept = faults == Fault.NONE
    keys = np.flatnonzero(kept & index.table.keyframe)
    early = np.arange(len(kept)) < (keys[0] if len(keys) else 0)
    damaged = index.jumps[:1].any() or (early & ~kept).any()
    useless: Bools = early & kept & damaged
    return useless


def _smeared(index: TrackIndex, kept: Bools) -> int:
    """How many pictures are left between a lost one and the next key frame."""
    keyframe = index.table.keyframe
    missing = np.cumsum(~kept | (index.jumps & ~keyframe))
    group = np.cumsum(keyframe)
    before = np.append(0, missing)[np.searchsorted(group, group)]
    return int((kept & (missing > before)).sum())


def _stretches(index: TrackIndex, faults: npt.NDArray[np.uint8]) -> tuple[Stretch, ...]:
    table = index.table
    begins = np.flatnonzero((np.diff(faults, prepend=faults[:1]) != 0) | index.jumps)
    pts = table.dts + table.cts_offset
    result = []
    for rows in np.split(np.arange(len(table)), begins[begins > 0]):
        if len(rows):
            fault = Fault(int(faults[rows[0]]))
            result.append(
                Stretch(
                    int(table.offset[rows].min()),
                    int((table.offset[rows] + table.size[rows]).max()),
                    len(rows),
                    int(pts[rows].min()) * _NS // index.track.timescale,
                    int(pts[rows].max()) * _NS // index.track.timescale,
                    fault.reason if fault else "",
                )
            )
    return tuple(result)
