"""What `stsd` says of a coding, as FFmpeg understands it."""

import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import Flags

from camm import Packet, StreamFormat
from muxer.errors import Mp4Error
from muxer.nal import length_prefixed
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


ENCODERS = {
    "h264": ("libx264", {"g": "2", "bf": "0", "threads": "1"}),
    "hevc": (
        "libx265",
        {"x265-params": "log-level=none:bframes=0:info=0:pools=1:frame-threads=1:keyint=2"},
    ),
    "mpeg4": ("mpeg4", {"g": "2"}),
}


def encoded(codec, flags=0):
    """Extradata and five packets, as the encoder gives them."""
    encoder, options = ENCODERS[codec]
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), 25
    context.options = options
    context.flags |= flags
    noise = np.random.default_rng(3)
    packets = []
    for n in range(5):
        rgb = noise.integers(0, 255, (48, 64, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts = n
        packets += context.encode(frame)
    packets += context.encode(None)
    return bytes(context.extradata or b""), packets


@pytest.mark.parametrize(("codec", "tag"), [("h264", "avc1"), ("hevc", "hvc1"), ("mpeg4", "mp4v")])
def test_what_an_encoder_delivers_can_be_decoded_from_the_file(tmp_path, codec, tag):
    """Annex B in, and the pictures come out as they do straight from the encoder."""
    extradata, packets = encoded(codec, Flags.global_header)
    stream = StreamFormat("video", codec, 25, extradata, 64, 48)
    recording = Recording(tmp_path / "v.mp4", [stream], ABOUT)
    recording.add_packets(
        [
            Packet(0, bytes(p), p.pts * 40_000_000, p.dts * 40_000_000, 40_000_000, p.is_keyframe)
            for p in packets
        ]
    )
    recording.finish(1_000_000_000, ABOUT)

    decoder = av.CodecContext.create(codec, "r")
    decoder.extradata = extradata
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


def test_a_picture_of_jpeg_needs_nothing_beside_it():
    assert coding(video("mjpeg"), b"a picture") == coding(video("mjpeg"))
    assert coding(video("mjpeg")).timescale == 90_000


# What comes in the stream and not beside it


@pytest.mark.parametrize("codec", ENCODERS)
def test_without_extradata_the_first_key_frame_makes_the_same_entry(codec):
    extradata, _ = encoded(codec, Flags.global_header)
    _, packets = encoded(codec)
    in_band = coding(video(codec), bytes(packets[0]))
    assert in_band.entry == coding(video(codec, extradata)).entry


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_parameter_sets_that_are_in_the_entry_are_not_in_the_samples(codec):
    packets = [bytes(packet) for packet in encoded(codec)[1]]
    convert = coding(video(codec), packets[0]).convert
    sets = {"h264": {7, 8}, "hevc": {32, 33, 34}}[codec]
    for packet in packets[::2]:  # every other one is a key frame
        assert sets <= set(kinds_of(codec, length_prefixed(packet)))
        assert not sets & set(kinds_of(codec, convert(packet)))


def kinds_of(codec, sample):
    at = 0
    while at < len(sample):
        yield sample[at + 4] & 0x1F if codec == "h264" else sample[at + 4] >> 1
        at += 4 + int.from_bytes(sample[at : at + 4])
    assert at == len(sample)


def test_parameter_sets_that_are_not_in_the_entry_stay():
    sets = b"\0\0\0\1\x67\x42\0\x0a\x80\0\0\0\1\x68\x80"
    other = b"\x67\x42\0\x0b\x80"
    convert = coding(video("h264", sets)).convert
    assert convert(sets + b"\0\0\1" + other) == b"\0\0\0\5" + other


def test_extradata_counts_for_more_than_the_first_packet(film):
    with av.open(str(film)) as container:
        avcc = bytes(container.streams.video[0].codec_context.extradata)
    given = video("h264", avcc)
    assert coding(given, b"\0\0\1\x67\0\0\0").entry == coding(given).entry


def test_aac_as_it_is_broadcast_loses_its_headers(tmp_path, film):
    """FFmpeg puts the headers before the frames of an MP4; without them they are as they were."""
    raw, broadcast = tmp_path / "a.aac", []
    with av.open(str(film)) as container, av.open(str(raw), "w", format="adts") as out:
        stream = container.streams.audio[0]
        configuration = bytes(stream.codec_context.extradata)
        copy = out.add_stream_from_template(stream)
        frames = [packet for packet in container.demux(stream) if packet.size]
        plain = [bytes(frame) for frame in frames]
        for frame in frames:
            frame.stream = copy
            out.mux(frame)
    with av.open(str(raw)) as container:
        broadcast = [bytes(packet) for packet in container.demux() if packet.size]
    audio = StreamFormat("audio", "aac", 90_000, sample_rate=48_000, channels=2)
    coded = coding(audio, broadcast[0])
    assert coded.entry == coding(replace(audio, extradata=configuration[:2])).entry
    assert [coded.convert(frame) for frame in broadcast] == plain


def test_the_checksum_of_a_broadcast_frame_goes_with_its_header():
    audio = StreamFormat("audio", "aac", 90_000, sample_rate=44_100, channels=1)
    coded = coding(audio, bytes.fromhex("fff8504000 1ffc") + b"crframe")
    assert b"\x05\x80\x80\x80\x02\x12\x08" in coded.entry  # LC, 44.1 kHz, one channel
    assert coded.convert(bytes.fromhex("fff8504000 1ffc") + b"crframe") == b"frame"


# Sound


SOUND = {"sample_rate": 48_000, "channels": 2}


def audio(codec, extradata=b""):
    return StreamFormat("audio", codec, 48_000, extradata, **SOUND)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le", "opus", "alac"])
def test_a_tick_of_sound_is_one_sample(codec):
    extradata = {
        "aac": ASC,
        "opus": b"OpusHead\1\2" + bytes(9),
        "alac": struct.pack(">I4s28x", 36, b"alac"),
    }
    audio = StreamFormat("audio", codec, 1000, extradata.get(codec, b""), **SOUND)
    assert coding(audio).timescale == 48_000


def test_opus_counts_in_48_khz_whatever_was_encoded():
    audio = StreamFormat(
        "audio", "opus", 1000, b"OpusHead\1\1" + bytes(9), sample_rate=16_000, channels=1
    )
    coded = coding(audio)
    assert coded.timescale == 48_000
    assert struct.unpack_from(">HHHHI", coded.entry, 8 + 16) == (1, 16, 0, 0, 48_000 << 16)


def test_dops_says_what_the_opus_head_says_the_other_way_round():
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 44_100, -256, 0)
    entry = coding(StreamFormat("audio", "opus", 48_000, head, **SOUND)).entry
    assert entry[36:] == bytes.fromhex("00000013 644f7073 00 02 0138 0000ac44 ff00 00")


def test_dops_keeps_the_channel_mapping():
    mapping = bytes([4, 2, 0, 4, 1, 2, 3, 5])
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 6, 312, 48_000, 0, 1) + mapping
    entry = coding(
        StreamFormat("audio", "opus", 48_000, head, sample_rate=48_000, channels=6)
    ).entry
    assert entry[36:] == b"\0\0\0\x1bdOps" + bytes.fromhex("00 06 0138 0000bb80 0000 01") + mapping


