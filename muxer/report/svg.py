"""Figures as SVG that belongs to the page around it: its colours, its type, no file of its own.

matplotlib wants colours as numbers, the page has them as CSS variables that change in the dark. So
each role has a number here that stands for its variable until the figure is text.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_ROLES = ("ink", "grid", "red", "green", "blue", "violet", "amber", "page")
COLOURS = {role: f"#0badc{number:x}" for number, role in enumerate(_ROLES)}
"""Role to stand-in; the page's style sheet has a variable `--role` for each."""

FONT_SIZE = 7.5
"""Of a figure that is 446 points wide; the page scales it to its own width."""

_WIDTH = 6.2
_STEPS = [1, 2, 2.5, 5, 10]
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: the page's font, searchable, small
    "svg.hashsalt": "cammcorder",  # the same clip gives the same page
    "font.size": FONT_SIZE,
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "axes.grid": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.5,
    "axes.xmargin": 0.01,
    "lines.linewidth": 0.7,
    "path.simplify_threshold": 0.2,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def style() -> AbstractContextManager[None]:
    """The look of all figures; drawing and writing them happens within it."""
    return mpl.rc_context(_STYLE)


def panels(*heights: float, widths: tuple[float, ...] = (1.0,)) -> tuple[Figure, list[Axes]]:
    """An empty figure and its panels, row by row; heights in inches, panels share their axes."""
    figure = Figure((_WIDTH, sum(heights)), layout="constrained", facecolor="none")
    FigureCanvasSVG(figure)
    grid = figure.subplots(
        len(heights),
        len(widths),
        squeeze=False,
        sharex="col",
        sharey="row",
        height_ratios=heights,
        width_ratios=widths,
    )
    for panel in grid.flat:
        panel.set_facecolor("none")
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        panel.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return figure, list(grid.flat)


def as_svg(figure: Figure, label: str) -> Markup:
    """The figure as an `svg` element, `label` for those who do not see it."""
    text = io.StringIO()
    figure.savefig(
        text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
    )
    return Markup(_inline(text.getvalue(), label))  # noqa: S704 - drawn here, of numbers


def _inline(svg: str, label: str) -> str:
    svg = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="[^"]+"', svg)
    head = f'<svg {view[0] if view else ""} role="img" aria-label="{label}" '
    svg = head + 'xmlns:xlink="http://www.w3.org/1999/xlink"' + svg[svg.index(">") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names that would come once a figure
    svg = re.sub(r"<!--.*?-->\s*", "", svg)
    svg = re.sub(r"(\d\.\d\d)\d+", r"\1", svg)  # a hundredth of a point is nothing
    for role, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg
