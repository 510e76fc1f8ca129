"""Measurements as they are printed: a table, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import process


def present(
    title: str,
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    json_lines: bool,
) -> None:
    """Print rows as they are measured: as JSON lines, or as a table of those `columns`.

    `columns` are the keys in order, and their heads. What is not there stays empty; a row with an
    `error` shows that in place of figures.
    """
    before = process.machine()
    if json_lines:
        for row in rows:
            print(json.dumps({**row, **process.machine()}), flush=True)
        return
    measured = list(rows)
    # Late, for the memory of this process counts into that of those that it starts.
    from rich import box
    from rich.console import Console
    from rich.table import Table

    after = process.machine()
    table = Table(
        title=f"{title} (Python {before['python']}, {before['processors']} processors, "
        f"load {before['load']} before and {after['load']} after)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for number, head in enumerate(columns.values()):
        table.add_column(head, justify="right" if number else "left", no_wrap=True)
    for row in measured:
        name, *figures = (_text(row.get(key)) for key in columns)
        table.add_row(name, *([row["error"]] if "error" in row else figures))
    # No figure is cut off, however narrow the terminal; a pipe counts as one of 80 columns.
    Console(width=200).print(table)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case float() if abs(value) < 100:
            return f"{value:.3g}"
        case int() | float():
            return f"{value:,.0f}"
        case _:
            return str(value)
