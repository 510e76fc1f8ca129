"""What is measured does what it is measured for."""

import os

import pytest

from benchmarks import clips, process, reading, recordings
from benchmarks.readers import READERS
from muxer import reader

PLAN = clips.Plan(seconds=12, motion_hz=50)
FOUND = {
    "columns": PLAN.records,
    "blocks": PLAN.records,
    "telemetry_parser": PLAN.records,
    "pyav": PLAN.records,
    "mapillary_motion": PLAN.records - 120,
    "mapillary_gps": 120,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks") / "clip.mp4"
    clips.record(PLAN, path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "CACHE", tmp_path)


def test_a_clip_is_the_same_each_time(clip, tmp_path):
    clips.record(PLAN, tmp_path / "again.mp4")
    assert (tmp_path / "again.mp4").read_bytes() == clip.read_bytes()


def test_a_clip_has_the_rates_that_are_asked_for(clip):
    with reader.open(clip) as opened:
        assert len(opened.records.kind) == PLAN.records
        assert len(opened.gyro) == 50 * 12
        assert len(opened.gps) == 10 * 12
        assert len(set(opened.gyro.t_ns.tolist())) == 50 * 12
        assert opened.duration_ns == 12_000_000_000


def test_a_clip_is_made_once(monkeypatch, tmp_path):
    made = []

    def record(plan, path):
        made.append(plan)
        path.touch()
        return path

    monkeypatch.setattr(clips, "record", record)
    assert clips.clip("10 min", tmp_path) == clips.clip("10 min", tmp_path)
    assert made == [clips.Plan(600, 200)]


@pytest.mark.parametrize("name", READERS)
def test_readers_read_everything_that_they_know(name, clip):
    if name == "telemetry_parser" and not os.environ.get("CAMMCORDER_REQUIRE_READERS"):
        pytest.importorskip("telemetry_parser")
    assert READERS[name]()(str(clip)) == FOUND[name]


def test_a_reader_is_compared_with_the_first_and_an_absent_one_is_no_error(clip, monkeypatch):
    first, ours, *_ = reading.READERS
    monkeypatch.setattr(
        reading,
        "READERS",
        [
            reading.Reader("first", ours.command, "cammcorder", probe=True),
            reading.Reader("package", first.command, "no_such_package", probe=True),
            reading.Reader("program", ["no-such-program", "CLIP"]),
            reading.Reader("failing", [*process.python("cammcorder"), "info", "no.mp4"], "av"),
            reading.Reader("small clips only", ours.command, "cammcorder", most=1),
            ours,
        ],
    )
    one, package, program, failing, other = reading.readings(clip, runs=1)
    assert package["error"] == program["error"] == "absent"
    assert "no.mp4" in failing["error"]
    assert one["clip_records"] == one["records"] == other["records"] == PLAN.records
    assert one["times_faster"] == one["times_faster_inside"] == 1
    assert other["times_faster"] == pytest.approx(one["wall_s"] / other["wall_s"], rel=0.01)
    assert other["inside_s"] < other["wall_s"]


def test_every_reader_that_times_itself_is_measured():
    assert {probe.command[-2] for probe in reading.READERS if probe.probe} == set(READERS)


def test_a_recording_counts_what_it_writes(tmp_path):
    path = tmp_path / "clip.mp4"
    found = recordings.record(recordings.Plan(seconds=5, motion_hz=100, picture=1000), path)
    with reader.open(path) as opened:
        assert found["records"] == len(opened.records.kind) == 5 * (3 * 100 + 10 + 30)
        assert len(opened.video.table) == 5 * 30
    payload = 5 * (300 * 16 + 10 * 60 + 30 * (12 + 1000))
    assert found["payload_mb"] * 1e6 == pytest.approx(payload)
    assert found["size_per_payload"] == path.stat().st_size / payload
    assert found["written_per_payload"] >= found["size_per_payload"] > 1
    assert found["syncs"] > 5


def test_a_recording_with_holes_is_the_same_but_takes_less_of_the_disk(tmp_path):
    files = []
    for holes in (False, True):
        path = tmp_path / f"{holes}.mp4"
        recordings.record(recordings.Plan(2, 100, picture=200_000, holes=holes), path)
        files.append((path.stat().st_blocks * 512, path.read_bytes()))
    (full, plain), (sparse, with_holes) = files
    assert with_holes == plain
    assert sparse < full / 4


def test_a_copy_is_measured_as_on_a_file_system_that_makes_no_room(tmp_path):
    plan = recordings.Plan(seconds=3, motion_hz=200, copy=True)
    found = recordings.record(plan, tmp_path / "copied.mp4")
    assert found["moov"] == "copied"
    with reader.open(tmp_path / "copied.mp4") as clip:
        assert clip.moov_first
        assert len(clip.gyro) == 600


def test_where_no_room_can_be_made_the_row_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings.moov_first, "insert_range", recordings.cannot_insert)
    found = recordings.record(recordings.Plan(seconds=3, motion_hz=200), tmp_path / "clip.mp4")
    assert found["moov"] == "at the end: no room can be made on this file system"
