"""Have the running camcorder record, and say when it does."""

from __future__ import annotations

import argparse
import time

from cammcorder.commands.status import add_connection, say

_PATIENCE_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    add_connection(parser)


def run(options: argparse.Namespace) -> int:
    """Start, and wait until something is on the disk."""
    from camm.errors import CammError
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        status = camcorder.ask("start")
        give_up_s = time.monotonic() + _PATIENCE_S
        while status["state"] not in ("recording", "halted") and time.monotonic() < give_up_s:
            time.sleep(0.05)
            status = camcorder.ask("status")
    if status["state"] != "recording":
        why = "; ".join(status["warnings"]) or f"the camcorder is {status['state']}"
        raise CammError(f"not recording yet, it begins as soon as it can: {why}")
    say(options, status, f"recording {status['clip']['name']}")
    return 0
