"""Uncompressed sound: times from the count of frames, and tables of frames from packets."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camm import StreamFormat
from muxer.pcm import contiguous, frame_size
from muxer.sample_entries import CAMM_ENTRY, coding
from muxer.sample_table import SampleTable

RATE = 48_000
FRAME = 4


def entry(codec="pcm_s16le", channels=2):
    return coding(StreamFormat("audio", codec, 1, sample_rate=RATE, channels=channels)).entry


def packets(frames, dts):
    """A table of packets of so many frames each, one behind another from byte 100 on."""
    size = np.array(frames, np.int64) * FRAME
    dts = np.array(dts, np.int64)
    keyframe = np.ones(len(size), np.bool_)
    return SampleTable(100 + np.cumsum(size) - size, size, dts, np.zeros_like(dts), 0, keyframe)


@pytest.mark.parametrize(
    ("codec", "channels", "size"),
    [("pcm_s16le", 1, 2), ("pcm_s16be", 2, 4), ("pcm_s24le", 2, 6), ("pcm_s24be", 4, 12)],
)
def test_the_sample_entry_tells_the_size_of_a_frame(codec, channels, size):
    assert frame_size(entry(codec, channels)) == size


def test_of_anything_else_a_sample_is_a_sample():
    assert frame_size(CAMM_ENTRY) == 0
    assert frame_size(coding(StreamFormat("video", "mjpeg", 1)).entry) == 0


def test_stamps_that_were_rounded_give_way_to_the_count():
    exact = np.arange(0, 300) * 1000
    rounded = np.round(exact / 48) * 48  # milliseconds
    table = contiguous(packets([1000] * 300, rounded), FRAME, RATE)
    assert table.dts.tolist() == exact.tolist()
    assert table.duration == 1000


def test_lost_sound_leaves_a_gap():
    table = contiguous(packets([100, 100, 100, 50], [0, 100, 1000, 1101]), FRAME, RATE)
    assert table.dts.tolist() == [0, 100, 1000, 1100]
    assert table.duration == 50


def test_a_clock_that_drifts_is_followed():
    stamps = np.arange(1000) * 480 * 1.001
    table = contiguous(packets([480] * 1000, np.round(stamps)), FRAME, RATE)
    assert np.abs(table.dts - stamps).max() <= 0.005 * RATE + 1
    slow = np.arange(1000) * 480 * 0.999
    table = contiguous(packets([480] * 1000, np.round(slow)), FRAME, RATE)
    assert np.abs(table.dts - slow).max() <= 0.005 * RATE + 1


def test_no_sound_at_all_is_no_table():
    table = contiguous(packets([], []), FRAME, RATE)
    assert len(table) == 0
    assert table.end == 0


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-3000, 9000)), min_size=1))
def test_times_never_run_backwards_and_stay_near_the_stamps(rows):
    frames = [count for count, _ in rows]
    stamps = np.maximum.accumulate(np.cumsum([step for _, step in rows]))
    dts = contiguous(packets(frames, stamps), FRAME, RATE).dts
    assert (np.diff(dts) >= 0).all()
    assert dts[0] == stamps[0]
    assert (dts >= stamps - 0.005 * RATE).all()


def written(mp4, table, size=FRAME):
    """stts, stsc and stsz as they lie in the file."""
    stbl = mp4.inside(table.write(entry(), size), b"stbl")
    rows = {
        kind: list(struct.iter_unpack(layout, mp4.inside(stbl, kind)[8:]))
        for kind, layout in ((b"stts", ">II"), (b"stsc", ">III"), (b"stco", ">I"))
    }
    return *rows.values(), struct.unpack(">II", mp4.inside(stbl, b"stsz")[4:])


def test_every_frame_is_a_sample_of_one_tick(mp4):
    table = contiguous(packets([1024, 896, 1024], [0, 1024, 1920]), FRAME, RATE)
    assert written(mp4, table) == (
        [(2944, 1)],
        [(1, 2944, 1)],
        [(100,)],
        (FRAME, 2944),
    )


def test_a_gap_is_the_duration_of_the_frame_before_it(mp4):
    table = contiguous(packets([10, 10], [0, 1000]), FRAME, RATE)
    stts, _, _, sizes = written(mp4, table)
    assert stts == [(9, 1), (1, 991), (10, 1)]
    assert sizes == (FRAME, 20)


def test_where_the_count_began_anew_too_early_the_last_frames_take_no_time(mp4):
    table = contiguous(packets([1000, 1000, 10], [0, 1000, 1700]), FRAME, RATE)
    stts, _, _, sizes = written(mp4, table)
    assert stts == [(1700, 1), (300, 0), (10, 1)]
    assert sizes == (FRAME, 2010)


def test_chunks_are_where_packets_lie_apart(mp4):
    table = contiguous(packets([10, 20, 30], [0, 10, 30]), FRAME, RATE)
    table.offset[2] += 1000
    assert written(mp4, table)[1:3] == ([(1, 30, 1)], [(100,), (1220,)])
