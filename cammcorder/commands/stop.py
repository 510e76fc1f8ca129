"""Have the running camcorder finish its clip, and say what that is called."""

from __future__ import annotations

import argparse
import time

from cammcorder.commands.status import add_connection, say

_PATIENCE_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Stop, and wait until the clip is finished."""
    from camm.errors import CammError
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        before = camcorder.ask("stop")
        status = camcorder.ask("status")
        give_up_s = time.monotonic() + _PATIENCE_S
        while status["clip"] is not None and time.monotonic() < give_up_s:
            time.sleep(0.05)
            status = camcorder.ask("status")
    if before["clip"] is not None and status["last_clip"] == before["last_clip"]:
        why = "; ".join(status["warnings"]) or "its log says why"
        raise CammError(f"{before['clip']['name']} is not finished: {why}")
    recorded = before["clip"] is not None
    say(options, status, status["last_clip"] if recorded else "nothing was being recorded")
    return 0
