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
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from camm import CammError, Packet, PacketType, Samples, StreamFormat
from drivers.camera import Camera
from drivers.clock import Clock
from drivers.clock_fit import ClockFit
from drivers.errors import BusError, DeviceError, EndOfSource
from drivers.gps_clock import GpsClock
from drivers.gps_fix import GpsFix, Latency
from drivers.imu import Imu, ImuBurst, MagBurst, Magnetometer
from drivers.polled import PolledMagnetometer
from drivers.receiver import Receiver

_log = logging.getLogger(__name__)

_FIRST_PAUSE_NS = 200_000_000
_LONGEST_PAUSE_NS = 5_000_000_000

_GATHER_NS = 100_000_000

_APART_NS = 1_000
"""Two samples of a source are no closer: in the file, too, one is after the other."""

_HICCUP_NS = 500_000_000
"""For so long a sensor that does not answer is asked again, before it is opened again."""

_SILENCE_NS = 1_000_000_000
"""A sensor that answers and has measured nothing for so long, and for some periods, has lost its
settings."""
_SILENT_PERIODS = 5

_LONGEST_WAIT_NS = 1_000_000_000
"""How long the first fixes wait for the fit of a receiver's clock to settle."""


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


Content: TypeAlias = Inertial | Magnetic | Samples | Sequence[Packet] | None


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
        """What has been read and not been handed over yet."""
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


_Device = TypeVar("_Device", Imu, Magnetometer)
_Burst: TypeAlias = ImuBurst | MagBurst


class _SampledSource(Source, Generic[_Device]):
    """A chip that counts its samples: polled in its own rhythm, stamped by a clock fit.

    The chip decides how often it must be asked; what it gives is gathered for a tenth of a second,
    since everything behind costs by the block and not by the sample.
    """

    def __init__(self, name: str, clock: Clock, make: Callable[[Clock], _Device]) -> None:
        super().__init__(name, clock)
        self._make: Callable[[Clock], _Device] = make
        self._device: _Device | None = None
        self._fit = ClockFit(1.0)
        self._asked_ns = self._hand_over_ns = 0
        self._mute_since_ns: int | None = None
        self._idle_since_ns: int | None = None
        self._period_ns = 1.0
        self._afresh = True
        self._newest_ns: int | None = None
        self._bursts: list[_Burst] = []  # that have no stamps yet
        self._times: list[npt.NDArray[np.int64]] = []
        self._rows: list[npt.NDArray[np.float64]] = []

    @abstractmethod
    def _content(
        self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
    ) -> Inertial | Magnetic:
        """The block of gathered measurements."""

    @property
    def device(self) -> _Device | None:
        """The chip that was found last; None before the first was."""
        return self._device

    def open(self) -> None:
        self._stamp()
        self._device = self._make(self.clock)
        self._fit = ClockFit(1e9 / self._device.rate_hz)
        self._asked_ns = self._hand_over_ns = self.clock.now_ns()
        self._mute_since_ns = self._idle_since_ns = None
        self._afresh = True

    def close(self) -> None:
        if self._device is not None:
            self._device.close()

    def describe(self) -> Mapping[str, Any]:
        device = self._device
        return {
            **(device.description if device else {}),
            "clock_fit": asdict(self._fit.statistics),
        }

    def read(self) -> Delivery | None:
        device = self._device
        if device is None:
            raise CammError(f"{self.name} is not open")
        self.clock.sleep_until(self._asked_ns + device.poll_interval_ns)
        self._asked_ns = self.clock.now_ns()
        burst = self._ask(device)
        if burst is not None:
            self._bursts.append(burst)
        return None if self._asked_ns < self._hand_over_ns else self.rest()

    def _ask(self, device: _Device) -> _Burst | None:
        """What has come. A moment's trouble is passed over: the driver counts what it cost."""
        asked_ns = self._asked_ns
        try:
            burst: _Burst | None = device.read_burst(self.clock)
        except BusError as error:
            self._mute_since_ns = self._mute_since_ns or asked_ns
            if self.clock.now_ns() - self._mute_since_ns > _HICCUP_NS:
                raise
            _log.info("%s: %s; asking again", self.name, error)
            return None
        self._mute_since_ns = None
        if burst is not None or self._keeps_back(device):
            self._idle_since_ns = None
            return burst
        self._idle_since_ns = self._idle_since_ns or asked_ns
        patience_ns = max(_SILENCE_NS, _SILENT_PERIODS * self._fit.period_ns)
        if asked_ns - self._idle_since_ns > patience_ns:
            raise DeviceError(
                errno.EIO, f"{device.name} measures nothing any more: has it lost its power?"
            )
        return None

    def _keeps_back(self, device: _Device) -> bool:
        """Whether it has measured since the last look what nobody should see."""
        return False

    def rest(self) -> Delivery | None:
        self._stamp()
        if not self._times:
            return None
        t_ns, values = np.concatenate(self._times), np.concatenate(self._rows)
        self._times, self._rows = [], []
        now_ns = self.clock.now_ns()
        self._hand_over_ns = now_ns + _GATHER_NS
        return Delivery(self.name, self._content(t_ns, values), int(t_ns[-1]) + 1, now_ns)

    def _stamp(self) -> None:
        """Say when what was gathered was measured, by all that has been learnt of the clock.

        Never before an earlier sample: a fit that corrects itself must not turn time round.
        """
        bursts, self._bursts = self._bursts, []
        if not bursts:
            return
        observe = self._fit.observe
        for burst in bursts:
            observe(burst.newest_count, burst.earliest_ns, burst.latest_ns, burst.noise_ns)
        counts = [np.arange(burst.first_count, burst.newest_count + 1) for burst in bursts]
        t_ns = self._fit.times(np.concatenate(counts)) - bursts[0].group_delay_ns
        if self._newest_ns is not None and self._afresh:
            # The chip's own count says nothing of what was before.
            periods = round((int(t_ns[0]) - self._newest_ns) / self._period_ns)
            self._lost += max(0, periods - 1) - bursts[0].lost
        self._lost += sum(burst.lost for burst in bursts)
        if self._newest_ns is not None and t_ns[0] <= self._newest_ns:
            t_ns = np.maximum(t_ns, self._newest_ns + _APART_NS * (1 + np.arange(len(t_ns))))
        self._afresh = False
        self._period_ns = self._fit.period_ns
        self._newest_ns = int(t_ns[-1])
        self._delivered += len(t_ns)
        self._times.append(t_ns)
        self._rows.append(np.concatenate([burst.values for burst in bursts]))


