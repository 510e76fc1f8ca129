"""A stand-in for the program rpicam-vid: `python -m hw_sim.rpicam_vid --list-cameras`.

It takes the options that a recorder needs, films bars that wander, and writes what the program
writes: H.264 as Annex B, times of the pictures ("timecode format v2"), metadata as text, a log.
After core/options.cpp and output/output.cpp of rpicam-apps: the time of the first picture is zero,
and with each picture comes the metadata of the oldest one of which nothing has been told.

`RPICAM_VID_SIM` in the environment, a JSON object of `Plan`'s fields, says what happens.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

_CAMERA = "/base/soc/i2c0mux/i2c@1/imx219@10"
_LIST = """\
Available cameras
-----------------
0 : imx219 [3280x2464 10-bit RGGB] ({camera})
    Modes: 'SRGGB10_CSI2P' : {mode} [30.00 fps - ({x}, {y})/{width}x{height} crop]
"""
_LOG = (
    "[0:42:00.123456789] [1042]  INFO RPI vc4.cpp:620 Sensor: {camera} - Selected sensor format: "
    "{mode}-SBGGR10_1X10 - Selected unicam format: {mode}-pBAA\n"
)
_GARBAGE_AFTER = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens.

    `pictures`  how many are taken, as fast as the host can, the last of them now; None: in real
                time until SIGINT
    `lost`      those that the sensor takes and nobody gets, by their numbers
    `left_out`  those that the encoder leaves out
    `untold`    those whose metadata never comes
    `line_ns`   from one row of the sensor to the next
    `mode`      width and height that the sensor reads out
    `field`     x, y, width and height of that, in pixels of the whole sensor
    `crop`      of what the pictures show, likewise
    `garbage`   "output", "times" or "metadata": where there is nonsense after some pictures
    `hang`      whether it stays when all pictures have been taken
    `log`       a last line for its log; it ends with code 255
    `truth`     a file for the truth of each picture: a JSON object a line
    """

    pictures: int | None = None
    lost: Collection[int] = ()
    left_out: Collection[int] = ()
    untold: Collection[int] = ()
    line_ns: int = 18904
    mode: Sequence[int] = (1640, 1232)
    field: Sequence[int] = (0, 0, 3280, 2464)
    crop: Sequence[int] = (0, 0, 3280, 2464)
    garbage: str = ""
    hang: bool = False
    log: str = ""
    truth: str = os.devnull


@dataclass(frozen=True, slots=True)
class Exposure:
    """One picture, as the sensor takes it: when its mode's first row ends to be exposed."""

    number: int
    sensor_ns: int
    exposure_us: int
    plan: Plan

    def truth(self) -> dict[str, int]:
        """Of the rows that are shown: when the first begins and the last ends to be exposed."""
        to_mode = self.plan.mode[1] / self.plan.field[3]
        first = (self.plan.crop[1] - self.plan.field[1]) * to_mode
        last = first + self.plan.crop[3] * to_mode - 1
        exposure_ns = self.exposure_us * 1000
        return {
            "number": self.number,
            "start_ns": round(self.sensor_ns + first * self.plan.line_ns) - exposure_ns,
            "end_ns": round(self.sensor_ns + last * self.plan.line_ns),
            "exposure_ns": exposure_ns,
        }

    def metadata(self, frame_us: int) -> str:
        """As libcamera's controls print themselves."""
        x, y, width, height = self.plan.crop
        return (
            f"FrameDuration={frame_us}\nSensorTimestamp={self.sensor_ns}\n"
            f"ScalerCrop=({x}, {y})/{width}x{height}\nExposureTime={self.exposure_us}\n"
            "ColourGains=[ 1.612500, 1.894531 ]\nAnalogueGain=2.000000\nLux=inf\n\n"
        )


