"""A GPS receiver on a serial line: a pty whose other end speaks at a baud rate."""

from __future__ import annotations

import math
import os
import random
import select
import tempfile
import termios
import threading
import tty
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from camm import UsageError
from hw_sim.clock import VirtualClock, unread_bytes
from hw_sim.faults import Faults, Span
from hw_sim.scenario import GpsQuality, Place
from hw_sim.time_pulse import SimulatedTimePulse
from hw_sim.trajectory import Trajectory
from hw_sim.ublox import GPS_EPOCH, LEAP_SECONDS, Epoch, nav_pvt, nmea
from hw_sim.ublox_control import UbloxControl

_CHUNK_BYTES = 64  # as USB and the buffers of UARTs hand them on
_QUEUE_BYTES = 4095  # what the kernel keeps for a reader of a raw terminal
_LOOK_UP_NS = 50_000_000  # how soon a silent sender notices the host, or that it is being closed
_NOTHING_BREAKS = Faults()
_WORSE_NS, _BETTER_NS = 5e9, 10e9  # in which errors double under a bad sky, and go down again
_ISPEED, _OSPEED = 4, 5  # in the attributes of a terminal
_RECEIVER_CLOCK_NS = -213  # receivers steer their epochs to whole milliseconds, not quite exactly


class SerialLine:
    """A pty with pacing: bytes arrive a chunk at a time, when its last bit would be through.

    Simulated time goes on only when the kernel has the bytes, so a reader finds them at the same
    simulated moment in every run. While the host has set its end to another rate than `baud`, or
    `is_noisy` says so, what comes through is noise, both ways. `lost` counts bytes that came while
    the reader's queue was full, `spoilt` those that became noise; `answer` is given what the host
    sends and says what to send back.

    `path` leads to the terminal for as long as it is plugged in: after `pull` and `plug` to another
    one, as the links of /dev/serial/by-id do.
    """

    def __init__(self, clock: VirtualClock, baud: int) -> None:
        self.lost = self.spoilt = 0
        self.baud = baud
        self.answer: Callable[[bytes], bytes] = lambda heard: b""
        self.is_noisy: Callable[[int], bool] = lambda t_ns: False
        self._clock = clock
        self._noise = random.Random(baud)  # noqa: S311 - not for secrets
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._master = self._slave = -1
        self.path = self._make_terminal()
        self._free_ns = 0
        self._closing = False
        self._thread: threading.Thread | None = None

    def can_be_pulled(self) -> None:
        """Have a `path` that can lead to one terminal after the other."""
        self._folder = tempfile.TemporaryDirectory(prefix="receiver-")
        link = Path(self._folder.name) / "port"
        link.symlink_to(self.path)
        self.path = str(link)

    def pull(self) -> None:
        """Take the terminal away from under its reader, who is told."""
        self._clock.wake(self._slave)
        self._hang_up()
        Path(self.path).unlink()

    def plug(self) -> None:
        """Bring a terminal back."""
        Path(self.path).symlink_to(self._make_terminal())

    def _make_terminal(self) -> str:
        speed = _speed(self.baud)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[_ISPEED] = attributes[_OSPEED] = speed  # as the host finds it
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        os.set_blocking(self._master, False)
        return os.ttyname(self._slave)

    def _hang_up(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1

    def start(self, sender: Callable[[], None], name: str) -> None:
        """Run `sender` in a thread of the clock; it ends when `send` says False."""
        self._thread = self._clock.thread(sender, name)

    def duration_ns(self, size: int) -> int:
        """How long so many bytes take: eight bits, a start and a stop bit each."""
        return size * 10 * 1_000_000_000 // self.baud

    def send(self, data: bytes, first_ns: int) -> bool:
        """Send from `first_ns` on, or when the line is free. False where closed meanwhile."""
        self.wait(first_ns)
        self._transmit(data, first_ns)
        return not self._closing

    def wait(self, until_ns: int) -> bool:
        """Listen until then. False where closed meanwhile."""
        self._listen()
        while (now_ns := self._clock.now_ns()) < until_ns and not self._closing:
            self._clock.sleep_until(min(until_ns, now_ns + _LOOK_UP_NS))
            self._listen()
        return not self._closing

    def _listen(self) -> None:
        """Hear the host out and answer."""
        # Unlike FIONREAD, select has the kernel hand over what the host has written until now.
        while (
            not self._closing and self._master >= 0 and select.select([self._master], [], [], 0)[0]
        ):
            if answer := self.answer(self._through(os.read(self._master, 4096))):
                self._transmit(answer, self._clock.now_ns())

    def _transmit(self, data: bytes, first_ns: int) -> None:
        start_ns = max(first_ns, self._free_ns)
        for begin in range(0, len(data), _CHUNK_BYTES):
            chunk = data[begin : begin + _CHUNK_BYTES]
            self._free_ns = start_ns + self.duration_ns(begin + len(chunk))
            if not self._closing:
                self._clock.sleep_until(self._free_ns)
                self._deliver(self._through(chunk))

    def close(self) -> None:
        """Stop the sender and take the terminal away. May be called twice."""
        self._closing = True
        if self._thread is not None:
            self._clock.join(self._thread)
            self._thread = None
        self._hang_up()
        if self._folder is not None:
            self._folder.cleanup()

    def _through(self, data: bytes) -> bytes:
        """What the other end makes of bytes that are sent at this end's rate."""
        same_rate = termios.tcgetattr(self._slave)[_OSPEED] == _speed(self.baud)
        if same_rate and not self.is_noisy(self._clock.now_ns()):
            return data
        self.spoilt += len(data)
        return self._noise.randbytes(len(data))

    def _deliver(self, chunk: bytes) -> None:
        queued = unread_bytes(self._slave)
        if queued + len(chunk) > _QUEUE_BYTES:
            self.lost += len(chunk)
            return
        os.write(self._master, chunk)
        self._clock.wake(self._slave, queued + len(chunk))


def _speed(baud: int) -> int:
    """The constant that terminals have for a baud rate; UsageError where there is none."""
    speed = getattr(termios, f"B{baud}", None)
    if not isinstance(speed, int):
        raise UsageError(f"terminals cannot run at {baud} baud: 9600 and 115200 are usual")
    return speed


class Receiver(ABC):
    """What speaks on a serial line, from `start` until it is closed; a back-end says what.

    `name` is what the back-end calls its thread.
    """

    name: ClassVar[str]

    def __init__(self, clock: VirtualClock, baud: int) -> None:
        self._clock = clock
        self._line = SerialLine(clock, baud)

    @property
    def path(self) -> str:
        """The terminal to open."""
        return self._line.path

    @property
    def lost(self) -> int:
        """Bytes lost because nobody read."""
        return self._line.lost

    def start(self) -> None:
        """Begin to send."""
        self._line.start(self._run, self.name)

    def close(self) -> None:
        """Fall silent, and give the terminal back. May be called twice."""
        self._line.close()

    @abstractmethod
    def _run(self) -> None:
        """Send, until the line is closed or there is no more."""


class SimulatedReceiver(Receiver):
    """A receiver that walks with the rig and reports what a real one would, late and a bit wrong.

    Its epochs lie on whole fractions of a GPS second. The position wanders slowly (a first-order
    Gauss-Markov process), the velocity has white noise. A u-blox (`hw_sim.ublox_control`) obeys
    the host; one of generation "none" is deaf.
    """

    name = "simulated receiver"

    def __init__(
        self,
        clock: VirtualClock,
        quality: GpsQuality,
        place: Place,
        trajectory: Trajectory,
        start: datetime,
        start_ns: int,
        seed: int,
        faults: Faults = _NOTHING_BREAKS,
    ) -> None:
        """Take `start`, the UTC at `start_ns` of CLOCK_MONOTONIC, and what moves, errs, breaks."""
        super().__init__(clock, quality.baud)
        self._quality = quality
        self._place = place
        self._trajectory = trajectory
        self._start_ns = start_ns
        since = (start - GPS_EPOCH) // timedelta(microseconds=1)
        self._gps_start_ns = since * 1000 + LEAP_SECONDS * 1_000_000_000
        self._host_rate = 1 + quality.host_clock_ppm * 1e-6
        self._noise = np.random.default_rng(seed)
        self._wander = self._noise.standard_normal(3)
        self._epochs: deque[tuple[int, npt.NDArray[np.float64], Epoch, bool]] = deque()
        self._faults = faults
        self._line.is_noisy = lambda t_ns: faults.at("baud_garbage", "gps", t_ns) is not None
        self._unplugged = [*faults.of("unplug", "gps")]
        if self._unplugged:
            self._line.can_be_pulled()
        self.control: UbloxControl | None = None
        """The receiver's settings, where it can be told any."""
        self._power_on()
        self.time_pulse: SimulatedTimePulse | None = None
        """What tells of its pulses, where the scenario has them wired to the host."""
        if quality.time_pulse:
            self.time_pulse = SimulatedTimePulse(
                clock, self._gps_start_ns, start_ns, self._host_rate, seed
            )

    def forget_truth(self) -> None:
        """Remember no truth: it would fill the memory of a rig that runs for days."""
        self._epochs = deque(maxlen=0)

    def truth(self) -> dict[str, npt.NDArray[np.generic]]:
        """The epochs sent so far.

        `gps_t_ns` CLOCK_MONOTONIC of each, `gps_time` GPS seconds; `gps_fix` 0, 2 or 3, and
        `gps_whole` whether its messages reached the host's queue unharmed; `latitude`, `longitude`,
        `height`, `velocity` (east, north, up) as they were and, with `reported_` before the name,
        as the receiver said.
        """
        true = np.array([true for _, true, *_ in self._epochs]).reshape(-1, 6)
        said = np.array(
            [
                (e.latitude_deg, e.longitude_deg, e.height_m, e.east_m_s, e.north_m_s, e.up_m_s)
                for *_, e, _ in self._epochs
            ]
        ).reshape(-1, 6)
        out: dict[str, npt.NDArray[np.generic]] = {
            "gps_t_ns": np.array([t_ns for t_ns, *_ in self._epochs], np.int64),
            "gps_time": np.array([e.gps_ns for *_, e, _ in self._epochs]) / 1e9,
            "gps_fix": np.array([e.fix for *_, e, _ in self._epochs], np.int64),
            "gps_whole": np.array([whole for *_, whole in self._epochs], bool),
        }
        for prefix, table in (("", true), ("reported_", said)):
            for column, name in enumerate(("latitude", "longitude", "height")):
                out[prefix + name] = table[:, column]
            out[prefix + "velocity"] = table[:, 3:]
        return out

    def _run(self) -> None:
        at_ns = self._gps_ns(self._clock.now_ns()) - 1
        while True:
            period_ns, speaks_ubx, speaks_nmea = self._settings()
            at_ns += period_ns - at_ns % period_ns
            gps_ns = at_ns + _RECEIVER_CLOCK_NS
            t_ns = self._start_ns + round((gps_ns - self._gps_start_ns) * self._host_rate)
            true, epoch = self._solve(gps_ns, t_ns)
            first_ns = t_ns + self._latency_ns()
            data = (nmea(epoch) if speaks_nmea else b"") + (nav_pvt(epoch) if speaks_ubx else b"")
            sent_ns = first_ns + self._line.duration_ns(len(data))
            if self._unplugged and self._unplugged[0].start_ns <= sent_ns:
                if not self._be_away(self._unplugged.pop(0)):
                    return
                at_ns = self._gps_ns(self._clock.now_ns()) - 1
                continue
            sent = data[: self._heard_of(len(data), first_ns)]
            harm = self._line.lost + self._line.spoilt
            if not self._line.send(sent, first_ns):
                return
            whole = sent == data and harm == self._line.lost + self._line.spoilt
            self._epochs.append((t_ns, true, epoch, whole))

    def _gps_ns(self, t_ns: int) -> int:
        """GPS time at a moment of CLOCK_MONOTONIC."""
        return self._gps_start_ns + round((t_ns - self._start_ns) / self._host_rate)

    def _power_on(self) -> None:
        """Forget what the host has set: it was in RAM."""
        quality = self._quality
        if quality.generation == "none":
            return
        self.control = UbloxControl(
            quality.generation,
            baud=quality.baud,
            period_ms=1000 // quality.rate_hz,
            ubx=quality.protocol != "nmea",
            nmea=quality.protocol != "ubx",
        )
        self._line.answer = self.control.hear

    def _be_away(self, span: Span) -> bool:
        """Be unplugged, and come back with another terminal. False where closed meanwhile."""
        if not self._line.wait(span.start_ns):
            return False
        self._line.pull()
        if not self._line.wait(span.end_ns):
            return False
        self._line.baud = self._quality.baud
        self._power_on()
        self._line.plug()
        return True

    def _heard_of(self, size: int, t_ns: int) -> int:
        """How many bytes of an epoch's messages are sent."""
        if self._faults.at("gps_silent", "gps", t_ns):
            return 0
        return size // 2 if self._faults.at("partial_message", "gps", t_ns) else size

    def _sky(self, t_ns: int) -> tuple[int, int, float]:
        """Type of fix and satellites, and by what errors are greater than usual."""
        fix, satellites, factor = 3, self._quality.satellites, 1.0
        for kind, kind_of_fix, seen in (("fix_2d", 2, 4), ("fix_lost", 0, 2)):
            for span in self._faults.of(kind, "gps"):
                worst = 1 + (min(t_ns, span.end_ns) - span.start_ns) / _WORSE_NS
                since_ns = max(t_ns - span.end_ns, 0)
                if t_ns >= span.start_ns:
                    factor = max(
                        factor, 1 + (min(worst, 20) - 1) * math.exp(-since_ns / _BETTER_NS)
                    )
                if t_ns in span:
                    fix, satellites = kind_of_fix, seen
        return fix, satellites, factor

    def _settings(self) -> tuple[int, bool, bool]:
        """Period in ns, and whether UBX and NMEA go out; the line runs at the rate that is set."""
        quality, control = self._quality, self.control
        if control is None:
            period_ns = 1_000_000_000 // quality.rate_hz
            return period_ns, quality.protocol != "nmea", quality.protocol != "ubx"
        self._line.baud = control.baud
        return control.period_ms * 1_000_000, control.ubx, control.nmea

    def _latency_ns(self) -> int:
        # Half of all below the median, half above, each half evenly.
        least, median, greatest = self._quality.latency_ms
        delay_ms = np.interp(self._noise.random(), [0, 0.5, 1], [least, median, greatest])
        return round(1e6 * float(delay_ms))

    def _solve(self, gps_ns: int, t_ns: int) -> tuple[npt.NDArray[np.float64], Epoch]:
        """Where the rig is at an epoch, and where the receiver says it is."""
        q, place = self._quality, self._place
        pose = self._trajectory.pose(np.array([(t_ns - self._start_ns) / 1e9]))
        fix, satellites, worse = self._sky(t_ns)
        keep = math.exp(-1 / (q.rate_hz * q.error_time_s))
        shake = math.sqrt(1 - keep * keep)
        self._wander = keep * self._wander + shake * self._noise.standard_normal(3)
        sigma = np.array([q.horizontal_error_m, q.horizontal_error_m, q.vertical_error_m])
        said = pose.position[0] + worse * sigma * self._wander
        error = q.velocity_error_m_s * self._noise.standard_normal(3)
        velocity = pose.velocity[0] + worse * error
        true = np.concatenate([_geodetic(place, pose.position[0]), pose.velocity[0]])
        latitude, longitude, height = _geodetic(place, said)
        return true, Epoch(
            gps_ns,
            latitude,
            longitude,
            height,
            q.geoid_separation_m,
            float(velocity[0]),
            float(velocity[1]),
            float(velocity[2]),
            worse * q.horizontal_accuracy_m,
            worse * q.vertical_accuracy_m,
            worse * q.speed_accuracy_m_s,
            fix,
            satellites,
        )


def _geodetic(place: Place, enu: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Latitude, longitude, height of a point some metres from the place: WGS 84 radii there.

    Within 100 m the neglected curvature is below a millimetre.
    """
    semi_major, e2 = 6_378_137.0, 6.694_379_990_14e-3
    latitude = math.radians(place.latitude_deg)
    w2 = 1 - e2 * math.sin(latitude) ** 2
    normal = semi_major / math.sqrt(w2)
    meridian = normal * (1 - e2) / w2
    east, north, up = (float(v) for v in enu)
    return (
        place.latitude_deg + math.degrees(north / (meridian + place.height_m)),
        place.longitude_deg + math.degrees(east / ((normal + place.height_m) * math.cos(latitude))),
        place.height_m + up,
    )
