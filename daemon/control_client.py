"""Asking the camcorder that runs on this host, over its Unix socket.

A request is a line of JSON, {"do": "status"}, and so is the answer: {"answer": ...}, or {"error":
words, "exit_code": 1 or 2}. To `start` and `stop` the answer is the status before. Imports little:
a command that asks is to be quick.
"""

from __future__ import annotations

import errno
import json
import socket
from typing import Any, Self

from camm.errors import CammError, UsageError

DEFAULT_SOCKET = "/run/cammcorder/control.sock"

_PATIENCE_S = 30.0  # of a disk that is slow


class ControlClient:
    """A connection to a camcorder, a context manager. CammError where none is running."""

    def __init__(self, path: str = DEFAULT_SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE_S)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise CammError(_why(path, error)) from None
        self._lines = self._socket.makefile("rb")

    def ask(self, do: str, **what: object) -> Any:  # noqa: ANN401 - whatever JSON can say
        """Have something done, and its answer; CammError or UsageError as the camcorder says."""
        try:
            self._socket.sendall(json.dumps({"do": do, **what}).encode() + b"\n")
            line = self._lines.readline()
        except TimeoutError:
            raise CammError(f"the camcorder has not answered for {_PATIENCE_S:g} s") from None
        except OSError as error:
            raise CammError(f"the camcorder has gone: {error.strerror}") from None
        if not line:
            raise CammError("the camcorder has gone: its log says why")
        told = json.loads(line)
        if "error" in told:
            kind = UsageError if told["exit_code"] == UsageError.exit_code else CammError
            raise kind(told["error"])
        return told["answer"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._socket.close()


def _why(path: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        found = f"no socket at {path}"
    elif error.errno == errno.ECONNREFUSED:
        found = f"nobody listens at {path}"
    elif error.errno == errno.EACCES:
        return f"no permission for {path}: add this user to the group that its directory belongs to"
    else:
        return f"{path}: {error.strerror or error}"
    return f"no camcorder is running ({found}): start it with `systemctl start cammcorder`"
