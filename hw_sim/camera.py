"""The simulated camera: renders what it would see, line by line as it turns, and encodes it.

Every line of the picture is exposed a little later than the one above, and is drawn with the
attitude of its own moment; optical flow and rolling shutter then agree with the gyroscope.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction

import av
import av.codec
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags

from camm import Packet, StreamFormat
from drivers.errors import DeviceError, EndOfSource
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.panorama import SIZE, enlarge, paint, texels
from hw_sim.scenario import CameraParameters
from hw_sim.trajectory import Trajectory

_HAND_OVER_NS = 5_000_000  # from the end of read-out to the packet: encoder and driver
_COLUMN_STEP, _ROW_STEP = 16, 8
_NOTHING_BREAKS = Faults()


class Renderer:
    """Draws the panorama as a turning camera sees it.

    Where a pixel looks is computed on a coarse grid and interpolated: over 16 pixels and 8 lines
    the map is straight to a tenth of a pixel, and no pixel costs a root or an angle.
    """

    def __init__(self, parameters: CameraParameters, trajectory: Trajectory, seed: int) -> None:
        width, height = parameters.width, parameters.height
        self._trajectory = trajectory
        self._line_time_ns = parameters.line_time_ns
        focal = width / 2 / math.tan(math.radians(parameters.hfov_deg) / 2)
        columns = np.arange(math.ceil(width / _COLUMN_STEP) + 1) * _COLUMN_STEP
        self._rows = np.arange(math.ceil(height / _ROW_STEP) + 1) * _ROW_STEP
        # Rays through the knots; a pixel's centre is half a pixel from its corner.
        self._rays = np.empty((len(self._rows), len(columns), 3))
        self._rays[..., 0] = (columns - width / 2) / focal
        self._rays[..., 1] = ((self._rows - height / 2) / focal)[:, None]
        self._rays[..., 2] = 1
        self._planes = [plane.ravel() for plane in paint(seed)]

    def draw(self, middle_of_first_line_s: float, planes: Sequence[npt.NDArray[np.uint8]]) -> None:
        """Fill luma (H, W) and both chroma planes (H/2, W/2)."""
        # A knot lies on the upper edge of its line, half a line before the line's middle.
        times = middle_of_first_line_s + (self._rows - np.float64(0.5)) * (
            self._line_time_ns * 1e-9
        )
        turned = self._rays @ np.swapaxes(self._trajectory.pose(times).rotation, 1, 2)
        height, width = planes[0].shape
        column, row = (
            enlarge(knots, _ROW_STEP, _COLUMN_STEP)[:height, :width] for knots in texels(turned)
        )
        index = row.astype(np.int32)
        index *= SIZE
        index += column.astype(np.int32)
        np.take(self._planes[0], index, out=planes[0], mode="clip")
        quarter = index[::2, ::2].astype(np.intp)
        for plane, out in zip(self._planes[1:], planes[1:], strict=True):
            np.take(plane, quarter, out=out, mode="clip")


class SimulatedCamera:
    """A `drivers.camera.Camera` that films the panorama from the simulated rig, as H.264.

    `start_ns` is the CLOCK_MONOTONIC of the trajectory's zero. The first frame begins with the
    first `read` after `open`. Who reads late gets the frames late; only those get lost that a fault
    drops, and they leave a gap.
    """

    name = "simulated camera"

    def __init__(
        self,
        clock: VirtualClock,
        parameters: CameraParameters,
        trajectory: Trajectory,
        start_ns: int,
        seed: int,
        faults: Faults = _NOTHING_BREAKS,
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._parameters = parameters
        self._trajectory = trajectory
        self._start_ns = start_ns
        self._seed = seed
        self._skew_ns = (parameters.height - 1) * parameters.line_time_ns
        self._frame_ns = 1e9 / parameters.fps / (1 + parameters.clock_ppm * 1e-6)
        self._encoder: av.VideoCodecContext | None = None
        self._painter: ThreadPoolExecutor | None = None
        self._ahead: Future[list[Packet]] | None = None
        self._first_ns = self._next = 0
        self._starts: deque[int] = deque()
        self.dropped = 0
        """Frames that were taken and never handed over."""

    @property
    def formats(self) -> Sequence[StreamFormat]:
        if self._encoder is None:
            return ()
        p = self._parameters
        return [
            StreamFormat(
                "video",
                "h264",
                1_000_000,
                bytes(self._encoder.extradata or b""),
                p.width,
                p.height,
            )
        ]

    def open(self) -> None:
        p = self._parameters
        self._renderer = Renderer(p, self._trajectory, self._seed)
        encoder = av.VideoCodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = p.width, p.height, "yuv420p"
        encoder.framerate = Fraction(p.fps)
        encoder.time_base = Fraction(1, p.fps)
        encoder.gop_size = p.fps
        encoder.thread_count = 1  # the same bytes on every host
        encoder.flags |= Flags.global_header
        encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
        try:
            encoder.open()
        except av.FFmpegError as error:
            raise DeviceError(errno.EINVAL, f"{self.name}: libx264: {error}") from None
        self._frame = av.VideoFrame(p.width, p.height, "yuv420p")
        self._planes = [
            np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
            for plane in self._frame.planes
        ]
        self._encoder = encoder
        self._painter = ThreadPoolExecutor(1, "simulated camera")
        self._starts.clear()
        self._delay = np.random.default_rng((self._seed, 1))

    def read(self) -> Sequence[Packet]:
        if self._painter is None:
            raise EndOfSource(errno.ENODATA, f"{self.name} is closed")
        if self._ahead is None:
            self._first_ns = self._clock.now_ns()
            self._next = self._next_kept(0)
            self._ahead = self._painter.submit(self._film, self._next)
        p = self._parameters
        start_ns = self._frame_start_ns(self._next)
        late = float(self._delay.random()) * p.hand_over_jitter_ms * 1e6
        handed_over_ns = start_ns + p.exposure_ns + self._skew_ns + _HAND_OVER_NS + round(late)
        unplugged = self._faults.of("unplug", "camera")
        gone_ns = next((s.start_ns for s in unplugged if s.start_ns < handed_over_ns), None)
        self._clock.sleep_until(handed_over_ns if gone_ns is None else gone_ns)
        if gone_ns is not None:
            raise DeviceError(errno.ENODEV, f"{self.name} went away: check the cable")
        packets = self._ahead.result()
        # What it will see is known: the next picture is drawn while simulated time goes on.
        self._next = self._next_kept(self._next + 1)
        self._ahead = self._painter.submit(self._film, self._next)
        self._starts.append(start_ns)
        return packets

    def _next_kept(self, number: int) -> int:
        """The first frame from `number` on that is not dropped."""
        while self._faults.at("drop_frames", "camera", self._frame_start_ns(number)):
            number += 1
            self.dropped += 1
        return number

    def _frame_start_ns(self, number: int) -> int:
        """On whole microseconds: that is as fine as V4L2 tells it."""
        return round((self._first_ns + number * self._frame_ns) / 1000) * 1000

    def _film(self, number: int) -> list[Packet]:
        """Draw and encode one frame."""
        if self._encoder is None:
            return []
        p = self._parameters
        start_ns = self._frame_start_ns(number)
        self._renderer.draw((start_ns + p.exposure_ns / 2 - self._start_ns) / 1e9, self._planes)
        self._frame.pts = number
        self._frame.time_base = self._encoder.time_base
        centre_ns = start_ns + (p.exposure_ns + self._skew_ns) // 2
        return [
            Packet(
                stream=0,
                data=bytes(packet),
                pts_ns=centre_ns,
                dts_ns=centre_ns,
                duration_ns=round(self._frame_ns),
                keyframe=packet.is_keyframe,
                exposure_start_ns=start_ns,
                exposure_ns=p.exposure_ns,
                skew_ns=self._skew_ns,
            )
            for packet in self._encoder.encode(self._frame)
        ]

    def close(self) -> None:
        if self._painter is not None:
            self._painter.shutdown()
        self._encoder = self._painter = self._ahead = None

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._starts = deque(maxlen=0)

    def truth(self) -> dict[str, npt.NDArray[np.generic]]:
        """Of every frame: start of its first line's exposure, centre, exposure and skew, ns."""
        p = self._parameters
        starts = np.array(self._starts, np.int64)
        return {
            "frame_start_ns": starts,
            "frame_centre_ns": starts + (p.exposure_ns + self._skew_ns) // 2,
            "exposure_ns": np.full(len(starts), p.exposure_ns, np.int64),
            "skew_ns": np.full(len(starts), self._skew_ns, np.int64),
        }
