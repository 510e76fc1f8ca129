"""The plots over time: what is drawn of which series, and the figures beneath."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from camm import PacketType
from muxer.motion import Extent
from muxer.report.arrays import Arrays
from muxer.report.digest import Digest
from muxer.report.intervals import GAP, Intervals
from muxer.report.series import Figures, Floats, Series
from muxer.sample_table import Ints

_AXES = (("X", "red"), ("Y", "green"), ("Z", "blue"))
COLOURS: Mapping[PacketType, str] = MappingProxyType(
    {
        PacketType.ANGLE_AXIS: "violet",
        PacketType.EXPOSURE: "soft",
        PacketType.GYRO: "blue",
        PacketType.ACCELERATION: "red",
        PacketType.POSITION: "violet",
        PacketType.MIN_GPS: "amber",
        PacketType.GPS: "amber",
        PacketType.MAGNETIC_FIELD: "green",
    }
)
"""Of each type, where types are told apart: variables of the style sheet."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line: which of a series' lines it is; of `figures` None where they would say nothing."""

    name: str
    colour: str
    series: Series
    number: int
    gap_s: float | None
    figures: Figures | None

    def document(self, arrays: Arrays) -> dict[str, Any]:
        """What the page draws."""
        return {"colour": self.colour} | self.series.document(self.number, arrays, self.gap_s)


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """Lines over one another. `digits` are those behind the decimal point.

    `scale` "compass" is degrees clockwise from north that go on over 360, "turn" such about zero.
    """

    title: str
    unit: str
    caption: str
    lines: Sequence[Line]
    digits: int
    scale: Literal["linear", "log", "compass", "turn"] = "linear"

    def document(self, arrays: Arrays) -> dict[str, Any]:
        """What the page draws."""
        return {
            "unit": self.unit,
            "digits": self.digits,
            "scale": self.scale,
            "lines": [line.document(arrays) for line in self.lines],
        }

    def told(self, value: float) -> str:
        """A figure of the table; a dash where it is not known."""
        if not isfinite(value):
            return "\N{EN DASH}"
        value = round(value, self.digits) + 0.0  # no zero is below zero
        text = f"{value:,.{self.digits}f}" if abs(value) < 1e7 else f"{value:.3g}"
        return text.replace("-", "\N{MINUS SIGN}")


def plots(found: Digest) -> list[Plot]:
    """All for which there is something."""
    return [
        *_orientation(found),
        *_vectors(found),
        *_of_places(found),
        *_of_exposures(found),
        *_of_intervals(found),
    ]


def _lines(names: Sequence[tuple[str, str]], series: Series, gap_s: float | None) -> list[Line]:
    return [
        Line(name, colour, series, number, gap_s, figures)
        for number, ((name, colour), figures) in enumerate(zip(names, series.figures, strict=True))
    ]


def gap_of(intervals: Intervals) -> float | None:
    """Over how many seconds lines of this type are open."""
    usual_s = intervals.usual_s
    return None if usual_s is None else GAP * usual_s


def _orientation(found: Digest) -> Iterator[Plot]:
    if found.pose is None:
        return
    gap_s = gap_of(found.intervals[PacketType.ANGLE_AXIS])
    names = (("heading", "violet"), ("pitch", "amber"), ("roll", "blue"))
    heading, pitch, roll = _lines(names, found.pose.series, gap_s)
    yield Plot(
        "Heading",
        "°",
        "Where the camera points, clockwise from north; it goes on where it comes around.",
        [replace(heading, figures=None)],
        2,
        "compass",
    )
    caption = "Pitch is up, roll is right side down."
    yield Plot("Pitch and roll", "°", caption, [pitch, roll], 2, "turn")


def _vectors(found: Digest) -> Iterator[Plot]:
    for kind, title, unit, digits, caption in (
        (PacketType.GYRO, "Angular rate", "rad/s", 4, "About the camera's axes: X right, Y down, "
         "Z forward."),
        (PacketType.ACCELERATION, "Acceleration", "m/s²", 3, "Specific force in the camera's axes: "
         "at rest and level, Y has \N{MINUS SIGN}9.81."),
        (PacketType.MAGNETIC_FIELD, "Magnetic field", "µT", 2, "In the camera's axes. The earth's "
         "is 25 to 65 µT."),
        (PacketType.POSITION, "Position", "m", 3, "In the world's axes: X east, Y down, Z north."),
    ):  # fmt: skip
        if kind in found.series:
            gap_s = gap_of(found.intervals[kind])
            yield Plot(title, unit, caption, _lines(_AXES, found.series[kind], gap_s), digits)


def _of_places(found: Digest) -> Iterator[Plot]:
    if found.places is None:
        return
    track = found.places.track
    gap_s = gap_of(found.intervals[found.places.kind])
    source = "By places and their times" if found.places.by_places else "As the receiver says"
    for title, unit, digits, caption, values in (
        ("Speed", "m/s", 2, f"{source}.", found.places.speed),
        ("Altitude", "m", 1, "Above the WGS 84 ellipsoid.", track.altitude),
    ):
        if np.isfinite(values).any():
            series = _series(track.t_ns, values)
            lines = _lines([(title.lower(), "amber")], series, gap_s)
            yield Plot(title, unit, caption, lines, digits)


def _of_exposures(found: Digest) -> Iterator[Plot]:
    if found.sync is None:
        return
    names = [("exposure", "amber"), ("skew", "violet"), ("offset", "blue")]
    values = np.stack([found.sync.exposure_ms, found.sync.skew_ms, found.sync.offset_ms], axis=1)
    caption = (
        "How long a pixel sees, how much later the last line does than the first, and how far the "
        "nearest frame is from the centre of both: its offset."
    )
    lines = _lines(names, _series(found.sync.t_ns, values), None)
    yield Plot("Exposure", "ms", caption, lines, 3)


def _of_intervals(found: Digest) -> Iterator[Plot]:
    lines = [
        line
        for name, colour, each in streams(found)
        for line in _lines([(name, colour)], each.series, None)
        if each.usual_s is not None
    ]
    if lines:
        caption = "From each record to the next: a steady sensor is a flat line, a spike is a gap."
        yield Plot("Intervals", "ms", caption, lines, 3, "log")


def streams(found: Digest) -> Iterator[tuple[str, str, Intervals]]:
    """Name, colour and intervals of all that comes again and again."""
    for kind, each in found.intervals.items():
        yield kind.label, COLOURS[kind], each
    if found.frames is not None:
        yield "video frames", "ink", found.frames


def _series(t_ns: Ints, values: Floats) -> Series:
    columns = values.reshape(len(values), -1)
    series = Series(Extent(len(t_ns), int(t_ns.min()), int(t_ns.max())), columns.shape[1])
    series.add(t_ns, columns)
    return series
