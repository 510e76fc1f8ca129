"""Tables that are made while their samples are told are those of all samples at once."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.sample_table import SampleTable
from muxer.written_table import WrittenTable

ENTRY = b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"
FOUR_GIB = 1 << 32


def table(offset, size, durations, cts_offset, keyframe, start=0):
    durations = np.array(durations, np.int64)
    return SampleTable(
        np.array(offset, np.int64),
        np.array(size, np.int64),
        start + np.cumsum(durations) - durations,
        np.array(cts_offset, np.int64),
        int(durations[-1]),
        np.array(keyframe, np.bool_),
    )


def cut(whole, at):
    """The part before sample `at`, which lasts until the part behind it, and that part."""
    behind = SampleTable(
        whole.offset[at:],
        whole.size[at:],
        whole.dts[at:],
        whole.cts_offset[at:],
        whole.duration,
        whole.keyframe[at:],
    )
    return whole.head(at), behind


@st.composite
def stretches(draw):
    """A table, and the same in parts. Values recur, so that runs and chunks go across the cuts."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 0, 0, 8, FOUR_GIB]),  # bytes before it
                st.sampled_from([0, 16, 16, 16, 60]),
                st.sampled_from([0, 0, 1000, 1000, FOUR_GIB - 1]),
                st.sampled_from([0, 0, 0, 5, -5]),
                st.sampled_from([True, True, True, False]),
            ),
            min_size=1,
            max_size=30,
        )
    )
    gap, size, durations, cts_offset, keyframe = zip(*rows, strict=True)
    offset = 8 + np.cumsum(np.array(gap) + size) - size
    whole = table(offset, size, durations, cts_offset, keyframe, draw(st.integers(-9, 9)))
    parts, left = [], whole
    while len(left) > 1 and draw(st.booleans()):
        part, left = cut(left, draw(st.integers(1, len(left) - 1)))
        parts.append(part)
    return whole, [*parts, left]


@given(stretches(), st.integers(0, 5000))
def test_cuts_leave_no_trace(mp4, stretches, shift):
    whole, parts = stretches
    written = WrittenTable(ENTRY)
    for part in parts:
        written.add(part)
    moved = SampleTable(
        whole.offset + shift,
        whole.size,
        whole.dts,
        whole.cts_offset,
        whole.duration,
        whole.keyframe,
    )
    stbl = b"".join(written.stbl(shift))
    assert stbl == moved.write(ENTRY)
    found = SampleTable.read(mp4.inside(stbl, b"stbl"), 1 << 62)
    assert found.offset.tolist() == moved.offset.tolist()
    assert (found.dts + whole.dts[0]).tolist() == whole.dts.tolist()
    shown = whole.dts + whole.cts_offset
    assert (written.first, written.end) == (whole.dts[0], whole.dts[-1] + whole.duration)
    assert (written.shown_from, written.shown_until) == (shown.min(), whole.shown_until)


def test_stretches_lie_in_the_file_as_the_standard_draws_them(mp4):
    """The second goes on where the first ends, in time and in its chunk; the third does not."""
    written = WrittenTable(ENTRY)
    written.add(table([100, 116], [16, 16], [5, 5], [0, 0], [True, True]))
    written.add(table([132, 148], [16, 16], [5, 7], [0, 0], [True, True], start=10))
    written.add(table([300, 360], [60, 16], [7, 7], [0, -2], [True, False], start=22))
    stbl = mp4.inside(b"".join(written.stbl(1000)), b"stbl")
    assert {kind: content for kind, _, content in mp4.boxes(stbl)} == {
        b"stsd": b"\0\0\0\0\0\0\0\1" + ENTRY,
        b"stts": struct.pack(">6I", 0, 2, 3, 5, 3, 7),
        b"ctts": struct.pack(">5Ii", 1 << 24, 2, 5, 0, 1, -2),
        b"stss": struct.pack(">7I", 0, 5, 1, 2, 3, 4, 5),
        b"stsc": struct.pack(">8I", 0, 2, 1, 4, 1, 2, 2, 1),
        b"stsz": struct.pack(">9I", 0, 0, 6, 16, 16, 16, 16, 60, 16),
        b"stco": struct.pack(">4I", 0, 2, 1100, 1300),
    }


def test_offsets_become_64_bit_ones_when_the_media_move_behind_4_gib(mp4):
    written = WrittenTable.of(ENTRY, table([FOUR_GIB - 1], [1], [1], [0], [True]))
    assert mp4.kinds(mp4.inside(b"".join(written.stbl()), b"stbl"))[-1] == b"stco"
    stbl = mp4.inside(b"".join(written.stbl(1)), b"stbl")
    assert mp4.inside(stbl, b"co64") == struct.pack(">IIQ", 0, 1, FOUR_GIB)


@pytest.mark.parametrize("duration", [-1, FOUR_GIB])
def test_a_stretch_whose_times_cannot_be_written_is_an_error(duration):
    written = WrittenTable(ENTRY)
    with pytest.raises(Mp4Error, match="backwards"):
        written.add(table([8], [1], [duration], [0], [True]))


def test_of_a_million_records_there_is_no_more_in_memory_than_in_the_file():
    second = np.arange(4000)
    size = np.where(second % 400, 16, 60)
    durations = np.where(second % 4, 0, 1000)
    none, keyframe = np.zeros(4000, np.int64), np.ones(4000, np.bool_)
    written = WrittenTable(ENTRY)
    tracemalloc.start()
    for n in range(250):
        offset = n * 100_000 + np.cumsum(size) - size
        written.add(table(offset, size, durations, none, keyframe, n * 1_000_000))
    pieces = written.stbl()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(map(len, pieces))
    assert size > 4 * 1_000_000
    assert peak < 1.3 * size + 1_000_000
