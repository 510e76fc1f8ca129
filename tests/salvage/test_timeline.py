"""Samples are due when they were, though nothing but their order is left, and not all of them."""

from fractions import Fraction

import numpy as np
import pytest

from muxer.boxes import box
from muxer.salvage.carve import Samples
from muxer.salvage.codecs.scanner import UNORDERED
from muxer.salvage.reference import Reference
from muxer.salvage.timeline import (
    Companion,
    Times,
    between,
    companions,
    constant_rate,
    counted,
    leads,
    picture_clock,
    reordered,
)

RATE, FRAME = 48_000, 1024
PERIOD_S = FRAME / RATE
SOUND_SIZE, PICTURE_SIZE = 200, 2_000
NOTHING_LOST = np.empty((0, 2), np.int64)


class Film:
    """Pictures at these times and the sound that their writer puts between them.

    In chunks of `chunk_s` of each, or else a picture as soon as the sound has come up to it.
    """

    def __init__(self, reference_track, shown_s, *, chunk_s=0.0):
        until = float(shown_s[-1]) + 0.1
        sound_s = np.arange(int(until / PERIOD_S)) * PERIOD_S
        if chunk_s:
            # Whole chunks in turn, each up to the first sample that reaches its end.
            due = [np.ceil(times / chunk_s - 1e-9) for times in (sound_s + PERIOD_S, shown_s)]
            rank = [0, 1]
        else:
            due, rank = [sound_s, np.asarray(shown_s)], [0, 1]
        rows = [
            (float(key), which, n)
            for which, keys in zip(rank, due, strict=True)
            for n, key in enumerate(keys)
        ]
        rows.sort()
        size = np.array([(SOUND_SIZE, PICTURE_SIZE)[which] for _, which, _ in rows])
        offset = np.cumsum(size) - size
        picture = np.array([which == 1 for _, which, _ in rows])
        self.size = int(size.sum())
        self.sound, self.pictures = offset[~picture], offset[picture]
        self.shown_s = np.asarray(shown_s, float)
        self.track = reference_track(chunks=_chunks(self.sound, SOUND_SIZE, sound_s, PERIOD_S))
        ticks = np.round(np.diff(self.shown_s) * 90_000).astype(int)
        usual = int(np.bincount(ticks).argmax())
        self.video = reference_track(
            b"vide",
            box(b"avc1"),
            timescale=90_000,
            duration=usual,
            steady=bool((ticks == usual).all()),
            durations=ticks,
            chunks=_chunks(self.pictures, PICTURE_SIZE, self.shown_s, usual / 90_000),
        )
        self.reference = Reference("", b"", b"", (self.video, self.track))

    def counted(self, lost=NOTHING_LOST, *, seen=True):
        """Errors of the times of the sound that is left, in samples; with or without pictures."""
        left = ~inside(self.sound, SOUND_SIZE, lost)
        kept = ~inside(self.pictures, PICTURE_SIZE, lost)
        pictures = (self.pictures[kept], self.shown_s[kept]) if seen else None
        lead_s = self.reference.lead_s(self.track) if seen else None
        offset = self.sound[left]
        times = counted(self.track, offset, np.ones_like(offset), lost, pictures, lead_s)
        return (times.pts - np.flatnonzero(left) * FRAME) / FRAME


def _chunks(offset, size, times, period_s):
    begin = np.append(True, np.diff(offset) > size)
    last = np.append(begin[1:], True)
    return np.stack([offset[begin], offset[last] + size, times[begin], times[last] + period_s], 1)


def inside(offset, size, lost):
    """Whether samples touch what is lost."""
    return ((offset[:, None] < lost[:, 1]) & (offset[:, None] + size > lost[:, 0])).any(axis=1)


def lost_from(begin, length):
    return np.array([[begin, begin + length]])


@pytest.fixture(params=[25, Fraction(30_000, 1001), 60], ids=["25", "29.97", "60"])
def film(request, reference_track):
    return Film(reference_track, np.arange(300) / float(request.param))


