"""Readers side by side: `python -m benchmarks.reading [CLIP] [--runs N] [--json-lines]`.

Without CLIP two are made: ten minutes and 79. Each reader is a fresh process, the clip is in the
page cache, and figures are medians.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import process
from benchmarks.table import present

COLUMNS = {
    "reader": "reader",
    "wall_s": "s",
    "cpu_s": "CPU s",
    "rss_mb": "peak MB",
    "records_per_s": "records/s",
    "inside_s": "inside s",
    "times_faster": "faster",
    "times_faster_inside": "inside",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A way to read a clip.

    `command`  what runs; CLIP and FOLDER stand for the clip and an empty folder
    `package`  the Python package that must be there; without one, the program itself must be
    `probe`    whether it is one of `benchmarks.readers`, which time themselves
    `most`     records up to which it is tried at all
    """

    name: str
    command: Sequence[str]
    package: str = ""
    probe: bool = False
    most: int = sys.maxsize

    @property
    def installed(self) -> bool:
        """Whether it can be tried."""
        if self.package:
            return find_spec(self.package) is not None
        return shutil.which(self.command[0]) is not None


def _probe(name: str, package: str, reader: str) -> Reader:
    return Reader(name, process.python("benchmarks.readers", reader, "CLIP"), package, probe=True)


def _export(name: str) -> Reader:
    arguments = ("extract", "CLIP", "--to", name, "-o", "FOLDER")
    package = {"parquet": "pyarrow", "mcap": "mcap"}.get(name, "cammcorder")
    return Reader(
        f"cammcorder extract --to {name}", process.python("cammcorder", *arguments), package
    )


FFPROBE = ("ffprobe", "-v", "error", "-select_streams", "d:0")
READERS = (
    _probe("telemetry-parser", "telemetry_parser", "telemetry_parser"),
    _probe("cammcorder, columns", "cammcorder", "columns"),
    _probe("cammcorder, blocks", "cammcorder", "blocks"),
    *map(_export, ("csv", "jsonl", "gpx", "gcsv", "parquet", "mcap")),
    _probe("mapillary_tools, motion", "mapillary_tools", "mapillary_motion"),
    _probe("mapillary_tools, GPS", "mapillary_tools", "mapillary_gps"),
    _probe("PyAV and struct", "av", "pyav"),
    Reader(
        "ffprobe, times and sizes",
        [*FFPROBE, "-show_entries", "packet=pts,size", "-of", "csv", "CLIP"],
    ),
    Reader("ExifTool -ee3", ["exiftool", "-ee3", "-G3", "-n", "-j", "CLIP"], most=300_000),
)
"""The first is the one that the others are compared with."""


def readings(clip: Path, runs: int) -> Iterator[dict[str, Any]]:
    """A row for each reader; one that is not installed or fails says so."""
    columns = process.python("benchmarks.readers", "columns", str(clip))
    records = process.run(columns, answers=True).found["records"]
    baseline: dict[str, Any] = {}
    for reader in READERS:
        if records > reader.most:
            continue
        row = {"reader": reader.name, "clip": clip.name, "clip_records": records}
        row |= _reading(reader, clip, records, runs) if reader.installed else {"error": "absent"}
        baseline = baseline or row
        for ratio, key in (("times_faster", "wall_s"), ("times_faster_inside", "inside_s")):
            if {key} <= row.keys() & baseline.keys():
                row[ratio] = round(baseline[key] / row[key], 2)
        yield row


def _reading(reader: Reader, clip: Path, records: int, runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=process.CACHE) as folder:
        stands_for = {"CLIP": str(clip), "FOLDER": folder}
        command = [stands_for.get(word, word) for word in reader.command]
        try:
            cost = process.measure(command, runs, answers=reader.probe, folder=Path(folder))
        except process.MeasurementError as error:
            return {"error": str(error)}
    return cost.row() | {"records_per_s": round(records / cost.wall_s)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Readers of clips side by side.")
    parser.add_argument("clip", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=3, help="measured ones, after one warm-up")
    parser.add_argument("--json-lines", action="store_true", help="a JSON object a measurement")
    options = parser.parse_args()
    process.CACHE.mkdir(exist_ok=True)
    for clip in [options.clip] if options.clip else map(made, ("10 min", "79 min")):
        present(f"{clip.name}, read", readings(clip, options.runs), COLUMNS, options.json_lines)


def made(name: str) -> Path:
    """A clip of `benchmarks.clips`, made by another process: this one must stay small."""
    answer = process.run(process.python("benchmarks.clips", name), answers=True)
    return Path(answer.found["clip"])


if __name__ == "__main__":
    main()
