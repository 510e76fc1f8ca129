"""Tracks of GPX, versions 1.0 and 1.1, of whatever program: fixes of type 6.

Source: http://www.topografix.com/GPX/1/1/gpx.xsd; speed, course and accuracies where programs put
them (GPX 1.0, Garmin's TrackPointExtension, `cammcorder extract`), told by their names alone.

What a point does not tell is NaN, "not known": accuracies, but for the horizontal one, which is
taken for five metres a unit of HDOP; velocity; the altitude of a point without `ele`. `ele` is
meant above sea level and taken as it is, unless `geoidheight` tells how far that is above the
ellipsoid. Points without a time or without a fix are left out, and what is no track is not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse
from xml.parsers.expat import errors

import numpy as np

from camm import PacketType, Samples, UsageError, empty_values
from camm.gps_time import gps_ns_from_utc, parse_utc
from hw_sim.replay.log import Log

_METRES_A_DOP = 5.0
"""Of a position under open sky, one sigma, of receivers for everybody."""
_DIMENSIONS = {"2d": 2, "3d": 3, "dgps": 3, "pps": 3}
_CUT = {errors.codes[errors.XML_ERROR_NO_ELEMENTS], errors.codes[errors.XML_ERROR_UNCLOSED_TOKEN]}
_NOT_KNOWN = math.nan


def read_gpx(path: Path) -> Log:
    """The fixes of all track points, dated. A file that was cut gives those before the cut.

    UsageError where it is no GPX, and where no point has a time.
    """
    points = sorted(_points(path), key=lambda point: point[0])
    if not points:
        raise UsageError(f"{path} has no track points with a time: expected a recorded track")
    created = points[0][0]
    gps_ns = np.array([_gps_ns(when) for when, _ in points])
    fixes = empty_values(PacketType.GPS, len(points))
    for name in fixes.dtype.names or ():
        if name != "time_gps_epoch":
            fixes[name] = [fix[name] for _, fix in points]
    fixes["time_gps_epoch"] = gps_ns // 1_000_000_000 + gps_ns % 1_000_000_000 / 1e9
    samples = Samples(PacketType.GPS, gps_ns - gps_ns[0], fixes)
    kinds = frozenset({PacketType.GPS})
    return Log(str(path), kinds, lambda _: iter([samples]), created, by_utc=True)


def _points(path: Path) -> Iterator[tuple[datetime, Mapping[str, float]]]:
    found = False
    try:
        with path.open("rb") as file:
            for _, element in iterparse(file):  # noqa: S314 - expat bounds entities
                if _name(element) == "trkpt":
                    point = _point(element)
                    element.clear()
                    if point is not None:
                        found = True
                        yield point
    except ParseError as error:
        if not (found and error.code in _CUT):
            raise UsageError(f"{path} is no GPX that can be read: {error}") from None


def _point(element: Element) -> tuple[datetime, Mapping[str, float]] | None:
    """UTC of a point and the fields of type 6; None where there is no time or no place."""
    texts: dict[str, str] = {}
    for inner in element.iter():
        texts.setdefault(_name(inner), (inner.text or "").strip())

    def number(*names: str) -> float:
        return next((_number(texts[name]) for name in names if name in texts), _NOT_KNOWN)

    latitude, longitude = (_number(element.get(name, "")) for name in ("lat", "lon"))
    fix = texts.get("fix", "").lower()
    when = _utc(texts.get("time", ""))
    on_earth = abs(latitude) <= 90 and abs(longitude) <= 180  # NaN is not
    if when is None or fix == "none" or not on_earth:
        return None
    above_sea, geoid, speed = number("ele"), number("geoidheight"), number("speed")
    course = math.radians(number("course") if speed else 0.0)
    accuracy = number("horizontal_accuracy", "accuracy")
    return when, {
        "gps_fix_type": _DIMENSIONS.get(fix, 2 if math.isnan(above_sea) else 3),
        "latitude": latitude,
        "longitude": longitude,
        "altitude": above_sea if math.isnan(geoid) else above_sea + geoid,
        "horizontal_accuracy": number("hdop") * _METRES_A_DOP if math.isnan(accuracy) else accuracy,
        "vertical_accuracy": number("vertical_accuracy"),
        "velocity_east": speed * math.sin(course),
        "velocity_north": speed * math.cos(course),
        "velocity_up": number("velocity_up"),
        "speed_accuracy": number("speed_accuracy"),
    }


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return _NOT_KNOWN
    return value if math.isfinite(value) else _NOT_KNOWN


def _utc(text: str) -> datetime | None:
    try:
        return parse_utc(text)
    except ValueError:
        return None


def _gps_ns(when: datetime) -> int:
    midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
    return gps_ns_from_utc(when.date(), (when - midnight) // timedelta(microseconds=1) * 1000)
