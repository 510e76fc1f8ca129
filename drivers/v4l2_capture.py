"""Pictures out of a V4L2 device, with the kernel's stamp of each.

FFmpeg has this too (libavdevice), but waits where a camera hangs, and keeps to itself what the
stamps mean. Linux, Documentation/userspace-api/media/v4l/mmap.rst and buffer.rst.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from ctypes import c_int32
from dataclasses import dataclass

from drivers import videodev2
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.v4l2_formats import Input
from drivers.videodev2 import Node

_BUFFERS = 8
_NEAR = 0.02  # of the rate that was asked for


@dataclass(frozen=True, slots=True)
class Grab:
    """A picture as the driver hands it over; `stamp_ns` is what `flags` say it is."""

    data: bytes
    stamp_ns: int
    flags: int


class Capture:
    """Sets a device up, takes pictures out of its ring of buffers and gives the buffers back.

    All its errors are DeviceErrors; `name` is how they call the device.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self._name = name
        self._memory: list[memoryview] = []
        self._running = False

    def set_up(self, which: Input, width: int, height: int, fps: float) -> None:
        """DeviceError where the driver makes something else of it."""
        form = videodev2.Format(type=videodev2.CAPTURE)
        picture = form.any.picture
        picture.width, picture.height, picture.pixelformat = width, height, which.number
        self._call(videodev2.S_FMT, form, "cannot be set up")
        if (picture.width, picture.height, picture.pixelformat) != (width, height, which.number):
            raise DeviceError(
                errno.EINVAL,
                f"{self._name} makes {picture.width} x {picture.height} of {width} x {height}: "
                "ask for what `cammcorder doctor` lists",
            )
        parameters = videodev2.Parameters(type=videodev2.CAPTURE)
        interval = parameters.any.capture.interval
        interval.numerator, interval.denominator = 1000, round(fps * 1000)
        self._call(videodev2.S_PARM, parameters, "does not take a rate")
        got = interval.denominator / interval.numerator if interval.numerator else fps
        if abs(got / fps - 1) > _NEAR:
            raise DeviceError(
                errno.EINVAL, f"{self._name} films {got:g} times a second: say fps = {got:g}"
            )
        request = videodev2.BufferRequest(_BUFFERS, videodev2.CAPTURE, videodev2.MEMORY_MMAP)
        self._call(videodev2.REQBUFS, request, "is in use, or has no memory")
        for index in range(request.count):
            buffer = self._buffer(index)
            self._call(videodev2.QUERYBUF, buffer, "has no buffers")
            self._memory.append(self._node.map(buffer.length, buffer.place.offset))

    def start(self) -> None:
        """Film from now on."""
        for index in range(len(self._memory)):
            self._call(videodev2.QBUF, self._buffer(index), "takes no buffers")
        self._call(videodev2.STREAMON, c_int32(videodev2.CAPTURE), "does not start")
        self._running = True

    def next(self, clock: Clock, until_ns: int) -> Grab | None:
        """The next picture; None where none comes until then, or one that is damaged."""
        if not clock.wait_readable(self._node.fileno(), until_ns):
            return None
        buffer = self._buffer(0)
        try:
            self._node.call(videodev2.DQBUF, buffer)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._error(error, "delivers no more") from None
        data = bytes(self._memory[buffer.index][: buffer.bytesused])
        self._call(videodev2.QBUF, buffer, "takes no buffers")
        if buffer.flags & videodev2.BUFFER_ERROR or not data:
            return None
        stamp_ns = (buffer.seconds * 1_000_000 + buffer.microseconds) * 1000
        return Grab(data, stamp_ns, buffer.flags)

    def control(self, number: int) -> int | None:
        """The value of a control; None where the camera has no such."""
        control = videodev2.Control(number)
        try:
            self._node.call(videodev2.G_CTRL, control)
        except OSError:
            return None
        return int(control.value)

    def close(self) -> None:
        """Stop filming and let go of the device. May be called twice."""
        if self._running:
            self._running = False
            with suppress(OSError):  # it has been unplugged: closing it is all that is left
                self._node.call(videodev2.STREAMOFF, c_int32(videodev2.CAPTURE))
        self._memory.clear()
        self._node.close()

    def _buffer(self, index: int) -> videodev2.Buffer:
        return videodev2.Buffer(index=index, type=videodev2.CAPTURE, memory=videodev2.MEMORY_MMAP)

    def _call(self, request: int, argument: videodev2.Argument, failure: str) -> None:
        try:
            self._node.call(request, argument)
        except OSError as error:
            raise self._error(error, failure) from None

    def _error(self, error: OSError, failure: str) -> DeviceError:
        number = error.errno or errno.EIO
        if number == errno.ENODEV:
            return DeviceError(number, f"{self._name} has gone: check its cable")
        if number == errno.EBUSY:
            return DeviceError(number, f"{self._name} is used by another program: end that")
        return DeviceError(number, f"{self._name} {failure}: {error.strerror}")
