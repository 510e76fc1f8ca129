"""The HTTP server, in an event loop that is somebody else's."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from camm import CammError, UsageError
from daemon.configuration import ControlSettings
from daemon.control import Control
from daemon.http.app import make_app

_MOST_CONNECTIONS = 64
_FIRST_REQUEST_S = 10.0
_LONGEST_HEADERS = 16 * 1024
_PATIENCE_S = 2


class HttpServer:
    """Serves a camcorder at the address that the settings name.

    UsageError where they name none, or the token file is no good.
    """

    def __init__(self, control: Control, settings: ControlSettings) -> None:
        address = settings.address()
        if address is None:
            raise UsageError("control.http names no address to serve at")
        self._host, self._port = address
        self._app = make_app(control, settings)
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=_Connection,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # they are anybody's word for who asks
                server_header=False,
                h11_max_incomplete_event_size=_LONGEST_HEADERS,
                timeout_graceful_shutdown=_PATIENCE_S,
            )
        )

    @property
    def address(self) -> tuple[str, int]:
        """Where it is to listen, and after `start` where it does."""
        return self._host, self._port

    def change(self, settings: ControlSettings) -> None:
        """Another token from now on; UsageError, and no change, as of `Access.change`."""
        self._app.state.access.change(settings)

    async def start(self) -> None:
        """Listen; CammError where that cannot be."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            family, *_, address = min(found)  # by IPv4 where there are both
            listening = socket.create_server(address[:2], family=family)
        except OSError as error:
            shown = f"[{self._host}]" if ":" in self._host else self._host
            unknown = isinstance(error, socket.gaierror)
            words = error.strerror if unknown else os.strerror(error.errno or 0)
            raise CammError(f"control.http {shown}:{self._port}: {words}") from None
        self._port = listening.getsockname()[1]
        self._task = loop.create_task(self._server.serve([listening]))
        while not (self._server.started or self._task.done()):
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End; downloads that take longer than two seconds are cut off."""
        if self._task is None:
            return
        self._app.state.api.ending = True
        self._server.should_exit = True
        await self._task
        self._task = None


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the service."""
        yield


class _Connection(H11Protocol):
    """One of a bounded number, and none that says nothing: descriptors are for recording."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(_FIRST_REQUEST_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()
