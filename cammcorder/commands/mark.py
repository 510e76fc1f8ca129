"""Note this moment in the clip that is being recorded, and protect it."""

from __future__ import annotations

import argparse

from cammcorder.commands.status import add_connection, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("text", metavar="TEXT", help='what there is to note, as "near miss"')
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Mark, and say where."""
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        mark = camcorder.ask("mark", text=options.text)
    say(options, mark, f"{mark['name']}, {mark['t_s']:.1f} s: {mark['text']}")
    return 0
