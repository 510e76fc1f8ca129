"""The V4L2 camera against a kernel of bytes, by hand from linux/videodev2.h for 64 bits."""

import ctypes
import errno
import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from camm import UsageError
from drivers import videodev2
from drivers.camera import CameraOptions
from drivers.errors import DeviceError
from drivers.v4l2_camera import V4l2Camera
from drivers.v4l2_formats import Mode, identity, modes

pytestmark = pytest.mark.skipif(struct.calcsize("P") != 8, reason="the bytes are of 64 bits")

MS = 1_000_000
SECOND = 1_000 * MS
BOOTED = 7200 * SECOND
WIDTH, HEIGHT = 64, 48

MONOTONIC, COPY, START, ERROR = 0x2000, 0x4000, 0x10000, 0x40
EXPOSURE_AUTO, EXPOSURE_ABSOLUTE = 0x9A0901, 0x9A0902

# _IOWR('V', 5, struct v4l2_format) and so on, as `strace` prints them.
QUERYCAP, ENUM_FMT, S_FMT, REQBUFS = 0x80685600, 0xC0405602, 0xC0D05605, 0xC0145608
QUERYBUF, QBUF, DQBUF = 0xC0585609, 0xC058560F, 0xC0585611
STREAMON, STREAMOFF, S_PARM, G_CTRL = 0x40045612, 0x40045613, 0xC0CC5616, 0xC008561B
FRAMESIZES, FRAMEINTERVALS = 0xC02C564A, 0xC034564B


def fourcc(name):
    return int.from_bytes(name.encode(), "little")


