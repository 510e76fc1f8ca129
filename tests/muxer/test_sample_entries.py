"""What `stsd` says of a coding, as FFmpeg understands it."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import Flags

from camm import Packet, StreamFormat
from muxer.errors import Mp4Error
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.sample_entries import CAMM_ENTRY, coding

ABOUT = MovieDescription(None, "", "", {})
ASC = bytes([0x11, 0x90, 0x56, 0xE5, 0x00])  # AAC LC, 48 kHz, two channels, with an SBR extension


def recorded(path, *formats):
    """A file of one packet a stream."""
    recording = Recording(path, formats, ABOUT)
    packets = [Packet(n, b"x", 0, 0, 20_000_000) for n in range(len(formats))]
    recording.add_packets(packets)
    recording.finish(1_000_000_000, ABOUT)
    return path


def video(codec, extradata=b"", **others):
    return StreamFormat("video", codec, 90_000, extradata, 640, 360, **others)


def test_the_entry_of_camm_has_no_fields():
    assert CAMM_ENTRY == b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"


def test_aac_comes_back_with_its_configuration(tmp_path):
    audio = StreamFormat("audio", "aac", 48_000, ASC, sample_rate=48_000, channels=2)
    path = recorded(tmp_path / "a.mp4", video("mjpeg"), audio)
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        assert stream.codec_context.name == "aac"
        assert bytes(stream.codec_context.extradata) == ASC
        assert (stream.sample_rate, stream.channels) == (48_000, 2)


def test_an_audio_entry_lies_in_the_file_as_the_standard_draws_it():
    audio = StreamFormat("audio", "aac", 44_100, b"\x12\x10", sample_rate=44_100, channels=2)
    esds = bytes.fromhex(
        "00000030 65736473 00000000"
        "03 8080801f 0000 00"  # 3 bytes, 25 of tag 4, 3 of tag 6
        "04 80808014 40 15 000000 00000000 00000000"  # 13 bytes, 7 of tag 5
        "05 80808002 1210"
        "06 01 02"
    )
    entry = struct.pack(">6xH8xHHHHI", 1, 2, 16, 0, 0, 44_100 << 16) + esds
    assert coding(audio).entry == struct.pack(">I4s", 8 + len(entry), b"mp4a") + entry


@pytest.mark.parametrize("rate", [65_535, 65_536, 96_000])
def test_a_sample_rate_that_does_not_fit_is_left_to_the_configuration(rate):
    audio = StreamFormat("audio", "aac", rate, ASC, sample_rate=rate, channels=1)
    said = struct.unpack_from(">I", coding(audio).entry, 8 + 24)[0] >> 16
    assert said == (rate if rate <= 65_535 else 0)


def test_a_picture_comes_back_with_its_size(tmp_path):
    path = recorded(tmp_path / "v.mp4", video("mjpeg"))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "mjpeg"
        assert (stream.width, stream.height) == (640, 360)


@pytest.mark.parametrize(
    ("encoder", "codec", "tag"),
    [("libx264", "h264", "avc1"), ("libx265", "hevc", "hvc1"), ("mpeg4", "mpeg4", "mp4v")],
)
def test_what_an_encoder_delivers_can_be_decoded_from_the_file(tmp_path, encoder, codec, tag):
    """Annex B in, and the pictures come out as they do straight from the encoder."""
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), 25
    context.options = {
        "h264": {"bf": "0"},
        "hevc": {"x265-params": "log-level=none:bframes=0"},
        "mpeg4": {},
    }[codec]
    context.flags |= Flags.global_header
    noise = np.random.default_rng(3)
    packets = []
    for n in range(5):
        rgb = noise.integers(0, 255, (48, 64, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts = n
        packets += context.encode(frame)
    packets += context.encode(None)
    stream = StreamFormat("video", codec, 25, bytes(context.extradata), 64, 48)
    recording = Recording(tmp_path / "v.mp4", [stream], ABOUT)
    recording.add_packets(
        [
            Packet(0, bytes(p), p.pts * 40_000_000, p.dts * 40_000_000, 40_000_000, p.is_keyframe)
            for p in packets
        ]
    )
    recording.finish(1_000_000_000, ABOUT)

    decoder = av.CodecContext.create(codec, "r")
    decoder.extradata = bytes(context.extradata)
    straight = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == tag
        through = list(container.decode(video=0))
    assert len(through) == len(straight) == 5
    for ours, theirs in zip(through, straight, strict=True):
        np.testing.assert_array_equal(ours.to_ndarray(), theirs.to_ndarray())


def test_a_picture_entry_lies_in_the_file_as_the_standard_draws_it():
    fields = struct.pack(">6xH16xHH", 1, 640, 360)
    fields += struct.pack(">IIIH32xHh", 72 << 16, 72 << 16, 0, 1, 24, -1)
    assert coding(video("mjpeg")).entry == struct.pack(">I4s", 86, b"jpeg") + fields
    wide = coding(video("mjpeg", pixel_aspect=(4, 3))).entry
    assert wide == struct.pack(">I4s", 102, b"jpeg") + fields + b"\0\0\0\x10pasp\0\0\0\4\0\0\0\3"


def test_pixels_that_are_not_square_are_shown_so(tmp_path):
    path = recorded(tmp_path / "v.mp4", video("mjpeg", pixel_aspect=(4, 3)))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(4, 3)


def test_av1_comes_back_with_its_configuration(tmp_path):
    av1c = bytes.fromhex("81000c00 0a0a00000002aff7805f0008")
    path = recorded(tmp_path / "v.mp4", video("av1", av1c))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert context.codec.canonical_name == "av1"
        assert bytes(context.extradata) == av1c


def test_a_configuration_record_passes_as_it_is_and_so_do_its_packets(film):
    with av.open(str(film)) as container:
        avcc = bytes(container.streams.video[0].codec_context.extradata)
    coded = coding(video("h264", avcc))
    assert coded.entry.endswith(struct.pack(">I4s", 8 + len(avcc), b"avcC") + avcc)
    assert coded.convert(b"\0\0\0\1x") == b"\0\0\0\1x"


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (video("vp9"), "vp9 cannot be recorded: expected one of h264, hevc"),
        (StreamFormat("audio", "opus", 48_000, b"x"), "opus cannot be recorded"),
        (video("h264"), "h264 stream comes without its decoder configuration"),
        (video("hevc"), "hevc stream comes without its decoder configuration"),
        (video("av1", b"\x0a\x0a\0\0\0"), "av1 stream comes without an av1C record"),
        (StreamFormat("audio", "aac", 48_000), "aac stream comes without"),
    ],
)
def test_a_stream_that_cannot_be_recorded_is_an_error_before_there_is_a_file(
    tmp_path, stream, words
):
    with pytest.raises(Mp4Error, match=words):
        Recording(tmp_path / "x.mp4", [stream], ABOUT)
    assert not (tmp_path / "x.mp4").exists()
