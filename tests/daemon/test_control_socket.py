"""The Unix socket: who may ask, what can be asked, and what becomes of nonsense."""

import asyncio
import contextlib
import grp
import json
import os
import socket
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import CammError, UsageError
from daemon.control_client import ControlClient
from daemon.control_socket import ControlServer
from daemon.tracker import TrackerSource
from hw_sim.clock import VirtualClock

NOW_NS = 9_000_000_000


class FakeControl:
    """Answers as a camcorder does, and notes what it was asked."""

    def __init__(self):
        self.asked = []
        self.tracker = TrackerSource(VirtualClock(NOW_NS, 0), position=True, orientation=True)

    def status(self):
        return {"state": "recording" if "start" in self.asked else "ready"}

    def start(self):
        self.asked.append("start")

    def stop(self):
        raise OSError(5, "Input/output error")

    def mark(self, text):
        self.asked.append(text)
        return {"text": text}

    def protect(self, name, *, protected):
        return {"name": name, "protected": protected}

    def delete(self, name):
        raise UsageError(f"{name} is protected")

    def clips(self):
        raise CammError("no card")

    def track(self, name):
        self.tracker.connect(name)
        return self.tracker

    def other(self):
        raise AssertionError


class Served:
    """A server in a thread of its own."""

    def __init__(self, path, group=None):
        self.path, self.control = path, FakeControl()
        self.server = ControlServer(self.control, path, group)
        self.up, self.loop = threading.Event(), asyncio.new_event_loop()
        self.ended = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self.thread.start()
        self.up.wait()

    async def _serve(self):
        await self.server.start()
        self.up.set()
        await self.ended.wait()
        await self.server.close()

    def send(self, request: bytes):
        """Bytes in, bytes out."""
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(self.path))
            with contextlib.suppress(ConnectionError):  # it may have heard enough
                caller.sendall(request)
                caller.shutdown(socket.SHUT_WR)
            with caller.makefile("rb") as lines:
                return [json.loads(line) for line in lines]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@pytest.fixture
def served(tmp_path):
    with Served(tmp_path / "control.sock") as served:
        yield served


def test_it_does_what_it_is_asked(served):
    with ControlClient(str(served.path)) as client:
        assert client.ask("start") == {"state": "ready"}
        assert client.ask("status") == {"state": "recording"}
        assert client.ask("mark", text="a\nb") == {"text": "a\nb"}
        assert client.ask("protect", name="x", protected=False)["protected"] is False
    assert served.control.asked == ["start", "a\nb"]


def test_refusals_keep_their_words_and_their_kind(served):
    with ControlClient(str(served.path)) as client:
        with pytest.raises(UsageError, match="x is protected"):
            client.ask("delete", name="x")
        with pytest.raises(CammError, match="no card") as refused:
            client.ask("clips")
        assert not isinstance(refused.value, UsageError)
        with pytest.raises(CammError, match="Input/output error"):
            client.ask("stop")
        assert client.ask("status") == {"state": "ready"}  # the connection is still good


@pytest.mark.parametrize(
    "request_line",
    [
        b"status",
        b"[]",
        b"{}",
        b'{"do": "other"}',
        b'{"do": ["status"]}',
        b'{"do": "status", "more": 1}',
        b'{"do": "mark"}',
        b'{"do": "mark", "text": 3}',
        b'{"do": "protect", "name": "x", "protected": 1}',
        b"\xff\xfe",
        b"[" * 30_000,
    ],
)
def test_nonsense_is_refused_and_the_next_request_answered(served, request_line):
    refused, answered = served.send(request_line + b'\n{"do": "status"}\n')
    assert refused["exit_code"] == 2
    assert refused["error"].startswith("a request is ")
    assert answered == {"answer": {"state": "ready"}}
    assert served.control.asked == []


def test_a_request_without_an_end_is_cut_off(served):
    [refused] = served.send(b"x" * (1 << 20))
    assert refused["error"] == "a request has at most 65536 bytes"
    assert served.send(b'{"do": "status"') == []


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_whatever_is_sent_is_answered_in_lines(served, lines):
    requests = [line.replace(b"\n", b"") for line in lines]
    answers = served.send(b"".join(line + b"\n" for line in requests))
    assert len(answers) == len(requests)
    assert all(set(answer) <= {"answer", "error", "exit_code"} for answer in answers)


def test_this_user_and_the_group_may_ask_and_nobody_else(tmp_path):
    old = os.umask(0)
    try:
        with Served(tmp_path / "s" / "control.sock", grp.getgrgid(os.getgid()).gr_name) as served:
            about = served.path.stat()
    finally:
        os.umask(old)
    assert stat.S_IMODE(about.st_mode) == 0o660
    assert about.st_uid == os.getuid()
    assert about.st_gid == os.getgid()
    assert not served.path.exists()


