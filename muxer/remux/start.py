"""When a clip begins, by what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from camm.gps_time import parse_utc
from muxer import file_boxes
from muxer.boxes import children, find
from muxer.clip import Clip
from muxer.errors import Mp4Error
from muxer.reader import top_level
from muxer.source import ByteSource, open_source

_APPLE = b"com.apple.quicktime.creationdate"


@dataclass(frozen=True, slots=True)
class Start:
    """UTC of the first frame, and what says so."""

    utc: datetime
    told_by: str


def start_of(clip: Clip) -> Start | None:
    """The most exact date that the clip has; None where it has none.

    Ours is of microseconds, Apple's has its time zone, and `mvhd` has whole seconds that many
    cameras count in local time.
    """
    ours = _parsed(clip.metadata.get("movie", {}), "zero_utc")
    if ours is not None:
        return Start(ours, "its own metadata")
    with closing(open_source(clip.path)) as source:
        apple = _apple(source)
    if apple is not None:
        return Start(apple, _APPLE.decode())
    return Start(clip.created, "its creation time") if clip.created is not None else None


def _parsed(said: object, key: str) -> datetime | None:
    text = said.get(key) if isinstance(said, dict) else None
    try:
        return parse_utc(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _apple(source: ByteSource) -> datetime | None:
    """`moov/meta` as QuickTime has it: names in `keys`, and under their numbers values in `ilst`.

    Source: QuickTime File Format, "Metadata".
    """
    try:
        said = dict(_texts(source))
    except Mp4Error:
        return None  # one that is in disorder says nothing
    return _parsed(said, _APPLE.decode())


def _texts(source: ByteSource) -> Iterator[tuple[str, str]]:
    moov = next((box for box in top_level(source) if box.kind == b"moov"), None)
    meta = moov and file_boxes.find(source, moov, b"meta")
    if not meta:
        return
    content = file_boxes.content(source, meta)
    if content[4:8] != b"hdlr":
        content = content[4:]  # MP4's has a version, QuickTime's has none
    keys, ilst = find(content, b"keys") or b"", find(content, b"ilst") or b""
    names = [box.content(keys) for box in children(keys, 8)]
    for item in children(ilst):
        number, value = int.from_bytes(item.kind), find(item.content(ilst), b"data")
        if 1 <= number <= len(names) and value is not None:
            yield names[number - 1].decode("utf-8", "replace"), value[8:].decode("utf-8", "replace")
