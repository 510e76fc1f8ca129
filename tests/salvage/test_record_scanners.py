"""AMR, GoPro's telemetry and codecs that nobody knows are found by sizes and first bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muxer.boxes import box
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.salvage.codecs.amr import AmrScanner
from muxer.salvage.codecs.gpmd import GpmdScanner
from muxer.salvage.codecs.unknown import EqualFiller, LearnedFiller, LearnedScanner, learn

ALL = 1 << 40
UNKNOWN = range(0)
RNG = np.random.default_rng(1)
NARROW = (13, 14, 16, 18, 20, 21, 27, 32, 6)
WIDE = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6)


def sizes(scanner, data, at=0, most=ALL):
    found = scanner.run(Memory(data), at, most)
    return found.size.tolist() if found is not None else []


def noise(count):
    """Without zeros."""
    return RNG.integers(1, 256, count, np.uint8).tobytes()


# AMR


def speech(codec, kind):
    size = (NARROW if codec == b"samr" else WIDE)[kind] if kind != 15 else 1
    return bytes([kind << 3 | 4]) + noise(size - 1)


def amr(codec, samples):
    return AmrScanner(box(codec, bytes(28)), samples)


@pytest.mark.parametrize(("codec", "expected"), [(b"samr", NARROW), (b"sawb", WIDE)])
def test_the_type_of_a_speech_frame_tells_its_size(codec, expected):
    frames = [speech(codec, kind) for kind in range(len(expected))]
    scanner = amr(codec, frames)
    assert sizes(scanner, b"".join(frames) * 2000) == list(expected) * 2000
    assert sizes(scanner, b"".join(frames), most=3) == list(expected[:3])


def test_what_an_encoder_makes_of_speech_is_found(encode_sound):
    frames, _ = encode_sound("libopencore_amrnb", layout="mono", bit_rate=12_200, rate=8000)
    assert sizes(amr(b"samr", frames), b"".join(frames)) == [len(frame) for frame in frames]


def test_samples_have_as_many_speech_frames_as_those_of_the_reference():
    frames = [speech(b"samr", kind) for kind in (7, 7, 0, 3, 7, 8, 1)]
    scanner = amr(b"samr", [b"".join(frames[:3])] * 5)
    assert sizes(scanner, b"".join(frames)) == [32 + 32 + 13, 18 + 32 + 6]


def test_frames_without_data_count_where_the_reference_has_them():
    frames = [speech(b"samr", kind) for kind in (7, 15, 7)]
    assert sizes(amr(b"samr", frames), b"".join(frames)) == [32, 1, 32]
    assert sizes(amr(b"samr", frames[:1]), b"".join(frames)) == [32]


def test_a_speech_frame_alone_is_one():
    scanner = amr(b"samr", [speech(b"samr", 7)] * 20)
    assert sizes(scanner, speech(b"samr", 7) + bytes(100)) == [32]


def test_speech_frames_of_types_that_the_reference_has_are_evidence():
    scanner = amr(b"samr", [speech(b"samr", 7)] * 20)
    evidence = [scanner.run(Memory(speech(b"samr", kind)), 0, ALL).evidence for kind in (7, 3)]
    assert evidence == [8, 0]
    either = amr(b"samr", [speech(b"samr", kind) for kind in (7, 3)])
    assert either.run(Memory(speech(b"samr", 3) * 4), 0, ALL).evidence == 4 * 7
    assert 4 < amr(b"samr", []).run(Memory(speech(b"samr", 3)), 0, ALL).evidence < 5


def test_other_bytes_are_no_speech():
    scanner = amr(b"samr", [])
    assert sizes(scanner, bytes(100)) == []
    assert sizes(scanner, speech(b"samr", 7)[:-1]) == []
    assert sizes(scanner, b"\x3d" + speech(b"samr", 7)[1:]) == []  # a bit that has to be zero
    assert scanner.signature.search(bytes(1000)) is None
    assert scanner.signature.search(speech(b"samr", 7) * 2).start() == 0


# GoPro's telemetry


def item(key, data, kind=b"s"):
    return key + kind + struct.pack(">BH", 1, len(data)) + data + bytes(-len(data) % 4)


def device(*items):
    content = b"".join(items)
    return b"DEVC\0" + struct.pack(">BH", 1, len(content)) + content


DEVICE = device(item(b"DVID", b"\0\0\0\1"), item(b"STRM", noise(33), b"\0"), item(b"DVNM", b"Hero"))
OTHER = device(item(b"DVID", b"\0\0\0\2"))


def test_telemetry_says_its_size():
    samples = [DEVICE, OTHER, DEVICE]
    assert sizes(GpmdScanner(samples), b"".join(samples) + b"rest") == list(map(len, samples))


def test_a_sample_may_hold_several_devices():
    together = DEVICE + OTHER
    assert sizes(GpmdScanner([together] * 3), together * 4 + DEVICE) == [len(together)] * 4


def test_zeros_pad_samples_where_those_of_the_reference_are_of_one_size():
    padded = [data.ljust(256, b"\0") for data in (DEVICE, OTHER)]
    assert sizes(GpmdScanner(padded), b"".join(padded)) == [256, 256]
    assert sizes(GpmdScanner(padded), DEVICE.ljust(256, b"x")) == []
    assert sizes(GpmdScanner(padded), padded[0][:-1]) == []


def test_other_bytes_are_no_telemetry():
    scanner = GpmdScanner([DEVICE])
    assert sizes(scanner, DEVICE[:-1]) == []
    assert sizes(scanner, DEVICE.replace(b"STRM", b"\0TRM")) == []
    assert sizes(scanner, DEVICE.replace(b"STRM", b"\0TRM"), at=4) == []
    assert scanner.signature.search(b"x" + DEVICE).start() == 1


# Codecs that nobody knows


def test_first_bytes_and_a_size_make_samples_that_are_found_anywhere():
    samples = [b"TAG" + noise(50) for _ in range(20)]
    scanner = learn(samples[:10])
    assert isinstance(scanner, LearnedScanner)
    assert sizes(scanner, b"".join(samples) + b"TAB") == [53] * 20
    assert scanner.signature.search(noise(100) + samples[0]).start() == 100


@pytest.mark.parametrize("layout", [">I", "<I", ">H", "<H"])
@pytest.mark.parametrize("more", [0, 6, 20])
def test_a_field_may_say_the_size(layout, more):
    width = struct.calcsize(layout)
    lengths = [100 + n * 3 for n in range(20)]
    samples = [
        b"TAG" + struct.pack(layout, length - more) + noise(length - 3 - width)
        for length in lengths
    ]
    assert sizes(learn(samples), b"".join(samples) + b"TAG") == lengths


def test_samples_of_one_size_without_a_mark_divide_what_lies_between_others():
    samples = [noise(40) for _ in range(50)]
    filler = learn(samples)
    assert isinstance(filler, EqualFiller)
    media = Memory(b"".join(samples))
    assert filler.divide(media, 40, 160, UNKNOWN).tolist() == [40, 80, 120]
    assert filler.divide(media, 40, 161, UNKNOWN) is None
    assert filler.head(media, 0, 90).tolist() == [0, 40, 80]
    assert filler.tail(media, 5, 100).tolist() == [20, 60, 100]
    assert filler.begins(media, 0) == 0


def test_samples_with_a_first_byte_alike_divide_where_it_stands():
    samples = [b"\xa5" + noise(30 + n % 7).replace(b"\xa5", b"\xa6") for n in range(50)]
    filler = learn(samples)
    assert isinstance(filler, LearnedFiller)
    media, edges = Memory(b"".join(samples)), np.cumsum([0, *map(len, samples)])
    end = int(edges[5])
    assert filler.divide(media, 0, end, range(5, 6)).tolist() == edges[:5].tolist()
    assert filler.divide(media, 0, end, range(4, 5)) is None
    assert filler.divide(media, 1, end, UNKNOWN) is None
    assert filler.tail(media, 1, end).tolist() == edges[1:6].tolist()
    assert filler.head(media, 0, end).tolist() == edges[:5].tolist()
    assert filler.begins(media, 0) == 8
    assert filler.find(media, 0, end) == end
    assert filler.begins(media, 1) == 0


def test_too_little_to_learn_from_is_refused():
    with pytest.raises(Mp4Error, match="at least 4"):
        learn([b"TAG", b"TAG"])
    with pytest.raises(Mp4Error, match="neither size nor first bytes"):
        learn([noise(20 + n * n) for n in range(20)])


SCANNERS = [
    amr(b"samr", [speech(b"samr", 7) * 2]),
    amr(b"sawb", []),
    GpmdScanner([DEVICE]),
    GpmdScanner([DEVICE.ljust(256, b"\0")]),
    learn([b"TAG" + noise(50)] * 4),
    learn([b"TAG" + bytes([n]) + noise(n - 4) for n in range(10, 30)]),
]
PARTS = st.sampled_from([DEVICE, OTHER, speech(b"samr", 7), b"TAG", bytes(5)])


@pytest.mark.parametrize("scanner", SCANNERS)
@given(st.lists(st.one_of(PARTS, st.binary(max_size=30))), st.integers(0, 60), st.integers(0, 5))
def test_no_bytes_make_it_fail(scanner, parts, at, most):
    data = b"".join(parts)
    found = scanner.run(Memory(data), at, most)
    if found is not None:
        assert 0 < len(found) <= most
        assert found.end <= len(data)
        assert (found.size > 0).all()
