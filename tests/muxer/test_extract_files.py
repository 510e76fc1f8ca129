"""`extract` as a command: what it writes where, and what is left when something goes wrong."""

import io
import json
import os
import resource
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from cammcorder.__main__ import main
from muxer.extract import write_together
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ROOT = Path(__file__).parents[2]
GPS_TIME = 1464350418.0  # 2026-06-01 12:00:00 UTC
RECORDS = 2000


def film(path, gps=True):
    t_ns = np.arange(RECORDS) * 5_000_000
    random = np.random.default_rng(1)
    blocks = [
        Samples(kind, t_ns, random.normal(size=(RECORDS, 3)))
        for kind in (PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.ACCELERATION)
    ]
    if gps:
        fixes = empty_values(PacketType.GPS, 5)
        fixes["gps_fix_type"], fixes["latitude"], fixes["longitude"] = 3, 47, 8
        fixes["time_gps_epoch"] = GPS_TIME + np.arange(5)
        blocks.append(Samples(PacketType.GPS, np.arange(5) * 1_000_000_000, fixes))
    about = MovieDescription(datetime(2026, 6, 1, 12, tzinfo=UTC), "cammcorder", "rig", {})
    recording = Recording(path, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(RECORDS * 5_000_000, about)
    return path


@pytest.fixture
def clip(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return film(tmp_path / "walk.mp4")


def call(*words):
    return main([str(word) for word in words])


def left():
    return sorted(str(path) for path in Path().rglob("*"))


def extract(*words, **options):
    """In a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cammcorder", "extract", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )


# Where it goes


def test_several_forms_at_once(clip, capsys):
    assert call("extract", clip, "--to", "gpx,gcsv,euroc,mcap,srt,kml,geojson,nmea") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "walk.gpx",
        "walk.gcsv",
        "walk.euroc/mav0/imu0/data.csv",
        "walk.euroc/mav0/imu0/sensor.yaml",
        "walk.mcap",
        "walk.srt",
        "walk.kml",
        "walk.geojson",
        "walk.nmea",
    ]
    assert err == ""
    assert all(Path(line).stat().st_size for line in out.splitlines())


def test_a_form_for_programs_goes_to_standard_output_too(clip, capsysbinary):
    pq = pytest.importorskip("pyarrow.parquet")
    assert call("extract", clip, "--to", "parquet", "--types", "gyro", "-o", "-") == 0
    assert pq.read_table(io.BytesIO(capsysbinary.readouterr().out)).num_rows == RECORDS
    assert call("extract", clip, "--to", "parquet", "-o", "-") == 2
    assert (
        b"takes one file of this kind, found .angle_axis.parquet" in capsysbinary.readouterr().err
    )
    assert left() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--to", "csv,gpx", "--per-frame"],
            "--per-frame makes csv, jsonl, parquet, found --to gpx",
        ),
        (["--to", "csv", "--per-frame"], "has no video frames"),
        (["--to", "raw"], "has no madv box"),
        (["--to", "mcap+video"], "has no film"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(clip, capsys, words, message):
    assert call("extract", clip, *words) in (1, 2)
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n"), left()) == ("", 1, [])


def test_a_url_names_files_without_what_stands_behind_it(clip, capsys):
    with fsspec.open("memory://clips/walk.mp4", "wb") as file:
        file.write(clip.read_bytes())
    assert call("extract", "memory://clips/walk.mp4", "--to", "csv,gpx,srt") == 0
    assert "walk.gyro.csv" in left()
    assert call("extract", "memory://clips/none.mp4", "--to", "csv", "-o", "other") == 2
    assert "there is no file memory://clips/none.mp4" in capsys.readouterr().err
    assert not Path("other").exists()


@pytest.mark.parametrize(("package", "form"), [("pyarrow", "parquet"), ("mcap", "mcap")])
def test_a_package_that_is_missing_is_named(clip, capsys, monkeypatch, package, form):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert call("extract", clip, "--to", f"csv,{form}") == 1
    err = capsys.readouterr().err
    assert err.endswith(f"needs {package}: pip install 'cammcorder[{form}]'\n")
    assert left() == []


# When something goes wrong


@pytest.mark.parametrize(
    ("content", "message", "code"),
    [
        (None, "there is no file", 2),
        (b"", "is no MP4 file", 1),
        (b"no film at all, only words" * 9, "is no MP4 file", 1),
    ],
)
def test_what_is_no_clip_is_refused(clip, capsys, content, message, code):
    path = clip.with_name("other.mp4")
    if content is not None:
        path.write_bytes(content)
    assert call("extract", path, "--to", "csv,parquet,gpx", "-o", "out") == code
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n"), left()) == ("", 1, [])


def test_a_clip_that_is_cut_off_leaves_nothing(clip, capsys):
    """Its tables, which stand in front, tell of samples that are not there."""
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
    assert call("extract", clip, "--to", "csv,gpx,euroc", "-o", "out") == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert [path for path in left() if Path(path).is_file()] == []


def test_a_file_that_is_there_is_left_alone_and_so_are_the_others(clip, capsys):
    folder = Path("walk.euroc/mav0/imu0")
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("mine")
    before = left()
    assert call("extract", clip, "--to", "csv,euroc") == 2
    assert "walk.euroc/mav0/imu0/data.csv exists" in capsys.readouterr().err
    assert left() == before
    assert call("extract", clip, "--to", "csv,euroc", "--force") == 0
    assert (folder / "data.csv").read_text().startswith("#timestamp")


def test_a_folder_that_is_a_file_is_said_in_a_line(clip, capsys):
    Path("walk.euroc").write_text("mine")
    assert call("extract", clip, "--to", "csv,euroc") in (1, 2)
    assert capsys.readouterr().err.count("\n") == 1
    assert left() == ["walk.euroc"]


def test_where_a_disk_is_full_nothing_is_left(clip):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = extract(clip, "--to", "gpx,euroc,csv,parquet,mcap,jsonl", preexec_fn=limit)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"cammcorder: walk.")
    assert done.stderr.endswith(b": File too large\n")
    assert done.stderr.count(b"\n") == 1
    assert left() == []


def test_a_device_that_is_full_is_said_in_a_line(clip):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cammcorder", "extract", clip, "--to", "csv", "-o", "-"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"cammcorder: No space left on device\n"


@pytest.mark.parametrize("form", ["csv", "mcap", "parquet --types gyro"])
def test_a_pipe_that_is_closed_is_no_traceback(clip, form):
    command = f"{sys.executable} -m cammcorder extract {clip} --to {form} -o - | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert len(done.stdout) == 10
    assert done.stderr == b""


def test_files_are_there_together_or_not_at_all(tmp_path):
    def rounds():
        yield b"half", b"of it"
        raise RuntimeError("the other half")

    (tmp_path / "one").write_text("as it was")
    with pytest.raises(RuntimeError):
        write_together([tmp_path / "one", tmp_path / "a/b/two"], rounds())
    assert (tmp_path / "one").read_text() == "as it was"
    assert [path.name for path in tmp_path.rglob("*")] == ["one"]


# A Mi Sphere's boxes


def mi_sphere(mp4, path):
    boxes = {
        b"cutl": struct.pack("<I40I", 1, 1000, 50, *[0] * 38),
        b"fltr": struct.pack("<I", 1),
        b"caif": struct.pack(
            "<16s4s4s24s16s32s32s", b"20180816", b"\1", b"", b"", b"MJXJ", b"1.9", b"7"
        ),
        b"gpsx": struct.pack("<I2s24s2s24s2s24s514x", 7, b"N", b"48.5", b"E", b"11", b"0", b"25/2"),
        b"lutz": bytes(range(256)) * 3,
        b"tlyd": np.tile(np.diag([-1, -1, 1]).astype("<f4"), (3, 1, 1)).tobytes() + bytes(360),
    }
    madv = mp4.box(b"madv", *(mp4.box(kind, content) for kind, content in boxes.items()))
    data = mp4.write(
        [b"picture"] * 4,
        [1001] * 4,
        handler=b"vide",
        entries=[b"avc1"],
        timescale=30_000,
        udta=mp4.box(b"udta", madv),
    )
    path.write_bytes(data)
    return boxes


def test_raw_saves_every_box_as_it_is(mp4, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    boxes = mi_sphere(mp4, tmp_path / "sphere.mp4")
    assert call("extract", "sphere.mp4", "--to", "raw,csv,srt") == 0
    names = [f"sphere.{kind.decode()}.bin" for kind in boxes]
    assert capsys.readouterr().out.splitlines() == [*names, "sphere.angle_axis.csv", "sphere.srt"]
    for name, content in zip(names, boxes.values(), strict=True):
        assert Path(name).read_bytes() == content
    assert len(Path("sphere.angle_axis.csv").read_text().splitlines()) == 5


def test_info_tells_of_every_box(mp4, tmp_path, capsys):
    boxes = mi_sphere(mp4, tmp_path / "sphere.mp4")
    assert call("info", tmp_path / "sphere.mp4") == 0
    out = capsys.readouterr().out
    assert "tlyd  468    matrices 3\n" in out
    assert "lutz  768    not decoded; `extract --to raw` saves it\n" in out
    assert "fltr  4      frames without a matrix 1\n" in out
    assert "device MJXJ" in out
    assert call("info", "--json", tmp_path / "sphere.mp4") == 0
    rows = {row["box"]: row for row in json.loads(capsys.readouterr().out)["madv"]}
    assert {name: row["size"] for name, row in rows.items()} == {
        kind.decode(): len(content) for kind, content in boxes.items()
    }
    assert rows["cutl"]["says"] == {"cuts": [[1000, 50]]}
    assert rows["gpsx"]["says"] == {
        "ticks": 7,
        "latitude": 48.5,
        "longitude": 11,
        "altitude": 12.5,
    }
    assert rows["lutz"]["says"] is None


def test_info_of_other_clips_has_no_such_boxes(clip, capsys):
    assert call("info", "--json", clip) == 0
    assert json.loads(capsys.readouterr().out)["madv"] is None
