"""The camera: whatever delivers encoded pictures with a time for each, and what it is asked for.

`drivers.find_camera` makes one of the options: it alone knows which module is for which device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from camm.media import Packet, StreamFormat


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What a camera is asked for; `rig.toml` says it in its table `[camera]`.

    `device`         as `find_camera` takes it: "picamera2:1", "/dev/video0", ...
    `fps`            pictures a second; a key frame comes every second (see `key_every`)
    `input`          of a V4L2 device: what it is to deliver, as "h264", "mjpeg", "yuyv", or "auto"
    `encoder`        FFmpeg's name of one, or "auto"
    `bitrate_kbit`   None: see `bits_per_second`
    `line_time_ns`   from one line to the next as the sensor is read out; None: whatever the camera
                     or a table tells
    """

    device: str
    width: int = 1920
    height: int = 1080
    fps: float = 30.0
    input: str = "auto"
    encoder: str = "auto"
    bitrate_kbit: int | None = None
    line_time_ns: float | None = None

    @property
    def number(self) -> int:
        """The camera's number, of "picamera2:1"; 0 where none is said."""
        return int(self.device.partition(":")[2] or 0)

    @property
    def frame_ns(self) -> int:
        """From one picture to the next."""
        return round(1e9 / self.fps)

    @property
    def key_every(self) -> int:
        """Pictures from one key frame to the next: a second's, as fragments are cut at them."""
        return max(1, round(self.fps))

    @property
    def bits_per_second(self) -> int:
        """As asked, or a tenth of a bit for every pixel: 6 Mbit/s at 1080p30.

        That is what hardware encoders without B-frames want for foliage that moves.
        """
        if self.bitrate_kbit is not None:
            return self.bitrate_kbit * 1000
        return round(0.1 * self.width * self.height * self.fps)


class Camera(Protocol):
    """A source of encoded video, with audio beside it where there is any.

    The caller opens it, reads until EndOfSource or until it has enough, and closes it. One thread
    at a time. A camera that has failed is closed and may be opened again; its formats may then be
    others.
    """

    @property
    def name(self) -> str:
        """How a person knows it: "/dev/video0", a file's name, "simulated camera"."""
        ...

    @property
    def formats(self) -> Sequence[StreamFormat]:
        """The streams, by the number that `Packet.stream` carries; video is stream 0. Once open."""
        ...

    def open(self) -> None:
        """Start it. DeviceError where it is not there or cannot do what was asked."""
        ...

    def read(self) -> Sequence[Packet]:
        """Wait for the next packets, in decoding order; none where nothing comes for a while.

        That is half a second at most, so that whoever reads can stop, and can tell a camera that
        hangs. What was filmed before the first `read` is not handed out. A picture that is missing
        leaves a gap in the times. EndOfSource after the last.
        """
        ...

    def close(self) -> None:
        """Stop it. Packets still in an encoder are given up. May be called twice."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """What the clip should remember of it, once open, besides name and formats.

        `time`      what its stamps are, in words: "centre of exposure", "start of read-out, ..."
        `encoder`   FFmpeg's name, or what encodes inside the camera
        `line_time` where the line time is from: "sensor", "table", "configuration"
        """
        ...