class Program:
    """One run, from the start of the camera on."""

    def __init__(self, options: argparse.Namespace, plan: Plan) -> None:
        import av  # late: a list of cameras is quickly told
        import numpy as np

        self._options = options
        self._plan = plan
        self._random = random.Random(219)  # noqa: S311 - a simulation
        self._interrupted = False
        self._encoder = av.VideoCodecContext.create("libx264", "w")
        self._encoder.width, self._encoder.height = options.width, options.height
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = Fraction(1, 1_000_000)
        self._encoder.framerate = Fraction(options.framerate)
        self._encoder.gop_size = options.intra
        self._encoder.bit_rate = options.bitrate
        self._encoder.thread_count = 1
        self._encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
        ramp = np.arange(options.width + 256, dtype=np.uint8)
        self._bars = np.tile(ramp, (options.height, 1))
        self._picture = np.full((options.height * 3 // 2, options.width), 128, np.uint8)

    def interrupt(self, *_: object) -> None:
        """SIGINT: end after this picture."""
        self._interrupted = True

    def run(self) -> None:
        """Film until it ends."""
        plan, options = self._plan, self._options
        queue: deque[Exposure] = deque()
        first_us: int | None = None
        number = 0
        began_ns = time.monotonic_ns()
        if plan.pictures is not None:
            began_ns -= round(plan.pictures * 1e9 / options.framerate)
        with (
            Path(options.save_pts).open("wb", buffering=0) as times,
            Path(options.metadata).open("wb", buffering=0) as metadata,
            Path(options.output).open("wb", buffering=0) as output,
            Path(plan.truth).open("w", buffering=1) as truth,
        ):
            times.write(b"# timecode format v2\n")
            while not self._interrupted and number != plan.pictures:
                exposure = self._expose(number, began_ns)
                number += 1
                if exposure.number in plan.lost:
                    continue
                queue.append(exposure)
                if exposure.number in plan.left_out:
                    continue
                sensor_us = exposure.sensor_ns // 1000
                first_us = sensor_us if first_us is None else first_us
                picture = self._encode(exposure.number, sensor_us)
                output.write(self._spoilt("output", number, picture))
                time_us = sensor_us - first_us
                line = f"{time_us // 1000}.{time_us % 1000:03}\n".encode()
                times.write(self._spoilt("times", number, line))
                oldest = queue.popleft()
                if oldest.number not in plan.untold:
                    told = oldest.metadata(round(1e6 / options.framerate)).encode()
                    metadata.write(self._spoilt("metadata", number, told))
                truth.write(json.dumps(exposure.truth()) + "\n")
            while plan.hang and not self._interrupted:
                signal.pause()
        if plan.log:
            sys.exit(f"ERROR: *** {plan.log} ***")

    def _expose(self, number: int, began_ns: int) -> Exposure:
        """In real time, wait until it has been read out."""
        late_us = self._random.randrange(7)  # as interrupts are
        sensor_us = began_ns // 1000 + round(number * 1e6 / self._options.framerate) + late_us
        if self._plan.pictures is None:
            ready_ns = sensor_us * 1000 + self._plan.mode[1] * self._plan.line_ns
            time.sleep(max(0, ready_ns - time.monotonic_ns()) / 1e9)
        exposure_us = 6000 + number * 37 % 3000
        return Exposure(number, sensor_us * 1000, exposure_us, self._plan)

    def _encode(self, number: int, time_us: int) -> bytes:
        import av

        shift = number * 4 % 256
        self._picture[: self._options.height] = self._bars[:, shift : shift + self._options.width]
        frame = av.VideoFrame.from_ndarray(self._picture, "yuv420p")
        frame.pts, frame.time_base = time_us, self._encoder.time_base
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def _spoilt(self, pipe: str, number: int, data: bytes) -> bytes:
        if pipe != self._plan.garbage or number < _GARBAGE_AFTER:
            return data
        return self._random.randbytes(len(data)) + b"\n\n"


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.exit(f"ERROR: *** {message} ***")


def main() -> None:
    """Take options and environment."""
    parser = _Options(prog="rpicam-vid", allow_abbrev=False)
    for name in ("camera", "width", "height", "bitrate", "intra", "timeout"):
        parser.add_argument(f"--{name}", type=int, default=0)
    for name in ("codec", "libav-video-codec-opts", "metadata-format"):
        parser.add_argument(f"--{name}")
    for name in ("output", "save-pts", "metadata"):
        parser.add_argument(f"--{name}", default=os.devnull)
    for name in ("inline", "nopreview", "flush", "list-cameras"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--framerate", type=float, default=30.0)
    options = parser.parse_args()
    plan = Plan(**json.loads(os.environ.get("RPICAM_VID_SIM", "{}")))
    mode = f"{plan.mode[0]}x{plan.mode[1]}"
    if options.list_cameras:
        field = dict(zip(("x", "y", "width", "height"), plan.field, strict=True))
        sys.stdout.write(_LIST.format(camera=_CAMERA, mode=mode, **field))
        return
    if options.camera:
        sys.exit("ERROR: *** selected camera is not available ***")
    sys.stderr.write(_LOG.format(camera=_CAMERA, mode=mode))
    program = Program(options, plan)
    signal.signal(signal.SIGINT, program.interrupt)
    program.run()


if __name__ == "__main__":
    main()
