"""Whatever a verb is given to read, or where to write: one line, a code, and nothing half done."""

from __future__ import annotations

import http.server
import os
import random
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from camm import Packet, PacketType, Samples, StreamFormat, empty_values
from cammcorder.__main__ import main
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000
OK, FAILED, REQUEST, PARTIAL = 0, 1, 2, 3

READING = {
    "info": lambda clip, out: ["info", clip],
    "info --json": lambda clip, out: ["info", "--json", clip],
    "check": lambda clip, out: ["check", clip],
    "extract": lambda clip, out: ["extract", clip, "--to", "csv,jsonl,gpx,gcsv", "-o", out],
    "extract -": lambda clip, out: ["extract", clip, "--to", "jsonl", "-o", "-"],
    "report": lambda clip, out: ["report", clip, "-o", out / "page.html"],
    "convert": lambda clip, out: ["convert", clip, "-o", out / "new.mp4"],
    "inject into": lambda clip, out: ["inject", GPX, clip, "-o", out / "new.mp4", *REPLACED],
    "inject from": lambda clip, out: ["inject", clip, FILM, "-o", out / "new.mp4"],
    "repair": lambda clip, out: ["repair", clip, "-o", out / "new.mp4"],
}
"""Every verb that reads a clip, and the folder that it may write to."""
WRITING = [verb for verb in READING if verb not in {"info", "info --json", "check", "extract -"}]
REMOTE = [verb for verb in READING if verb not in {"repair", "inject from"}]
REPLACED = ["--replace", "--start", "2026-06-01T12:00:00Z"]
FILM = ROOT / "tests" / "data" / "video" / "sample-5s.mp4"
GPX = "walk.gpx"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two seconds of pictures, motion and fixes, at which no verb takes offence."""
    path = tmp_path_factory.mktemp("good") / "walk.mp4"
    about = MovieDescription(datetime(2026, 6, 1, 12, tzinfo=UTC), "maker", "model", {"a": 1})
    stream = StreamFormat("video", "mjpeg", 1000, width=64, height=48)
    recording = Recording(path, [stream], about, sources=["all"])
    t_ns = np.arange(400) * 5_000_000
    rest = {PacketType.GYRO: (0.01, 0, 0), PacketType.ACCELERATION: (0, -9.81, 0)}
    blocks = [Samples(kind, t_ns, np.tile(row, (400, 1))) for kind, row in rest.items()]
    fixes = empty_values(PacketType.GPS, 2)
    fixes["gps_fix_type"], fixes["latitude"], fixes["longitude"] = 3, [47, 47.00001], 8
    fixes["time_gps_epoch"] = 1464350418 + np.arange(2)
    blocks.append(Samples(PacketType.GPS, np.arange(2) * SECOND, fixes))
    recording.add_samples("all", blocks, None)
    noise = np.random.default_rng(0)
    for number in range(20):
        at = number * SECOND // 10
        recording.add_packets([Packet(0, noise.bytes(500), at, at, SECOND // 10)])
    recording.finish(2 * SECOND, about)
    return path


@pytest.fixture
def there(tmp_path, monkeypatch, good):
    """A folder to work in, with a log beside the clip; another in it to write to."""
    monkeypatch.chdir(tmp_path)
    point = '<trkpt lat="47" lon="8"><time>2026-06-01T12:00:01Z</time></trkpt>'
    Path(GPX).write_text(f"<gpx><trk><trkseg>{point}</trkseg></trk></gpx>")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def called(there, capsys):
    """Runs a verb on a file: exit code and the line that it has failed with.

    Nothing but that line is on standard error, and nothing is left of what has failed.
    """

    def call(verb, clip):
        out = there / "out"
        code = main([str(word) for word in READING[verb](clip, out)])
        _, error = capsys.readouterr()
        left = [path.name for path in out.rglob("*")]
        assert not [name for name in left if name.startswith(".")]
        if code in {OK, PARTIAL} or (verb == "check" and not error):
            assert "Traceback" not in error
        else:
            assert error.startswith("cammcorder: ")
            assert error.count("\n") == 1
            assert not left, left
        for name in left:
            path = out / name
            if path.is_file():
                path.unlink()
        return code, error

    return call


@pytest.mark.parametrize("verb", READING)
def test_a_good_clip_is_no_trouble(called, good, verb):
    code, error = called(verb, good)
    assert code == OK, error


# What is no clip


@pytest.mark.parametrize("verb", READING)
def test_there_is_no_such_file(called, verb):
    code, error = called(verb, "none.mp4")
    assert code == REQUEST
    assert "none.mp4" in error


@pytest.mark.parametrize("verb", READING)
def test_it_is_a_folder(called, verb):
    Path("folder.mp4").mkdir()
    code, error = called(verb, "folder.mp4")
    assert code == REQUEST
    assert "folder.mp4" in error


@contextmanager
def nobody():
    """Root may read everything: let it be somebody else."""
    myself = os.geteuid()
    if myself == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(myself)


@pytest.mark.parametrize("verb", READING)
def test_it_may_not_be_read(called, there, good, capsys, verb):
    called(verb, good)  # which imports what somebody else may not be able to
    Path("secret.mp4").write_bytes(good.read_bytes())
    Path("secret.mp4").chmod(0)
    there.chmod(0o755)
    Path("out").chmod(0o777)
    with nobody():
        code = main([str(word) for word in READING[verb]("secret.mp4", Path("out"))])
    error = capsys.readouterr().err
    assert code == REQUEST
    assert "Permission denied" in error
    assert error.count("\n") == 1
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"no film at all\n" * 99, bytes(9999)], ids=["empty", "0", "text", "0s"]
)
def test_it_is_no_film(called, verb, content):
    Path("film.mp4").write_bytes(content)
    code, _ = called(verb, "film.mp4")
    assert code in {FAILED, REQUEST}


NEEDS_MOTION = ["check", "extract", "extract -", "report", "convert", "inject from"]


@pytest.mark.parametrize("verb", NEEDS_MOTION)
def test_it_has_no_motion(called, verb):
    code, error = called(verb, FILM)
    assert code == FAILED
    assert "no camera motion metadata" in error


# What is damaged


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.9, 0.999])
def test_it_is_cut(called, good, verb, share):
    data = good.read_bytes()
    Path("cut.mp4").write_bytes(data[: round(share * len(data))])
    called(verb, "cut.mp4")


def flipped(data, seed):
    """The clip with a few of its bits the other way round, most of them in its tables."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 30])):
        at = chance.randrange(chance.choice([600, 6000, len(data)]))
        changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def garbled(data, seed):
    """The clip with a stretch of it replaced by noise, zeros or ones."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    at, length = chance.randrange(8000), chance.choice([1, 4, 16, 300])
    noise = chance.choice([chance.randbytes(length), bytes(length), b"\xff" * length])
    return data[:at] + noise + data[at + length :]


@pytest.mark.parametrize("verb", READING)
@pytest.mark.parametrize("spoil", [flipped, garbled])
def test_it_is_damaged(called, good, verb, spoil):
    data = good.read_bytes()
    for seed in range(15):
        Path("spoilt.mp4").write_bytes(spoil(data, f"{verb} {seed}"))
        called(verb, "spoilt.mp4")


@pytest.mark.parametrize(
    "log", ["drive.gpx", "drive.gcsv", "drive.csv", "drive.jsonl", "drive.nmea"]
)
@pytest.mark.parametrize(
    "content", [b"", b"<gpx", b"GYROFLOW IMU LOG\n", b"t_s,\n", b'{"t_s": 1\n']
)
def test_a_log_that_is_none(there, capsys, log, content):
    Path(log).write_bytes(content)
    words = ["inject", log, str(FILM), "-o", "out/new.mp4", "--start", "2026-06-01"]
    assert main(words) in {FAILED, REQUEST}
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize(
    "words", [["inject", "pipe", str(FILM), "-o", "out/new.mp4"], ["check", "--against", "pipe"]]
)
def test_a_log_is_no_pipe(there, good, capsys, words):
    os.mkfifo("pipe")
    assert main([*words, str(good)] if words[0] == "check" else words) == REQUEST
    message = "pipe is a device or a pipe, and logs are read twice: name a file"
    assert capsys.readouterr().err == f"cammcorder: {message}\n"


# Its name


@pytest.mark.parametrize("verb", READING)
def test_its_name_is_of_any_bytes(called, good, verb):
    name = os.fsdecode(b"wa\xff\n\xc3\xbc.mp4")
    Path(name).write_bytes(good.read_bytes())
    code, error = called(verb, name)
    assert code == OK, error


def test_its_name_is_of_any_bytes_in_parquet(there, good):
    parquet = pytest.importorskip("pyarrow.parquet")
    name = os.fsdecode(b"s3:wa\xfflk.mp4")
    Path(name).write_bytes(good.read_bytes())
    assert main(["extract", name, "--to", "parquet", "--types", "gyro", "-o", "out"]) == OK
    (table,) = Path("out").iterdir()
    with table.open("rb") as file:
        assert parquet.read_schema(file).metadata[b"clip"] == b"s3:wa?lk.mp4"
    os.chdir("out")  # where its name alone might be a URI
    assert main(["check", str(good), "--against", table.name]) == OK


@pytest.mark.parametrize("verb", READING)
def test_a_name_of_two_lines_is_told_in_one(called, verb):
    code, error = called(verb, "no\nne.mp4")
    assert code == REQUEST
    assert r"no\nne.mp4" in error


@pytest.mark.parametrize("verb", ["info", "check"])
def test_a_terminal_may_not_have_its_letters(there, good, verb):
    Path("übung.mp4").write_bytes(good.read_bytes())
    done = shell("PYTHONIOENCODING=ascii", verb, "übung.mp4", cwd=there)
    assert (done.returncode, done.stderr) == (OK, "")
    assert r"\xfcbung.mp4" in done.stdout


# What is far away


class Missing(http.server.BaseHTTPRequestHandler):
    """A server that has nothing, or whose answers are none."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_error(404 if "none" in self.path else 500)

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Missing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("verb", REMOTE)
@pytest.mark.parametrize(("name", "expected"), [("none.mp4", REQUEST), ("broken.mp4", FAILED)])
def test_a_server_does_not_have_it(called, server, verb, name, expected):
    pytest.importorskip("fsspec")
    code, error = called(verb, f"{server}/{name}")
    assert code == expected
    assert name in error


