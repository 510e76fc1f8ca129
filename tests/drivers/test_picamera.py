"""A camera through picamera2, of which a stand-in is put in the place of the package."""

import importlib
import select
import sys
from pathlib import Path

import pytest

from camm.errors import UsageError
from drivers.camera import CameraOptions
from drivers.errors import DeviceError
from drivers.line_time import SensorMode
from drivers.picamera import Picamera

LINE_NS = 18_904.0
FRAME_US = 33_333
OPTIONS = CameraOptions("picamera2", width=1640, height=1232, fps=30)


class Clock:
    """Time passes where somebody waits in vain."""

    def __init__(self):
        self.t_ns = 5_000_000_000_000

    def now_ns(self):
        return self.t_ns

    def wait_readable(self, descriptor, until_ns):
        if select.select([descriptor], [], [], 0)[0]:
            return True
        self.t_ns = until_ns
        return False


@pytest.fixture
def package(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "standin")
    yield importlib.import_module("picamera2")
    for name in [name for name in sys.modules if name.partition(".")[0] == "picamera2"]:
        del sys.modules[name]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def camera(package, clock):
    camera = Picamera(OPTIONS, clock, lambda _: SensorMode(1640, 1232, LINE_NS))
    yield camera
    camera.close()


class Scene:
    """Takes pictures, and knows when every row of each was exposed."""

    def __init__(self, package, clock, rows=(0, 1231)):
        (self.device,) = package.Picamera2.opened
        self.encoder = self.device.running[0] if self.device.running else None
        self.clock = clock
        self.opened_ns = clock.now_ns()
        self.began_us = self.opened_ns // 1000
        self.rows = rows
        self.truth = {}

    def take(self, *numbers, late=()):
        for number in numbers:
            # Stamps have whole microseconds and are never quite regular.
            sensor_ns = (self.began_us + number * FRAME_US + number * number % 7) * 1000
            read_out_ns = self.opened_ns + number * FRAME_US * 1000 + 40_000_000
            self.clock.t_ns = max(self.clock.t_ns, read_out_ns)
            exposure_us = 9000 + number * 53 % 900
            first, last = (sensor_ns + row * LINE_NS for row in self.rows)
            self.truth[number] = (first - exposure_us * 1000, last, exposure_us * 1000)
            self.device.take(number, sensor_ns, exposure_us, late=number in late)

    def check(self, packets):
        """The numbers of pictures; that their shutter was their own, to a microsecond."""
        numbers = [int(packet.data.removeprefix(b"picture ")) for packet in packets]
        for number, packet in zip(numbers, packets, strict=True):
            start_ns, end_ns, exposure_ns = self.truth[number]
            assert packet.pts_ns == pytest.approx((start_ns + end_ns) / 2, abs=1000)
            assert packet.dts_ns == packet.pts_ns
            assert packet.exposure_start_ns == pytest.approx(start_ns, abs=1000)
            assert packet.exposure_ns == exposure_ns
            assert packet.skew_ns == pytest.approx(end_ns - start_ns - exposure_ns, abs=1000)
        return numbers


@pytest.fixture
def scene(package, clock, camera):
    """A camera that has been opened and read from: its encoder runs."""
    package.Picamera2.opened.clear()
    camera.open()
    assert list(camera.read()) == []
    return Scene(package, clock)


def test_every_picture_has_the_shutter_that_was_its_own(camera, scene):
    scene.take(*range(100))
    packets = camera.read()
    assert scene.check(packets) == list(range(100))
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 30, 60, 90]


def test_what_was_filmed_before_the_first_read_is_not_handed_out(package, clock, camera):
    package.Picamera2.opened.clear()
    camera.open()
    scene = Scene(package, clock)
    assert scene.device.started
    scene.take(0, 1, 2)
    camera.read()
    scene.take(3, 4)
    assert scene.check(camera.read()) == [3, 4]
    assert camera.describe()["dropped_by_encoder"] == 0


