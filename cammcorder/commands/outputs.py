"""Where a command may write, asked before the work so that none is lost to a taken name; and how
it tells that it is at work.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from camm.errors import UsageError

if TYPE_CHECKING:
    from muxer.clip import Clip

_LONG_WORK = 8
"""Blocks of records from which on it takes long enough for a progress bar."""

_Round = TypeVar("_Round")


def free_file(path: Path, *, force: bool, inputs: Iterable[str | Path] = ()) -> Path:
    """The path, once something may be written there.

    UsageError where it exists (unless `force`), is a folder, a device or a pipe, or one of the
    `inputs`, where its folder does not exist, and where that folder cannot be written to.
    """
    for read in map(Path, inputs):
        if path.exists() and read.exists() and path.samefile(read):
            raise UsageError(f"{path} is one of the files that are read: name another")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is a device or a pipe, which is not to be replaced: name a file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: choose another name, or --force to replace it")
    writable_folder(path.parent)
    return path


def made_folder(folder: Path) -> Path:
    """The folder, made if it is not there; UsageError where it cannot be, or cannot be filled."""
    if not folder.exists():
        writable_folder(folder.parent)
        folder.mkdir()
    return writable_folder(folder)


def writable_folder(folder: Path) -> Path:
    """The folder, once it is known that files can be made in it; else UsageError."""
    if not folder.exists():
        raise UsageError(f"there is no folder {folder}: make it first")
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name another")
    try:
        # Asking for permissions would not do: root has them even where nothing can be made.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"cannot write to the folder {folder}: {error.strerror}") from None
    return folder


def end_tidily() -> None:
    """Have SIGTERM end the command as Ctrl-C does, which takes away what is half written."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def printable(text: str) -> str:
    """Escapes for what would move a terminal's cursor or begin another line.

    Names of files, and the words in them, can be anybody's.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def tell_cost(clip: Clip) -> None:
    """Say on standard error what reading the clip has fetched."""
    requests, fetched = clip.fetched
    sys.stderr.write(f"cammcorder: {requests} requests, {fetched:,} of {clip.size:,} bytes\n")


@contextmanager
def progress(
    clip: Clip, doing: str, *, long_work: int = _LONG_WORK
) -> Iterator[Callable[[Iterable[_Round]], Iterable[_Round]]]:
    """A bar on standard error for long work at a terminal; gives what counts the rounds of it.

    There is a round for each block of the clip's records, and there may be one more.
    """
    if clip.survey.blocks < long_work or not sys.stderr.isatty():
        yield lambda rounds: rounds
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield lambda rounds: bar.track(rounds, clip.survey.blocks + 1, description=doing)
