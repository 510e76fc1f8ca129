"""Write a clip again with its motion metadata as one CAMM track that every reader knows.

Takes `mett` tracks of motion and a Mi Sphere's `madv`, a CAMM track that FFmpeg's MOV has made
nameless, several tracks (which become one), and samples of several packets. Values and times stay
as they are, and so do pictures and sound. --to vr180 takes the orientations alone, for players that
take every record for one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.remux import Converted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the clip to convert, or its URL")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the clip to write"
    )
    parser.add_argument(
        "--to",
        choices=("camm", "vr180"),
        default="camm",
        help="all records (camm, the default), or the orientations alone (vr180)",
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it is there")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what a URL has cost")


def run(options: argparse.Namespace) -> int:
    """Write the clip, and tell what it was made of."""
    from cammcorder.commands.outputs import end_tidily, free_file, tell_cost
    from cammcorder.commands.rewriting import rewriting
    from muxer import reader
    from muxer.remux import convert

    out = free_file(options.output, force=options.force, inputs=[options.clip])
    end_tidily()
    with reader.open(options.clip) as clip:
        with rewriting(clip) as watch:
            done = convert(clip, out, to=options.to, watch=watch)
        if options.verbose:
            tell_cost(clip)
    sys.stdout.writelines(f"{line}\n" for line in _told(done))
    sys.stdout.write(f"{out}\n")
    return 0


def _told(done: Converted) -> list[str]:
    from camm import PacketType

    names = {
        kind: PacketType(kind).label if kind < len(PacketType) else f"type {kind}"
        for kind in done.counts
    }
    records = ", ".join(f"{count:,} {names[kind]}" for kind, count in done.counts.items())
    lines = [f"{', '.join(done.sources)}: {records}"]
    lines += [f"  found: {reason}: {count:,}" for reason, count in done.faults.items()]
    if done.late:
        lines.append(f"  left out: {done.late:,} records more than a second out of order")
    return lines
