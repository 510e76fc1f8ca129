"""Pictures of ProRes, Motion JPEG, AV1 and MPEG-4 Visual are found by their own bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import StreamFormat
from muxer.av1 import av1_sample, av1c
from muxer.errors import Mp4Error
from muxer.file_boxes import Memory
from muxer.salvage.codecs.av1 import Av1Scanner
from muxer.salvage.codecs.jpeg import JpegScanner
from muxer.salvage.codecs.mp4v import Mpeg4Scanner
from muxer.salvage.codecs.prores import ProResScanner
from muxer.sample_entries import coding

ALL = 1 << 40


class Pictures:
    """Samples, and what finds them."""

    def __init__(self, scanner, packets, samples=None):
        self.scanner = scanner
        self.samples = samples or [data for data, _, _ in packets]
        self.shown = [pts for _, pts, _ in packets]
        self.key = [key for _, _, key in packets]
        self.data = b"".join(self.samples)
        self.sizes = [len(sample) for sample in self.samples]


def mpeg4_entry(extradata):
    stream = StreamFormat("video", "mpeg4", 25, width=96, height=64, extradata=extradata)
    return coding(stream).entry


@pytest.fixture(scope="module")
def mpeg4(encode_pictures):
    packets, extradata = encode_pictures("mpeg4", bf="2", g="12")
    samples = [data for data, _, _ in packets]
    return Pictures(Mpeg4Scanner(mpeg4_entry(extradata), samples[:15]), packets)


@pytest.fixture(scope="module")
def av1(encode_pictures):
    packets, _ = encode_pictures("libsvtav1", size=(128, 128), preset="12", g="10", crf="40")
    samples = [av1_sample(data) for data, _, _ in packets]
    return Pictures(Av1Scanner(av1c(samples[0]), samples), packets, samples)


@pytest.fixture(scope="module")
def prores(encode_pictures):
    packets, _ = encode_pictures("prores_ks", count=5, pix_fmt="yuv422p10le")
    return Pictures(ProResScanner(), packets)


@pytest.fixture(scope="module")
def jpeg(encode_pictures):
    packets, _ = encode_pictures("mjpeg", count=8, pix_fmt="yuvj420p")
    return Pictures(JpegScanner(), packets)


@pytest.fixture(scope="module", params=["mpeg4", "av1", "prores", "jpeg"])
def pictures(request):
    return request.getfixturevalue(request.param)


def run(pictures, data, at=0, most=ALL):
    return pictures.scanner.run(Memory(data), at, most)


def test_all_pictures_are_one_run(pictures):
    found = run(pictures, b"123" + pictures.data, at=3)
    assert found.start == 3
    assert found.size.tolist() == pictures.sizes
    assert found.keyframe.tolist() == pictures.key
    assert found.evidence >= 8 * len(found)


def test_no_more_than_asked_for(pictures):
    assert run(pictures, pictures.data, most=3).size.tolist() == pictures.sizes[:3]


def test_none_begins_elsewhere(pictures):
    assert run(pictures, pictures.data, at=pictures.sizes[0] // 2) is None
    assert run(pictures, bytes(1000)) is None
    assert run(pictures, b"") is None


def test_where_one_may_begin_is_found_quickly(pictures):
    places = [place.start() for place in pictures.scanner.signature.finditer(pictures.data)]
    begins = np.cumsum([0, *pictures.sizes[:-1]]).tolist()
    assert set(begins) <= set(places)
    assert pictures.scanner.signature.search(bytes(1000)) is None


@pytest.mark.parametrize("codec", ["prores", "jpeg", "av1"])
def test_what_follows_the_last_is_left(codec, request):
    pictures = request.getfixturevalue(codec)
    noise = np.random.default_rng(1).bytes(5000)
    assert run(pictures, pictures.data + b"\xfc" + noise).size.tolist() == pictures.sizes


@pytest.mark.parametrize("codec", ["prores", "jpeg", "av1"])
def test_a_picture_that_is_cut_is_none(codec, request):
    pictures = request.getfixturevalue(codec)
    assert run(pictures, pictures.data[:-5]).size.tolist() == pictures.sizes[:-1]
    assert run(pictures, pictures.samples[0][:-1]) is None


@given(st.data())
def test_no_bytes_make_it_fail(pictures, data):
    damaged = bytearray(pictures.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    at = data.draw(st.integers(0, len(damaged) + 2))
    found = run(pictures, bytes(damaged), at, data.draw(st.integers(0, 3)))
    if found is not None:
        assert (found.size > 0).all()
        assert found.end <= len(damaged)


def test_mpeg4_pictures_reach_to_the_next(mpeg4):
    sound = bytes(range(40, 140))
    found = run(mpeg4, sound.join(mpeg4.samples) + sound)
    assert mpeg4.scanner.open_ended
    assert found.size.tolist() == [size + len(sound) for size in mpeg4.sizes]


def test_a_start_code_in_sound_is_no_mpeg4_picture(mpeg4):
    sound = b"\xcc\0\0\x01\x20\xcb\x4e\xf6\0\0\x01\xb6\x0f\xff\xff\xff\xff\xcc"
    assert len(run(mpeg4, sound.join(mpeg4.samples))) == len(mpeg4.samples)


def test_mpeg4_pictures_far_apart_are_found(mpeg4):
    sound = b"\xcc" * 300_000
    assert len(run(mpeg4, sound.join(mpeg4.samples[:5]))) == 5


def test_mpeg4_pictures_tell_the_order_they_are_shown_in(mpeg4):
    found = run(mpeg4, mpeg4.data)
    assert mpeg4.scanner.wrap == 25
    assert found.order.tolist() == [pts % 25 for pts in mpeg4.shown]
    assert mpeg4.shown != sorted(mpeg4.shown)
    later = [shown < max(mpeg4.shown[:row], default=-1) for row, shown in enumerate(mpeg4.shown)]
    assert (~found.reference).tolist() == later


def test_mpeg4_without_its_layer_is_refused():
    with pytest.raises(Mp4Error, match="video object layer"):
        Mpeg4Scanner(mpeg4_entry(b"\0\0\1\x20").replace(b"\0\0\1\x20", b"\0\0\1\xb5"), [])


def bits(text):
    """Whole bytes, with zeros behind."""
    digits = text.replace(" ", "")
    digits += "0" * (-len(digits) % 8)
    return int(digits, 2).to_bytes(len(digits) // 8)


def av1_unit(kind, content):
    return bytes([kind << 3 | 2, len(content)]) + content


# 16 x 16 pixels; no tools, but order hints of four bits.
SIZE = "0011 0011 1111 1111"
HEADER = av1_unit(1, bits(f"000 0 0 0 0 00000 {0:012b} 00000 {SIZE} 0 000 0000 1 00 0 0 011 000 1"))


def inter(order, shown=True, refreshed=1, references="000 001 010 011 100 101 110"):
    """A frame that refers to others."""
    showing = "1" if shown else "0 1"
    fields = f"0 01 {showing} 0 0 0 {order:04b} 000 {refreshed:08b} 0 {references}"
    return av1_unit(6, bits(fields) + bytes([order]) * 40)


HIDDEN, SHOWN = inter(5, shown=False), inter(3)
AGAIN = av1_unit(3, bits("1 010 1"))
TILES = b"\x22\x03\x01\x02\x03"


def av1_run(data, *samples):
    return Av1Scanner(b"\x81\0\0\0" + HEADER, samples).run(Memory(data), 0, ALL)


def av1_sizes(data, *samples):
    found = av1_run(data, *samples)
    return [] if found is None else found.size.tolist()


def test_an_av1_picture_that_is_not_shown_belongs_to_the_next():
    samples = [HIDDEN + SHOWN, SHOWN]
    data = HIDDEN + SHOWN + SHOWN + HIDDEN
    assert av1_sizes(data, *samples) == [len(HIDDEN + SHOWN), len(SHOWN)]


def test_tiles_of_their_own_belong_to_their_av1_picture_where_the_reference_has_such():
    assert av1_sizes((SHOWN + TILES) * 2, SHOWN) == [len(SHOWN)]
    assert av1_sizes((SHOWN + TILES) * 2, SHOWN + TILES) == [len(SHOWN + TILES)] * 2


def test_an_av1_frame_may_be_shown_again():
    assert av1_sizes(SHOWN + AGAIN * 2, SHOWN, AGAIN) == [len(SHOWN), 3, 3]
    assert av1_sizes(AGAIN[:-1] + b"\xa9", SHOWN, AGAIN) == []
    assert av1_sizes(b"\x32" + AGAIN[1:], SHOWN, AGAIN) == []


def test_av1_pictures_tell_the_order_they_are_shown_in():
    key = HEADER + av1_unit(6, bits("0 00 1 0 0 0000") + bytes(40))
    found = av1_run(key + inter(1) + inter(2) + inter(15), key, inter(1))
    assert found.order.tolist() == [0, 1, 2, 15]
    assert found.fresh.tolist() == found.keyframe.tolist() == [True, False, False, False]
    assert Av1Scanner(HEADER.rjust(len(HEADER) + 4), []).wrap == 16


def test_av1_headers_that_the_reference_has_are_evidence_and_others_speak_against_it():
    samples = [inter(n) for n in range(16)] * 16
    usual = av1_run(inter(7), *samples).evidence
    other = av1_run(inter(7, references="111 111 111 111 111 111 111"), *samples).evidence
    assert usual > 40
    assert other < usual - 16
    resized = av1_unit(6, bits("0 01 1 0 0 1 0111") + bytes(120))  # frame_size_override_flag
    assert av1_run(resized + inter(8) * 3, *samples) is None


def test_av1_is_refused_without_its_sequence_header():
    with pytest.raises(Mp4Error, match="sequence header"):
        Av1Scanner(b"\x81\0\0\0", [SHOWN])
    with pytest.raises(Mp4Error, match="cut short"):
        Av1Scanner(b"\x81\0\0\0" + av1_unit(1, b"\0"), [])


def test_a_thumbnail_in_a_jpeg_is_no_end(jpeg):
    first = jpeg.samples[0]
    thumbnail = b"\xff\xe1" + (2 + len(first)).to_bytes(2) + first
    whole = first[:2] + thumbnail + first[2:]
    assert run(jpeg, whole * 2).size.tolist() == [len(whole)] * 2


def test_a_jpeg_may_have_several_scans_and_restarts(jpeg):
    scan = b"\xff\xda\0\x04\1\2" + b"data\xff\0\xff\xd0more\xff\xd7\xff\xff"
    table = b"\xff\xc4\0\x05abc"
    picture = b"\xff\xd8" + table + scan + table + scan + b"\xff\xd9"
    assert run(jpeg, picture * 3).size.tolist() == [len(picture)] * 3
    assert run(jpeg, b"\xff\xd8" + table + b"\xff\xd9") is None


def test_a_jpeg_larger_than_what_is_read_at_once_is_whole(jpeg):
    scan = b"\xff\xda\0\x04\1\2" + b"data" * 500_000
    picture = b"\xff\xd8" + scan + b"\xff\xd9"
    assert run(jpeg, picture * 2).size.tolist() == [len(picture)] * 2


def test_a_jpeg_with_zeros_in_its_scan_is_kept(jpeg):
    picture = bytearray(jpeg.samples[1])
    picture[-200:-100] = bytes(100)
    data = jpeg.samples[0] + bytes(picture) + jpeg.samples[2]
    assert run(jpeg, data).size.tolist() == jpeg.sizes[:3]


def test_jpegs_are_padded_where_those_of_the_reference_are(jpeg):
    padded = [sample + bytes(-len(sample) % 16) for sample in jpeg.samples]
    scanner = JpegScanner(padded)
    data = b"".join(padded)
    assert scanner.run(Memory(data), 0, ALL).size.tolist() == [len(sample) for sample in padded]
    assert run(jpeg, data).size.tolist() == jpeg.sizes[:1]
