"""`check` as a user calls it: what it says of clips of the simulator, of logs, and of the truth."""

import json
from pathlib import Path

import numpy as np
import pytest

from cammcorder.__main__ import main
from cammcorder.commands.check_text import clock_time
from hw_sim import load_scenario
from muxer.check import PROFILES, RULES

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
KEYS = {"rule", "severity", "message", "t_s", "remedy"}


def call(*words):
    return main([str(word) for word in words])


def told(capsys, *words):
    """The exit code, and the object that --json printed."""
    code = call("check", "--json", *words)
    return code, json.loads(capsys.readouterr().out)


def of_kind(document, kind):
    return next(each for each in document["against"] if each["kind"] == kind)


# Rules


def test_a_clip_of_the_walk_has_no_faults(walk, capsys):
    assert call("check", walk.clip) == 0
    headline, *rest = capsys.readouterr().out.splitlines()
    assert headline.startswith("walk.mp4: sound, ")
    assert headline.endswith("; no faults")
    assert rest == []


SCENARIOS = {
    "hand-held": set(),
    "car-city": set(),
    "bike": set(),
    "boat": set(),
    "drone": set(),
    "cold-start": {"covers_the_film"},  # the receiver finds itself six seconds after the film began
    "rough-bus": {"imu_without_gaps", "covers_the_film"},  # at its end the magnetometer is silent
    "bad-gps": set(),
}


@pytest.mark.parametrize(
    "scenario",
    [
        name if SCENARIOS[name] else pytest.param(name, marks=pytest.mark.proof)
        for name in SCENARIOS
    ],
)
def test_of_every_scenario_only_what_went_wrong_is_told(scenario, tmp_path, capsys):
    assert load_scenario(scenario)
    clip = tmp_path / "clip.mp4"
    assert call("record", "--sim", scenario, "--duration", 8, "--speed", "max", "-o", clip) == 0
    capsys.readouterr()
    code, document = told(capsys, clip)
    assert code == 0
    found = {finding["rule"] for finding in document["findings"]}
    assert found == SCENARIOS[scenario]


def test_a_finding_tells_where_and_what_to_do(walk, capsys):
    code, document = told(capsys, walk.clip, "--profile", "street-view")
    assert code == 1
    assert document["profile"] == "street-view"
    assert not document["sound"]
    assert {finding["rule"] for finding in document["findings"]} == {
        "low_resolution",
        "invalid_video_dimensions",
    }
    assert all(finding.keys() == KEYS and finding["remedy"] for finding in document["findings"])


def test_street_view_is_told_what_no_file_shows(walk, capsys):
    assert call("check", walk.clip, "--profile", "street-view") == 1
    out = capsys.readouterr().out
    assert "to do: film with 3840 x 1920 or more" in out
    assert "DUPLICATE" in out


def test_a_profile_that_there_is_not_is_a_usage_error(walk, capsys):
    assert call("check", walk.clip, "--profile", "mapillary") == 2
    assert "no profile is called 'mapillary'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("t_s", "clock"),
    [
        (None, ""),
        (0.0, "00:00.0"),
        (12.34, "00:12.3"),
        (59.96, "01:00.0"),
        (3723.4, "1:02:03.4"),
        (-1.5, "-00:01.5"),
    ],
)
def test_places_in_time_are_told_as_a_player_shows_them(t_s, clock):
    assert clock_time(t_s) == clock


# Against what was recorded


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_clip_is_what_its_own_tables_say(form, walk, tmp_path, capsys):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    assert call("extract", walk.clip, "--to", form, "-o", tmp_path) == 0
    capsys.readouterr()
    log = tmp_path / "walk.jsonl" if form == "jsonl" else tmp_path
    code, document = told(capsys, walk.clip, "--against", log)
    assert code == 0
    assert all(each["same"] for each in document["against"])
    assert {each["kind"] for each in document["against"]} == document["records"].keys()


def test_a_gyroflow_log_holds_the_rates_as_they_are_and_the_field_between_samples(
    walk, tmp_path, capsys
):
    assert call("extract", walk.clip, "--to", "gcsv", "-o", tmp_path) == 0
    capsys.readouterr()
    code, document = told(capsys, walk.clip, "--against", tmp_path / "walk.gcsv")
    assert code == 1
    assert of_kind(document, "gyro")["same"]
    assert of_kind(document, "acceleration")["same"]
    field = of_kind(document, "magnetic_field")
    assert field["found_by"] == "motion"
    assert abs(field["shift_s"]) < 0.005


