"""Logs as text: the tables and the JSON Lines that `cammcorder extract` makes of a clip.

Read block by block, so that a day of them needs no more memory than a minute. Numbers come out as
they went in, to the last bit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import FIELD_NAMES, PacketType, Samples, UsageError, empty_values, is_vector
from hw_sim.replay.log import Log

Floats = npt.NDArray[np.float64]

_BLOCK_BYTES = 1 << 20
_LONGEST_S = 1e9  # int64 nanoseconds hold nine times that


def read_csv(paths: Sequence[Path], name: str) -> Log:
    """A log of tables, one for each packet type, told by their columns.

    UsageError for a table of other columns, and where two are of one type.
    """
    tables: dict[PacketType, Path] = {}
    for path in paths:
        kind = kind_of(path, _header(path), "csv")
        if kind in tables:
            raise UsageError(
                f"{tables[kind]} and {path} both hold {kind.label}: name those of one clip"
            )
        tables[kind] = path
    # All of it is read, for a line that is no row had better be known before the film begins.
    filled = {kind: path for kind, path in tables.items() if sum(map(len, _table(path, kind)))}
    return Log(name, frozenset(filled), lambda kind: _table(filled[kind], kind))


def read_jsonl(path: Path) -> Log:
    """A log of an object a line. Those of types that the specification does not know stay out."""
    kinds: set[PacketType] = set()
    for objects in _objects(path):
        kinds.update(PacketType(found["type"]) for found in objects if found["type"] in _KNOWN)
    return Log(str(path), frozenset(kinds), lambda kind: _records(path, kind))


def line_blocks(path: Path, first_line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Lines by the megabyte from `first_line` on, with the number of the first of them."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for _ in range(first_line - 1):
            file.readline()
        number = first_line
        while lines := file.readlines(_BLOCK_BYTES):
            yield number, lines
            number += len(lines)


def numbers(
    path: Path, first_line: int, columns: int, text_at: int | None = None
) -> Iterator[Floats]:
    """The rows of a table from `first_line` on, (N, columns), NaN for what is none.

    `text_at` is a column that holds no numbers; it is left out. So is a last line that was cut off.
    UsageError, with the number of the line, for any other that is no such row.
    """
    blank: dict[int | str, Callable[[str], float]] | None = None
    if text_at is not None:
        blank = {text_at: lambda _: np.nan}
    for number, lines in line_blocks(path, first_line):
        if all(map(str.isspace, lines)):
            continue
        try:
            rows = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None, converters=blank)
            good = rows.shape[1] == columns
        except ValueError:
            good = False
        if not good:
            rows = _row_by_row(path, number, lines, columns, text_at)
        if len(rows):
            yield rows if text_at is None else np.delete(rows, text_at, axis=1)


def nanoseconds(path: Path, seconds: Floats) -> npt.NDArray[np.int64]:
    """Times as whole nanoseconds; UsageError for one that is none."""
    if not (np.abs(seconds) < _LONGEST_S).all():
        wrong = seconds[~(np.abs(seconds) < _LONGEST_S)][0]
        raise UsageError(f"{path}: a row has the time {wrong:g}, expected seconds")
    return np.rint(seconds * 1e9).astype(np.int64)


def _row_by_row(
    path: Path, number: int, lines: list[str], columns: int, text_at: int | None
) -> Floats:
    rows = []
    cells_are = "numbers" if text_at is None else "cells"
    for at, line in enumerate(lines, number):
        cells = line.rstrip("\r\n").split(",")
        if cells == [""]:
            continue
        try:
            row = [np.nan if n == text_at else float(cell) for n, cell in enumerate(cells)]
        except ValueError:
            row = []
        if len(row) != columns:
            if at == number + len(lines) - 1 and not line.endswith("\n"):
                break  # whoever wrote it was stopped in the middle
            raise UsageError(
                f"{path}, line {at}: expected {columns} {cells_are}, found {line.strip()[:40]!r}"
            )
        rows.append(row)
    return np.array(rows).reshape(-1, columns)


_KNOWN = frozenset(PacketType)
_DATES = "utc"


def columns_of(kind: PacketType) -> list[str]:
    """What the columns of a type's table are called, but for `utc`, which is not replayed."""
    names: Sequence[str] = FIELD_NAMES[kind]
    return ["t_s", *([f"{names[0]}_{axis}" for axis in "xyz"] if is_vector(kind) else names)]


