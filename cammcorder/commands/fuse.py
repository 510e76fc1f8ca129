"""Work out the orientation of a clip again, from the motion that it holds.

Knowing what came later as well as what came before takes a third off the error of a filter that ran
while it was filmed, and there is nothing to settle at the beginning. Headings are from true north
where the clip has a magnetometer and a fix, else from magnetic north; without a magnetometer they
are relative to nothing, or to the course of the fixes with --align-course. The clip's metadata says
which.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.refinement import Rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", type=Path)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="the clip to write; may be CLIP itself, which is replaced when OUT is whole",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    parser.add_argument(
        "--filter",
        default="vqf-offline",
        help="%(default)s, or one of those of `record`",
    )
    parser.add_argument(
        "--rate",
        metavar="R",
        help="imu (one for each sample), frame (one for each video frame) or so many a second; "
        "left out, records keep their times and places and no other byte changes",
    )
    parser.add_argument(
        "--align-course",
        action="store_true",
        help="without a magnetometer: turn the headings of a camera that looks ahead to the course",
    )


def run(options: argparse.Namespace) -> int:
    """Work it out, write, tell."""
    from cammcorder.commands.outputs import end_tidily, free_file
    from daemon.refinement import refine
    from fusion.orientation import check_name

    clip, out = options.clip, options.output
    check_name(options.filter)
    own = out.exists() and clip.exists() and out.samefile(clip)
    if own:
        out = out.resolve()  # not the link that it may be
    free_file(out, force=options.force or own)
    end_tidily()
    found = refine(
        clip,
        out,
        options.filter,
        rate=_rate(options.rate),
        align_course=options.align_course,
    )
    said = "" if found.told else "; the clip's metadata has no room to say so"
    sys.stdout.write(
        f"{out}: {found.count:,} orientations by {found.filter}, heading from {found.heading}"
        f"{said}\n"
    )
    return 0


def _rate(text: str | None) -> Rate | None:
    from camm import UsageError

    match text:
        case None | "imu" | "frame":
            return text
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 10_000:
        raise UsageError(f"--rate is imu, frame or a number of Hz up to 10000, found {text!r}")
    return rate
