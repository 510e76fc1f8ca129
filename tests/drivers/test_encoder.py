"""Pictures keep their times on their way through an encoder."""

import av
import numpy as np
import pytest

from camm import UsageError
from drivers.camera import CameraOptions
from drivers.encoder import VideoEncoder
from drivers.errors import DeviceError
from drivers.shutter import Shutter

SECOND = 1_000_000_000
SIZE = (64, 48)


def encoder(pixels="yuv420p", **options):
    made = VideoEncoder(CameraOptions("camera", *SIZE, **{"encoder": "libx264", **options}))
    made.open(*SIZE, pixels)
    return made


def picture(number=0, pixels="yuv420p"):
    rgb = np.full((SIZE[1], SIZE[0], 3), number * 7 % 256, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixels)


def encoded(made, times, **kind):
    shutters = [Shutter(t, t - 5, 10, 0) for t in times]
    return [p for i, s in enumerate(shutters) for p in made.encode(picture(i, **kind), s)]


def test_times_come_out_as_they_went_in():
    rng = np.random.default_rng(4)
    times = 3600 * SECOND + np.cumsum(rng.integers(1, 2 * SECOND // 30, 40))
    made = encoder()
    packets = encoded(made, times.tolist())
    assert [p.pts_ns for p in packets] == times.tolist()
    assert [p.dts_ns for p in packets] == times.tolist()
    assert {(p.exposure_start_ns, p.exposure_ns, p.skew_ns) for p in packets} == {
        (t - 5, 10, 0) for t in times.tolist()
    }
    assert {p.duration_ns for p in packets} == {SECOND // 30}


@pytest.mark.parametrize("fps", [30, 10, 4])
def test_a_key_frame_comes_every_second_however_slowly_the_camera_films(fps):
    """It was asked for 30, and films less in the dark."""
    times = [SECOND + i * SECOND // fps for i in range(3 * fps)]
    made, still = encoder(fps=30.0), picture()
    packets = [p for t in times for p in made.encode(still, Shutter(t))]
    assert [p.pts_ns for p in packets if p.keyframe] == [SECOND * n for n in (1, 2, 3)]


def test_a_picture_that_is_no_later_than_the_last_is_left_out_and_counted():
    made = encoder()
    packets = encoded(made, [SECOND, 2 * SECOND, 2 * SECOND, SECOND, 3 * SECOND])
    assert [p.pts_ns // SECOND for p in packets] == [1, 2, 3]
    assert made.repeated == 2


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj422p", "yuyv422", "nv12"])
@pytest.mark.parametrize("name", ["libx264", "libx265"])
def test_what_comes_out_can_be_decoded_and_is_what_went_in(pixels, name):
    made = encoder(pixels, encoder=name)
    packets = encoded(made, [i * SECOND // 30 for i in range(1, 9)], pixels=pixels)
    form = made.format
    decoder = av.CodecContext.create(form.codec, "r")
    decoder.extradata = form.extradata
    frames = [f for p in packets for f in decoder.decode(av.Packet(p.data))]
    frames += decoder.decode(None)
    assert (form.codec, form.width, form.height) == (
        {"libx264": "h264", "libx265": "hevc"}[name],
        *SIZE,
    )
    for number, frame in enumerate(frames):
        assert abs(frame.to_ndarray(format="rgb24").mean() - number * 7) < 4
    assert len(frames) == len(packets) == 8


def test_the_hardware_is_done_without_where_it_does_not_open():
    assert encoder(encoder="auto").name in ("h264_v4l2m2m", "libx264")


def test_an_encoder_that_ffmpeg_does_not_have_is_a_usage_error():
    with pytest.raises(UsageError, match="no encoder 'h266': say libx264"):
        encoder(encoder="h266")


def test_one_that_cannot_do_what_is_asked_is_a_device_error():
    made = VideoEncoder(CameraOptions("camera", encoder="libx264"))
    with pytest.raises(DeviceError, match="libx264 cannot encode 63 x 47"):
        made.open(63, 47, "yuv420p")


def test_nothing_is_encoded_before_it_is_open():
    with pytest.raises(DeviceError, match="not open"):
        VideoEncoder(CameraOptions("camera")).encode(picture(), Shutter(0))


def test_bits_go_by_size_and_rate_unless_they_are_said():
    assert CameraOptions("camera").bits_per_second == 6_220_800
    assert CameraOptions("camera", bitrate_kbit=9000).bits_per_second == 9_000_000
