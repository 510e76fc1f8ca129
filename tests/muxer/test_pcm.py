"""Uncompressed sound: times from the count of frames, and tables of frames from packets."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import StreamFormat
from muxer.boxes import box, full_box
from muxer.pcm import contiguous, frame_size, reversed_24
from muxer.sample_entries import CAMM_ENTRY, coding
from muxer.sample_table import SampleTable

RATE = 48_000
FRAME = 4


def entry(codec="pcm_s16le", channels=2):
    return coding(StreamFormat("audio", codec, 1, sample_rate=RATE, channels=channels)).entry


def times(frames, stamps):
    """Of packets of so many frames each."""
    return contiguous(np.array(stamps, np.int64), np.array(frames, np.int64), RATE)


def packets(frames, dts):
    """A table of packets of so many frames each, one behind another from byte 100 on."""
    size = np.array(frames, np.int64) * FRAME
    dts = np.array(dts, np.int64)
    keyframe = np.ones(len(size), np.bool_)
    offset = 100 + np.cumsum(size) - size
    return SampleTable(offset, size, dts, np.zeros_like(dts), frames[-1], keyframe)


@pytest.mark.parametrize(
    ("codec", "channels", "size"),
    [("pcm_s16le", 1, 2), ("pcm_s16be", 2, 4), ("pcm_s24le", 2, 6), ("pcm_s24be", 4, 12)],
)
def test_the_sample_entry_tells_the_size_of_a_frame(codec, channels, size):
    assert frame_size(entry(codec, channels)) == size


@pytest.mark.parametrize(
    ("kind", "says", "bits"),
    [
        (b"twos", 8, 8),
        (b"raw ", 8, 8),
        (b"ulaw", 16, 8),
        (b"alaw", 16, 8),
        (b"in24", 16, 24),
        (b"in32", 16, 32),
        (b"fl32", 16, 32),
        (b"fl64", 16, 64),
        (b"lpcm", 24, 24),
    ],
)
@pytest.mark.parametrize("version", [0, 1])
def test_so_do_the_entries_of_other_recorders(kind, says, bits, version):
    fields = struct.pack(">6xHH6xHH4xI", 1, version, 3, says, RATE << 16)
    assert frame_size(box(kind, fields, bytes(16 * version))) == 3 * bits // 8


def test_quicktime_has_a_version_of_the_entry_that_says_it_elsewhere():
    fields = struct.pack(">6xHH6xHHHHI", 1, 2, 3, 16, 0xFFFE, 0, 1 << 16)
    structure = struct.pack(">IdIIIIII", 72, 96_000.0, 6, 0x7F00_0000, 24, 12, 18, 1)
    assert frame_size(box(b"lpcm", fields, structure)) == 18


@pytest.mark.parametrize("kind", [b"ipcm", b"fpcm"])
def test_and_mp4_has_a_box_for_it(kind):
    fields = struct.pack(">6xHH6xHH4xI", 1, 0, 2, 16, RATE << 16)
    assert frame_size(box(kind, fields, full_box(b"pcmC", 0, 0, b"\1\x20"))) == 8


def test_samples_of_24_bits_are_turned_round():
    assert reversed_24(b"abcdefgh") == b"cbafed"
    assert reversed_24(b"") == b""


def test_of_anything_else_a_sample_is_a_sample():
    assert frame_size(CAMM_ENTRY) == 0
    assert frame_size(coding(StreamFormat("video", "mjpeg", 1)).entry) == 0


@pytest.mark.parametrize("cut", [0, 8, 27])
def test_nor_is_what_is_cut_short(cut):
    assert frame_size(entry()[:cut]) == 0


def test_stamps_that_were_rounded_give_way_to_the_count():
    exact = np.arange(0, 300) * 1000
    rounded = np.round(exact / 48) * 48  # milliseconds
    assert times([1000] * 300, rounded).tolist() == exact.tolist()


def test_lost_sound_leaves_a_gap():
    assert times([100, 100, 100, 50], [0, 100, 1000, 1101]).tolist() == [0, 100, 1000, 1100]


@pytest.mark.parametrize("drift", [1.001, 0.999])
def test_a_clock_that_drifts_is_followed(drift):
    stamps = np.round(np.arange(1000) * 480 * drift)
    assert np.abs(times([480] * 1000, stamps) - stamps).max() <= 0.005 * RATE


def test_no_sound_at_all_has_no_times():
    assert len(times([], [])) == 0


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(-3000, 9000)), min_size=1))
def test_times_never_run_backwards_and_stay_near_the_stamps(rows):
    frames = [count for count, _ in rows]
    stamps = np.maximum.accumulate(np.cumsum([step for _, step in rows]))
    dts = times(frames, stamps)
    assert (np.diff(dts) >= 0).all()
    assert dts[0] == stamps[0]
    assert (dts >= stamps - 0.005 * RATE).all()


def written(mp4, table):
    """stts, stsc, stco and stsz as they lie in the file."""
    stbl = mp4.inside(table.write(entry()), b"stbl")
    rows = {
        kind: list(struct.iter_unpack(layout, mp4.inside(stbl, kind)[8:]))
        for kind, layout in ((b"stts", ">II"), (b"stsc", ">III"), (b"stco", ">I"))
    }
    return *rows.values(), struct.unpack(">II", mp4.inside(stbl, b"stsz")[4:12])


def test_every_frame_is_a_sample_of_one_tick(mp4):
    table = packets([1024, 896, 1024], [0, 1024, 1920])
    assert written(mp4, table) == ([(2944, 1)], [(1, 2944, 1)], [(100,)], (FRAME, 2944))


def test_a_gap_is_the_duration_of_the_frame_before_it(mp4):
    stts, _, _, sizes = written(mp4, packets([10, 10], [0, 1000]))
    assert stts == [(9, 1), (1, 991), (10, 1)]
    assert sizes == (FRAME, 20)


def test_where_the_count_began_anew_too_early_the_last_frames_take_no_time(mp4):
    stts, _, _, sizes = written(mp4, packets([1000, 1000, 10], [0, 1000, 1700]))
    assert stts == [(1700, 1), (300, 0), (10, 1)]
    assert sizes == (FRAME, 2010)


def test_chunks_are_where_packets_lie_apart(mp4):
    table = packets([10, 20, 30], [0, 10, 30])
    table.offset[2] += 1000
    assert written(mp4, table)[1:3] == ([(1, 30, 1)], [(100,), (1220,)])


def test_frames_that_come_one_by_one_stay_so(mp4):
    assert written(mp4, packets([1] * 5, range(5))) == ([(5, 1)], [(1, 5, 1)], [(100,)], (FRAME, 5))


def test_packets_that_are_no_whole_frames_are_samples_as_they_are(mp4):
    table = packets([10, 10], [0, 10])
    table.size[1] -= 1
    assert written(mp4, table) == ([(2, 10)], [(1, 2, 1)], [(100,)], (0, 2))
