"""The server on a socket of its own, in an event loop that is somebody else's."""

import asyncio
import json
import logging
import signal
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from camm import CammError, UsageError
from daemon.camcorder import Camcorder
from daemon.configuration import ControlSettings, StorageSettings
from daemon.control import Control
from daemon.http.server import HttpServer
from daemon.rig import simulated_rig
from daemon.shelf import Shelf
from muxer import reader as reader_of_clips
from muxer.check import check

TOKEN = "correct-horse-battery-staple"  # noqa: S105 - opens nothing


@asynccontextmanager
async def serving(control, **settings):
    server = HttpServer(control, ControlSettings(**{"http": "127.0.0.1:0", **settings}))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connection(server):
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(server, request, host="localhost", *, document=None, **headers):
    """The answer to a request: (status line, body)."""
    body = b""
    if document is not None:
        body = json.dumps(document).encode()
        headers |= {"Content-Type": "application/json", "Content-Length": len(body)}
    headers = {"Host": host, "Connection": "close", **headers}
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    async with connection(server) as (reader, writer):
        writer.write(f"{request} HTTP/1.1\r\n{told}\r\n".encode() + body)
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0].decode().removeprefix("HTTP/1.1 "), content


async def event(reader):
    """The next event of a stream: (its name, its document)."""
    lines = [line.decode() for line in (await reader.readuntil(b"\n\n")).splitlines()]
    named = next(line for line in lines if line.startswith("event: "))
    data = next(line for line in lines if line.startswith("data: "))
    return named.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def until(reader, holds):
    """The document of the first event of which that is so."""
    while True:
        name, document = await event(reader)
        if holds(name, document):
            return document


async def open_events(writer, reader):
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return (await reader.readuntil(b"\r\n\r\n")).decode().lower()


def test_it_serves_at_its_address_under_that_address_and_no_other(control):
    async def run():
        async with serving(control) as server:
            host, port = server.address
            assert (host, port > 0) == ("127.0.0.1", True)
            status, body = await ask(server, "GET /api/status", f"{host}:{port}")
            assert (status, json.loads(body)) == ("200 OK", control.status())
            status, _ = await ask(server, "GET /api/status", f"127.0.0.2:{port}")
            assert status == "421 Misdirected Request"

    asyncio.run(run())


def test_on_all_addresses_it_answers_to_the_one_that_was_asked(control, token_file):
    async def run():
        settings = {"http": "0.0.0.0:0", "token_file": str(token_file)}
        async with serving(control, **settings) as server:
            for host, status in (("127.0.0.1", "200 OK"), ("127.0.0.2", "421 Misdirected Request")):
                assert (await ask(server, "GET /", host))[0] == status

    asyncio.run(run())


def test_events_come_as_they_happen(control, camcorder):
    async def run():
        async with serving(control) as server, connection(server) as (reader, writer):
            head = await open_events(writer, reader)
            assert "200 ok" in head
            assert "content-type: text/event-stream" in head
            assert "cache-control: no-store" in head
            name, document = await event(reader)
            assert (name, document["state"]) == ("status", "ready")
            camcorder.start()
            name, document = await event(reader)
            assert (name, document["state"]) == ("status", "recording")

    asyncio.run(run())


def test_it_ends_while_somebody_listens(control):
    async def run():
        server = HttpServer(control, ControlSettings(http="127.0.0.1:0"))
        await server.start()
        async with connection(server) as (reader, writer):
            await open_events(writer, reader)
            await event(reader)
            await server.stop()
            assert (await reader.read()).endswith(b"0\r\n\r\n")  # ended, not cut off

    asyncio.run(run())


def test_it_leaves_no_task_behind_and_can_be_stopped_twice(control):
    async def run():
        server = HttpServer(control, ControlSettings(http="127.0.0.1:0"))
        await server.start()
        await ask(server, "GET /api/track")
        await server.stop()
        await server.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_it_leaves_signals_to_the_service(control):
    async def run():
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        async with serving(control):
            during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        assert during == before

    asyncio.run(run())


def test_an_address_that_is_taken_is_said_to_be_so(control):
    async def run():
        async with serving(control) as server:
            _, port = server.address
            with pytest.raises(CammError) as caught:
                await HttpServer(control, ControlSettings(http=f"127.0.0.1:{port}")).start()
            assert str(caught.value) == f"control.http 127.0.0.1:{port}: Address already in use"

    asyncio.run(run())


def test_an_address_that_is_not_this_hosts_is_said_to_be_so(control, token_file):
    async def run():
        settings = ControlSettings(http="192.0.2.1:8080", token_file=str(token_file))
        with pytest.raises(CammError, match=r"control\.http 192\.0\.2\.1:8080: "):
            await HttpServer(control, settings).start()

    asyncio.run(run())


def test_without_an_address_there_is_no_server(control):
    with pytest.raises(UsageError, match=r"control\.http names no address"):
        HttpServer(control, ControlSettings(http=None))


