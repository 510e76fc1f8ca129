"""Finish a recording that a crash, a power cut or a bad disk has left unfinished or damaged.

Everything that is whole is kept, at its exact time; what is lost is told, byte range by byte range.
The damaged file is only read, unless it is repaired in place. Works on cammcorder's own recordings
and needs nothing beside them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.repair import Examination, Stretch

_COMPLETE, _PARTIAL = 0, 3
_LONG_WORK = 1 << 28
"""Bytes from which on it takes long enough for a progress bar."""
_TOLD = 12
"""Stretches that are told one by one; the report has them all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("damaged", metavar="DAMAGED", type=Path, help="the recording to repair")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="the clip to write (default: NAME.repaired.mp4 beside DAMAGED)",
    )
    target.add_argument(
        "--in-place",
        action="store_true",
        help="repair the file itself: needs no space, and takes no time however long it is",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    parser.add_argument(
        "--report", metavar="FILE", type=Path, help="write what was kept and lost as JSON"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.epilog = (
        "exit codes: 0 nothing was lost, 1 nothing could be recovered, 2 the request cannot be "
        "carried out as it stands, 3 a part was lost"
    )


def run(options: argparse.Namespace) -> int:
    """Examine, tell, repair; the exit code says how much is left."""
    from camm import UsageError
    from cammcorder.commands.outputs import free_file
    from muxer import repair
    from muxer.extract import write_whole

    damaged: Path = options.damaged
    out: Path = options.output or _beside(damaged)
    if out.exists() and damaged.exists() and out.samefile(damaged):
        raise UsageError(f"{out} is the damaged file: name another, or repair it --in-place")
    if options.report is not None:
        free_file(options.report, force=options.force)
    if not (options.dry_run or options.in_place):
        free_file(out, force=options.force)
    with _progress("examining", damaged) as watch:
        examination = repair.examine(damaged, watch)
    if options.report is not None:
        import json

        write_whole(options.report, [json.dumps(examination.report(), indent=2) + "\n"])
    repair.require_recovered(examination)
    sys.stdout.writelines(f"{line}\n" for line in _told(examination))
    sys.stdout.flush()
    if examination.remedy is not repair.Remedy.NOTHING and not options.dry_run:
        if options.in_place:
            repair.finish_in_place(examination)
        else:
            with _progress("writing", damaged) as watch:
                repair.finish(examination, out, watch)
            sys.stdout.write(f"{out}\n")
    return _COMPLETE if examination.complete else _PARTIAL


def _beside(damaged: Path) -> Path:
    """The name of the repaired clip: walk.unfinished.mp4 becomes walk.repaired.mp4."""
    stem = damaged.stem.removesuffix(".unfinished")
    return damaged.with_name(f"{stem}.repaired{damaged.suffix}")


def _told(examination: Examination) -> Iterator[str]:
    """What is left, what is lost, and what is to be done."""
    yield f"{examination.path}: {examination.remedy.value}"
    for found in examination.tracks:
        line = f"  track {found.track.number} ({found.track.codec}): {len(found.table):,} kept"
        if found.lost:
            line += f", {found.lost:,} lost"
        if found.unverified and not examination.complete:
            line += f"; {found.unverified:,} of them by their looks, for no checksum holds"
        if found.smeared:
            line += f"; {found.smeared:,} after a lost picture, smeared until the next key frame"
        yield line
    lost = [("  lost", gap) for gap in examination.gaps] + [
        (f"  lost of track {found.track.number}", stretch)
        for found in examination.tracks
        for stretch in found.stretches
        if stretch.reason
    ]
    for name, stretch in lost[:_TOLD]:
        yield f"{name}: {_where(stretch)}"
    if len(lost) > _TOLD:
        yield f"  and {len(lost) - _TOLD:,} stretches more: --report has them all"


def _where(stretch: Stretch) -> str:
    start, end = (
        "?" if t is None else f"{t / 1e9:.3f} s" for t in (stretch.from_ns, stretch.until_ns)
    )
    samples = f"{stretch.samples:,} samples, " if stretch.samples else ""
    return (
        f"{samples}{start} to {end}, bytes {stretch.start:,} to {stretch.end:,}: {stretch.reason}"
    )


@contextmanager
def _progress(what: str, path: Path) -> Iterator[Callable[[int], None]]:
    """A bar on standard error for long files at a terminal; gives what to tell the bytes done."""
    size = path.stat().st_size if path.is_file() else 0
    if size < _LONG_WORK or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=size)
        yield lambda done: bar.update(task, completed=done)
