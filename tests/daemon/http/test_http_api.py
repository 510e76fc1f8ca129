"""What each path answers."""

import asyncio
import errno
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from starlette.testclient import TestClient

from camm import VALUE_DTYPES, PacketType, Samples
from daemon.http.track import Track

JSON = {"Content-Type": "application/json"}


def error(response):
    """The words of a refusal, which are all there is in it."""
    (words,) = response.json().values()
    assert list(response.json()) == ["error"]
    return words


def names(client):
    return [clip["name"] for clip in client.get("/api/clips").json()]


def test_the_status_is_that_of_the_control(client, control):
    assert client.get("/api/status").json() == control.status()


def test_start_and_stop_reach_the_camcorder_and_answer_with_the_status(client, camcorder):
    started = client.post("/api/start")
    assert (started.status_code, started.json()["state"]) == (202, "recording")
    stopped = client.post("/api/stop")
    assert (stopped.status_code, stopped.json()["clip"]) == (202, None)
    assert camcorder.asked == ["start", "stop"]


@pytest.mark.parametrize("path", ["start", "stop", "mark"])
def test_nothing_changes_by_looking(client, camcorder, path):
    response = client.get(f"/api/{path}")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert camcorder.asked == []


def test_a_method_that_there_is_not_is_answered_with_those_there_are(client):
    response = client.post("/api/clips/a.mp4")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE"}


def test_a_mark_goes_to_the_clip(client, camcorder):
    client.post("/api/start")
    marked = client.post("/api/mark", json={"text": "Kurve, ö"})
    assert (marked.status_code, marked.json()["text"]) == (200, "Kurve, ö")
    assert camcorder.asked == ["start", "Kurve, ö"]


def test_a_mark_without_a_clip_is_refused_in_words(client):
    response = client.post("/api/mark", json={"text": "x"})
    assert response.status_code == 409
    assert error(response) == "nothing is being recorded: there is no clip to mark"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"\xff", 400, "Invalid JSON"),
        (b"", 400, "Invalid JSON"),
        (b"[]", 422, "should be an object"),
        (b"{}", 422, "text: Field required"),
        (b'{"text": 7}', 422, "text: Input should be a valid string"),
        (b'{"text": "x", "more": 1}', 422, "more: Unexpected keyword argument"),
        (json.dumps({"text": "x" * 501}).encode(), 422, "at most 500 characters"),
        (b'{"text": "' + b"x" * 65_536 + b'"}', 413, "at most 65536 bytes"),
    ],
)
def test_a_body_that_is_not_what_is_declared_is_refused(client, camcorder, body, status, words):
    client.post("/api/start")
    response = client.post("/api/mark", content=body, headers=JSON)
    assert response.status_code == status
    assert words in error(response)
    assert camcorder.asked == ["start"]


def test_a_body_of_unsaid_length_is_read_no_further_than_it_may_be_long(app):
    read, sent = [], []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b" " * 40_000, "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/mark",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert len(read) == 2


@pytest.mark.parametrize("said", [{}, {"Content-Type": "text/plain"}])
def test_a_body_must_be_said_to_be_json(client, said):
    """A form on another site's page can send no other."""
    response = client.post("/api/mark", content=b'{"text": "x"}', headers=said)
    assert response.status_code == 415


def test_clips_are_listed_the_newest_first(client, put):
    put("2026-07-02T16-42-17Z.mp4", b"1234")
    put("2026-07-02T16-47-17Z.unfinished.mp4")
    newest, oldest = client.get("/api/clips").json()
    assert newest["unfinished"] is True
    assert oldest == {
        "name": "2026-07-02T16-42-17Z.mp4",
        "bytes": 4,
        "written": "2026-07-02T16:42:17.000+00:00",
        "protected": False,
        "unfinished": False,
        "seconds": None,
    }


