"""Two tracks of one codec are told apart by the order in which their writer puts them down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.boxes import box
from muxer.salvage.reference import Reference
from muxer.salvage.share import shares

SIZE, PICTURE_S, PERIOD_S = 100, 0.04, 1024 / 48_000
NOTHING_LOST = np.empty((0, 2), np.int64)


class Film:
    """Two tracks of sound between pictures: by their times, or one track behind the other."""

    def __init__(self, reference_track, *, chunked, starts=(0.0, 0.0), seconds=8.0):
        self.chunked = chunked
        counts = [round((seconds - start) / PERIOD_S) for start in starts]
        rows = [
            (start + n * PERIOD_S, owner)
            for owner, (start, count) in enumerate(zip(starts, counts, strict=True))
            for n in range(count)
        ]
        if chunked:
            rows = [(int(t / (5 * PICTURE_S)) * 5 * PICTURE_S, owner, t) for t, owner in rows]
        else:
            rows = [(t, owner, t) for t, owner in rows]
        pictures = [(k * PICTURE_S, 2, k * PICTURE_S) for k in range(int(seconds / PICTURE_S))]
        if chunked:
            pictures = [(int(k / 5) * 5 * PICTURE_S, -1, t) for k, (t, _, _) in enumerate(pictures)]
        rows = sorted(rows + pictures)
        owner = np.array([own for _, own, _ in rows])
        times = np.array([t for _, _, t in rows])
        offset = np.arange(len(rows)) * SIZE
        sound = (owner == 0) | (owner == 1)
        self.pictures, self.offset, self.owner = offset[~sound], offset[sound], owner[sound]
        self.tracks = [
            reference_track(
                number=n + 2,
                start=round(starts[n] * 48_000),
                chunks=chunks(offset[owner == n], times[owner == n]),
            )
            for n in (0, 1)
        ]
        video = reference_track(
            b"vide",
            box(b"avc1"),
            timescale=25,
            duration=1,
            chunks=chunks(self.pictures, times[~sound]),
        )
        self.reference = Reference("", b"", b"", (video, *self.tracks))

    def shares(self, left=slice(None), lost=NOTHING_LOST):
        offset = self.offset[left]
        return shares(
            self.reference, self.tracks, offset, np.ones_like(offset), self.pictures, lost
        )


def chunks(offset, times):
    """Samples that lie side by side are one."""
    begin = np.append(True, np.diff(offset) > SIZE)
    last = np.append(begin[1:], True)
    place, behind = offset[begin], offset[last] + SIZE
    return np.stack([place, behind, times[begin], times[last] + PERIOD_S], axis=1)


@pytest.fixture(params=[False, True], ids=["by time", "in chunks"])
def film(request, reference_track):
    return Film(reference_track, chunked=request.param)


def test_each_sample_is_its_tracks(film):
    assert film.shares().tolist() == film.owner.tolist()


def test_a_track_that_begins_later_has_none_of_the_first(reference_track):
    film = Film(reference_track, chunked=False, starts=(0.0, 1.013))
    assert film.shares().tolist() == film.owner.tolist()
    assert not film.owner[:40].any()


@pytest.mark.parametrize("gone", [(50, 53), (50, 54), (51, 70), (53, 57), (48, 147)])
def test_behind_damage_they_are_told_apart_again(film, gone):
    """Whatever number of samples of each track is lost."""
    rows = np.arange(len(film.offset))
    left = (rows < gone[0]) | (rows >= gone[1])
    lost = np.array([[film.offset[gone[0]], film.offset[gone[1] - 1] + SIZE]])
    film.pictures = film.pictures[(film.pictures < lost[0, 0]) | (film.pictures >= lost[0, 1])]
    found = film.shares(left, lost)
    wrong = film.offset[left][found != film.owner[left]]
    # In one chunk after another, what is left of the damaged gap could be of either.
    gap = np.searchsorted(film.pictures, lost[0, 0])
    assert (np.searchsorted(film.pictures, wrong) == gap).all()
    assert len(wrong) <= 6 * film.chunked


def test_one_track_has_all(film):
    alone = shares(
        film.reference, film.tracks[:1], film.offset, film.offset, film.pictures, NOTHING_LOST
    )
    assert not alone.any()


def test_no_samples_are_nobodys(film):
    assert not len(film.shares(slice(0, 0)))


@given(st.sets(st.integers(0, 700)), st.lists(st.integers(0, 90_000), max_size=8), st.booleans())
def test_every_sample_is_somebodys_whatever_is_lost(reference_track, missing, edges, chunked):
    film = Film(reference_track, chunked=chunked)
    left = ~np.isin(np.arange(len(film.offset)), [*missing])
    edges = sorted({*edges})
    lost = np.array([*zip(edges[::2], edges[1::2], strict=False)], np.int64).reshape(-1, 2)
    found = film.shares(left, lost)
    assert len(found) == left.sum()
    assert np.isin(found, [0, 1]).all()
