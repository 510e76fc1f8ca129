"""Which of several tracks of one codec each sample belongs to.

Their samples look alike; writers put them down in the order of their times, or for each chunk one
track behind the other. No track's clock runs ahead of another's by more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from muxer.salvage.pictures import breaks
from muxer.salvage.reference import Reference, ReferenceTrack
from muxer.sample_table import Ints


def shares(
    reference: Reference,
    tracks: Sequence[ReferenceTrack],
    offset: Ints,
    frames: Ints,
    others: Ints,
    lost: Ints,
) -> Ints:
    """Index of the track for each row, int64[N].

    `offset` and `frames` are where rows lie and how many samples each holds, `others` where samples
    of other codecs lie, between which they are.
    """
    owner = np.zeros(len(offset), np.int64)
    if len(tracks) == 1 or not len(offset):
        return owner
    group = np.searchsorted(others, offset)
    edges = [0, *(gap.row for gap in breaks(offset, lost)), len(offset)]
    in_turn = _one_behind_the_other(reference, tracks)
    for begin, end in pairwise(edges):
        rows = np.arange(begin, end)
        if begin:  # what is left of the damaged gap counts from its end
            head = rows[group[begin:end] == group[begin]]
            owner[head] = _by_time(tracks, frames[head][::-1], reverse=True)[::-1]
            rows = rows[len(head) :]
        owner[rows] = _by_time(tracks, frames[rows])
    if in_turn:
        owner = owner[np.lexsort((owner, group))]
    return owner


def _by_time(tracks: Sequence[ReferenceTrack], frames: Ints, *, reverse: bool = False) -> Ints:
    """Owners of rows that come in the order of their times, from where all tracks begin."""
    count = len(frames)
    numbers = np.arange(count)
    each = float(frames.mean()) if count else 1.0
    times = np.concatenate(
        [
            (0.0 if reverse else track.start / track.timescale) + numbers * each * track.period_s
            for track in tracks
        ]
    )
    owners = np.repeat(np.arange(len(tracks)), count)
    if reverse:
        owners = owners[::-1]
    order = np.argsort(np.round(times, 9), kind="stable")
    result: Ints = owners[order][:count]
    return result


def _one_behind_the_other(reference: Reference, tracks: Sequence[ReferenceTrack]) -> bool:
    """Whether between samples of other codecs no track comes twice in the healthy file."""
    others = [track.chunks[:, 0] for track in reference.tracks if track not in tracks]
    if not others:
        return False
    place = np.concatenate([track.chunks[:, 0] for track in tracks])
    owner = np.repeat(np.arange(len(tracks)), [len(track.chunks) for track in tracks])
    order = np.argsort(place)
    group = np.searchsorted(np.sort(np.concatenate(others)), place[order])
    changes = np.append(True, (np.diff(owner[order]) != 0) | (np.diff(group) != 0))
    visits = group[changes] * len(tracks) + owner[order][changes]
    return len(np.unique(visits)) == len(visits)
