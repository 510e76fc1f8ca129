"""Film ten seconds with a simulated rig, read the clip back, check it and write a report

Does in one go what these four commands do: record --sim walk, extract --to csv,gpx, check, report.
Takes about as long as it films. Needs no hardware; files of an earlier demo are replaced.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", default="demo", help="the folder to fill (%(default)s)"
    )
    parser.add_argument(
        "--duration", metavar="S", default="10", help="seconds to film (%(default)s)"
    )
    parser.add_argument(
        "--speed", metavar="X", default="1", help="times real time, or max (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the four commands; the first that fails ends the demo."""
    from cammcorder.__main__ import main
    from cammcorder.commands.outputs import made_folder

    folder = made_folder(Path(options.output))
    clip = str(folder / "walk.mp4")
    take = ["--sim", "walk", "--duration", options.duration, "--speed", options.speed]
    for command in (
        ["record", *take, "-o", clip, "--force"],
        ["extract", clip, "--to", "csv,gpx", "-o", str(folder), "--force"],
        ["check", clip],
        ["report", clip, "-o", str(folder / "report.html"), "--force"],
    ):
        if code := main(command):
            return code
    return 0
