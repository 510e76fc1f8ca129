"""The verbs that talk to a running camcorder: their words, their JSON, their exit codes."""

import asyncio
import json
import signal
import subprocess
import sys
import threading

import pytest

from camm import CammError, UsageError
from cammcorder.__main__ import main
from cammcorder.commands import status as status_verb
from daemon.control_socket import ControlServer

SOURCE = {
    "name": "imu",
    "required": True,
    "delivering": True,
    "rate_hz": 224.96,
    "delivered": 1000,
    "lost": 3,
    "failures": 0,
    "error": "",
}
READY = {
    "state": "ready",
    "clip": None,
    "last_clip": "a.mp4",
    "sources": [SOURCE, {**SOURCE, "name": "camera", "delivering": False, "rate_hz": 0.0}],
    "free_bytes": 12_340_000_000,
    "seconds_left": None,
    "missed": 0,
    "warnings": [],
}
CLIP = {
    "name": "b.unfinished.mp4",
    "seconds": 71.4,
    "bytes": 2_500_000,
    "frames": 2140,
    "records": 9,
    "late": 0,
}
RECORDING = {**READY, "state": "recording", "clip": CLIP, "seconds_left": 36_000.0}


class Script:
    """A camcorder whose statuses are written beforehand; the last one stays."""

    def __init__(self):
        self.statuses = [READY]
        self.done = []
        self.clip_list = []

    def status(self):
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def start(self):
        self.done.append("start")

    def stop(self):
        self.done.append("stop")

    def clips(self):
        return self.clip_list

    def mark(self, text):
        if not text:
            raise UsageError("nothing is being recorded: there is no clip to mark")
        return {"name": "b.unfinished.mp4", "t_s": 12.34, "utc": "2026", "text": text}

    def protect(self, name, *, protected):
        if name == "gone":
            raise CammError("the disk has gone")
        return {"name": name + ".mp4", "protected": protected}


@pytest.fixture
def script(tmp_path):
    """What the verbs talk to, at tmp_path/sock."""
    script, loop = Script(), asyncio.new_event_loop()
    server, up, ended = ControlServer(script, tmp_path / "sock"), threading.Event(), asyncio.Event()

    async def serve():
        await server.start()
        up.set()
        await ended.wait()
        await server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    up.wait()
    yield script
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def do(script, tmp_path, capsys):
    """Run a verb: its exit code, what it prints, what it complains of."""

    def run(*arguments):
        code = main([*arguments, "--socket", str(tmp_path / "sock")])
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err.splitlines()

    return run


def test_a_status_begins_with_what_is_wrong(do, script):
    late = {**RECORDING, "clip": {**CLIP, "late": 4}, "missed": 7}
    script.statuses = [{**late, "warnings": ["gps has no fix", "slow card"]}]
    code, lines, _ = do("status")
    assert code == 0
    assert lines == [
        "! gps has no fix",
        "! slow card",
        "recording b.unfinished.mp4: 1:11, 2.5 MB, 2140 frames, 4 records late",
        "12.3 GB free, enough for 10:00:00",
        "7 frames went into no clip",
        "",
        "source     rate  lost  failures",
        "imu     225.0/s     3         0",
        "camera  nothing     3         0",
    ]


def test_a_status_of_one_that_does_not_record(do):
    _, lines, _ = do("status")
    assert lines[:2] == ["ready, last clip a.mp4", "12.3 GB free"]


def test_a_status_for_a_program_is_the_document(do):
    code, [line], _ = do("status", "--json")
    assert code == 0
    assert json.loads(line) == READY


def test_start_waits_until_it_records(do, script):
    script.statuses = [READY, READY, READY, RECORDING]
    assert do("start") == (0, ["recording b.unfinished.mp4"], [])
    assert script.done == ["start"]


