"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path


def write_whole(path: Path, text: Iterable[str]) -> None:
    """Write the pieces as UTF-8; the name is given once everything is in the file."""
    write_together([path], ([piece.encode()] for piece in text))


def write_together(paths: Sequence[Path], rounds: Iterable[Sequence[bytes]]) -> None:
    """Write several files at once, a piece of each in every round; all of them, or none is left.

    Until everything is written they have hidden names in the same folders, which are made if they
    are not there, and taken away again if anything goes wrong. Files of those names are replaced.
    OSError, which names the file, where a disk is full.
    """
    with ExitStack() as holds:
        parts = [holds.enter_context(_part(path)) for path in paths]
        for pieces in rounds:
            for path, (_, file), piece in zip(paths, parts, pieces, strict=True):
                left = memoryview(piece)
                try:
                    while left:
                        left = left[file.write(left) :]
                except OSError as error:
                    raise OSError(error.errno, error.strerror, str(path)) from None
        for path, (part, _) in zip(paths, parts, strict=True):
            part.replace(path)


@contextmanager
def _part(path: Path) -> Iterator[tuple[Path, FileIO]]:
    """A file under a hidden name, taken away in the end if it still has that."""
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with FileIO(part, "x") as file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)
        for folder in made:
            if not any(folder.iterdir()):
                folder.rmdir()
