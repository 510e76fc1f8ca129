"""What a rule has to say, and what all of them come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from camm import PacketType

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One departure from a rule, however many records it concerns.

    An error breaks the specification or makes a reader in use fail or read something else. A
    warning makes the clip worth less, or unwelcome somewhere.

    `rule`    the rule's name
    `t_s`     seconds into the movie where it shows first; None where it has no place in time
    `remedy`  what to do about it
    """

    rule: str
    severity: Severity
    message: str
    t_s: float | None = None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for a clip, by the rules of a profile."""

    path: str
    counts: Mapping[PacketType, int]
    findings: tuple[Finding, ...]
    profile: str = "readers"

    @property
    def sound(self) -> bool:
        """Whether no rule found an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def summary(self) -> str:
        """The verdict in words: sound or faulty, what there is, what is wrong."""
        records, types = sum(self.counts.values()), len(self.counts)
        held = f"{number(records, 'record')} of {number(types, 'type')}"
        errors = sum(finding.severity == "error" for finding in self.findings)
        faults = [number(errors, "error")] if errors else []
        if errors < len(self.findings):
            faults.append(number(len(self.findings) - errors, "warning"))
        state = "sound" if self.sound else "faulty"
        return f"{state}, {held}; {', '.join(faults) or 'no faults'}"

    @property
    def headline(self) -> str:
        """The verdict in one line, of a file among others."""
        return f"{Path(self.path).name}: {self.summary}"


def number(count: int, noun: str) -> str:
    """A count with its noun, in the singular for one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