class Kernel:
    """A device whose driver answers in bytes; it will deliver `grabs` of (ns, data, flags)."""

    def __init__(self, driver="uvcvideo", offers=(("MJPG", WIDTH, HEIGHT, (30, 15)),), grabs=()):
        self.driver, self.offers, self.grabs = driver, list(offers), list(grabs)
        self.controls = {}
        self.capabilities = (0x84200001, 0x04200001)
        self.refuse = {}
        self.rate = None
        self.asked = []
        self.memory = bytearray(4 << 16)
        self.queued = []
        self.filming = self.closed = False
        self.opened_size = None
        self.pipe = os.pipe()

    def fileno(self):
        return self.pipe[0]

    def close(self):
        if not self.closed:
            self.closed = True
            for end in self.pipe:
                os.close(end)

    def map(self, length, offset):
        return memoryview(self.memory)[offset : offset + length]

    def call(self, request, argument):
        self.asked.append(request)
        if request in self.refuse:
            raise OSError(self.refuse[request], os.strerror(self.refuse[request]))
        before = bytes(argument)
        assert len(before) == request >> 16 & 0x3FFF  # the size that the request tells
        after = getattr(self, f"on_{request:08x}")(before)
        ctypes.memmove(ctypes.addressof(argument), after, len(before))

    def on_80685600(self, _):
        names = struct.pack("16s32s32s", self.driver.encode(), b"A camera", b"usb-1.2")
        return names + struct.pack("6I", 0x60000, *self.capabilities, 0, 0, 0)

    def on_c0405602(self, before):
        index, kind = struct.unpack_from("II", before)
        assert kind == 1
        names = list(dict.fromkeys(name for name, *_ in self.offers))
        if index >= len(names):
            raise OSError(errno.EINVAL, "Invalid argument")
        return struct.pack("3I32s5I", index, 1, 0, b"?", fourcc(names[index]), 0, 0, 0, 0)

    def on_c02c564a(self, before):
        index, number = struct.unpack_from("II", before)
        sizes = [offer for offer in self.offers if fourcc(offer[0]) == number]
        if index >= len(sizes):
            raise OSError(errno.EINVAL, "Invalid argument")
        _, width, height, _ = sizes[index]
        if isinstance(width, tuple):
            return struct.pack("11I", index, number, 3, *width, *height, 0, 0)
        return struct.pack("5I24x", index, number, 1, width, height)

    def on_c034564b(self, before):
        index, number, width, height = struct.unpack_from("4I", before)
        [rates] = [
            rates
            for name, w, _, rates in self.offers
            if fourcc(name) == number and width == (w[1] if isinstance(w, tuple) else w)
        ]
        if isinstance(rates, range):
            if index:
                raise OSError(errno.EINVAL, "Invalid argument")
            ends = (1, rates.stop, 1, rates.start, 1, 1)
            return struct.pack("13I", index, number, width, height, 2, *ends, 0, 0)
        if index >= len(rates):
            raise OSError(errno.EINVAL, "Invalid argument")
        return struct.pack("7I24x", index, number, width, height, 1, 1, rates[index])

    def on_c0d05605(self, before):
        kind, width, height, number = struct.unpack_from("I4x3I", before)
        assert kind == 1
        self.set_to = (number.to_bytes(4, "little").decode(), width, height)
        if self.opened_size:
            width, height = self.opened_size
        return before[:8] + struct.pack("3I", width, height, number) + before[20:]

    def on_c0cc5616(self, before):
        numerator, denominator = struct.unpack_from("2I", before, 12)
        self.asked_rate = denominator / numerator
        if self.rate is None:
            return before
        return before[:12] + struct.pack("2I", 1, self.rate) + before[20:]

    def on_c0145608(self, before):
        assert struct.unpack_from("3I", before) == (8, 1, 1)
        return struct.pack("I", 4) + before[4:]

    def on_c0585609(self, before):
        index, kind = struct.unpack_from("2I", before)
        assert (kind, struct.unpack_from("I", before, 60)) == (1, (1,))
        return before[:64] + struct.pack("I4xI", index << 16, 1 << 16) + before[76:]

    def on_c058560f(self, before):
        self.queued.append(struct.unpack_from("I", before)[0])
        return before

    def on_c0585611(self, before):
        if not self.grabs or not self.queued:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        t_ns, data, flags = self.grabs.pop(0)
        if isinstance(t_ns, OSError):
            raise t_ns
        index = self.queued.pop(0)
        self.memory[index << 16 : (index << 16) + len(data)] = data
        head = struct.pack("5I", index, 1, len(data), flags, 0)
        stamp = struct.pack("2q", t_ns // SECOND, t_ns % SECOND // 1000)
        return head + bytes(4) + stamp + before[40:]

    def on_40045612(self, before):
        assert struct.unpack("i", before) == (1,)
        self.filming = True
        return before

    def on_40045613(self, before):
        self.filming = False
        return before

    def on_c008561b(self, before):
        [number] = struct.unpack_from("I", before)
        if number not in self.controls:
            raise OSError(errno.EINVAL, "Invalid argument")
        return struct.pack("Ii", number, self.controls[number])


class Clock:
    """Stands still, and waits for nothing."""

    def __init__(self, kernel):
        self.kernel, self.t_ns = kernel, BOOTED

    def now_ns(self):
        return self.t_ns

    def wait_readable(self, fd, until_ns):
        assert fd == self.kernel.fileno()
        if self.kernel.grabs:
            return True
        self.t_ns = until_ns
        return False


def camera(kernel, **options):
    asked = {"width": WIDTH, "height": HEIGHT, "encoder": "libx264", **options}
    return V4l2Camera(CameraOptions("/dev/video9", **asked), Clock(kernel), lambda path: kernel)


@pytest.fixture(scope="module")
def jpeg():
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuvj422p"
    encoder.time_base = Fraction(1, 30)
    frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), format="rgb24")
    [packet] = [*encoder.encode(frame.reformat(format="yuvj422p")), *encoder.encode(None)]
    return bytes(packet)


def filmed(kernel, **options):
    made = camera(kernel, **options)
    made.open()
    packets = []
    while kernel.grabs:
        packets += made.read()
    about = made.describe()
    made.close()
    return packets, about


USB = MONOTONIC | START


def test_a_picture_has_the_kernels_time(jpeg):
    kernel = Kernel(grabs=[(BOOTED + i * 33_333 * 1000, jpeg, USB) for i in range(5)])
    packets, about = filmed(kernel)
    assert [p.pts_ns for p in packets] == [BOOTED + i * 33_333_000 for i in range(5)]
    assert [p.keyframe for p in packets] == [True, False, False, False, False]
    assert all(p.exposure_start_ns is None for p in packets)
    assert about["time"] == "start of read-out, by the kernel's stamp"
    assert (about["card"], about["input"], about["encoder"]) == ("A camera", "mjpeg", "libx264")
    assert (about["exposure"], about["line_time"]) == ("chosen by the camera", "nobody")
    assert kernel.closed
    assert not kernel.filming


def test_the_shutter_is_told_where_exposure_and_line_time_are_known(jpeg):
    kernel = Kernel(grabs=[(BOOTED, jpeg, USB)])
    kernel.controls = {EXPOSURE_AUTO: 1, EXPOSURE_ABSOLUTE: 80}
    [packet], about = filmed(kernel, line_time_ns=10_000.0)
    skew = 47 * 10_000
    assert (packet.exposure_start_ns, packet.exposure_ns, packet.skew_ns) == (
        BOOTED - 8 * MS,
        8 * MS,
        skew,
    )
    assert packet.pts_ns == BOOTED - 8 * MS + (8 * MS + skew) // 2
    assert (about["exposure"], about["line_time"]) == ("told by the camera", "configuration")


