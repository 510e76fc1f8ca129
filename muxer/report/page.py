"""The page itself: one HTML file with everything in it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from muxer.check import check
from muxer.clip import Clip
from muxer.report import summary
from muxer.report.arrays import Arrays
from muxer.report.digest import Digest, Watch, digest
from muxer.report.plots import Plot, gap_of, plots, streams

_SCRIPTS = (
    "words.js",
    "svg.js",
    "series.js",
    "view.js",
    "gestures.js",
    "plot.js",
    "bars.js",
    "noise.js",
    "plan.js",
    "dials.js",
    "player.js",
    "main.js",
)
"""Modules in the order in which they need one another."""


def render(clip: Clip, page: Path | None = None, watch: Watch = lambda blocks: blocks) -> str:
    """The report on a clip with motion metadata, in a track or elsewhere, as HTML.

    `page` is where it is going to lie: a clip in the same folder is played from there, any other is
    asked for. Every word that comes from the clip is escaped.
    """
    found = digest(clip, watch)
    drawn = plots(found)
    missing, more_missing = summary.missing(found)
    style, script = _part("style.css"), _script()
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(_part("page.html.jinja"))
    html = template.render(
        name=Path(clip.path).name,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own files
        data=Markup(_data(found, drawn)),  # noqa: S704 - numbers and our own words, `<` escaped
        film=_film(clip, page),
        verdict=check(clip, watch=watch),
        facts=summary.facts(clip),
        tracks=summary.tracks(clip),
        found=found,
        plots=drawn,
        rates=summary.rates(found),
        about_gaps=summary.about_gaps(),
        missing=missing,
        more_missing=more_missing,
        places=found.places and summary.of_places(found.places),
        sync=summary.of_sync(found.sync, found),
        noises=summary.noises(found),
        no_rest=summary.no_rest(),
        sources=summary.sources(clip.metadata),
        remarks=summary.remarks(clip.metadata),
    )
    # Names of files and strings of JSON may hold halves of characters, which are no UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8")


def _part(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")


def _script() -> str:
    """The modules in one script: each a function, that gives what it exports to those behind it."""
    parts = ["const modules = {};"]
    for name in _SCRIPTS:
        source = _part(name)
        exports = re.findall(r"^export (?:const|function|class) (\w+)", source, re.MULTILINE)
        source = re.sub(r"^export ", "", source, flags=re.MULTILINE)
        source = re.sub(r'import ({[^}]*}) from "\./(.*)";', r'const \1 = modules["\2"];', source)
        given = f"return {{ {', '.join(exports)} }};"
        parts.append(f'modules["{name}"] = (() => {{\n{source}{given}\n}})();')
    return "\n".join(parts)


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy: this style, this script, and a film; nothing from a network."""

    def digest_of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest_of(style)}; script-src {digest_of(script)}; "
        "media-src 'self' file: blob:; base-uri 'none'; form-action 'none'"
    )


def _film(clip: Clip, page: Path | None) -> str | None:
    """The clip's address seen from the page; empty if it is not beside it, None without video."""
    if clip.video is None:
        return None
    path = Path(clip.path)
    beside = page is not None and path.exists() and path.resolve().parent == page.resolve().parent
    return f"./{quote(os.fsencode(path.name))}" if beside else ""


def _data(found: Digest, drawn: list[Plot]) -> str:
    """What the page draws, as JSON that cannot end the element it stands in."""
    arrays = Arrays()
    document: dict[str, Any] = {
        "first": found.first_s,
        "last": found.last_s,
        "plots": [plot.document(arrays) for plot in drawn],
        "bars": [
            {"edges": edges.tolist(), "counts": counts, "colour": colour}
            for _, colour, each in streams(found)
            for edges, counts in [each.histogram]
            if counts
        ],
        "noise": [
            {
                "tau": noise.allan.tau_s.tolist(),
                "axes": noise.allan.deviation.T.tolist(),
                "walk": [
                    walk if isfinite(walk) else None for walk in noise.allan.random_walk.tolist()
                ],
                "floor": noise.allan.bias_instability.tolist(),
            }
            for noise in found.noise
        ],
        "pose": found.pose and found.pose.document(arrays),
        "places": found.places
        and found.places.document(arrays, gap_of(found.intervals[found.places.kind])),
    }
    document["arrays"] = arrays.texts
    return json.dumps(document, allow_nan=False).replace("<", "\\u003c")
