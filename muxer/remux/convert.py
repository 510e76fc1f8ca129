"""Motion metadata in whatever form, as one CAMM track that every reader knows.

`mett` and `madv`, a track that has lost its sample entry on the way through FFmpeg's MOV, several
tracks, samples of several packets: all records come into a new track, one a sample, as they are.
Old ones stay in the media as bytes that nothing refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Literal

import numpy as np

from camm import PacketType
from muxer.clip import Clip
from muxer.errors import Mp4Error
from muxer.madv import Madv
from muxer.reader import require_motion
from muxer.records import Records, add_faults
from muxer.remux.movie import NewTrack, Watch, remux
from muxer.remux.order import InOrder, picked
from muxer.track import CammTrack, Track

_BLOCK_S = 10
_FINEST = 1_000_000_000
_USUAL = 1_000_000  # in which pauses of half an hour need no divider


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of it.

    `sources`  the tracks, or "madv", that the records are of
    `counts`   of the new track, by packet type
    `faults`   what was found in reading besides, and `late`: records out of all order, left out
    """

    sources: Sequence[str]
    counts: Mapping[int, int]
    timescale: int
    faults: Mapping[str, int]
    late: int


def convert(
    clip: Clip,
    out: Path,
    *,
    to: Literal["camm", "vr180"] = "camm",
    watch: Watch = lambda what, done, total: None,
) -> Converted:
    """Write the clip with one CAMM track of all its motion metadata.

    `to` "vr180" takes the orientations alone, for players that take every record for one. Values
    and times stay: ticks are those of the old track, finer ones where several are joined.
    NoCammError where there is nothing to convert, Mp4Error where the file cannot be written again.
    """
    require_motion(clip)
    motions: list[CammTrack | Madv] = [track for track in clip.camm_tracks if track.count]
    if not motions and clip.madv is not None:
        motions = [clip.madv]
    only = PacketType.ANGLE_AXIS if to == "vr180" else None
    records = InOrder([_wanted(motion, only) for motion in motions])
    new = NewTrack(
        _timescale(clip, motions, _FINEST if only is None else _USUAL),
        [track.number for track in clip.camm_tracks],
        clip.duration_ns,
        clip.created,
        {**clip.metadata, "converted": {"to": to, "from": _names(motions)}},
        held=to == "vr180",
    )
    track = remux(clip, _some(records, clip, to), new, out, watch)
    return Converted(
        _names(motions),
        dict(sorted(track.counts.items())),
        new.timescale,
        add_faults(motion.survey.faults for motion in motions),
        records.late,
    )


def _wanted(motion: CammTrack | Madv, only: PacketType | None) -> Iterator[Records]:
    for block in motion.record_blocks(_BLOCK_S):
        yield block if only is None else picked(block, np.flatnonzero(block.kind == only))


def _some(records: InOrder, clip: Clip, to: str) -> Iterator[Records]:
    """The records; Mp4Error where there are none."""
    count = 0
    for block in records:
        count += len(block)
        yield block
    if not count:
        what = "orientations (type 0)" if to == "vr180" else "records"
        raise Mp4Error(f"{clip.path} has no {what} to convert")


def _timescale(clip: Clip, motions: Sequence[CammTrack | Madv], finest: int) -> int:
    """Ticks a second in which all times are whole, or the finest that there may be."""
    tracks: list[Track] = [motion for motion in motions if isinstance(motion, CammTrack)]
    if clip.video is not None and any(isinstance(motion, Madv) for motion in motions):
        tracks.append(clip.video)
    scales = [track.timescale for track in tracks]
    scales += [track.movie_timescale for track in tracks if track.edits.edits]
    return min(lcm(*filter(None, scales)) if scales else _USUAL, finest)


def _names(motions: Sequence[CammTrack | Madv]) -> list[str]:
    return [
        f"track {motion.number} ({motion.codec or 'no name'})"
        if isinstance(motion, CammTrack)
        else "madv"
        for motion in motions
    ]
