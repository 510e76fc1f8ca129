"""Movie fragments: what the recorder writes, and what other recorders write."""

import struct
import tracemalloc
import uuid
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.fragments import (
    Run,
    TrackDefaults,
    count_samples,
    is_intact,
    read_fragment,
    read_mvex,
    write_fragment,
    write_mvex,
)

SYNC, OTHER = 0x02000000, 0x01010000
NO_DEFAULTS = {1: TrackDefaults(0, 0, 0)}
BASE_IS_MOOF = 0x020000
CHECKSUM = uuid.UUID("0a3d7c5e-91f2-4c0b-8f6d-2f1e5b7a9c44").bytes


def ints(*values):
    return np.array(values, np.int64)


@st.composite
def runs(draw):
    count = draw(st.integers(1, 20))

    def column(values):
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), np.int64)

    size, duration = column(st.integers(0, 50)), column(st.integers(0, (1 << 32) - 1))
    start = draw(st.integers(0, 1 << 48))
    return Run(
        draw(st.integers(1, 9)),
        draw(st.binary(min_size=int(size.sum()), max_size=int(size.sum()))),
        size,
        start + np.cumsum(duration) - duration,
        column(st.integers(-(1 << 31), (1 << 31) - 1)),
        int(duration[-1]),
        column(st.booleans()).astype(np.bool_),
    )


def samples_of(data, table):
    return [data[at : at + size] for at, size in zip(table.offset, table.size, strict=True)]


@given(
    st.lists(runs(), min_size=1, max_size=3, unique_by=lambda run: run.track), st.integers(1, 99)
)
def test_a_fragment_is_read_as_written(mp4, written, at):
    data, tables = write_fragment(7, written, at)
    assert mp4.kinds(data) == [b"moof", b"mdat"]
    moof = mp4.inside(data, b"moof")
    assert mp4.inside(moof, b"mfhd") == struct.pack(">II", 0, 7)
    assert count_samples(moof) == sum(len(run.size) for run in written)
    found = read_fragment(moof, at, NO_DEFAULTS, {}, at + len(data))
    assert list(found) == [run.track for run in written]
    for run, table in zip(written, tables, strict=True):
        assert b"".join(samples_of(bytes(at) + data, table)) == run.data
        for column in ("offset", "size", "dts", "cts_offset", "duration", "keyframe"):
            there = getattr(found[run.track], column)
            np.testing.assert_array_equal(there, getattr(table, column), column)


def test_a_fragment_lies_in_the_file_as_the_standard_draws_it(mp4):
    run = Run(3, b"abcde", ints(2, 3), ints(900, 1000), ints(0, -5), 50, np.array([True, False]))
    data, _ = write_fragment(2, [run], 4000)
    trun = mp4.full(
        b"trun",
        1,
        0x000F01,  # data offset; duration, size, flags and composition offset of each sample
        struct.pack(">Ii", 2, 156),
        struct.pack(">IIIi", 100, 2, SYNC, 0),
        struct.pack(">IIIi", 50, 3, OTHER, -5),
    )
    traf = mp4.box(
        b"traf",
        mp4.full(b"tfhd", 0, BASE_IS_MOOF, struct.pack(">I", 3)),
        mp4.full(b"tfdt", 1, 0, struct.pack(">Q", 900)),
        trun,
    )
    mfhd = mp4.full(b"mfhd", 0, 0, struct.pack(">I", 2))
    unchecked = mp4.box(b"moof", mfhd, traf, mp4.box(b"uuid", CHECKSUM, bytes(4)))[:-4]
    moof = unchecked + struct.pack(">I", zlib.crc32(unchecked + b"abcde"))
    assert len(moof) + 8 == 156
    assert data == moof + mp4.box(b"mdat", b"abcde")


def test_the_checksum_tells_whether_a_fragment_is_as_it_was_written():
    run = Run(3, b"abcde", ints(2, 3), ints(900, 1000), ints(0, 0), 50, np.array([True, False]))
    data, _ = write_fragment(2, [run], 0)
    moof, media = data[:-13], data[-5:]
    assert is_intact(moof, media) is True
    assert is_intact(moof, b"abcdf") is False
    for at in range(len(moof)):
        damaged = moof[:at] + bytes([moof[at] ^ 1]) + moof[at + 1 :]
        assert not is_intact(damaged, media)
    assert is_intact(moof[:-28], media) is None


class Claimed(bytes):
    """Bytes that say they are many."""

    def __len__(self):
        return (1 << 31) - 100


def test_a_fragment_whose_offsets_do_not_fit_is_refused():
    one = ints(1), ints(0), ints(0), 1, np.ones(1, np.bool_)
    with pytest.raises(Mp4Error, match="2 GiB"):
        write_fragment(1, [Run(1, Claimed(), *one), Run(2, b"x", *one)], 0)


