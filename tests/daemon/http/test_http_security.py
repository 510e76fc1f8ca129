"""Who may ask, and what every answer says to a browser."""

import logging

import pytest
from starlette.testclient import TestClient

from camm import UsageError
from camm.declared import make
from daemon.configuration import ControlSettings
from daemon.http.app import make_app
from daemon.http.security import Allowance

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - opens nothing
OTHER = "incorrect-horse-battery-staple"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# Where it may listen


@pytest.mark.parametrize("http", ["0.0.0.0:80", "[::]:80", "192.168.1.5:80", "rig.local:80"])
def test_an_address_that_others_reach_wants_a_token(http):
    with pytest.raises(UsageError, match=r"is open to other hosts: set token_file") as caught:
        make(ControlSettings, {"http": http})
    assert "\n" not in str(caught.value)
    assert make(ControlSettings, {"http": http, "token_file": "/t"}).address()[1] == 80


@pytest.mark.parametrize(
    ("http", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("127.9.9.9:1", ("127.9.9.9", 1)),
        ("[::1]:65535", ("::1", 65_535)),
    ],
)
def test_this_hosts_own_addresses_want_none(http, address):
    assert make(ControlSettings, {"http": http}).address() == address


def test_a_name_that_only_begins_like_this_hosts_is_another():
    with pytest.raises(UsageError, match="open to other hosts"):
        make(ControlSettings, {"http": "localhost.example:80"})


@pytest.mark.parametrize("http", ["8080", ":8080", "host:", "host:99999", "::1:80", "a b:80"])
def test_an_address_is_a_host_and_a_port(http):
    with pytest.raises(UsageError, match="http must be HOST:PORT"):
        make(ControlSettings, {"http": http, "token_file": "/t"})


@pytest.mark.parametrize("content", ["", "short", "two words of some length", "schlüssel" * 4])
def test_a_token_that_keeps_no_one_out_is_none(control, token_file, content):
    token_file.write_text(content)
    with pytest.raises(UsageError, match="one word of at least 16 ASCII characters") as caught:
        make_app(control, ControlSettings(token_file=str(token_file)))
    assert not content or content not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(control, tmp_path):
    with pytest.raises(UsageError, match=r"control.token_file .*/none: No such file"):
        make_app(control, ControlSettings(token_file=str(tmp_path / "none")))


# The token


