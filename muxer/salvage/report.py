"""What a salvage has found and what not, by track and by byte range, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from muxer.pcm import frame_size
from muxer.repair.findings import Stretch
from muxer.salvage.own_movie import OwnTrack
from muxer.salvage.pictures import breaks
from muxer.salvage.reference import ReferenceTrack
from muxer.salvage.salvage import Salvage, SalvagedTrack
from muxer.sample_table import Ints, SampleTable
from muxer.source import LocalFile

_NS = 1_000_000_000
_BLOCK = 1 << 20
_SECTOR = 512

_FROM_THE_REFERENCE = (
    "frame rates, edit lists, rotation, languages and names are those of the healthy file"
)
_BOUNDARIES = {
    "Opus": "Opus packets do not say how long they are: where each ends is what is most likely"
}
_PCM_DAMAGED = "next to damage, PCM frames may begin some bytes off"
_VARIABLE = "pictures come at a variable rate: their times are those of the sound between them"
_VARIABLE_ALONE = (
    "pictures come at a variable rate, with nothing beside them that tells time: they are spread "
    "evenly"
)
_MOTION = "times of motion records are counted by the rates of the healthy file's sensors"
_COUNTED = "samples come at a variable rate: their times are counted by the usual one"
_BEHIND_DAMAGE = "how much time is lost before is an estimate"


@dataclass(frozen=True, slots=True, eq=False)
class TrackOutcome:
    """What became of one track.

    `kept`      samples, of PCM frames
    `lost`      an estimate where no table tells, by the time that is lost
    `blank`     samples that are kept though sectors of zeros stand in the middle of them
    `smeared`   pictures that are kept though one is lost on which they may depend
    `first_ns`, `last_ns`  when the first and the last of them are shown; None where there is none
    `assumed`   what is no more than likely about the whole track
    """

    number: int
    codec: str
    kept: int
    lost: int
    blank: int
    smeared: int
    first_ns: int | None
    last_ns: int | None
    assumed: tuple[str, ...]
    stretches: tuple[Stretch, ...]

    def report(self) -> dict[str, Any]:
        """For scripts, as JSON can say it."""
        return {
            "number": self.number,
            "codec": self.codec,
            "kept": self.kept,
            "lost": self.lost,
            "blank": self.blank,
            "smeared": self.smeared,
            "first_s": None if self.first_ns is None else self.first_ns / _NS,
            "last_s": None if self.last_ns is None else self.last_ns / _NS,
            "assumed": [*self.assumed],
            "stretches": [stretch.report() for stretch in self.stretches],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What became of a damaged file.

    `reference`  the healthy file that was used; None where the file's own tables were
    `gaps`       bytes of its media that belong to no track
    `unable`     tracks of the healthy file that nothing can recognise, and why
    `assumed`    what holds for all tracks and is no more than likely
    """

    path: str
    size: int
    remedy: str
    reference: str | None
    tracks: tuple[TrackOutcome, ...] = ()
    gaps: tuple[Stretch, ...] = ()
    unable: Mapping[int, str] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    @property
    def recovered(self) -> bool:
        """Whether there is anything to keep."""
        return any(found.kept for found in self.tracks)

    @property
    def complete(self) -> bool:
        """Whether everything that is known of is kept."""
        whole = not any(found.lost or found.blank for found in self.tracks)
        return whole and not self.gaps and not self.unable

    def report(self) -> dict[str, Any]:
        """For scripts, as JSON can say it."""
        return {
            "path": self.path,
            "size": self.size,
            "remedy": self.remedy,
            "reference": self.reference,
            "recovered": self.recovered,
            "complete": self.complete,
            "assumed": [*self.assumed],
            "unable": {str(number): why for number, why in self.unable.items()},
            "gaps": [gap.report() for gap in self.gaps],
            "tracks": [found.report() for found in self.tracks],
        }


def carved(found: Salvage, remedy: str, blank: Ints, assumed: Sequence[str] = ()) -> Findings:
    """Of a file that was searched for samples; `assumed` is what no healthy file has told."""
    with LocalFile(found.path) as source:
        gaps = tuple(_gaps(source, found))
    return Findings(
        found.path,
        found.size,
        remedy,
        found.reference.path or None,
        tuple(_carved_track(found, track, blank) for track in found.tracks),
        gaps,
        found.unable,
        tuple(assumed) or (_FROM_THE_REFERENCE,),
    )