def test_an_exposure_that_the_camera_chooses_is_not_believed(jpeg):
    """What the control then holds is what somebody once set."""
    kernel = Kernel(grabs=[(BOOTED, jpeg, USB)])
    kernel.controls = {EXPOSURE_AUTO: 3, EXPOSURE_ABSOLUTE: 80}
    [packet], _ = filmed(kernel, line_time_ns=0.0)
    assert (packet.pts_ns, packet.exposure_ns) == (BOOTED, None)


def test_an_exposure_that_somebody_changes_is_asked_for_again(jpeg):
    kernel = Kernel(grabs=[(BOOTED + i * SECOND // 4 // 1000 * 1000, jpeg, USB) for i in range(6)])
    kernel.controls = {EXPOSURE_AUTO: 1, EXPOSURE_ABSOLUTE: 80}
    made = camera(kernel, line_time_ns=0.0)
    made.open()
    first = made.read()
    kernel.controls[EXPOSURE_ABSOLUTE] = 20
    packets = [packet for _ in range(5) for packet in made.read()]
    made.close()
    assert {p.exposure_ns for p in first} == {8 * MS}
    assert [p.exposure_ns for p in packets] == [8 * MS] * 3 + [2 * MS] * 2


@pytest.mark.parametrize(
    ("driver", "flags", "moved_ms", "told"),
    [
        ("uvcvideo", MONOTONIC | START, -4, "start of read-out, by the kernel's stamp"),
        ("vivid", MONOTONIC | START, 4, "start of exposure, by the kernel's stamp"),
        ("vivid", MONOTONIC, -4, "end of frame, by the kernel's stamp"),
    ],
)
def test_a_stamp_is_what_its_flags_say(jpeg, driver, flags, moved_ms, told):
    kernel = Kernel(driver, grabs=[(BOOTED, jpeg, flags)])
    kernel.controls = {EXPOSURE_AUTO: 1, EXPOSURE_ABSOLUTE: 80}
    [packet], about = filmed(kernel, line_time_ns=0.0)
    assert packet.pts_ns == BOOTED + moved_ms * MS
    assert about["time"] == told


def test_a_stamp_of_another_clock_is_not_used(jpeg):
    kernel = Kernel("v4l2 loopback", grabs=[(5 * SECOND, jpeg, COPY)])
    [packet], about = filmed(kernel)
    assert packet.pts_ns == BOOTED
    assert about["time"] == "end of frame, by its arrival"


def test_damaged_pictures_leave_a_gap(jpeg):
    whole = [(BOOTED + i * 33 * MS, jpeg, USB) for i in range(4)]
    whole[1] = (whole[1][0], jpeg, USB | ERROR)
    whole[2] = (whole[2][0], b"\xff\xd8 no picture", USB)
    packets, _ = filmed(Kernel(grabs=whole))
    assert [p.pts_ns - BOOTED for p in packets] == [0, 99 * MS]


def test_no_damage_ends_the_camera(jpeg):
    """Bits that are turned, pictures that are cut off, noise: FFmpeg has many words for them."""
    rng = np.random.default_rng(1)
    grabs = []
    for i in range(200):
        data = bytearray(jpeg)
        if i % 4 == 1:
            data = data[: rng.integers(1, len(data))]
        elif i % 4 == 2:
            for place in rng.integers(0, len(data), 8):
                data[place] = rng.integers(256)
        elif i % 4 == 3:
            data = rng.bytes(100)
        grabs.append((BOOTED + i * 33 * MS, bytes(data), USB))
    packets, _ = filmed(Kernel(grabs=grabs))
    told = {(p.pts_ns - BOOTED) // (33 * MS) for p in packets}
    assert told >= set(range(0, 200, 4))
    assert not told & set(range(3, 200, 4))


def test_a_picture_that_says_another_size_is_damaged(jpeg):
    at = jpeg.index(b"\xff\xc0") + 5  # of its SOF0: height and width follow
    narrower = jpeg[:at] + struct.pack(">HH", HEIGHT, WIDTH // 2) + jpeg[at + 4 :]
    grabs = [(BOOTED + i * 33 * MS, d, USB) for i, d in enumerate([jpeg, narrower, jpeg])]
    packets, _ = filmed(Kernel(grabs=grabs))
    assert [p.pts_ns - BOOTED for p in packets] == [0, 66 * MS]


def test_a_raw_picture_that_is_cut_off_leaves_a_gap():
    whole = bytes([90, 128]) * (WIDTH * HEIGHT)
    grabs = [(BOOTED + i * 33 * MS, d, USB) for i, d in enumerate([whole, whole[:1000], whole])]
    packets, _ = filmed(Kernel(offers=[("YUYV", WIDTH, HEIGHT, (30,))], grabs=grabs))
    assert [p.pts_ns - BOOTED for p in packets] == [0, 66 * MS]


def test_raw_pictures_are_encoded():
    kernel = Kernel(
        offers=[("YUYV", WIDTH, HEIGHT, (30,))],
        grabs=[(BOOTED, bytes([90, 128]) * (WIDTH * HEIGHT), USB)],
    )
    made = camera(kernel)
    made.open()
    [packet] = made.read()
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = made.formats[0].extradata
    [frame] = [*decoder.decode(av.Packet(packet.data)), *decoder.decode(None)]
    made.close()
    assert frame.to_ndarray(format="gray").mean() == pytest.approx(86, abs=4)


def test_what_the_camera_encodes_is_passed_on():
    key, other = b"\0\0\0\1\x67sps\0\0\0\1\x65picture", b"\0\0\0\1\x41picture"
    kernel = Kernel(
        offers=[("MJPG", WIDTH, HEIGHT, (30,)), ("H264", WIDTH, HEIGHT, (30,))],
        grabs=[(BOOTED, other, USB), (BOOTED + MS, key, USB)],
    )
    packets, about = filmed(kernel, encoder="auto")
    assert [(p.data, p.keyframe) for p in packets] == [(other, False), (key, True)]
    assert about["encoder"] == "in the camera"
    assert kernel.set_to == ("H264", WIDTH, HEIGHT)


def test_hevc_is_known_by_its_pictures_too():
    key, other = b"\0\0\1\x26\1picture", b"\0\0\1\2\1picture"
    kernel = Kernel(
        offers=[("HEVC", WIDTH, HEIGHT, (30,))],
        grabs=[(BOOTED, key, USB), (BOOTED + MS, other, USB)],
    )
    packets, _ = filmed(kernel, encoder="auto")
    assert [p.keyframe for p in packets] == [True, False]


def test_who_names_an_encoder_gets_it():
    """And so does who sets a bit rate, which the camera would not heed."""
    offers = [("H264", WIDTH, HEIGHT, (30,)), ("MJPG", WIDTH, HEIGHT, (30,))]
    for options in ({"encoder": "libx264"}, {"encoder": "auto", "bitrate_kbit": 500}):
        kernel = Kernel(offers=offers)
        filmed(kernel, **options)
        assert kernel.set_to[0] == "MJPG"
        with pytest.raises(UsageError, match="leave encoder and bitrate_kbit out"):
            camera(Kernel(offers=offers), input="h264", **options).open()


def test_nothing_is_filmed_before_the_first_read(jpeg):
    kernel = Kernel(grabs=[(BOOTED, jpeg, USB)])
    made = camera(kernel)
    made.open()
    assert not kernel.filming
    assert kernel.queued == []
    made.read()
    assert kernel.filming
    assert sorted(kernel.queued) == [0, 1, 2, 3]
    made.close()
    made.close()


def test_a_camera_that_shows_nothing_is_waited_for_a_moment_at_a_time():
    kernel = Kernel()
    made = camera(kernel)
    made.open()
    assert list(made.read()) == []
    assert made._clock.t_ns - BOOTED <= SECOND // 2
    made.close()


def test_one_that_is_unplugged_says_so_and_can_be_opened_again(jpeg):
    gone = OSError(errno.ENODEV, "No such device")
    kernels = [Kernel(grabs=[(gone, b"", 0)]), Kernel(grabs=[(BOOTED, jpeg, USB)])]
    kernels[0].refuse[STREAMOFF] = errno.ENODEV
    left = list(kernels)
    made = V4l2Camera(
        CameraOptions("/dev/video9", WIDTH, HEIGHT, encoder="libx264"),
        Clock(kernels[0]),
        lambda path: left.pop(0),
    )
    made.open()
    with pytest.raises(DeviceError, match="/dev/video9 has gone: check its cable"):
        made.read()
    made._clock.kernel = kernels[1]
    made.open()
    assert kernels[0].closed
    assert len(made.read()) == 1
    made.close()


@pytest.mark.parametrize(
    ("request_number", "number", "told"),
    [
        (S_FMT, errno.EBUSY, "is used by another program"),
        (REQBUFS, errno.ENOMEM, "is in use, or has no memory"),
        (STREAMON, errno.ENOSPC, "does not start: No space left"),
        (QUERYCAP, errno.ENOTTY, "is no video device"),
    ],
)
def test_what_the_driver_refuses_is_told_in_words(request_number, number, told):
    kernel = Kernel()
    kernel.refuse[request_number] = number
    made = camera(kernel)
    with pytest.raises(DeviceError, match=told):
        _ = made.open() or made.read()
    made.close()
    assert kernel.closed


def test_what_the_camera_cannot_do_is_told_with_what_it_can():
    kernel = Kernel(offers=[("MJPG", 1280, 720, (30,)), ("YUYV", 640, 480, (30, 15))])
    with pytest.raises(DeviceError, match=r"no 1920 x 1080 at 30/s here; there is: 640 x 480"):
        camera(kernel, width=1920, height=1080).open()
    with pytest.raises(DeviceError, match=r"no yuyv of 1280 x 720 at 30/s here"):
        camera(kernel, width=1280, height=720, input="yuyv").open()
    with pytest.raises(UsageError, match="no input is called 'rgb'"):
        camera(kernel, input="rgb").open()


def test_a_driver_that_tells_no_rates_is_asked_for_the_one_that_is_wanted(jpeg):
    kernel = Kernel(grabs=[(BOOTED, jpeg, USB)])
    kernel.refuse[FRAMEINTERVALS] = errno.ENOTTY
    packets, _ = filmed(kernel)
    assert len(packets) == 1
    assert kernel.asked_rate == 30
    other = Kernel()
    other.refuse[FRAMEINTERVALS], other.rate = errno.ENOTTY, 25
    with pytest.raises(DeviceError, match="films 25 times a second: say fps = 25"):
        camera(other).open()


def test_a_camera_that_offers_nothing_is_told():
    with pytest.raises(DeviceError, match="no 64 x 48 at 30/s here; there is: nothing"):
        camera(Kernel(offers=[])).open()


def test_a_driver_that_does_something_else_is_not_let(tmp_path):
    kernel = Kernel()
    kernel.opened_size = (32, 24)
    with pytest.raises(DeviceError, match="makes 32 x 24 of 64 x 48"):
        camera(kernel).open()
    kernel = Kernel()
    kernel.rate = 25
    with pytest.raises(DeviceError, match="films 25 times a second: say fps = 25"):
        camera(kernel).open()
    assert kernel.asked_rate == 30


def test_all_that_it_offers_is_listed_the_best_first():
    kernel = Kernel(
        offers=[
            ("MJPG", 1920, 1080, (30, 15)),
            ("MJPG", 1280, 720, (60,)),
            ("pRAA", 3280, 2464, ()),
            ("YUYV", (64, 1280, 2), (48, 720, 2), range(1, 90)),
        ]
    )
    assert list(modes(kernel)) == [
        Mode("yuyv", 1280, 720, [90, 1], (64, 48)),
        Mode("mjpeg", 1920, 1080, [30, 15], (1920, 1080)),
        Mode("mjpeg", 1280, 720, [60], (1280, 720)),
        Mode("pRAA", 3280, 2464, [], (3280, 2464)),
    ]
    yuyv = next(modes(kernel))
    assert yuyv.does(640, 480, 90)
    assert not yuyv.does(1920, 480, 30)
    assert not yuyv.does(640, 40, 30)
    kernel.close()


def test_who_it_is_and_whether_it_is_a_camera():
    kernel = Kernel()
    found = identity(kernel, "/dev/video9")
    assert (found.driver, found.card, found.bus) == ("uvcvideo", "A camera", "usb-1.2")
    kernel.capabilities = (0x84A00001, 0x04A00000)  # its other device has metadata
    with pytest.raises(DeviceError, match="delivers no pictures"):
        identity(kernel, "/dev/video10")
    kernel.close()


def test_a_device_that_is_not_there_is_told_in_words(tmp_path):
    with pytest.raises(DeviceError, match=r"there is no .*video9: is the camera plugged in"):
        V4l2Camera(CameraOptions(f"{tmp_path}/video9"), Clock(None)).open()


def test_requests_are_those_of_the_kernel():
    names = ("QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON")
    names += ("STREAMOFF", "S_PARM", "G_CTRL")
    assert [getattr(videodev2, name) for name in names] == [globals()[name] for name in names]
    assert (videodev2.ENUM_FRAMESIZES, videodev2.ENUM_FRAMEINTERVALS) == (
        FRAMESIZES,
        FRAMEINTERVALS,
    )