def test_a_protected_clip_cannot_be_deleted_until_it_is_so_no_longer(client, put):
    put("a.mp4")
    protection = "/api/clips/a.mp4/protection"
    assert client.put(protection, json={"protected": True}).json()["protected"] is True
    refused = client.delete("/api/clips/a.mp4")
    assert refused.status_code == 409
    assert error(refused) == "a.mp4 is protected: take the protection off first"
    assert client.put(protection, json={"protected": False}).json()["protected"] is False
    assert client.delete("/api/clips/a.mp4").json()["name"] == "a.mp4"
    assert names(client) == []


def test_a_clip_in_the_making_is_neither_deleted_nor_handed_out(client, put):
    put("a.unfinished.mp4")
    for response in (
        client.delete("/api/clips/a.unfinished.mp4"),
        client.get("/api/clips/a.unfinished.mp4"),
    ):
        assert response.status_code == 409
        assert "is not finished" in error(response)
    assert names(client) == ["a.unfinished.mp4"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("PUT", "/protection")],
)
def test_a_clip_that_there_is_not_is_not_found(client, put, method, path):
    put("a.mp4")
    body = {"json": {"protected": True}} if method == "PUT" else {}
    response = client.request(method, f"/api/clips/b.mp4{path}", **body)
    assert response.status_code == 404
    if method != "HEAD":
        assert error(response) == "no clip is called 'b.mp4'; the newest is a.mp4"


def test_a_disk_that_fails_is_told_of_in_words(client, camcorder, monkeypatch):
    def clips():
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(camcorder.shelf, "clips", clips)
    response = client.get("/api/clips")
    assert response.status_code == 503
    assert error(response) == "the disk: Input/output error"


def test_what_nobody_thought_of_is_told_apart_and_says_nothing_of_the_inside(
    app, camcorder, monkeypatch
):
    def start():
        raise ZeroDivisionError("of a secret")

    monkeypatch.setattr(camcorder, "start", start)
    client = TestClient(app, "http://localhost:8080", raise_server_exceptions=False)
    response = client.post("/api/start")
    assert response.status_code == 500
    assert error(response) == "this is a bug: the log says more"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_path_that_leads_nowhere_is_answered_like_everything_else(client):
    response = client.get("/api/nothing")
    assert response.status_code == 404
    assert error(response) == "Not Found"


def status_at(seconds, latitude):
    utc = datetime(2026, 7, 2, 16, tzinfo=UTC) + timedelta(seconds=seconds)
    return {"utc": utc.isoformat(), "fix": {"latitude": latitude, "longitude": 11.5}}


def test_the_track_has_a_position_a_second():
    track = Track()
    for half in range(20):
        track.add(status_at(half / 2, 48 + half / 1e5))
    seconds = np.diff([position[0] for position in track.positions()])
    assert seconds.tolist() == [1.0] * 9


def test_the_track_goes_back_an_hour():
    track = Track()
    for minute in range(90):
        track.add(status_at(60 * minute, 48 + minute / 1e5))
    times = [position[0] for position in track.positions()]
    assert len(times) == 61
    assert times[-1] - times[0] == 3600


def test_a_fix_that_is_no_news_is_no_position():
    track = Track()
    track.add(status_at(0, 48.0))
    track.add(status_at(5, 48.0))
    track.add(status_at(7, None))
    track.add({**status_at(8, 1.0), "utc": None})
    track.add({**status_at(9, 1.0), "fix": None})
    assert [position[1] for position in track.positions()] == [48.0]


def test_the_track_follows_the_camcorder(app, camcorder):
    fix = np.zeros(1, VALUE_DTYPES[PacketType.MIN_GPS])
    fix["latitude"], fix["longitude"] = 48.1, 11.5
    camcorder.newest = {PacketType.MIN_GPS: Samples(PacketType.MIN_GPS, np.zeros(1, np.int64), fix)}
    with TestClient(app, "http://localhost:8080") as client:
        assert client.get("/api/track").json() == [[1783010537.0, 48.1, 11.5]]
