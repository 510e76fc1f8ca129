"""The simulated camera: has a shutter and a crystal, encodes what it sees, and can go away."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.codec
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags

from camm import Packet, StreamFormat
from drivers.errors import DeviceError, EndOfSource
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.renderer import Renderer
from hw_sim.scenario import CameraParameters
from hw_sim.stamp import stamp
from hw_sim.trajectory import Trajectory

_HAND_OVER_NS = 5_000_000  # from the end of read-out to the packet: encoder and driver
_SWEEP_NS = 4_000_000_000  # from the shortest exposure to the longest and back
_PATIENCE_NS = 500_000_000
_NOTHING_BREAKS = Faults()


@dataclass(frozen=True, slots=True)
class _Shutter:
    """When a frame was exposed, ns: its first line from `start_ns` on, its last `skew_ns` later."""

    start_ns: int
    exposure_ns: int
    skew_ns: int

    @property
    def centre_ns(self) -> int:
        return self.start_ns + (self.exposure_ns + self.skew_ns) // 2

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.exposure_ns + self.skew_ns


class SimulatedCamera:
    """A `drivers.camera.Camera` that films the panorama from the simulated rig, as H.264.

    `start_ns` is the CLOCK_MONOTONIC of the trajectory's zero. The first frame begins with the
    first `read` after `open`, and is number 0. Read-outs keep step, as those of real sensors do: a
    longer exposure begins earlier. Who reads late gets the frames late; only those get lost that a
    fault drops, and they leave a gap. One that went away is there again when it is opened after
    the fault's end; DeviceError before.
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
        self._opened_ns = self._first_ns = self._next = self._due_ns = 0
        self._truth: deque[_Shutter] = deque()
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
        self._opened_ns = self._clock.now_ns()
        if self._faults.at("unplug", "camera", self._opened_ns):
            raise self._gone()
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
        self._delay = np.random.default_rng((self._seed, 1))

    def read(self) -> Sequence[Packet]:
        painter = self._painter
        if painter is None:
            raise EndOfSource(errno.ENODATA, f"{self.name} is closed")
        now_ns = self._clock.now_ns()
        if self._ahead is None:
            self._first_ns = now_ns + self._parameters.exposure_ns
            self._ahead = self._paint_ahead(painter, 0)
        unplugged = (span.start_ns for span in self._faults.of("unplug", "camera"))
        gone_ns = next((t for t in unplugged if self._opened_ns < t < self._due_ns), None)
        until_ns = self._due_ns if gone_ns is None else gone_ns
        self._clock.sleep_until(min(until_ns, now_ns + _PATIENCE_NS))
        if self._clock.now_ns() < until_ns:
            return []
        if gone_ns is not None:
            raise self._gone()
        packets = self._ahead.result()
        self._truth.append(self._shutter(self._next))
        self._ahead = self._paint_ahead(painter, self._next + 1)
        return packets

    def _paint_ahead(self, painter: ThreadPoolExecutor, number: int) -> Future[list[Packet]]:
        """What it will see is known: the next picture is drawn while simulated time goes on."""
        while self._faults.at("drop_frames", "camera", self._shutter(number).start_ns):
            number += 1
            self.dropped += 1
        self._next = number
        late_ns = float(self._delay.random()) * self._parameters.hand_over_jitter_ms * 1e6
        self._due_ns = self._shutter(number).end_ns + _HAND_OVER_NS + round(late_ns)
        return painter.submit(self._film, number)

    def _gone(self) -> DeviceError:
        return DeviceError(errno.ENODEV, f"{self.name} went away: check the cable")

    def _shutter(self, number: int) -> _Shutter:
        """On whole microseconds: that is as fine as V4L2 tells it."""
        p = self._parameters
        read_out_ns = round((self._first_ns + number * self._frame_ns) / 1000) * 1000
        exposure_ns = p.exposure_ns
        if p.longest_exposure_ns is not None:
            phase = number * self._frame_ns / _SWEEP_NS % 1
            share = 1 - abs(1 - 2 * phase)
            exposure_ns += round(share * (p.longest_exposure_ns - exposure_ns) / 1000) * 1000
        return _Shutter(read_out_ns - exposure_ns, exposure_ns, self._skew_ns)

    def _film(self, number: int) -> list[Packet]:
        """Draw and encode one frame."""
        if self._encoder is None:
            return []
        shutter = self._shutter(number)
        start_s = (shutter.start_ns - self._start_ns) / 1e9
        self._renderer.draw(start_s, shutter.exposure_ns / 1e9, self._planes)
        if self._parameters.stamp:
            stamp(self._planes, number, shutter.centre_ns, shutter.exposure_ns, shutter.skew_ns)
        self._frame.pts = number
        self._frame.time_base = self._encoder.time_base
        return [
            Packet(
                stream=0,
                data=bytes(packet),
                pts_ns=shutter.centre_ns,
                dts_ns=shutter.centre_ns,
                duration_ns=round(self._frame_ns),
                keyframe=packet.is_keyframe,
                exposure_start_ns=shutter.start_ns,
                exposure_ns=shutter.exposure_ns,
                skew_ns=shutter.skew_ns,
            )
            for packet in self._encoder.encode(self._frame)
        ]

    def close(self) -> None:
        if self._painter is not None:
            self._painter.shutdown()
        self._encoder = self._painter = self._ahead = None

    def describe(self) -> Mapping[str, Any]:
        return {"time": "centre of exposure", "encoder": "libx264", "line_time": "configuration"}

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._truth = deque(maxlen=0)

    def truth(self) -> dict[str, npt.NDArray[np.generic]]:
        """Of every frame: start of its first line's exposure, centre, exposure and skew, ns."""
        return {
            "frame_start_ns": np.array([s.start_ns for s in self._truth], np.int64),
            "frame_centre_ns": np.array([s.centre_ns for s in self._truth], np.int64),
            "exposure_ns": np.array([s.exposure_ns for s in self._truth], np.int64),
            "skew_ns": np.array([s.skew_ns for s in self._truth], np.int64),
        }
