"""Tables: their dates, Parquet as pyarrow reads it, and a row for every video frame."""

import csv
import io
import json
import weakref
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from camm import FIELD_NAMES, PacketType, Samples, StreamFormat, empty_values
from camm.media import Packet
from muxer import reader
from muxer.extract import FORMATS, PER_FRAME, NothingToExtractError, Selection, make_together
from muxer.extract.document import in_step
from muxer.extract.utc import UtcClock, date_texts
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

pq = pytest.importorskip("pyarrow.parquet")

CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
GPS_TIME = 1464350418.0  # the same moment
MS = 1_000_000
SECOND = 1000 * MS


def film(folder, *blocks, frames=0, created=CREATED):
    """A clip of these blocks, and of a frame every 40 ms."""
    about = MovieDescription(created, "cammcorder", "rig", {})
    streams = [StreamFormat("video", "mjpeg", 1000, width=64, height=48)] if frames else []
    recording = Recording(folder / "walk.mp4", streams, about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    for number in range(frames):
        at = number * 40 * MS
        recording.add_packets([Packet(0, b"picture", at, at, 40 * MS)])
    recording.finish(max(frames * 40 * MS, 10 * SECOND), about)
    return reader.open(folder / "walk.mp4")


def vectors(kind, t_ms, rows):
    return Samples(kind, np.array(t_ms, np.int64) * MS, np.array(rows, np.float32))


def fixes(t_ms, **fields):
    data = empty_values(PacketType.GPS, len(t_ms))
    data["time_gps_epoch"] = GPS_TIME + np.array(t_ms) / 1000
    data["gps_fix_type"], data["latitude"], data["longitude"], data["altitude"] = 3, 47.5, 8.25, 432
    for field, values in fields.items():
        data[field] = values
    return Samples(PacketType.GPS, np.array(t_ms, np.int64) * MS, data)


def written(clip, form, kinds=None, *, per_frame=False):
    documents = FORMATS[form](Selection(clip, kinds, per_frame=per_frame))
    return {made.suffix: b"".join(made.pieces(clip.record_blocks())) for made in documents}


# Dates


def clock(t_ms, gps_s, created=CREATED):
    block = fixes(t_ms, time_gps_epoch=gps_s)
    return UtcClock(block, type("Clip", (), {"created": created}))


def utc(made, *t_ms):
    """Milliseconds since noon; a GPS time in a float64 is 240 ns off at most."""
    dates = made.at(np.array(t_ms, np.int64) * MS)
    since = (dates - np.datetime64("2026-06-01T12:00:00")) / np.timedelta64(1, "ms")
    return [None if np.isnan(ms) else round(ms, 3) for ms in since.tolist()]


def test_dates_are_the_fixes_own_and_go_evenly_between_them():
    """The clip's clock loses 10 ms in two seconds."""
    made = clock([1000, 2000, 3000], GPS_TIME + np.array([1, 2.005, 3.01]) + 100)
    assert made.source == "fixes"
    assert utc(made, 1000, 2000, 3000) == [101_000, 102_005, 103_010]
    assert utc(made, 1200, 2500) == [101_201, 102_507.5]
    assert utc(made, 0, 5000) == [100_000, 105_010]  # the nearest fix's clock


def test_a_date_that_is_off_the_others_is_not_heard():
    """Receivers that do not know of leap seconds yet say so in their first fixes."""
    made = clock([0, 1000, 2000, 3000], GPS_TIME + np.array([18, 1, 2, 3]))
    assert utc(made, 0, 500, 3000) == [0, 500, 3000]


def test_without_fixes_the_clip_tells_and_without_a_date_nothing():
    assert clock([], []).source == "creation"
    assert utc(clock([], []), 0, 1500) == [0, 1500]
    assert clock([0], 0.5, created=None).source is None
    assert utc(clock([0], 0.5, created=None), 0) == [None]


def test_dates_are_rounded_and_not_cut_off():
    dates = np.array(["2026-06-01T11:59:59.999999880", "NaT"], "datetime64[ns]")
    assert date_texts(dates, "ms") == ["2026-06-01T12:00:00.000Z", ""]
    assert date_texts(dates, "us") == ["2026-06-01T12:00:00.000000Z", ""]


def test_a_clip_without_a_date_has_none_in_its_tables(tmp_path):
    gyro = vectors(PacketType.GYRO, [0, 5], [[1, 2, 3], [4, 5, 6]])
    with film(tmp_path, gyro, created=None) as clip:
        rows = written(clip, "csv")[".gyro.csv"].decode().splitlines()
        lines = written(clip, "jsonl")[".jsonl"].splitlines()
        table = pq.read_table(io.BytesIO(written(clip, "parquet")[".gyro.parquet"]))
    assert rows[2] == "0.005000000,,4,5,6"
    assert json.loads(lines[1])["utc"] is None
    assert table["utc"].to_pylist() == [None, None]


# Parquet


def test_parquet_has_the_specifications_fields_in_its_own_types_with_units(tmp_path):
    random = np.random.default_rng(1)
    gyro = random.normal(size=(300, 3)).astype(np.float32)
    gps = fixes([0, 200, 400], latitude=random.uniform(-90, 90, 3), horizontal_accuracy=np.nan)
    with film(tmp_path, vectors(PacketType.GYRO, np.arange(300) * 5, gyro), gps) as clip:
        made = written(clip, "parquet")
    assert set(made) == {".gyro.parquet", ".gps.parquet"}
    table = pq.read_table(io.BytesIO(made[".gyro.parquet"]))
    assert table.column_names == ["t_s", "utc", "gyro_x", "gyro_y", "gyro_z"]
    assert [str(field.type) for field in table.schema] == [
        "double",
        "timestamp[us, tz=UTC]",
        *["float"] * 3,
    ]
    units = [field.metadata[b"unit"] for field in table.schema]
    assert units == [b"s", b"UTC", *[b"rad/s"] * 3]
    about = {name: table.schema.metadata[name] for name in (b"packet_type", b"clip", b"utc_from")}
    assert about == {b"packet_type": b"gyro", b"clip": b"walk.mp4", b"utc_from": b"fixes"}
    assert (np.rint(table["t_s"].to_numpy() * 1e9) == np.arange(300) * 5 * MS).all()
    for axis, column in zip("xyz", gyro.T, strict=True):
        np.testing.assert_array_equal(table[f"gyro_{axis}"].to_numpy(), column)
    assert table["utc"][299].as_py() == CREATED + timedelta(seconds=1.495)

    table = pq.read_table(io.BytesIO(made[".gps.parquet"]))
    assert table.column_names == ["t_s", "utc", *FIELD_NAMES[PacketType.GPS]]
    assert table.schema.field("gps_fix_type").type == "int32"
    assert table.schema.field("gps_fix_type").metadata is None
    assert table.schema.field("velocity_up").metadata == {b"unit": b"m/s"}
    np.testing.assert_array_equal(table["latitude"].to_numpy(), gps.data["latitude"])
    assert np.isnan(table["horizontal_accuracy"].to_numpy()).all()
    assert table["horizontal_accuracy"].null_count == 0


def test_parquet_goes_on_behind_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr("muxer.extract.parquet._ROW_GROUP", 1000)
    count = 70_000
    rows = np.arange(count * 3).reshape(-1, 3)
    gyro = Samples(PacketType.GYRO, np.arange(count) * 1000, rows.astype(np.float32))
    with film(tmp_path, gyro) as clip:
        assert clip.survey.blocks > 1
        content = written(clip, "parquet")[".gyro.parquet"]
    file = pq.ParquetFile(io.BytesIO(content))
    assert file.num_row_groups > 1
    np.testing.assert_array_equal(file.read()["gyro_y"].to_numpy(), rows[:, 1])


# Frames


def turned(axis, degrees):
    """Angle-axis about one axis."""
    return np.radians(degrees) * np.array(axis)


def rows_of(clip, kinds=None):
    text = written(clip, "csv", kinds, per_frame=True)[".frames.csv"].decode()
    return list(csv.DictReader(io.StringIO(text)))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def test_a_frame_has_its_orientation_in_four_forms(tmp_path):
    """From heading 170 degrees to 190, through the south where the vector changes sign."""
    t_ms = np.arange(0, 1010, 100)
    heading = np.interp(t_ms, [0, 1000], [170, 190])
    vector = [turned((0, 1, 0), h if h <= 180 else h - 360) for h in heading]
    with film(tmp_path, vectors(PacketType.ANGLE_AXIS, t_ms, vector), frames=26) as clip:
        rows = rows_of(clip)
    assert [row["frame"] for row in rows] == [str(n) for n in range(26)]
    assert rows[1]["t_s"] == "0.040000000"
    assert rows[1]["utc"] == "2026-06-01T12:00:00.040000Z"
    expected = 170 + 20 * np.arange(26) * 0.04
    np.testing.assert_allclose(column(rows, "yaw_deg"), expected, atol=1e-4)
    np.testing.assert_allclose(column(rows, "pitch_deg"), 0, atol=1e-4)
    np.testing.assert_allclose(column(rows, "roll_deg"), 0, atol=1e-4)
    angle = np.radians(expected)
    signed = np.where(angle > np.pi, angle - 2 * np.pi, angle)
    np.testing.assert_allclose(column(rows, "angle_axis_y"), signed, atol=1e-6)
    w, y = column(rows, "quaternion_w"), column(rows, "quaternion_y")
    np.testing.assert_allclose(np.abs(w * np.cos(angle / 2) + y * np.sin(angle / 2)), 1, atol=1e-7)
    # A turn to the right about the down axis takes forward (Z) towards the right (X).
    np.testing.assert_allclose(column(rows, "matrix_02"), np.sin(angle), atol=1e-6)
    np.testing.assert_allclose(column(rows, "matrix_22"), np.cos(angle), atol=1e-6)
    np.testing.assert_allclose(column(rows, "matrix_11"), 1, atol=1e-6)


def test_pitch_is_up_and_roll_is_the_right_side_down(tmp_path):
    pitch, roll = turned((1, 0, 0), 30), turned((0, 0, 1), 20)
    block = vectors(PacketType.ANGLE_AXIS, [0, 40], [pitch, roll])
    with film(tmp_path, block, frames=2) as clip:
        rows = rows_of(clip)
    np.testing.assert_allclose(column(rows, "pitch_deg"), [30, 0], atol=1e-4)
    np.testing.assert_allclose(column(rows, "roll_deg"), [0, 20], atol=1e-4)


def test_far_from_any_record_nothing_is_told(tmp_path):
    block = vectors(PacketType.ANGLE_AXIS, [0, 100, 3000], np.full((3, 3), 0.1))
    with film(tmp_path, block, frames=100) as clip:
        told = np.isfinite(column(rows_of(clip), "yaw_deg"))
    t_ms = np.arange(100) * 40
    np.testing.assert_array_equal(told, (t_ms <= 600) | ((t_ms >= 2500) & (t_ms <= 3500)))


def test_a_frame_has_the_exposure_whose_centre_it_is(tmp_path):
    """Records stand where exposures begin; one is missing, and one says that it is not known."""
    t_ms = [0, 36, 72, 160]
    data = empty_values(PacketType.EXPOSURE, 4)
    data["pixel_exposure_time"] = [4 * MS, 6 * MS, 14 * MS, 0]
    data["rolling_shutter_skew_time"] = [2 * MS, 2 * MS, 2 * MS, 0]
    block = Samples(PacketType.EXPOSURE, np.array(t_ms) * MS, data)
    with film(tmp_path, block, frames=5) as clip:
        rows = rows_of(clip)
        other = rows_of(clip, {PacketType.GYRO})
    found = [row["pixel_exposure_time"] for row in rows]
    assert found == ["4000000", "6000000", "14000000", "nan", "nan"]
    assert [row["rolling_shutter_skew_time"] for row in rows[:2]] == ["2000000"] * 2
    assert {row["pixel_exposure_time"] for row in other} == {"nan"}


def test_places_are_interpolated_for_display_and_say_so(tmp_path):
    block = fixes(
        [40, 120, 6000],
        latitude=[47, 47.2, 48],
        longitude=[179.9, -179.9, 8],
        altitude=[100, 200, 0],
        velocity_east=[3, 0, 0],
    )
    with film(tmp_path, block, frames=5) as clip:
        rows = rows_of(clip)
    places = ["", "measured", "interpolated", "measured", ""]  # then six seconds without a fix
    assert [row["place"] for row in rows] == places
    assert [row["latitude"] for row in rows[:3]] == ["nan", "47.000000000", "47.100000000"]
    assert abs(float(rows[2]["longitude"])) == pytest.approx(180)
    assert rows[2]["altitude"] == "150.000"
    assert rows[2]["speed"] == "1.500"


@pytest.mark.parametrize("step_ms", [5, 40, 1000])
def test_frames_come_out_the_same_however_records_come_in(tmp_path, step_ms):
    t_ms = np.arange(0, 4000, step_ms)
    random = np.random.default_rng(2)
    block = vectors(PacketType.ANGLE_AXIS, t_ms, random.normal(0, 0.1, (len(t_ms), 3)))
    with film(tmp_path, block, fixes(t_ms[::3]), frames=100) as clip:
        (document,) = FORMATS["csv"](Selection(clip, per_frame=True))
        whole = b"".join(document.pieces(clip.record_blocks()))
        (document,) = FORMATS["csv"](Selection(clip, per_frame=True))
        pieces = list(document.pieces(clip.record_blocks(0.25)))
    assert b"".join(pieces) == whole
    assert sum(piece.count(b"\n") for piece in pieces[:9]) > 40  # of 101: none is held back


def test_every_form_of_the_frames_says_the_same(tmp_path):
    block = vectors(PacketType.ANGLE_AXIS, [0, 100, 200], [[0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]])
    with film(tmp_path, block, frames=20) as clip:
        rows = rows_of(clip)
        lines = written(clip, "jsonl", per_frame=True)[".frames.jsonl"].splitlines()
        content = written(clip, "parquet", per_frame=True)[".frames.parquet"]
    table = pq.read_table(io.BytesIO(content))
    assert table.column_names == list(rows[0])
    assert table.schema.field("yaw_deg").metadata == {b"unit": b"deg"}
    for row, line, arrow in zip(rows, map(json.loads, lines), table.to_pylist(), strict=True):
        assert [float(row[f"quaternion_{part}"]) for part in "wxyz"] == pytest.approx(
            [part if part is not None else np.nan for part in line["quaternion"]], nan_ok=True
        )
        assert arrow["yaw_deg"] == pytest.approx(float(row["yaw_deg"]), abs=1e-6, nan_ok=True)
        assert len(line["matrix"]) == 9
        assert line["latitude"] is None
    assert PER_FRAME == ("csv", "jsonl", "parquet")


def test_without_frames_there_is_nothing(tmp_path):
    gyro = vectors(PacketType.GYRO, [0], [[1, 2, 3]])
    with film(tmp_path, gyro) as clip, pytest.raises(NothingToExtractError, match="no video"):
        FORMATS["csv"](Selection(clip, per_frame=True))


# All of them


def test_all_forms_come_out_of_one_pass(tmp_path):
    t_ms = np.arange(0, 8000, 5)
    random = np.random.default_rng(3)
    kinds = (PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.ACCELERATION)
    blocks = [vectors(kind, t_ms, random.normal(size=(len(t_ms), 3))) for kind in kinds]
    with film(tmp_path, *blocks, fixes(t_ms[::40]), frames=100) as clip:
        forms = sorted(set(FORMATS) - {"raw", "mcap+video"})

        def documents():
            selection = Selection(clip)
            return [made for form in forms for made in FORMATS[form](selection)]

        apart = [b"".join(made.pieces(clip.record_blocks(0.5))) for made in documents()]
        once = iter(list(clip.record_blocks(0.5)))
        rounds = list(make_together(documents(), once))
    assert [b"".join(pieces) for pieces in zip(*rounds, strict=True)] == apart
    assert len(apart) == 4 * 2 + 4 + 8  # tables twice, EuRoC, and one file of each other form


class Block:
    """What stands for a block of records."""


def test_a_block_is_let_go_of_when_all_have_had_it():
    made = []

    def blocks():
        for _ in range(5):
            block = Block()
            made.append(weakref.ref(block))
            yield block

    first, second, idle = in_step(blocks(), 3)
    next(first)
    next(first)
    assert [block() is None for block in made] == [False, False]
    next(second)
    assert made[0]() is not None  # the third may come yet
    del idle
    assert [block() is None for block in made] == [True, False]
    assert len(list(second)) == 4
    assert len(list(first)) == 3
    assert [block() is None for block in made] == [True] * 5
