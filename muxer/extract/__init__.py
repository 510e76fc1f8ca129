"""A clip's metadata in the forms that other programs read.

A format is a function that takes a selection (a clip, and the packet types wanted of it) and gives
the documents it makes of it. Their content comes piece by piece out of one pass over the clip's
records, all of them together (`make_together`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType

from muxer.extract.document import Document, NothingToExtractError, make_together
from muxer.extract.selection import Selection
from muxer.extract.whole_file import write_together, write_whole

_Format = Callable[[Selection], list[Document]]


def _late(module: str, **options: bool) -> _Format:
    """A format whose module is loaded when it is asked for."""

    def documents(selection: Selection) -> list[Document]:
        made: _Format = import_module(f"muxer.extract.{module}").documents
        return made(selection, **options)

    return documents


FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        "csv": _late("csv_format"),
        "euroc": _late("euroc"),
        "gcsv": _late("gcsv"),
        "geojson": _late("geojson"),
        "gpx": _late("gpx"),
        "jsonl": _late("jsonl"),
        "kml": _late("kml"),
        "mcap": _late("mcap_format"),
        "mcap+video": _late("mcap_format", video=True),
        "nmea": _late("nmea"),
        "parquet": _late("parquet"),
        "raw": _late("raw"),
        "srt": _late("srt"),
    }
)
"""The formats by name. Each raises NothingToExtractError where it would write nothing."""

PER_FRAME = ("csv", "jsonl", "parquet")
"""Those that are tables, and so can have a row for every video frame (`Selection.per_frame`)."""

__all__ = [
    "FORMATS",
    "PER_FRAME",
    "Document",
    "NothingToExtractError",
    "Selection",
    "make_together",
    "write_together",
    "write_whole",
]
