"""The verbs that read: what they print, what they write, and how they end."""

import json
import os
import shutil
import struct
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from cammcorder.__main__ import main
from muxer.recording import Recording
from muxer.recording_file import METADATA_UUID, MovieDescription

ROOT = Path(__file__).parents[2]
PIXEL = ROOT / "tests" / "data" / "camm" / "mett_replaced_with_camm.mp4"
GPS_TIME = 1464350418.0  # 2026-06-01 12:00:00 UTC


def film(path, *, gps=True, metadata=None, make="cammcorder", gps_time=GPS_TIME):
    """A second of a level camera at rest that passes every check."""
    t_ns = np.arange(200) * 5_000_000
    at_rest = {PacketType.GYRO: (0.01, 0, 0), PacketType.ACCELERATION: (0, -9.81, 0)}
    blocks = [Samples(kind, t_ns, np.tile(row, (200, 1))) for kind, row in at_rest.items()]
    if gps:
        fixes = empty_values(PacketType.GPS, 5)
        fixes["gps_fix_type"] = 3
        fixes["latitude"], fixes["longitude"] = 47 + np.arange(5) / 1e5, 8
        fixes["time_gps_epoch"] = gps_time + np.arange(5) / 5
        fixes["horizontal_accuracy"], fixes["vertical_accuracy"] = 1.5, 2.5
        blocks.append(Samples(PacketType.GPS, np.arange(5) * 200_000_000, fixes))
    created = datetime(2026, 6, 1, 12, tzinfo=UTC)
    about = MovieDescription(created, make, "rig", metadata or {})
    recording = Recording(path, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(1_000_000_000, about)
    return path


@pytest.fixture
def clip(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return film(tmp_path / "walk.mp4")


@pytest.fixture
def no_camm(tmp_path):
    path = tmp_path / "plain.mp4"
    path.write_bytes(PIXEL.read_bytes().replace(b"camm", b"mebx"))
    return path


def written():
    return sorted(path.name for path in Path().iterdir())


def call(*words):
    return main([str(word) for word in words])


# extract


def test_extract_writes_to_the_current_folder_and_names_the_files(clip, capsys):
    assert call("extract", clip, "--to", "csv,gpx,jsonl") == 0
    names = [
        "walk.gyro.csv",
        "walk.acceleration.csv",
        "walk.gps.csv",
        "walk.gpx",
        "walk.jsonl",
    ]
    assert written() == sorted(names)
    out, err = capsys.readouterr()
    assert out.splitlines() == names
    assert err == ""
    assert len(Path("walk.gyro.csv").read_text().splitlines()) == 201


def test_extract_makes_the_folder_but_not_its_parents(clip, capsys):
    assert call("extract", clip, "--to", "jsonl", "-o", "out") == 0
    assert Path("out/walk.jsonl").exists()
    assert call("extract", clip, "--to", "jsonl", "-o", "no/where") == 2
    assert "there is no folder no" in capsys.readouterr().err


def test_extract_replaces_nothing_unless_forced(clip, capsys):
    Path("walk.jsonl").write_text("mine")
    assert call("extract", clip, "--to", "csv,jsonl") == 2
    assert "walk.jsonl exists" in capsys.readouterr().err
    assert written() == ["walk.jsonl"]
    assert Path("walk.jsonl").read_text() == "mine"
    assert call("extract", clip, "--to", "jsonl", "--force") == 0
    assert Path("walk.jsonl").read_text().startswith('{"t_s"')


def test_extract_to_standard_output_divides_the_tables_by_an_empty_line(clip, capsys):
    assert call("extract", clip, "--to", "csv", "--types", "gyro,gps", "-o", "-") == 0
    gyro, gps = capsys.readouterr().out.split("\n\n")
    assert gyro.startswith("t_s,utc,gyro_x,")
    assert gps.startswith("t_s,utc,time_gps_epoch,")
    assert len(gps.splitlines()) == 6
    assert written() == []


def test_standard_output_takes_one_format(clip, capsys):
    assert call("extract", clip, "--to", "csv,jsonl", "-o", "-") == 2
    assert "one format" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "xls"], "no format is called 'xls'; there are: csv, euroc, gcsv, geojson, gpx"),
        (["--to", "csv", "--types", "giro"], "no packet type is called 'giro'"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(clip, capsys, words, message):
    assert call("extract", clip, *words) == 2
    assert message in capsys.readouterr().err


def test_gpx_alone_of_a_clip_without_gps_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip = film(tmp_path / "indoors.mp4", gps=False)
    assert call("extract", clip, "--to", "gpx") == 1
    assert "has no GPS fix" in capsys.readouterr().err
    assert call("extract", clip, "--to", "csv,gpx") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["indoors.gyro.csv", "indoors.acceleration.csv"]
    assert "has no GPS fix" in err
    assert len(err.splitlines()) == 1


# info


def test_info_tells_tracks_records_and_camera(clip, capsys):
    assert call("info", clip) == 0
    out = capsys.readouterr().out
    assert "camera    cammcorder rig\n" in out
    assert "1      camm   meta     1000000    405      1.000 s\n" in out
    assert "2     gyro          200    0.000000 s  0.995000 s  200.00 Hz\n" in out
    assert "layout    moov in front\n" in out


def test_info_in_json_is_whole(tmp_path, capsys):
    metadata = {"sources": {"imu": {"lost": 3}}}
    assert call("info", "--json", film(tmp_path / "walk.mp4", metadata=metadata)) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metadata"] == metadata
    assert facts["created"] == "2026-06-01T12:00:00+00:00"
    assert facts["records"][2] == {
        "type": 6,
        "name": "gps",
        "count": 5,
        "first_s": 0,
        "last_s": 0.8,
        "rate_hz": 5,
    }


def test_info_tells_where_records_come_from(tmp_path, capsys):
    assert call("info", PIXEL) == 0
    assert "motion    a camm track, track 1\n" in capsys.readouterr().out
    renamed = tmp_path / "renamed.mp4"
    renamed.write_bytes(PIXEL.read_bytes().replace(b"camm", b"mett"))
    assert call("info", renamed) == 0
    assert "recognised by its records, track 1\n" in capsys.readouterr().out
    assert call("info", "--json", renamed) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["motion"] == {"kind": "records", "track": 1}
    assert (facts["camm_tracks"], facts["gps_time"]) == (1, None)
    assert call("check", renamed) == 1
    assert "the sample entries ('mett',): expected 'camm' only" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gps_time", "line"),
    [
        (GPS_TIME, "GPS seconds, from 2026-06-01T12:00:00.000000000Z"),
        (1780315200.0, "Unix seconds, from 2026-06-01T12:00:00.000000000Z"),
        (1780315200e3, "Unix milliseconds, from 2026-06-01T12:00:00.000000000Z"),
        (0.5, "no date"),
    ],
)
def test_info_tells_what_gps_time_counts(tmp_path, capsys, gps_time, line):
    assert call("info", film(tmp_path / "walk.mp4", gps_time=gps_time)) == 0
    out = capsys.readouterr().out
    assert f"GPS time  {line}\n" in out
    assert "leap seconds" not in out


