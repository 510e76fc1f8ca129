"""The page itself: one HTML file that needs no network and no script."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from muxer.check import check
from muxer.clip import Clip
from muxer.report.figures import figures
from muxer.report.summary import facts, remarks, sources, streams


def render(clip: Clip) -> str:
    """The report on a clip with motion metadata, in a track or elsewhere, as HTML.

    Every word that comes from the clip is escaped.
    """
    template = files(__package__).joinpath("page.html.jinja").read_text("utf-8")
    page = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(template)
    return page.render(
        name=Path(clip.path).name,
        verdict=check(clip),
        facts=facts(clip),
        streams=streams(clip),
        sources=sources(clip.metadata),
        remarks=remarks(clip.metadata),
        figures=figures(clip),
    )
