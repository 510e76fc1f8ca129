"""Pictures to H.264 or HEVC, each with the time at which it was taken."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from camm.errors import CammError, UsageError
from camm.media import Packet, StreamFormat
from drivers.camera import CameraOptions
from drivers.errors import DeviceError
from drivers.shutter import Shutter

if TYPE_CHECKING:
    from av import Packet as AvPacket
    from av import VideoCodecContext, VideoFrame, VideoStream
    from av.codec import Codec

_HARDWARE = "h264_v4l2m2m"
_SOFTWARE = "libx264"
_NANOSECOND = 1_000_000_000

_TUNING = {
    "libx264": {"tune": "zerolatency", "forced-idr": "1"},
    "libx265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "x265-params": "log-level=error",
    },
}
"""What each wants so that it neither looks ahead nor keeps pictures back."""

_PRESETS = ((8e6, "veryfast"), (20e6, "superfast"))
"""Up to so many pixels a second and core. At these a core of BENCHMARKS.md is busy for an eighth of
its time, and one three times slower for less than half."""


class VideoEncoder:
    """Turns pictures into packets whose times are those of the pictures.

    Encoders count pictures; their times wait here, exact to the nanosecond, until a packet comes
    out. A key frame comes at least every second of those times, also where a camera films more
    slowly than it was asked to, as fragments begin with one.
    """

    def __init__(self, options: CameraOptions) -> None:
        self._options = options
        self._context: VideoCodecContext | None = None
        self._times: dict[int, Shutter] = {}
        self._number = 0
        self._last_ns: int | None = None
        self._last_key_ns: int | None = None
        self.repeated = 0
        """Pictures that were no later than the one before, and were left out."""

    @property
    def name(self) -> str:
        """FFmpeg's name of what encodes; "" before `open`."""
        return "" if self._context is None else self._context.name

    @property
    def format(self) -> StreamFormat:
        """What comes out. After `open`."""
        context = self._opened()
        return StreamFormat(
            "video",
            context.codec.canonical_name,
            _TIMESCALE,
            bytes(context.extradata or b""),
            context.width,
            context.height,
        )

    def open(self, width: int, height: int, pixels: str) -> None:
        """Make ready for pictures of that size and pixel format.

        UsageError for an encoder that there is not, DeviceError where it cannot do this.
        """
        from av.video.reformatter import VideoReformatter

        asked = self._options.encoder
        names = [_HARDWARE, _SOFTWARE] if asked == "auto" else [asked]
        self.close()
        for name in names[:-1]:
            with suppress(CammError):
                self._context = open_context(self._options, name, width, height, pixels)
                break
        else:
            self._context = open_context(self._options, names[-1], width, height, pixels)
        self._reformatter = VideoReformatter()
        self._times.clear()
        self._last_ns = self._last_key_ns = None

    def encode(self, picture: VideoFrame, shutter: Shutter) -> Sequence[Packet]:
        """The packets that one more picture makes: one, but where an encoder is slow to begin."""
        import av
        from av.video.frame import PictureType

        context = self._opened()
        if self._last_ns is not None and shutter.centre_ns <= self._last_ns:
            self.repeated += 1
            return []
        self._last_ns = shutter.centre_ns
        if picture.format.name != context.pix_fmt:
            picture = self._reformatter.reformat(picture, format=context.pix_fmt)
        picture.pict_type = PictureType.I if self._is_key_due(shutter) else PictureType.NONE
        picture.pts, picture.time_base = self._number, context.time_base
        self._times[self._number] = shutter
        self._number += 1
        try:
            return [self._packet(packet) for packet in context.encode(picture)]
        except av.FFmpegError as error:
            raise DeviceError(errno.EIO, f"{context.name} fails: {error.strerror}") from None

    def close(self) -> None:
        """Let go of it; what it holds is given up. May be called twice."""
        self._context = None

    def _is_key_due(self, shutter: Shutter) -> bool:
        last_ns = self._last_key_ns
        half_ns = self._options.frame_ns // 2
        if last_ns is not None and shutter.centre_ns - last_ns < _NANOSECOND - half_ns:
            return False
        self._last_key_ns = shutter.centre_ns
        return True

    def _packet(self, packet: AvPacket[VideoStream]) -> Packet:
        if packet.pts is None or packet.pts != packet.dts:
            raise DeviceError(
                errno.EINVAL, f"{self.name} gives pictures out of order: choose another encoder"
            )
        shutter = self._times.pop(packet.pts)
        return Packet(
            stream=0,
            data=bytes(packet),
            pts_ns=shutter.centre_ns,
            dts_ns=shutter.centre_ns,
            duration_ns=self._options.frame_ns,
            keyframe=packet.is_keyframe,
            exposure_start_ns=shutter.start_ns,
            exposure_ns=shutter.exposure_ns,
            skew_ns=shutter.skew_ns,
        )

    def _opened(self) -> VideoCodecContext:
        if self._context is None:
            raise DeviceError(errno.EBADF, "the encoder is not open")
        return self._context


def open_context(
    options: CameraOptions, name: str, width: int, height: int, pixels: str
) -> VideoCodecContext:
    """FFmpeg's encoder of that name for such pictures: no B-frames, nothing kept back.

    UsageError where there is none, DeviceError where it cannot do this.
    """
    import av
    from av.codec.codec import UnknownCodecError
    from av.codec.context import Flags

    rate = Fraction(options.fps).limit_denominator(_FINEST_RATE)
    try:
        context = cast("VideoCodecContext", av.VideoCodecContext.create(name, "w"))
        context.width, context.height = width, height
        context.pix_fmt = _pixels_for(context.codec, pixels)
        context.framerate, context.time_base = rate, 1 / rate
        context.bit_rate = options.bits_per_second
        context.gop_size = options.key_every
        context.max_b_frames = 0
        context.flags |= Flags.global_header
        context.options = dict(_TUNING.get(name, {}))
        if name == _SOFTWARE:
            context.options |= {"preset": _preset(width * height * options.fps)}
        context.open()
    except UnknownCodecError:
        raise UsageError(f"FFmpeg here has no encoder {name!r}: say {_SOFTWARE}, or auto") from None
    except av.FFmpegError as error:
        raise DeviceError(
            errno.EINVAL, f"{name} cannot encode {width} x {height}: {error.strerror}"
        ) from None
    return context


_TIMESCALE = 1_000_000  # as fine as cameras tell their times
_FINEST_RATE = 1001  # so that 29.97 is 30000/1001


def _preset(pixels_per_s: float) -> str:
    """The best that this host keeps up with."""
    load = pixels_per_s / (os.cpu_count() or 1)
    return next((preset for most, preset in _PRESETS if load <= most), "ultrafast")


def _pixels_for(codec: Codec, pixels: str) -> str:
    """Into which format: 4:2:0, which every encoder takes and every telephone plays.

    What uses the full range of brightness keeps it.
    """
    taken = [form.name for form in codec.video_formats or ()]
    if pixels == "nv12" and (pixels in taken or not taken):
        return pixels
    return "yuvj420p" if pixels.startswith("yuvj") else "yuv420p"
