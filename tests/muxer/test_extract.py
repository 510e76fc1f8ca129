"""CSV, GPX and JSON Lines say what is in the clip, to the last bit."""

import csv
import io
import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gpxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camm import FIELD_NAMES, PacketType, Samples, empty_values
from muxer import reader
from muxer.boxes import box
from muxer.extract import FORMATS, NothingToExtractError, Selection, write_whole
from muxer.extract.cells import shortest
from muxer.fragments import Run
from muxer.gps_epoch import GpsEpoch, recognise, utc
from muxer.movie import Handler
from muxer.recording import Recording
from muxer.recording_file import METADATA_HEADER, MovieDescription, RecordingFile, TrackSpec

PIXEL = Path(__file__).parents[1] / "data" / "camm" / "mett_replaced_with_camm.mp4"
CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
GPS_TIME = 1464350418.0  # 16948 days and 12 h since 1980-01-06, and 18 leap seconds
UNIX_TIME = 1780315200.0  # the same moment


def film(folder, *blocks, created=CREATED, name="walk.mp4"):
    """A clip of these blocks; times count from its start."""
    about = MovieDescription(created, "cammcorder", "rig", {})
    recording = Recording(folder / name, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    recording.finish(10_000_000_000, about)
    return reader.open(folder / name)


def fixes(count, **fields):
    data = empty_values(PacketType.GPS, count)
    data["time_gps_epoch"] = GPS_TIME + np.arange(count)
    data["gps_fix_type"] = 3
    data["latitude"] = 47.5 + np.arange(count) / 1e6
    data["longitude"] = 8.25
    data["altitude"] = 432.1
    for field, values in fields.items():
        data[field] = values
    return Samples(PacketType.GPS, np.arange(count) * 1_000_000_000, data)


def vectors(kind, rows, step_ns=5_000_000):
    data = np.array(rows, np.float32)
    return Samples(kind, np.arange(len(data)) * step_ns, data)


def documents(clip, name, kinds=None):
    return {
        made.suffix: b"".join(made.pieces(clip.record_blocks())).decode()
        for made in FORMATS[name](Selection(clip, kinds))
    }


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


# Numbers


@given(hnp.arrays(np.float32, 50, elements=st.floats(width=32)))
def test_a_float32_reads_back_from_its_digits(values):
    printed = [f"{value:.9g}" for value in shortest(values).tolist()]
    np.testing.assert_array_equal(np.array(printed, np.float32), values)


@given(hnp.arrays(np.float32, 50, elements=st.floats(-1e9, 1e9, width=32)))
def test_it_has_no_more_digits_than_numpy_needs(values):
    for value, wide in zip(values, shortest(values).tolist(), strict=True):
        if abs(float(value)) >= 1e-13:
            assert float(f"{wide:.9g}") == float(str(value))


def test_a_signalling_nan_is_printed_without_a_warning():
    assert np.isnan(shortest(np.array([0x7FA00001], np.uint32).view(np.float32)))[0]


# CSV


def test_csv_has_a_table_for_each_type_with_the_fields_of_the_specification(tmp_path):
    with film(
        tmp_path,
        vectors(PacketType.GYRO, [(0.1, -0.2, 0.3), (1e-7, 0, 1)]),
        fixes(1),
    ) as clip:
        found = documents(clip, "csv")
    assert found[".gyro.csv"] == (
        "t_s,utc,gyro_x,gyro_y,gyro_z\n"
        "0.000000000,2026-06-01T12:00:00.000000Z,0.1,-0.2,0.3\n"
        "0.005000000,2026-06-01T12:00:00.005000Z,1e-07,0,1\n"
    )
    head, row = found[".gps.csv"].splitlines()
    assert head.split(",") == ["t_s", "utc", *FIELD_NAMES[PacketType.GPS]]
    noon = "2026-06-01T12:00:00.000000Z"
    assert row == f"0.000000000,{noon},1464350418.0,3,47.5,8.25,432.1,0,0,0,0,0,0"
    assert set(found) == {".gyro.csv", ".gps.csv"}


def test_exposures_are_whole_nanoseconds(tmp_path):
    data = empty_values(PacketType.EXPOSURE, 1)
    data["pixel_exposure_time"], data["rolling_shutter_skew_time"] = 8_333_333, -1
    with film(tmp_path, Samples(PacketType.EXPOSURE, np.zeros(1, np.int64), data)) as clip:
        row = documents(clip, "csv")[".exposure.csv"].splitlines()[1]
    assert row == "0.000000000,2026-06-01T12:00:00.000000Z,8333333,-1"


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_csv_reads_back_to_the_last_bit(seed, tmp_path_factory):
    random = np.random.default_rng(seed)
    vector = random.normal(size=(30, 3)) * 10.0 ** random.integers(-20, 20, (30, 3))
    gps = fixes(9, latitude=random.uniform(-90, 90, 9), velocity_up=random.normal(size=9))
    with film(
        tmp_path_factory.mktemp("clip"), vectors(PacketType.MAGNETIC_FIELD, vector), gps
    ) as clip:
        found = documents(clip, "csv")
    for axis, column in zip("xyz", vector.astype(np.float32).T, strict=True):
        read = [row[f"magnetic_field_{axis}"] for row in table(found[".magnetic_field.csv"])]
        np.testing.assert_array_equal(np.array(read, np.float32), column)
    for name in FIELD_NAMES[PacketType.GPS]:
        read = np.array([row[name] for row in table(found[".gps.csv"])])
        np.testing.assert_array_equal(read.astype(gps.data.dtype[name]), gps.data[name])


def test_csv_goes_on_behind_the_first_piece(tmp_path):
    count = 70_000
    with film(
        tmp_path, vectors(PacketType.GYRO, np.arange(count * 3).reshape(-1, 3), 1000)
    ) as clip:
        (made,) = FORMATS["csv"](Selection(clip))
        pieces = list(made.pieces(clip.record_blocks()))
        assert len(pieces) == 1 + clip.survey.blocks > 2
    rows = table(b"".join(pieces).decode())
    assert [row["gyro_y"] for row in rows] == [str(3 * n + 1) for n in range(count)]
    assert rows[-1]["t_s"] == "0.069999000"


def test_only_the_wanted_types_are_written(tmp_path):
    wanted = {PacketType.GYRO}
    with film(tmp_path, vectors(PacketType.GYRO, [(1, 2, 3)]), fixes(1)) as clip:
        assert set(documents(clip, "csv", wanted)) == {".gyro.csv"}
        assert documents(clip, "jsonl", wanted)[".jsonl"].count("\n") == 1
        with pytest.raises(NothingToExtractError, match="no GPS fix"):
            documents(clip, "gpx", wanted)
        with pytest.raises(NothingToExtractError, match="magnetic_field"):
            documents(clip, "csv", {PacketType.MAGNETIC_FIELD})
        with pytest.raises(NothingToExtractError, match="magnetic_field"):
            documents(clip, "jsonl", {PacketType.MAGNETIC_FIELD})


# JSON Lines


def test_json_lines_are_the_records_in_the_order_of_the_file(tmp_path):
    with film(
        tmp_path,
        vectors(PacketType.GYRO, [(0.1, 0.2, 0.3), (4, 5, 6)]),
        vectors(PacketType.ACCELERATION, [(7, 8, 9), (10, 11, 12)]),
    ) as clip:
        lines = documents(clip, "jsonl")[".jsonl"].splitlines()
    assert lines[0] == (
        '{"t_s": 0.000000000, "utc": "2026-06-01T12:00:00.000000Z", "type": 2, "name": "gyro", '
        '"gyro": [0.1, 0.2, 0.3]}'
    )
    assert [json.loads(line)["type"] for line in lines] == [2, 3, 2, 3]
    assert json.loads(lines[3]) == {
        "t_s": 0.005,
        "utc": "2026-06-01T12:00:00.005000Z",
        "type": 3,
        "name": "acceleration",
        "acceleration": [10, 11, 12],
    }


def test_json_has_null_for_what_is_no_number(tmp_path):
    with film(
        tmp_path,
        vectors(PacketType.GYRO, [(np.nan, np.inf, 1.5)]),
        fixes(2, horizontal_accuracy=[np.nan, 2.5]),
    ) as clip:
        lines = [json.loads(line) for line in documents(clip, "jsonl")[".jsonl"].splitlines()]
    assert lines[0]["gyro"] == [None, None, 1.5]
    assert [line["horizontal_accuracy"] for line in lines[1:]] == [None, 2.5]
    assert lines[2]["gps_fix_type"] == 3


def test_records_of_unknown_types_are_kept_as_bytes(tmp_path):
    packets = [struct.pack("<HH3f", 0, 2, 1, 2, 3), b"\0\0\x09\0secret"]
    camm = TrackSpec(
        1, Handler(b"meta", ""), METADATA_HEADER, 1000, box(b"camm", struct.pack(">6xH", 1))
    )
    about = MovieDescription(CREATED, "", "", {})
    file = RecordingFile(tmp_path / "walk.mp4", [camm], about)
    sizes = np.array([len(packet) for packet in packets])
    times = np.array([0, 1])
    file.append([Run(1, b"".join(packets), sizes, times, times * 0, 1, np.ones(2, np.bool_))])
    file.finalise(about)
    with reader.open(tmp_path / "walk.mp4") as clip:
        lines = documents(clip, "jsonl")[".jsonl"].splitlines()
        assert documents(clip, "jsonl", set(PacketType))[".jsonl"].splitlines() == lines[:1]
    assert json.loads(lines[1]) == {
        "t_s": 0.001,
        "utc": "2026-06-01T12:00:00.001000Z",
        "type": 9,
        "name": "unknown",
        "hex": packets[1].hex(),
    }


def test_a_real_clip_reads_the_same_in_both_formats():
    with reader.open(PIXEL) as clip:
        rows = table(documents(clip, "csv")[".angle_axis.csv"])
        lines = [json.loads(line) for line in documents(clip, "jsonl")[".jsonl"].splitlines()]
    assert len(rows) == len(lines) == 47
    for row, line in zip(rows, lines, strict=True):
        assert [float(row[f"angle_axis_{axis}"]) for axis in "xyz"] == line["angle_axis"]
        assert float(row["t_s"]) == line["t_s"]
    # Its sensor began late: the first record is held for 116.7 ms.
    assert float(rows[1]["t_s"]) == pytest.approx(0.1167, abs=1e-4)


# GPX


def test_gpx_is_one_track_with_times_in_utc(tmp_path):
    with film(tmp_path, fixes(3)) as clip:
        gpx = gpxpy.parse(documents(clip, "gpx")[".gpx"])
    (track,) = gpx.tracks
    assert track.name == "walk"
    points = track.segments[0].points
    assert [point.time for point in points] == [CREATED + timedelta(seconds=n) for n in range(3)]
    assert points[2].latitude == 47.500002
    assert points[0].elevation == pytest.approx(432.1, abs=1e-4)
    assert points[0].type_of_gpx_fix == "3d"
    assert gpx.version == "1.1"


def test_records_that_tell_no_place_are_left_out_of_gpx(tmp_path):
    block = fixes(
        6,
        gps_fix_type=[3, 0, 2, 3, 3, 3],
        latitude=[47, 47, 48, 0, np.nan, 91],
        longitude=[8, 8, 8, 0, 8, 8],
    )
    with film(tmp_path, block) as clip:
        points = gpxpy.parse(documents(clip, "gpx")[".gpx"]).tracks[0].segments[0].points
    assert [point.latitude for point in points] == [47, 48]
    assert [point.type_of_gpx_fix for point in points] == ["3d", "2d"]


def test_places_without_a_time_are_dated_by_the_clip(tmp_path):
    data = empty_values(PacketType.MIN_GPS, 2)
    data["latitude"], data["longitude"], data["altitude"] = 47, 8, [432, np.nan]
    block = Samples(PacketType.MIN_GPS, np.array([0, 1_500_000_000]), data)
    with film(tmp_path, block) as clip:
        points = gpxpy.parse(documents(clip, "gpx")[".gpx"]).tracks[0].segments[0].points
    assert [point.time - CREATED for point in points] == [timedelta(0), timedelta(seconds=1.5)]
    assert [point.elevation for point in points] == [432, None]


def test_without_any_date_the_places_are_still_written(tmp_path):
    with film(tmp_path, fixes(1, time_gps_epoch=0.25), created=None) as clip:
        points = gpxpy.parse(documents(clip, "gpx")[".gpx"]).tracks[0].segments[0].points
    assert points[0].time is None


def test_unix_times_in_a_clip_become_the_right_dates(tmp_path):
    for name, time in (("s.mp4", UNIX_TIME), ("ms.mp4", UNIX_TIME * 1000)):
        with film(tmp_path, fixes(1, time_gps_epoch=time), name=name) as clip:
            gpx = gpxpy.parse(documents(clip, "gpx")[".gpx"])
        assert gpx.tracks[0].segments[0].points[0].time == CREATED


def test_the_name_of_a_clip_cannot_break_the_xml(tmp_path):
    with film(tmp_path, fixes(1), name="a<b>&\x07.mp4") as clip:
        assert gpxpy.parse(documents(clip, "gpx")[".gpx"]).tracks[0].name == "a<b>&"


@pytest.mark.parametrize(
    ("time", "created", "epoch"),
    [
        (GPS_TIME, CREATED, GpsEpoch.GPS),
        (GPS_TIME, None, GpsEpoch.GPS),
        (GPS_TIME, datetime(1970, 1, 1, tzinfo=UTC), GpsEpoch.GPS),
        (UNIX_TIME, CREATED + timedelta(hours=14), GpsEpoch.UNIX),
        (UNIX_TIME * 1000, None, GpsEpoch.UNIX_MS),
        (0.6, CREATED, GpsEpoch.NONE),
        (np.nan, CREATED, GpsEpoch.NONE),
        (-1e300, CREATED, GpsEpoch.NONE),
        (1e300, CREATED, GpsEpoch.NONE),
    ],
)
def test_the_epoch_is_told_from_the_number_and_the_date(time, created, epoch):
    assert recognise(np.array([time]), created) is epoch


@given(st.floats(), st.sampled_from(GpsEpoch))
def test_no_number_breaks_the_reading_of_a_date(time, epoch):
    assert utc(time, epoch) is None or utc(time, epoch).tzinfo is UTC


# Files


def test_a_file_that_fails_half_way_leaves_nothing_behind(tmp_path):
    def text():
        yield "half of it"
        raise RuntimeError("the other half")

    (tmp_path / "walk.csv").write_text("as it was")
    with pytest.raises(RuntimeError):
        write_whole(tmp_path / "walk.csv", text())
    assert (tmp_path / "walk.csv").read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 1
