"""Write a clip's metadata in the forms that other programs read: CSV, GPX, Parquet, MCAP and more.

csv, parquet: a table for each packet type (walk.gyro.csv, walk.gps.csv, ...); jsonl: an object for
every record in the order of the file; with --per-frame all three have a row for every video frame
instead. gpx, geojson, kml, nmea: the track of the camera. gcsv: the motion for Gyroflow. euroc: the
layout of visual-inertial data sets and Kalibr. mcap, mcap+video: for Foxglove. srt: subtitles. raw:
a Mi Sphere's boxes as they are. docs/EXPORT.md has the columns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camm import PacketType
    from muxer.clip import Clip
    from muxer.extract import Document, Selection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    parser.add_argument("clip", metavar="CLIP", help="the MP4 file to read, or its URL")
    parser.add_argument(
        "--to",
        metavar="FORMATS",
        required=True,
        help="csv, euroc, gcsv, geojson, gpx, jsonl, kml, mcap, mcap+video, nmea, parquet, raw, "
        "srt, or several of them divided by commas",
    )
    parser.add_argument(
        "--types",
        metavar="TYPES",
        help="only these packet types, such as gyro,acceleration,gps (default: all in the clip)",
    )
    parser.add_argument(
        "--per-frame",
        action="store_true",
        help="a row for every video frame, with its orientation, exposure and place "
        "(csv, jsonl, parquet)",
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
    from muxer.extract import Selection

    formats, kinds = _formats(options), _kinds(options.types)
    with reader.open(options.clip) as clip:
        reader.require_motion(clip)
        selection = Selection(clip, kinds, per_frame=options.per_frame)
        documents = _documents(selection, formats)
        if options.output == "-":
            _print(clip, documents)
        else:
            _write(selection, documents, options)
        if options.verbose:
            tell_cost(clip)
    return 0


def _formats(options: argparse.Namespace) -> list[str]:
    from camm import UsageError
    from muxer.extract import FORMATS, PER_FRAME

    formats = list(dict.fromkeys(options.to.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"no format is called {name!r}; there are: {', '.join(FORMATS)}")
        if options.per_frame and name not in PER_FRAME:
            raise UsageError(f"--per-frame makes {', '.join(PER_FRAME)}, found --to {name}")
    if options.output == "-" and len(formats) > 1:
        raise UsageError(f"standard output takes one format, found {options.to}: name a folder")
    return formats


def _kinds(labels: str | None) -> frozenset[PacketType] | None:
    from camm import PacketError, PacketType, UsageError

    if labels is None:
        return None
    try:
        return frozenset(map(PacketType.from_label, labels.split(",")))
    except PacketError as error:
        raise UsageError(str(error)) from None


def _documents(selection: Selection, formats: list[str]) -> list[Document]:
    """What all formats make of the clip; it is an error if that is nothing at all."""
    from muxer.extract import FORMATS, NothingToExtractError

    documents, notes = [], []
    for name in formats:
        try:
            documents += FORMATS[name](selection)
        except NothingToExtractError as nothing:
            notes.append(nothing)
    if not documents:
        raise notes[0]
    sys.stderr.writelines(f"cammcorder: {note}\n" for note in notes)
    return documents


def _print(clip: Clip, documents: list[Document]) -> None:
    """All documents to standard output, an empty line between them."""
    from camm import UsageError
    from cammcorder.commands.outputs import progress
    from muxer.extract import make_together

    if len(documents) > 1 and not all(document.text for document in documents):
        suffixes = ", ".join(document.suffix for document in documents)
        raise UsageError(
            f"standard output takes one file of this kind, found {suffixes}: name one of --types, "
            "or a folder"
        )
    out = sys.stdout.buffer  # text would be in the terminal's encoding, and GPX says it is UTF-8
    for number, document in enumerate(documents):
        if number:
            out.write(b"\n")
        with progress(clip, "extracting") as watched:
            for (piece,) in watched(make_together([document], clip.record_blocks())):
                out.write(piece)
    out.flush()


def _write(selection: Selection, documents: list[Document], options: argparse.Namespace) -> None:
    """All documents to files of the folder, once it is known that all their names are free."""
    from cammcorder.commands.outputs import end_tidily, free_file, made_folder, progress
    from muxer.extract import make_together, write_together

    folder = made_folder(Path(options.output))
    clip, stem = selection.clip, Path(selection.name).stem
    paths = [folder / f"{stem}{document.suffix}" for document in documents]
    for path in paths:
        if path.parent.exists():
            free_file(path, force=options.force, inputs=[options.clip])
    end_tidily()
    with progress(clip, "extracting") as watched:
        write_together(paths, watched(make_together(documents, clip.record_blocks())))
    sys.stdout.writelines(f"{path}\n" for path in paths)
