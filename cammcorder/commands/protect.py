"""Keep a clip whatever happens: it is not deleted to make room, nor by a slip of the finger."""

from __future__ import annotations

import argparse

from cammcorder.commands.status import add_connection, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("name", metavar="NAME", help="the clip's, with or without .mp4")
    parser.add_argument("--off", action="store_true", help="keep it so no longer")
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Put the protection on, or take it off."""
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        clip = camcorder.ask("protect", name=options.name, protected=not options.off)
    said = "is protected" if clip["protected"] else "is not protected any more"
    say(options, clip, f"{clip['name']} {said}")
    return 0
