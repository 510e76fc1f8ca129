"""What can be asked for over HTTP, and the OpenAPI 3.1 document that says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from daemon.http.documents import Problem

_JSON = "application/json"
_SCHEMAS = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers to a request: what it means, and a declared document or a media type."""

    words: str
    content: Any = Problem


@dataclass(frozen=True, slots=True)
class Operation:
    """A method on a path. A handler that may wait for the disk is a plain function.

    `body` is the declared document that has to come with it.
    """

    method: str
    path: str
    handler: Callable[[Request], Response | Awaitable[Response]]
    summary: str
    answers: Mapping[int, Answer]
    body: type | None = None
    headers: tuple[str, ...] = field(default=())


_ALWAYS = {
    403: Answer("asked by a page of another site"),
    421: Answer("asked for under a name that is not the camcorder's"),
    429: Answer("asked too often"),
    503: Answer("the disk refuses"),
}
_WITH_BODY = {
    400: Answer("the body is not JSON"),
    413: Answer("the body is too long"),
    415: Answer("the body is not said to be application/json"),
    422: Answer("the body is not what is declared"),
}
_WITH_TOKEN = {401: Answer("no token, or a wrong one")}


def openapi(operations: Iterable[Operation], version: str, *, token: bool) -> dict[str, Any]:
    """The document; `token` says whether clients must show one."""
    operations = tuple(operations)
    declared = {Problem: TypeAdapter(Problem)}
    for operation in operations:
        contents = [answer.content for answer in operation.answers.values()]
        for kind in (*contents, operation.body):
            if kind is not None and not isinstance(kind, str):
                declared[kind] = TypeAdapter(kind)
    keyed = {kind: str(number) for number, kind in enumerate(declared)}
    schemas, definitions = TypeAdapter.json_schemas(
        [(keyed[kind], "validation", adapter) for kind, adapter in declared.items()],
        ref_template=_SCHEMAS,
    )
    schema_of = {kind: schemas[key, "validation"] for kind, key in keyed.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        always = {**_ALWAYS, **(_WITH_TOKEN if token else {})}
        told = _describe(operation, always, schema_of)
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "cammcorder", "version": version, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }
    if token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _describe(
    operation: Operation, always: Mapping[int, Answer], schema_of: Mapping[Any, Any]
) -> dict[str, Any]:
    answers = {**operation.answers, **always}
    told: dict[str, Any] = {"summary": operation.summary}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "header", "schema": {"type": "string"}} for name in operation.headers
    ]
    if "{name}" in operation.path:
        name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
        parameters.insert(0, name)
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        answers |= _WITH_BODY
        content = {_JSON: {"schema": schema_of[operation.body]}}
        told["requestBody"] = {"required": True, "content": content}
    told["responses"] = {
        str(status): _content(answer, schema_of) for status, answer in sorted(answers.items())
    }
    return told


def _content(answer: Answer, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    match answer.content:
        case None:
            return {"description": answer.words}
        case str(media_type):
            return {"description": answer.words, "content": {media_type: {}}}
        case kind:
            content = {_JSON: {"schema": schema_of[kind]}}
            return {"description": answer.words, "content": content}