def test_start_says_why_not(do, script, monkeypatch):
    script.statuses = [{**READY, "state": "halted", "warnings": ["the disk is full"]}]
    code, lines, [complaint] = do("start")
    assert (code, lines) == (1, [])
    assert complaint.endswith("it begins as soon as it can: the disk is full")
    monkeypatch.setattr("cammcorder.commands.start._PATIENCE_S", 0.1)
    script.statuses = [{**READY, "state": "starting"}]
    _, _, [complaint] = do("start")
    assert complaint.endswith("the camcorder is starting")


def test_stop_waits_for_the_clip_and_names_it(do, script):
    script.statuses = [RECORDING, RECORDING, RECORDING, {**READY, "last_clip": "b.mp4"}]
    assert do("stop") == (0, ["b.mp4"], [])
    assert script.done == ["stop"]


def test_stop_without_a_clip_is_no_failure(do):
    assert do("stop") == (0, ["nothing was being recorded"], [])


def test_stop_says_when_there_is_no_finished_clip(do, script):
    script.statuses = [RECORDING, {**READY, "warnings": ["/card: Input/output error"]}]
    code, lines, [complaint] = do("stop")
    assert (code, lines) == (1, [])
    assert complaint == ("cammcorder: b.unfinished.mp4 is not finished: /card: Input/output error")


def test_marks_and_protection(do):
    assert do("mark", "near miss") == (0, ["b.unfinished.mp4, 12.3 s: near miss"], [])
    assert do("protect", "a") == (0, ["a.mp4 is protected"], [])
    assert do("protect", "a", "--off") == (0, ["a.mp4 is not protected any more"], [])
    code, _, [complaint] = do("mark", "")
    assert (code, complaint.split(":")[1]) == (2, " nothing is being recorded")
    code, _, [complaint] = do("protect", "gone")
    assert (code, complaint) == (1, "cammcorder: the disk has gone")


def test_clips_are_listed(do, script):
    assert do("clips") == (0, ["there are no clips yet"], [])
    script.clip_list = [
        {"name": "b.mp4", "bytes": 2_500_000, "seconds": 71.4, "protected": 1, "unfinished": 0},
        {"name": "longer.mp4", "bytes": 9, "seconds": None, "protected": 0, "unfinished": 1},
    ]
    assert do("clips") == (
        0,
        [
            "clip        length   MB",
            "b.mp4         1:11  2.5  protected",
            "longer.mp4       ?  0.0  unfinished",
        ],
        [],
    )
    assert json.loads(do("clips", "--json")[1][0]) == script.clip_list


def test_without_a_camcorder_there_is_one_line(tmp_path, capsys):
    for verb in (["status"], ["start"], ["stop"], ["mark", "x"], ["protect", "x"], ["clips"]):
        assert main([*verb, "--socket", str(tmp_path / "none")]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line == (
            f"cammcorder: no camcorder is running (no socket at {tmp_path}/none): start it with "
            "`systemctl start cammcorder`"
        )


def test_asking_imports_nothing_heavy(script, tmp_path):
    code = (
        "import sys; from cammcorder.__main__ import main; "
        f"main(['status', '--socket', '{tmp_path}/sock']); "
        "print({'numpy', 'pydantic', 'asyncio', 'rich', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "set()"


def test_watching_ends_with_ctrl_c(script, tmp_path):
    command = [sys.executable, "-m", "cammcorder", "status", "--watch", "--json"]
    with subprocess.Popen(
        [*command, "--socket", str(tmp_path / "sock")], stdout=subprocess.PIPE, text=True
    ) as watching:
        for _ in range(2):
            assert json.loads(watching.stdout.readline()) == READY
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0


def test_watching_shows_one_status_in_the_place_of_the_other(do, script, monkeypatch):
    script.statuses = [READY, RECORDING]
    looks = iter([None])

    def sleep(_seconds):
        if next(looks, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr(status_verb.time, "sleep", sleep)
    code, lines, _ = do("status", "--watch")
    assert code == 0
    assert any(line.startswith("recording b.unfinished.mp4: 1:11") for line in lines)
