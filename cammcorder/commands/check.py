"""Find what is wrong with a clip, by the specification and for other people's readers.

Each finding says where in the clip it shows first and what to do. --profile street-view asks what
Street View would refuse it for. --against holds it to what was recorded: another clip of any maker,
a receiver's bytes, the tables of `extract`, GPX, a .gcsv. --truth holds a simulated clip to its
truth.

Exit code 0 where there is no error (warnings are told and do not count), 1 otherwise, or where
--against found that something is missing, extra or changed. docs/CHECK.md has all rules, and the
JSON.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.check.against import Comparison
    from muxer.check.truth import Measured
    from muxer.clip import Clip

_LONG_WORK = 100
"""Blocks of records that take two seconds and more."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to check, or its URL")
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="readers",
        help="whose rules: readers (the default: the specification and all programs that read "
        "it) or street-view",
    )
    parser.add_argument(
        "--against",
        metavar="LOG",
        help="a clip or a log of what was recorded: what is missing, extra, changed, shifted?",
    )
    parser.add_argument(
        "--truth",
        metavar="FILE",
        help="the simulator's truth (CLIP.truth.npz): how far off are orientation, place, times?",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, for scripts")


def run(options: argparse.Namespace) -> int:
    """Check the clip, and say in the exit code whether it is sound."""
    from cammcorder.commands.outputs import progress
    from muxer import reader
    from muxer.check import check, profile_of

    profile_of(options.profile)
    with reader.open(options.clip) as clip:
        reader.require_motion(clip)
        with progress(clip, "checking", long_work=_LONG_WORK) as watch:
            verdict = check(clip, options.profile, watch=watch)
        compared = None if options.against is None else _compared(clip, options.against)
        measured = None if options.truth is None else _measured(clip, options.truth)
    if options.json:
        from cammcorder.commands.check_text import as_json

        sys.stdout.write(as_json(verdict, compared, measured))
    else:
        from cammcorder.commands.check_text import print_all

        print_all(verdict, compared, measured)
    same = all(comparison.same for comparison in compared or ())
    return 0 if verdict.sound and same else 1


def _compared(clip: Clip, log: str) -> list[Comparison]:
    """What has become of each type that the log holds."""
    from contextlib import ExitStack
    from pathlib import Path

    from cammcorder.commands.recorded import recorded_blocks
    from muxer.check.against import compare

    with ExitStack() as holds:
        logs = recorded_blocks(Path(log), holds)
        return [compare(kind, clip.blocks(kind), blocks) for kind, blocks in logs.items()]


def _measured(clip: Clip, path: str) -> tuple[Measured, ...]:
    """The clip's errors against the simulator's truth."""
    import zipfile

    import numpy as np

    from camm import UsageError
    from muxer.check.truth import measure

    try:
        with np.load(path) as truth:
            return measure(clip, dict(truth))
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(f"{path} is no truth file of the simulator: {error}") from None
