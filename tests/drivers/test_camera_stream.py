"""A camera in the network: what it sends is passed on, and dated by when it comes."""

import errno
import itertools
import socket
import threading

import av
import numpy as np
import pytest

from camm import Packet, UsageError
from drivers import camera_stream
from drivers.camera import CameraOptions
from drivers.camera_stream import StreamCamera
from drivers.clock import HostClock
from drivers.errors import DeviceError
from drivers.find_camera import CameraKind, find_camera, kind_of

SECOND, MS = 1_000_000_000, 1_000_000
FRAME = SECOND // 25
BOOTED = 7200 * SECOND


class Looks:
    """A clock that moves on by a picture with every look at it."""

    t_ns = BOOTED

    def now_ns(self):
        self.t_ns += FRAME
        return self.t_ns


class Network:
    """The clock, and packets that come some time after they were sent."""

    def __init__(self, packets):
        self.packets, self.t_ns = list(packets), BOOTED
        self.formats = ()
        self.closed = False

    def now_ns(self):
        return self.t_ns

    def __call__(self, name, options, timeout_s):
        self.opened = (name, options)
        return self

    def next(self):
        if not self.packets:
            return None
        self.t_ns, packet = self.packets.pop(0)
        if isinstance(packet, Exception):
            raise packet
        return packet

    def close(self):
        self.closed = True


def sent(times, delays, stream=0):
    return [
        (BOOTED + t + d, Packet(stream, b"%d" % i, t, t, FRAME, i % 25 == 0))
        for i, (t, d) in enumerate(zip(times, delays, strict=True))
    ]


def received(monkeypatch, packets, count=None):
    """What comes after a first picture that only tells that there is no backlog."""
    before = (BOOTED - FRAME, Packet(0, b"", -FRAME, -FRAME, FRAME))
    network = Network([before, *packets])
    monkeypatch.setattr(camera_stream, "Demuxer", network)
    camera = StreamCamera(CameraOptions("rtsp://there/film"), network)
    camera.open()
    assert list(camera.read()) == []
    reads = len(packets) if count is None else count
    return [packet for _ in range(reads) for packet in camera.read()]


def test_a_picture_was_taken_shortly_before_it_comes_and_evenly(monkeypatch):
    """The camera's clock is 80 ppm slow; packets take 20 to 60 ms, now and then 200."""
    rng = np.random.default_rng(5)
    truth = np.arange(1500) * FRAME
    delays = rng.uniform(20 * MS, 60 * MS, 1500) + 140 * MS * (rng.random(1500) < 0.02)
    own = np.rint(truth * (1 - 80e-6)).astype(int)
    packets = [
        (BOOTED + int(t + d), Packet(0, b"", int(o), int(o), FRAME))
        for t, d, o in zip(truth, delays, own, strict=True)
    ]
    got = np.array([p.pts_ns for p in received(monkeypatch, packets)]) - BOOTED
    early = (got - truth)[250:]
    assert -150 * MS < early.min() < early.max() < 40 * MS
    assert np.diff(got)[250:].std() < MS
    assert np.ptp(early) < 20 * MS


def test_packets_are_passed_on_untouched_and_sound_keeps_its_distance(monkeypatch):
    pictures = sent(range(0, SECOND, FRAME), [30 * MS] * 25)
    sound = sent([t + 5 * MS for t in range(0, SECOND, FRAME)], [30 * MS] * 25, stream=1)
    packets = sorted(pictures + sound, key=lambda packet: packet[0])
    got = received(monkeypatch, packets)
    assert [p.data for p in got] == [p.data for _, p in packets]
    assert [p.keyframe for p in got] == [p.keyframe for _, p in packets]
    last_picture, last_sound = (next(p for p in got[::-1] if p.stream == s) for s in (0, 1))
    assert last_sound.pts_ns - last_picture.pts_ns == pytest.approx(5 * MS, abs=MS)


def test_sound_before_the_first_picture_has_no_time_yet(monkeypatch):
    packets = [*sent([0], [0], stream=1), *sent([FRAME], [0])]
    assert [p.stream for p in received(monkeypatch, packets)] == [0]