def test_defaults_of_a_movie_are_read_as_written(mp4):
    assert write_mvex([1, 4]) == mp4.box(
        b"mvex",
        mp4.full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0)),
        mp4.full(b"trex", 0, 0, struct.pack(">5I", 4, 1, 0, 0, 0)),
    )
    mvex = mp4.box(b"mvex", mp4.full(b"trex", 0, 0, struct.pack(">5I", 4, 1, 90, 16, OTHER)))
    assert read_mvex(mvex) == {4: TrackDefaults(90, 16, OTHER)}
    assert read_mvex(b"") == {}


def fragment(mp4, *trafs):
    return b"".join((mp4.full(b"mfhd", 0, 0, b"\0\0\0\1"), *(mp4.box(b"traf", *t) for t in trafs)))


def tfhd(mp4, *values, track=1, flags=BASE_IS_MOOF, layout=""):
    return mp4.full(b"tfhd", 0, flags, struct.pack(">I" + layout, track, *values))


def tfdt(mp4, time):
    return mp4.full(b"tfdt", 0, 0, struct.pack(">I", time))


def test_trex_says_what_a_run_does_not(mp4):
    trun = mp4.full(b"trun", 0, 0x1, struct.pack(">Ii", 3, 200))
    defaults = {1: TrackDefaults(40, 16, OTHER)}
    moof = fragment(mp4, (tfhd(mp4), tfdt(mp4, 1000), trun))
    table = read_fragment(moof, 5000, defaults, {}, 9999)[1]
    assert table.offset.tolist() == [5200, 5216, 5232]
    assert table.size.tolist() == [16] * 3
    assert table.dts.tolist() == [1000, 1040, 1080]
    assert table.duration == 40
    assert table.keyframe.tolist() == [False] * 3


def test_tfhd_has_the_word_before_trex_and_trun_before_both(mp4):
    defaults = {1: TrackDefaults(40, 16, OTHER)}
    header = tfhd(mp4, 1, 30, 12, SYNC, flags=BASE_IS_MOOF | 0x3A, layout="4I")
    plain = mp4.full(b"trun", 0, 0x1, struct.pack(">Ii", 2, 200))
    table = read_fragment(fragment(mp4, (header, plain)), 0, defaults, {}, 9999)[1]
    assert table.size.tolist() == [12, 12]
    assert table.dts.tolist() == [0, 30]
    assert table.keyframe.all()
    sized = mp4.full(b"trun", 0, 0x201, struct.pack(">Ii2I", 2, 200, 7, 8))
    table = read_fragment(fragment(mp4, (header, sized)), 0, defaults, {}, 9999)[1]
    assert table.size.tolist() == [7, 8]
    assert table.offset.tolist() == [200, 207]


def test_a_default_of_zero_is_a_default(mp4):
    header = tfhd(mp4, 0, flags=BASE_IS_MOOF | 0x8, layout="I")
    trun = mp4.full(b"trun", 0, 0x201, struct.pack(">Ii2I", 2, 0, 7, 8))
    defaults = {1: TrackDefaults(40, 0, 0)}
    table = read_fragment(fragment(mp4, (header, trun)), 0, defaults, {}, 9999)[1]
    assert table.dts.tolist() == [0, 0]


def test_the_first_sample_may_have_flags_of_its_own(mp4):
    """How FFmpeg says that a fragment begins with a key frame."""
    trun = mp4.full(b"trun", 0, 0x205, struct.pack(">IiI3I", 3, 200, SYNC, 9, 5, 5))
    defaults = {1: TrackDefaults(1, 0, OTHER)}
    table = read_fragment(fragment(mp4, (tfhd(mp4), trun)), 0, defaults, {}, 9999)[1]
    assert table.keyframe.tolist() == [True, False, False]
    assert table.size.tolist() == [9, 5, 5]


def test_runs_follow_one_another(mp4):
    """Without an offset a run begins where the one before it ended."""
    truns = [
        mp4.full(b"trun", 0, 0x201, struct.pack(">Ii2I", 2, 300, 10, 20)),
        mp4.full(b"trun", 0, 0x200, struct.pack(">II", 1, 5)),
        mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, 700, 6)),
    ]
    defaults = {1: TrackDefaults(100, 0, 0)}
    moof = fragment(mp4, (tfhd(mp4), tfdt(mp4, 50), *truns))
    assert count_samples(moof) == 4
    table = read_fragment(moof, 1000, defaults, {}, 9999)[1]
    assert table.offset.tolist() == [1300, 1310, 1330, 1700]
    assert table.dts.tolist() == [50, 150, 250, 350]


def test_two_fragments_of_one_track_in_one_moof_follow_one_another(mp4):
    trun = mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, 300, 10))
    moof = fragment(mp4, (tfhd(mp4), trun), (tfhd(mp4), trun))
    table = read_fragment(moof, 0, {1: TrackDefaults(100, 0, 0)}, {1: 7}, 9999)[1]
    assert table.dts.tolist() == [7, 107]


