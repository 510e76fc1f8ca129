"""A clip's metadata in the forms that other programs read.

A format is a function that takes a selection (a clip, and the packet types wanted of it) and gives
the documents it makes of it. Their content comes piece by piece out of one pass over the clip's
records, all of them together (`make_together`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from muxer.extract import (
    csv_format,
    euroc,
    gcsv,
    geojson,
    gpx,
    jsonl,
    kml,
    mcap_format,
    nmea,
    parquet,
    raw,
    srt,
)
from muxer.extract.document import Document, NothingToExtractError, make_together
from muxer.extract.selection import Selection
from muxer.extract.whole_file import write_together, write_whole

FORMATS: Mapping[str, Callable[[Selection], list[Document]]] = MappingProxyType(
    {
        "csv": csv_format.documents,
        "euroc": euroc.documents,
        "gcsv": gcsv.documents,
        "geojson": geojson.documents,
        "gpx": gpx.documents,
        "jsonl": jsonl.documents,
        "kml": kml.documents,
        "mcap": mcap_format.documents,
        "mcap+video": partial(mcap_format.documents, video=True),
        "nmea": nmea.documents,
        "parquet": parquet.documents,
        "raw": raw.documents,
        "srt": srt.documents,
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
