"""GPX 1.1: where the camera went, as one track with times in UTC.

The altitude is written as it is in the clip, which the specification has above the WGS-84
ellipsoid, while GPX readers take it for above sea level. What GPX has no element for stands in each
point's extensions: speed and course in Garmin's TrackPointExtension/v2, which others read too, the
rest in a namespace of our own.

Source: http://www.topografix.com/GPX/1/1/gpx.xsd and
https://www8.garmin.com/xmlschemas/TrackPointExtensionv2.xsd, whose elements have an order.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np

from muxer.extract.document import Document
from muxer.extract.selection import Selection
from muxer.extract.track import Track, numbers
from muxer.extract.utc import date_texts

_FIX = {2: "<fix>2d</fix>", 3: "<fix>3d</fix>"}
_GARMIN = "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
_OWN = "urn:cammcorder:gpx:1"
_HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="cammcorder" xmlns="http://www.topografix.com/GPX/1/1" \
xmlns:gpxtpx="{_GARMIN}" xmlns:camm="{_OWN}">
<trk><name>%s</name><trkseg>
"""
_TAIL = "</trkseg></trk>\n</gpx>\n"


def documents(selection: Selection) -> list[Document]:
    """One document, `.gpx`: the fixes of type 6, or those of type 5 where there are none."""
    track = selection.require_track("a GPX track")

    def lines() -> Iterator[str]:
        yield _HEAD % xml_text(Path(selection.name).stem)
        yield from _points(track)
        yield _TAIL

    return [Document.of_lines(".gpx", lines)]


def xml_text(text: str) -> str:
    """Text as XML has it; for what cannot be printed it has no way to say."""
    return escape("".join(filter(str.isprintable, text)), quote=False)


def _points(track: Track) -> Iterator[str]:
    longitude = np.round(track.longitude, 9)
    longitude[longitude == 180] = -180  # what the schema's type ends before
    rows = zip(
        numbers(track.latitude, "%.9f"),
        numbers(longitude, "%.9f"),
        _elements("ele", numbers(track.altitude, "%.3f")),
        _elements("time", date_texts(track.utc, "ms")),
        [_FIX.get(fix, "") for fix in track.fix.tolist()],
        _elements("gpxtpx:speed", numbers(track.speed, "%.3f")),
        _elements("gpxtpx:course", numbers(track.course, "%.2f")),
        _elements("camm:horizontal_accuracy", numbers(track.horizontal_accuracy, "%.3f")),
        _elements("camm:vertical_accuracy", numbers(track.vertical_accuracy, "%.3f")),
        _elements("camm:speed_accuracy", numbers(track.speed_accuracy, "%.3f")),
        _elements("camm:velocity_up", numbers(track.climb, "%.3f")),
        strict=True,
    )
    for latitude, longitude, ele, time, fix, speed, course, *own in rows:
        garmin = _wrapped("gpxtpx:TrackPointExtension", speed + course)
        extensions = _wrapped("extensions", garmin + "".join(own))
        yield f'<trkpt lat="{latitude}" lon="{longitude}">{ele}{time}{fix}{extensions}</trkpt>\n'


def _elements(name: str, contents: list[str]) -> list[str]:
    return [_wrapped(name, content) for content in contents]


def _wrapped(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>" if content else ""
