"""Run the camcorder as a service: the rig is always on, and records when it is told to.

What it is made of stands in a file (`cammcorder config` checks one). `cammcorder start`, `stop` and
`status` tell it what to do and how it is; SIGTERM finishes the clip and ends it, SIGHUP has it read
the file again.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

DEFAULT_CONFIGURATION = Path("/etc/cammcorder/rig.toml")

_PRIORITIES = {logging.ERROR: "<3>", logging.WARNING: "<4>", logging.INFO: "<6>"}
"""How the journal is told of a line's importance: man 3 sd-daemon."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument(
        "-c",
        "--configuration",
        type=Path,
        default=DEFAULT_CONFIGURATION,
        metavar="FILE",
        help=f"what the rig is made of (default {DEFAULT_CONFIGURATION})",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    import asyncio

    from cammcorder import __version__
    from daemon.notify import Notifier
    from daemon.service import Service

    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    notifier = Notifier()
    try:
        asyncio.run(Service(options.configuration, __version__, notifier).run())
    finally:
        notifier.close()
    return 0


class _Lines(logging.Formatter):
    """Lines for a person; for the journal, which has times of its own, with their importance."""

    def __init__(self) -> None:
        self._journal = "JOURNAL_STREAM" in os.environ
        super().__init__("%(message)s" if self._journal else "%(asctime)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return _PRIORITIES.get(record.levelno, "<6>") + line if self._journal else line
