"""What of linux/videodev2.h and v4l2-controls.h we say to a video device, and the device itself.

The structures are laid out as the C compiler of this host does it, so that 32 bits work as well.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from ctypes import Structure, Union, c_char, c_int32, c_long, c_ubyte, c_uint32, c_void_p, sizeof
from typing import Protocol, TypeAlias

from drivers.errors import DeviceError

CAPTURE = 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE."""
MEMORY_MMAP = 1

CAN_CAPTURE = 0x00000001
CAN_STREAM = 0x04000000
HAS_DEVICE_CAPABILITIES = 0x80000000

DISCRETE = 1
"""V4L2_FRMSIZE_TYPE_DISCRETE, V4L2_FRMIVAL_TYPE_DISCRETE; others give a range."""

BUFFER_ERROR = 0x00000040
STAMP_MASK = 0x0000E000
STAMP_MONOTONIC = 0x00002000
STAMP_SOURCE_MASK = 0x00070000
STAMP_SOURCE_START = 0x00010000
"""V4L2_BUF_FLAG_TSTAMP_SRC_SOE; the other there is, 0, is the end of the frame."""

EXPOSURE_MODE = 0x009A0901
EXPOSURE_MANUAL, EXPOSURE_SHUTTER_PRIORITY = 1, 2
EXPOSURE_TIME = 0x009A0902
"""V4L2_CID_EXPOSURE_ABSOLUTE, units of 100 us."""


class Capability(Structure):
    """struct v4l2_capability."""

    _fields_ = [
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class FormatDescription(Structure):
    """struct v4l2_fmtdesc."""

    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class Fraction(Structure):
    """struct v4l2_fract: seconds from one picture to the next."""

    _fields_ = [("numerator", c_uint32), ("denominator", c_uint32)]


class FrameSize(Structure):
    """struct v4l2_frmsizeenum: width and height, or the least, most and step of each."""

    _fields_ = [
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("numbers", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    ]


class FrameInterval(Structure):
    """struct v4l2_frmivalenum: one interval, or the least, most and step."""

    _fields_ = [
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("intervals", Fraction * 3),
        ("reserved", c_uint32 * 2),
    ]


class Picture(Structure):
    """struct v4l2_pix_format."""

    _fields_ = [
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("colorspace", c_uint32),
        ("priv", c_uint32),
        ("flags", c_uint32),
        ("encoding", c_uint32),
        ("quantization", c_uint32),
        ("xfer_func", c_uint32),
    ]


class _AnyFormat(Union):
    _fields_ = [("picture", Picture), ("raw", c_ubyte * 200), ("pointer", c_void_p)]


class Format(Structure):
    """struct v4l2_format."""

    _fields_ = [("type", c_uint32), ("any", _AnyFormat)]


class Capture(Structure):
    """struct v4l2_captureparm."""

    _fields_ = [
        ("capability", c_uint32),
        ("mode", c_uint32),
        ("interval", Fraction),
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint32 * 4),
    ]


class _AnyParameters(Union):
    _fields_ = [("capture", Capture), ("raw", c_ubyte * 200)]


class Parameters(Structure):
    """struct v4l2_streamparm."""

    _fields_ = [("type", c_uint32), ("any", _AnyParameters)]


class BufferRequest(Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = [
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_ubyte),
        ("reserved", c_ubyte * 3),
    ]


class _Place(Union):
    _fields_ = [("offset", c_uint32), ("pointer", c_void_p)]


class Buffer(Structure):
    """struct v4l2_buffer."""

    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_long),
        ("microseconds", c_long),
        ("timecode", c_ubyte * 16),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("place", _Place),
        ("length", c_uint32),
        ("reserved", c_uint32),
        ("request", c_int32),
    ]


class Control(Structure):
    """struct v4l2_control."""

    _fields_ = [("id", c_uint32), ("value", c_int32)]


def _request(direction: int, number: int, size: int) -> int:
    """_IOC of asm-generic/ioctl.h, with the letter of V4L2."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


_WRITE, _READ, _BOTH = 1, 2, 3

QUERYCAP = _request(_READ, 0, sizeof(Capability))
ENUM_FMT = _request(_BOTH, 2, sizeof(FormatDescription))
S_FMT = _request(_BOTH, 5, sizeof(Format))
REQBUFS = _request(_BOTH, 8, sizeof(BufferRequest))
QUERYBUF = _request(_BOTH, 9, sizeof(Buffer))
QBUF = _request(_BOTH, 15, sizeof(Buffer))
DQBUF = _request(_BOTH, 17, sizeof(Buffer))
STREAMON = _request(_WRITE, 18, sizeof(c_int32))
STREAMOFF = _request(_WRITE, 19, sizeof(c_int32))
S_PARM = _request(_BOTH, 22, sizeof(Parameters))
G_CTRL = _request(_BOTH, 27, sizeof(Control))
ENUM_FRAMESIZES = _request(_BOTH, 74, sizeof(FrameSize))
ENUM_FRAMEINTERVALS = _request(_BOTH, 75, sizeof(FrameInterval))


Argument: TypeAlias = Structure | c_int32


class Node(Protocol):
    """A video device that is open."""

    def fileno(self) -> int:
        """Readable when a picture is there."""
        ...

    def call(self, request: int, argument: Argument) -> None:
        """Ask the driver, which writes into the argument. OSError where it refuses."""
        ...

    def map(self, length: int, offset: int) -> memoryview:
        """The memory of a buffer."""
        ...

    def close(self) -> None:
        """Let go of it. May be called twice."""
        ...


class VideoNode:
    """A /dev/videoN. DeviceError where there is none or no permission."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            number = error.errno or errno.EIO
            reason = {
                errno.ENOENT: f"there is no {path}: is the camera plugged in?",
                errno.EACCES: f"no permission for {path}: add this user to the group video",
            }.get(number, f"{path} cannot be opened: {error.strerror}")
            raise DeviceError(number, reason) from None

    def fileno(self) -> int:
        return self._fd

    def call(self, request: int, argument: Argument) -> None:
        fcntl.ioctl(self._fd, request, argument)

    def map(self, length: int, offset: int) -> memoryview:
        return memoryview(mmap.mmap(self._fd, length, offset=offset))

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
