"""What the program rpicam-vid writes, cut into pictures and what is told of them.

In github.com/raspberrypi/rpicam-apps: output/output.cpp (times from the first picture on, in
milliseconds with three decimals; the metadata of each request in the order in which they were
taken), output/file_output.cpp, encoder/libav_encoder.cpp.
"""

from __future__ import annotations

import errno
import re
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

from drivers.errors import DeviceError
from drivers.libcamera_pictures import Request

PROGRAM = "rpicam-vid"

MOST_APART = 60
"""Pictures, between what is known of them and themselves."""

_LONGEST = 1 << 20
_MODE = re.compile(rb"Selected sensor format: (\d+)x(\d+)-")
_CROP = re.compile(r"\(-?\d+, -?\d+\)/(\d+)x(\d+)")


class Pipe(StrEnum):
    """What it writes to, by the names of the files.

    Both of its encoders take a name in .h264 for a plain stream with times and metadata beside it.
    """

    VIDEO = "video.h264"
    TIMES = "times"
    METADATA = "metadata"


def first_moment(stamps_us: Sequence[int], times_us: Sequence[int]) -> int | None:
    """The first stamp from which on there is a stamp at each of the times.

    It need not be the first of all: an encoder may leave out the picture that it was given first.
    """
    known = set(stamps_us)
    return next((s for s in stamps_us if all(s + t in known for t in times_us)), None)


class RpicamOutput:
    """What the program has told so far, in the order in which it did.

    `requests`    what libcamera has told of pictures
    `frames`      time in microseconds, access unit, whether it is a key frame
    `mode`        of the sensor, pixels, where libcamera has logged it
    `last_words`  the last line that it wrote as a log
    """

    def __init__(self) -> None:
        import av  # late: the rest of the drivers does without FFmpeg

        self.requests: list[Request] = []
        self.frames: list[tuple[int, bytes, bool]] = []
        self.mode: tuple[int, int] | None = None
        self.last_words = "it says nothing"
        self._parser = av.VideoCodecContext.create("h264", "r")
        self._units: deque[tuple[bytes, bool]] = deque()
        self._times: deque[int] = deque()
        self._rest: dict[str, bytes] = {}

    def take(self, pipe: str, data: bytes) -> None:
        """What has come from one of the pipes. DeviceError where it makes no sense."""
        try:
            match pipe:
                case Pipe.VIDEO:
                    for unit in self._parser.parse(data):
                        self._units.append((bytes(unit), unit.is_keyframe))
                case Pipe.TIMES:
                    self._times += map(_microseconds, self._cut(pipe, data, b"\n"))
                case Pipe.METADATA:
                    self.requests += map(_request, self._cut(pipe, data, b"\n\n"))
                case _:
                    for line in self._cut(pipe, data, b"\n"):
                        self._listen(line)
        except (KeyError, ValueError) as error:
            raise DeviceError(
                errno.EPROTO, f"{PROGRAM} writes {pipe} that cannot be read: {error}"
            ) from None

    def pair(self) -> None:
        """Put pictures and their times together: they are written at once, one for one."""
        while self._units and self._times:
            self.frames.append((self._times.popleft(), *self._units.popleft()))
        if max(len(self._units), len(self._times)) > MOST_APART:
            raise DeviceError(
                errno.EPROTO, f"{PROGRAM} writes other times than pictures: is it H.264?"
            )

    def _cut(self, pipe: str, data: bytes, end: bytes) -> list[bytes]:
        """What is whole by now."""
        *whole, rest = (self._rest.get(pipe, b"") + data).split(end)
        if len(rest) > _LONGEST:
            raise ValueError(f"{len(rest)} bytes without an end")
        self._rest[pipe] = rest
        return [piece for piece in whole if not piece.startswith(b"#")]  # as the times' first line

    def _listen(self, line: bytes) -> None:
        if said := _MODE.search(line):
            self.mode = (int(said[1]), int(said[2]))
        self.last_words = line.decode(errors="replace").strip() or self.last_words


def _microseconds(line: bytes) -> int:
    """Of "33.327", milliseconds."""
    whole, _, thousandths = line.partition(b".")
    return int(whole) * 1000 + int(thousandths)


def _request(lines: bytes) -> Request:
    """Of lines as "ExposureTime=9987", in microseconds."""
    parts = (line.partition("=") for line in lines.decode(errors="replace").splitlines())
    told = {name: value for name, _, value in parts}
    crop = _CROP.fullmatch(told.get("ScalerCrop", ""))
    return Request(
        sensor_ns=int(told["SensorTimestamp"]),
        exposure_ns=int(told["ExposureTime"]) * 1000,
        crop=None if crop is None else (int(crop[1]), int(crop[2])),
    )
