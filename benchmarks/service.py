"""What the service costs and how quick it is: `python -m benchmarks.service`.

The daemon as a process of its own, its motion sensor and receiver simulated by another, its camera
a film of 10 Mbit/s that is passed through. Asked over its Unix socket, as the command line asks,
while somebody looks at the page.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.process import CACHE
from benchmarks.table import present
from daemon.control_client import ControlClient

RIGS = ("a film", "motion, fixes and a film")
COLUMNS = {
    "rig": "rig",
    "idle_rss_mib": "idle MiB",
    "recording_rss_mib": "recording MiB",
    "cpu_percent": "CPU %",
    "first_frame_s": "start to first frame s",
    "status_ms": "status ms",
    "slowest_status_ms": "slowest ms",
    "stall_ms": "loop held up ms",
    "stall_work_ms": "of that working ms",
    "command_ms": "`status` ms",
    "lost": "lost",
}
_PATIENCE_S = 60.0
_ASK_EVERY_S = 0.005


def measurements(seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each rig."""
    for name in RIGS:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            try:
                yield {"rig": name, **measure(Path(folder), seconds, sensors=name != RIGS[0])}
            except process.MeasurementError as error:
                yield {"rig": name, "error": str(error)}


def measure(folder: Path, seconds: float, *, sensors: bool) -> dict[str, Any]:
    """Start the daemon, record for that long, and end it."""
    with ExitStack() as stack:
        port = _free_port()
        configuration = _configuration(folder, seconds, port)
        if sensors:
            configuration += stack.enter_context(_sensors(folder))
        file = folder / "rig.toml"
        file.write_text(configuration)
        daemon = stack.enter_context(_running("benchmarks.watched_daemon", "-c", str(file)))
        client = stack.enter_context(_connected(folder / "sock"))
        _until(client, "ready")
        idle = _rss_mib(daemon.pid)
        began, cpu_s = time.perf_counter(), _cpu_s(daemon.pid)
        started_s = time.monotonic()
        client.ask("start")
        while not _stored(folder / "clips"):
            time.sleep(0.001)
        first_frame_s = time.perf_counter() - began
        with _looking(port):
            asked = _ask_for(client, seconds)
        cpu_s, lasted_s = _cpu_s(daemon.pid) - cpu_s, time.perf_counter() - began
        recording = _rss_mib(daemon.pid)
        command = [sys.executable, "-m", "cammcorder", "status", "--socket", str(folder / "sock")]
        cost = process.measure(command, 9, answers=False)
        lost = sum(source["lost"] for source in client.ask("status")["sources"])
        ended_s = time.monotonic()
        daemon.terminate()
        said, _ = daemon.communicate(timeout=_PATIENCE_S)
        if daemon.returncode:
            raise process.MeasurementError("the daemon failed")
        stalls = [s for s in json.loads(said) if started_s <= s[0] < ended_s]
    asked.sort()
    return {
        "idle_rss_mib": round(idle, 1),
        "recording_rss_mib": round(recording, 1),
        "cpu_percent": round(100 * cpu_s / lasted_s, 1),
        "first_frame_s": round(first_frame_s, 3),
        "status_ms": round(1e3 * asked[len(asked) // 2], 2),
        "slowest_status_ms": round(1e3 * asked[-1], 1),
        "command_ms": round(1e3 * cost.wall_s, 1),
        "stall_ms": round(1e3 * max((took for _, took, _ in stalls), default=0), 1),
        "stall_work_ms": round(1e3 * max((worked for *_, worked in stalls), default=0), 1),
        "lost": lost,
    }


def _configuration(folder: Path, seconds: float, port: int) -> str:
    from benchmarks.live import film  # late: it brings numpy

    return (
        f'[camera]\ndevice = "{film(seconds + 20)}"\n'
        f'[storage]\nfolder = "{folder}/clips"\nkeep_free_mb = 1\n'
        f'[control]\nsocket = "{folder}/sock"\nhttp = "127.0.0.1:{port}"\n'
    )


@contextmanager
def _sensors(folder: Path) -> Iterator[str]:
    """Those of the built-in walk, and the tables that declare them."""
    bus, port = folder / "bus", folder / "gps"
    serve = ("sim", "serve", "walk", "--socket", str(bus), "--gps-link", str(port))
    with _running("cammcorder", *serve):
        _wait_for(lambda: bus.exists() and port.exists())
        yield f'[imu]\nbus = "unix:{bus}"\n[gps]\nport = "{port}"\n'


@contextmanager
def _running(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.terminate()


def _connected(path: Path) -> ControlClient:
    _wait_for(path.exists)
    return ControlClient(str(path))


def _until(client: ControlClient, state: str) -> None:
    _wait_for(lambda: client.ask("status")["state"] == state)


def _wait_for(holds: Any) -> None:  # noqa: ANN401 - anything to call
    give_up_s = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > give_up_s:
            raise process.MeasurementError(f"it is not up after {_PATIENCE_S:g} s")
        time.sleep(0.01)


def _stored(clips: Path) -> bool:
    """Whether there is a clip with a fragment in it."""
    return any(b"moof" in path.read_bytes() for path in clips.glob("*.mp4"))


def _ask_for(client: ControlClient, seconds: float) -> list[float]:
    """How long each answer took: an event loop that stalls answers late."""
    answers = []
    give_up_s = time.monotonic() + seconds
    while time.monotonic() < give_up_s:
        began = time.perf_counter()
        client.ask("status")
        answers.append(time.perf_counter() - began)
        time.sleep(_ASK_EVERY_S)
    return answers


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _looking(port: int) -> Iterator[None]:
    """As the page does: the stream of events, and once a second what the camera sees."""
    over = threading.Event()

    def follow() -> None:
        events = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
        events.request("GET", "/api/events")
        answer = events.getresponse()
        while not over.is_set() and answer.readline():
            pass
        events.close()

    def watch() -> None:
        while not over.wait(1):
            pictures = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
            pictures.request("GET", "/api/preview.jpg")
            pictures.getresponse().read()
            pictures.close()

    with ThreadPoolExecutor() as threads:
        looking = [threads.submit(follow), threads.submit(watch)]
        yield
        over.set()
    for each in looking:
        each.result()


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the service costs and how quick it is.")
    parser.add_argument("--seconds", type=float, default=20.0, help="to record each time")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    rows = measurements(options.seconds)
    present("the service while it records", rows, COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