def test_pictures_that_were_taken_before_the_encoder_ran_were_not_left_out(camera, scene):
    running, scene.device.running = scene.device.running, []
    scene.take(0, 1)
    scene.device.running = running
    scene.take(2, 3)
    assert scene.check(camera.read()) == [2, 3]
    assert camera.describe()["dropped_by_encoder"] == 0


def test_an_encoder_may_keep_pictures_for_a_while(camera, scene):
    scene.encoder.delay = 5
    scene.take(*range(7))
    assert scene.check(camera.read()) == [0, 1]
    scene.take(7)
    assert scene.check(camera.read()) == [2]


def test_pictures_that_the_encoder_leaves_out_are_counted(camera, scene):
    scene.encoder.left_out = [3, 4, 9]
    scene.take(*range(12))
    assert scene.check(camera.read()) == [0, 1, 2, 5, 6, 7, 8, 10, 11]
    assert camera.describe()["dropped_by_encoder"] == 3


def test_pictures_that_nobody_gets_leave_a_gap(camera, scene):
    scene.take(0, 1, 2, 7, 8)
    assert scene.check(camera.read()) == [0, 1, 2, 7, 8]
    assert camera.describe()["dropped_by_encoder"] == 0


def test_what_is_told_late_is_waited_for(camera, scene):
    scene.take(*range(10), late=[0, 4, 5, 9])
    assert scene.check(camera.read()) == list(range(10))
    assert camera.describe()["without_shutter"] == 0


def test_a_picture_of_which_nothing_is_told_has_a_time_and_no_shutter(camera, scene):
    hear, scene.device.pre_callback = scene.device.pre_callback, None
    scene.take(0)
    assert list(camera.read()) == []
    scene.device.pre_callback = hear
    scene.take(1, 2)
    packets = camera.read()
    assert [packet.exposure_ns is None for packet in packets] == [True, False, False]
    assert scene.check(packets[1:]) == [1, 2]
    assert camera.describe()["without_shutter"] == 1


def test_a_camera_that_tells_nothing_of_its_pictures_is_still_a_camera(camera, scene):
    scene.device.pre_callback = None
    scene.take(*range(40))
    packets = camera.read()
    assert len(packets) == 10
    assert packets[0].data == b"picture 0"
    assert {packet.exposure_ns for packet in packets} == {None}


def test_a_camera_that_goes_away_gives_nothing_and_can_be_closed(camera, scene, clock):
    scene.take(0, 1)
    camera.read()
    scene.device.gone = True
    before_ns = clock.now_ns()
    assert list(camera.read()) == []
    assert clock.now_ns() - before_ns == 500_000_000
    camera.close()
    camera.close()
    assert scene.device.closed
    assert not scene.encoder.running


def test_it_can_be_opened_again(package, clock, camera, scene):
    scene.take(0, 1)
    camera.close()
    package.Picamera2.opened.clear()
    camera.open()
    camera.read()
    again = Scene(package, clock)
    again.take(5, 6)
    assert again.check(camera.read()) == [5, 6]


def test_pictures_may_come_while_it_is_being_closed(camera, scene):
    scene.encoder.delay = 3
    scene.take(0, 1, 2)
    camera.close()  # the encoder gives what it has kept
    assert not scene.encoder.running


def test_the_picture_shows_the_middle_of_what_the_sensor_reads(package, clock, camera):
    package.Picamera2.opened.clear()
    package.Picamera2.scaler_crop = (0, 310, 3280, 1844)
    camera.open()
    camera.read()
    scene = Scene(package, clock, rows=(155, 155 + 922 - 1))
    scene.take(*range(5))
    assert scene.check(camera.read()) == list(range(5))


def test_where_nobody_knows_the_line_time_no_shutter_is_made_up(package, clock):
    package.Picamera2.opened.clear()
    package.Picamera2.sensor_mode = (1332, 990)
    camera = Picamera(OPTIONS, clock, lambda _: None)
    camera.open()
    camera.read()
    scene = Scene(package, clock, rows=(0, 0))
    scene.take(0)
    (packet,) = camera.read()
    camera.close()
    start_ns, end_ns, _ = scene.truth[0]
    assert packet.pts_ns == pytest.approx((start_ns + end_ns) / 2, abs=1000)
    assert (packet.exposure_start_ns, packet.exposure_ns, packet.skew_ns) == (None, None, None)
    assert camera.describe()["line_time"] == "nobody"


