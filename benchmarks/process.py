"""One measurement: a command as a fresh process, its time and its memory.

This module and whatever starts measurements must stay small: Linux counts into the peak memory of
a process what its parent had when it was started.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CACHE = Path(__file__).parent / ".cache"
"""Clips that were made for measurements, and room for those that are written: a real disk."""


class MeasurementError(Exception):
    """A command that failed, and what it said last."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took.

    `wall_s`, `cpu_s`  seconds, of the clock and of the processor (user and system)
    `rss_mb`           peak resident memory, 10^6 bytes
    `found`            what it printed on standard output, if that was JSON
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    found: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """All of it, with as many digits as mean something."""
        return {
            "wall_s": round(self.wall_s, 4),
            "cpu_s": round(self.cpu_s, 4),
            "rss_mb": round(self.rss_mb, 1),
            **{k: round(v, 4) if isinstance(v, float) else v for k, v in self.found.items()},
        }


def run(command: Sequence[str], *, answers: bool) -> Cost:
    """Run a command once; MeasurementError where it fails.

    A command that `answers` prints one JSON object; the output of others is thrown away.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output if answers else subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise MeasurementError(said[-1] if said else f"exit code {process.returncode}")
        output.seek(0)
        found = json.loads(output.read()) if answers else {}
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, found)


def measure(
    command: Sequence[str], runs: int, *, answers: bool, folder: Path | None = None
) -> Cost:
    """The medians of several runs after one that only warms up; of an answer's numbers too.

    What a run leaves in the `folder` is deleted: the next one overwrites nothing.
    """
    costs = []
    for _ in range(1 + runs):
        costs.append(run(command, answers=answers))
        for file in folder.iterdir() if folder else ():
            file.unlink()
    del costs[0]
    found = {
        key: statistics.median(cost.found[key] for cost in costs)
        if isinstance(value, int | float)
        else value
        for key, value in costs[0].found.items()
    }
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(cost.rss_mb for cost in costs),
        found,
    )


def python(module: str, *arguments: str) -> list[str]:
    """The command for a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def machine() -> dict[str, Any]:
    """Where the figures come from, and how busy it was."""
    return {
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
