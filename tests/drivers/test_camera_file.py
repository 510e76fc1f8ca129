"""A file as a camera, against a film made on the spot."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from camm import UsageError
from drivers.camera_file import FileCamera
from drivers.errors import DeviceError, EndOfSource

RATE = Fraction(30_000, 1001)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """One second of H.264 with B-frames at 29.97 frames a second, and AAC."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"bf": "2", "g": "15"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("aac", rate=48_000)
        for n in range(30):
            picture = np.full((48, 64, 3), 8 * n, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(np.zeros((2, 1600), np.float32), format="fltp")
            sound.sample_rate = 48_000
            sound.pts = n * 1600
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def read_all(camera):
    packets = []
    try:
        while True:
            packets += camera.read()
    except EndOfSource:
        return packets


@pytest.fixture
def camera(film, clock):
    camera = FileCamera(film, clock)
    camera.open()
    yield camera
    camera.close()
    camera.close()


def test_the_formats_are_those_of_the_streams(camera, film):
    video, audio = camera.formats
    assert (video.kind, video.codec, video.width, video.height) == ("video", "h264", 64, 48)
    assert (audio.kind, audio.codec, audio.sample_rate, audio.channels) == (
        "audio",
        "aac",
        48_000,
        2,
    )
    assert audio.timescale == 48_000
    assert video.extradata.startswith(b"\x01")  # avcC
    with av.open(str(film)) as container:
        assert video.timescale == container.streams.video[0].time_base.denominator
    assert camera.duration_ns == pytest.approx(30 / RATE * 10**9, abs=1)


def test_packets_pass_untouched_in_the_order_of_the_file(camera, film):
    ours = read_all(camera)
    with av.open(str(film)) as container:
        theirs = [packet for packet in container.demux() if packet.size]
        assert [packet.data for packet in ours] == [bytes(packet) for packet in theirs]
        assert [packet.keyframe for packet in ours] == [packet.is_keyframe for packet in theirs]
    assert all(packet.exposure_ns is None for packet in ours)


def test_the_first_frame_shown_falls_on_the_first_read(camera, clock):
    clock.t_ns += 123
    start = clock.now_ns()
    video = [packet for packet in read_all(camera) if packet.stream == 0]
    shown = sorted(packet.pts_ns for packet in video)
    assert shown[0] == start
    assert shown == [start + round(n * 10**9 / RATE) for n in range(30)]
    assert [p.dts_ns for p in video] == sorted(p.dts_ns for p in video)
    assert [p.pts_ns for p in video] != shown  # there are B-frames
    assert all(p.dts_ns <= p.pts_ns for p in video)


def test_a_packet_is_handed_out_at_its_decoding_time(camera, clock):
    while True:
        before = clock.now_ns()
        try:
            [packet] = camera.read()
        except EndOfSource:
            break
        assert clock.now_ns() == max(before, packet.dts_ns)


def test_after_the_end_it_stays_at_the_end(camera):
    read_all(camera)
    with pytest.raises(EndOfSource, match="has come to its end"):
        camera.read()


@pytest.fixture(scope="module")
def other_film(tmp_path_factory):
    """Matroska, which has no decoding times: B-frames, and three sorts of sound."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"bf": "3", "b-adapt": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.sample_aspect_ratio = Fraction(4, 3)
        sounds = [
            container.add_stream("pcm_s24le", rate=96_000, layout="mono"),
            container.add_stream("alac", rate=44_100, layout="stereo"),
            container.add_stream("libopus", rate=48_000, layout="stereo"),
        ]
        for n in range(25):
            picture = np.full((48, 64, 3), 8 * n, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            for sound in sounds:
                length = sound.rate // 25
                silence = np.zeros((1, length * sound.channels), np.int16)
                frame = av.AudioFrame.from_ndarray(silence, "s16", sound.layout.name)
                frame.sample_rate, frame.pts = sound.rate, n * length
                container.mux(sound.encode(frame))
        for stream in (video, *sounds):
            container.mux(stream.encode(None))
    return path


@pytest.fixture
def other_camera(other_film, clock):
    camera = FileCamera(other_film, clock)
    camera.open()
    yield camera
    camera.close()


def test_every_sort_of_sound_is_a_stream(other_camera, other_film):
    video, *sounds = other_camera.formats
    assert video.pixel_aspect == (4, 3)
    assert [(sound.codec, sound.sample_rate, sound.channels) for sound in sounds] == [
        ("pcm_s24le", 96_000, 1),
        ("alac", 44_100, 2),
        ("opus", 48_000, 2),
    ]
    assert sounds[1].extradata[4:8] == b"alac"
    assert sounds[2].extradata.startswith(b"OpusHead")
    packets = read_all(other_camera)
    with av.open(str(other_film)) as container:
        for number in range(4):
            theirs = [bytes(packet) for packet in container.demux(number) if packet.size]
            assert [packet.data for packet in packets if packet.stream == number] == theirs
            container.seek(0)


def test_decoding_times_that_a_file_does_not_have_lead_up_to_those_it_has(other_camera, other_film):
    with av.open(str(other_film)) as container:
        missing = [packet.dts is None for packet in container.demux(video=0)][:3]
    assert missing == [True, True, False]
    video = [packet for packet in read_all(other_camera) if packet.stream == 0]
    dts = np.array([packet.dts_ns for packet in video])
    pts = np.array([packet.pts_ns for packet in video])
    assert set(np.diff(dts).tolist()) == {40_000_000}
    assert (dts <= pts).all()
    assert np.diff(np.sort(pts)).tolist() == [40_000_000] * 24
    assert (dts != pts).any()


def test_so_do_those_of_a_film_too_short_to_tell(tmp_path, clock):
    path = tmp_path / "short.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"bf": "2"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux([*video.encode(frame), *video.encode(None)])
    camera = FileCamera(path, clock)
    camera.open()
    start = clock.now_ns()
    [packet] = read_all(camera)
    assert (packet.pts_ns, packet.dts_ns) == (start, start - 40_000_000)
    camera.close()


def test_a_stream_without_any_times_is_a_device_error(tmp_path, clock):
    path = tmp_path / "raw.h264"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux([*video.encode(frame), *video.encode(None)])
    camera = FileCamera(path, clock)
    camera.open()
    with pytest.raises(DeviceError, match="packets without a time: remux it"):
        camera.read()
    camera.close()


def test_a_missing_file_is_a_usage_error(clock):
    with pytest.raises(UsageError, match=r"there is no file nowhere\.mp4"):
        FileCamera("nowhere.mp4", clock).open()


def test_a_file_without_video_is_a_usage_error(tmp_path, clock):
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    with pytest.raises(UsageError, match=r"sound\.wav holds no video"):
        FileCamera(path, clock).open()


def test_what_is_no_film_is_a_device_error(tmp_path, clock):
    path = tmp_path / "text.mp4"
    path.write_text("no film")
    with pytest.raises(DeviceError, match=r"text\.mp4 is no film that FFmpeg can read"):
        FileCamera(path, clock).open()


def test_reading_before_opening_says_so(film, clock):
    with pytest.raises(DeviceError, match="is not open"):
        FileCamera(film, clock).read()
