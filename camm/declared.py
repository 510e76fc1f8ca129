"""Files that people write by hand: declared once as frozen dataclasses, checked in one place.

A field's type, with the bounds of `annotated_types` where it has any, is all that need be said;
pydantic does the checking. What several fields say together is checked in `__post_init__`, which
raises UsageError. No values are bent: "10" is no number and 1 is not true.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

from camm.errors import UsageError

if typing.TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_Table = TypeVar("_Table")
_Place = tuple[str | int, ...]

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]")
_ASSIGNMENT = re.compile(r"\s*([\w\"'.\- ]+?)\s*=")

_UNKNOWN = "unexpected_keyword_argument"
_IN_WORDS = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a text",
    "datetime_type": "must be a date and time",
    "dataclass_type": "must be a table",
    "tuple_type": "must be a list",
}
"""What pydantic calls by the names of Python's types."""


class DeclarationError(UsageError):
    """A file does not say what was declared. The message is the first of its `problems`."""

    def __init__(self, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)
        self.problems = tuple(problems)


@dataclass_transform(frozen_default=True)
def declared(table: type[_Table]) -> type[_Table]:
    """Make a frozen dataclass that stands for a table of a file, and nothing else in it."""
    # A TypedDict of pydantic's, written out so that declaring imports nothing.
    table.__pydantic_config__ = {  # type: ignore[attr-defined]
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
    }
    return dataclasses.dataclass(frozen=True, slots=True)(table)


def parse(kind: type[_Table], text: str, source: str, **known: object) -> _Table:
    """The declared table `kind` out of the text of a TOML file; `known` are keys not in the file.

    DeclarationError, each problem as `SOURCE, line N: KEY must be ..., found ...`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError([f"{source} cannot be read as TOML: {error}"]) from None
    return _validate(kind, {**known, **table}, lambda place: f"{source}{_line(text, place)}: ")


def make(kind: type[_Table], table: Mapping[str, object]) -> _Table:
    """The same out of a table that a program has put together."""
    return _validate(kind, table, lambda place: "")


def _validate(
    kind: type[_Table], table: Mapping[str, object], where: typing.Callable[[_Place], str]
) -> _Table:
    from pydantic import TypeAdapter, ValidationError  # late: `--help` answers at once

    # As JSON, because in Python's types "strict" refuses a list where a tuple is declared.
    try:
        return TypeAdapter(kind).validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        # A misspelt key is also a missing one: the misspelling says more.
        problems = sorted(error.errors(include_url=False), key=lambda e: e["type"] != _UNKNOWN)
    raise DeclarationError([where(e["loc"]) + _in_words(kind, e) for e in problems])


def _in_words(kind: type, error: ErrorDetails) -> str:
    place = error["loc"]
    key = _dotted(place)
    match error["type"]:
        case known if known == _UNKNOWN:
            names = [field.name for field in _fields(kind, place[:-1])]
            near = difflib.get_close_matches(str(place[-1]), names, 1)
            hint = f", did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"
            return f"unknown key {key!r}{hint}"
        case "missing" if isinstance(place[-1], int):
            return f"{_dotted(place[:-1])} has too few items, number {place[-1] + 1} is missing"
        case "missing":
            return f"the key {key!r} is missing"
        case "value_error":
            complaint = str(error["ctx"]["error"])
            return f"{key}: {complaint}" if key else complaint
        case "literal_error":
            rule = f"must be {error['ctx']['expected']}"
        case known:
            rule = _IN_WORDS.get(known) or error["msg"].replace("Input should", "must", 1)
    return f"{key} {rule}, found {_as_written(error['input'])}"


def _as_written(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _dotted(place: Sequence[str | int]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).removeprefix(".")


def _fields(kind: object, place: Sequence[str | int]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of the table at a place within `kind`."""
    for part in place:
        inner = typing.get_type_hints(kind)[part] if isinstance(part, str) else kind
        kind = next(k for k in _alternatives(inner) if k is not type(None) and k is not Ellipsis)
    return dataclasses.fields(typing.cast("Any", kind))


def _alternatives(kind: object) -> Iterator[object]:
    """The types that `X | None` and `tuple[X, ...]` are about."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType, tuple):
        for inner in typing.get_args(kind):
            yield from _alternatives(inner)
    else:
        yield kind


def _line(text: str, place: _Place) -> str:
    """`, line N` of the entry at a place, or of the innermost table around it that has a line."""
    table: _Place = ()
    seen: dict[_Place, int] = {}
    best, number = 0, 0
    for i, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            entry = table = _parts(header[1])
            if line.lstrip().startswith("[["):
                seen[table] = seen.get(table, -1) + 1
                entry = table = (*table, seen[table])
        elif assignment := _ASSIGNMENT.match(line):
            entry = table + _parts(assignment[1])
        else:
            continue
        if len(entry) > best and entry == place[: len(entry)]:
            best, number = len(entry), i
    return f", line {number}" if number else ""


def _parts(key: str) -> _Place:
    return tuple(part.strip(" \t\"'") for part in key.split("."))
