"""What the camera sees, small, as JPEG."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av

from camm import CammError, Packet, StreamFormat
from daemon.control import Control

_WIDEST = 480
_KEPT_S = 1.0
_DECODERS = {"av1": "libdav1d"}
"""Where FFmpeg's first choice is one that needs hardware for it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and what tells it from others."""

    jpeg: bytes
    tag: str


class Preview:
    """Decodes the camera's last key frame, at most once a second. For any thread."""

    def __init__(self, control: Control, now_s: Callable[[], float]) -> None:
        self._control = control
        self._now_s = now_s
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._made_s = 0.0
        self._of: Packet | None = None

    def picture(self) -> Picture | None:
        """None where there is none; CammError where it cannot be decoded."""
        with self._lock:
            newest = self._control.picture()
            if newest is None:
                return None
            stream, packet = newest
            recent = self._now_s() - self._made_s < _KEPT_S
            if self._picture is None or not (recent or packet is self._of):
                jpeg = _jpeg(_decoded(stream, packet))
                self._picture = Picture(jpeg, hashlib.sha256(jpeg).hexdigest()[:16])
                self._made_s, self._of = self._now_s(), packet
            return self._picture


def _decoded(stream: StreamFormat, packet: Packet) -> av.VideoFrame:
    codec = _DECODERS.get(stream.codec, stream.codec)
    try:
        decoder = cast("av.VideoCodecContext", av.CodecContext.create(codec, "r"))
        decoder.extradata = stream.extradata or None
        decoder.thread_count = 1
        frames = [*decoder.decode(av.Packet(packet.data)), *decoder.decode(None)]
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise CammError(f"the camera's {codec} picture cannot be decoded: {error}") from None
    if not frames:
        raise CammError(f"the camera's {codec} picture cannot be decoded: it is not whole")
    frame = frames[0]
    across, down = stream.pixel_aspect
    shown = frame.width * across / down
    width = min(_WIDEST, round(shown))
    height = round(frame.height * width / shown)
    return frame.reformat(_even(width), _even(height), "yuvj420p")


def _jpeg(frame: av.VideoFrame) -> bytes:
    encoder = av.VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = 5
    (packet,) = [*encoder.encode(frame), *encoder.encode(None)]
    return bytes(packet)


def _even(pixels: int) -> int:
    return max(pixels // 2 * 2, 2)