def test_info_says_where_leap_seconds_are_not_known(tmp_path, capsys):
    later = film(tmp_path / "walk.mp4", gps_time=GPS_TIME + 10 * 365 * 86_400)
    assert call("info", later) == 0
    assert "UTC may be a second off" in capsys.readouterr().out
    assert call("info", "--json", later) == 0
    assert not json.loads(capsys.readouterr().out)["gps_time"]["leap_seconds_known"]


def test_info_of_a_clip_without_metadata_says_so_and_is_no_failure(no_camm, capsys):
    assert call("info", no_camm) == 0
    out, err = capsys.readouterr()
    assert "no camera motion metadata" in out
    assert "3840 x 2160" in out
    assert err == ""


def test_info_knows_an_unfinished_recording(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("muxer.recording_file.bring_moov_first", lambda *_: False)
    path = film(tmp_path / "walk.mp4", metadata={"writer": {"name": "cammcorder"}})
    data = bytearray(path.read_bytes())
    # As it was before it was finalised: the spanning mdat is the placeholder again.
    at = data.index(b"mdat") - 4
    data[at : at + 16] = struct.pack(">I4s8x", 16, b"free")
    path.write_bytes(data)
    assert call("info", path) == 0
    assert "unfinished recording (fragments)" in capsys.readouterr().out
    path.write_bytes(data.replace(METADATA_UUID.bytes, bytes(16)))  # any maker's
    assert call("info", path) == 0
    assert "layout    in fragments\n" in capsys.readouterr().out


def test_what_a_clip_says_of_itself_cannot_move_the_cursor(tmp_path, capsys):
    clip = film(tmp_path / "walk.mp4", make="\x1b[2J", metadata={"\x1b[1m": "\r\x07"})
    assert call("info", clip) == 0
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\r\x07")
    assert r"\x1b[2J" in out


# check


def test_check_of_a_sound_clip(clip, capsys):
    assert call("check", clip) == 0
    assert capsys.readouterr().out == "walk.mp4: sound, 405 records of 3 types; no faults\n"


def test_check_of_a_faulty_clip_fails_and_says_why(clip, capsys):
    clip.write_bytes(clip.read_bytes().replace(b"meta\0\0", b"camm\0\0"))
    assert call("check", clip) == 1
    headline, _, heading, finding, remedy = capsys.readouterr().out.splitlines()
    assert headline == "walk.mp4: faulty, 405 records of 3 types; 1 error"
    assert heading == "Errors"
    rule, message = finding.split(maxsplit=1)
    assert rule == "metadata_handler"
    assert message == "the metadata track has the handler 'camm', expected 'meta'"
    assert remedy.strip() == "to do: set the handler's type to 'meta'; `cammcorder convert` does"
    assert call("convert", clip, "-o", "whole.mp4") == 0
    assert call("check", "whole.mp4") == 0


def test_check_in_json(clip, capsys):
    assert call("check", "--json", clip) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(clip),
        "profile": "readers",
        "sound": True,
        "records": {"gyro": 200, "acceleration": 200, "gps": 5},
        "findings": [],
    }