def test_without_tfdt_time_goes_on_where_it_stood(mp4):
    trun = mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, 300, 10))
    moof = fragment(mp4, (tfhd(mp4), trun))
    table = read_fragment(moof, 0, NO_DEFAULTS, {1: 123_456}, 9999)[1]
    assert table.dts.tolist() == [123_456]


def test_a_base_of_its_own(mp4):
    header = tfhd(mp4, 5_000_000_000, flags=0x1, layout="Q")
    trun = mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, -300, 10))
    table = read_fragment(fragment(mp4, (header, trun)), 77, NO_DEFAULTS, {}, 1 << 40)[1]
    assert table.offset.tolist() == [4_999_999_700]


def test_without_any_base_a_track_begins_where_the_track_before_it_ended(mp4):
    """ISO/IEC 14496-12, 8.8.7: only the first counts from the moof then."""
    first = mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, 300, 10))
    second = mp4.full(b"trun", 0, 0x200, struct.pack(">I2I", 2, 20, 30))
    for flags, start in ((0, 1310), (BASE_IS_MOOF, 1000)):
        moof = fragment(
            mp4,
            (tfhd(mp4, track=1, flags=flags), first),
            (tfhd(mp4, track=2, flags=flags), second),
        )
        tables = read_fragment(moof, 1000, NO_DEFAULTS, {}, 9999)
        assert tables[1].offset.tolist() == [1300]
        assert tables[2].offset.tolist() == [start, start + 20]


def test_composition_offsets_are_signed_in_version_0_too(mp4):
    for version in (0, 1):
        trun = mp4.full(b"trun", version, 0xA01, struct.pack(">IiIi", 1, 0, 1, -9))
        table = read_fragment(fragment(mp4, (tfhd(mp4), trun)), 0, NO_DEFAULTS, {}, 99)[1]
        assert table.cts_offset.tolist() == [-9]


@pytest.mark.parametrize(
    ("file_size", "left"), [(1060, 3), (1059, 2), (1030, 2), (1029, 1), (0, 0)]
)
def test_samples_behind_the_end_of_the_file_are_left_out(mp4, file_size, left):
    trun = mp4.full(b"trun", 0, 0x301, struct.pack(">Ii6I", 3, 0, 5, 10, 6, 20, 7, 30))
    moof = fragment(mp4, (tfhd(mp4), tfdt(mp4, 0), trun))
    table = read_fragment(moof, 1000, NO_DEFAULTS, {}, file_size)[1]
    assert table.size.tolist() == [10, 20, 30][:left]
    assert table.duration == [0, 5, 6, 7][left]


@pytest.mark.parametrize(
    "flags_and_content",
    [
        (0x201, struct.pack(">Ii", 1 << 31, 0) + bytes(100)),
        (0xF01, struct.pack(">Ii", 2, 0) + bytes(31)),
        (0x005, struct.pack(">Ii", 2, 0)),
        (0x000, b""),
    ],
)
def test_a_run_that_claims_more_than_it_has_is_an_error(mp4, flags_and_content):
    flags, content = flags_and_content
    moof = fragment(mp4, (tfhd(mp4), mp4.full(b"trun", 0, flags, content)))
    with pytest.raises(Mp4Error, match="trun"):
        read_fragment(moof, 0, NO_DEFAULTS, {}, 9999)


def test_a_header_without_its_fields_is_an_error(mp4):
    with pytest.raises(Mp4Error, match="tfhd"):
        read_fragment(fragment(mp4, (tfhd(mp4, flags=0x39),)), 0, NO_DEFAULTS, {}, 9999)
    with pytest.raises(Mp4Error, match="tfhd"):
        read_fragment(fragment(mp4, (tfdt(mp4, 0),)), 0, NO_DEFAULTS, {}, 9999)


@pytest.mark.parametrize("huge", [1 << 62, (1 << 64) - 1])
def test_places_and_times_that_no_file_has_are_an_error(mp4, huge):
    trun = mp4.full(b"trun", 0, 0x201, struct.pack(">IiI", 1, 0, 10))
    based = tfhd(mp4, huge, flags=0x1, layout="Q")
    timed = mp4.full(b"tfdt", 1, 0, struct.pack(">Q", huge))
    for traf in ((based, trun), (tfhd(mp4), timed, trun)):
        with pytest.raises(Mp4Error, match=str(huge)):
            read_fragment(fragment(mp4, traf), 0, NO_DEFAULTS, {}, 9999)


def test_samples_are_counted_without_memory_for_them(mp4):
    trun = mp4.full(b"trun", 0, 0, struct.pack(">I", 1 << 31))
    moof = fragment(mp4, *([(tfhd(mp4), trun, trun)] * 10))
    tracemalloc.start()
    assert count_samples(moof) == 20 << 31
    assert tracemalloc.get_traced_memory()[1] < 100_000
    tracemalloc.stop()