# Where it may not write


@pytest.fixture
def input_of(there, good):
    """What a verb makes a file of: the good clip, and for repair what is left of it."""

    def path(verb):
        if verb != "repair":
            return good
        Path("cut.mp4").write_bytes(good.read_bytes()[:-4000])
        return there / "cut.mp4"

    return path


@pytest.mark.parametrize("verb", WRITING)
def test_nothing_is_replaced(there, input_of, capsys, verb):
    words = [str(word) for word in READING[verb](input_of(verb), there / "out")]
    done = PARTIAL if verb == "repair" else OK
    assert main(words) == done
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    assert main(words) == REQUEST
    error = capsys.readouterr().err
    assert "exists: choose another name, or --force" in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    assert main([*words, "--force"]) == done
    assert {path.name for path in before} == {path.name for path in Path("out").iterdir()}


@pytest.mark.parametrize("verb", WRITING)
def test_the_folder_is_not_there(there, good, capsys, verb):
    assert main([str(word) for word in READING[verb](good, there / "no" / "where")]) == REQUEST
    error = capsys.readouterr().err
    assert "there is no folder" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["report", "walk.gpx", "-o", "walk.gpx"],
        ["extract", "walk.gpx", "--to", "gpx"],
        ["convert", "walk.gpx", "-o", "walk.gpx"],
        ["inject", "walk.gpx", str(FILM), "-o", "walk.gpx"],
        ["record", "--replay", "walk.gpx", "-o", "walk.gpx"],
    ],
    ids=lambda words: words[0],
)
def test_what_is_read_is_not_replaced(there, good, capsys, words):
    Path("walk.gpx").write_bytes(good.read_bytes())
    assert main([*words, "--force"]) == REQUEST
    message = "walk.gpx is one of the files that are read: name another"
    assert capsys.readouterr().err == f"cammcorder: {message}\n"
    assert Path("walk.gpx").read_bytes() == good.read_bytes()


