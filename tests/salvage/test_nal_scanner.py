"""Pictures of H.264 and H.265 are found by the lengths and the headers of their units."""

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.salvage.codecs.h264 import h264_scanner
from muxer.salvage.codecs.h265 import h265_scanner

ALL = 1 << 40
NOISE = np.random.default_rng(1).bytes(5000)


def units(stream):
    """Of a stream that separates them by start codes."""
    return [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]


def sample(packet):
    """As an MP4 holds it: each unit behind its length."""
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units(packet))


def avcc(extradata):
    sps = [unit for unit in units(extradata) if unit[0] & 31 == 7]
    pps = [unit for unit in units(extradata) if unit[0] & 31 == 8]
    sets = bytes([0xE1]), bytes([1])
    arrays = [
        head + b"".join(struct.pack(">H", len(unit)) + unit for unit in array)
        for head, array in zip(sets, (sps, pps), strict=True)
    ]
    return b"\1" + sps[0][1:4] + b"\xff" + b"".join(arrays)


def hvcc(extradata):
    arrays = [
        bytes([unit[0] >> 1]) + struct.pack(">HH", 1, len(unit)) + unit for unit in units(extradata)
    ]
    return b"\1" + bytes(20) + b"\x0f" + bytes([len(arrays)]) + b"".join(arrays)


H264 = {
    "B-frames": {"bf": "3", "x264-params": "keyint=12:b-pyramid=normal"},
    "no B-frames": {"bf": "0", "g": "10"},
    "slices": {"x264-params": "slices=4:keyint=12"},
    "interlaced": {"flags": "+bitexact+global_header+ildct+ilme", "x264-params": "tff=1:keyint=9"},
    "delimiters": {"x264-params": "aud=1:keyint=12"},
    "open GOP": {"x264-params": "keyint=10:open-gop=1:bframes=2"},
}
H265 = {
    "B-frames": {"x265-params": "keyint=12:bframes=3:log-level=none"},
    "slices": {"x265-params": "slices=2:keyint=10:bframes=0:log-level=none"},
}


class Video:
    """Samples, and what finds them."""

    def __init__(self, encode, codec, options):
        packets, extradata = encode(codec, count=40, size=(128, 96), **options)
        if codec == "libx264":
            self.scanner = h264_scanner(avcc(extradata))
        else:
            self.scanner = h265_scanner(hvcc(extradata))
        self.samples = [sample(data) for data, _, _ in packets]
        self.sizes = [len(data) for data in self.samples]
        self.shown = [pts for _, pts, _ in packets]
        self.key = [key for _, _, key in packets]
        self.data = b"".join(self.samples)


KINDS = [*(("libx264", name) for name in H264), *(("libx265", name) for name in H265)]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]} {kind[1]}")
def video(request, encode_pictures):
    codec, name = request.param
    return Video(encode_pictures, codec, (H264 if codec == "libx264" else H265)[name])


@pytest.fixture(scope="module")
def plain(encode_pictures):
    return Video(encode_pictures, "libx264", H264["B-frames"])


def run(video, data, at=0, most=ALL):
    return video.scanner.run(Memory(data), at, most)


def test_all_pictures_are_one_run(video):
    found = run(video, b"123" + video.data + NOISE, at=3)
    assert found.start == 3
    assert found.size.tolist() == video.sizes
    assert found.keyframe.tolist() == video.key
    assert found.evidence > 20 * len(found)


def test_each_picture_is_found_by_itself(video):
    ends = np.cumsum(video.sizes).tolist()
    for begin, end in pairwise([0, *ends]):
        assert run(video, video.data, begin, most=1).end == end
        assert run(video, video.data[:end], begin).size.tolist() == [end - begin]


