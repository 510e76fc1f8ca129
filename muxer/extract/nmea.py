"""NMEA 0183: the fixes as a receiver would have sent them, RMC, GGA and where accuracies are known
GST.

GGA wants the height above sea level, for which a geoid would be needed: the clip's stands there
with a geoid separation of 0, so that the sum of both is above the WGS-84 ellipsoid, as it was.
GST has deviations north and east for which the horizontal accuracy is divided evenly.

Source: NMEA 0183 version 2.3, whose times are UTC; `GN` is the talker of receivers of any systems.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from math import sqrt
from operator import xor

import numpy as np

from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.selection import Selection
from muxer.extract.track import Track, numbers
from muxer.extract.utc import date_texts
from muxer.gps_epoch import Floats

_KNOTS = 3600 / 1852
_PARTS = 10_000_000
"""Of a minute of arc: 0.2 mm."""


def documents(selection: Selection) -> list[Document]:
    """One document, `.nmea`; it needs fixes and their dates."""
    track = selection.require_track("NMEA")
    if selection.utc.source is None:
        raise NothingToExtractError(f"{selection.clip.path} has no date for the times of NMEA")
    return [Document.of_lines(".nmea", lambda: map(_sentence, _contents(track)))]


def _contents(track: Track) -> Iterator[str]:
    sigma = track.horizontal_accuracy / sqrt(2)
    rows = zip(
        date_texts(track.utc, "ms"),
        _angles(track.latitude, "NS", 2),
        _angles(track.longitude, "EW", 3),
        numbers(track.altitude, "%.3f"),
        numbers(track.speed * _KNOTS, "%.3f"),
        numbers(track.course, "%.2f"),
        numbers(sigma, "%.3f"),
        numbers(track.vertical_accuracy, "%.3f"),
        strict=True,
    )
    for when, latitude, longitude, altitude, knots, course, across, upright in rows:
        time = when[11:-1].replace(":", "")
        date = when[8:10] + when[5:7] + when[2:4]
        height = f"{altitude},M,0.0,M" if altitude else ",M,,M"
        yield f"GNRMC,{time},A,{latitude},{longitude},{knots},{course},{date},,,A"
        yield f"GNGGA,{time},{latitude},{longitude},1,,,{height},,"
        if across and upright:
            yield f"GNGST,{time},,,,,{across},{across},{upright}"


def _angles(degrees: Floats, ways: str, digits: int) -> list[str]:
    """Degrees and minutes in one number, and the way: "4730.0000000,N"."""
    parts = np.rint(np.abs(degrees) * 60 * _PARTS).astype(np.int64)
    whole, rest = np.divmod(parts, 60 * _PARTS)
    minutes, fraction = np.divmod(rest, _PARTS)
    rows = zip(
        whole.tolist(), minutes.tolist(), fraction.tolist(), (degrees < 0).tolist(), strict=True
    )
    return [f"{d:0{digits}d}{m:02d}.{f:07d},{ways[negative]}" for d, m, f, negative in rows]


def _sentence(content: str) -> str:
    return f"${content}*{reduce(xor, content.encode()):02X}\r\n"
