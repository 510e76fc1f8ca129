"""Motion records are due when they were, by their order, and across what is lost of them."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.boxes import box
from muxer.file_boxes import Memory
from muxer.salvage.carve import Samples
from muxer.salvage.codecs.scanner import UNORDERED
from muxer.salvage.motion import MotionClock, Records, motion_records

GYRO, PUSH, PLACE, GPS, FIELD = 2, 3, 5, 6, 7
SIZE = {GYRO: 16, PUSH: 16, PLACE: 28, GPS: 60, FIELD: 16}
BEAT = 5_000
"""Microseconds from one turn rate to the next."""
RIG = {GYRO: (1, 0.0), PUSH: (1, 0.4), FIELD: (4, 2.7), GPS: (200, 120.5)}
"""By type: one in so many beats, and how many beats after a beat it comes."""
PICTURE, PICTURE_US = 2_000, 33_333
NOTHING_LOST = np.empty((0, 2), np.int64)
EPOCH = 1_400_000_000.25


class Take:
    """Records of a rig, in the order of time, and pictures between them."""

    def __init__(self, reference_track, rig=RIG, *, seconds=20.0, beat=float(BEAT), pictures=True):
        rows = []
        for kind, (turn, phase) in rig.items():
            count = int((seconds * 1e6 / beat - phase) / turn)
            rows += [(round((phase + n * turn) * beat), kind) for n in range(count)]
        # A picture is written behind the records up to its time.
        shown = np.arange(int(seconds * 1e6 / PICTURE_US)) * PICTURE_US if pictures else []
        rows += [(int(t), 255) for t in shown]
        rows.sort()
        size = np.array([SIZE.get(kind, PICTURE) for _, kind in rows])
        offset = np.cumsum(size) - size
        record = np.array([kind != 255 for _, kind in rows])
        time, kind = np.array(rows).T
        self.size = int(size.sum())
        self.pictures = (offset[~record], np.asarray(shown) / 1e6) if pictures else None
        self.offset, self.time, self.kind = offset[record], time[record], kind[record]
        self.sizes = size[record]
        gps = np.where(self.kind == GPS, EPOCH + self.time / 1e6, np.nan)
        self.records = Records(self.kind, gps)
        durations = np.diff(self.time)[:400]
        usual = int(np.bincount(durations).argmax())
        self.track = reference_track(
            b"meta",
            box(b"camm"),
            timescale=1_000_000,
            duration=usual,
            steady=False,
            durations=durations,
            samples=tuple(b"\0\0" + bytes([k]) for k in self.kind[:400].tolist()),
        )

    def errors(self, healthy, lost=NOTHING_LOST, *, gps=True, pictures=True):
        """By how many microseconds the times of what is left are off, by a healthy take."""
        begin, end = self.offset[:, None], (self.offset + self.sizes)[:, None]
        left = ~((begin < lost[:, 1]) & (end > lost[:, 0])).any(axis=1)
        records = Records(
            self.records.kind[left],
            self.records.gps_s[left] if gps else np.full(int(left.sum()), np.nan),
        )
        shown = None
        if pictures and self.pictures is not None:
            place, time = self.pictures
            kept = ~((place[:, None] < lost[:, 1]) & (place[:, None] + PICTURE > lost[:, 0])).any(1)
            shown = place[kept], time[kept]
        clock = MotionClock.of(healthy.track)
        found = clock.times(healthy.track, records, self.offset[left], lost, shown)
        assert found.dts.tolist() == found.pts.tolist()
        assert (np.diff(found.pts) >= 0).all()
        return found.pts - self.time[left]


@pytest.fixture(scope="module")
def healthy(reference_track):
    return Take(reference_track)


@pytest.fixture(scope="module")
def take(reference_track):
    return Take(reference_track, seconds=30)


def lost_from(begin, length):
    return np.array([[begin, begin + length]])


def test_the_clock_knows_the_rates_and_phases_of_the_sensors(healthy):
    clock = MotionClock.of(healthy.track)
    assert clock.beat == GYRO
    assert clock.period == BEAT
    assert clock.first == 0
    assert clock.share == pytest.approx({GYRO: 1, PUSH: 1, FIELD: 1 / 4, GPS: 0}, abs=1e-3)
    assert clock.phase[PUSH] == pytest.approx(0.4)
    assert clock.phase[FIELD] == pytest.approx(2.7)


def test_records_are_due_in_their_turn(healthy, take):
    error = take.errors(healthy)
    others = take.kind != GPS  # seldom enough in what was studied to have no turn
    assert np.abs(error[others]).max() <= 1
    assert np.abs(error).max() <= BEAT


@pytest.mark.parametrize("phase", [0.0, 0.01, 0.5, 0.99])
def test_whatever_part_of_a_beat_they_come_behind_it(reference_track, phase):
    rig = {GYRO: (1, 0.0), PUSH: (1, phase), FIELD: (4, 3 + phase)}
    take = Take(reference_track, rig)
    assert np.abs(take.errors(take)).max() <= 1


def test_sensors_that_are_read_at_once_have_one_time(reference_track):
    """Most of the healthy file's records last no time at all then."""
    rig = {GYRO: (1, 0.0), PUSH: (1, 0.0), FIELD: (1, 0.0)}
    take = Take(reference_track, rig)
    assert take.track.duration == 0
    assert not take.errors(take).any()
    assert not take.errors(take, lost_from(take.size // 2, 4_096)).any()


@pytest.mark.parametrize(("before", "now"), [(2.7, 0.6), (0.6, 3.2)])
def test_a_phase_of_another_take_costs_less_than_a_beat(reference_track, before, now):
    healthy = Take(reference_track, {**RIG, FIELD: (4, before)})
    take = Take(reference_track, {**RIG, FIELD: (4, now)})
    error = take.errors(healthy)
    assert np.abs(error).max() < BEAT
    assert np.median(np.abs(error[take.kind == PUSH])) == 0


@pytest.mark.parametrize("length", [100, 4_096, 100_000, 300_000])
def test_gps_time_counts_what_is_lost(healthy, take, length):
    error = take.errors(healthy, lost_from(take.size // 2 + 7, length), pictures=False)
    assert np.abs(error).max() <= BEAT
    assert np.median(error) == 0


@pytest.mark.parametrize("length", [100, 4_096, 100_000, 300_000])
def test_pictures_count_what_is_lost(healthy, take, length):
    error = take.errors(healthy, lost_from(take.size // 2 + 7, length), gps=False)
    assert np.abs(error).max() <= BEAT
    assert np.median(error) == 0


@pytest.mark.parametrize("length", [64, 300, 700, 4_096])
@pytest.mark.parametrize("other", [0, 60])
def test_the_turn_of_the_others_settles_which_beat_it_is(reference_track, length, other):
    """Bytes alone tell it but for a few beats: some of what is lost is a picture's."""
    rig = {GYRO: (1, 0.0), PUSH: (1, 0.4), FIELD: (10, 2.7)}
    take = Take(reference_track, rig)
    picture = take.pictures[0][100]
    lost = lost_from(int(picture) + PICTURE - other, other + min(length, 8 * 40))
    error = take.errors(take, lost, pictures=False)
    assert np.abs(error).max() <= 1


def test_two_damages_are_each_counted(healthy, take):
    lost = np.concatenate([lost_from(take.size // 4, 4_096), lost_from(take.size // 2, 60_000)])
    for known in ({"gps": False}, {"pictures": False}):
        error = take.errors(healthy, lost, **known)
        assert np.abs(error).max() <= BEAT
        assert np.median(error) == 0


def test_gps_time_tells_that_a_clock_runs_fast(healthy, reference_track):
    take = Take(reference_track, seconds=60, beat=BEAT * 1.001)
    by_rates = take.errors(healthy, gps=False)
    by_gps = take.errors(healthy)
    assert np.abs(by_rates[-100:]).max() > 50_000
    assert np.abs(by_gps[take.kind == GYRO]).max() < 1_000


def test_a_type_that_the_healthy_file_has_not_is_due_with_the_beat(healthy, reference_track):
    take = Take(reference_track, {**RIG, PLACE: (40, 0.5)})
    error = take.errors(healthy)
    assert np.abs(error[take.kind == PLACE]).max() <= BEAT
    assert np.abs(error[take.kind == GYRO]).max() <= 1


def packed(kind, values):
    return struct.pack("<HH", 0, kind) + values


def test_records_say_their_type_and_gps_time():
    parts = [
        packed(GYRO, struct.pack("<3f", 1, 2, 3)),
        packed(GPS, struct.pack("<d", EPOCH) + bytes(48)),
        b"\xff" * 30,  # a picture between them
        packed(GPS, bytes(56)),
        packed(PUSH, struct.pack("<3f", 1, 2, 3)),
    ]
    ends = np.cumsum([len(part) for part in parts])
    rows = np.array([0, 1, 3, 4])
    offset, size = (ends - [len(part) for part in parts])[rows], np.array([16, 60, 60, 16])
    yes = np.ones(4, bool)
    samples = Samples(offset, size, yes, np.full(4, UNORDERED), ~yes, yes)
    found = motion_records(Memory(b"".join(parts)), samples)
    assert found.kind.tolist() == [GYRO, GPS, GPS, PUSH]
    assert found.gps_s[1] == EPOCH
    assert np.isnan(found.gps_s[[0, 2, 3]]).all()


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(1, 80_000)), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_times_rise_whatever_is_lost(reference_track, holes, gps, pictures):
    take = Take(reference_track, seconds=3)
    edges = sorted({edge for at, length in holes for edge in (at, at + length)})
    lost = np.array([*zip(edges[::2], edges[1::2], strict=False)], np.int64).reshape(-1, 2)
    if lost.size and lost[0, 0] <= 0 and lost[0, 1] >= take.size:
        return
    take.errors(take, lost, gps=gps, pictures=pictures)
