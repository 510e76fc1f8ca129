"""Decoder configurations and samples of AV1, against FFmpeg's own muxer."""

import random
from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import Flags
from hypothesis import given
from hypothesis import strategies as st

from muxer.av1 import av1_sample, av1c
from muxer.errors import Mp4Error

DELIMITER = b"\x12\x00"


def av1c_of(path):
    """The record in a file, by its name and size alone."""
    data = path.read_bytes()
    at = data.index(b"av1C")
    return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at])]


def encoder(pix_fmt, flags=0):
    context = av.CodecContext.create("libsvtav1", "w")
    context.width, context.height, context.pix_fmt = 72, 48, pix_fmt
    context.time_base, context.framerate = Fraction(1, 25), 25
    context.flags |= flags
    return context


def encoded(context):
    noise = np.random.default_rng(7)
    packets = []
    for n in range(6):
        rgb = noise.integers(0, 255, (48, 72, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=context.pix_fmt)
        frame.pts = n
        packets += context.encode(frame)
    return [*packets, *context.encode(None)]


def muxed(path, packets):
    """FFmpeg's MP4 of them: its record, which it takes from the first, and its samples."""
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("av1", rate=25, width=72, height=48)
        for n, packet in enumerate(packets):
            mine = av.Packet(packet)
            mine.stream, mine.pts, mine.dts, mine.time_base = stream, n, n, Fraction(1, 25)
            container.mux(mine)
    with av.open(str(path)) as container:
        samples = [bytes(packet) for packet in container.demux() if packet.size]
    return av1c_of(path), samples


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
def test_record_and_samples_are_ffmpegs(tmp_path, pix_fmt):
    packets = [bytes(packet) for packet in encoded(encoder(pix_fmt))]
    assert all(packet.startswith(DELIMITER) for packet in packets)
    record, samples = muxed(tmp_path / "v.mp4", packets)
    assert av1c(packets[0]) == record
    assert [av1_sample(packet) for packet in packets] == samples
    assert [av1_sample(sample) for sample in samples] == samples


def test_the_sequence_header_may_come_apart_from_the_stream():
    context = encoder("yuv420p", Flags.global_header)
    packets = encoded(context)
    header = bytes(context.extradata)
    assert av1c(header) == av1c(bytes(packets[0]))[:4] + header


def sequence_header(choose):  # noqa: PLR0912 - as many as the syntax has
    """One of any shape (AV1 specification, 5.5), its fields by chance; an OBU with its size."""
    bits = []

    def put(width, value=None):
        value = choose.getrandbits(width) if value is None else value
        bits.extend(value >> place & 1 for place in reversed(range(width)))
        return value

    def uvlc(value):
        width = (value + 1).bit_length()
        put(width - 1, 0)
        put(width, value + 1)

    profile = put(3, choose.randrange(3))
    put(1, 0)
    reduced = put(1, choose.random() < 0.2)
    if reduced:
        put(5)
    else:
        model = 0
        if put(1):  # timing info
            put(32), put(32)
            if put(1):
                uvlc(choose.randrange(1000))
            if put(1):
                model = put(5) + 1
                put(32), put(5), put(5)
        delay = put(1)
        for _ in range(put(5, choose.randrange(4)) + 1):
            put(12)
            if put(5) > 7:
                put(1)
            if model and put(1):
                put(model), put(model), put(1)
            if delay and put(1):
                put(4)
    width, height = put(4), put(4)
    put(width + 1), put(height + 1)
    if not reduced and put(1):
        put(4, choose.randrange(6)), put(3)  # frame numbers of at most 16 bits
    put(3)
    if not reduced:
        put(4)
        order = put(1)
        if order:
            put(2)
        screen = 1 if put(1) else put(1)
        if screen and not put(1):
            put(1)
        if order:
            put(3)
    put(3)
    deep = put(1)
    twelve = put(1) if profile == 2 and deep else 0
    grey = 0 if profile == 1 else put(1)
    colours = (2, 2, 2)
    if put(1):
        # RGB is for profiles with full colour only.
        rgb = profile == 1 and choose.random() < 0.5
        colours = (put(8, 1), put(8, 13 if rgb else 1), put(8, 0 if rgb else 1))
    if grey:
        put(1)
    elif colours != (1, 13, 0):
        put(1)
        across, down = ((1, 1), (0, 0), (1, 0))[profile]
        if twelve:
            across = put(1)
            down = put(1) if across else 0
        if across and down:
            put(2)
    if not grey:
        put(1)
    put(1), put(1, 1)  # film grain, and the trailing bit
    bits += [0] * (-len(bits) % 8)
    payload = int("".join(map(str, bits)), 2).to_bytes(len(bits) // 8)
    return bytes([0x0A, len(payload)]) + payload


@pytest.mark.parametrize("seed", range(60))
def test_a_sequence_header_of_any_shape_makes_the_record_that_ffmpeg_makes(tmp_path, seed):
    header = sequence_header(random.Random(seed))  # noqa: S311 - no secret
    record, _ = muxed(tmp_path / "v.mp4", [header])
    assert av1c(DELIMITER + header) == record


def test_a_unit_without_a_size_goes_to_the_end_and_gets_one_in_the_record():
    header = sequence_header(random.Random(1))  # noqa: S311 - no secret
    bare = bytes([0x08]) + header[2:]
    assert av1c(bare) == av1c(header)
    assert av1_sample(DELIMITER + bare) == bare


def test_a_sample_holds_neither_delimiter_nor_padding_nor_what_is_said_twice():
    frame, metadata, padding = b"\x32\x03abc", b"\x2a\x01m", b"\x7a\x02\0\0"
    redundant, tiles = b"\x3a\x01r", b"\x42\x01t"
    assert av1_sample(DELIMITER + metadata + frame + padding + redundant + tiles) == (
        metadata + frame
    )


def test_a_long_unit_and_one_with_an_extension_are_found():
    long = b"\x32\xac\x02" + bytes(300)
    extended = b"\x36\x08\x02ab"
    assert av1_sample(DELIMITER + extended + long) == extended + long


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no sequence header"),
        (DELIMITER + b"\x32\x01x", "no sequence header"),
        (b"\x0a\x05\0", "no AV1 unit at byte 0"),
        (DELIMITER + b"\xfa\0", "no AV1 unit at byte 2"),
        (b"\x0a" + b"\xff" * 9, "cut inside its size"),
        (b"\x0a\x01\xe0", "profile 7"),
        (b"\x0a\x01\x00", "cut short"),
    ],
)
def test_what_is_no_sequence_header_is_an_error(data, words):
    with pytest.raises(Mp4Error, match=words):
        av1c(data)


@given(st.binary(max_size=60))
def test_noise_is_a_record_or_an_error(noise):
    for data in (noise, b"\x0a" + bytes([len(noise)]) + noise):
        try:
            record = av1c(data)
        except Mp4Error as error:
            assert "\n" not in str(error)  # noqa: PT017 - no error is as good
        else:
            assert record[0] == 0x81
