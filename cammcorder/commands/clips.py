"""List the clips of the running camcorder, the newest first."""

from __future__ import annotations

import argparse
from typing import Any

from cammcorder.commands.status import add_connection, in_time, say, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        clips = camcorder.ask("clips")
    rows = [("clip", "length", "MB", ""), *map(_row, clips)]
    say(options, clips, "\n".join(table("<>><", rows)) if clips else "there are no clips yet")
    return 0


def _row(clip: dict[str, Any]) -> tuple[str, ...]:
    flags = [flag for flag in ("protected", "unfinished") if clip[flag]]
    length = "?" if clip["seconds"] is None else in_time(clip["seconds"])
    return clip["name"], length, f"{clip['bytes'] / 1e6:.1f}", ", ".join(flags)
