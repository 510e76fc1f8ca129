"""GeoJSON: the track as a line, and a point for every fix with what is known of it.

Source: RFC 7946, whose altitudes are above the WGS-84 ellipsoid, as those of CAMM. The line has the
times of its places in "coordTimes", as converters from GPX write them; a track that crosses the
antimeridian is cut into several lines there (RFC 7946, 3.1.9).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from muxer.extract.document import Document
from muxer.extract.selection import Selection
from muxer.extract.track import Track
from muxer.extract.utc import date_texts
from muxer.gps_epoch import Floats


def documents(selection: Selection) -> list[Document]:
    """One document, `.geojson`."""
    track = selection.require_track("GeoJSON")

    def lines() -> Iterator[str]:
        before = '{"type": "FeatureCollection", "features": [\n'
        for feature in _features(track, Path(selection.name).stem):
            yield before + json.dumps(feature, allow_nan=False)
            before = ",\n"
        yield "\n]}\n"

    return [Document.of_lines(".geojson", lines)]


def _features(track: Track, name: str) -> Iterator[dict[str, Any]]:
    places = _places(track)
    times = [text or None for text in date_texts(track.utc, "ms")]
    edges = np.flatnonzero(np.abs(np.diff(track.longitude)) > 180) + 1
    for first, last in zip([0, *edges.tolist()], [*edges.tolist(), len(track)], strict=True):
        if last - first >= 2:  # a line has two places at least
            yield _feature(
                "LineString", places[first:last], {"name": name, "coordTimes": times[first:last]}
            )
    columns = {
        "t_s": (track.t_ns / 1e9).tolist(),
        "utc": times,
        "fix": [fix or None for fix in track.fix.tolist()],
        "speed": _known(track.speed, 3),
        "course": _known(track.course, 2),
        "velocity_up": _known(track.climb, 3),
        "horizontal_accuracy": _known(track.horizontal_accuracy, 3),
        "vertical_accuracy": _known(track.vertical_accuracy, 3),
        "speed_accuracy": _known(track.speed_accuracy, 3),
    }
    for place, *values in zip(places, *columns.values(), strict=True):
        yield _feature("Point", place, dict(zip(columns, values, strict=True)))


def _feature(kind: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a place or a list of them
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    }


def _places(track: Track) -> list[list[float]]:
    """Longitude, latitude and, where it is known, altitude."""
    rows = zip(
        np.round(track.longitude, 9).tolist(),
        np.round(track.latitude, 9).tolist(),
        _known(track.altitude, 3),
        strict=True,
    )
    return [[number for number in row if number is not None] for row in rows]


def _known(values: Floats, digits: int) -> list[float | None]:
    return [None if isnan(value) else value for value in np.round(values, digits).tolist()]
