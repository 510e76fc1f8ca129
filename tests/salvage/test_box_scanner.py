"""Boxes of fragments between samples are passed over; media go on behind them."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.file_boxes import Memory
from muxer.salvage.codecs.boxes import BoxScanner
from muxer.salvage.salvage import media_range

ALL = 1 << 62


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_the_boxes_of_a_fragment_are_one_run_up_to_its_media():
    data = b"xy" + box(b"moof", bytes(100)) + box(b"mdat", b"media" * 9)
    run = BoxScanner().run(Memory(data), 2, ALL)
    assert run.size.tolist() == [108, 8]


def test_of_a_long_mdat_the_header_has_sixteen_bytes():
    data = struct.pack(">I4sQ", 1, b"mdat", 99) + b"media"
    assert BoxScanner().run(Memory(data), 0, ALL).size.tolist() == [16]


@pytest.mark.parametrize(
    "data", [b"", bytes(64), box(b"moof", bytes(100))[:-1], box(b"avc1", bytes(8))]
)
def test_what_is_cut_or_no_such_box_is_none(data):
    assert BoxScanner().run(Memory(data), 0, ALL) is None


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data):
    run = BoxScanner().run(Memory(data), 0, 4)
    assert run is None or run.end <= len(data)


def test_media_reach_from_the_first_mdat_to_the_last():
    film = np.random.default_rng(1).bytes(500)
    head = box(b"ftyp", b"isom")
    data = head + box(b"mdat", film) + box(b"free", b"") + box(b"mdat", film)
    cut = box(b"moov", bytes(900))[:300]
    assert media_range(Memory(data + cut)) == (len(head) + 8, len(data))


def test_an_mdat_that_leads_nowhere_reaches_to_the_end_of_the_file():
    film = np.random.default_rng(2).bytes(500)
    data = struct.pack(">I4s", 100, b"mdat") + film
    assert media_range(Memory(data)) == (8, len(data))