def test_times_of_another_clock_are_refused(camera, scene):
    scene.began_us += 3_600_000_000  # CLOCK_BOOTTIME, after an hour of sleep
    scene.take(0)
    with pytest.raises(DeviceError, match="3600 s ahead of CLOCK_MONOTONIC"):
        camera.read()


def test_a_reader_that_is_late_gets_the_same(camera, scene, clock):
    scene.take(0, 1, 2)
    clock.t_ns += 12_000_000_000
    assert scene.check(camera.read()) == [0, 1, 2]


def test_pictures_out_of_order_are_refused(camera, scene):
    scene.take(0, 2)
    scene.take(1)
    with pytest.raises(DeviceError, match="B-frames"):
        camera.read()


def test_pictures_that_nobody_fetches_are_not_kept_for_ever(camera, scene):
    scene.take(*range(600))
    with pytest.raises(DeviceError, match="not been fetched in time"):
        camera.read()


def test_it_says_what_its_encoder_is_asked_for(camera, scene):
    assert scene.encoder.bitrate == OPTIONS.bits_per_second
    assert (scene.encoder.iperiod, scene.encoder.repeat) == (30, True)
    (stream,) = camera.formats
    assert (stream.codec, stream.width, stream.height) == ("h264", 1640, 1232)
    assert camera.describe()["encoder"] == "V4L2 hardware"


def test_on_a_pi_5_the_encoder_is_software(package, monkeypatch, clock):
    monkeypatch.setattr(package.encoders, "H264Encoder", package.encoders.LibavH264Encoder)
    package.Picamera2.opened.clear()
    camera = Picamera(OPTIONS, clock, lambda _: SensorMode(1640, 1232, LINE_NS))
    camera.open()
    camera.read()
    scene = Scene(package, clock)
    scene.take(0, 1)
    assert scene.check(camera.read()) == [0, 1]
    assert camera.describe()["encoder"] == "libx264"
    camera.close()


def test_an_encoder_that_does_not_start_is_told(package, monkeypatch, camera):
    monkeypatch.setattr(
        package.encoders.Encoder, "refuses", FileNotFoundError(2, "No such file", "/dev/video11")
    )
    camera.open()
    with pytest.raises(DeviceError, match=r"no encoder starts: .*/dev/video11"):
        camera.read()


def test_a_camera_that_something_else_holds_is_told(package, monkeypatch, camera):
    monkeypatch.setattr(package.Picamera2, "refuses", "Failed to acquire camera: Device busy")
    with pytest.raises(DeviceError, match=r"something else hold it.*busy"):
        camera.open()


def test_a_libcamera_that_does_not_start_is_told(package, monkeypatch, camera):
    def refuse():
        raise RuntimeError("failed to start camera manager")

    monkeypatch.setattr(package.Picamera2, "global_camera_info", refuse)
    with pytest.raises(DeviceError, match="libcamera does not start: failed"):
        camera.open()


def test_a_number_that_no_camera_has_is_told(package, clock):
    with pytest.raises(DeviceError, match=r"^there is no camera 2, libcamera finds 2"):
        Picamera(CameraOptions("picamera2:2"), clock).open()


def test_a_camera_on_usb_is_read_by_another_driver(package, clock):
    with pytest.raises(UsageError, match="name its /dev/video"):
        Picamera(CameraOptions("picamera2:1"), clock).open()


def test_an_encoder_that_picamera2_has_not_is_told(package, clock):
    with pytest.raises(UsageError, match="say auto or libx264"):
        Picamera(CameraOptions("picamera2", encoder="libx265"), clock).open()


def test_a_host_without_the_package_is_told_what_to_install(monkeypatch, clock):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(DeviceError, match="apt install python3-picamera2"):
        Picamera(OPTIONS, clock).open()


def test_a_package_for_another_numpy_is_told(tmp_path, monkeypatch, clock):
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match="not work with this NumPy"):
        Picamera(OPTIONS, clock).open()
