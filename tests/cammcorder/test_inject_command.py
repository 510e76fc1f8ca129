"""`cammcorder inject` and `cammcorder convert`, as they are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from camm import PacketType
from cammcorder.__main__ import main
from muxer import reader

ROOT = Path(__file__).parents[2]
FILM = ROOT / "tests" / "data" / "video" / "sample-5s.mp4"
PIXEL = ROOT / "tests" / "data" / "camm" / "mett_replaced_with_camm.mp4"
GPS, GYRO = PacketType.GPS, PacketType.GYRO


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Runs a command in a folder of its own: exit code, what it printed, what it complained of."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def gpx(path, *seconds, hour=12):
    points = "".join(
        f'<trkpt lat="{47 + s / 1e5}" lon="8"><time>2026-06-01T{hour}:{s // 60:02d}:{s % 60:02d}Z'
        "</time></trkpt>"
        for s in seconds
    )
    Path(path).write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    return path


NOON = ["--start", "2026-06-01T12:00:00Z"]


def test_a_film_gets_the_track_of_its_day(call):
    code, out, err = call("inject", gpx("walk.gpx", *range(1, 4)), FILM, "-o", "out.mp4", *NOON)
    assert (code, err) == (0, "")
    assert out == "walk.gpx covers 00:01 to 00:03 of 00:06: 3 gps\nout.mp4\n"
    with reader.open("out.mp4") as clip:
        assert clip.gps.t_ns.tolist() == [n * 1_000_000_000 for n in (1, 2, 3)]
    code, out, _ = call("info", "--json", "out.mp4")
    assert json.loads(out)["gps_time"]["first_utc"] == "2026-06-01T12:00:01.000000000Z"


def test_a_film_that_knows_its_date_needs_no_start(call):
    call("inject", gpx("walk.gpx", 1), FILM, "-o", "dated.mp4", *NOON)
    code, out, _ = call("inject", "walk.gpx", "dated.mp4", "-o", "out.mp4", "--replace")
    assert code == 0
    assert out.startswith("dated.mp4 begins at 2026-06-01 12:00:00 UTC by its creation time\n")


def test_a_film_without_a_date_asks_for_one(call):
    code, _, err = call("inject", gpx("walk.gpx", 1), FILM, "-o", "out.mp4")
    assert code == 2
    assert err.endswith("has none: say when it begins, --start 2026-06-01T12:00:00Z\n")
    assert not Path("out.mp4").exists()


def test_a_log_of_another_hour_is_refused_with_advice(call):
    gpx("walk.gpx", 1, 2, hour=14)
    code, _, err = call("inject", "walk.gpx", FILM, "-o", "out.mp4", *NOON)
    assert code == 2
    assert err == (
        "cammcorder: walk.gpx covers 2:00:01 to 2:00:02, counted from the first frame; the film "
        "ends at 00:06: if one of the two clocks has local time, --offset -7200\n"
    )
    code, out, _ = call("inject", "walk.gpx", FILM, "-o", "out.mp4", *NOON, "--offset", "-7200")
    assert code == 0
    assert "00:01 to 00:02 of 00:06: 2 gps" in out


def test_several_logs_go_into_one_track(call, walk):
    call("extract", walk.clip, "--to", "gcsv", "-o", ".")
    gpx("walk.gpx", 1, 2)
    code, out, _ = call("inject", "walk.gcsv", "walk.gpx", FILM, "-o", "out.mp4", *NOON)
    assert code == 0
    assert out.splitlines() == [
        "walk.gcsv covers 00:00 to 00:06 of 00:06: 1,299 gyro, 1,299 acceleration, "
        "1,299 magnetic_field",
        "walk.gpx covers 00:01 to 00:02 of 00:06: 2 gps",
        "out.mp4",
    ]
    with reader.open("out.mp4") as clip, reader.open(walk.clip) as source:
        assert len(clip.camm_tracks) == 1
        inside = source.gyro.t_ns <= clip.video.duration_ns
        assert clip.gyro.t_ns.tolist() == source.gyro.t_ns[inside].tolist()
        assert clip.gyro.data.tolist() == source.gyro.data[inside].tolist()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_extract_wrote_comes_back_to_the_last_bit(call, walk, form):
    assert call("extract", walk.clip, "--to", form, "-o", "log")[0] == 0
    log = "log/walk.jsonl" if form == "jsonl" else "log/walk"
    assert call("inject", log, walk.clip, "-o", "out.mp4", "--replace")[0] == 0
    with reader.open("out.mp4") as clip, reader.open(walk.clip) as source:
        assert clip.counts == source.counts
        for kind in source.counts:
            assert clip.samples(kind).t_ns.tolist() == source.samples(kind).t_ns.tolist()
            assert clip.samples(kind).data.tobytes() == source.samples(kind).data.tobytes()


def test_the_metadata_of_one_clip_go_into_another_cut_of_it(call, walk):
    code, out, _ = call("inject", walk.clip, FILM, "-o", "out.mp4")
    assert code == 0
    assert "angle_axis, " in out
    with reader.open("out.mp4") as clip, reader.open(walk.clip) as source:
        assert clip.angle_axis.data[:50].tolist() == source.angle_axis.data[:50].tolist()


def test_a_receivers_log_is_dated(call, walk):
    with reader.open(walk.clip) as clip:
        start = clip.metadata["movie"]["zero_utc"]
    call("extract", walk.clip, "--to", "nmea", "-o", ".")
    code, out, _ = call("inject", "walk.nmea", FILM, "-o", "out.mp4", "--start", start)
    assert (code, out.splitlines()[0]) == (0, "walk.nmea covers 00:00 to 00:06 of 00:06: 57 gps")
    with reader.open("out.mp4") as clip, reader.open(walk.clip) as source:
        # NMEA has hundredths of seconds here, and times of its own making less than that off.
        assert abs(clip.gps.t_ns - source.gps.t_ns[: len(clip.gps)]).max() < 20_000_000


def test_a_second_track_is_refused_replaced_or_merged(call, walk):
    with reader.open(walk.clip) as clip:
        start = ["--start", clip.metadata["movie"]["zero_utc"]]
    call("extract", walk.clip, "--to", "gpx", "-o", ".")
    inject = ["inject", "walk.gpx", walk.clip, *start, "-o"]
    code, _, err = call(*inject, "no.mp4")
    assert code == 2
    assert "has a CAMM track already" in err
    assert call(*inject, "replaced.mp4", "--replace")[0] == 0
    assert call(*inject, "merged.mp4", "--merge")[0] == 0
    with reader.open("replaced.mp4") as clip:
        assert set(clip.counts) == {GPS, PacketType.EXPOSURE}  # what begins the track at zero
    with reader.open("merged.mp4") as clip, reader.open(walk.clip) as source:
        assert clip.counts[GYRO] == source.counts[GYRO]
        assert len(clip.camm_tracks) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--start", "noon"], "--start is a date such as 2026-06-01T12:00:00Z, found 'noon'"),
        *(
            (["--start", date], f"--start is a date such as 2026-06-01T12:00:00Z, found {date!r}")
            for date in ("0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59Z")
        ),
        (["--offset", "nan"], "--offset is a number of seconds, found nan"),
        (["--offset", "1e30"], "--offset is a number of seconds, found 1e+30"),
    ],
)
def test_what_cannot_be_asked_for(call, words, message):
    code, _, err = call("inject", gpx("walk.gpx", 1), FILM, "-o", "out.mp4", *words)
    assert (code, err) == (2, f"cammcorder: {message}\n")


@pytest.mark.parametrize("verb", [["inject", "walk.gpx"], ["convert"]])
def test_no_input_is_written_over(call, verb):
    Path("film.mp4").write_bytes(PIXEL.read_bytes())
    gpx("walk.gpx", 1)
    code, _, err = call(*verb, "film.mp4", "-o", "film.mp4", "--force")
    assert code == 2
    assert err == "cammcorder: film.mp4 is one of the files that are read: name another\n"
    assert Path("film.mp4").read_bytes() == PIXEL.read_bytes()


def test_two_logs_of_one_type_are_refused(call):
    gpx("a.gpx", 1)
    gpx("b.gpx", 1)
    code, _, err = call("inject", "a.gpx", "b.gpx", FILM, "-o", "out.mp4", *NOON)
    assert (code, err) == (2, "cammcorder: a.gpx and b.gpx both hold gps: give one\n")


def test_convert_tells_what_it_has_made(call):
    data = PIXEL.read_bytes()
    at = data.index(b"camm\0\0\0\0")
    Path("mett.mp4").write_bytes(data[:at] + b"mett" + data[at + 4 :])
    code, out, err = call("convert", "mett.mp4", "-o", "out.mp4")
    assert (code, out, err) == (0, "track 1 (mett): 47 angle_axis\nout.mp4\n", "")
    code, out, _ = call("convert", "mett.mp4", "-o", "vr.mp4", "--to", "vr180")
    assert (code, out) == (0, "track 1 (mett): 47 angle_axis\nvr.mp4\n")
