"""Whether a clip keeps to the specification, to what every reader accepts, and to Street View.

A rule looks at the evidence, which is the clip read once and boiled down, and yields what it finds;
`RULES` is all of them. They stand on the Camera Motion Metadata specification, on what other
people's readers were seen to do, and on what the service says of refused clips. docs/CHECK.md has
the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from camm import UsageError
from muxer.check import agreement, exposure, gps, motion, street_view, structure, timing
from muxer.check.evidence import Evidence, Watch
from muxer.check.finding import Finding, Verdict
from muxer.check.rule import Rule, Source
from muxer.clip import Clip

RULES: tuple[Rule, ...] = (
    *structure.RULES,
    *timing.RULES,
    *exposure.RULES,
    *motion.RULES,
    *agreement.RULES,
    *gps.RULES,
    *street_view.RULES,
)
"""All rules, in the order in which their findings are told."""

PROFILES: Mapping[str, frozenset[Source]] = {
    "readers": frozenset({"specification", "readers"}),
    "street-view": frozenset({"specification", "street-view"}),
}
"""Whose rules are tried."""


def profile_of(name: str) -> list[Rule]:
    """The rules of a profile; UsageError for one that there is not."""
    if name not in PROFILES:
        raise UsageError(f"no profile is called {name!r}; there are: {', '.join(PROFILES)}")
    return [rule for rule in RULES if rule.source in PROFILES[name]]


def check(
    clip: Clip,
    profile: str = "readers",
    *,
    now: datetime | None = None,
    watch: Watch = lambda blocks: blocks,
) -> Verdict:
    """Try the rules of a profile on a clip that has motion metadata.

    Of several tracks of it the structure of each is looked at, but the records only of the one that
    the clip's columns come from. `now` is what lies in the future of no clip; `watch` passes the
    blocks of records on while they are read. UsageError for a profile that there is not.
    """
    rules = profile_of(profile)
    evidence = Evidence(clip, now=now, watch=watch)
    findings = tuple(finding for rule in rules for finding in rule.findings(evidence))
    return Verdict(clip.path, clip.counts, findings, profile)


__all__ = ["PROFILES", "RULES", "Finding", "Rule", "Verdict", "check", "profile_of"]