def test_neither_tokens_nor_paths_get_into_the_log(control, token_file, caplog):
    caplog.set_level(logging.DEBUG)

    async def run():
        async with serving(control, token_file=str(token_file)) as server:
            for token in (TOKEN, "in" + TOKEN):
                bearer = {"Authorization": f"Bearer {token}"}
                await ask(server, f"GET /api/status?token={token}", **bearer)
            async with connection(server) as (reader, writer):
                writer.write(f"GET / HTTP/1.1\r\nAuthorization {TOKEN}\r\n\r\n".encode())
                assert (await reader.read()).startswith(b"HTTP/1.1 400")

    asyncio.run(run())
    assert "127.0.0.1 has shown a wrong token" in caplog.text
    assert TOKEN not in caplog.text
    assert "/api/status" not in caplog.text


def test_connections_are_bounded_for_descriptors_are_for_recording(control):
    async def run():
        async with serving(control) as server:
            silent = [await asyncio.open_connection(*server.address) for _ in range(64)]
            async with connection(server) as (reader, _):
                assert await reader.read() == b""
            silent.pop()[1].close()
            await asyncio.sleep(0)
            for _, writer in silent:
                writer.close()

    asyncio.run(run())


def test_who_says_nothing_is_hung_up_on(control, monkeypatch):
    monkeypatch.setattr("daemon.http.server._FIRST_REQUEST_S", 0.05)

    async def run():
        async with serving(control) as server, connection(server) as (reader, writer):
            writer.write(b"GET /api/sta")
            assert await reader.read() == b""

    asyncio.run(run())


def test_headers_without_end_are_cut_off(control):
    async def run():
        async with serving(control) as server, connection(server) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40_000)
            assert (await reader.read()).startswith(b"HTTP/1.1 400")

    asyncio.run(run())


def test_a_download_over_the_wire_is_the_file(control, put):
    content = put("a.mp4", b"0123456789" * 100_000).read_bytes()

    async def run():
        async with serving(control) as server:
            assert await ask(server, "GET /api/clips/a.mp4") == ("200 OK", content)
            ranged = await ask(server, "GET /api/clips/a.mp4", Range="bytes=12345-777776")
            assert ranged == ("206 Partial Content", content[12_345:777_777])
            assert await ask(server, "HEAD /api/clips/a.mp4") == ("200 OK", b"")

    asyncio.run(run())


def test_who_hangs_up_in_the_middle_of_a_download_leaves_nothing_in_the_log(control, put, caplog):
    put("a.mp4", bytes(20_000_000))

    async def run():
        async with serving(control) as server:
            async with connection(server) as (reader, writer):
                writer.write(b"GET /api/clips/a.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await reader.readexactly(100_000)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
                )
            assert (await ask(server, "GET /api/status"))[0] == "200 OK"

    asyncio.run(run())
    assert caplog.text == ""


def test_a_clip_is_recorded_marked_downloaded_and_found_to_be_good(tmp_path):
    """The whole of it, with a simulated rig."""
    shelf = Shelf(tmp_path, "1f3a9c02")
    storage = StorageSettings(folder=str(tmp_path), keep_free_mb=1)
    camcorder = Camcorder(lambda: simulated_rig("walk", 20.0), shelf, storage, version="test")

    async def run():
        async with serving(Control(camcorder, "test")) as server:
            async with connection(server) as (reader, writer):
                await open_events(writer, reader)
                await until(reader, lambda _, told: told.get("state") == "ready")
                await ask(server, "POST /api/start")
                await until(reader, lambda _, told: (told.get("clip") or {}).get("frames", 0) > 60)
                status, picture = await ask(server, "GET /api/preview.jpg")
                assert (status, picture[:3]) == ("200 OK", b"\xff\xd8\xff")
                status, marked = await ask(server, "POST /api/mark", document={"text": "here"})
                assert (status, json.loads(marked)["text"]) == ("200 OK", "here")
                await ask(server, "POST /api/stop")
                clip = await until(reader, lambda event, _: event == "clip")
            path = f"/api/clips/{clip['name']}"
            status, content = await ask(server, f"GET {path}")
            assert status == "200 OK"
            assert (await ask(server, f"DELETE {path}"))[0] == "409 Conflict"  # it is marked
            positions = json.loads((await ask(server, "GET /api/track"))[1])
            assert positions[0][1:] == pytest.approx([37.77, -122.49], abs=0.01)
            return content

    thread = threading.Thread(target=camcorder.run)
    thread.start()
    try:
        content = asyncio.run(asyncio.wait_for(run(), 60))
    finally:
        camcorder.close()
        thread.join()
    downloaded = tmp_path / "downloaded.mp4"
    downloaded.write_bytes(content)
    with reader_of_clips.open(downloaded) as clip:
        assert check(clip).sound
