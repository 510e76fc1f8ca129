"""The grammar of MP4, against bytes written down by hand."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer import boxes
from muxer.boxes import Box, parse_header
from muxer.errors import Mp4Error


def test_a_box_is_its_size_its_kind_and_its_content():
    assert boxes.box(b"free", b"ab", b"c") == b"\0\0\0\x0bfreeabc"


def test_a_full_box_begins_with_version_and_flags():
    data = boxes.full_box(b"tkhd", 1, 7, b"x")
    assert data == b"\0\0\0\x0dtkhd\1\0\0\7x"
    assert boxes.version_and_flags(data[8:]) == (1, 7)


def test_a_32_bit_size_counts_the_header():
    assert parse_header(b"..\0\0\0\x0amoovxy", 2, 12) == Box(b"moov", 2, 10, 12)


def test_a_size_of_1_means_that_64_bits_follow():
    data = b"\0\0\0\1mdat\0\0\0\1\0\0\0\0rest"
    assert parse_header(data, 0, 1 << 40) == Box(b"mdat", 0, 16, 1 << 32)


def test_a_size_of_0_means_to_the_end_of_the_parent():
    assert parse_header(b"\0\0\0\0mdatxyz", 0, 11) == Box(b"mdat", 0, 8, 11)
    assert [(b.kind, b.end) for b in boxes.children(b"\0\0\0\x08free\0\0\0\0mdatxyz")] == [
        (b"free", 8),
        (b"mdat", 19),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x08fre",
        b"\0\0\0\7free",
        b"\0\0\0\2free",
        b"\0\0\0\1mdat\0\0\0\0",
        b"\0\0\0\1mdat\0\0\0\0\0\0\0\x0f",
        b"\0\0\0\1mdat\0\0\0\0\0\0\0\0",
    ],
)
def test_a_size_that_cannot_be_true_is_an_error(data):
    with pytest.raises(Mp4Error):
        parse_header(data, 0, len(data))


def test_a_box_may_say_that_it_ends_behind_its_parent_but_no_parent_takes_it():
    data = b"\0\0\0\x10moovcut"
    assert parse_header(data, 0, len(data)).end == 16
    with pytest.raises(Mp4Error, match=r"'moov' at byte 0 ends at 16, its parent at 11"):
        list(boxes.children(data))


def test_a_box_with_a_64_bit_size_is_found_inside_another():
    inner = b"\0\0\0\1free\0\0\0\0\0\0\0\x12hi"
    outer = struct.pack(">I4s", 8 + len(inner), b"moov") + inner
    assert boxes.find(outer, b"moov", b"free") == b"hi"


def test_the_first_box_along_a_path_is_found():
    data = boxes.box(
        b"moov", boxes.box(b"free"), boxes.box(b"trak", b"1"), boxes.box(b"trak", b"2")
    )
    assert boxes.find(data, b"moov", b"trak") == b"1"
    assert boxes.require(data, b"moov", b"trak") == b"1"
    assert boxes.find(data, b"moov", b"udta") is None
    assert boxes.find(data, b"moof", b"trak") is None
    with pytest.raises(Mp4Error, match="'moov'/'udta'"):
        boxes.require(data, b"moov", b"udta")


def test_quicktime_ends_user_data_with_four_zero_bytes():
    data = boxes.box(b"manu", b"x") + bytes(4)
    assert [box.kind for box in boxes.children(data)] == [b"manu"]


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=40)), max_size=5))
def test_boxes_side_by_side_are_read_as_written(content):
    data = b"".join(boxes.box(kind, body) for kind, body in content)
    assert [(box.kind, box.content(data)) for box in boxes.children(data)] == content


@given(st.binary(max_size=64))
def test_random_bytes_are_boxes_or_an_error(data):
    try:
        found = list(boxes.children(data))
    except Mp4Error:
        return
    assert all(0 <= box.start < box.body <= box.end <= len(data) for box in found)
