"""A camera in the network: any stream that FFmpeg opens, as `rtsp://HOST/PATH`.

Its packets are passed on untouched. Their times count by the camera's own clock, and nobody tells
how long they were on their way: that clock is mapped onto the host's by when they come, as that of
a GPS receiver is by its messages.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from camm.media import Packet, StreamFormat
from drivers.camera import CameraOptions
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.demuxer import Demuxer
from drivers.errors import DeviceError

if TYPE_CHECKING:
    from av import FFmpegError

_OPEN_S, _PACKET_S = 5.0, 3.0
_LATE_NS = 300_000_000
"""A picture was taken so long before it comes, at most: encoding, sending, and whatever waits."""
_AHEAD_NS = 1_000_000_000
"""Nothing is of later than it comes; so much may be a fit that is young."""
_NOISE_NS = 2_000_000.0
_CRYSTAL, _DRIFT_PPM = 2e-4, 0.05
_TRANSPORT = {"rtsp_transport": "tcp", "fflags": "nobuffer"}
"""A picture that is damaged on its way is worse than one that is late."""


class StreamCamera:
    """A stream as `drivers.camera.Camera`, with its audio. It says nothing of its shutter.

    A `read` takes up to three seconds where nothing comes: to break off sooner would break the
    connection.
    """

    def __init__(self, options: CameraOptions, clock: Clock) -> None:
        self.name = options.device
        self._clock = clock
        self._stream: Demuxer | None = None
        self._formats: Sequence[StreamFormat] = ()
        self._fit = ClockFit(1.0, _CRYSTAL, _DRIFT_PPM)  # one count is a nanosecond of the stream
        self._last_ns: dict[int, int] = {}
        self._latest: int | None = None  # picture so far, by the stream's clock
        self._newest: tuple[int, int] | None = None  # arrival and time of the last picture
        self._caught_up = False

    @property
    def formats(self) -> Sequence[StreamFormat]:
        return self._formats

    def open(self) -> None:
        import av

        self.close()
        rtsp = self.name.startswith("rtsp")
        try:
            self._stream = Demuxer(self.name, _TRANSPORT if rtsp else {}, (_OPEN_S, _PACKET_S))
        except av.FFmpegError as error:
            raise DeviceError(
                errno.EHOSTUNREACH,
                f"{self.name} does not answer: {_reason(error, _OPEN_S)}; "
                "is the camera on the network?",
            ) from None
        self._formats = self._stream.formats
        self._fit = ClockFit(1.0, _CRYSTAL, _DRIFT_PPM)
        self._last_ns = {}
        self._latest = None
        self._newest = None
        self._caught_up = False

    def read(self) -> Sequence[Packet]:
        import av

        if self._stream is None:
            raise DeviceError(errno.EBADF, f"{self.name} is not open")
        try:
            packet = self._stream.next()
        except av.FFmpegError as error:
            reason = _reason(error, _PACKET_S)
            raise DeviceError(errno.EIO, f"{self.name} is silent: {reason}") from None
        if packet is None:
            raise DeviceError(errno.ENODATA, f"{self.name} has ended the stream")
        arrival_ns = self._clock.now_ns()
        if not self._caught_up and not self._catches_up(packet, arrival_ns):
            return ()
        if packet.stream == 0 and (self._latest is None or packet.pts_ns > self._latest):
            # B-frames come after a picture that was taken later: they had to wait for it.
            self._latest = packet.pts_ns
            self._fit.observe(packet.pts_ns, arrival_ns - _LATE_NS, arrival_ns, _NOISE_NS)
        if not self._fit.locked:
            return ()  # sound before the first picture
        pts_ns, dts_ns = self._fit.times(np.array([packet.pts_ns, packet.dts_ns])).tolist()
        before_ns = self._last_ns.get(packet.stream, dts_ns - 1)
        if dts_ns <= before_ns or pts_ns > arrival_ns + _AHEAD_NS:
            raise DeviceError(errno.EIO, f"{self.name} jumps in time: it is opened anew")
        self._last_ns[packet.stream] = dts_ns
        return [replace(packet, pts_ns=pts_ns, dts_ns=dts_ns)]

    def _catches_up(self, packet: Packet, arrival_ns: int) -> bool:
        """Whether what was kept for us before the first `read` has all come: it comes at once."""
        if packet.stream != 0:
            return False
        if self._newest is not None:
            waited_ns, passed_ns = arrival_ns - self._newest[0], packet.dts_ns - self._newest[1]
            self._caught_up = waited_ns > passed_ns // 2
        self._newest = arrival_ns, packet.dts_ns
        return self._caught_up

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def describe(self) -> Mapping[str, Any]:
        return {
            "time": "by its arrival, which was 0 to 300 ms after the picture was taken",
            "clock_fit": asdict(self._fit.statistics),
        }


def _reason(error: FFmpegError, waited_s: float) -> str:
    """In words; where it was told to wait no longer FFmpeg speaks of an exit."""
    import av

    if isinstance(error, av.error.ExitError):
        return f"nothing for {waited_s:g} s"
    return error.strerror or str(error)
