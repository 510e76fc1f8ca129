"""Say how the running camcorder is."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

_LOOK_S = 1.0


def add_connection(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks a running camcorder."""
    from daemon.control_client import DEFAULT_SOCKET

    parser.add_argument(
        "--socket",
        default=DEFAULT_SOCKET,
        metavar="PATH",
        help=f"where it listens (default {DEFAULT_SOCKET})",
    )
    parser.add_argument("--json", action="store_true", help="answer with JSON")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    add_connection(parser)
    parser.add_argument("--watch", action="store_true", help="go on once a second, until Ctrl-C")


def run(options: argparse.Namespace) -> int:
    """Print how it is, once or again and again."""
    from daemon.control_client import ControlClient

    with ControlClient(options.socket) as camcorder:
        if not options.watch:
            status = camcorder.ask("status")
            say(options, status, "\n".join(lines(status)))
            return 0
        with suppress(KeyboardInterrupt):  # that is how it ends
            _watch(options, _again_and_again(camcorder))
    return 0


def say(options: argparse.Namespace, answer: object, words: str) -> None:
    """An answer for people, or for programs."""
    text = json.dumps(answer) if options.json else words
    print(text, flush=True)  # noqa: T201 - this is the command line


def lines(status: dict[str, Any]) -> Iterator[str]:
    """A status for people: what is wrong first."""
    yield from (f"! {warning}" for warning in status["warnings"])
    clip = status["clip"]
    if clip is None:
        yield status["state"] + (
            f", last clip {status['last_clip']}" if status["last_clip"] else ""
        )
    else:
        late = f", {clip['late']} records late" if clip["late"] else ""
        yield (
            f"recording {clip['name']}: {in_time(clip['seconds'])}, {clip['bytes'] / 1e6:.1f} MB, "
            f"{clip['frames']} frames{late}"
        )
    room = f"{status['free_bytes'] / 1e9:.1f} GB free"
    if status["seconds_left"] is not None:
        room += f", enough for {in_time(status['seconds_left'])}"
    yield room
    if status["missed"]:
        yield f"{status['missed']} frames went into no clip"
    if status["sources"]:
        yield ""
        head = ("source", "rate", "lost", "failures")
        yield from table("<>>>", [head, *map(_row, status["sources"])])


def table(sides: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns, each to the side that `sides` says, "<" or ">"."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def in_time(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _row(source: dict[str, Any]) -> tuple[str, ...]:
    rate = f"{source['rate_hz']:.1f}/s" if source["delivering"] else "nothing"
    return source["name"], rate, str(source["lost"]), str(source["failures"])


def _again_and_again(camcorder: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - imported late
    while True:
        yield camcorder.ask("status")
        time.sleep(_LOOK_S)


def _watch(options: argparse.Namespace, statuses: Iterator[dict[str, Any]]) -> None:
    """Show each in the place of the one before; to a program, one a line."""
    if options.json:
        for status in statuses:
            say(options, status, "")
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False) as live:
        for status in statuses:
            live.update(Text("\n".join(lines(status))), refresh=True)
