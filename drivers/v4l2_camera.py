"""A camera that Linux knows as /dev/videoN, most of them on USB.

What is encoded in the camera is passed on; JPEG and raw pictures are encoded here. The kernel
stamps each picture in CLOCK_MONOTONIC, and a flag says of what the stamp is (videodev2.h,
V4L2_BUF_FLAG_TSTAMP_SRC_*). The driver of USB cameras says "start of exposure", and takes the stamp
when the first packet of the picture comes in (uvc_video.c): read-out has begun by then. What a
camera spends between the two, encoding perhaps, it does not tell.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers import videodev2
from drivers.camera import CameraOptions
from drivers.clock import Clock
from drivers.encoder import VideoEncoder
from drivers.errors import DeviceError
from drivers.shutter import Shutter, Stamped, shutter
from drivers.v4l2_capture import Capture, Grab
from drivers.v4l2_formats import INPUTS, Identity, choose, identity, modes
from drivers.videodev2 import Node, VideoNode

if TYPE_CHECKING:
    from av import VideoCodecContext

_PATIENCE_NS = 250_000_000
_ASK_EVERY_NS = 1_000_000_000
"""How often the exposure is asked for: somebody may turn the control while it films."""
_EXPOSURE_UNIT_NS = 100_000

_KEY = {
    "h264": re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]"),
    "hevc": re.compile(rb"\x00\x00\x01[\x20-\x2b]"),
}
"""The start of a NAL unit of a picture that needs no other: IDR, or HEVC's types 16 to 21."""


class V4l2Camera:
    """A V4L2 device as `drivers.camera.Camera`. It films from the first `read` on.

    A picture's exposure is known while the camera does not choose it by itself, its skew where the
    configuration tells the line time: only then is its shutter told.
    """

    def __init__(
        self,
        options: CameraOptions,
        clock: Clock,
        open_node: Callable[[str], Node] = VideoNode,
    ) -> None:
        self.name = options.device
        self._options = options
        self._clock = clock
        self._open_node = open_node
        self._encoder = VideoEncoder(options)
        self._decoder: VideoCodecContext | None = None
        self._capture: Capture | None = None
        self._formats: tuple[StreamFormat, ...] = ()
        self._identity = Identity("", "", "")
        self._input = ""
        self._filming = False
        self._stamped = ""
        self._exposure_ns: int | None = None
        self._asked_ns = 0
        line_ns, lines = options.line_time_ns, options.height - 1
        self._skew_ns = None if line_ns is None else round(line_ns * lines)

    @property
    def formats(self) -> Sequence[StreamFormat]:
        return self._formats

    def open(self) -> None:
        self.close()
        options = self._options
        node = self._open_node(options.device)
        self._capture = Capture(node, self.name)
        self._identity = identity(node, self.name)
        encoded_here = options.encoder != "auto" or options.bitrate_kbit is not None
        if encoded_here and options.input in ("h264", "hevc"):
            raise UsageError(
                f"input {options.input} is passed on as it is: leave encoder and bitrate_kbit out"
            )
        found = [m for m in modes(node) if not (encoded_here and m.input in ("h264", "hevc"))]
        size = options.width, options.height
        self._input = choose(found, options.input, *size, options.fps)
        which = INPUTS[self._input]
        self._capture.set_up(which, *size, options.fps)
        self._decoder = None
        if which.is_stream:
            self._formats = (StreamFormat("video", which.codec, 1_000_000, b"", *size),)
        else:
            self._encoder.open(*size, which.pixels)
            self._formats = (self._encoder.format,)
            self._decoder = _decoder(which.codec, which.pixels, *size)
        self._filming = False
        self._stamped = ""
        self._asked_ns = 0

    def read(self) -> Sequence[Packet]:
        if self._capture is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        if not self._filming:
            self._capture.start()
            self._filming = True
        grab = self._capture.next(self._clock, self._clock.now_ns() + _PATIENCE_NS)
        if grab is None:
            return ()
        when = self._shutter(grab, self._capture)
        if self._decoder is None:
            return [self._passed_on(grab.data, when)]
        return self._encoded(grab.data, when, self._decoder)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._capture = None
        self._encoder.close()

    def describe(self) -> Mapping[str, Any]:
        exposure = "told by the camera" if self._exposure_ns is not None else "chosen by the camera"
        return {
            "card": self._identity.card,
            "driver": self._identity.driver,
            "input": self._input,
            "encoder": self._encoder.name or "in the camera",
            "time": self._stamped,
            "exposure": exposure,
            "line_time": "nobody" if self._skew_ns is None else "configuration",
            "repeated": self._encoder.repeated,
        }

    def _shutter(self, grab: Grab, capture: Capture) -> Shutter:
        if grab.stamp_ns - self._asked_ns >= _ASK_EVERY_NS:
            self._asked_ns = grab.stamp_ns
            self._exposure_ns = _exposure_ns(capture)
        stamp_ns, stamped, by = grab.stamp_ns, Stamped.END_OF_FRAME, "the kernel's stamp"
        if grab.flags & videodev2.STAMP_MASK != videodev2.STAMP_MONOTONIC:
            stamp_ns, by = self._clock.now_ns(), "its arrival"
        elif grab.flags & videodev2.STAMP_SOURCE_MASK == videodev2.STAMP_SOURCE_START:
            usb = self._identity.driver == "uvcvideo"
            stamped = Stamped.START_OF_READOUT if usb else Stamped.START_OF_EXPOSURE
        self._stamped = f"{stamped}, by {by}"
        return shutter(stamp_ns, stamped, self._exposure_ns, self._skew_ns)

    def _passed_on(self, data: bytes, when: Shutter) -> Packet:
        return Packet(
            stream=0,
            data=data,
            pts_ns=when.centre_ns,
            dts_ns=when.centre_ns,
            duration_ns=self._options.frame_ns,
            keyframe=_KEY[self._formats[0].codec].search(data) is not None,
            exposure_start_ns=when.start_ns,
            exposure_ns=when.exposure_ns,
            skew_ns=when.skew_ns,
        )

    def _encoded(self, data: bytes, when: Shutter, decoder: VideoCodecContext) -> Sequence[Packet]:
        import av

        try:
            pictures = decoder.decode(av.Packet(data))
        except av.FFmpegError:  # whichever: damage may look like anything
            return ()  # a bad cable: the gap is counted
        size = self._options.width, self._options.height
        return [
            packet
            for picture in pictures
            if (picture.width, picture.height) == size  # or its head is damaged
            for packet in self._encoder.encode(picture, when)
        ]


def _decoder(codec: str, pixels: str, width: int, height: int) -> VideoCodecContext:
    import av

    decoder = cast("VideoCodecContext", av.VideoCodecContext.create(codec, "r"))
    decoder.thread_count = 1  # a picture comes out as it goes in
    decoder.width, decoder.height = width, height
    if codec == "rawvideo":
        decoder.pix_fmt = pixels
    return decoder


def _exposure_ns(capture: Capture) -> int | None:
    """For how long each line is exposed; None while the camera chooses that."""
    manual = (videodev2.EXPOSURE_MANUAL, videodev2.EXPOSURE_SHUTTER_PRIORITY)
    if capture.control(videodev2.EXPOSURE_MODE) not in manual:
        return None
    units = capture.control(videodev2.EXPOSURE_TIME)
    return None if units is None else units * _EXPOSURE_UNIT_NS
