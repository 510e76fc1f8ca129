"""The OpenAPI document is what there is: every path, and every answer whatever is asked."""

import json

import pytest
import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from schemathesis import GenerationMode
from starlette.routing import Route
from starlette.testclient import TestClient

from daemon.configuration import ControlSettings
from daemon.http import documents
from daemon.http.app import make_app

NOT_OF_THE_API = {"/openapi.json", "/"}


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json()


@pytest.fixture
def cases(control, document, now_s, monkeypatch):
    """What may be asked according to the document, and what may not."""
    now_s.each = 1  # the rate limit is not what is looked at here
    monkeypatch.setattr("socket.gethostname", lambda: "testserver")  # as schemathesis calls it
    schema = schemathesis.openapi.from_dict(document)
    schema.app = make_app(control, ControlSettings(), now_s=now_s)
    operations = [found.ok() for found in schema.get_all_operations()]
    ways = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return {
        (operation.method.upper(), operation.path): st.one_of(
            *(operation.as_strategy(generation_mode=way) for way in ways)
        )
        for operation in operations
        if operation.path != "/api/events"  # has no end
    }


@settings(max_examples=300, phases=[Phase.generate])
@given(data=st.data())
def test_every_answer_is_one_that_is_declared(cases, camcorder, put, data):
    asked = data.draw(st.sampled_from(sorted(cases)))
    case = data.draw(cases[asked])
    if "{name}" in case.path and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(["a.mp4", "b.unfinished.mp4"]))
        put(name)
        case.path_parameters["name"] = name
    case.call_and_validate()


def test_every_route_is_in_the_document_and_nothing_else(app, document):
    routes = {route.path: route.methods for route in app.routes if isinstance(route, Route)}
    for path in NOT_OF_THE_API:
        del routes[path]
    told = {
        path: {method.upper() for method in operations}
        for path, operations in document["paths"].items()
    }
    assert told == routes


def test_reading_changes_nothing_and_what_changes_something_is_no_reading(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert ("requestBody" in operation) <= (method in ("post", "put"))
    assert set(document["paths"]["/api/start"]) == {"post"}
    assert set(document["paths"]["/api/clips/{name}"]) == {"get", "head", "delete"}


@pytest.mark.parametrize("recording", [False, True])
def test_the_documents_of_the_control_are_those_declared(camcorder, control, put, recording):
    if recording:
        camcorder.start()
    put("a.mp4")
    validate(documents.Status, control.status())
    validate(tuple[documents.Clip, ...], control.clips())
    validate(documents.Clip, control.protect("a.mp4", protected=True))


def test_a_key_more_than_is_declared_is_found(control):
    with pytest.raises(ValueError, match="surprise"):
        validate(documents.Status, {**control.status(), "surprise": 1})


def test_the_token_is_declared_where_one_is_wanted(locked, client, token_file, control):
    settings = ControlSettings(token_file=str(token_file))
    asking = TestClient(make_app(control, settings), "http://localhost:8080")
    headers = {"Authorization": "Bearer correct-horse-battery-staple"}
    document = asking.get("/openapi.json", headers=headers).json()
    assert document["security"] == [{"token": []}]
    assert "401" in document["paths"]["/api/status"]["get"]["responses"]
    assert "security" not in client.get("/openapi.json").json()


def validate(kind, document):
    TypeAdapter(kind).validate_json(json.dumps(document))
