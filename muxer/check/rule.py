"""What a rule is: a function that looks at the evidence, and what there is to know of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from muxer.check.evidence import Evidence
from muxer.check.finding import Finding, Severity

Source = Literal["specification", "readers", "street-view"]
"""Who asks for it: the Camera Motion Metadata specification, programs in use, or the service."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule finds; severity and remedy only where they are not the rule's own."""

    message: str
    t_ns: int | None = None
    severity: Severity | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a clip has to keep to.

    `severity`  what a fault usually is
    `says`      what must be so, or what happens where it is not
    """

    name: str
    source: Source
    severity: Severity
    says: str
    remedy: str
    faults: Callable[[Evidence], Iterator[Fault]]

    def findings(self, evidence: Evidence) -> Iterator[Finding]:
        """What it finds in a clip."""
        for fault in self.faults(evidence):
            yield Finding(
                self.name,
                fault.severity or self.severity,
                fault.message,
                None if fault.t_ns is None else fault.t_ns / 1e9,
                self.remedy if fault.remedy is None else fault.remedy,
            )


def rule(
    source: Source, severity: Severity, remedy: str
) -> Callable[[Callable[[Evidence], Iterator[Fault]]], Rule]:
    """Make a rule of a generator of faults: its name is the rule's, its docstring what it says."""

    def declared(faults: Callable[[Evidence], Iterator[Fault]]) -> Rule:
        says = " ".join((inspect.getdoc(faults) or "").split())
        return Rule(faults.__name__, source, severity, says, remedy, faults)

    return declared
