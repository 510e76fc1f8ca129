"""Subtitles, SRT: date, place, speed and attitude over the film, a cue a second.

Places are the fixes', interpolated to the second for display.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from camm import PacketType
from muxer.extract.columns import Column
from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.moments import Moments
from muxer.extract.selection import Selection
from muxer.extract.track import numbers
from muxer.extract.utc import date_texts
from muxer.records import Records

_SECOND_NS = 1_000_000_000
_MOST_CUES = 1_000_000
"""Eleven days: tables of a damaged file may claim centuries."""
_TILTS = ("pitch", "roll")  # 0 is added to these, for a rounded one may be a negative 0


def documents(selection: Selection) -> list[Document]:
    """One document, `.srt`; it needs fixes or orientations."""
    clip = selection.clip
    if selection.track is None and PacketType.ANGLE_AXIS not in selection.present:
        raise NothingToExtractError(f"{clip.path} has no GPS fix and no orientation for subtitles")
    count = min(-(-clip.duration_ns // _SECOND_NS), _MOST_CUES)
    seconds = np.arange(max(count, 1), dtype=np.int64)

    def text(records: Iterable[Records]) -> Iterator[str]:
        for columns in Moments(selection, seconds * _SECOND_NS).blocks(records):
            yield "".join(_cues({column.name: column for column in columns}, clip.duration_ns))

    return [Document.of_text(".srt", text)]


def _cues(columns: dict[str, Column], end_ns: int) -> Iterator[str]:
    speed = columns["speed"].values
    rows = zip(
        columns["frame"].values.tolist(),
        date_texts(columns["utc"].values, "ms"),
        *(numbers(columns[name].values, "%.7f") for name in ("latitude", "longitude")),
        numbers(columns["altitude"].values, "%.1f m"),
        numbers(speed, "%.1f m/s"),
        numbers(np.round(columns["yaw_deg"].values) % 360, "%.0f"),
        *(numbers(np.round(columns[f"{way}_deg"].values) + 0.0, "%.0f") for way in _TILTS),
        strict=True,
    )
    for second, utc, latitude, longitude, altitude, moving, yaw, pitch, roll in rows:
        lines = [utc, " ".join(filter(None, (latitude, longitude, altitude, moving)))]
        if yaw:
            lines.append(f"heading {yaw} pitch {pitch} roll {roll}")
        told = "\n".join(filter(None, lines)) or "-"
        until_ns = min((second + 1) * _SECOND_NS, max(end_ns, 1))
        yield f"{second + 1}\n{_time(second * _SECOND_NS)} --> {_time(until_ns)}\n{told}\n\n"


def _time(t_ns: int) -> str:
    seconds, ms = divmod(t_ns // 1_000_000, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{ms:03d}"
