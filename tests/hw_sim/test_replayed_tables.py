"""Logs as text, read back: what `extract` writes, and Gyroflow's own."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, Samples, UsageError
from hw_sim.replay import tables
from hw_sim.replay.gcsv import read_gcsv
from hw_sim.replay.log import Log, Stream
from hw_sim.replay.tables import read_csv, read_jsonl

GYRO, ACCELERATION, FIELD = PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD


def written(tmp_path, text, name="log.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def all_of(log, kind):
    return Samples.concatenate(kind, log.blocks(kind))


# Tables


GYRO_CSV = "t_s,gyro_x,gyro_y,gyro_z\n0.000000000,1,2,3\n0.004391074,0.1,nan,-inf\n"


def test_a_table_is_of_the_type_that_its_columns_name(tmp_path):
    path = written(tmp_path, GYRO_CSV)
    log = read_csv([path], "walk")
    assert (log.name, log.kinds) == ("walk", {GYRO})
    found = all_of(log, GYRO)
    assert found.t_ns.tolist() == [0, 4_391_074]
    np.testing.assert_array_equal(found.data, np.array([[1, 2, 3], [0.1, np.nan, -np.inf]], "f4"))


def test_records_of_several_fields_keep_their_types(tmp_path):
    path = written(
        tmp_path, "t_s,pixel_exposure_time,rolling_shutter_skew_time\n1.5,8000000,14360001\n"
    )
    found = all_of(read_csv([path], "x"), PacketType.EXPOSURE)
    assert found.t_ns.tolist() == [1_500_000_000]
    assert found.data.tolist() == [(8_000_000, 14_360_001)]


def test_long_tables_come_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 100)
    rows = [f"{n / 1000:.9f},{n},0,0\n" for n in range(100)]
    log = read_csv([written(tmp_path, "t_s,gyro_x,gyro_y,gyro_z\n" + "".join(rows))], "x")
    blocks = list(log.blocks(GYRO))
    assert len(blocks) > 10
    assert Samples.concatenate(GYRO, blocks).data[:, 0].tolist() == list(range(100))


@pytest.mark.parametrize("end", ["0.005,1", "0.005,1,2,", "0.005,1,2,3.4e"])
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path, end):
    assert len(all_of(read_csv([written(tmp_path, GYRO_CSV + end)], "x"), GYRO)) == 2


def test_a_last_line_without_its_end_counts_where_it_is_whole(tmp_path):
    assert len(all_of(read_csv([written(tmp_path, GYRO_CSV + "0.005,1,2,3")], "x"), GYRO)) == 3


def test_a_table_without_rows_holds_nothing(tmp_path):
    assert read_csv([written(tmp_path, "t_s,gyro_x,gyro_y,gyro_z\n")], "x").kinds == frozenset()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GYRO_CSV + "one,2,3,4\n0.1,1,2,3\n", "line 4: expected 4 numbers, found 'one,2,3,4'"),
        (GYRO_CSV + "0.1,2,3\n0.1,1,2,3\n", "line 4: expected 4 numbers, found '0.1,2,3'"),
        (GYRO_CSV + "nan,1,2,3\n", "time nan"),
        (GYRO_CSV + "1e300,1,2,3\n", "time 1e"),
        ("t_s,gyro_x,gyro_y\n0,1,2\n", "columns t_s,gyro_x,gyro_y: expected a table of"),
        ("t_s,pixel_exposure_time,rolling_shutter_skew_time\n0,nan,1\n", "whole numbers"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_line(tmp_path, text, words):
    with pytest.raises(UsageError) as refused:
        all_of(read_csv([written(tmp_path, text)], "x"), GYRO)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_tables_of_one_type_are_of_two_clips(tmp_path):
    paths = [written(tmp_path, GYRO_CSV, name) for name in ("a.gyro.csv", "b.gyro.csv")]
    with pytest.raises(UsageError, match=r"a\.gyro\.csv and .*b\.gyro\.csv both hold gyro"):
        read_csv(paths, "x")


# JSON Lines


def record(t_s, **fields):
    return json.dumps({"t_s": t_s, "type": 2, "name": "gyro", **fields}) + "\n"


def test_json_lines_are_told_apart_by_type(tmp_path):
    text = (
        record(0.0, gyro=[1, 2, None])
        + '{"t_s": 0.1, "type": 5, "latitude": 47.5, "longitude": null, "altitude": 400}\n'
        + '{"t_s": 0.2, "type": 99, "name": "unknown", "hex": "00"}\n'
    )
    log = read_jsonl(written(tmp_path, text))
    assert log.kinds == {GYRO, PacketType.MIN_GPS}
    np.testing.assert_array_equal(all_of(log, GYRO).data, np.array([[1, 2, np.nan]], "f4"))
    place = all_of(log, PacketType.MIN_GPS)
    assert (place.t_ns[0], place.data["latitude"][0]) == (100_000_000, 47.5)
    assert np.isnan(place.data["longitude"][0])


def test_the_last_object_may_be_cut_off(tmp_path):
    text = record(0, gyro=[1, 2, 3]) + record(1, gyro=[1, 2, 3])
    assert len(all_of(read_jsonl(written(tmp_path, text[:-5])), GYRO)) == 1
    assert len(all_of(read_jsonl(written(tmp_path, text[:-1])), GYRO)) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1, 2]\n", "line 2: expected an object"),
        ("{oops\n", "line 2: expected an object with t_s and type"),
        ('{"t_s": 1, "type": "gyro"}\n', "line 2: expected an object"),
        ('{"t_s": 1, "type": 2}\n', "a record of gyro is not as"),
        ('{"t_s": 1, "type": 2, "gyro": [1, 2]}\n', "a record of gyro is not as"),
        ('{"t_s": null, "type": 2, "gyro": [1, 2, 3]}\n', "time nan"),
    ],
)
def test_a_line_that_is_no_record_is_refused(tmp_path, line, words):
    text = record(0, gyro=[1, 2, 3]) + line + record(2, gyro=[1, 2, 3])
    with pytest.raises(UsageError) as refused:
        all_of(read_jsonl(written(tmp_path, text)), GYRO)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.lists(st.sampled_from([record(1, gyro=[1, 2, 3]), "\n", "{", "7", '"t_s"', "}\n"])))
def test_whatever_the_lines_they_are_read_or_refused(tmp_path, lines):
    path = written(tmp_path, "".join(lines))
    try:
        assert read_jsonl(path).kinds <= {GYRO}
    except UsageError as refused:
        assert "line " in str(refused)  # noqa: PT017 - it may well be read


# .gcsv


# The example of the format's description, its axes as in the picture there.
EXAMPLE = """GYROFLOW IMU LOG
version,1.3
id,custom_logger_name
orientation,YxZ
timestamp,1644159993
tscale,0.001
gscale,0.00122173047
ascale,0.00048828125
mscale,0.00059875488
t,gx,gy,gz,ax,ay,az,mx,my,mz
1000,39,86,183,-1137,-15689,-2986,123,345,546
1001,56,100,202,-1179,-15694,-2887,124,344,560
"""


def test_gyroflows_log_in_our_axes_and_units(tmp_path):
    log = read_gcsv(written(tmp_path, EXAMPLE))
    assert log.kinds == {GYRO, ACCELERATION, FIELD}
    assert log.created.isoformat() == "2022-02-06T15:06:33+00:00"
    gyro, accel, field = (all_of(log, kind) for kind in (GYRO, ACCELERATION, FIELD))
    # Y is up, -x is left and Z is back: right is x, down is -Y, forward is -Z.
    np.testing.assert_allclose(gyro.data[0], np.array([39, -86, -183]) * 0.00122173047)
    np.testing.assert_allclose(
        accel.data[0], np.array([-1137, 15689, 2986]) * 0.00048828125 * 9.80665
    )
    np.testing.assert_allclose(field.data[0], np.array([123, -345, -546]) * 0.059875488)
    # Gyroflow counts from the first row.
    assert gyro.t_ns.tolist() == accel.t_ns.tolist() == [0, 1_000_000]


def test_a_level_camera_at_rest_feels_upwards(tmp_path):
    level = EXAMPLE.partition("1000,")[0] + "0,0,0,0,0,2048,0,0,0,0\n"
    (force,) = all_of(read_gcsv(written(tmp_path, level)), ACCELERATION).data
    np.testing.assert_allclose(force, [0, -9.80665, 0])


def test_the_rest_of_a_row_outlives_a_number_that_is_none(tmp_path):
    (row, _) = all_of(read_gcsv(written(tmp_path, EXAMPLE.replace("39,", "nan,"))), GYRO).data
    assert np.isnan(row[0])
    assert np.isfinite(row[1:]).all()


def test_a_log_of_rates_alone(tmp_path):
    text = "CAMERA IMU LOG\nversion,1\nid,x\norientation,yxz\ngscale,1\nt,gx,gy,gz\n5,1,2,3\n"
    log = read_gcsv(written(tmp_path, text))
    assert (log.kinds, log.created) == ({GYRO}, None)
    np.testing.assert_array_equal(all_of(log, GYRO).data, [[1, 2, 3]])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("orientation,YxZ\n", "", "orientation must name x, y and z, as YxZ does, found ''"),
        ("YxZ", "YYZ", "found 'YYZ'"),
        ("YxZ", "YXZ", "orientation YXZ is a mirror"),
        ("gscale,0.001", "gscale,much", "gscale must be a number, found 'much"),
        ("tscale,0.001", "tscale,0", "tscale must be a number, found '0'"),
        ("t,gx,gy,gz,ax,ay,az,mx,my,mz", "t,gx,gy", "3 columns, expected t,gx,gy,gz,"),
        ("t,gx", "time_of_day,gx", "no line of columns"),
        ("39,86", "39,,86", "line 11: expected 10 numbers"),
    ],
)
def test_a_gyroflow_log_that_is_none_is_refused_in_a_line(tmp_path, old, new, words):
    with pytest.raises(UsageError) as refused:
        all_of(read_gcsv(written(tmp_path, EXAMPLE.replace(old, new))), GYRO)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@given(
    st.lists(
        st.sampled_from(
            [
                *EXAMPLE.splitlines(keepends=True),
                "0",
                ",",
                "\n",
                "x,",
                "-1e400,",
                "orientation,zYx\n",
            ]
        )
    )
)
def test_whatever_a_gyroflow_log_says_it_is_read_or_refused(tmp_path, parts):
    path = written(tmp_path, "GYROFLOW IMU LOG\n" + "".join(parts))
    try:
        log = read_gcsv(path)
        sizes = {kind: len(all_of(log, kind)) for kind in log.kinds}
    except UsageError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - it may well be read
    else:
        assert len(set(sizes.values())) <= 1


@given(st.lists(st.sampled_from(["0", "1.5", "nan", ",", ",,", "\n", "x", "0,1,2,3\n", "\r\n"])))
def test_whatever_a_table_says_it_is_read_or_refused(tmp_path, parts):
    path = written(tmp_path, "t_s,gyro_x,gyro_y,gyro_z\n" + "".join(parts))
    try:
        log = read_csv([path], "x")
    except UsageError as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - it may well be read
    else:
        assert log.kinds <= {GYRO}


def test_a_header_alone_holds_nothing(tmp_path):
    log = read_gcsv(written(tmp_path, EXAMPLE.partition("1000,")[0]))
    assert log.kinds == frozenset()


# In the order of time


def stream(times_ms, block=4, shift_ns=0):
    t_ns = np.array(times_ms, np.int64) * 1_000_000
    samples = Samples(GYRO, t_ns, np.array(times_ms, np.float64)[:, None].repeat(3, 1))
    blocks = [samples[at : at + block] for at in range(0, len(samples), block)]
    return Stream(Log("x", frozenset({GYRO}), lambda kind: iter(blocks)), GYRO, shift_ns)


@given(st.lists(st.integers(0, 900)), st.integers(1, 7))
def test_samples_come_in_order_from_a_log_that_has_them_out_of_order(times_ms, block):
    found = stream(times_ms, block)
    told = [found.until(t_ns) for t_ns in range(0, 1_100_000_000, 50_000_000)]
    assert np.concatenate([piece.data[:, 0] for piece in told]).tolist() == sorted(times_ms)
    assert (found.out_of_order, found.ended, found.next_ns()) == (0, True, None)


def test_what_comes_far_too_late_in_a_log_is_counted():
    found = stream([0, 2000, 2100, 2200, 100, 2300], block=1)
    assert found.until(1_200_000_000).data[:, 0].tolist() == [0]
    assert found.until(9_000_000_000).data[:, 0].tolist() == [2000, 2100, 2200, 2300]
    assert found.out_of_order == 1


def test_a_stream_reads_no_further_than_it_must():
    read = []

    def blocks(_kind):
        for n in range(100):
            read.append(n)
            yield Samples(GYRO, np.array([n * 1_000_000_000]), np.zeros((1, 3)))

    found = Stream(Log("x", frozenset({GYRO}), blocks), GYRO, 5)
    assert found.next_ns() == 5
    assert len(found.until(3_000_000_000)) == 3
    assert len(read) <= 6