@pytest.mark.parametrize(
    "path", ["/api/status", "/api/clips", "/api/track", "/metrics", "/openapi.json", "/nothing"]
)
def test_nothing_but_the_page_is_had_without_the_token(locked, path):
    for headers in ({}, bearer(OTHER), {"Authorization": f"Basic {TOKEN}"}, {"X-Token": TOKEN}):
        response = locked.get(path, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert list(response.json()) == ["error"]


def test_the_page_is_had_without_it_for_it_asks_for_the_token(locked):
    assert locked.get("/").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_whoever_shows_the_token_may_ask(locked, scheme):
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert locked.get("/api/status", headers=headers).status_code == 200
    assert locked.post("/api/start", headers=headers).status_code == 202


@pytest.mark.parametrize("almost", [TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "", "é" * 20])
def test_almost_the_token_is_not_the_token(locked, almost):
    headers = {"Authorization": f"Bearer {almost}".encode("latin-1")}
    assert locked.get("/api/status", headers=headers).status_code == 401


@pytest.mark.parametrize("place", ["token={}", "access_token={}", "authorization=Bearer%20{}"])
def test_a_token_in_a_url_counts_for_nothing(locked, place):
    assert locked.get(f"/api/status?{place.format(TOKEN)}").status_code == 401


def test_a_token_in_a_cookie_counts_for_nothing(locked):
    assert locked.get("/api/status", headers={"Cookie": f"token={TOKEN}"}).status_code == 401


# The ticket: a browser's own download cannot show the token.


def a_ticket(locked, name):
    response = locked.post(f"/api/clips/{name}/ticket", headers=bearer(TOKEN))
    assert response.status_code == 204
    return response.headers["Set-Cookie"]


def test_a_ticket_is_for_one_clip_and_for_reading_it(locked, put):
    one, other = put("one.mp4"), put("other.mp4")
    cookie = {"Cookie": a_ticket(locked, "one.mp4").partition(";")[0]}
    locked.cookies.clear()
    assert locked.get("/api/clips/one.mp4", headers=cookie).content == one.read_bytes()
    assert (
        locked.get("/api/clips/one.mp4", headers=cookie | {"Range": "bytes=1-2"}).status_code == 206
    )
    for method, path in [
        ("GET", "/api/clips/other.mp4"),
        ("GET", "/api/clips"),
        ("GET", "/api/status"),
        ("DELETE", "/api/clips/one.mp4"),
        ("PUT", "/api/clips/one.mp4/protection"),
        ("POST", "/api/clips/one.mp4/ticket"),
    ]:
        assert locked.request(method, path, headers=cookie).status_code == 401, (method, path)
    assert one.exists()
    assert other.exists()


def test_a_ticket_is_kept_from_scripts_and_from_other_sites_and_other_paths(locked, put):
    put("one.mp4")
    told = a_ticket(locked, "one.mp4").lower().split("; ")
    assert {"httponly", "samesite=strict", "path=/api/clips/one.mp4", "max-age=3600"} <= {*told}


def test_a_ticket_is_good_for_an_hour_and_for_this_token(locked, put, now_s, token_file):
    put("one.mp4")
    cookie = {"Cookie": a_ticket(locked, "one.mp4").partition(";")[0]}
    locked.cookies.clear()
    now_s.now += 3599
    assert locked.get("/api/clips/one.mp4", headers=cookie).status_code == 200
    token_file.write_text("another-token-of-the-same-kind")
    access = locked.app.state.access
    access.change(ControlSettings(http="0.0.0.0:8080", token_file=str(token_file)))
    assert locked.get("/api/clips/one.mp4", headers=cookie).status_code == 401
    token_file.write_text(TOKEN)
    access.change(ControlSettings(http="0.0.0.0:8080", token_file=str(token_file)))
    assert locked.get("/api/clips/one.mp4", headers=cookie).status_code == 200
    now_s.now += 1
    assert locked.get("/api/clips/one.mp4", headers=cookie).status_code == 401


@pytest.mark.parametrize(
    "value", ["", "1", "9999999999.", "9999999999." + "0" * 64, "\u00b2." + "0" * 64]
)
def test_what_is_no_ticket_opens_nothing(locked, put, value):
    put("one.mp4")
    cookie = {"Cookie": f"cammcorder-ticket={value}".encode("latin-1", "replace")}
    assert locked.get("/api/clips/one.mp4", headers=cookie).status_code == 401


def test_there_are_tickets_for_clips_alone(locked):
    for name in ("none.mp4", "..%2F..%2Fetc"):
        response = locked.post(f"/api/clips/{name}/ticket", headers=bearer(TOKEN))
        assert response.status_code == 404


def test_no_token_gets_into_the_log(locked, caplog):
    caplog.set_level(logging.DEBUG)
    for token in (TOKEN, OTHER):
        locked.get(f"/api/status?token={token}", headers=bearer(token))
    ours = [record.getMessage() for record in caplog.records if record.name[:5] != "httpx"]
    assert "testclient has shown a wrong token" in ours
    assert not [words for words in ours if TOKEN in words]  # which OTHER contains


def test_guessing_is_slow_and_while_it_lasts_no_token_is_looked_at(locked, now_s):
    for _ in range(5):
        assert locked.get("/api/status", headers=bearer(OTHER)).status_code == 401
    refused = locked.get("/api/status", headers=bearer(TOKEN))
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "11"
    now_s.now += 10
    assert locked.get("/api/status", headers=bearer(OTHER)).status_code == 401
    assert locked.get("/api/status", headers=bearer(TOKEN)).status_code == 429
    now_s.now += 10
    assert locked.get("/api/status", headers=bearer(TOKEN)).status_code == 200


def test_who_guesses_does_not_lock_others_out(locked):
    for _ in range(6):
        locked.get("/api/status", headers=bearer(OTHER))
    other = TestClient(locked.app, "http://localhost:8080", client=("192.168.1.7", 50_000))
    assert other.get("/api/status", headers=bearer(TOKEN)).status_code == 200


def test_the_token_can_change_while_the_server_runs(locked, token_file):
    access = locked.app.state.access
    token_file.write_text("another-horse-altogether")
    access.change(ControlSettings(token_file=str(token_file)))
    assert locked.get("/api/status", headers=bearer(TOKEN)).status_code == 401
    assert locked.get("/api/status", headers=bearer("another-horse-altogether")).is_success
    token_file.write_text("short")
    with pytest.raises(UsageError):
        access.change(ControlSettings(token_file=str(token_file)))
    assert locked.get("/api/status", headers=bearer("another-horse-altogether")).is_success


def test_the_token_cannot_go_while_the_address_is_open_to_others(locked):
    """As where `rig.toml` goes back to an address of this host's: that wants a restart first."""
    with pytest.raises(UsageError, match="open to other hosts"):
        locked.app.state.access.change(ControlSettings())
    assert locked.get("/api/status").status_code == 401


# Whose name it is asked for under


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8080",
        "LOCALHOST:8080",
        "localhost",
        "localhost.:9000",
        "rig",
        "rig.local:8080",
        "rig.example.org",
    ],
)
def test_it_answers_to_its_names_at_any_port(control, monkeypatch, host):
    monkeypatch.setattr("socket.gethostname", lambda: "rig.example.org")
    client = TestClient(make_app(control, ControlSettings()), "http://localhost:8080")
    assert client.get("/api/status", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.local",
        "10.1.2.3",
        "[fe80::1]:8080",
        "",
        "local host",
        "localhost:8080, evil.example",
        "localhost@evil.example",
        "localhost:port",
    ],
)
def test_a_name_that_is_not_its_own_is_refused(client, camcorder, host):
    """As a site does that lets its own name point at this host's address."""
    for path in ("/", "/api/status", "/page/style.css"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 421
        assert response.json() == {"error": "this is not the host that was asked for"}


def test_it_answers_to_the_name_it_is_bound_to(control, token_file):
    settings = ControlSettings(http="camera.example:80", token_file=str(token_file))
    client = TestClient(make_app(control, settings), "http://camera.example")
    assert client.get("/").status_code == 200


def test_two_names_at_once_are_none(client):
    request = client.build_request("GET", "/api/status")
    request.headers = type(request.headers)([(b"host", b"localhost"), (b"host", b"localhost")])
    assert client.send(request).status_code == 421


# Whose page asks


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:8080.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_may_not_ask(client, camcorder, put, method, headers):
    put("a.mp4")
    paths = ["/api/start", "/api/clips/a.mp4", "/api/clips/a.mp4/protection", "/api/events"]
    for path in paths:
        assert client.request(method, path, headers=headers).status_code == 403
    assert camcorder.asked == []
    assert [clip.name for clip in camcorder.shelf.clips()] == ["a.mp4"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://LOCALHOST:8080"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_its_own_page_and_programs_may(client, headers):
    assert client.post("/api/start", headers=headers).status_code == 202


def test_a_link_to_the_page_may_be_anywhere(client):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=headers).status_code == 200


def test_no_answer_lets_another_site_read_it(client):
    for response in (client.get("/api/status"), client.get("/")):
        assert not [name for name in response.headers if name.startswith("access-control")]


# How often


def test_a_client_that_asks_too_often_is_told_to_wait(client, now_s):
    for _ in range(200):
        assert client.get("/nothing").status_code == 404
    refused = client.get("/api/status")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.json() == {"error": "too many requests: wait 1 s"}
    other = TestClient(client.app, "http://localhost:8080", client=("127.0.0.2", 50_000))
    assert other.get("/api/status").status_code == 200
    now_s.now += 1
    assert client.get("/api/status").status_code == 200


def test_an_allowance_does_not_grow_beyond_its_burst(now_s):
    allowance = Allowance(3, 2.0, now_s)
    now_s.now += 1e6
    for _ in range(3):
        assert allowance.wait_s("a") == 0
        allowance.spend("a")
    assert allowance.wait_s("a") == pytest.approx(0.5)
    now_s.now += 0.5
    assert allowance.wait_s("a") == pytest.approx(0)


def test_an_allowance_remembers_the_latest_clients_and_no_more(now_s):
    allowance = Allowance(1, 1e-6, now_s)
    for number in range(1500):
        allowance.spend(str(number))
    assert allowance.wait_s("1499") > 0
    assert allowance.wait_s("0") == 0


# What every answer says to a browser


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/page/style.css", {}),
        ("GET", "/api/status", {}),
        ("GET", "/api/nothing", {}),
        ("DELETE", "/api/status", {}),
        ("GET", "/api/status", {"Host": "evil.example"}),
        ("GET", "/api/status", {"Origin": "null"}),
    ],
)
def test_every_answer_trusts_nothing_but_itself(client, method, path, headers):
    response = client.request(method, path, headers=headers)
    policy = dict(directive.split(" ", 1) for directive in response.headers[CSP].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers[CSP]
    assert "*" not in response.headers[CSP]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


CSP = "Content-Security-Policy"


def test_what_is_asked_is_not_kept_and_the_page_is_asked_for_again(client, put):
    put("a.mp4")
    for path in ("/api/status", "/api/clips/a.mp4", "/metrics", "/openapi.json"):
        assert client.get(path).headers["Cache-Control"] == "no-store"
    for path in ("/", "/page/style.css"):
        assert client.get(path).headers["Cache-Control"] == "no-cache"
