"""Write a clip's metadata as CSV, GPX, JSON Lines or Gyroflow's .gcsv.

CSV gives a table for each packet type (walk.gyro.csv, walk.gps.csv, ...), GPX the track of the
camera (walk.gpx), JSON Lines an object for every record in the order of the file (walk.jsonl),
.gcsv the motion for Gyroflow (walk.gcsv).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camm import PacketType
    from muxer.clip import Clip
    from muxer.extract import Document

_LONG_WORK = 8
"""Pieces of text from which on it takes long enough for a progress bar."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to read")
    parser.add_argument(
        "--to",
        metavar="FORMATS",
        required=True,
        help="csv, gcsv, gpx, jsonl, or several of them divided by commas",
    )
    parser.add_argument(
        "--types",
        metavar="TYPES",
        help="only these packet types, such as gyro,acceleration,gps (default: all in the clip)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default=".",
        help="the folder to write to, made if need be; - for standard output (default: here)",
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what a URL has cost")


def run(options: argparse.Namespace) -> int:
    """Extract, and name each file that was written."""
    from cammcorder.commands.outputs import tell_cost
    from muxer import reader

    formats, kinds = _formats(options.to), _kinds(options.types)
    if options.output == "-" and len(formats) > 1:
        from camm import UsageError

        raise UsageError(f"standard output takes one format, found {options.to}: name a folder")
    with reader.open(options.clip) as clip:
        documents = _documents(reader.require_motion(clip), formats, kinds)
        with _progress(sum(document.pieces for document in documents)) as advance:
            if options.output == "-":
                _print(documents, advance)
            else:
                _write(clip, documents, options, advance)
        if options.verbose:
            tell_cost(clip)
    return 0


def _formats(names: str) -> list[str]:
    from camm import UsageError
    from muxer.extract import FORMATS

    formats = list(dict.fromkeys(names.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"no format is called {name!r}; there are: {', '.join(FORMATS)}")
    return formats


def _kinds(labels: str | None) -> frozenset[PacketType] | None:
    from camm import PacketError, PacketType, UsageError

    if labels is None:
        return None
    try:
        return frozenset(map(PacketType.from_label, labels.split(",")))
    except PacketError as error:
        raise UsageError(str(error)) from None


def _documents(
    clip: Clip, formats: list[str], kinds: frozenset[PacketType] | None
) -> list[Document]:
    """What all formats make of the clip; it is an error if that is nothing at all."""
    from muxer.extract import FORMATS, NothingToExtractError

    documents, notes = [], []
    for name in formats:
        try:
            documents += FORMATS[name](clip, kinds)
        except NothingToExtractError as nothing:
            notes.append(nothing)
    if not documents:
        raise notes[0]
    sys.stderr.writelines(f"cammcorder: {note}\n" for note in notes)
    return documents


def _print(documents: list[Document], advance: Callable[[], None]) -> None:
    """All documents to standard output, an empty line between them."""
    out = sys.stdout.buffer  # text would be in the terminal's encoding, and GPX says it is UTF-8
    for number, document in enumerate(documents):
        if number:
            out.write(b"\n")
        for piece in _counted(document, advance):
            out.write(piece.encode())
    out.flush()


def _write(
    clip: Clip, documents: list[Document], options: argparse.Namespace, advance: Callable[[], None]
) -> None:
    """Each document to a file of the folder, once it is known that all their names are free."""
    from cammcorder.commands.outputs import free_file, made_folder
    from muxer.extract import write_whole

    folder = made_folder(Path(options.output))
    stem = Path(clip.path).stem
    paths = [
        free_file(folder / f"{stem}{document.suffix}", force=options.force)
        for document in documents
    ]
    for path, document in zip(paths, documents, strict=True):
        write_whole(path, _counted(document, advance))
        sys.stdout.write(f"{path}\n")


def _counted(document: Document, advance: Callable[[], None]) -> Iterator[str]:
    for piece in document.text:
        yield piece
        advance()


@contextmanager
def _progress(pieces: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error for long work at a terminal; gives what to call after each piece."""
    if pieces < _LONG_WORK or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("extracting", total=pieces)
        yield lambda: bar.advance(task)
