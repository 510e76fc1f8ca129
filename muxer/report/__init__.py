"""A clip as a page that people can look at: what is in it, what is wrong, what was lost.

Needs the extra `report` (jinja2).
"""

from muxer.report.page import render

__all__ = ["render"]