def test_a_socket_that_nobody_listens_at_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with Served(path) as served:
        assert served.send(b'{"do": "status"}\n')


def test_one_at_which_somebody_listens_is_not(served):
    with pytest.raises(UsageError, match=r"is running already: it listens at .*control\.sock"):
        ControlServer(FakeControl(), served.path)
    assert served.send(b'{"do": "status"}\n')


def test_what_cannot_be_a_socket_is_said(tmp_path):
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(UsageError, match="is there and no socket"):
        ControlServer(FakeControl(), file)
    assert file.read_text() == "precious"
    with pytest.raises(UsageError, match="no group 'nobodies'"):
        ControlServer(FakeControl(), tmp_path / "control.sock", "nobodies")
    with pytest.raises(UsageError, match=r"cannot listen at .*: Not a directory"):
        ControlServer(FakeControl(), file / "control.sock")
    with pytest.raises(UsageError, match="too long"):
        ControlServer(FakeControl(), tmp_path / ("x" * 200))


def test_more_clients_than_are_let_in_are_told(served):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(ControlClient(str(served.path))) for _ in range(32)]
        assert all(client.ask("status") for client in clients)
        one_more = stack.enter_context(ControlClient(str(served.path)))
        with pytest.raises(CammError, match=r"32 others are connected|has gone"):
            one_more.ask("status")
        assert clients[0].ask("status")


def test_a_camcorder_that_is_not_there_is_said_with_what_to_do(tmp_path):
    with pytest.raises(CammError, match=r"no camcorder is running \(no socket at .*\): start it"):
        ControlClient(str(tmp_path / "control.sock"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "control.sock"))
    with pytest.raises(CammError, match=r"no camcorder is running \(nobody listens at "):
        ControlClient(str(tmp_path / "control.sock"))


def test_a_camcorder_that_goes_is_said(tmp_path):
    with Served(tmp_path / "control.sock") as served:
        client = ControlClient(str(served.path))
        assert client.ask("status")
    with client, pytest.raises(CammError, match="the camcorder has gone"):
        client.ask("status")


def test_a_tracker_tells_its_poses_line_by_line(served):
    lines = [
        {"do": "track", "name": "orb"},
        {"t_ns": NOW_NS - 9000, "position": [0, 0, 1]},
        [{"t_ns": NOW_NS - 5000, "position": [0, 0, 2]}, {"t_ns": 7, "position": [0, 0, 3]}],
        {"do": "status"},
        {"t_ns": NOW_NS, "orientation": [1, 0, 0, 0]},
    ]
    expected, one, two, refused, three = served.send(
        b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    )
    assert expected["answer"] == {"position": True, "orientation": True, "now_ns": NOW_NS}
    assert one["answer"] == {"accepted": 1, "late": 0, "early": 0, "unwanted": 0}
    assert two["answer"] == {"accepted": 1, "late": 1, "early": 0, "unwanted": 0}
    assert refused["error"].startswith("a pose is ")
    assert refused["exit_code"] == 2
    assert three["answer"]["accepted"] == 1
    assert served.control.tracker.statistics.error == "'orb' has gone"


def test_another_tracker_waits_until_the_first_has_gone(served):
    with ControlClient(str(served.path)) as first, ControlClient(str(served.path)) as second:
        assert first.ask("track", name="orb")["position"] is True
        with pytest.raises(UsageError, match="another tracker is connected, 'orb'"):
            second.ask("track", name="vins")
        assert second.ask("status") == {"state": "ready"}
    # Who was refused has not ended the other's turn; it ended with the other.
    assert served.control.tracker.statistics.failures <= 1
    assert served.send(b'{"do": "track"}\n')[0]["exit_code"] == 2


def test_the_client_of_the_document_works(served, capsys):
    text = (Path(__file__).parents[2] / "docs/TRACKER.md").read_text()
    client = text.split("```python\n")[1].split("```")[0]
    client = client.replace("/run/cammcorder/control.sock", str(served.path))
    place, turn = [0.1, -0.02, 1.5], [1, 0, 0, 0]
    exec(client, {"poses": [(NOW_NS - 7000, place, turn), (NOW_NS, place, turn), (5, place, turn)]})  # noqa: S102 - ours
    assert served.control.tracker.statistics.delivered == 2
    assert "refused: {'accepted': 0, 'late': 1" in capsys.readouterr().out