def test_a_clip_of_a_pixel_is_sound(capsys):
    assert call("check", PIXEL) == 0
    assert "sound, 47 records of 1 type; 4 warnings" in capsys.readouterr().out


# report


def test_report_writes_a_page(clip, capsys):
    pytest.importorskip("jinja2")
    assert call("report", clip) == 0
    assert capsys.readouterr().out == "walk.html\n"
    assert Path("walk.html").read_text().startswith("<!DOCTYPE html>")
    assert call("report", clip) == 2
    assert "walk.html exists" in capsys.readouterr().err
    assert call("report", clip, "-o", "walk.html", "--force") == 0


def test_report_without_its_packages_says_what_to_install(clip, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("muxer.report")]:
        monkeypatch.delitem(sys.modules, name)
    assert call("report", clip) == 1
    err = capsys.readouterr().err
    assert err == "cammcorder: a report needs jinja2: pip install 'cammcorder[report]'\n"


# All of them


VERBS = {
    "extract": ["--to", "csv"],
    "check": [],
    "report": [],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_clip_without_metadata_is_a_failure_of_one_line(verb, no_camm, tmp_path, capsys):
    output = [] if verb == "check" else ["-o", tmp_path / "out"]
    assert call(verb, no_camm, *VERBS[verb], *output) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "no camera motion metadata" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", [*VERBS, "info"])
def test_a_missing_file_is_a_usage_error(verb, tmp_path, capsys):
    assert call(verb, tmp_path / "none.mp4", *VERBS.get(verb, [])) == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback(tmp_path):
    shutil.copy(PIXEL, tmp_path / "walk.mp4")
    command = f"{sys.executable} -m cammcorder extract walk.mp4 --to csv -o - | head -n 1"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "t_s,utc,angle_axis_x,angle_axis_y,angle_axis_z\n"
    assert done.stderr == ""
