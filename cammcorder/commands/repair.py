"""Finish or rebuild a recording that a crash, a power cut or a bad disk has left damaged.

cammcorder's own recordings need nothing beside them. Other files whose index is lost are rebuilt
with the help of a healthy file of the same device and mode (--reference): their samples are found
one by one. Everything that is whole is kept; what is lost and what was assumed is told, byte range
by byte range. The damaged file is only read, unless it is repaired in place.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muxer.repair import Examination
    from muxer.salvage.rescue import Rescue

_COMPLETE, _PARTIAL = 0, 3
_LONG_WORK = 1 << 26
"""Bytes from which on it takes long enough for a progress bar."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("damaged", metavar="DAMAGED", type=Path, help="the recording to repair")
    parser.add_argument(
        "--reference",
        metavar="HEALTHY",
        type=Path,
        help="a file of the same device and mode that plays; needed where the index of a file is "
        "lost that cammcorder has not recorded",
    )
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
        help="repair the file itself: needs no space, and no media are moved",
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
    from cammcorder.commands.outputs import end_tidily, free_file
    from muxer.extract import write_whole

    damaged, reference = _in_order(options)
    out: Path = options.output or _beside(damaged)
    for name, path in (("damaged", damaged), ("healthy", reference)):
        for target in (out, options.report):
            if path is not None and target is not None and _same(target, path):
                raise UsageError(f"{target} is the {name} file: name another")
    if options.report is not None:
        free_file(options.report, force=options.force)
    if not (options.dry_run or options.in_place):
        free_file(out, force=options.force)
    end_tidily()
    work = _examined(damaged, reference)
    if options.report is not None:
        import json

        write_whole(options.report, [json.dumps(work.report, indent=2) + "\n"])
    work.require_recovered()
    _say(work.told)
    if work.writing is not None and options.in_place:
        _say(work.writing.plan_in_place())
        if not options.dry_run:
            work.writing.in_place()
    elif work.writing is not None and not options.dry_run:
        with _progress("writing", damaged) as watch:
            work.writing.new(out, watch)
        _say([str(out)])
    return _COMPLETE if work.complete else _PARTIAL


def _in_order(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """The damaged file and the healthy one, also where they were named the other way round.

    UsageError where the file that would be written to is not the one that was named for it.
    """
    from camm import UsageError
    from muxer.salvage.rescue import is_healthy

    damaged: Path = options.damaged
    reference: Path | None = options.reference
    if reference is None or is_healthy(reference) or not is_healthy(damaged):
        return damaged, reference
    if options.in_place:
        raise UsageError(
            f"{damaged} is healthy and {reference} is not: name the damaged one first to repair it "
            "--in-place"
        )
    _say([f"{damaged} is healthy and {reference} is not: taking them the other way round"])
    return reference, damaged


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _beside(damaged: Path) -> Path:
    """The name of the repaired clip: walk.unfinished.mp4 becomes walk.repaired.mp4."""
    stem = damaged.stem.removesuffix(".unfinished")
    return damaged.with_name(f"{stem}.repaired{damaged.suffix}")


def _say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class _Writing:
    """What can be done about it.

    `plan_in_place`  what will be done to the file itself; UsageError where that cannot be
    """

    new: Callable[[Path, Callable[[int], None]], None]
    in_place: Callable[[], None]
    plan_in_place: Callable[[], Iterable[str]] = tuple


@dataclass(frozen=True, slots=True)
class _Work:
    """What either way of repairing has found; `writing` is None where there is nothing to do.

    `require_recovered`  NothingRecoveredError where nothing can be kept
    """

    complete: bool
    report: dict[str, Any]
    told: Iterable[str]
    require_recovered: Callable[[], object]
    writing: _Writing | None


def _examined(damaged: Path, reference: Path | None) -> _Work:
    """Find out what can be done, the recorder's own way where the file is its own."""
    from muxer import repair
    from muxer.salvage.rescue import rescue

    examination = None
    if reference is None or repair.bears_marks(damaged):
        with _progress("examining", damaged) as watch, suppress(repair.NotOurRecordingError):
            examination = repair.examine(damaged, watch)
    if examination is not None and (examination.recovered or reference is None):
        return _ours(examination)
    with _progress("searching", damaged) as watch:
        return _others(rescue(damaged, reference, watch))


def _ours(examination: Examination) -> _Work:
    from cammcorder.commands.repair_text import told_of_ours
    from muxer import repair

    writing = _Writing(
        partial(repair.finish, examination), partial(repair.finish_in_place, examination)
    )
    return _Work(
        examination.complete,
        examination.report(),
        told_of_ours(examination),
        partial(repair.require_recovered, examination),
        writing if examination.remedy is not repair.Remedy.NOTHING else None,
    )


def _others(found: Rescue) -> _Work:
    from cammcorder.commands.repair_text import plan_in_place, told_of_others
    from muxer.salvage.write import write_in_place, write_new

    writing = None
    if found.rescued is not None:
        writing = _Writing(
            partial(write_new, found.rescued),
            partial(write_in_place, found.rescued),
            partial(plan_in_place, found.rescued),
        )
    return _Work(
        found.findings.complete,
        found.findings.report(),
        told_of_others(found.findings),
        found.require_recovered,
        writing,
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
