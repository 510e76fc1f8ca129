"""Sample tables: what is written is read again, what others write is read, lies are found out."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.sample_table import SampleTable

ENTRY = b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"
COLUMNS = ("offset", "size", "dts", "cts_offset", "keyframe")


def ints(*values):
    return np.array(values, np.int64)


def assert_equal(found, expected):
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column), column)
    assert found.duration == expected.duration


@st.composite
def tables(draw):
    count = draw(st.integers(0, 40))

    def column(values):
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), np.int64)

    size = column(st.just(16) | st.integers(1, 70_000))
    gaps = column(st.sampled_from([0, 0, 0, 8, 5000, 1 << 31]))
    start = draw(st.sampled_from([0, 44, (1 << 32) - 100, 1 << 45]))
    duration = column(st.just(100) | st.integers(0, (1 << 32) - 1))
    return SampleTable(
        start + np.cumsum(size + gaps) - size,
        size,
        np.cumsum(duration) - duration,
        column(st.just(0) | st.integers(-(1 << 31), (1 << 31) - 1)),
        int(duration[-1]) if count else 0,
        column(st.booleans()).astype(np.bool_),
    )


@given(tables())
def test_a_table_is_read_as_written(mp4, table):
    stbl = mp4.inside(table.write(ENTRY), b"stbl")
    assert mp4.kinds(stbl)[0] == b"stsd"
    assert_equal(SampleTable.read(stbl, 1 << 62), table)


def one_gop():
    """Five pictures in two chunks, with B-frames."""
    return SampleTable(
        ints(100, 110, 300, 320, 350),
        ints(10, 20, 20, 30, 40),
        ints(0, 1000, 2000, 3000, 4000),
        ints(1000, 3000, 0, 1000, 1000),
        1000,
        np.array([1, 0, 0, 0, 1], np.bool_),
    )


def test_every_box_lies_in_the_file_as_the_standard_draws_it(mp4):
    found = {
        kind: content for kind, _, content in mp4.boxes(mp4.inside(one_gop().write(ENTRY), b"stbl"))
    }
    assert found == {
        b"stsd": b"\0\0\0\0\0\0\0\1" + ENTRY,
        b"stts": struct.pack(">II2I", 0, 1, 5, 1000),
        b"ctts": struct.pack(">II8I", 0, 4, 1, 1000, 1, 3000, 1, 0, 2, 1000),
        b"stss": struct.pack(">II2I", 0, 2, 1, 5),
        b"stsc": struct.pack(">II6I", 0, 2, 1, 2, 1, 2, 3, 1),
        b"stsz": struct.pack(">III5I", 0, 0, 5, 10, 20, 20, 30, 40),
        b"stco": struct.pack(">II2I", 0, 2, 100, 300),
    }


def test_what_goes_without_saying_is_not_said(mp4):
    """Samples of one size, all key frames, none reordered."""
    table = SampleTable(
        ints(8, 24, 40), ints(16, 16, 16), ints(0, 5, 10), ints(0, 0, 0), 5, np.ones(3, np.bool_)
    )
    stbl = mp4.inside(table.write(ENTRY), b"stbl")
    assert sorted(mp4.kinds(stbl)) == [b"stco", b"stsc", b"stsd", b"stsz", b"stts"]
    assert mp4.inside(stbl, b"stsz") == struct.pack(">III", 0, 16, 3)
    assert_equal(SampleTable.read(stbl, 1000), table)


def test_a_composition_offset_below_zero_makes_the_box_version_1(mp4):
    table = SampleTable(ints(8), ints(1), ints(0), ints(-2), 5, np.ones(1, np.bool_))
    ctts = mp4.inside(table.write(ENTRY), b"stbl", b"ctts")
    assert ctts == struct.pack(">IIIi", 1 << 24, 1, 1, -2)


def test_samples_behind_4_gib_have_64_bit_offsets(mp4):
    last = (1 << 32) - 1
    for offset, kind in ((last, b"stco"), (last + 1, b"co64")):
        table = SampleTable(ints(offset), ints(9), ints(0), ints(0), 1, np.ones(1, np.bool_))
        stbl = mp4.inside(table.write(ENTRY), b"stbl")
        layout = ">III" if kind == b"stco" else ">IIQ"
        assert mp4.inside(stbl, kind) == struct.pack(layout, 0, 1, offset)
        assert_equal(SampleTable.read(stbl, 1 << 40), table)


def test_samples_without_a_byte_are_samples(mp4):
    table = SampleTable(ints(8, 8), ints(0, 0), ints(0, 1), ints(0, 0), 1, np.ones(2, np.bool_))
    stbl = mp4.inside(table.write(ENTRY), b"stbl")
    assert mp4.inside(stbl, b"stsz") == struct.pack(">III2I", 0, 0, 2, 0, 0)
    assert_equal(SampleTable.read(stbl, 100), table)


@pytest.mark.parametrize("dts", [ints(0, 10, 9), ints(0, 10, 10 + (1 << 32))])
def test_times_that_the_box_cannot_hold_are_an_error(dts):
    table = SampleTable(ints(0, 1, 2), ints(1, 1, 1), dts, ints(0, 0, 0), 1, np.ones(3, np.bool_))
    with pytest.raises(Mp4Error, match="backwards"):
        table.write(ENTRY)


def test_tables_are_joined_and_cut():
    whole = one_gop()
    assert_equal(SampleTable.join([whole.head(3), SampleTable.empty()]), whole.head(3))
    assert whole.head(3).duration == 1000
    assert (whole.end, whole.shown_until, len(whole)) == (5000, 6000, 5)
    empty = whole.head(0)
    assert (empty.end, empty.shown_until, len(empty)) == (0, 0, 0)
    assert len(SampleTable.join([])) == 0


# What others write, and what nobody should.


def stbl(mp4, count=4, **others):
    """The boxes of `count` samples of 10 bytes in one chunk at byte 100, but for the others."""
    boxes = {
        "stts": struct.pack(">IIII", 0, 1, count, 100),
        "stsc": struct.pack(">II3I", 0, 1, 1, count, 1),
        "stsz": struct.pack(">III", 0, 10, count),
        "stco": struct.pack(">III", 0, 1, 100),
    } | others
    return b"".join(
        mp4.box(kind.encode(), content) for kind, content in boxes.items() if content is not None
    )


def test_boxes_written_by_hand_are_read(mp4):
    table = SampleTable.read(stbl(mp4), 1000)
    assert table.offset.tolist() == [100, 110, 120, 130]
    assert table.size.tolist() == [10] * 4
    assert table.dts.tolist() == [0, 100, 200, 300]
    assert (table.duration, table.end) == (100, 400)
    assert table.cts_offset.tolist() == [0] * 4
    assert table.keyframe.all()


def test_the_last_duration_goes_on_where_a_row_is_missing(mp4):
    """THETA V says one time too few."""
    table = SampleTable.read(stbl(mp4, stts=struct.pack(">II4I", 0, 2, 1, 70, 2, 30)), 1000)
    assert table.dts.tolist() == [0, 70, 100, 130]
    assert table.duration == 30


def test_times_of_more_samples_than_there_are_count_for_nothing(mp4):
    table = SampleTable.read(stbl(mp4, stts=struct.pack(">II4I", 0, 2, 9, 70, 2, 30)), 1000)
    assert table.dts.tolist() == [0, 70, 140, 210]


def test_composition_offsets_are_signed_in_version_0_too(mp4):
    """QuickTime writes them so."""
    for version in (0, 1):
        ctts = struct.pack(">IIIiIi", version << 24, 2, 3, -200, 1, 5)
        table = SampleTable.read(stbl(mp4, ctts=ctts), 1000)
        assert table.cts_offset.tolist() == [-200, -200, -200, 5]


def test_key_frames_are_numbered_from_1_and_others_do_not_exist(mp4):
    table = SampleTable.read(stbl(mp4, stss=struct.pack(">II5I", 0, 5, 0, 1, 3, 5, 1 << 31)), 1000)
    assert table.keyframe.tolist() == [True, False, True, False]
    assert not SampleTable.read(stbl(mp4, stss=bytes(8)), 1000).keyframe.any()


def test_chunks_of_different_lengths(mp4):
    stsc = struct.pack(">II6I", 0, 2, 1, 1, 1, 3, 2, 1)
    stco = struct.pack(">II3I", 0, 3, 500, 100, 300)
    stsz = struct.pack(">III4I", 0, 0, 4, 1, 2, 3, 4)
    table = SampleTable.read(stbl(mp4, stsc=stsc, stco=stco, stsz=stsz), 1000)
    assert table.offset.tolist() == [500, 100, 300, 303]


def test_chunks_and_descriptions_behind_the_last_sample_do_not_matter(mp4):
    stsc = struct.pack(">II9I", 0, 3, 1, 3, 1, 2, 2, 1, 77, 1, 1)
    stco = struct.pack(">II4I", 0, 4, 100, 200, 300, 400)
    table = SampleTable.read(stbl(mp4, stsc=stsc, stco=stco), 1000)
    assert table.offset.tolist() == [100, 110, 120, 200]


def test_a_track_without_samples(mp4):
    nothing = bytes(8)
    empty = stbl(mp4, 0, stts=nothing, stsc=nothing, stco=nothing)
    assert len(SampleTable.read(empty, 1000)) == 0


LIES = {
    "stts rows": {"stts": struct.pack(">II", 0, 1 << 31) + bytes(80)},
    "ctts rows": {"ctts": struct.pack(">II", 0, 1 << 31) + bytes(80)},
    "stss rows": {"stss": struct.pack(">II", 0, 1 << 31) + bytes(80)},
    "stsc rows": {"stsc": struct.pack(">II", 0, (1 << 32) - 1) + bytes(80)},
    "stco rows": {"stco": struct.pack(">II", 0, (1 << 31) - 1) + bytes(80)},
    "co64 rows": {"co64": struct.pack(">II", 0, 1 << 31) + bytes(80)},
    "stsz rows": {"stsz": struct.pack(">III", 0, 0, 1 << 31) + bytes(80)},
    "constant sizes": {"stsz": struct.pack(">III", 0, 1, 1 << 24)},
    "large sizes": {"stsz": struct.pack(">III", 0, (1 << 32) - 1, 1 << 24)},
    "too few chunks": {"stsc": struct.pack(">II3I", 0, 1, 1, 3, 1)},
    "no chunk": {"stco": bytes(8)},
    "no chunk row": {"stsc": bytes(8)},
    "chunks from 2": {"stsc": struct.pack(">II3I", 0, 1, 2, 4, 1)},
    "chunks from 0": {"stsc": struct.pack(">II3I", 0, 1, 0, 4, 1)},
    "chunks that fall": {"stsc": struct.pack(">II9I", 0, 3, 1, 1, 1, 3, 1, 1, 2, 9, 1)},
    "chunks without samples": {"stsc": struct.pack(">II3I", 0, 1, 1, 0, 1)},
    "no stts": {"stts": None},
    "no stsc": {"stsc": None},
    "no stsz": {"stsz": None},
    "no stco": {"stco": None},
    "short stts": {"stts": bytes(7)},
    "short stsz": {"stsz": bytes(11)},
    "short ctts": {"ctts": b""},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_contradicts_itself_is_found_out_before_it_costs_memory(mp4, lie):
    data = stbl(mp4, **LIES[lie])
    tracemalloc.start()
    with pytest.raises(Mp4Error):
        SampleTable.read(data, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_run_lengths_that_lie_cost_no_memory(mp4):
    many = (1 << 32) - 1
    data = stbl(
        mp4,
        stts=struct.pack(">II4I", 0, 2, many, 7, many, 7),
        ctts=struct.pack(">II4I", 0, 2, many, 7, many, 7),
        stsc=struct.pack(">II3I", 0, 1, 1, many, 1),
    )
    tracemalloc.start()
    table = SampleTable.read(data, 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert table.dts.tolist() == [0, 7, 14, 21]
    assert peak < 1_000_000
