"""Check the file that a camcorder is declared in, show all that it says, or begin with an example.

`config check` tells everything that is wrong with it, by line; exit code 0 where nothing is, 1
otherwise. `config show` prints it with all defaults filled in. `config example NAME` prints one to
begin with; without a name it tells what there are. docs/OPERATION.md explains the keys.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this verb."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="say what is wrong with a file")
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(act=_check)
    show = actions.add_parser("show", help="print a file with its defaults filled in")
    show.add_argument("file", metavar="FILE", type=Path)
    show.set_defaults(act=_show)
    example = actions.add_parser("example", help="print a file to begin with")
    example.add_argument("name", metavar="NAME", nargs="?")
    example.set_defaults(act=_example)


def run(options: argparse.Namespace) -> int:
    """Do what was asked."""
    return int(options.act(options))


def _check(options: argparse.Namespace) -> int:
    from camm.declared import DeclarationError
    from daemon.service import load

    try:
        load(options.file)
    except DeclarationError as error:
        sys.stdout.write("".join(f"{problem}\n" for problem in error.problems))
        return 1
    sys.stdout.write(f"{options.file}: nothing is wrong\n")
    return 0


def _show(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from daemon.service import load

    lines = _table(asdict(load(options.file)))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _example(options: argparse.Namespace) -> int:
    from importlib.resources import files

    from camm.errors import UsageError

    examples = {
        Path(entry.name).stem: entry
        for entry in sorted(files("cammcorder").joinpath("examples").iterdir(), key=str)
    }
    if options.name is None:
        for name, entry in examples.items():
            first = entry.read_text("utf-8").splitlines()[0]
            sys.stdout.write(f"{name:<12}{first.removeprefix('# ')}\n")
        return 0
    if options.name not in examples:
        raise UsageError(f"no example is called {options.name!r}; there are: {', '.join(examples)}")
    sys.stdout.write(examples[options.name].read_text("utf-8"))
    return 0


def _table(table: Mapping[str, object], name: str = "") -> Iterator[str]:
    """A table as TOML, by the line; what is not set is a comment."""
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if value is None:
            yield f"# {key} is not set"
        elif key not in tables:
            yield f"{key} = {_value(value)}"
    for key, inner in tables.items():
        inner_name = f"{name}.{key}".removeprefix(".")
        yield from ("", f"[{inner_name}]", *_table(inner, inner_name))


def _value(value: object) -> str:
    # True, 1.5, ["a", "b"] and "text" are the same in JSON, but for a character that TOML escapes.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
