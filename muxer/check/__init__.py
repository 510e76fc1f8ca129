"""Whether a clip keeps to the specification and to what every reader in use accepts.

A rule is a function that takes a clip and yields what it finds; `RULES` is all of them. They stand
on the Camera Motion Metadata specification and on what other people's readers were seen to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from muxer.check import gps, motion, structure, timing
from muxer.check.finding import Finding, Verdict
from muxer.clip import Clip

RULES: tuple[Callable[[Clip], Iterator[Finding]], ...] = (
    *structure.RULES,
    *timing.RULES,
    *motion.RULES,
    *gps.RULES,
)
"""All rules, in the order in which their findings are told."""


def check(clip: Clip) -> Verdict:
    """Try every rule on a clip that has motion metadata.

    Of several tracks of it the structure of each is looked at, but the records only of the one that
    the clip's columns come from.
    """
    findings = tuple(finding for rule in RULES for finding in rule(clip))
    return Verdict(clip.path, clip.counts, findings)


__all__ = ["RULES", "Finding", "Verdict", "check"]