def test_alac_has_its_magic_cookie_and_the_width_that_it_says():
    cookie = bytes.fromhex(
        "00000024 616c6163 00000000 00001000 00 18 28 0a 0e 02 0000 00006004 00232800 00017700"
    )
    audio = StreamFormat("audio", "alac", 96_000, cookie, sample_rate=96_000, channels=2)
    entry = coding(audio).entry
    assert entry == struct.pack(">I4s6xH8xHHHHI", 72, b"alac", 1, 2, 24, 0, 0, 0) + cookie


CHAN = {
    1: bytes.fromhex("00000018 6368616e 00000000 00640001 00000000 00000000"),
    2: bytes.fromhex("00000018 6368616e 00000000 00650002 00000000 00000000"),
    4: b"",
}


@pytest.mark.parametrize(
    ("codec", "kind", "bits"),
    [
        ("pcm_s16le", b"sowt", 16),
        ("pcm_s16be", b"twos", 16),
        ("pcm_s24le", b"in24", 24),
        ("pcm_s24be", b"in24", 24),
    ],
)
@pytest.mark.parametrize("channels", CHAN)
@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_the_name_of_an_entry_says_how_uncompressed_sound_is_written(
    codec, kind, bits, channels, rate
):
    coded = coding(StreamFormat("audio", codec, 1, sample_rate=rate, channels=channels))
    fields = struct.pack(
        ">6xH8xHHHHI", 1, channels, bits, 0, 0, (rate if rate < 65_536 else 0) << 16
    )
    body = fields + CHAN[channels]
    assert coded.entry == struct.pack(">I4s", 8 + len(body), kind) + body
    assert coded.timescale == rate


def test_little_endian_sound_of_24_bits_becomes_big_endian():
    assert coding(audio("pcm_s24le")).convert(b"abcdef") == b"cbafed"
    for codec in ("pcm_s24be", "pcm_s16le", "pcm_s16be"):
        assert coding(audio(codec)).convert(b"abcdef") == b"abcdef"


# What cannot be recorded


@pytest.mark.parametrize(
    ("stream", "first", "words"),
    [
        (video("vp9"), b"", "vp9 cannot be recorded: expected one of h264, hevc"),
        (video("h264"), b"", "h264 stream comes without its decoder configuration"),
        (video("h264"), b"\0\0\0\1\x65picture", "no SPS and PPS before its first picture"),
        (video("h264"), b"\0\0\2\0picture", "h264 stream comes without"),
        (video("hevc"), b"", "hevc stream comes without its decoder configuration"),
        (video("av1"), b"\x12\0\x32\1x", "no sequence header before its first picture"),
        (video("mpeg4"), b"\0\0\1\xb6picture", "mpeg4 stream comes without"),
        (audio("aac"), b"\x21\x10frame", "aac stream comes without its AudioSpecificConfig"),
        (audio("aac"), bytes.fromhex("fff1fc80001ffc"), "ADTS header fff1fc80001ffc has no rate"),
        (audio("aac"), bytes.fromhex("fff14c00001ffc"), "ADTS header fff14c00001ffc has no rate"),
        (audio("opus"), b"", "opus stream comes without its OpusHead"),
        (audio("opus", b"OpusHead"), b"", "opus stream comes without its OpusHead"),
        (audio("alac", bytes(36)), b"", "alac stream comes without its magic cookie"),
        (StreamFormat("audio", "pcm_s16le", 1), b"", "without its sample rate or its channels"),
        (audio("mp3"), b"", "mp3 cannot be recorded"),
    ],
)
def test_a_stream_that_cannot_be_recorded_is_an_error(stream, first, words):
    with pytest.raises(Mp4Error, match=words):
        coding(stream, first)


def test_a_codec_that_nobody_knows_is_an_error_before_there_is_a_file(tmp_path):
    with pytest.raises(Mp4Error, match="vp9 cannot be recorded"):
        Recording(tmp_path / "x.mp4", [video("vp9")], ABOUT)
    assert not (tmp_path / "x.mp4").exists()