def blank_sectors(source: LocalFile, start: int, end: int) -> Ints:
    """Sectors of nothing but zeros, int64[M, 2]: where each run of them begins and ends.

    All of the bytes are read, in time that the search for samples leaves over: a thread's work.
    """
    begin = -(-start // _SECTOR) * _SECTOR
    zeros = [np.empty(0, np.int64)]
    for at in range(begin, end - _SECTOR + 1, _BLOCK):
        data = source.read(at, min(_BLOCK, (end - at) // _SECTOR * _SECTOR))
        sectors = np.frombuffer(data, np.uint64).reshape(-1, _SECTOR // 8)
        zeros.append(at // _SECTOR + np.flatnonzero(~sectors.any(axis=1)))
    sector = np.concatenate(zeros)
    begins = np.flatnonzero(np.diff(sector, prepend=-2) != 1)
    ends = np.append(begins[1:], len(sector))[: len(begins)] - 1
    return np.stack([sector[begins], sector[ends] + 1], axis=1) * _SECTOR


def _blank_inside(entry: bytes, table: SampleTable, blank: Ints) -> int:
    """How many samples have such sectors before their last bytes, where padding may be.

    Zeros in PCM are silence.
    """
    if frame_size(entry):
        return 0
    order = np.argsort(table.offset)
    offset, end = table.offset[order], (table.offset + table.size)[order]
    run = np.searchsorted(blank[:, 1], offset, "right")
    inside = run < len(blank)
    starts, ends = np.append(blank, [[1 << 62, 1 << 62]], axis=0)[run].T
    return int((inside & (starts < end) & (ends < end)).sum())


def _carved_track(found: Salvage, track: SalvagedTrack, blank: Ints) -> TrackOutcome:
    reference, table = track.reference, track.table
    gone = [gap.row for gap in breaks(table.offset, found.lost)]
    shown = (table.dts + table.cts_offset + reference.start) * _NS // reference.timescale
    return TrackOutcome(
        reference.number,
        reference.codec,
        _count(reference.entry, table),
        _lost(reference, table, gone),
        _blank_inside(reference.entry, table, blank),
        _smeared(table, gone) if reference.kind == b"vide" else 0,
        int(shown.min()) if len(table) else None,
        int(shown.max()) if len(table) else None,
        tuple(_assumed(found, reference, bool(gone))) if len(table) else (),
        tuple(_stretches(table, shown, gone, _count_rows(reference.entry, table))),
    )


def _count(entry: bytes, table: SampleTable) -> int:
    return int(_count_rows(entry, table).sum())


def _count_rows(entry: bytes, table: SampleTable) -> Ints:
    """Samples in each row: one, but of PCM the frames."""
    frame = frame_size(entry)
    return table.size // frame if frame else np.ones_like(table.size)


def _lost(track: ReferenceTrack, table: SampleTable, gone: Sequence[int]) -> int:
    """Samples that are missing from the time that is lost at the damages."""
    if not gone:
        return 0
    rows = _count_rows(track.entry, table)
    duration = np.diff(table.dts)
    if (
        track.steady and track.duration
    ):  # pictures are decoded in another order than they are counted in
        return max(round(int(duration.sum()) / track.duration) - int(rows[:-1].sum()), 0)
    before = np.array(gone) - 1
    usual = max(float(np.delete(duration, before).mean()) if len(duration) > len(gone) else 0, 1.0)
    return int(np.maximum(np.round(duration[before] / usual) - 1, 0).sum())


def _smeared(table: SampleTable, gone: Sequence[int]) -> int:
    """How many pictures are left between a damage and the next key frame."""
    if not gone:
        return 0
    group = np.cumsum(table.keyframe)
    rows = np.arange(len(table))
    damaged = np.full(int(group[-1]) + 1, len(table))
    for row in reversed(gone):
        if not table.keyframe[row]:
            damaged[group[row]] = row
    return int((rows >= damaged[group]).sum())


def _assumed(found: Salvage, track: ReferenceTrack, damaged: bool) -> Iterator[str]:
    """What is no more than likely about a track's samples and their times."""
    if track.codec in _BOUNDARIES:
        yield _BOUNDARIES[track.codec]
    if damaged and frame_size(track.entry):
        yield _PCM_DAMAGED
    if track.codec == "camm":
        yield _MOTION
    elif not track.steady and track.kind == b"vide":
        others = [other for other in found.tracks if other.reference.kind != b"vide"]
        yield _VARIABLE if any(len(other.table) for other in others) else _VARIABLE_ALONE
    elif not track.steady:
        yield _COUNTED


def _stretches(
    table: SampleTable, shown: Ints, gone: Sequence[int], count: Ints
) -> Iterator[Stretch]:
    """The samples from one damage to the next."""
    edges = [0, *gone, len(table)]
    for first, last in pairwise(edges):
        if first < last:
            rows = slice(first, last)
            yield Stretch(
                int(table.offset[rows].min()),
                int((table.offset[rows] + table.size[rows]).max()),
                int(count[rows].sum()),
                int(shown[rows].min()),
                int(shown[rows].max()),
                assumed=_BEHIND_DAMAGE if first else "",
            )


def _gaps(source: LocalFile, found: Salvage) -> Iterator[Stretch]:
    """What belongs to no track, with the times of the pictures (or else samples) around it."""
    clock = max(
        found.tracks,
        key=lambda track: (track.reference.kind == b"vide", len(track.table)),
        default=None,
    )
    for start, end in found.lost.tolist():
        blank = not any(
            source.read(at, min(_BLOCK, end - at)).strip(b"\0") for at in range(start, end, _BLOCK)
        )
        reason = "no sample of a known track"
        if blank:
            reason = "zeros"
        elif end == found.media[1]:
            reason = "no whole sample, up to the end of the media"
        before, after = _around(clock, start) if clock is not None else (None, None)
        yield Stretch(start, end, 0, before, after, reason)


def _around(track: SalvagedTrack, at: int) -> tuple[int | None, int | None]:
    """When the last sample before a byte and the first behind it are decoded."""
    table, reference = track.table, track.reference
    row = int(np.searchsorted(table.offset, at))
    times = [
        int(table.dts[n] + reference.start) * _NS // reference.timescale
        if 0 <= n < len(table)
        else None
        for n in (row - 1, row)
    ]
    return times[0], times[1]


def by_own_tables(track: OwnTrack, table: SampleTable) -> TrackOutcome:
    """Of a track whose tables are right; `table` is what of it lies in the file."""
    shown = (table.dts + table.cts_offset + track.start) * _NS // track.timescale
    whole = list(_stretches(table, shown, [], _count_rows(track.entry, table)))
    return TrackOutcome(
        track.number,
        track.codec,
        _count(track.entry, table),
        _count(track.entry, track.table) - _count(track.entry, table),
        0,
        0,
        int(shown.min()) if len(table) else None,
        int(shown.max()) if len(table) else None,
        (),
        tuple(whole),
    )