def test_pictures_tell_the_order_they_are_shown_in(video):
    found = run(video, video.data)
    wrap, order = video.scanner.wrap, found.order.tolist()
    assert wrap > 0
    # The count is of fields or of frames; it begins anew at each fresh picture.
    count, step = [], 1
    before = 0
    for row in range(len(order)):
        if found.fresh[row]:
            before, start = order[row], len(count)
        near = (order[row] - before + wrap // 2) % wrap - wrap // 2 + before
        before = near if found.reference[row] else before
        count.append((start, near))
    for (start, one), (other_start, other) in pairwise(
        [count[row] for row in np.argsort(video.shown).tolist()]
    ):
        assert start <= other_start
        if start == other_start:
            step = max(step, other - one)
            assert other - one == step


def test_no_more_than_asked_for(video):
    assert run(video, video.data, most=3).size.tolist() == video.sizes[:3]
    assert run(video, video.data, most=0) is None


def test_a_picture_that_the_file_ends_in_is_none(video):
    assert run(video, video.data[:-1]).size.tolist() == video.sizes[:-1]
    assert run(video, video.samples[0][:-1]) is None


def test_where_a_picture_may_begin_is_found_quickly(video):
    begins = np.cumsum([0, *video.sizes[:-1]]).tolist()
    assert all(video.scanner.signature.match(video.data, begin) for begin in begins)
    assert video.scanner.signature.search(bytes(1000)) is None
    assert len(video.scanner.signature.findall(NOISE * 20)) < 100


def test_other_bytes_are_no_picture(video):
    assert run(video, b"") is None
    assert run(video, bytes(1000)) is None
    assert run(video, video.data, at=1) is None
    assert run(video, b"\0\0\0\x40" + NOISE) is None
    assert run(video, struct.pack(">I", 1 << 25) + video.data[4:]) is None


def test_what_is_smaller_is_more_evidence(plain):
    first = run(plain, plain.data, most=1)
    tiny = plain.samples[int(np.argmin(plain.sizes))]
    slice_head = 40
    large = struct.pack(">I", 1 << 20) + tiny[4:slice_head] + bytes((1 << 20) - slice_head + 4)
    assert run(plain, tiny).evidence > run(plain, large).evidence + 8
    assert first.evidence > run(plain, tiny).evidence  # its parameter sets and SEI say more


def test_lengths_may_have_other_sizes(encode_pictures):
    packets, extradata = encode_pictures("libx264", count=5, bf="0")
    record = bytearray(avcc(extradata))
    record[4] = 0xFD
    samples = [
        b"".join(len(unit).to_bytes(2) + unit for unit in units(data)) for data, _, _ in packets
    ]
    found = h264_scanner(bytes(record)).run(Memory(b"".join(samples)), 0, ALL)
    assert found.size.tolist() == [len(data) for data in samples]


def test_two_fields_are_one_picture(plain):
    """Each half of a picture is a slice with `field_pic_flag`, of the same frame number."""
    sps = bits("01000010 00000000 00011110 1 1 1 1 010 0 00100 00100 0 0 1 0 0 1")
    pps = bits("1 1 0 0 1 1 1 0 00 1 1 1 0 0 0 1")
    record = b"\1B\0\x1e\xff\xe1" + sized(b"\x67" + sps) + b"\1" + sized(b"\x68" + pps)
    scanner = h264_scanner(record)

    def field(number, bottom, order):
        head = bits(f"1 00110 1 {number:04b} 1 {bottom} {order:04b}")
        unit = b"\x61" + head + b"\xb5" * 20
        return struct.pack(">I", len(unit)) + unit

    frame = field(1, 0, 2) + field(1, 1, 3)
    found = scanner.run(Memory(frame + field(2, 0, 4) + field(2, 1, 5)), 0, ALL)
    assert found.size.tolist() == [len(frame)] * 2
    assert found.order.tolist() == [2, 4]
    for alone in (field(1, 0, 2) + frame, field(1, 0, 2) + field(2, 1, 5)):
        assert len(scanner.run(Memory(alone), 0, ALL)) == 2


def bits(text):
    """Whole bytes, with zeros behind."""
    digits = text.replace(" ", "")
    digits += "0" * (-len(digits) % 8)
    return int(digits, 2).to_bytes(len(digits) // 8)


def sized(unit):
    return struct.pack(">H", len(unit)) + unit


@pytest.mark.parametrize("scanner", [h264_scanner, h265_scanner])
def test_a_record_that_says_nothing_is_refused(scanner):
    with pytest.raises(Mp4Error, match="too short"):
        scanner(b"\1")
    with pytest.raises(Mp4Error, match="SPS and PPS"):
        scanner(bytes(23))


@given(st.data())
def test_no_bytes_make_it_fail(video, data):
    damaged = bytearray(video.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    at = data.draw(st.integers(0, len(damaged) + 2))
    most = data.draw(st.integers(0, 3))
    found = run(video, bytes(damaged), at, most)
    if found is not None:
        assert 0 < len(found) <= most
        assert (found.size > 0).all()
        assert found.end <= len(damaged)
        assert found.evidence > 0


@given(
    st.binary(max_size=80), st.sampled_from([b"\x01", b"\x41", b"\x65", b"\x06", b"\x67", b"\x09"])
)
def test_nor_do_bytes_behind_a_unit_header(plain, content, header):
    unit = header + content
    run(plain, struct.pack(">I", len(unit)) + unit)
