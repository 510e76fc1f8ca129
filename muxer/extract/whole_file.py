"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, text: Iterable[str]) -> None:
    """Write the pieces as UTF-8; the name is given once everything is in the file.

    Until then it has a hidden name in the same folder, and is removed if anything goes wrong. A
    file of that name is replaced.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(text)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
