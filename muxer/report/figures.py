"""The figures of a report, each drawn by a function that gives None where its data is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from camm import PacketType, Samples
from camm.frames import heading_pitch_roll
from muxer.clip import Clip
from muxer.extract.track import with_fix
from muxer.report.series import (
    Floats,
    broken_at,
    east_north,
    envelope,
    gaps,
)
from muxer.report.svg import COLOURS, as_svg, panels, style

_AXES = (("X", "red"), ("Y", "green"), ("Z", "blue"))
_STREAMS = (
    (PacketType.GYRO, "blue"),
    (PacketType.ACCELERATION, "red"),
    (PacketType.ANGLE_AXIS, "violet"),
    (PacketType.MAGNETIC_FIELD, "green"),
    (PacketType.GPS, "amber"),
)


@dataclass(frozen=True, slots=True)
class PageFigure:
    """A figure and the words around it; `legend` is (what, colour variable)."""

    title: str
    unit: str
    caption: str
    legend: tuple[tuple[str, str], ...]
    svg: Markup


def figures(clip: Clip) -> list[PageFigure]:
    """All figures for which the clip has data."""
    with style():
        return [figure for draw in _FIGURES if (figure := draw(clip)) is not None]


def _track(clip: Clip) -> PageFigure | None:
    fixes = next(filter(len, (with_fix(clip.gps), with_fix(clip.min_gps))), None)
    if fixes is None:
        return None
    east, north = east_north(fixes.data["latitude"], fixes.data["longitude"])
    figure, (panel,) = panels(3.4)
    line = broken_at(east, north, gaps(fixes.t_ns / 1e9))
    panel.plot(*line, color=COLOURS["blue"], linewidth=1.1)
    panel.plot(east[0], north[0], "o", markersize=5, color=COLOURS["green"])
    panel.plot(east[-1], north[-1], "s", markersize=5, color=COLOURS["red"], markerfacecolor="none")
    panel.set_aspect("equal", adjustable="datalim")
    panel.margins(0.1)
    panel.set_xlabel("east, m")
    panel.set_ylabel("north, m")
    return PageFigure(
        "Track",
        "metres",
        f"{len(fixes):,} fixes, from {fixes.data['latitude'][0]:.6f}, "
        f"{fixes.data['longitude'][0]:.6f}. North is up; the line is open where fixes are "
        "missing.",
        (("start", "green"), ("end", "red")),
        as_svg(figure, "The GPS track seen from above"),
    )


def _orientation(clip: Clip) -> PageFigure | None:
    samples = clip.angle_axis
    if not len(samples):
        return None
    t_s = samples.t_ns / 1e9
    heading, pitch, roll = heading_pitch_roll(samples.data)
    figure, (upper, lower) = panels(1.4, 1.4)
    x, y = _line(t_s, heading)
    around = np.abs(np.diff(y)) > 180
    upper.plot(*broken_at(x, y, around), color=COLOURS["violet"])
    upper.set_ylim(0, 360)
    upper.set_yticks([0, 90, 180, 270, 360], ["N", "E", "S", "W", "N"])
    for values, colour in ((pitch, "amber"), (roll, "blue")):
        lower.plot(*_line(t_s, values), color=COLOURS[colour])
    lower.set_xlabel("time, s")
    return PageFigure(
        "Orientation",
        "degrees",
        "Where the camera points: heading clockwise from north, pitch upwards, roll with the "
        "right side down.",
        (("heading", "violet"), ("pitch", "amber"), ("roll", "blue")),
        as_svg(figure, "Heading, pitch and roll over time"),
    )


def _gyro(clip: Clip) -> PageFigure | None:
    return _vector(clip.gyro, "Angular rate", "rad/s")


def _acceleration(clip: Clip) -> PageFigure | None:
    return _vector(clip.acceleration, "Acceleration", "m/s²")


def _magnetic_field(clip: Clip) -> PageFigure | None:
    return _vector(clip.magnetic_field, "Magnetic field", "µT")


def _vector(samples: Samples, title: str, unit: str) -> PageFigure | None:
    if not len(samples):
        return None
    t_s = samples.t_ns / 1e9
    figure, (panel,) = panels(1.75)
    for values, (_, colour) in zip(samples.data.T, _AXES, strict=True):
        panel.plot(*_line(t_s, values.astype(np.float64)), color=COLOURS[colour])
    panel.set_xlabel("time, s")
    return PageFigure(title, unit, "", _AXES, as_svg(figure, f"{title} over time in {unit}"))


def _intervals(clip: Clip) -> PageFigure | None:
    streams = [
        (kind, colour, clip.samples(kind).t_ns)
        for kind, colour in _STREAMS
        if clip.counts.get(kind, 0) > 1
    ]
    if not streams:
        return None
    figure, (over_time, spread) = panels(1.9, widths=(5, 1))
    for _, colour, t_ns in streams:
        # A time that comes twice has no place on a logarithmic axis but its foot.
        interval_ms = np.maximum(np.diff(t_ns) / 1e6, 1e-3)
        x, y = envelope(t_ns[1:] / 1e9, interval_ms)
        over_time.step(x, y, where="pre", color=COLOURS[colour])
        bins = np.geomspace(interval_ms.min() / 1.05, interval_ms.max() * 1.05, 25)
        counts, edges = np.histogram(interval_ms, bins)
        spread.stairs(counts, edges, orientation="horizontal", color=COLOURS[colour], linewidth=1)
    over_time.set_yscale("log")
    over_time.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    over_time.yaxis.set_minor_formatter(NullFormatter())
    over_time.set_xlabel("time, s")
    spread.set_xscale("log")
    spread.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:.0f}"))
    spread.xaxis.set_minor_locator(NullLocator())
    spread.set_xlabel("count")
    return PageFigure(
        "Sample intervals",
        "ms",
        "A steady sensor is a flat line; a spike is a gap. At the right, how often each "
        "interval occurs.",
        tuple((kind.label, colour) for kind, colour, _ in streams),
        as_svg(figure, "Intervals between samples over time, and their distribution"),
    )


def _line(t_s: Floats, values: Floats) -> tuple[Floats, Floats]:
    """A line to draw: its envelope, open where samples are missing."""
    x, y = envelope(t_s, values)
    ends = t_s[:-1][gaps(t_s)]
    return broken_at(x, y, np.diff(np.searchsorted(ends, x)) > 0)


_FIGURES: tuple[Callable[[Clip], PageFigure | None], ...] = (
    _track,
    _orientation,
    _gyro,
    _acceleration,
    _magnetic_field,
    _intervals,
)
