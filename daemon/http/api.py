"""What each path answers.

Handlers that may wait for the disk are plain functions: each request has a thread of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from prometheus_client.exposition import choose_encoder
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from camm import UsageError
from daemon.control import Control, Document
from daemon.http import documents
from daemon.http.metrics import registry
from daemon.http.openapi import Answer, Operation
from daemon.http.preview import Preview
from daemon.http.security import Access
from daemon.http.track import Track
from daemon.shelf import Clip

_Body = TypeVar("_Body")

_LONGEST_BODY = 64 * 1024
_RANGE = r"(\d{1,18}-\d{0,18}|-\d{1,18})"
_RANGES = re.compile(rf"bytes={_RANGE}(\s*,\s*{_RANGE})*", re.ASCII)
_FROM_TO = re.compile(r"(\d+)-(\d+)", re.ASCII)


class Api:
    """Asks a camcorder for those who ask over HTTP. `ending` ends the streams of events."""

    def __init__(
        self, control: Control, track: Track, access: Access, now_s: Callable[[], float]
    ) -> None:
        self.ending = False
        self._control = control
        self._access = access
        self._track = track
        self._preview = Preview(control, now_s)
        self._metrics = registry(control)

    def operations(self) -> tuple[Operation, ...]:
        """All that can be asked for."""
        clip = "/api/clips/{name}"
        unknown = {404: Answer("there is no such clip")}
        whole = {
            200: Answer("the file", "video/mp4"),
            206: Answer("a range of it; of several, multipart/byteranges", "video/mp4"),
            416: Answer("it has no such range", None),
            409: Answer("it is in the making"),
            **unknown,
        }
        head = {status: Answer(answer.words, None) for status, answer in whole.items()}
        ranges = ("Range", "If-Range")
        return (
            Operation(
                "GET",
                "/api/status",
                self.status,
                "How the camcorder is",
                {200: Answer("as of the last tenth of a second", documents.Status)},
            ),
            Operation(
                "POST",
                "/api/start",
                self.start,
                "Record, from the pre-roll on",
                {202: Answer("it will; how it is now", documents.Status)},
            ),
            Operation(
                "POST",
                "/api/stop",
                self.stop,
                "Record no further",
                {202: Answer("it will finish the clip; how it is now", documents.Status)},
            ),
            Operation(
                "POST",
                "/api/mark",
                self.mark,
                "Note this moment in the clip, which is kept from now on",
                {
                    200: Answer("noted", documents.Marked),
                    409: Answer("nothing is being recorded"),
                },
                documents.Mark,
            ),
            Operation(
                "GET",
                "/api/clips",
                self.clips,
                "All clips, the newest first",
                {200: Answer("the clips", tuple[documents.Clip, ...])},
            ),
            Operation("GET", clip, self.download, "A clip", whole, headers=ranges),
            Operation("HEAD", clip, self.download, "About a clip", head, headers=ranges),
            Operation(
                "DELETE",
                clip,
                self.delete,
                "Remove a clip",
                {
                    200: Answer("the clip that is gone", documents.Clip),
                    409: Answer("it is protected or in the making"),
                }
                | unknown,
            ),
            Operation(
                "POST",
                f"{clip}/ticket",
                self.ticket,
                "Let this browser download a clip without the token, for an hour",
                {204: Answer("yes: a cookie for the clip's path says so", None)} | unknown,
            ),
            Operation(
                "PUT",
                f"{clip}/protection",
                self.protect,
                "Keep a clip whatever happens, or do so no longer",
                {200: Answer("the clip", documents.Clip)} | unknown,
                documents.Protection,
            ),
            Operation(
                "GET",
                "/api/events",
                self.events,
                "`status` twice a second, `fix` and `clip` when there is a new one",
                {200: Answer("server-sent events, their data JSON", "text/event-stream")},
            ),
            Operation(
                "GET",
                "/api/track",
                self.track,
                "Where the camcorder has been in the last hour",
                {200: Answer("the oldest first", tuple[documents.Position, ...])},
            ),
            Operation(
                "GET",
                "/api/preview.jpg",
                self.preview,
                "What the camera sees, small, at most once a second",
                {
                    200: Answer("the last key frame", "image/jpeg"),
                    204: Answer("there is no picture", None),
                    304: Answer("it is that of If-None-Match", None),
                    409: Answer("it cannot be decoded"),
                },
                headers=("If-None-Match",),
            ),
            Operation(
                "GET",
                "/metrics",
                self.metrics,
                "The status for Prometheus",
                {200: Answer("the metrics", "text/plain")},
            ),
        )

    async def status(self, request: Request) -> Response:
        """How it is."""
        return JSONResponse(self._control.status())

    def start(self, request: Request) -> Response:
        """Record."""
        self._control.start()
        return JSONResponse(self._control.status(), 202)

    def stop(self, request: Request) -> Response:
        """Record no further."""
        self._control.stop()
        return JSONResponse(self._control.status(), 202)

    async def mark(self, request: Request) -> Response:
        """Note this moment."""
        mark = await _body(request, documents.Mark)
        return JSONResponse(await run_in_threadpool(self._control.mark, mark.text))

    def clips(self, request: Request) -> Response:
        """What is on the shelf."""
        return JSONResponse(self._control.clips())

    def download(self, request: Request) -> Response:
        """The file, or ranges of it."""
        clip = self._clip(request)
        if clip.unfinished:
            raise HTTPException(409, f"{clip.name} is not finished: it cannot be downloaded yet")
        if not _well_formed(request.headers.get("range", "")):
            # FileResponse would answer 400; a range that is none is to be ignored (RFC 9110, 14.2).
            headers = request.scope["headers"]
            request.scope["headers"] = [header for header in headers if header[0] != b"range"]
        return _OpenFile(clip)

    def ticket(self, request: Request) -> Response:
        """Whoever has shown the token may have the browser fetch this clip by itself."""
        response = Response(status_code=204)
        self._access.give_ticket(f"/api/clips/{self._clip(request).name}", response)
        return response

    def delete(self, request: Request) -> Response:
        """Remove a clip."""
        return JSONResponse(self._control.delete(self._clip(request).name))

    async def protect(self, request: Request) -> Response:
        """Keep a clip, or do so no longer."""
        wish = await _body(request, documents.Protection)

        def protect() -> Document:
            return self._control.protect(self._clip(request).name, protected=wish.protected)

        return JSONResponse(await run_in_threadpool(protect))

    async def events(self, request: Request) -> Response:
        """What happens from now on."""
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def track(self, request: Request) -> Response:
        """Where it has been."""
        return JSONResponse(self._track.positions())

    def preview(self, request: Request) -> Response:
        """What the camera sees."""
        picture = self._preview.picture()
        if picture is None:
            return Response(status_code=204)
        tag = {"ETag": f'"{picture.tag}"'}
        if tag["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=tag)
        return Response(picture.jpeg, media_type="image/jpeg", headers=tag)

    async def metrics(self, request: Request) -> Response:
        """The status, for Prometheus."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics), headers={"Content-Type": content_type})

    async def _events(self) -> AsyncIterator[str]:
        async for event, document in self._control.subscribe():
            if self.ending:
                return
            yield f"event: {event}\ndata: {json.dumps(document, allow_nan=False)}\n\n"

    def _clip(self, request: Request) -> Clip:
        """The clip out of the shelf's listing; a name becomes a path in no other way."""
        try:
            return self._control.clip(request.path_params["name"])
        except UsageError as error:
            raise HTTPException(404, str(error)) from None


class _OpenFile(FileResponse):
    """A clip that is sent to the end, though it be renamed or deleted meanwhile."""

    def __init__(self, clip: Clip) -> None:
        self._file = clip.path.open("rb")
        super().__init__(
            f"/proc/self/fd/{self._file.fileno()}",
            media_type="video/mp4",
            filename=clip.name,
            stat_result=os.fstat(self._file.fileno()),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


async def _body(request: Request, kind: type[_Body]) -> _Body:
    """The declared document that was sent."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "the body must be said to be application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            words = f"a body has at most {_LONGEST_BODY} bytes"
            raise HTTPException(413, words, {"Connection": "close"})
    try:
        return TypeAdapter(kind).validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        status = 400 if first["type"] == "json_invalid" else 422
        raise HTTPException(status, f"{place}: {first['msg']}".removeprefix(": ")) from None


def _well_formed(ranges: str) -> bool:
    """Whether a Range header says ranges of bytes, none of them backwards."""
    return _RANGES.fullmatch(ranges) is not None and all(
        int(first) <= int(last) for first, last in _FROM_TO.findall(ranges)
    )
