"""Decoder configurations of H.264 and H.265, against FFmpeg's own muxer."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import Flags
from hypothesis import given
from hypothesis import strategies as st

from muxer.errors import Mp4Error
from muxer.nal import (
    annex_b_units,
    avcc,
    h264_parameter_sets,
    h265_parameter_sets,
    hvcc,
    is_annex_b,
    length_prefixed,
)

H264 = {
    "baseline": "yuv420p",
    "main": "yuv420p",
    "high": "yuv420p",
    "high10": "yuv420p10le",
    "high422": "yuv422p",
    "high444": "yuv444p",
}
H265 = {
    "main": "yuv420p",
    "main10": "yuv420p10le",
    "main422-10": "yuv422p10le",
    "main444-8": "yuv444p",
}


def pictures(pix_fmt, count=4):
    noise = np.random.default_rng(7)
    for n in range(count):
        rgb = noise.integers(0, 255, (48, 72, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pix_fmt)
        frame.pts = n
        yield frame


def set_up(stream, pix_fmt):
    stream.width, stream.height, stream.pix_fmt = 72, 48, pix_fmt
    stream.time_base = Fraction(1, 25)


def encoded(codec, pix_fmt, options, *, apart):
    """Parameter sets in Annex B: apart from the stream, or the packet they are at the head of."""
    encoder = av.CodecContext.create(codec, "w")
    set_up(encoder, pix_fmt)
    encoder.framerate, encoder.options = 25, options
    if apart:
        encoder.flags |= Flags.global_header
    packets = [packet for frame in pictures(pix_fmt) for packet in encoder.encode(frame)]
    packets += encoder.encode(None)
    return bytes(encoder.extradata if apart else packets[0])


def muxed(path, codec, pix_fmt, options):
    """The same as FFmpeg puts it into an MP4: its configuration record and its samples."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        set_up(stream, pix_fmt)
        if codec == "libx265":
            stream.codec_context.codec_tag = "hvc1"
        for frame in [*pictures(pix_fmt), None]:
            container.mux(stream.encode(frame))
    with av.open(str(path)) as container:
        (video,) = container.streams
        return bytes(video.codec_context.extradata), [
            bytes(packet) for packet in container.demux(video) if packet.size
        ]


@pytest.mark.parametrize("profile", H264)
def test_an_avcc_record_is_ffmpegs(tmp_path, profile):
    options = {"profile": profile, "threads": "1"}
    theirs, samples = muxed(tmp_path / "v.mp4", "libx264", H264[profile], options)
    apart = encoded("libx264", H264[profile], options, apart=True)
    assert is_annex_b(apart)
    assert not is_annex_b(theirs)
    assert avcc(apart) == theirs
    assert_prefixed(samples)
    at_the_head = encoded("libx264", H264[profile], options, apart=False)
    assert avcc(at_the_head) == theirs


def hvcc_fields(record):
    """(what must agree, units by kind) of an hvcC record."""
    general, spatial, parallelism, *rest, arrays = struct.unpack_from(">13sHBBBBHBB", record)
    at, units = 23, {}
    for _ in range(arrays):
        kind, count = struct.unpack_from(">BH", record, at)
        at += 3
        for _ in range(count):
            (size,) = struct.unpack_from(">H", record, at)
            units.setdefault(kind & 0x3F, []).append(record[at + 2 : at + 2 + size])
            at += 2 + size
    assert at == len(record)
    # FFmpeg reads two hints out of the VUI, which may as well be 0 ("unknown").
    assert (spatial & 0xF000, parallelism & 0xFC) == (0xF000, 0xFC)
    return general, rest, units


@pytest.mark.parametrize("profile", H265)
@pytest.mark.parametrize("extra", ["", ":temporal-layers=2"])
def test_an_hvcc_record_is_ffmpegs(tmp_path, profile, extra):
    quiet = "log-level=none:info=0:pools=1:frame-threads=1"
    options = {"x265-params": quiet + extra, "profile": profile}
    theirs, samples = muxed(tmp_path / "v.mp4", "libx265", H265[profile], options)
    apart = encoded("libx265", H265[profile], options, apart=True)
    general, rest, units = hvcc_fields(hvcc(apart))
    their_general, their_rest, their_units = hvcc_fields(theirs)
    assert general == their_general
    assert rest == their_rest
    assert units == {kind: their_units[kind] for kind in (32, 33, 34)}
    assert_prefixed(samples)


def assert_prefixed(samples):
    """FFmpeg's samples, given start codes again, come out as they were."""
    for sample in samples:
        assert length_prefixed(b"".join(b"\0\0\0\1" + unit for unit in units_of(sample))) == sample


def units_of(sample):
    at = 0
    while at < len(sample):
        (size,) = struct.unpack_from(">I", sample, at)
        yield sample[at + 4 : at + 4 + size]
        at += 4 + size


def test_units_stand_between_start_codes_of_either_length():
    data = b"\0\0\0\1ab\0\0\1c\0\0\0\1\0\0\1de\0\0"
    assert list(annex_b_units(data)) == [b"ab", b"c", b"de"]
    assert length_prefixed(data) == b"\0\0\0\2ab\0\0\0\1c\0\0\0\2de"


def test_units_may_be_left_out():
    data = b"\0\0\0\1ab\0\0\1c\0\0\0\1\0\0\1ab\0\0\1abc"
    assert length_prefixed(data, {b"ab"}) == b"\0\0\0\1c\0\0\0\3abc"


def test_parameter_sets_are_found_among_the_pictures_and_each_once():
    units = [
        b"\x09\xf0",
        b"\x67sps",
        b"\x68pps",
        b"\x06sei",
        b"\x67sps",
        b"\x65picture",
        b"\x28pps",
    ]
    data = b"".join(b"\0\0\1" + unit for unit in units)
    assert h264_parameter_sets(data) == [b"\x67sps", b"\x68pps", b"\x28pps"]
    units = [b"\x46\1", b"\x40\1vps", b"\x42\1sps", b"\x44\1pps", b"\x40\1vps", b"\x26\1picture"]
    data = b"".join(b"\0\0\1" + unit for unit in units)
    assert h265_parameter_sets(data) == [b"\x40\1vps", b"\x42\1sps", b"\x44\1pps"]


@given(st.lists(st.binary(min_size=1, max_size=30).map(lambda unit: unit.replace(b"\0", b"x"))))
def test_units_are_found_again(units):
    data = b"".join(b"\0\0\0\1" + unit for unit in units)
    assert list(annex_b_units(data)) == units


@pytest.mark.parametrize(
    ("make", "words"), [(avcc, "no SPS and PPS"), (hvcc, "no VPS, SPS and PPS")]
)
@pytest.mark.parametrize("data", [b"", b"\0\0\1", b"\0\0\1\x65abc", b"\0\0\1\x67\x64"])
def test_a_stream_without_parameter_sets_is_an_error(make, words, data):
    with pytest.raises(Mp4Error, match=words.replace("no ", "gives no ")):
        make(data)


@given(st.binary(max_size=40), st.binary(min_size=3, max_size=3))
def test_parameter_sets_of_noise_are_a_record_or_an_error(noise, profile):
    for make, heads in (
        (avcc, (b"\x67" + profile, b"\x68")),
        (hvcc, (b"\x40\1", b"\x42\1", b"\x44\1")),
    ):
        try:
            record = make(b"".join(b"\0\0\0\1" + head + noise + b"\x80" for head in heads))
        except Mp4Error as error:
            assert "\n" not in str(error)  # noqa: PT017 - no error is as good
        else:
            assert record[0] == 1
