"""Where a command may write: asked before the work, so that none is lost to a taken name."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from camm.errors import UsageError

if TYPE_CHECKING:
    from muxer.clip import Clip


def free_file(path: Path, *, force: bool) -> Path:
    """The path, once something may be written there.

    UsageError where it exists (unless `force`) or is a folder, where its folder does not exist, and
    where that folder cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
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
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: make it first")
    try:
        # Asking for permissions would not do: root has them even where nothing can be made.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"cannot write to the folder {folder}: {error.strerror}") from None
    return folder


def tell_cost(clip: Clip) -> None:
    """Say on standard error what reading the clip has fetched."""
    requests, fetched = clip.fetched
    sys.stderr.write(f"cammcorder: {requests} requests, {fetched:,} of {clip.size:,} bytes\n")
