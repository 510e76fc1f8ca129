"""Put the records of logs into a video that was filmed without them, as a CAMM track.

LOG is GPX, the NMEA or UBX of a receiver, Gyroflow's .gcsv, the tables or JSON Lines of `extract`,
or another clip. The video may be of any maker; its pictures and sound stay as they are. GPX and
receivers' logs are placed by UTC: the clip begins when it says (its creation time, Apple's
creationdate, or ours), or at --start. Other logs begin with the first frame. docs/INJECT.md says
what becomes of what.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camm import PacketType
    from hw_sim.replay.log import Log
    from muxer.clip import Clip
    from muxer.remux import Injected


_LONGEST_S = 1e9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("logs", metavar="LOG", nargs="+", type=Path, help="what to put in")
    parser.add_argument("clip", metavar="CLIP", help="the video, or its URL")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the clip to write"
    )
    parser.add_argument(
        "--start",
        metavar="UTC",
        help="when the clip begins, such as 2026-06-01T12:00:00Z (default: what it says itself)",
    )
    parser.add_argument(
        "--offset",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="added to all times of the logs: with 2, what they have comes two seconds later",
    )
    over = parser.add_mutually_exclusive_group()
    over.add_argument(
        "--replace",
        dest="over",
        action="store_const",
        const="replace",
        default="nothing",
        help="in place of the CAMM track that the clip has",
    )
    over.add_argument(
        "--merge",
        dest="over",
        action="store_const",
        const="merge",
        help="the same, but keep what it has of other types than the logs",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it is there")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what a URL has cost")


def run(options: argparse.Namespace) -> int:
    """Write the clip, and tell how much of it the logs cover."""
    from cammcorder.commands.outputs import end_tidily, free_file, tell_cost
    from cammcorder.commands.recorded import recorded_logs
    from cammcorder.commands.rewriting import rewriting
    from muxer import reader
    from muxer.remux import inject

    inputs = [options.clip, *options.logs]
    out = free_file(options.output, force=options.force, inputs=inputs)
    end_tidily()
    asked, offset_ns = _date(options.start), _nanoseconds(options.offset)
    with ExitStack() as holds:
        clip = holds.enter_context(reader.open(options.clip))
        logs = recorded_logs(options.logs, holds)
        start = _start(asked, clip, logs)
        with rewriting(clip) as watch:
            done = inject(
                clip,
                logs,
                out,
                start=start,
                offset_ns=offset_ns,
                over=options.over,
                watch=watch,
            )
        if options.verbose:
            tell_cost(clip)
    sys.stdout.writelines(f"{line}\n" for line in _told(done))
    sys.stdout.write(f"{out}\n")
    return 0


def _date(text: str | None) -> datetime | None:
    from camm import UsageError
    from camm.gps_time import parse_utc

    try:
        return None if text is None else parse_utc(text)
    except ValueError:
        raise UsageError(
            f"--start is a date such as 2026-06-01T12:00:00Z, found {text!r}"
        ) from None


def _nanoseconds(seconds: float) -> int:
    from camm import UsageError

    if not abs(seconds) < _LONGEST_S:
        raise UsageError(f"--offset is a number of seconds, found {seconds:g}")
    return round(seconds * 1e9)


def _start(asked: datetime | None, clip: Clip, logs: dict[PacketType, Log]) -> datetime | None:
    """UTC of the clip's first frame; what tells it is told where it matters."""
    from muxer.remux.start import start_of

    if asked is not None:
        return asked
    found = start_of(clip)
    if found is None:
        return None
    if any(log.by_utc for log in logs.values()):
        said = f"{found.utc:%Y-%m-%d %H:%M:%S} UTC by {found.told_by}"
        sys.stdout.write(f"{clip.path} begins at {said}\n")
    return found.utc


def _told(done: Injected) -> list[str]:
    """What of each log went in, and how much of the film that covers."""
    from muxer.remux.inject import clock

    of_log: dict[tuple[str, str], list[str]] = {}
    for cover in done.covers:
        covers = "nothing of the film"
        if cover.count:
            covers = f"{clock(cover.first_ns)} to {clock(cover.last_ns)} of {clock(done.end_ns)}"
        of_log.setdefault((cover.name, covers), []).append(f"{cover.count:,} {cover.kind.label}")
    lines = [
        f"{name} covers {covers}: {', '.join(records)}"
        for (name, covers), records in of_log.items()
    ]
    if done.late:
        lines.append(f"left out: {done.late:,} records more than a second out of order")
    return lines
