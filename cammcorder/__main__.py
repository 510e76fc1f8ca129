"""The command line: one verb, one module of `cammcorder.commands`.

A verb's module is imported when it is called for; building the parser needs only the argument
tables below them. Exit codes: 0 done, 1 failed (for `check`: the clip has faults), 2 the request
cannot be carried out as it stands, 130 interrupted with nothing to keep.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from cammcorder import __version__

VERBS = (
    *("record", "extract", "info", "check", "repair", "report", "demo", "doctor", "sim"),
    *("inject", "convert"),
    *("calibrate", "fuse"),
    *("config", "daemon", "start", "stop", "status", "mark", "protect", "clips"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and say how it went, as an exit code."""
    # Whoever starts us may have closed them: then what is said goes nowhere.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115 - for good
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    options = _parser().parse_args(arguments)
    from camm.errors import CammError

    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # Not every name of a file can be said in the terminal's letters, nor in any.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = int(options.run(options))
        sys.stdout.flush()
    except CammError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:  # whoever read our output has gone (`| head`)
        _drop_unwritten()
        return 1
    except OSError as error:
        _drop_unwritten()
        name = f"{error.filename}: " if error.filename else ""
        return _failed(f"{name}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cammcorder",
        description="A camcorder that writes CAMM: film a rig with its motion, read clips back.",
        epilog="exit codes: 0 done, 1 failed, 2 the request cannot be carried out as it stands",
    )
    parser.add_argument("--version", action="version", version=f"cammcorder {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in VERBS:
        module = import_module(f"cammcorder.commands.{verb}")
        summary = (module.__doc__ or "").splitlines()[0]
        command = verbs.add_parser(verb, help=summary, description=module.__doc__)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _failed(message: str, code: int) -> int:
    from cammcorder.commands.outputs import printable

    sys.stderr.write(f"cammcorder: {printable(message)}\n")
    return code


def _drop_unwritten() -> None:
    """Python must not try again as it exits, and complain, where our output cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
