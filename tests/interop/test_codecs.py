"""Every codec that can be recorded: out of other people's files, into ours, into their decoders.

A film is made by FFmpeg, played by `FileCamera` into a recording, and what comes out of the clip is
held against what comes out of the film: every picture and every sound, in value and in time.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from camm import Packet, StreamFormat
from drivers.camera_file import FileCamera
from drivers.errors import EndOfSource
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ABOUT = MovieDescription(None, "", "", {})
SECOND = 1_000_000_000
FRAMES = 30  # at 25 a second: more than one fragment
QUIET = {"x265-params": "log-level=none:info=0:pools=1:frame-threads=1:keyint=10"}


@dataclass(frozen=True)
class Sound:
    """A track of noise: which encoder makes it, and of what."""

    encoder: str
    rate: int = 48_000
    layout: str = "stereo"
    format: str | None = None


@dataclass(frozen=True)
class Film:
    """A file of FFmpeg's; `entries` are the sample entries that our clip of it has."""

    suffix: str
    video: str
    sounds: tuple[Sound, ...]
    entries: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)
    pixels: Fraction = Fraction(1)
    pix_fmt: str = "yuv420p"

    def make(self, path: Path) -> Path:
        noise = np.random.default_rng(1)
        with av.open(str(path), "w") as container:
            video = container.add_stream(self.video, rate=25, options=self.options)
            video.width, video.height, video.pix_fmt = 64, 48, self.pix_fmt
            video.codec_context.sample_aspect_ratio = self.pixels
            tracks = []
            for sound in self.sounds:
                track = container.add_stream(sound.encoder, rate=sound.rate, layout=sound.layout)
                if sound.format:
                    track.codec_context.format = sound.format
                tracks.append((sound, track))
            for n in range(FRAMES):
                picture = noise.integers(0, 255, (48, 64, 3), np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                for sound, track in tracks:
                    length = sound.rate // 25
                    wave = noise.normal(0, 3000, (1, length * track.channels)).astype(np.int16)
                    frame = av.AudioFrame.from_ndarray(wave, "s16", sound.layout)
                    frame.sample_rate, frame.pts = sound.rate, n * length
                    container.mux(track.encode(frame))
            for track in (video, *(track for _, track in tracks)):
                container.mux(track.encode(None))
        return path


X264 = {"bf": "2", "g": "10", "threads": "1"}
FILMS = {
    "H.264 and AAC in MP4": Film(
        ".mp4", "libx264", (Sound("aac"),), ("avc1", "mp4a"), X264, Fraction(4, 3)
    ),
    "H.265 and ALAC in MP4": Film(
        ".mp4", "libx265", (Sound("alac", 44_100),), ("hvc1", "alac"), QUIET
    ),
    "AV1 and Opus in MP4": Film(".mp4", "libsvtav1", (Sound("libopus"),), ("av01", "Opus")),
    "AV1 of 10 bits in MP4": Film(".mp4", "libsvtav1", (), ("av01",), pix_fmt="yuv420p10le"),
    "MPEG-4 and AAC of 96 kHz in MP4": Film(
        ".mp4", "mpeg4", (Sound("aac", 96_000, "mono"),), ("mp4v", "mp4a"), {}, Fraction(16, 15)
    ),
    "JPEG and ALAC of 24 bits and 96 kHz in QuickTime": Film(
        ".mov",
        "mjpeg",
        (Sound("alac", 96_000, "stereo", "s32p"),),
        ("jpeg", "alac"),
        pix_fmt="yuvj420p",
    ),
    "H.264 with PCM of 16 bits in QuickTime": Film(
        ".mov", "libx264", (Sound("pcm_s16le"),), ("avc1", "sowt"), X264
    ),
    "H.264 with PCM of 16 bits, big-endian, in QuickTime": Film(
        ".mov", "libx264", (Sound("pcm_s16be", 44_100, "mono"),), ("avc1", "twos"), X264
    ),
    "JPEG with PCM of 24 bits in QuickTime": Film(
        ".mov", "mjpeg", (Sound("pcm_s24le"),), ("jpeg", "in24"), {}, Fraction(4, 3), "yuvj420p"
    ),
    "JPEG with PCM of 24 bits, big-endian, in QuickTime": Film(
        ".mov", "mjpeg", (Sound("pcm_s24be", 96_000, "mono"),), ("jpeg", "in24"), pix_fmt="yuvj420p"
    ),
    "H.264 with PCM of 96 kHz in QuickTime": Film(
        ".mov", "libx264", (Sound("pcm_s16le", 96_000),), ("avc1", "sowt"), X264
    ),
    "H.264 with three sorts of sound in QuickTime": Film(
        ".mov",
        "libx264",
        (Sound("aac"), Sound("pcm_s16le", 44_100, "mono"), Sound("alac")),
        ("avc1", "mp4a", "sowt", "alac"),
        X264,
    ),
    "H.264 with ALAC in Matroska": Film(
        ".mkv", "libx264", (Sound("alac", 44_100),), ("avc1", "alac"), {"bf": "3", "threads": "1"}
    ),
    "H.265 with PCM of 24 bits in Matroska": Film(
        ".mkv", "libx265", (Sound("pcm_s24le", 44_100, "mono"),), ("hvc1", "in24"), QUIET
    ),
    "AV1 with PCM in Matroska": Film(
        ".mkv", "libsvtav1", (Sound("pcm_s16le", 44_100, "mono"),), ("av01", "sowt")
    ),
    "H.264 and AAC as they are broadcast": Film(
        ".ts", "libx264", (Sound("aac"),), ("avc1", "mp4a"), X264
    ),
    "H.265 and AAC as they are broadcast": Film(
        ".ts", "libx265", (Sound("aac", 44_100, "mono"),), ("hvc1", "mp4a"), QUIET
    ),
    "AV1 alone": Film(".ivf", "libsvtav1", (), ("av01",)),
    "AV1 raw": Film(".obu", "libsvtav1", (), ("av01",)),
    "MPEG-4 and PCM in AVI": Film(
        ".avi", "mpeg4", (Sound("pcm_s16le", 48_000, "mono"),), ("mp4v", "sowt")
    ),
}


class Clock:
    """One that is always on time."""

    def now_ns(self) -> int:
        return 3600 * SECOND

    def sleep_until(self, t_ns: int) -> None:
        pass


def record(source: Path, path: Path, *, finish: bool) -> tuple[StreamFormat, ...]:
    """A clip of the film; unfinished, it is what a crash leaves behind."""
    camera = FileCamera(source, Clock())
    camera.open()
    formats = tuple(camera.formats)
    recording = Recording(path, formats, ABOUT)
    end_ns = 0
    try:
        while True:
            for packet in camera.read():
                recording.add_packets([packet])
                recording.advance(packet.dts_ns)
                end_ns = max(end_ns, packet.dts_ns + SECOND)
    except EndOfSource:
        camera.close()
    if finish:
        recording.finish(end_ns, ABOUT)
    else:
        recording.advance(end_ns + 10 * SECOND)
        recording.close()
    return formats


@dataclass(frozen=True)
class Recorded:
    film: Film
    source: Path
    clip: Path
    formats: tuple[StreamFormat, ...]
    finished: bool


@pytest.fixture(scope="module", params=FILMS.values(), ids=FILMS)
def source(request, tmp_path_factory):
    film = request.param
    return film, film.make(tmp_path_factory.mktemp("film") / f"film{film.suffix}")


@pytest.fixture(scope="module", params=[True, False], ids=["finished", "unfinished"])
def recorded(request, source, tmp_path_factory):
    film, path = source
    clip = tmp_path_factory.mktemp("clip") / "clip.mp4"
    formats = record(path, clip, finish=request.param)
    return Recorded(film, path, clip, formats, request.param)


def seen(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All pictures, and their times in seconds from the first."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times = np.array([float(frame.pts * frame.time_base) for frame in frames])
    return np.array([frame.to_ndarray() for frame in frames]), times - times[0]


def first_seen_s(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.pts * frame.time_base


def heard(path: Path, number: int) -> tuple[np.ndarray, str, int]:
    """Sound from the first picture on, as frames of channels; its layout and rate."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=number))
        rate, layout = frames[0].sample_rate, frames[0].layout
    parts = [
        frame.to_ndarray().T
        if frame.format.is_planar
        else frame.to_ndarray().reshape(-1, layout.nb_channels)
        for frame in frames
    ]
    start = frames[0].pts * frames[0].time_base - first_seen_s(path)
    return np.concatenate(parts)[max(0, -round(start * rate)) :], layout.name, rate


def test_every_picture_is_seen_as_in_the_film(recorded):
    ours, our_times = seen(recorded.clip)
    theirs, their_times = seen(recorded.source)
    assert len(theirs) == FRAMES
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(our_times, their_times, atol=1e-6)


def test_every_sound_is_heard_as_in_the_film(recorded):
    for number, sound in enumerate(recorded.film.sounds):
        ours, layout, rate = heard(recorded.clip, number)
        theirs, _, _ = heard(recorded.source, number)
        assert len(theirs) >= FRAMES * sound.rate // 25
        np.testing.assert_array_equal(ours, theirs)
        assert (layout, rate) == (sound.layout, sound.rate)


def test_formats_are_what_they_are(recorded, program):
    shown = program("ffprobe", "-v", "error", "-show_streams", "-of", "json", recorded.clip)
    video, *rest = json.loads(shown)["streams"]
    assert [stream["codec_tag_string"] for stream in (video, *rest)] == [
        *recorded.film.entries,
        "camm",
    ]
    assert [stream.codec.replace("s24le", "s24be") for stream in recorded.formats] == [
        stream["codec_name"] for stream in (video, *rest[:-1])
    ]
    assert (video["width"], video["height"]) == (64, 48)
    pixels = recorded.film.pixels
    assert video.get("sample_aspect_ratio", "1:1") == f"{pixels.numerator}:{pixels.denominator}"
    for stream, sound in zip(rest, recorded.film.sounds, strict=False):
        assert stream["sample_rate"] == str(sound.rate)
        assert stream["channel_layout"] == sound.layout


def test_ffmpeg_decodes_it_without_a_word(recorded, program):
    assert program("ffmpeg", "-v", "error", "-xerror", "-i", recorded.clip, "-f", "null", "-") == ""


def test_the_ffmpeg_of_this_system_decodes_the_same(recorded, program):
    def digest(path, *what):
        return program("ffmpeg", "-v", "error", "-i", path, *what, "-f", "md5", "-")

    pictures = ("-map", "0:v", "-vsync", "passthrough")
    assert digest(recorded.clip, *pictures) == digest(recorded.source, *pictures)
    # It plays the priming of a broadcast, and that of a file in fragments.
    if recorded.finished and recorded.film.suffix != ".ts":
        for number in range(len(recorded.film.sounds)):
            sound = ("-map", f"0:a:{number}", "-c:a", "pcm_s32le")
            assert digest(recorded.clip, *sound) == digest(recorded.source, *sound)


def packets_of(path: Path, kind: str, number: int) -> tuple[list[bytes], list[Fraction]]:
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(**{kind: number}) if packet.size]
    return [bytes(packet) for packet in found], [packet.pts * packet.time_base for packet in found]


def test_packets_are_as_they_were(recorded):
    ours, our_times = packets_of(recorded.clip, "video", 0)
    theirs, their_times = packets_of(recorded.source, "video", 0)
    # Start codes and delimiters of AV1 give way to what an MP4 has, and so do headers of AAC.
    raw = recorded.film.suffix in {".ts", ".obu", ".ivf"}
    assert (ours == theirs) is not raw
    assert [at - min(our_times) for at in our_times] == [
        at - min(their_times) for at in their_times
    ]
    for number, sound in enumerate(recorded.film.sounds):
        ours, our_times = packets_of(recorded.clip, "audio", number)
        theirs, their_times = packets_of(recorded.source, "audio", number)
        turned = sound.encoder == "pcm_s24le"  # there are entries for big-endian only
        assert (b"".join(ours) == b"".join(theirs)) is not (raw or turned)
        if not raw and not sound.encoder.startswith("pcm"):
            assert ours == theirs
            np.testing.assert_allclose(
                np.array(our_times, float), np.array(their_times, float), atol=0.5 / sound.rate
            )


def test_mp4box_finds_every_sample(recorded, mp4box):
    tracks, complaints = mp4box(recorded.clip)
    assert complaints == set()
    assert [track.codec[:4] for track in tracks] == [*recorded.film.entries, "camm"]
    assert len(tracks[0].samples) == FRAMES


def test_mediainfo_tells_the_same_of_the_sound(recorded, program):
    wanted = ("@type", "Channels", "SamplingRate", "Format_Settings_Endianness")
    tracks = json.loads(program("mediainfo", "--Output=JSON", recorded.clip))["media"]["track"]
    found = [tuple(map(track.get, wanted)) for track in tracks if track["@type"] == "Audio"]
    orders = {"sowt": "Little", "twos": "Big", "in24": "Big"}
    assert found == [
        (
            "Audio",
            # Of Opus in any MP4 it does not tell the channels.
            None if entry == "Opus" else {"mono": "1", "stereo": "2"}[sound.layout],
            str(sound.rate),
            orders.get(entry),
        )
        for entry, sound in zip(recorded.film.entries[1:], recorded.film.sounds, strict=True)
    ]


# The sample entries, box by box

INSIDE = {
    b"avc1": [b"avcC"],
    b"hvc1": [b"hvcC"],
    b"av01": [b"av1C"],
    b"mp4v": [b"esds"],
    b"jpeg": [],
    b"mp4a": [b"esds"],
    b"alac": [b"alac"],
    b"Opus": [b"dOps"],
    b"sowt": [b"chan"],
    b"twos": [b"chan"],
    b"in24": [b"chan"],
}
VISUAL, AUDIO = 8 + 70, 8 + 20


def children(data):
    """(kind, content) of the boxes that fill `data` to its last byte."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        assert header <= size <= len(data) - at, kind
        found.append((kind, data[at + header : at + size]))
        at += size
    return found


def inside(data, *path):
    for wanted in path:
        data = next(content for kind, content in children(data) if kind == wanted)
    return data


def test_sample_entries_are_full_to_the_last_byte(recorded):
    moov = inside(recorded.clip.read_bytes(), b"moov")
    traks = [content for kind, content in children(moov) if kind == b"trak"]
    for trak, stream in zip(traks, recorded.formats, strict=False):
        stsd = inside(trak, b"mdia", b"minf", b"stbl", b"stsd")
        assert stsd[:8] == bytes(7) + b"\1"
        ((kind, entry),) = children(stsd[8:])
        assert entry[:8] == bytes(7) + b"\1"
        if stream.kind == "video":
            assert struct.unpack_from(">HH", entry, 24) == (64, 48)
            extra = [] if recorded.film.pixels == 1 else [b"pasp"]
            assert [child for child, _ in children(entry[VISUAL:])] == INSIDE[kind] + extra
        else:
            assert [child for child, _ in children(entry[AUDIO:])] == INSIDE[kind]
            mdhd = inside(trak, b"mdia", b"mdhd")
            assert struct.unpack_from(">I", mdhd, 20) == (stream.sample_rate,)


def test_times_of_the_tables_add_up(recorded):
    """Durations in stts fill the duration in mdhd, counts agree with stsz."""
    moov = inside(recorded.clip.read_bytes(), b"moov")
    for kind, trak in children(moov):
        if kind == b"trak":
            stbl = inside(trak, b"mdia", b"minf", b"stbl")
            (duration,) = struct.unpack_from(">Q", inside(trak, b"mdia", b"mdhd"), 24)
            runs = list(struct.iter_unpack(">II", inside(stbl, b"stts")[8:]))
            _, count = struct.unpack_from(">II", inside(stbl, b"stsz"), 4)
            assert sum(length for length, _ in runs) == count
            assert sum(length * delta for length, delta in runs) == duration


# From an encoder, with nothing beside the stream

LIVE = {
    "h264": ("libx264", {"bf": "0", "g": "10", "threads": "1"}, "avc1"),
    "hevc": ("libx265", {"x265-params": QUIET["x265-params"] + ":bframes=0"}, "hvc1"),
    "av1": ("libsvtav1", {"g": "10"}, "av01"),
    "mpeg4": ("mpeg4", {"g": "10"}, "mp4v"),
    "mjpeg": ("mjpeg", {}, "jpeg"),
}


@pytest.mark.parametrize("codec", LIVE)
@pytest.mark.parametrize("joined", [0, 3], ids=["from the start", "joined later"])
def test_a_stream_says_itself_how_it_is_to_be_decoded(codec, joined, tmp_path, program):
    """Whoever joins later begins at the next key frame."""
    encoder, options, tag = LIVE[codec]
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height = 64, 48
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), 25
    context.options = options
    noise = np.random.default_rng(3)
    encoded = []
    for n in range(25):
        picture = noise.integers(0, 255, (48, 64, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=context.pix_fmt)
        frame.pts = n
        encoded += context.encode(frame)
    encoded += context.encode(None)
    recording = Recording(
        tmp_path / "v.mp4", [StreamFormat("video", codec, 25, b"", 64, 48)], ABOUT
    )
    period = SECOND // 25
    recording.add_packets(
        [
            Packet(0, bytes(p), p.pts * period, p.dts * period, period, p.is_keyframe)
            for p in encoded[joined:]
        ]
    )
    recording.finish(2 * SECOND, ABOUT)

    first = next(n for n in range(joined, 25) if encoded[n].is_keyframe)
    decoder = av.CodecContext.create("libdav1d" if codec == "av1" else codec, "r")
    straight = [frame for packet in [*encoded[first:], None] for frame in decoder.decode(packet)]
    pictures, times = seen(tmp_path / "v.mp4")
    np.testing.assert_array_equal(pictures, [frame.to_ndarray() for frame in straight])
    np.testing.assert_allclose(times, np.arange(25 - first) / 25, atol=1e-6)
    shown = program("ffprobe", "-v", "error", "-show_streams", "-of", "json", tmp_path / "v.mp4")
    assert json.loads(shown)["streams"][0]["codec_tag_string"] == tag
    what = ("-v", "error", "-xerror", "-i", tmp_path / "v.mp4", "-f", "null", "-")
    assert program("ffmpeg", *what) == ""


# Sound that does not keep step

TONE = np.arange(48_000, dtype=np.int16)


def sound_packets(pieces):
    """(first, last) samples of TONE and when they were recorded, relative to the first picture."""
    return [
        Packet(
            1,
            TONE[first:last].tobytes(),
            SECOND + at_ns,
            SECOND + at_ns,
            (last - first) * SECOND // 48_000,
        )
        for first, last, at_ns in pieces
    ]


def record_sound(path, pieces):
    formats = [
        StreamFormat("video", "mjpeg", 25, b"", 64, 48),
        StreamFormat("audio", "pcm_s16le", 1000, sample_rate=48_000, channels=1),
    ]
    recording = Recording(path, formats, ABOUT)
    period = SECOND // 25
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
    (picture,) = encoder.encode(frame.reformat(format="yuvj420p"))
    recording.add_packets(
        [
            Packet(0, bytes(picture), SECOND + n * period, SECOND + n * period, period)
            for n in range(25)
        ]
    )
    recording.add_packets(sound_packets(pieces))
    recording.finish(3 * SECOND, ABOUT)


def played(path):
    """Sample by sample: (time in samples from zero, value)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    at = np.concatenate(
        [round(f.pts * f.time_base * 48_000) + np.arange(f.samples) for f in frames]
    )
    return at, np.concatenate([f.to_ndarray().ravel() for f in frames])


def test_sound_that_began_before_the_first_picture_is_cut_to_the_sample(tmp_path, program):
    record_sound(
        tmp_path / "v.mp4",
        [(n, n + 480, n * SECOND // 48_000 - 25_000_000) for n in range(0, 48_000, 480)],
    )
    at, values = played(tmp_path / "v.mp4")
    assert at[0] == 0
    np.testing.assert_array_equal(values, TONE[1200:])
    assert program("ffmpeg", "-v", "error", "-i", tmp_path / "v.mp4", "-f", "null", "-") == ""


def test_sound_that_began_later_waits(tmp_path):
    record_sound(tmp_path / "v.mp4", [(0, 4800, 250_000_000)])
    at, values = played(tmp_path / "v.mp4")
    assert at.tolist() == list(range(12_000, 16_800))
    np.testing.assert_array_equal(values, TONE[:4800])


def test_lost_sound_leaves_a_gap(tmp_path, program):
    record_sound(tmp_path / "v.mp4", [(0, 4800, 0), (4800, 9600, 300_000_000)])
    at, values = played(tmp_path / "v.mp4")
    assert at.tolist() == [*range(4800), *range(14_400, 19_200)]
    np.testing.assert_array_equal(values, TONE[:9600])
    assert program("ffmpeg", "-v", "error", "-i", tmp_path / "v.mp4", "-f", "null", "-") == ""
