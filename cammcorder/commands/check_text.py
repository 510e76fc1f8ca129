"""What `check` prints: the verdict in words, findings by severity, tables; or one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from muxer.check.street_view import UNPREDICTABLE

if TYPE_CHECKING:
    from muxer.check import Finding, Verdict
    from muxer.check.against import Comparison
    from muxer.check.truth import Measured

_HEADINGS = {"error": "Errors", "warning": "Warnings"}
_COLOURS = {"error": "red", "warning": "yellow"}
_WIDTH = 110
"""Columns where there is no terminal to ask."""
_NARROWEST = 80
"""Columns that tables need; a terminal with fewer breaks the lines itself."""


def print_all(
    verdict: Verdict,
    compared: Sequence[Comparison] | None,
    measured: Sequence[Measured] | None,
) -> None:
    """The verdict first, then what it rests on."""
    console = Console(highlight=False)
    width = max(console.width, _NARROWEST) if console.is_terminal else _WIDTH
    console = Console(highlight=False, width=width)
    with console.capture() as printed:
        _print(console, verdict, compared, measured)
    # Tables fill their lines up with spaces.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())


def _print(
    console: Console,
    verdict: Verdict,
    compared: Sequence[Comparison] | None,
    measured: Sequence[Measured] | None,
) -> None:
    console.print(Text(verdict.headline), soft_wrap=True)
    for severity, heading in _HEADINGS.items():
        findings = [found for found in verdict.findings if found.severity == severity]
        if findings:
            console.print()
            console.print(Text(heading, style=f"bold {_COLOURS[severity]}"))
            console.print(_findings(findings))
    if verdict.profile == "street-view":
        console.print()
        console.print(Text(f"No file shows whether it is {', '.join(UNPREDICTABLE)}."))
    if compared is not None:
        console.print()
        console.print(Text(_same_or_not(compared)), soft_wrap=True)
        for comparison in compared:
            console.print(_comparison(comparison), soft_wrap=True)
    if measured is not None:
        console.print()
        console.print(_errors(measured))


def as_json(
    verdict: Verdict,
    compared: Sequence[Comparison] | None,
    measured: Sequence[Measured] | None,
) -> str:
    """The same as one object; docs/CHECK.md has its keys."""
    facts: dict[str, Any] = {
        "path": verdict.path,
        "profile": verdict.profile,
        "sound": verdict.sound,
        "records": {kind.label: count for kind, count in verdict.counts.items()},
        "findings": [asdict(finding) for finding in verdict.findings],
    }
    if compared is not None:
        facts["against"] = [
            {**asdict(each), "kind": each.kind.label, "same": each.same} for each in compared
        ]
    if measured is not None:
        facts["truth"] = [asdict(each) for each in measured]
    return json.dumps(facts, indent=2, allow_nan=False) + "\n"


def clock_time(t_s: float | None) -> str:
    """A place in the movie: minutes and seconds, hours where there are any."""
    if t_s is None:
        return ""
    tenths = round(abs(t_s) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02}:{tenths // 10:02}.{tenths % 10}"
    return f"{'-' if t_s < 0 else ''}{f'{hours}:' if hours else ''}{clock}"


def _findings(findings: Sequence[Finding]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True, min_width=7)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    remedies = [found.remedy for found in findings[1:]]
    for found, following in zip_longest(findings, remedies):
        table.add_row(Text(clock_time(found.t_s)), Text(found.rule), Text(found.message))
        if following != found.remedy:  # said once for all that it is the same for
            table.add_row("", "", Text(f"to do: {found.remedy}", style="dim"))
    return table


def _same_or_not(compared: Sequence[Comparison]) -> str:
    if all(comparison.same for comparison in compared):
        return "It is what was recorded."
    differing = ", ".join(each.kind.label for each in compared if not each.same)
    return f"It is not what was recorded: {differing} differ{'' if ',' in differing else 's'}."


def _comparison(comparison: Comparison) -> Text:
    return Text("\n".join(f"  {line}" for line in _told(comparison)))


def _told(found: Comparison) -> Iterator[str]:
    """A type in some lines: what is there, what is not, what times do."""
    yield f"{found.kind.label}: {found.matched:,} of {found.recorded:,} recorded are in the clip"
    largest = f", by up to {found.largest:.3g} in {found.largest_in}"
    by_up_to = largest if found.largest_in else ""  # a number that became none has no size
    if found.outside:
        yield f"  {found.outside:,} lie before its begin or behind its end"
    for count, what, t_s in (
        (found.missing, "missing", found.first_missing_s),
        (found.extra, "extra: in the clip and not recorded", found.first_extra_s),
        (found.changed, f"changed{by_up_to}", found.first_changed_s),
    ):
        if count:
            yield f"  {count:,} {what}" + (
                f" (first at {clock_time(t_s)})" if t_s is not None else ""
            )
    if found.shift_s is not None:
        by = f", found by {found.found_by}"
        drift = f", drifts by {found.drift_ppm:,.1f} ppm" if abs(found.drift_ppm) >= 0.1 else ""
        yield (
            f"  times: shifted by {found.shift_s:+.6f} s{by}{drift}; jitter "
            f"{found.jitter_ms:.4f} ms (rms), {found.worst_ms:.4f} at most"
        )


def _errors(measured: Sequence[Measured]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("Against the truth")
    for heading in ("records", "mean", "rms", "worst", "", "at"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for each in measured:
        table.add_row(
            each.what,
            f"{each.count:,}",
            *(f"{value:.4f}" for value in (each.mean, each.rms, each.worst)),
            each.unit,
            clock_time(each.worst_s),
        )
    return table
