"""What encoders of PyAV make of a little sound and a few pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest

from muxer.salvage.reference import ReferenceTrack


def _sound(seconds, channels, rate):
    """Tones that come and go, and noise: every frame has another size."""
    t = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(1)
    tones = [
        np.sin(2 * np.pi * t * (200 + 50 * k + 300 * np.sin(t * (k + 1))))
        * np.sin(t * (2 + k)) ** 2
        for k in range(channels)
    ]
    noise = rng.normal(0, 0.1, (channels, len(t))) * (np.sin(t * 3) > 0.5)
    return ((np.stack(tones) * 0.4 + noise) * 20_000).astype(np.int16)


def _encode_sound(codec, seconds=2.0, layout="stereo", bit_rate=64_000, rate=48_000, **options):
    """The packets, and the decoder configuration."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.bit_rate = rate, layout, bit_rate
    encoder.format = av.Codec(codec, "w").audio_formats[0].name
    encoder.options = {"flags": "+bitexact+global_header", **options}
    encoder.open()
    sound = _sound(seconds, encoder.layout.nb_channels, rate)
    resampler = av.AudioResampler(encoder.format, layout, rate, encoder.frame_size)
    given = av.AudioFrame.from_ndarray(sound.T.reshape(1, -1).copy(), "s16", layout)
    given.sample_rate, given.time_base = rate, Fraction(1, rate)
    frames = [*resampler.resample(given), None]
    return [bytes(p) for frame in frames for p in encoder.encode(frame)], encoder.extradata


def _encode_pictures(codec, count=30, pix_fmt="yuv420p", size=(96, 64), **options):
    """The packets with their place in showing order and whether each is a key frame."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.framerate = pix_fmt, Fraction(1, 25), Fraction(25)
    encoder.options = {"flags": "+bitexact+global_header", **options}
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    packets = []
    for number in [*range(count), None]:
        frame = None
        if number is not None:
            moved = np.roll(picture, 3 * number, axis=1)
            moved[:16, :16] = number * 8 % 256
            frame = av.VideoFrame.from_ndarray(moved, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += [(bytes(p), p.pts, p.is_keyframe) for p in encoder.encode(frame)]
    return packets, encoder.extradata


@pytest.fixture(scope="session")
def encode_sound():
    return _encode_sound


@pytest.fixture(scope="session")
def encode_pictures():
    return _encode_pictures


def _reference_track(
    kind=b"soun", entry=b"\0\0\0\x08mp4a", *, timescale=48_000, duration=1024, steady=True, **known
):
    """A track of a healthy file of which only this is known."""
    nothing = {
        "number": 1,
        "start": 0,
        "shown": known.get("start", 0),
        "durations": np.array([duration]),
        "samples": (),
        "sizes": np.array([100]),
        "chunks": np.empty((0, 4)),
        "count": 100,
    }
    track = {"kind": kind, "entry": entry, "timescale": timescale, "duration": duration}
    return ReferenceTrack(**track, steady=steady, **nothing | known)


@pytest.fixture(scope="session")
def reference_track():
    return _reference_track
