"""Sources: a device, its clock fit and a thread that keeps asking it.

A source hands over what it measured, in blocks that carry CLOCK_MONOTONIC times of when that was.
It knows nothing of files. One that fails is closed and opened again, ever more patiently, while the
others go on.
"""

from __future__ import annotations

import errno
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from camm import CammError, Packet, Samples, StreamFormat
from camm.media import ProjectionKind
from drivers.camera import Camera
from drivers.clock import Clock
from drivers.errors import DeviceError, EndOfSource

_log = logging.getLogger(__name__)

_FIRST_PAUSE_NS = 200_000_000
_LONGEST_PAUSE_NS = 5_000_000_000
_STALLED_NS = 3_000_000_000
"""A camera that shows nothing for so long hangs, unless it films more slowly than that."""

APART_NS = 1_000
"""Two samples of a source are no closer: in the file, too, one is after the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Inertial:
    """Angular rate and specific force in the sensor's axes, both (N, 3), and their period.

    `orientation` (N, 4) is what the sensor made of them by itself, as in `drivers.imu.ImuBurst`.
    """

    t_ns: npt.NDArray[np.int64]
    gyro: npt.NDArray[np.float64]
    accel: npt.NDArray[np.float64]
    period_ns: int
    orientation: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Magnetic:
    """Magnetic field in the axes of the inertial sensor, (N, 3), microtesla."""

    t_ns: npt.NDArray[np.int64]
    field: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Filming:
    """The camera has come back, as it is now, with its first packets; or has gone: no streams."""

    formats: Sequence[StreamFormat] = ()
    packets: Sequence[Packet] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What somebody else has worked out, of types 0 and 4."""

    blocks: Sequence[Samples]


Content: TypeAlias = Inertial | Magnetic | Samples | Tracked | Filming | Sequence[Packet] | None


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """Something a source hands over.

    `complete_until_ns`  nothing that was measured before this will follow; None with the last word
    `at_ns`              when it was handed over
    """

    source: str
    content: Content
    complete_until_ns: int | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """How a source has fared.

    `delivered` samples or packets; `lost` samples that should have come, by the time between
    those that came; `failures` times it had to be opened again; `error` what the last failure said.
    """

    delivered: int = 0
    lost: int = 0
    failures: int = 0
    error: str = ""

    def since(self, earlier: SourceStatistics) -> SourceStatistics:
        """What has been counted since then."""
        failures = self.failures - earlier.failures
        return SourceStatistics(
            self.delivered - earlier.delivered,
            self.lost - earlier.lost,
            failures,
            self.error if failures else "",
        )


class Source(ABC):
    """One device and the loop that reads it. `open`, then `start`; `finished` when it has ended."""

    comes_back = True
    """Whether a recording can go on with the device once it has been away."""

    required = True
    """Whether there is no recording without it."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.finished = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._delivered = self._lost = self._failures = 0
        self._error = ""

    @abstractmethod
    def open(self) -> None:
        """Find the device and set it up. CammError where that cannot be done."""

    @abstractmethod
    def read(self) -> Delivery | None:
        """Wait for the next delivery, a fraction of a second at most. EndOfSource at the end."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the device. May be called twice."""

    def rest(self) -> Delivery | None:
        """What is left to hand over when it fails or ends."""
        return None

    def describe(self) -> Mapping[str, Any]:
        """What the clip should remember of the device."""
        return {}

    @property
    def statistics(self) -> SourceStatistics:
        """A snapshot of the counters."""
        return SourceStatistics(self._delivered, self._lost, self._failures, self._error)

    def start(self, deliver: Callable[[Delivery], None], *, opened: bool = True) -> None:
        """Read in a thread of its own until stopped; the device is open already, or is opened."""
        self.finished = False
        self._thread = self.clock.thread(lambda: self._run(deliver, opened), self.name)

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self.clock.join(self._thread)

    def stopped(self) -> bool:
        """Whether `stop` was called: for what waits inside of `read`."""
        return self._stop.is_set()

    def _run(self, deliver: Callable[[Delivery], None], opened: bool) -> None:
        try:
            self._supervise(deliver, opened)
            if (rest := self.rest()) is not None:
                deliver(rest)
        finally:
            self.close()
            self.finished = True
            deliver(Delivery(self.name, None, None, self.clock.now_ns()))

    def _supervise(self, deliver: Callable[[Delivery], None], opened: bool) -> None:
        pause_ns = _FIRST_PAUSE_NS
        while not self.stopped():
            try:
                if not opened:
                    self.open()
                    opened = True
                delivery = self.read()
            except EndOfSource:
                return
            except (CammError, OSError) as error:
                self._failures += 1
                self._error = str(error)
                _log.warning("%s: %s", self.name, error)
                if (rest := self.rest()) is not None:
                    deliver(rest)  # once it is open again it may be too late for that
                self.close()
                if not self.comes_back:
                    return
                opened = False
                self._pause(pause_ns)
                pause_ns = min(2 * pause_ns, _LONGEST_PAUSE_NS)
                continue
            if delivery is not None:
                pause_ns = _FIRST_PAUSE_NS
                deliver(delivery)

    def _pause(self, pause_ns: int) -> None:
        until_ns = self.clock.now_ns() + pause_ns
        while not self.stopped() and (left := until_ns - self.clock.now_ns()) > 0:
            self.clock.sleep_until(self.clock.now_ns() + min(left, _FIRST_PAUSE_NS))


