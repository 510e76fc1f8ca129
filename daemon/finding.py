"""What an examination finds wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How wrong it is: a recording would fail or be of no use, or would be worse than it could."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: `what` was seen, `why` that may be, the `remedy`; these two may be empty."""

    severity: Severity
    what: str
    why: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        why = f" ({self.why})" if self.why else ""
        remedy = f": {self.remedy}" if self.remedy else ""
        return f"{self.what}{why}{remedy}"


def error(what: str, why: str = "", remedy: str = "") -> Finding:
    """A finding that makes a recording useless."""
    return Finding(Severity.ERROR, what, why, remedy)


def warning(what: str, why: str = "", remedy: str = "") -> Finding:
    """A finding that makes a recording worse."""
    return Finding(Severity.WARNING, what, why, remedy)
