"""A download is the file, byte for byte, whole or in ranges."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from daemon.configuration import ControlSettings
from daemon.control import Control
from daemon.http.app import make_app

NAME = "2026-07-02T16-42-17Z.mp4"
PATH = f"/api/clips/{NAME}"
SIZE = 300_000


@pytest.fixture
def content(put):
    return put(NAME).read_bytes()


def ranged(client, ranges, **headers):
    return client.get(PATH, headers={"Range": ranges, **headers})


def parts(response):
    """(range, bytes) of each part of a multipart answer."""
    boundary = re.fullmatch(
        r"multipart/byteranges; boundary=(\w+)", response.headers["Content-Type"]
    )[1].encode()
    first, *found, last = response.content.split(b"--" + boundary)
    assert (first, last) == (b"", b"--")
    for part in found:
        head, _, body = part.partition(b"\r\n\r\n")
        assert b"\r\nContent-Type: video/mp4\r\n" in head
        first, last = re.search(rb"Content-Range: bytes (\d+)-(\d+)/300000", head).groups()
        yield (int(first), int(last)), body.removesuffix(b"\r\n")


def test_the_whole_file_by_its_name(client, content):
    response = client.get(PATH)
    assert response.content == content
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{NAME}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert int(response.headers["Content-Length"]) == SIZE


def test_head_tells_what_get_would_and_sends_nothing(client, content):
    response = client.head(PATH)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers == client.get(PATH).headers
    response = client.head(PATH, headers={"Range": "bytes=5-9"})
    assert (response.status_code, response.headers["Content-Length"]) == (206, "5")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0),
        ("1-65536", 1, 65_536),
        ("65536-", 65_536, SIZE - 1),
        ("-7", SIZE - 7, SIZE - 1),
        ("-400000", 0, SIZE - 1),
        ("299999-", SIZE - 1, SIZE - 1),
        ("299990-999999999999", 299_990, SIZE - 1),
    ],
)
def test_a_range_is_that_part_of_the_file(client, content, asked, first, last):
    response = ranged(client, f"bytes={asked}")
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert response.content == content[first : last + 1]


@given(first=st.integers(0, SIZE - 1), length=st.integers(1, SIZE))
def test_ranges_make_up_the_file(client, put, now_s, first, length):
    now_s.each = 1
    content = put(NAME).read_bytes()
    last = min(first + length, SIZE) - 1
    response = ranged(client, f"bytes={first}-{last}")
    rest = ranged(client, f"bytes={last + 1}-") if last + 1 < SIZE else None
    before = ranged(client, f"bytes=0-{first - 1}").content if first else b""
    assert before + response.content + (rest.content if rest else b"") == content


def test_several_ranges_come_as_parts(client, content):
    response = ranged(client, "bytes=10-19, 100000-200000 ,-5")
    assert response.status_code == 206
    assert int(response.headers["Content-Length"]) == len(response.content)
    told = dict(parts(response))
    assert list(told) == [(10, 19), (100_000, 200_000), (SIZE - 5, SIZE - 1)]
    for (first, last), body in told.items():
        assert body == content[first : last + 1]


def test_ranges_that_overlap_are_not_sent_twice(client, content):
    response = ranged(client, "bytes=" + "0-99," * 50 + "50-149")
    assert response.content == content[:150]


@pytest.mark.parametrize("asked", ["300000-", "300000-300001", "-0", "999999999999999999-"])
def test_a_range_behind_the_end_cannot_be_had(client, content, asked):
    response = ranged(client, f"bytes={asked}")
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=9-5",
        "bytes=a-b",
        "bytes=1-2;3",
        "bytes=٣-٤".encode(),
        "lines=1-2",
        "bytes=" + "9" * 5000 + "-",
        "bytes=0-0" + ",5-5" * 200,
    ],
)
def test_what_is_no_range_is_ignored(client, content, asked):
    response = ranged(client, asked)
    assert response.status_code == 200
    assert response.content == content


def test_a_download_goes_on_only_in_the_same_file(client, content, put):
    tag = client.head(PATH).headers["ETag"]
    modified = client.head(PATH).headers["Last-Modified"]
    for same in (tag, modified):
        assert ranged(client, "bytes=5-9", **{"If-Range": same}).content == content[5:10]
    put(NAME, content[::-1])
    for other in (tag, modified, f"W/{tag}"):
        response = ranged(client, "bytes=5-9", **{"If-Range": other})
        assert (response.status_code, response.content) == (200, content[::-1])


@pytest.mark.parametrize(
    "name",
    [
        "../token",
        "..%2Ftoken",
        "%2e%2e%2ftoken",
        "..%5Ctoken",
        "%2Fetc%2Fpasswd",
        "clips",
        "..",
        "%00",
        "a.mp4%00.mp4",
        "a.mp4.protected",
        "a.mp4/../../token",
    ],
)
def test_no_name_leads_out_of_the_shelf(control, token_file, put, name):
    """Nothing but what the shelf lists can be had, whatever lies beside it."""
    put("a.mp4")
    control.protect("a.mp4", protected=True)
    client = TestClient(make_app(control, ControlSettings()), "http://localhost:8080")
    for method in ("GET", "DELETE"):
        response = client.request(method, f"/api/clips/{name}")
        assert response.status_code in (404, 405)
        assert b"correct-horse" not in response.content
    assert token_file.exists()


@pytest.mark.parametrize(
    "path", ["../api.py", "..%2fapi.py", "%2e%2e/security.py", "/etc/passwd", "..%5capi.py"]
)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(f"/page/{path}").status_code == 404


def test_the_page_is_there_to_be_had(client):
    response = client.get("/")
    assert response.headers["Content-Type"].startswith("text/html")
    for link in re.findall(r'(?:src|href)="(/[^"]+)"', response.text):
        assert client.get(link).status_code == 200, link


def test_a_clip_that_goes_while_it_is_sent_is_sent_to_the_end(camcorder, put):
    """Deleted or renamed after the download has begun: what is open stays."""
    content = put(NAME).read_bytes()
    control = Control(camcorder, "0.1.0")
    client = TestClient(make_app(control, ControlSettings()), "http://localhost:8080")
    with client.stream("GET", PATH) as response:
        chunks = response.iter_raw()
        first = next(chunks)
        control.delete(NAME)
        assert first + b"".join(chunks) == content


def test_a_clip_that_is_dated_before_the_first_byte_is_sent_is_sent_all_the_same(camcorder, put):
    """The answer is made, then the clip gets another name, then it is sent."""
    path = put(NAME)
    content = path.read_bytes()
    app = make_app(Control(camcorder, "0.1.0"), ControlSettings())
    sent = []

    async def send(message):
        if message["type"] == "http.response.start":
            path.rename(path.with_name("dated.mp4"))
        sent.append(message.get("body", b""))

    scope = {
        "type": "http",
        "method": "GET",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
    }
    asyncio.run(app(scope, lambda: asyncio.sleep(60), send))
    assert b"".join(sent) == content


def test_downloads_leave_no_descriptor_open(client, content):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        assert client.get(PATH).status_code == 200
        assert ranged(client, "bytes=1-2").status_code == 206
        assert ranged(client, "bytes=99999999-").status_code == 416
    assert len(list(Path("/proc/self/fd").iterdir())) == before
