"""The headers of a movie and its tracks, against bytes written down by hand."""

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.movie import (
    Edit,
    EditList,
    Handler,
    MediaHeader,
    MovieHeader,
    TrackHeader,
    from_mp4_time,
    mp4_time,
    write_ftyp,
)

BYTE = st.integers(0, (1 << 8) - 1)
UINT16 = st.integers(0, (1 << 16) - 1)
UINT32 = st.integers(0, (1 << 32) - 1)
UINT64 = st.integers(0, (1 << 64) - 1)
PIXELS = st.integers(0, 65535)
DATES = st.none() | st.integers(1, 8_000_000_000).map(
    lambda seconds: datetime(1904, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def content_of(box_bytes, mp4, kind):
    ((found, _, content),) = mp4.boxes(box_bytes)
    assert found == kind
    return content


@given(st.builds(MovieHeader, DATES, UINT32, UINT64, UINT32))
def test_a_movie_header_is_read_as_written(mp4, header):
    content = content_of(header.write(), mp4, b"mvhd")
    assert len(content) == 112
    assert MovieHeader.read(content) == header


@given(st.builds(TrackHeader, UINT32, DATES, UINT64, PIXELS, PIXELS, BYTE, UINT16))
def test_a_track_header_is_read_as_written(mp4, header):
    content = content_of(header.write(), mp4, b"tkhd")
    assert len(content) == 96
    assert TrackHeader.read(content) == header


@given(st.builds(MediaHeader, DATES, st.integers(1, (1 << 32) - 1), UINT64))
def test_a_media_header_is_read_as_written(mp4, header):
    content = content_of(header.write(), mp4, b"mdhd")
    assert len(content) == 36
    assert MediaHeader.read(content) == header


@given(
    st.binary(min_size=4, max_size=4),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_a_handler_is_read_as_written(mp4, kind, name):
    handler = Handler(kind, name)
    assert Handler.read(content_of(handler.write(), mp4, b"hdlr")) == handler


@given(st.lists(st.builds(Edit, UINT64, st.integers(-1, (1 << 63) - 1)), max_size=4))
def test_an_edit_list_is_read_as_written(mp4, edits):
    edit_list = EditList(tuple(edits))
    assert EditList.read(content_of(edit_list.write(), mp4, b"elst")) == edit_list


def test_headers_of_version_0_are_read():
    created = 3_650_000_000
    when = datetime(1904, 1, 1, tzinfo=UTC) + timedelta(seconds=created)
    matrix = bytes(36)
    mvhd = struct.pack(">I4I10s6x", 0, created, 9, 600, 1234, b"") + matrix + bytes(24)
    assert MovieHeader.read(mvhd + b"\0\0\0\5") == MovieHeader(when, 600, 1234, 5)
    tkhd = struct.pack(">I3I4xI8xHHHH", 7, created, 9, 3, 777, 0, 2, 0x0100, 0) + matrix
    tkhd += struct.pack(">HHHH", 1920, 0x8000, 1080, 0)
    assert TrackHeader.read(tkhd) == TrackHeader(3, when, 777, 1920.5, 1080, 1, 2)
    mdhd = struct.pack(">I4IHH", 0, 0, 9, 90000, 20900, 0x55C4, 0)
    assert MediaHeader.read(mdhd) == MediaHeader(None, 90000, 20900)
    elst = struct.pack(">IIIi4sIi4s", 0, 2, 500, -1, b"\0\1\0\0", 4972, 2002, b"\0\1\0\0")
    assert EditList.read(elst) == EditList((Edit(500, -1), Edit(4972, 2002)))


def test_a_movie_header_lies_in_the_file_as_the_standard_draws_it():
    created = datetime(2026, 1, 1, tzinfo=UTC)
    content = MovieHeader(created, 1_000_000, 5_000_000_000, 4).write()[8:]
    seconds = 1_767_225_600 + 2_082_844_800  # Unix time, and from 1904 to 1970
    unity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    assert content == (
        struct.pack(">IQQIQ", 1 << 24, seconds, seconds, 1_000_000, 5_000_000_000)
        + struct.pack(">IHH2I", 0x10000, 0x100, 0, 0, 0)
        + unity
        + bytes(24)
        + struct.pack(">I", 4)
    )


@pytest.mark.parametrize("header", [MovieHeader, TrackHeader, MediaHeader, Handler, EditList])
@pytest.mark.parametrize("version", [0, 1])
def test_a_header_that_is_too_short_is_an_error(header, version):
    content = bytes([version, 0, 0, 0]) + b"\1" * 15
    for length in range(len(content)):
        with pytest.raises(Mp4Error):
            header.read(content[:length])


def test_an_edit_list_that_claims_more_edits_than_it_has_bytes_is_an_error():
    with pytest.raises(Mp4Error, match="2147483648 edits"):
        EditList.read(struct.pack(">II", 1 << 24, 1 << 31) + bytes(40))


def test_a_track_without_a_unit_of_time_is_an_error():
    with pytest.raises(Mp4Error, match="timescale of 0"):
        MediaHeader.read(bytes(24))


def test_times_that_no_calendar_holds_are_unknown():
    assert from_mp4_time(0) is None
    assert from_mp4_time((1 << 64) - 1) is None
    assert from_mp4_time(1 << 40) is None
    assert mp4_time(None) == 0
    assert mp4_time(datetime(1904, 1, 2, tzinfo=UTC)) == 86400


def test_a_file_with_av1_has_its_brand(mp4):
    av1, jpeg = mp4.box(b"av01"), mp4.box(b"jpeg")
    assert write_ftyp([jpeg]) == mp4.box(b"ftyp", b"isom\0\0\2\0isomiso6mp41")
    assert write_ftyp([jpeg, av1]) == mp4.box(b"ftyp", b"isom\0\0\2\0isomiso6mp41av01")
