"""A camera of the Raspberry Pi through the program rpicam-vid, whatever Python there is.

Its options are in core/options.cpp and core/video_options.hpp of
github.com/raspberrypi/rpicam-apps; it writes to three named pipes, see `drivers.rpicam_output`.
"""

from __future__ import annotations

import errno
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camm.errors import UsageError
from camm.media import Packet, StreamFormat
from drivers.camera import CameraOptions
from drivers.clock import Clock
from drivers.errors import DeviceError
from drivers.libcamera_pictures import Pictures
from drivers.line_time import AskSensor, ReadOut, read_out, sensor_mode
from drivers.piped_program import PipedProgram
from drivers.rpicam_output import MOST_APART, PROGRAM, Pipe, RpicamOutput, first_moment

_WAIT_NS = 500_000_000
_PATIENCE_S = 10
_SETTLED = 4  # pictures that must agree on when the first was taken

_LISTED = re.compile(r"^(\d+) : (\S+) .*\((/\S+)\)$", re.MULTILINE)


class RpicamVid:
    """A camera by its number, as a `drivers.camera.Camera`.

    The program runs from the first `read` on; why it ends is in the last line that it writes.
    """

    def __init__(
        self, options: CameraOptions, clock: Clock, ask_sensor: AskSensor = sensor_mode
    ) -> None:
        self.name = f"{PROGRAM}:{options.number}"
        self._options = options
        self._clock = clock
        self._ask_sensor = ask_sensor
        self._model = self._id = ""
        self._program: PipedProgram | None = None
        self._told = RpicamOutput()
        self._first_us: int | None = None
        self._out = ReadOut(None, None, "nobody")
        self._pictures = Pictures(options.frame_ns, self._out)

    @property
    def formats(self) -> Sequence[StreamFormat]:
        size = self._options.width, self._options.height
        return [StreamFormat("video", "h264", 1_000_000, b"", *size)]

    def open(self) -> None:
        """See that program and camera are there."""
        if self._options.encoder != "auto":
            raise UsageError(f"{PROGRAM} chooses its encoder itself: leave `encoder` out")
        try:
            listed = subprocess.run(  # noqa: S603 - a constant
                [PROGRAM, "--list-cameras"],
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except FileNotFoundError:
            raise DeviceError(
                errno.ENOENT, f"there is no {PROGRAM}: apt install rpicam-apps"
            ) from None
        except subprocess.TimeoutExpired:
            raise DeviceError(
                errno.ETIMEDOUT, f"{PROGRAM} --list-cameras does not answer: restart the host"
            ) from None
        cameras = {int(n): (model, path) for n, model, path in _LISTED.findall(listed.stdout)}
        if self._options.number not in cameras:
            raise DeviceError(
                errno.ENODEV,
                f"there is no camera {self._options.number}, {PROGRAM} lists {len(cameras)}: "
                "check the ribbon cable",
            )
        self._model, self._id = cameras[self._options.number]

    def read(self) -> Sequence[Packet]:
        if not self._id:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        if self._program is None:
            self._program = PipedProgram(
                lambda folder: _command(self._options, folder), tuple(Pipe)
            )
            self._told = RpicamOutput()
            self._first_us = None
        self._clock.wait_readable(self._program.fileno(), self._clock.now_ns() + _WAIT_NS)
        for pipe, data in self._program.fetch():
            self._told.take(pipe, data)
        self._told.pair()
        if self._first_us is None:
            self._settle()
        packets = [] if self._first_us is None else self._packets(self._first_us)
        if self._program.ended and not packets:
            raise DeviceError(errno.EIO, f"{PROGRAM} has ended: {self._told.last_words}")
        return packets

    def _settle(self) -> None:
        """Find out when the first picture was taken: the times of all pictures count from it."""
        if len(self._told.frames) < _SETTLED:
            return
        stamps = [request.sensor_us for request in self._told.requests]
        times = [time_us for time_us, _, _ in self._told.frames]
        self._first_us = first_moment(stamps, times[:_SETTLED])
        if self._first_us is None:
            if len(times) > MOST_APART:
                raise DeviceError(
                    errno.EPROTO, f"{PROGRAM}: the pictures' times are in no metadata: update it"
                )
            return
        asked = self._ask_sensor(self._id)
        self._out = read_out(self._model, self._told.mode, asked, self._options.line_time_ns)
        self._pictures = Pictures(self._options.frame_ns, self._out)

    def _packets(self, first_us: int) -> list[Packet]:
        now_ns = self._clock.now_ns()
        for request in self._told.requests:
            self._pictures.add_request(request, now_ns)
        for time_us, data, keyframe in self._told.frames:
            self._pictures.add_frame(first_us + time_us, data, keyframe)
        self._told.requests.clear()
        self._told.frames.clear()
        return self._pictures.ready()

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None
        self._id = ""

    def describe(self) -> Mapping[str, Any]:
        return {
            "sensor": self._model,
            "encoder": PROGRAM,
            **self._out.describe(),
            **self._pictures.describe(),
        }


def _command(options: CameraOptions, folder: Path) -> list[str]:
    values = {
        "camera": options.number,
        "width": options.width,
        "height": options.height,
        "framerate": options.fps,
        "bitrate": options.bits_per_second,
        "intra": options.key_every,
        "codec": "h264",
        # For libx264, on a Pi 5, which would use B-frames; the hardware cannot, and hears nothing.
        "libav-video-codec-opts": "bf=0",
        "timeout": 0,
        # Lines of text are whole when they come. JSON's last brace waits for the next picture, and
        # it is none where a number is infinite.
        "metadata-format": "txt",
        "metadata": folder / Pipe.METADATA,
        "save-pts": folder / Pipe.TIMES,
        "output": folder / Pipe.VIDEO,
    }
    named = (word for key, value in values.items() for word in (f"--{key}", str(value)))
    return [PROGRAM, *named, "--inline", "--nopreview", "--flush"]
