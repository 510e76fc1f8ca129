"""Opus and PCM, whose bytes hardly say where a sample ends."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.boxes import box
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.salvage.codecs.opus import OpusFiller
from muxer.salvage.codecs.pcm import PcmFiller

UNKNOWN = range(0)


@pytest.fixture(scope="module")
def packets(encode_sound):
    return encode_sound("libopus", seconds=12.0)[0]


@pytest.fixture(scope="module")
def filler(packets):
    return OpusFiller(packets[400:])


def edges(packets):
    return np.cumsum([0, *map(len, packets)])


def divided(filler, packets, due):
    data = b"".join(packets)
    found = filler.divide(Memory(data), 0, len(data), due)
    return found.tolist()


@pytest.mark.parametrize(("count", "share"), [(2, 0.93), (5, 0.88), (50, 0.85)])
def test_most_opus_packets_are_told_apart_where_their_count_is_known(packets, filler, count, share):
    right = 0
    for first in range(0, 400, count):
        group = packets[first : first + count]
        found = divided(filler, group, range(count, count + 1))
        assert len(found) == count
        assert found[0] == 0
        right += len(set(found[1:]) & set(edges(group).tolist()))
    assert right / (400 - 400 // count) > share


def test_so_are_most_where_it_is_not(packets, filler):
    found = divided(filler, packets[:400], UNKNOWN)
    right = set(found) & set(edges(packets[:400]).tolist())
    assert len(right) > 0.85 * 400
    assert abs(len(found) - 400) < 20


def test_an_opus_packet_alone_is_one(packets, filler):
    assert divided(filler, packets[:1], range(1, 2)) == [0]


def test_what_does_not_begin_as_opus_is_not_divided(packets, filler):
    data = b"\0" + b"".join(packets[:2])
    assert filler.divide(Memory(data), 0, len(data), range(2, 3)) is None
    assert filler.divide(Memory(b""), 0, 0, UNKNOWN).tolist() == []


def test_opus_on_both_sides_of_a_damage_is_found(packets, filler):
    data = b"".join(packets[:6])[:-40] + bytes(4096) + b"".join(packets[6:12])[40:]
    media = Memory(data)
    head = filler.head(media, 0, len(data)).tolist()
    tail = filler.tail(media, 0, len(data)).tolist()
    assert head[0] == 0
    assert set(head) <= set(range(int(edges(packets[:6])[-1])))
    assert tail[-1] == len(data)
    assert len(set(head) & set(edges(packets[:6]).tolist())) >= 3
    whole = len(data) - edges(packets[6:12])[-1] + edges(packets[6:12])
    assert len(set(tail) & set(whole.tolist())) >= 4


def test_opus_is_recognised_by_its_first_bytes(packets, filler):
    data = b"".join(packets)
    media = Memory(data)
    begins = edges(packets)[:-1]
    assert min(filler.begins(media, at) for at in begins.tolist()) > 0
    true = np.mean([filler.begins(media, at) for at in begins.tolist()])
    other = np.mean([filler.begins(media, at) for at in (begins + 7).tolist()])
    assert true > 8 * other
    assert filler.begins(media, len(data)) == 0
    assert filler.find(media, 0, len(data)) == len(data)


def test_without_opus_in_the_reference_nothing_is_learned():
    with pytest.raises(Mp4Error, match="no Opus"):
        OpusFiller([])


@given(st.data())
def test_no_bytes_make_opus_fail(packets, filler, data):
    start = data.draw(st.integers(0, 3000))
    piece = bytearray(b"".join(packets[:30])[start : start + data.draw(st.integers(0, 1500))])
    at = data.draw(st.integers(0, len(piece)))
    piece[at : at + 40] = data.draw(st.binary(max_size=80))
    media, end = Memory(bytes(piece)), max(len(piece) + data.draw(st.integers(-1, 1)), 0)
    filler.begins(media, at)
    low = data.draw(st.integers(0, 4))
    due = range(low, low + data.draw(st.integers(0, 3)))
    found = filler.divide(media, 0, end, due)
    if found is not None and end:
        assert found[0] == 0
        assert (np.diff([*found, end]) > 0).all()
    assert filler.head(media, 0, end)[0] == 0
    assert filler.tail(media, 0, end)[-1] == end
    assert (np.diff(filler.head(media, 0, end)) > 0).all()
    assert (np.diff(filler.tail(media, 0, end)) > 0).all()


def pcm(channels=2):
    return PcmFiller(box(b"sowt", struct.pack(">6xH8xHH4xI", 1, channels, 16, 48_000 << 16)))


def test_pcm_is_one_packet_of_whole_frames():
    media = Memory(bytes(100))
    assert pcm().divide(media, 10, 50, UNKNOWN).tolist() == [10]
    assert pcm().divide(media, 10, 51, range(10, 11)) is None
    assert pcm().divide(media, 10, 10, UNKNOWN).tolist() == []


def test_pcm_is_whole_frames_from_the_start_or_back_from_the_end():
    media = Memory(bytes(100))
    assert pcm().head(media, 10, 51).tolist() == [10, 50]
    assert pcm().tail(media, 10, 51).tolist() == [11, 51]
    assert pcm().head(media, 10, 13).tolist() == [10]
    assert pcm().tail(media, 10, 13).tolist() == [13]
    assert pcm().begins(media, 10) == 0
    assert pcm().find(media, 10, 51) == 51


def test_other_sound_is_no_pcm():
    with pytest.raises(Mp4Error, match="PCM"):
        PcmFiller(box(b"mp4a", bytes(28)))
