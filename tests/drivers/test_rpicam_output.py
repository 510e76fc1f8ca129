"""What rpicam-vid writes, in pieces of any size, and anything else in its place."""

from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import DeviceError
from drivers.libcamera_pictures import Request
from drivers.rpicam_output import Pipe, RpicamOutput, first_moment

TIMES = b"# timecode format v2\n0.000\n33.327\n66.661\n100.003\n1000.001\n"
METADATA = (
    b"FrameDuration=33333\nSensorTimestamp=77123456000\nScalerCrop=(0, 310)/3280x1844\n"
    b"ExposureTime=9987\nLux=inf\nColourGains=[ 1.612500, 1.894531 ]\n\n"
    b"SensorTimestamp=77156783000\nExposureTime=10012\n\n"
)
REQUESTS = [
    Request(77_123_456_000, 9_987_000, (3280, 1844)),
    Request(77_156_783_000, 10_012_000, None),
]


@pytest.fixture(scope="module")
def film():
    """Six pictures, the first and the fourth of them key frames."""
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.gop_size = Fraction(1, 30), 3
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    units = []
    for number in range(6):
        picture = np.full((72, 64), 40 * number, np.uint8)
        units += map(bytes, encoder.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
    return units


def in_pieces(data, cuts):
    ends = sorted({cut % len(data) for cut in cuts} - {0})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True)]


@given(st.lists(st.integers(0), max_size=30))
def test_pictures_times_and_metadata_may_come_in_any_pieces(film, cuts):
    output = RpicamOutput()
    video = b"".join(film)
    for pipe, data in ((Pipe.VIDEO, video), (Pipe.TIMES, TIMES), (Pipe.METADATA, METADATA)):
        for piece in in_pieces(data, cuts):
            output.take(pipe, piece)
    output.pair()
    # That the last picture is whole shows when another one begins.
    assert [unit for _, unit, _ in output.frames] == film[:5]
    assert [time_us for time_us, _, _ in output.frames] == [0, 33_327, 66_661, 100_003, 1_000_001]
    assert [key for _, _, key in output.frames] == [True, False, False, True, False]
    assert output.requests == REQUESTS


@given(st.sampled_from([*Pipe, "errors"]), st.binary(max_size=2000))
def test_whatever_comes_is_taken_or_refused_in_one_line(pipe, data):
    output = RpicamOutput()
    with suppress(DeviceError):
        output.take(pipe, data)
        output.pair()
    assert "\n" not in output.last_words


@pytest.mark.parametrize(
    ("pipe", "data", "told"),
    [
        (Pipe.TIMES, b"hello\n", "writes times that cannot be read"),
        (Pipe.METADATA, b"ExposureTime=10\n\n", "writes metadata .* 'SensorTimestamp'"),
        (Pipe.METADATA, b"x" * 1_100_000, "writes metadata .* 1100000 bytes without an end"),
    ],
)
def test_what_makes_no_sense_is_refused(pipe, data, told):
    with pytest.raises(DeviceError, match=told):
        RpicamOutput().take(pipe, data)


def test_times_without_pictures_are_refused():
    output = RpicamOutput()
    output.take(Pipe.TIMES, b"".join(b"%d.000\n" % n for n in range(61)))
    with pytest.raises(DeviceError, match="other times than pictures"):
        output.pair()


def test_the_log_tells_the_mode_of_the_sensor():
    output = RpicamOutput()
    output.take(
        "errors",
        b"INFO RPI pisp.cpp:1483 Sensor: /base/axi/pcie@120000/rp1/i2c@88000/imx708@1a - Selected "
        b"sensor format: 2304x1296-SBGGR10_1X10/RAW - Selected CFE format: 2304x1296-PC1B/RAW\n"
        b"ERROR: *** no room ***\n\n",
    )
    assert output.mode == (2304, 1296)
    assert output.last_words == "ERROR: *** no room ***"


def test_the_first_picture_is_where_all_times_find_a_stamp():
    stamps = [1000, 34_336, 67_661, 101_003, 134_330, 167_660]
    assert first_moment(stamps, [0, 33_336, 66_661, 100_003]) == 1000
    assert first_moment(stamps, [0, 33_325, 66_667, 99_994]) == 34_336
    assert first_moment(stamps, [0, 33_333, 66_667, 99_999]) is None