def kind_of(path: Path, header: Sequence[str], form: str) -> PacketType:
    """The type of a table with these columns; UsageError where `extract` makes no such."""
    names = [name for name in header if name != _DATES]
    for kind in PacketType:
        if columns_of(kind) == names:
            return kind
    raise UsageError(
        f"{path} has the columns {','.join(header)[:60]}: expected a table of `extract --to {form}`"
    )


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(1000).strip().split(",")


def _table(path: Path, kind: PacketType) -> Iterator[Samples]:
    header = _header(path)
    dates_at = header.index(_DATES) if _DATES in header else None
    for rows in numbers(path, 2, len(header), dates_at):
        yield samples_of(path, kind, rows)


def samples_of(path: Path, kind: PacketType, rows: Floats) -> Samples:
    """Records of rows of numbers: a time in seconds, and the values in the type's order."""
    t_s, values = rows[:, 0], rows[:, 1:]
    data = empty_values(kind, len(t_s))
    with np.errstate(over="ignore"):
        if is_vector(kind):
            data[:] = values
        else:
            for name, column in zip(FIELD_NAMES[kind], values.T, strict=True):
                whole = data.dtype[name].kind == "i"
                if whole and not (np.abs(column) < _INTEGERS).all():
                    raise UsageError(f"{path}: {name} of {kind.label} must be whole numbers")
                data[name] = column
    return Samples(kind, nanoseconds(path, t_s), data)


_INTEGERS = 1 << 31


def _objects(path: Path, kind: PacketType | None = None) -> Iterator[list[dict[str, Any]]]:
    """All objects; or those of one type, without looking at the others once more."""
    wanted = re.compile(r"\S" if kind is None else rf'"type"\s*:\s*{kind:d}\b')
    for number, lines in line_blocks(path):
        if not lines[-1].endswith("\n") and _record(lines[-1]) is None:
            lines.pop()  # whoever wrote it was stopped in the middle
        mine = [line for line in lines if wanted.search(line)]
        try:
            found = json.loads(f"[{','.join(mine)}]")
        except ValueError:
            found = []
        if len(found) != len(mine):
            found = [_record(line) for line in mine]
        for record, line in zip(found, mine, strict=True):
            if not _is_record(record):
                raise UsageError(
                    f"{path}, line {number + lines.index(line)}: expected an object with t_s and "
                    f"type, as of `extract --to jsonl`, found {line.strip()[:40]!r}"
                )
        yield found


def _record(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_record(found: object) -> bool:
    return isinstance(found, dict) and "t_s" in found and isinstance(found.get("type"), int)


def _records(path: Path, kind: PacketType) -> Iterator[Samples]:
    for objects in _objects(path, kind):
        mine = [found for found in objects if found["type"] == kind]
        if not mine:
            continue
        try:
            # null stands for what is no number.
            t_s = np.array([found["t_s"] for found in mine], np.float64)
            fields = [
                np.array([found[name] for found in mine], np.float64) for name in FIELD_NAMES[kind]
            ]
            values = (
                fields[0].reshape(-1, 3)
                if is_vector(kind)
                else np.stack(fields).T.reshape(-1, len(fields))
            )
        except (KeyError, TypeError, ValueError):
            raise UsageError(
                f"{path}: a record of {kind.label} is not as `extract --to jsonl` writes it, with "
                f"{', '.join(FIELD_NAMES[kind])}"
            ) from None
        yield samples_of(path, kind, np.column_stack([t_s, values]))
