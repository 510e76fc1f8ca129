"""A recording in real time, measured from inside: `python -m benchmarks.live NAME SECONDS`.

A simulated rig in a process of its own (`benchmarks.served_rig`) stands for the hardware, so that
what it costs is not counted: bytes come from a socket as they would from the kernel's bus, and from
a terminal as from a serial port. The pictures are those of a film, passed through.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import process, recordings
from benchmarks.process import CACHE
from daemon.configuration import (
    CameraSettings,
    Configuration,
    GpsSettings,
    ImuSettings,
    MagnetometerSettings,
)
from daemon.gps_source import GpsSource
from daemon.recorder import Recorder
from daemon.rig import Rig, hardware_rig
from daemon.sampled_source import ImuSource, MagSource
from daemon.session import Progress, RecordingSession
from daemon.sources import Delivery
from drivers.bus import SocketI2C
from drivers.fifo import FifoImu
from drivers.gps import GpsReceiver
from drivers.polled import PolledMagnetometer
from fusion.fuser import OrientationFuser
from muxer.recording import Recording

_SETTLING_S = 1.0
_PICTURE = 40_000  # bytes: 10 Mbit/s
_WALK = Path(recordings.__file__).parents[1] / "hw_sim/scenarios/walk.toml"


@dataclass(frozen=True, slots=True)
class Take:
    """Which motion sensor, at which rate; beside it a magnetometer at 100 Hz and fixes at 10 Hz."""

    chip: str
    rate_hz: float


TAKES = {
    f"{take.chip} at {take.rate_hz:g} Hz": take
    for take in (
        Take("ICM-42688-P", 200),
        Take("ICM-42688-P", 1000),
        Take("ICM-42688-P", 2000),
        Take("MPU-6500", 1000),
    )
}


class Stages:
    """Processor time by stage, each without those that it calls; and how often each was called."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside = threading.local()

    def timing(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes
            inside = self._inside
            outer = getattr(inside, "spent", 0.0)
            inside.spent = 0.0
            begin = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.thread_time() - begin
                self.seconds[stage] += whole - inside.spent
                self.calls[stage] += 1
                inside.spent = outer + whole

        return timed


STAGES: dict[str, list[tuple[type, str]]] = {
    "bus": [(SocketI2C, "transfer")],
    "driver": [(FifoImu, "read_burst"), (PolledMagnetometer, "read_burst")],
    "stamp": [(ImuSource, "_stamp"), (MagSource, "_stamp")],
    "gps": [(GpsReceiver, "read"), (GpsSource, "rest")],
    "fuse": [
        (OrientationFuser, "add_imu"),
        (OrientationFuser, "add_mag"),
        (OrientationFuser, "take"),
    ],
    "rotate": [(Recorder, "_inertial")],
    "write": [
        (Recording, "add_samples"),
        (Recording, "add_packets"),
        (Recording, "advance"),
    ],
}
"""What is timed. The rest is Python's threads and queue, and the demuxing of the film."""


def record(take: Take, seconds: float, path: Path, *, staged: bool) -> dict[str, Any]:
    """Record for a time and say what it took a second, without the start and the end.

    With `staged` each stage is timed, which costs something itself: the total is of another run.
    """
    stages, meter = Stages(), _Meter()
    with ExitStack() as held:
        rig = held.enter_context(_rig(take, seconds))
        if staged:
            for stage, places in STAGES.items():
                for owner, name in places:
                    timed = stages.timing(stage, getattr(owner, name))
                    held.enter_context(patch.object(owner, name, timed))
        held.enter_context(patch.object(Recorder, "take", meter.watching(Recorder.take)))
        session = RecordingSession(rig, path, version="benchmark")
        result = session.record(round(seconds * 1e9), meter.look)
    sources = result.metadata["sources"]
    ran_s = meter.ran_s
    row: dict[str, Any] = {
        "cpu_percent": 100 * meter.cpu_per_s,
        "wakes_per_s": meter.wakes_per_s,
        "samples_per_s": sources["imu"]["delivered"] / ran_s,
        "lost": sources["imu"]["lost"],
        "queue_ms": meter.worst_ns / 1e6,
    }
    for stage in STAGES if staged else ():
        row[f"{stage}_us"] = 1e6 * stages.seconds[stage] / max(1, stages.calls[stage])
        row[f"{stage}_percent"] = 100 * stages.seconds[stage] / ran_s
    return row


class _Meter:
    """Processor time between the looks of the session, and how long deliveries wait.

    `ran_s` is for how long there were any.
    """

    def __init__(self) -> None:
        self._begin: tuple[float, float, int] | None = None
        self._end = (0.0, 0.0, 0)
        self._first_ns = self._last_ns = 0
        self.worst_ns = 0

    @property
    def ran_s(self) -> float:
        return (self._last_ns - self._first_ns) / 1e9

    @property
    def cpu_per_s(self) -> float:
        """Seconds of the processor a second of the recording."""
        begin, end = self._measured
        return (end[1] - begin[1]) / (end[0] - begin[0])

    @property
    def wakes_per_s(self) -> float:
        """How many times a second one of its threads waited for something."""
        begin, end = self._measured
        return (end[2] - begin[2]) / (end[0] - begin[0])

    @property
    def _measured(self) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
        if self._begin is None or self._begin == self._end:
            raise ValueError(f"a recording that is measured lasts longer than {_SETTLING_S} s")
        return self._begin, self._end

    def look(self, progress: Progress) -> None:
        if progress.filmed_ns > _SETTLING_S * 1e9:
            waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
            self._end = time.monotonic(), time.process_time(), waits
            self._begin = self._begin or self._end

    def watching(self, take: Callable[[Recorder, Delivery], None]) -> Callable[..., None]:
        def watched(recorder: Recorder, delivery: Delivery) -> None:
            now_ns = self._last_ns = time.monotonic_ns()
            self._first_ns = self._first_ns or now_ns
            self.worst_ns = max(self.worst_ns, now_ns - delivery.at_ns)
            take(recorder, delivery)

        return watched


@contextmanager
def _rig(take: Take, seconds: float) -> Iterator[Rig]:
    """The sensors of a simulated rig that another process serves, and a film."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario = folder / "served.toml"
        scenario.write_text(_scenario(take))
        socket, link = str(folder / "i2c"), str(folder / "gps")
        with subprocess.Popen(
            process.python("benchmarks.served_rig", str(scenario), socket, link),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            if server.stdout is None or server.stdout.readline() != "ready\n":
                raise RuntimeError("the simulated rig cannot be served")
            devices = Configuration(
                ImuSettings(f"unix:{socket}", take.chip, take.rate_hz),
                MagnetometerSettings(),
                GpsSettings(link),
                CameraSettings(str(film(seconds))),
            )
            with hardware_rig(devices) as rig:
                yield rig


def _scenario(take: Take) -> str:
    """The walk with that chip, and a magnetometer of its own package."""
    text = _WALK.read_text().replace("address = 0x69", f'address = 0x68\nchip = "{take.chip}"', 1)
    return text.replace("[mag]\n", '[mag]\nchip = "QMC5883L"\n', 1)


def film(seconds: float) -> Path:
    """A film somewhat longer than that, made once."""
    length = int(seconds) + 10
    path = CACHE / f"film-{length}s.mp4"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        recordings.record(recordings.Plan(length, 10, _PICTURE), path)
    return path


def main(name: str, seconds: str, staged: str = "") -> None:
    """Make a recording on the disk that holds this folder, and delete it."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        path = Path(folder) / "clip.mp4"
        print(json.dumps(record(TAKES[name], float(seconds), path, staged=staged == "staged")))


if __name__ == "__main__":
    main(*sys.argv[1:])
