"""Recordings to a real disk: `python -m benchmarks.writing [--large] [--runs N] [--json-lines]`.

Each is a process of its own, and figures are medians.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import process
from benchmarks.table import present

COLUMNS = {
    "recording": "recording",
    "records": "records",
    "wall_s": "s",
    "cpu_s": "CPU s",
    "rss_mb": "peak MB",
    "records_per_s": "records/s",
    "records_per_s_without_sync": "but for sync",
    "sync_s": "sync s",
    "finish_s": "finish s",
    "moov": "moov in front",
    "payload_mb": "payload MB",
    "written_per_payload": "written/payload",
    "size_per_payload": "file/payload",
}
RECORDINGS = (
    "10 min at 200 Hz",
    "10 min at 1 kHz",
    "60 min at 1 kHz",
    "1 GiB of video",
    "4 GiB of holes",
)
LARGE = ("4 GiB of video", "4 GiB of holes, copied")
LARGE_BYTES = 5 << 30
"""Room that each takes, with some left."""


def recordings(names: Sequence[str], runs: int) -> Iterator[dict[str, Any]]:
    """A row for each recording."""
    for name in names:
        row: dict[str, Any] = {"recording": name}
        try:
            cost = process.measure(
                process.python("benchmarks.recordings", name), runs, answers=True
            )
        except process.MeasurementError as error:
            yield row | {"error": str(error)}
        else:
            yield row | cost.row()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What recording costs.")
    parser.add_argument("--large", action="store_true", help=f"{' and '.join(LARGE)}, too")
    parser.add_argument("--runs", type=int, default=3, help="measured ones, after one warm-up")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    process.CACHE.mkdir(exist_ok=True)
    names: tuple[str, ...] = RECORDINGS
    if options.large:
        if shutil.disk_usage(process.CACHE).free < LARGE_BYTES:
            parser.error(
                f"{' and '.join(LARGE)} take {LARGE_BYTES >> 30} GiB of disk at {process.CACHE}"
            )
        names += LARGE
    present("recordings", recordings(names, options.runs), COLUMNS, options.json_lines)


if __name__ == "__main__":
    main()
