"""The Unix socket at which a camcorder takes commands, and the poses of a tracker.

`daemon.control_client` is its other end.
"""

from __future__ import annotations

import asyncio
import grp
import json
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from camm import CammError, UsageError
from daemon.control import Control
from daemon.tracker import TrackerSource, poses_in

_log = logging.getLogger(__name__)

_LONGEST_REQUEST = 1 << 16
_MOST_CLIENTS = 32
_ALLOWED = 0o660
_REQUESTS: dict[str, dict[str, type]] = {
    "status": {},
    "start": {},
    "stop": {},
    "clips": {},
    "mark": {"text": str},
    "protect": {"name": str, "protected": bool},
    "delete": {"name": str},
    "track": {"name": str},
}
"""The methods of `Control` that can be asked for, and what each takes."""


class ControlServer:
    """Serves a `Control` to whoever may write to the socket at `path`: this user and `group`.

    A socket that nobody listens at any more is replaced. UsageError where somebody does, where
    there is no such group and where the socket cannot be made.
    """

    def __init__(self, control: Control, path: Path, group: str | None = None) -> None:
        self._control = control
        self._path = path
        self._socket = _listen(path, group)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Answer from now on."""
        self._server = await asyncio.start_unix_server(
            self._meet, sock=self._socket, limit=_LONGEST_REQUEST
        )

    async def close(self) -> None:
        """Take no more, and let go of those who are there."""
        self._path.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._socket.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # they have gone, or we are to
        finally:
            if task is not None:
                self._clients.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) > _MOST_CLIENTS:
            await _send(writer, _refusal(CammError(f"{_MOST_CLIENTS} others are connected")))
            return
        client = _Client(self._control)
        try:
            while (line := await _line(reader, writer)) is not None:
                await _send(writer, await client.answer(line))
        finally:
            client.close()


class _Client:
    """What somebody who is connected asks for; once they `track`, each line is poses."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._tracker: TrackerSource | None = None

    def close(self) -> None:
        """They have gone."""
        if self._tracker is not None:
            self._tracker.disconnect()

    async def answer(self, line: bytes) -> dict[str, Any]:
        """To one line."""
        try:
            if self._tracker is not None:
                return {"answer": self._tracker.take(poses_in(line))}
            return {"answer": await self._do(_parsed(line))}
        except (CammError, OSError) as error:
            return _refusal(error)

    async def _do(self, request: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON can say
        do, what = request.get("do"), {key: request[key] for key in request if key != "do"}
        if {key: type(value) for key, value in what.items()} != _REQUESTS.get(str(do)):
            known = "; ".join(" ".join((name, *keys)) for name, keys in _REQUESTS.items())
            raise UsageError(f"a request is one of {known}; found {json.dumps(request)[:200]}")
        if do == "track":
            self._tracker = tracker = self._control.track(**what)
            return tracker.expectation()
        before = self._control.status()
        if do == "status":
            return before
        answer = await asyncio.to_thread(getattr(self._control, str(do)), **what)
        return before if answer is None else answer


async def _line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """The next one, None where there will be none."""
    try:
        return await reader.readuntil()
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        words = f"a request has at most {_LONGEST_REQUEST} bytes"
        await _send(writer, _refusal(UsageError(words)))
        return None


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("a request is a line of JSON") from None
    if not isinstance(request, dict):
        raise UsageError("a request is an object of JSON")
    return request


def _refusal(error: CammError | OSError) -> dict[str, Any]:
    if isinstance(error, CammError):
        return {"error": str(error), "exit_code": error.exit_code}
    return {"error": error.strerror or str(error), "exit_code": CammError.exit_code}


async def _send(writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
    writer.write(json.dumps(document).encode() + b"\n")
    await writer.drain()


def _listen(path: Path, group: str | None) -> socket.socket:
    try:
        number = -1 if group is None else grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"control.group: there is no group {group!r}") from None
    listening = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        listening.bind(str(path))
        # Before `listen` nobody can connect, whatever the umask has made of the file.
        path.chmod(_ALLOWED)
        os.chown(path, -1, number)
        listening.listen()
    except UsageError:
        listening.close()
        raise
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen at {path}: {error.strerror or error}") from None
    return listening


def _remove_stale(path: Path) -> None:
    """Unlink a socket that a camcorder has left; UsageError where one is still there."""
    if path.exists() and not path.is_socket():
        raise UsageError(f"{path} is there and no socket: choose another control.socket")
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
    raise UsageError(f"a camcorder is running already: it listens at {path}")
