"""Encoded pictures and what libcamera tells of them, brought together: when each was exposed.

An encoder passes pictures on later than they were taken, and may leave some out; what libcamera
tells of a request comes another way. Both carry the time of the sensor, and by that they are
matched.

That time (SensorTimestamp) is taken by the kernel at the CSI-2 frame start, in CLOCK_MONOTONIC: the
first row begins to be read out, so its exposure has just ended. (The control's own text says
otherwise; see picamera2's examples/timestamp_capture.py and its wait_for_timestamp_.)
"""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass, replace

from camm.media import Packet
from drivers.errors import DeviceError
from drivers.line_time import ReadOut
from drivers.shutter import Shutter, Stamped, shutter

_PATIENCE = 30  # pictures that wait for what is told of the first of them
_AHEAD_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What libcamera tells of a picture.

    `sensor_ns`    when its first row ended to be exposed, CLOCK_MONOTONIC
    `exposure_ns`  how long each row was exposed
    `crop`         width and height of what it shows, in pixels of the whole sensor (ScalerCrop)
    """

    sensor_ns: int
    exposure_ns: int
    crop: tuple[int, int] | None = None

    @property
    def sensor_us(self) -> int:
        """By which its picture is known: encoders count microseconds."""
        return self.sensor_ns // 1000


class Pictures:
    """Packets out of requests and encoded frames, both in the order of their times."""

    def __init__(self, frame_ns: int, out: ReadOut) -> None:
        self._frame_ns = frame_ns
        self._out = out
        self._requests: deque[Request] = deque()
        self._frames: deque[tuple[int, bytes, bool]] = deque()
        self._newest_us: int | None = None
        self._done_us: int | None = None
        self._last = Request(0, 0)
        self.dropped_by_encoder = 0
        """Requests that were told and whose picture never came."""
        self.without_request = 0
        """Pictures of which nothing was told: they have a time and no shutter."""

    def add_request(self, request: Request, now_ns: int) -> None:
        """DeviceError where its time is not of the clock that all others are of."""
        ahead_ns = request.sensor_ns - now_ns
        if ahead_ns > _AHEAD_NS:  # CLOCK_BOOTTIME, which libcamera says that it is
            raise DeviceError(
                errno.EINVAL,
                f"libcamera's times are {ahead_ns / 1e9:.0f} s ahead of CLOCK_MONOTONIC: the host "
                "has slept, restart it",
            )
        if self._done_us is None or request.sensor_us > self._done_us:
            self._requests.append(request)

    def add_frame(self, sensor_us: int, data: bytes, keyframe: bool) -> None:
        """DeviceError where it is not later than the one before."""
        if self._newest_us is not None and sensor_us <= self._newest_us:
            raise DeviceError(
                errno.EINVAL, "the encoder gives pictures out of order: it must not use B-frames"
            )
        self._newest_us = sensor_us
        self._frames.append((sensor_us, data, keyframe))

    def ready(self) -> list[Packet]:
        """The next packets: up to the first frame whose request may still come."""
        packets = []
        while self._frames:
            sensor_us, data, keyframe = self._frames[0]
            while self._requests and self._requests[0].sensor_us < sensor_us:
                self._requests.popleft()
                # Before the first picture come those that were taken before the encoder ran.
                self.dropped_by_encoder += self._done_us is not None
            told = bool(self._requests) and self._requests[0].sensor_us == sensor_us
            if told:
                self._last = request = self._requests.popleft()
            elif self._requests or len(self._frames) > _PATIENCE:
                request = replace(self._last, sensor_ns=sensor_us * 1000)
                self.without_request += 1
            else:
                break
            self._frames.popleft()
            self._done_us = sensor_us
            packets.append(self._packet(request, told, data, keyframe))
        return packets

    def describe(self) -> dict[str, int]:
        """For the clip."""
        return {
            "dropped_by_encoder": self.dropped_by_encoder,
            "without_shutter": self.without_request,
        }

    def _packet(self, request: Request, told: bool, data: bytes, keyframe: bool) -> Packet:
        first_ns, skew_ns = self._rows(request.crop)
        stamp_ns = request.sensor_ns + first_ns
        was = shutter(stamp_ns, Stamped.START_OF_READOUT, request.exposure_ns, skew_ns)
        if not told:
            was = Shutter(was.centre_ns)
        return Packet(
            stream=0,
            data=data,
            pts_ns=was.centre_ns,
            dts_ns=was.centre_ns,
            duration_ns=self._frame_ns,
            keyframe=keyframe,
            exposure_start_ns=was.start_ns,
            exposure_ns=was.exposure_ns,
            skew_ns=was.skew_ns,
        )

    def _rows(self, crop: tuple[int, int] | None) -> tuple[int, int | None]:
        """How much later the picture's first row is read than the sensor's, and its last than that.

        What counts are the sensor's rows, not the picture's: its mode may join some into one or
        leave some out, and the picture is scaled to its size. It shows the middle of what the mode
        reads, all of its width or all of its height. 0, None where the read-out is not known.
        """
        if self._out.line_ns is None:
            return 0, None
        width, height = self._out.size or (1, 1)  # of a global shutter, where it does not matter
        rows = float(height)
        if crop is not None:
            rows = crop[1] / max(crop[0] / width, crop[1] / height)
        return round((height - rows) / 2 * self._out.line_ns), round((rows - 1) * self._out.line_ns)