def test_a_clip_is_what_a_receiver_has_sent(replay, capsys):
    code, document = told(capsys, replay, "--against", DATA / "gps" / "ublox-neo-m8p.log")
    assert code == 0
    fixes = of_kind(document, "gps")
    assert fixes["same"]
    assert fixes["found_by"] == "values"
    assert fixes["jitter_ms"] < 5


def test_another_clip_is_not_what_was_recorded(walk, tmp_path, capsys):
    other = tmp_path / "other.mp4"
    assert call("record", "--sim", "drone", "--duration", 4, "--speed", "max", "-o", other) == 0
    capsys.readouterr()
    assert call("check", other, "--against", walk.clip) == 1
    out = capsys.readouterr().out
    assert "It is not what was recorded: " in out
    assert "changed, by up to " in out


def test_a_log_that_holds_nothing_is_a_usage_error(walk, tmp_path, capsys):
    nothing = tmp_path / "nothing.log"
    nothing.write_bytes(b"no sentence at all\n" * 9)
    assert call("check", walk.clip, "--against", nothing) == 2
    assert "has no fixes: expected GPX" in capsys.readouterr().err


# Against the truth


def test_errors_against_the_truth_are_those_of_the_tests_of_accuracy(walk, capsys):
    code, document = told(capsys, walk.clip, "--truth", walk.clip.with_suffix(".truth.npz"))
    assert code == 0
    errors = {each["what"]: each for each in document["truth"]}
    assert errors["orientation, inclination"]["rms"] < 1
    assert errors["orientation, heading"]["rms"] < 5
    assert errors["time of gyro"]["worst"] < 1
    assert errors["time of acceleration"]["worst"] < 1
    assert errors["time of magnetic_field"]["worst"] < 1
    assert errors["time of gps"]["worst"] < 20
    assert errors["time of frames"]["worst"] <= 0.001
    assert errors["time of exposure"]["worst"] <= 0.001
    assert errors["exposure"]["worst"] == errors["rolling shutter skew"]["worst"] == 0
    assert errors["position, horizontal"]["rms"] < 3
    assert errors["time of frames"]["count"] == 300


def test_the_truth_is_told_in_a_table(walk, capsys):
    assert call("check", walk.clip, "--truth", walk.clip.with_suffix(".truth.npz")) == 0
    out = capsys.readouterr().out
    assert "Against the truth" in out
    (heading,) = (line.split() for line in out.splitlines() if "orientation, heading" in line)
    assert heading[-2] == "deg"


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_truth_that_is_none_is_a_usage_error(content, walk, tmp_path, capsys):
    path = tmp_path / "truth.npz"
    if content is not None:
        path.write_bytes(content)
    assert call("check", walk.clip, "--truth", path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_a_truth_without_its_arrays_is_a_usage_error(walk, tmp_path, capsys):
    np.savez(tmp_path / "truth.npz", latitude=np.zeros(3))
    assert call("check", walk.clip, "--truth", tmp_path / "truth.npz") == 2
    assert "expected the simulator's file" in capsys.readouterr().err


# The document


def test_the_document_has_every_rule_with_what_it_says_and_what_to_do():
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in (ROOT / "docs" / "CHECK.md").read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    documented = [row for row in rows if len(row) == 4]
    assert documented == [
        (f"`{rule.name}`", rule.severity, rule.says, rule.remedy)
        for source in ("specification", "readers", "street-view")
        for rule in RULES
        if rule.source == source
    ]


def test_a_narrow_terminal_breaks_the_lines_and_not_the_tables(walk, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    assert call("check", walk.clip, "--truth", walk.clip.with_suffix(".truth.npz")) == 0
    assert "orientation, inclination" in capsys.readouterr().out


def test_the_document_names_every_profile():
    document = (ROOT / "docs" / "CHECK.md").read_text("utf-8")
    assert all(f"`{profile}`" in document for profile in PROFILES)
