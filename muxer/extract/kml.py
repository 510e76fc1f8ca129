"""KML: the track with its times, as Google Earth plays it (gx:Track).

The track lies on the ground: KML's altitudes are above sea level and the clip's above the WGS-84
ellipsoid, which would be tens of metres in the air or below the ground. They are in the coordinates
nevertheless. Speed and accuracies are arrays beside the track.

Source: OGC KML 2.2 and https://developers.google.com/kml/documentation/kmlreference#gxtrack; all of
`when` come before all of `gx:coord`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from muxer.extract.document import Document, NothingToExtractError
from muxer.extract.gpx import xml_text
from muxer.extract.selection import Selection
from muxer.extract.track import Track, numbers
from muxer.extract.utc import date_texts

_ARRAYS = {
    "speed": "Speed, m/s",
    "course": "Course, degrees",
    "horizontal_accuracy": "Horizontal accuracy, m",
    "vertical_accuracy": "Vertical accuracy, m",
    "speed_accuracy": "Accuracy of speed, m/s",
}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2">
<Document><name>{name}</name>
<Schema id="fix">
{fields}</Schema>
<Placemark><name>{name}</name>
<gx:Track>
"""
_TAIL = "</SchemaData></ExtendedData>\n</gx:Track>\n</Placemark>\n</Document>\n</kml>\n"


def documents(selection: Selection) -> list[Document]:
    """One document, `.kml`; it needs fixes and their dates."""
    track = selection.require_track("KML")
    if selection.utc.source is None:
        raise NothingToExtractError(
            f"{selection.clip.path} has no date for the times of a KML track"
        )

    def lines() -> Iterator[str]:
        fields = "".join(
            f'<gx:SimpleArrayField name="{name}" type="float"><displayName>{shown}</displayName>'
            "</gx:SimpleArrayField>\n"
            for name, shown in _ARRAYS.items()
        )
        yield _HEAD.format(name=xml_text(Path(selection.name).stem), fields=fields)
        yield from (f"<when>{when}</when>\n" for when in date_texts(track.utc, "ms"))
        yield from _coordinates(track)
        yield '<ExtendedData><SchemaData schemaUrl="#fix">\n'
        for name in _ARRAYS:
            values = numbers(getattr(track, name), "%.3f")
            yield f'<gx:SimpleArrayData name="{name}">\n'
            yield from (f"<gx:value>{value}</gx:value>\n" for value in values)
            yield "</gx:SimpleArrayData>\n"
        yield _TAIL

    return [Document.of_lines(".kml", lines)]


def _coordinates(track: Track) -> Iterator[str]:
    for longitude, latitude, altitude in zip(
        track.longitude.tolist(),
        track.latitude.tolist(),
        numbers(track.altitude, "%.3f"),
        strict=True,
    ):
        yield f"<gx:coord>{longitude:.9f} {latitude:.9f} {altitude or 0}</gx:coord>\n"
