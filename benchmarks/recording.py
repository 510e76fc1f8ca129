"""What a recording costs while it runs: `python -m benchmarks.recording`.

Motion at several rates, a magnetometer at 100 Hz, fixes at 10 Hz and 30 pictures a second that are
passed through, in real time. Each is a process of its own, and recorded twice: once for the total,
once with every stage timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks import process
from benchmarks.table import present

TAKES = (
    "ICM-42688-P at 200 Hz",
    "ICM-42688-P at 1000 Hz",
    "ICM-42688-P at 2000 Hz",
    "MPU-6500 at 1000 Hz",
)
STAGES = ("bus", "driver", "stamp", "gps", "fuse", "rotate", "write")
COLUMNS = {
    "recording": "recording",
    "cpu_percent": "CPU %",
    "wakes_per_s": "wakes/s",
    "bus_percent": "bus %",
    "samples_per_s": "Hz",
    "lost": "lost",
    "queue_ms": "queue ms",
    **{f"{stage}_us": f"{stage} µs" for stage in STAGES},
}


def recordings(seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each recording."""
    for name in TAKES:
        row: dict[str, Any] = {"recording": name}
        take = process.python("benchmarks.live", name, str(seconds))
        try:
            staged = process.run([*take, "staged"], answers=True)
            plain = process.run(take, answers=True)
        except process.MeasurementError as error:
            yield row | {"error": str(error)}
        else:
            yield row | staged.found | plain.found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a recording costs while it runs.")
    parser.add_argument("--seconds", type=float, default=20.0, help="to film each time")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    rows = recordings(options.seconds)
    present("recording in real time", rows, COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