def shifted(packets: Sequence[Packet], shift_ns: int) -> Sequence[Packet]:
    """The packets as of so much later."""
    if not shift_ns:
        return packets
    return [
        replace(
            packet,
            pts_ns=packet.pts_ns + shift_ns,
            dts_ns=packet.dts_ns + shift_ns,
            exposure_start_ns=(
                None if packet.exposure_start_ns is None else packet.exposure_start_ns + shift_ns
            ),
        )
        for packet in packets
    ]


class CameraSource(Source):
    """The camera. Opened early, for its formats; it films from `start` on.

    One that hangs is taken for one that has failed. Where `comes_back` is set, `Filming` tells that
    it has gone and that it is there again, and a film that has ended begins anew.
    """

    comes_back = False  # of one file: its streams are described at its head

    def __init__(self, camera: Camera, clock: Clock) -> None:
        super().__init__("camera", clock)
        self._camera = camera
        self.formats: Sequence[StreamFormat] = ()
        """The streams of a clip, once it has been opened: pictures, and sound where there is."""
        self.first_frame_ns: int | None = None
        """Presentation time of the first frame: movie time zero."""
        self.shift_ns = 0
        """What is added to the times of its packets: its clock is off by that."""
        self.projection: ProjectionKind = "rectilinear"
        """What its pictures show; it cannot tell by itself."""
        self.sound: StreamFormat | None = None
        """Of a microphone, which is stream 1 then; what sound comes with the pictures is left out.
        """
        self._expected = True  # whoever takes the packets knows the formats
        self._last: Packet | None = None
        self._shown_ns: int | None = None

    def open(self) -> None:
        self._camera.open()
        pictures, *sounds = self._camera.formats
        if self.sound is not None:
            sounds = [self.sound]
        self.formats = [replace(pictures, projection=self.projection), *sounds]
        self._last = self._shown_ns = None

    def close(self) -> None:
        self._camera.close()

    def describe(self) -> Mapping[str, Any]:
        streams = [f"{stream.kind} {stream.codec}" for stream in self.formats]
        return {"device": self._camera.name, "streams": streams, **self._camera.describe()}

    def start(self, deliver: Callable[[Delivery], None], *, opened: bool = True) -> None:
        self._expected = opened
        super().start(deliver, opened=opened)

    def read(self) -> Delivery | None:
        try:
            packets = shifted(self._camera.read(), self.shift_ns)
        except EndOfSource:
            if not self.comes_back or self._last is None:  # a film of nothing would begin for ever
                raise
            self.close()
            self.open()
            self._expected = False
            return None
        now_ns = self.clock.now_ns()
        pictures = [packet for packet in packets if packet.stream == 0]
        if self.sound is not None:
            packets = pictures
        self._count(pictures, now_ns)
        if self._expected:
            return Delivery(self.name, packets, now_ns, now_ns) if packets else None
        if not any(picture.keyframe for picture in pictures):
            return None  # nobody could decode it
        self._expected = True
        return Delivery(self.name, Filming(self.formats, packets), now_ns, now_ns)

    def rest(self) -> Delivery | None:
        """That it has gone, where it may come back."""
        if not self.comes_back or not self._expected or self.stopped():
            return None
        self._expected = False
        now_ns = self.clock.now_ns()
        return Delivery(self.name, Filming(), now_ns, now_ns)

    def _count(self, pictures: Sequence[Packet], now_ns: int) -> None:
        """Note what came and what did not. DeviceError where nothing has come for too long."""
        if pictures or self._shown_ns is None:
            self._shown_ns = now_ns
        for picture in pictures:
            if self.first_frame_ns is None:
                self.first_frame_ns = picture.pts_ns
            if (last := self._last) is not None and last.duration_ns > 0:
                frames = (picture.dts_ns - last.dts_ns) / last.duration_ns
                self._lost += max(round(frames) - 1, 0)
            self._last = picture
        self._delivered += len(pictures)
        frame_ns = 0 if self._last is None else self._last.duration_ns
        if now_ns - self._shown_ns > max(_STALLED_NS, 3 * frame_ns):
            raise DeviceError(
                errno.ETIMEDOUT, f"{self._camera.name} shows nothing: check its cable and mode"
            )