def test_pictures_are_due_at_their_rate_in_the_order_of_showing(reference_track):
    track = reference_track(b"vide", timescale=25, duration=1, start=-2, shown=0)
    times = constant_rate(track, np.array([0, 2, 1, 3]))
    assert times.dts.tolist() == [-2, -1, 0, 1]
    assert times.pts.tolist() == [0, 2, 1, 3]


def test_pictures_count_across_what_is_lost(reference_track):
    track = reference_track(b"vide", timescale=25, duration=1)
    keep = np.append(np.arange(20), np.arange(27, 60))
    yes = np.ones(len(keep), bool)
    key = keep % 10 == 0
    order = 2 * (keep % 10)
    samples = Samples(keep * 1_000, np.full(len(keep), 1_000), key, order, key, yes)
    times = picture_clock(track, samples, 64, np.array([[20_000, 27_000]]), 60_000)
    assert times.pts.tolist() == keep.tolist()


def test_sound_counts_on_where_nothing_is_lost(film):
    assert not film.counted().any()


@pytest.mark.parametrize("place", [0.05, 0.25, 0.5, 0.8, 0.93])
@pytest.mark.parametrize("length", [300, 5_000, 60_000])
def test_sound_is_set_again_by_the_pictures_behind_damage(film, place, length):
    error = film.counted(lost_from(int(place * film.size), length))
    assert not error.any()


def test_two_damages_are_each_counted(film):
    parts = [(0.2, 900), (0.6, 20_000)]
    lost = np.concatenate([lost_from(int(place * film.size), length) for place, length in parts])
    assert not film.counted(lost).any()


def test_without_pictures_the_bytes_that_are_lost_tell(reference_track):
    track = reference_track()
    offset = np.arange(400) * SOUND_SIZE
    left = (offset < 20_000) | (offset >= 29_000)
    lost = lost_from(20_000, 9_000)
    ones = np.ones(int(left.sum()), np.int64)
    times = counted(track, offset[left], ones, lost, None, None)
    assert (np.abs(times.pts / FRAME - np.flatnonzero(left)) <= 2).all()
    assert (np.diff(times.pts) > 0).all()


def test_no_samples_have_no_times(reference_track):
    none = np.empty(0, np.int64)
    lost = lost_from(0, 1_000)
    assert not len(counted(reference_track(), none, none, lost, None, None).pts)


def test_rows_of_many_frames_count_all_of_them(reference_track):
    track = reference_track(duration=1)
    frames = np.array([480, 480, 500, 470])
    offset = np.cumsum(4 * frames) - 4 * frames
    times = counted(track, offset, frames, NOTHING_LOST, None, None)
    assert times.pts.tolist() == [0, 480, 960, 1460]


@pytest.mark.parametrize("chunk_s", [0.5, 1.0])
@pytest.mark.parametrize("row", [30, 100, 400, 700])
def test_sound_in_chunks_stays_within_a_sample(reference_track, chunk_s, row):
    """Its lead drifts from chunk to chunk: they hold 23 samples or 24."""
    film = Film(reference_track, np.arange(500) / 25, chunk_s=chunk_s)
    assert not film.counted().any()
    inside_chunk = int(film.sound[row]) + 3 * SOUND_SIZE
    for length in (SOUND_SIZE, 4 * SOUND_SIZE, 30 * PICTURE_SIZE):
        assert (np.abs(film.counted(lost_from(inside_chunk, length))) <= 1).all()


def test_chunks_hold_as_many_samples_as_in_the_healthy_film(reference_track):
    """Where too few leads are left to tell."""
    film = Film(reference_track, np.arange(500) / 25, chunk_s=0.5)
    assert film.track.per_chunk == (23, 24)
    inside_second_chunk = int(film.sound[30]) + 3 * SOUND_SIZE
    for length in (SOUND_SIZE, 4 * SOUND_SIZE):
        assert not film.counted(lost_from(inside_second_chunk, length)).any()


