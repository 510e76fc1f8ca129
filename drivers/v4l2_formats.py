"""What a video device is, and which pictures it has to offer: for `doctor`, and to choose by.

Linux, Documentation/userspace-api/media/v4l: VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT,
VIDIOC_ENUM_FRAMESIZES, VIDIOC_ENUM_FRAMEINTERVALS.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from camm.errors import UsageError
from drivers import videodev2
from drivers.errors import DeviceError
from drivers.videodev2 import Node

_SLACK = 1.01  # 29.97 a second will do for 30


@dataclass(frozen=True, slots=True)
class Input:
    """What a device may deliver, and FFmpeg's names for it."""

    fourcc: bytes
    codec: str
    pixels: str = ""

    @property
    def number(self) -> int:
        """As V4L2 has it."""
        return int.from_bytes(self.fourcc, "little")

    @property
    def is_stream(self) -> bool:
        """Whether it is passed on as it is."""
        return self.codec in ("h264", "hevc")


INPUTS = {
    "h264": Input(b"H264", "h264"),
    "hevc": Input(b"HEVC", "hevc"),
    "nv12": Input(b"NV12", "rawvideo", "nv12"),
    "yu12": Input(b"YU12", "rawvideo", "yuv420p"),
    "yuyv": Input(b"YUYV", "rawvideo", "yuyv422"),
    "uyvy": Input(b"UYVY", "rawvideo", "uyvy422"),
    "mjpeg": Input(b"MJPG", "mjpeg", "yuvj422p"),
}
"""By our names for them, the best first: what needs least of the host, and has lost least."""

_NAMES = {which.number: name for name, which in INPUTS.items()}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device says of itself."""

    driver: str
    card: str
    bus: str


@dataclass(frozen=True, slots=True)
class Mode:
    """Pictures of one size.

    `input`     our name for what they are in, of `INPUTS`, or V4L2's four letters
    `rates`     how many a second, the most first; of a range only its ends; none where the driver
                does not tell
    `smallest`  where any size up to this one will do, the least
    """

    input: str
    width: int
    height: int
    rates: Sequence[float]
    smallest: tuple[int, int]

    def does(self, width: int, height: int, fps: float) -> bool:
        """Whether it has pictures of that size so often; where it tells no rates it may."""
        return (
            self.smallest[0] <= width <= self.width
            and self.smallest[1] <= height <= self.height
            and fps <= max(self.rates, default=fps) * _SLACK
        )

    def __str__(self) -> str:
        fastest = f" at {max(self.rates):g}/s" if self.rates else ""
        return f"{self.width} x {self.height}{fastest} ({self.input})"


def identity(node: Node, name: str) -> Identity:
    """Who it is. DeviceError where it is no camera."""
    capability = videodev2.Capability()
    try:
        node.call(videodev2.QUERYCAP, capability)
    except OSError as error:
        raise DeviceError(errno.ENODEV, f"{name} is no video device: {error.strerror}") from None
    can = capability.capabilities
    if can & videodev2.HAS_DEVICE_CAPABILITIES:
        can = capability.device_caps
    if not (can & videodev2.CAN_CAPTURE and can & videodev2.CAN_STREAM):
        raise DeviceError(
            errno.ENODEV,
            f"{name} delivers no pictures ({_text(capability.card)}): cameras have several "
            "devices, try another",
        )
    return Identity(*map(_text, (capability.driver, capability.card, capability.bus_info)))


def modes(node: Node) -> Iterator[Mode]:
    """All that it has to offer, the best of its inputs first."""
    numbers = []
    for index in range(_MANY):
        described = videodev2.FormatDescription(index=index, type=videodev2.CAPTURE)
        if not _answers(node, videodev2.ENUM_FMT, described):
            break
        numbers.append(described.pixelformat)
    best = {which.number: place for place, which in enumerate(INPUTS.values())}
    for number in sorted(numbers, key=lambda number: best.get(number, len(best))):
        name = _NAMES.get(number) or number.to_bytes(4, "little").decode("ascii", "replace")
        yield from _sizes(node, name, number)


def choose(found: Sequence[Mode], name: str, width: int, height: int, fps: float) -> str:
    """The input to ask for: the one of that name, or the best that does what is asked.

    UsageError for a name that we do not know; DeviceError, with what there is instead, where the
    device cannot do it.
    """
    if name not in ("auto", *INPUTS):
        raise UsageError(f"no input is called {name!r}; there are: auto, {', '.join(INPUTS)}")
    known = [mode for mode in found if mode.input in INPUTS and name in ("auto", mode.input)]
    for mode in known:
        if mode.does(width, height, fps):
            return mode.input
    instead = ", ".join(map(str, known or found)) or "nothing"
    wanted = "" if name == "auto" else f" {name} of"
    raise DeviceError(
        errno.EINVAL, f"no{wanted} {width} x {height} at {fps:g}/s here; there is: {instead}"
    )


_MANY = 1000  # a driver that never says "no more" is not asked for ever


def _sizes(node: Node, name: str, number: int) -> Iterator[Mode]:
    for index in range(_MANY):
        size = videodev2.FrameSize(index=index, pixel_format=number)
        if not _answers(node, videodev2.ENUM_FRAMESIZES, size):
            return
        if size.type == videodev2.DISCRETE:
            width, height = smallest = size.numbers[0], size.numbers[1]
        else:  # least, most and step of the width, then of the height
            width, height = size.numbers[1], size.numbers[4]
            smallest = size.numbers[0], size.numbers[3]
        rates = sorted(_rates(node, number, width, height), reverse=True)
        yield Mode(name, width, height, rates, smallest)
        if size.type != videodev2.DISCRETE:
            return


def _rates(node: Node, number: int, width: int, height: int) -> Iterator[float]:
    for index in range(_MANY):
        found = videodev2.FrameInterval(
            index=index, pixel_format=number, width=width, height=height
        )
        if not _answers(node, videodev2.ENUM_FRAMEINTERVALS, found):
            return
        discrete = found.type == videodev2.DISCRETE
        for interval in found.intervals[: 1 if discrete else 2]:
            if interval.numerator:
                yield interval.denominator / interval.numerator
        if not discrete:
            return


def _answers(node: Node, request: int, argument: videodev2.Argument) -> bool:
    """Whether there is one of that index. DeviceError where the device has gone."""
    try:
        node.call(request, argument)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise DeviceError(
            error.errno or errno.EIO, f"the camera does not answer: {error.strerror}"
        ) from None
    return True


def _text(letters: bytes) -> str:
    return letters.decode("utf-8", "replace")