@pytest.mark.parametrize("verb", ["report", "convert", "inject into"])
def test_a_device_is_not_replaced(there, good, capsys, verb):
    *words, name = (str(word) for word in READING[verb](good, there) if word not in REPLACED)
    os.mkfifo(name)
    assert main([*words, name, "--force"]) == REQUEST
    assert "is a device or a pipe, which is not to be replaced" in capsys.readouterr().err
    assert Path(name).is_fifo()


@pytest.mark.parametrize("verb", WRITING)
def test_sigterm_leaves_nothing_half_done(there, input_of, verb):
    script = (
        "import os, pathlib, signal, sys\n"
        "from cammcorder.__main__ import main\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = READING[verb](input_of(verb), there / "out")
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *map(str, words)],
        cwd=there,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert not list(Path("out").iterdir())


def shell(command, *words, behind="", cwd):
    """The command line as a process, with something of the shell before and behind it.

    What it prints is buffered, as it is for a user.
    """
    python = [sys.executable, "-B", "-m", "cammcorder", *map(str, words)]
    return subprocess.run(
        ["bash", "-c", f"{command} {' '.join(python)} {behind}"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("verb", WRITING)
def test_the_disk_is_full(there, input_of, verb):
    """A limit to the size of files ends a write as a full disk does, for whoever may do all."""
    done = shell("ulimit -f 4 &&", *READING[verb](input_of(verb), Path("out")), cwd=there)
    assert done.returncode == FAILED, done.stderr
    assert done.stderr.count("\n") == 1
    assert re.fullmatch(r"cammcorder: out/\S+: File too large\n", done.stderr)
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize("verb", ["info", "info --json", "check", "extract -"])
def test_standard_output_is_full(there, good, verb):
    done = shell("", *READING[verb](good, Path("out")), behind="> /dev/full", cwd=there)
    assert done.returncode == FAILED
    assert done.stderr == "cammcorder: No space left on device\n"


@pytest.mark.parametrize("verb", ["info", "info --json", "check", "extract -"])
def test_whoever_read_it_has_gone(there, good, verb):
    done = shell("", *READING[verb](good, Path("out")), behind="| head -n 0", cwd=there)
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_standard_output_is_closed(there, good, closed):
    done = shell("", "info", good, behind=closed, cwd=there)
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("", "info", "nothing.mp4", behind=closed, cwd=there)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
