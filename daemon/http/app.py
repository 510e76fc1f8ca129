"""The app: what the API answers, the page's files, and one form for all that goes wrong."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from camm import CammError
from daemon.configuration import ControlSettings
from daemon.control import Control
from daemon.http.api import Api
from daemon.http.openapi import Operation, openapi
from daemon.http.security import HEADERS, Access, Gate
from daemon.http.track import Track

_PAGE = Path(__file__).parent / "page"


def make_app(
    control: Control, settings: ControlSettings, *, now_s: Callable[[], float] = time.monotonic
) -> Starlette:
    """The app; `state.api` and `state.access` are what answers and who may ask.

    UsageError where the token file is no good.
    """
    access = Access(settings, now_s)
    track = Track()
    api = Api(control, track, access, now_s)
    operations = api.operations()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(int)  # loads what that takes now, not while a recording runs
        following = asyncio.create_task(track.follow(control))
        yield
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    def document(request: Request) -> Response:
        version = control.status()["version"]
        return JSONResponse(openapi(operations, version, token=access.token_wanted))

    def page(request: Request) -> Response:
        return FileResponse(_PAGE / "index.html")

    app = Starlette(
        routes=[
            *_routes(operations),
            Route("/openapi.json", document),
            Route("/", page),
            Mount("/page", StaticFiles(directory=_PAGE)),
        ],
        middleware=[Middleware(Gate, access)],
        exception_handlers={
            HTTPException: _refused,
            CammError: _impossible,
            OSError: _disk,
            Exception: _bug,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.api, app.state.access = api, access
    return app


def _routes(operations: Iterable[Operation]) -> list[Route]:
    """One route a path, so that a method which there is not is answered with those there are."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [_route(path, by_method) for path, by_method in by_path.items()]


def _route(path: str, by_method: dict[str, Operation]) -> Route:
    async def answer(request: Request) -> Response:
        handler = by_method[request.method].handler
        if inspect.iscoroutinefunction(handler):
            return cast("Response", await handler(request))
        return await run_in_threadpool(cast("Callable[[Request], Response]", handler), request)

    route = Route(path, answer, methods=list(by_method))
    route.methods = set(by_method)  # HEAD too is there where it is declared, and only there
    return route


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _impossible(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 409)


async def _disk(request: Request, error: Exception) -> Response:
    words = error.strerror if isinstance(error, OSError) else None
    return JSONResponse({"error": f"the disk: {words or error}"}, 503)


async def _bug(request: Request, error: Exception) -> Response:
    """What nobody thought of: the log has more. This one passes by the gate, so add its headers."""
    return JSONResponse({"error": "this is a bug: the log says more"}, 500, HEADERS)
