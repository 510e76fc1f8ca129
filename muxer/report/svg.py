"""Figures as SVG that belongs to the page around it: its colours, its type, no file of its own.

matplotlib wants colours as numbers, the page has them as CSS variables that change in the dark. So
each role has a number here that stands for its variable until the figure is text.
"""

from __future__ import annotations

import io
import re

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
_STYLE = {
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
    "lines.linewidth": 0.7,
    "path.simplify_threshold": 0.2,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


class Drawing:
    """A figure in the making; use within `with`, which sets the style for as long as it lasts."""

    def __init__(self, *rows: float, columns: tuple[float, ...] = (1.0,)) -> None:
        """Panels one above another, `rows` their heights in inches; they share the time axis."""
        self._style = mpl.rc_context(_STYLE)
        self._rows = rows
        self._columns = columns

    def __enter__(self) -> Drawing:
        self._style.__enter__()
        self.figure = Figure((_WIDTH, sum(self._rows)), layout="constrained", facecolor="none")
        FigureCanvasSVG(self.figure)
        grid = self.figure.subplots(
            len(self._rows), len(self._columns), squeeze=False, sharex="col", sharey="row",
            height_ratios=self._rows, width_ratios=self._columns,
        )
        self.panels: list[Axes] = list(grid.flat)
        for panel in self.panels:
            panel.set_facecolor("none")
            panel.spines[["top", "right", "left"]].set_visible(False)
            panel.set_axisbelow(True)
            panel.xaxis.set_major_locator(MaxNLocator(6))
            panel.yaxis.set_major_locator(MaxNLocator(5))
        return self

    def __exit__(self, *details: object) -> None:
        self._style.__exit__(None, None, None)

    def svg(self, label: str) -> Markup:
        """The figure as an `svg` element, `label` for those who do not see it."""
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(text, format="svg", metadata=nothing)
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