def test_what_was_kept_before_the_first_read_is_not_handed_out(monkeypatch):
    """A socket and FFmpeg have kept two seconds of it, which come at once."""
    times = range(0, 4 * SECOND, FRAME)
    packets = [
        (max(arrival, BOOTED + 2 * SECOND), packet) for arrival, packet in sent(times, [0] * 100)
    ]
    network = Network(packets)
    monkeypatch.setattr(camera_stream, "Demuxer", network)
    camera = StreamCamera(CameraOptions("rtsp://there/film"), network)
    camera.open()
    got = [packet for _ in packets for packet in camera.read()]
    assert [int(packet.data) for packet in got] == list(range(51, 100))
    assert all(abs(p.pts_ns - BOOTED - int(p.data) * FRAME) <= 150 * MS for p in got)


def test_a_stream_that_jumps_back_is_opened_anew(monkeypatch):
    packets = sent([0, FRAME, 2 * FRAME, FRAME], [0, 0, 0, 2 * FRAME])
    with pytest.raises(DeviceError, match="jumps in time"):
        received(monkeypatch, packets)


def test_a_stream_that_jumps_ahead_is_opened_anew(monkeypatch):
    packets = sent([0, FRAME, 3600 * SECOND], [0, 0, 2 * FRAME - 3600 * SECOND])
    with pytest.raises(DeviceError, match="jumps in time"):
        received(monkeypatch, packets)


def test_no_picture_is_of_later_than_it_comes_b_frames_or_not(monkeypatch):
    """Ten a second, three of four B-frames: the encoder waits for the picture behind them."""
    frame, packets = SECOND // 10, []
    for number in range(400):
        group, place = divmod(number, 4)
        shown = 4 * group + (4 if place == 0 else place)
        taken = (group * 4 + 4 + place) * frame  # when the encoder was given its last
        packet = Packet(0, b"", shown * frame, number * frame, frame)
        packets.append((BOOTED + taken + 10 * MS, packet))
    got = received(monkeypatch, packets)
    assert len(got) == 400
    late = [arrival - packet.pts_ns for (arrival, _), packet in zip(packets, got, strict=True)]
    assert all(0 <= ns <= 300 * MS for ns in late[100::4])
    assert all(p.dts_ns <= p.pts_ns for p in got)


def test_a_stream_that_ends_or_falls_silent_is_a_camera_that_has_gone(monkeypatch):
    with pytest.raises(DeviceError, match="has ended the stream"):
        received(monkeypatch, sent([0], [0]), count=2)
    silent = (BOOTED, av.error.ExitError(errno.ETIMEDOUT, "Immediate exit requested"))
    with pytest.raises(DeviceError, match="rtsp://there/film is silent: nothing for 3 s"):
        received(monkeypatch, [silent])


def film(path):
    with av.open(str(path), "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path.read_bytes()


def test_a_stream_over_a_real_socket(tmp_path):
    content = film(tmp_path / "film.ts")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        camera = find_camera(CameraOptions(url), Looks())
        camera.open()
        packets = [packet for _ in range(20) for packet in camera.read()]
        thread.join()
        camera.close()
        camera.close()
    assert (camera.formats[0].codec, camera.formats[0].width) == ("h264", 64)
    assert len(packets) == 19
    assert {p.dts_ns - q.dts_ns for p, q in itertools.pairwise(packets)} == {-FRAME}
    assert "arrival" in camera.describe()["time"]
    with pytest.raises(DeviceError, match="is not open"):
        camera.read()


def test_nobody_there_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DeviceError, match="does not answer: Connection refused; is the camera"):
        find_camera(CameraOptions(f"tcp://127.0.0.1:{port}"), HostClock()).open()


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("picamera2", CameraKind.PICAMERA2),
        ("picamera2:1", CameraKind.PICAMERA2),
        ("rpicam-vid", CameraKind.RPICAM_VID),
        ("/dev/video0", CameraKind.V4L2),
        ("/dev/v4l/by-id/usb-Camera-video-index0", CameraKind.V4L2),
        ("rtsp://10.0.0.2:554/main", CameraKind.STREAM),
        ("film.mp4", CameraKind.FILM),
        ("picamera2.mp4", CameraKind.FILM),
    ],
)
def test_a_name_says_what_reads_it(device, kind):
    assert kind_of(device) is kind


def test_a_camera_has_a_number_or_none():
    assert [CameraOptions(name).number for name in ("picamera2", "rpicam-vid:2")] == [0, 2]
    with pytest.raises(UsageError, match="a camera is called picamera2 or picamera2:1"):
        kind_of("picamera2:front")