def test_the_lead_is_that_of_the_picture_that_follows(reference_track):
    film = Film(reference_track, np.arange(50) / 25)
    end_s = (np.arange(len(film.sound)) + 1) * PERIOD_S
    lead = leads(film.track, film.sound, end_s, (film.pictures, film.shown_s))
    told = lead[~np.isnan(lead)]
    low, high = film.reference.lead_s(film.track)
    assert len(told) <= 50
    assert told.min() == pytest.approx(low)
    assert told.max() == pytest.approx(high)
    assert 0 <= low <= high <= PERIOD_S + 1e-9


# Pictures at a variable rate


def dropped(rate, count, seed, share=0.15):
    """Times of pictures at a rate of which some are missing, the first never."""
    kept = np.random.default_rng(seed).random(count) > share
    kept[0] = True
    return np.flatnonzero(kept) / rate


@pytest.mark.parametrize("rate", [24, 25, 30])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pictures_at_a_variable_rate_have_the_times_of_the_sound_around_them(
    reference_track, rate, seed
):
    healthy = Film(reference_track, dropped(rate, 400, 100 + seed))
    film = Film(reference_track, dropped(rate, 400, seed))
    number = np.arange(len(film.sound)) + 1
    lead_s = healthy.reference.lead_s(healthy.track)
    companion = Companion(film.track, film.sound, number, lead_s)
    times = between(healthy.video, film.pictures, companion)
    late = times.pts / 90_000 - film.shown_s
    assert np.abs(late).max() < 0.001


def test_times_by_sound_go_on_behind_damage(reference_track):
    film = Film(reference_track, dropped(30, 600, 7))
    lost = lost_from(int(film.sound[400]), 1_500)
    left = ~inside(film.sound, SOUND_SIZE, lost)
    kept = ~inside(film.pictures, PICTURE_SIZE, lost)
    number = np.arange(int(left.sum())) + 1
    lead_s = film.reference.lead_s(film.track)
    companion = Companion(film.track, film.sound[left], number, lead_s)
    set_again = companion.across(lost, film.video, film.pictures[kept])
    assert (set_again.number >= companion.number).all()
    assert set_again.number.tolist() == (np.flatnonzero(left) + 1).tolist()
    assert (set_again.number[:400] == number[:400]).all()


def test_pictures_never_share_a_time(reference_track):
    """Even if no sound lies between them."""
    film = Film(reference_track, np.arange(100) / 30, chunk_s=0.4)
    number = np.arange(len(film.sound)) + 1
    companion = Companion(film.track, film.sound, number, film.reference.lead_s(film.track))
    times = between(film.video, film.pictures, companion)
    assert (np.diff(times.dts) > 0).all()


def test_reordered_pictures_share_out_the_same_times():
    times = Times(np.array([0, 10, 20, 35]), np.array([5, 15, 25, 40]))
    found = reordered(times, np.array([0, 3, 1, 2]))
    assert found.dts.tolist() == [0, 10, 20, 35]
    assert found.pts.tolist() == [5, 40, 15, 25]


def test_the_finest_clock_is_the_first_companion(reference_track):
    film = Film(reference_track, dropped(30, 100, 1))
    coarse = reference_track(number=3, timescale=10, duration=1, chunks=film.track.chunks)
    ragged = reference_track(number=4, steady=False, chunks=film.track.chunks)
    reference = Reference("", b"", b"", (film.video, coarse, ragged, film.track))
    assert [*companions(reference)] == [film.track, coarse]


def test_pictures_without_counts_are_shown_as_they_come(reference_track):
    track = reference_track(b"vide", timescale=10, duration=1)
    yes = np.ones(5, bool)
    unordered = np.full(5, UNORDERED)
    samples = Samples(np.arange(5) * 10, np.full(5, 10), yes, unordered, ~yes, yes)
    assert picture_clock(track, samples, 0, NOTHING_LOST, 50).pts.tolist() == [0, 1, 2, 3, 4]
