"""What the verbs have in common that write a clip again with another track of metadata."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muxer.clip import Clip

_LONG_WORK = 1 << 26
"""Bytes from which on it takes long enough for a progress bar."""


@contextmanager
def rewriting(clip: Clip) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for long work at a terminal; gives what to tell how far it is."""
    if clip.size < _LONG_WORK or not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield tell
