"""Clips behind a URL: only what is needed is fetched, and trouble is told in one line."""

from __future__ import annotations

import http.server
import re
import threading

import fsspec
import numpy as np
import pytest

from camm import PacketType, Samples, StreamFormat
from camm.media import Packet
from muxer import reader
from muxer.check import check
from muxer.errors import RemoteError
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.remux import convert
from muxer.source import open_source

SECOND = 1_000_000_000
ABOUT = MovieDescription(None, "maker", "model", {})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Sixty seconds: 18 MB of pictures, and a gyroscope at 200 Hz."""
    path = tmp_path_factory.mktemp("server") / "clip.mp4"
    recording = Recording(path, [StreamFormat("video", "mjpeg", 1000, width=64, height=48)], ABOUT)
    noise = np.random.default_rng(0)
    times = np.arange(0, 60 * SECOND, SECOND // 200)
    gyro = noise.normal(size=(len(times), 3))
    recording.add_samples("imu", [Samples(PacketType.GYRO, times, gyro)], None)
    for number in range(600):
        at = number * SECOND // 10
        recording.add_packets([Packet(0, noise.bytes(30_000), at, at, SECOND // 10)])
        recording.advance(at)
    recording.finish(60 * SECOND, ABOUT)
    return path


class Server(http.server.ThreadingHTTPServer):
    """Serves one folder by byte ranges, and counts."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder):
        self.folder = folder
        self.ranges = []
        self.honest = True
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        with self.server.lock:
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self.answer(body=True)
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def answer(self, *, body):
        path = self.server.folder / self.path.strip("/")
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted and self.server.honest:
            start, end = int(wanted[1]), min(int(wanted[2]) + 1, len(data))
            if body:
                self.server.ranges.append((start, end))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            data = data[start:end]
        else:
            self.send_response(200)
            if self.server.honest:
                self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def server(path):
    with Server(path.parent) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_remote_clip_reads_as_a_local_one(server, path):
    with reader.open(path) as local, reader.open(server.url("clip.mp4")) as remote:
        assert remote.counts == local.counts
        np.testing.assert_array_equal(remote.gyro.data, local.gyro.data)
        np.testing.assert_array_equal(remote.gyro.t_ns, local.gyro.t_ns)
        assert remote.path == server.url("clip.mp4")


def test_a_remote_clip_is_checked_as_a_local_one(server, path):
    with reader.open(path) as local, reader.open(server.url("clip.mp4")) as remote:
        assert check(remote).findings == check(local).findings


def test_a_remote_clip_is_converted_as_a_local_one(server, path, tmp_path):
    for name, source in (("local", path), ("remote", server.url("clip.mp4"))):
        with reader.open(source) as clip:
            convert(clip, tmp_path / name)
    assert (tmp_path / "remote").read_bytes() == (tmp_path / "local").read_bytes()


def test_only_tables_and_metadata_are_fetched(server, path):
    with reader.open(server.url("clip.mp4")) as clip:
        opened = len(server.ranges)
        assert opened <= 6
        assert len(clip.gyro) == 12_000
    fetched = sum(end - start for start, end in server.ranges)
    metadata = 12_000 * 16
    assert fetched < path.stat().st_size / 20
    assert fetched < 2 * metadata + 6 * 65536 + 200_000  # and the moov
    assert len(server.ranges) - opened <= 125  # one for each fragment of half a second


def test_ranges_are_fetched_at_the_same_time(server):
    with reader.open(server.url("clip.mp4")) as clip:
        assert len(clip.gyro) == 12_000
    assert server.most_at_once > 1


def test_the_source_counts_what_it_costs(server, path):
    source = open_source(server.url("clip.mp4"))
    before = source.requests
    assert source.read(0, 16) == path.read_bytes()[:16]
    assert source.read(16, 100) == path.read_bytes()[16:116]
    assert (source.requests - before, source.fetched) == (1, 65536)
    assert source.read_many([(5, 10), (100_000, 3)]) == [
        path.read_bytes()[5:15],
        path.read_bytes()[100_000:100_003],
    ]
    assert (source.requests - before, source.fetched) == (3, 65536 + 13)


def test_reads_at_block_borders_and_at_the_end(server, path):
    data = path.read_bytes()
    source = open_source(server.url("clip.mp4"))
    for offset, length in ((65530, 20), (len(data) - 5, 100), (len(data), 8), (131072, 1)):
        assert source.read(offset, length) == data[offset : offset + length]


def test_any_file_system_of_fsspec_will_do(path):
    with fsspec.open("memory://clips/clip.mp4", "wb") as file:
        file.write(path.read_bytes())
    with reader.open("memory://clips/clip.mp4") as clip:
        assert len(clip.gyro) == 12_000


def test_a_file_that_is_not_there(server, run):
    done = run("info", server.url("nothing.mp4"))
    assert done.returncode == 2
    assert done.stderr == f"cammcorder: there is no file {server.url('nothing.mp4')}\n"


def test_a_server_that_serves_no_ranges(server, run):
    server.honest = False
    done = run("info", server.url("clip.mp4"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "byte ranges" in done.stderr


@pytest.mark.parametrize("url", ["nosuch://host/clip.mp4", "http://127.0.0.1:9/clip.mp4"])
def test_an_address_that_leads_nowhere(run, url):
    done = run("info", url)
    assert done.returncode in {1, 2}
    assert len(done.stderr.splitlines()) == 1
    assert url in done.stderr


def test_a_connection_that_breaks_while_columns_are_read(path):
    with fsspec.open("memory://clips/short.mp4", "wb") as file:
        file.write(path.read_bytes())
    clip = reader.open("memory://clips/short.mp4")
    fsspec.filesystem("memory").rm("/clips/short.mp4")
    with pytest.raises(RemoteError, match=r"short\.mp4"):
        clip.records  # noqa: B018 - it is read when it is asked for


def test_the_cost_is_told_on_request(server, run, path):
    done = run("info", "-v", server.url("clip.mp4"))
    found = re.fullmatch(r"cammcorder: (\d+) requests, ([\d,]+) of ([\d,]+) bytes\n", done.stderr)
    assert int(found[1]) == len(server.ranges) + 1  # and the question for the size
    assert int(found[2].replace(",", "")) == sum(end - start for start, end in server.ranges)
    assert int(found[3].replace(",", "")) == path.stat().st_size
