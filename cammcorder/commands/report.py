"""Write a page about a clip: verdict, rates, gaps, losses, and plots of all sensors that zoom.

One HTML file that needs no network. A clip in the same folder is played in it, with the horizon and
the compass over the picture. Needs the extra `report`: pip install 'cammcorder[report]'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.clip import Clip
    from muxer.report.digest import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to report on, or its URL")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the page to write (default: the clip's name with .html, in the current folder)",
    )
    parser.add_argument("--force", action="store_true", help="replace the page if it is there")


def run(options: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from cammcorder.commands.outputs import end_tidily, free_file, progress
    from muxer import reader
    from muxer.extract import write_whole

    render = _renderer()
    page = options.output or Path(Path(options.clip).stem + ".html")
    free_file(page, force=options.force, inputs=[options.clip])
    end_tidily()
    with reader.open(options.clip) as clip:
        reader.require_motion(clip)
        with progress(clip, "reading") as watch:
            write_whole(page, [render(clip, page, watch)])
    sys.stdout.write(f"{page}\n")
    return 0


def _renderer() -> Callable[[Clip, Path, Watch], str]:
    """What makes the page, if the packages that it takes are here."""
    from camm.errors import CammError

    try:
        from muxer.report import render
    except ModuleNotFoundError as error:
        if error.name not in {"jinja2", "markupsafe"}:
            raise
        raise CammError(f"a report needs {error.name}: pip install 'cammcorder[report]'") from None
    return render
