"""docs/OPERATION.md says of every key what the schema says, and of nothing else."""

import dataclasses
import re
import tomllib
import types
import typing
from pathlib import Path

import pytest
from annotated_types import Ge, Gt

from daemon.configuration import Configuration
from daemon.status import State

DOCUMENT = Path(__file__).parents[2] / "docs/OPERATION.md"


def declared(kind=Configuration, name=""):
    """Of every key, "table.key": its type and default, in the document's words."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        path = f"{name}.{field.name}".removeprefix(".")
        annotation = without_none(hints[field.name])
        if dataclasses.is_dataclass(annotation):
            yield from declared(annotation, path)
        else:
            missing = field.default is dataclasses.MISSING
            yield path, (in_words(annotation), "required" if missing else field.default)


def without_none(annotation):
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def in_words(kind):
    plain = {str: "text", float: "number", int: "whole number", bool: "`true`, `false`"}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in plain:
        return plain[kind]
    if origin is typing.Annotated:
        [bound] = arguments[1:]
        sign = {Gt: ">", Ge: "≥"}[type(bound)]
        return f"{in_words(arguments[0])} {sign} {next(iter(vars_of(bound)))}"
    if origin in (types.UnionType, typing.Literal):
        alternatives = map(in_words, arguments) if origin is types.UnionType else ()
        return " or ".join(alternatives) or ", ".join(f'`"{value}"`' for value in arguments)
    assert origin is tuple, kind
    if arguments[1] is Ellipsis:
        inner = in_words(arguments[0])
        return f"list of {'texts' if inner == 'text' else inner}"
    if len(arguments) > 2:
        assert len(set(arguments)) == 1, kind
        inner = in_words(arguments[0])
        return f"{len(arguments)} {'numbers' if inner == 'number' else f'times {inner}'}"
    return "two numbers"


def vars_of(bound):
    return dataclasses.astuple(bound)


def written():
    """The same, as the document's tables have it."""
    tables = None
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("#"):
            tables = re.findall(r"\[([a-z.]+)\]", line) if line.startswith("### ") else None
        elif tables and (row := re.fullmatch(r"\| `(\w+)` \| (.+?) \| (.+?) \| (.*)\|", line)):
            key, kind, default, _ = row.groups()
            for table in tables:
                yield f"{table}.{key}", (kind, default_of(default))


def default_of(cell):
    if cell == "not set":
        return None
    if cell == "required":
        return cell
    value = tomllib.loads(f"it = {cell.strip('`')}")["it"]
    return tuple(value) if isinstance(value, list) else value


def test_every_key_of_the_schema_is_in_the_document_and_no_other_is():
    told = [path for path, _ in written()]
    assert len(told) == len(set(told))
    assert set(told) == {path for path, _ in declared()}


@pytest.mark.parametrize(("path", "expected"), list(declared()))
def test_the_type_and_the_default_of_a_key_are_those_of_the_schema(path, expected):
    assert dict(written())[path] == expected


def test_the_states_are_those_that_there_are():
    told = re.findall(r"^\| `(\w+)` \| (?:dark|blinks|on)", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(typing.get_args(State))