class ImuSource(_SampledSource[Imu]):
    """Gyroscope and accelerometer. `make` finds the chip and configures it."""

    def _content(self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Inertial:
        gyro, accel, orientation = np.split(values, [3, 6], axis=1)
        return Inertial(
            t_ns,
            gyro,
            accel,
            round(self._fit.period_ns),
            orientation if orientation.size else None,
        )


class MagSource(_SampledSource[Magnetometer]):
    """Magnetometer. `make` finds the chip and configures it.

    `turn` (3, 3) is R_imu,magnetometer, for one that sits another way round than the IMU.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        make: Callable[[Clock], Magnetometer],
        turn: npt.NDArray[np.float64] | None = None,
    ) -> None:
        super().__init__(name, clock, make)
        self._turn = np.eye(3) if turn is None else turn
        self._saturated = 0

    @property
    def saturated(self) -> int:
        """How many samples the chip has thrown away because the field was too strong."""
        return self.device.saturated if isinstance(self.device, PolledMagnetometer) else 0

    def _keeps_back(self, device: Magnetometer) -> bool:
        before, self._saturated = self._saturated, self.saturated
        return self._saturated != before

    def _content(self, t_ns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Magnetic:
        return Magnetic(t_ns, values @ self._turn.T)


@dataclass(frozen=True, slots=True)
class _UntilStopped:
    """A source's clock, on which nobody waits for bytes any more once the source is to stop."""

    clock: Clock
    stopped: Callable[[], bool]

    def now_ns(self) -> int:
        return self.clock.now_ns()

    def utc_ns(self) -> int:
        return self.clock.utc_ns()

    def sleep_until(self, t_ns: int) -> None:
        self.clock.sleep_until(t_ns)

    def wait_readable(self, fd: int, until_ns: int) -> bool:
        if self.stopped():
            raise EndOfSource(0, "the source is to stop")
        return self.clock.wait_readable(fd, until_ns)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        return self.clock.thread(target, name)

    def join(self, thread: threading.Thread) -> None:
        self.clock.join(thread)


class GpsSource(Source):
    """A GPS receiver. `make` opens its port, `port` is what a person calls it.

    A fix is stamped with the moment of its GPS time, which the receiver's messages tell some tenths
    of a second later; `latency` says how many at the least and at the most. The first fixes wait
    for a few more, because one arrival alone may be late by all of that. `ended` tells of a
    replayed log that all of it has been sent. `identity` is what the host knows of the receiver.

    All fixes of a clip are of one kind: that of the first that is handed over, where the better one
    of those that waited wins. A receiver's first epoch is often heard from its middle on.
    """

    def __init__(
        self,
        clock: Clock,
        port: str,
        make: Callable[[Clock], Receiver],
        latency: Latency,
        ended: Callable[[], bool] = lambda: False,
        identity: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__("gps", clock)
        self._identity = identity
        self._port = port
        self._make = make
        self._latency = latency
        self._ended = ended
        self._receiver: Receiver | None = None
        self._gps_clock = GpsClock(latency)
        self._waiting: list[GpsFix] = []
        self._newest: GpsFix | None = None
        self._newest_ns = 0

    def open(self) -> None:
        # A receiver that has gone is looked for at every rate, for seconds: longer than a clip
        # that is to end can wait.
        self._receiver = self._make(_UntilStopped(self.clock, self.stopped))

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()

    def gps_time_ns_at(self, t_ns: int) -> int | None:
        """GPS time of a moment of CLOCK_MONOTONIC, by the newest fix; None before any."""
        if not self._newest_ns or self._newest is None:
            return None
        return self._newest.gps_time_ns + t_ns - self._newest_ns

    def describe(self) -> Mapping[str, Any]:
        receiver = self._receiver
        return {
            "port": self._port,
            **self._identity,
            **({**receiver.identity, **asdict(receiver.statistics)} if receiver else {}),
            **self._gps_clock.describe(),
        }

    def read(self) -> Delivery | None:
        if self._receiver is None:
            raise CammError("gps is not open")
        fix = self._receiver.read()
        if (pulse := self._receiver.newest_pulse()) is not None:
            self._gps_clock.take_pulse(*pulse)
        if fix is not None:
            self._take(fix)
            long_ns = fix.arrival_ns - self._waiting[0].arrival_ns if self._waiting else 0
            ready = self._gps_clock.settled or long_ns >= _LONGEST_WAIT_NS
            return self.rest() if ready else None
        if self._ended():
            raise EndOfSource(0, "the replayed receiver has said all")
        if self._waiting:
            return None
        # What comes later than this after its moment is late, whatever fragment it was meant for.
        now_ns = self.clock.now_ns()
        return Delivery(self.name, None, now_ns - 2 * self._latency.longest_ns, now_ns)

    def rest(self) -> Delivery | None:
        if not self._waiting:
            return None
        fixes, self._waiting = self._waiting, []
        t_ns = self._gps_clock.times(np.array([fix.gps_time_ns for fix in fixes]))
        t_ns = np.maximum(t_ns, self._newest_ns + _APART_NS * (1 + np.arange(len(fixes))))
        self._newest_ns = int(t_ns[-1])
        self._delivered += len(fixes)
        block = Samples(fixes[0].kind, t_ns, np.concatenate([fix.values for fix in fixes]))
        return Delivery(self.name, block, self._newest_ns + 1, self.clock.now_ns())

    def _take(self, fix: GpsFix) -> None:
        """Note a fix, unless it was told before or is of another kind than those before it."""
        if fix.kind is PacketType.GPS and not self._newest_ns:
            better = [waiting for waiting in self._waiting if waiting.kind is fix.kind]
            self._lost += len(self._waiting) - len(better)
            self._waiting = better
            self._newest = better[-1] if better else None
        last = self._newest
        if last is not None and (fix.gps_time_ns <= last.gps_time_ns or fix.kind != last.kind):
            self._lost += 1
            return
        self._newest = fix
        self._waiting.append(fix)
        self._gps_clock.take_fix(fix)


class CameraSource(Source):
    """The camera. Opened early, for its formats; it films from `start` on."""

    comes_back = False  # its streams are described at the head of the file

    def __init__(self, camera: Camera, clock: Clock) -> None:
        super().__init__("camera", clock)
        self._camera = camera
        self.formats: Sequence[StreamFormat] = ()
        """The streams, once it has been opened."""
        self.first_frame_ns: int | None = None
        """Presentation time of the first frame: movie time zero."""

    def open(self) -> None:
        self._camera.open()
        self.formats = self._camera.formats

    def close(self) -> None:
        self._camera.close()

    def describe(self) -> Mapping[str, Any]:
        streams = [f"{stream.kind} {stream.codec}" for stream in self.formats]
        return {"device": self._camera.name, "streams": streams}

    def read(self) -> Delivery | None:
        packets = self._camera.read()
        pictures = [packet for packet in packets if packet.stream == 0]
        if self.first_frame_ns is None and pictures:
            self.first_frame_ns = pictures[0].pts_ns
        self._delivered += len(pictures)
        now_ns = self.clock.now_ns()
        return Delivery(self.name, packets, now_ns, now_ns)
