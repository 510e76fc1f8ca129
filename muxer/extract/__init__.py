"""A clip's metadata in the forms that other programs read: CSV, GPX, JSON Lines and .gcsv.

A format is a function that takes a clip (and the packet types wanted, None for all there is) and
gives the documents it makes of it. What it says is made piece by piece while it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from camm import PacketType
from muxer.clip import Clip
from muxer.extract import csv_format, gcsv, gpx, jsonl
from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.whole_file import write_whole

FORMATS: Mapping[str, Callable[[Clip, Collection[PacketType] | None], list[Document]]] = (
    MappingProxyType(
        {
            "csv": csv_format.documents,
            "gcsv": gcsv.documents,
            "gpx": gpx.documents,
            "jsonl": jsonl.documents,
        }
    )
)
"""The formats by name. Each raises NothingToExtractError where it would write nothing."""

__all__ = ["FORMATS", "Document", "NothingToExtractError", "write_whole"]
