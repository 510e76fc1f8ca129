"""Gyroflow's log says what is in the clip: a row for each angular rate, the rest beside it."""

from datetime import UTC, datetime

import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from muxer import reader
from muxer.extract import FORMATS, NothingToExtractError, Selection
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

GYRO, ACCELERATION, FIELD = PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD
CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
MS = 1_000_000


def clip(folder, *blocks, model="rig"):
    about = MovieDescription(CREATED, "cammcorder", model, {})
    recording = Recording(folder / "walk.mp4", [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    recording.finish(100_000 * MS, about)
    return reader.open(folder / "walk.mp4")


def vectors(kind, times_ms, rows):
    data = np.array(rows, np.float32)
    return Samples(kind, np.array(times_ms, np.int64) * MS, data)


def ramp(kind, times_ms, slope=1.0):
    return vectors(kind, times_ms, [[slope * t, -slope * t, 2.0] for t in times_ms])


def log(clip, kinds=None):
    """The header as a dictionary, the names of the columns, and the rows."""
    (made,) = FORMATS["gcsv"](Selection(clip, kinds))
    assert made.suffix == ".gcsv"
    first, *lines = b"".join(made.pieces(clip.record_blocks())).decode().splitlines()
    assert first == "GYROFLOW IMU LOG"
    at = next(n for n, line in enumerate(lines) if line.startswith("t,"))
    header = dict(line.split(",") for line in lines[:at])
    return header, lines[at], np.array([line.split(",") for line in lines[at + 1 :]], np.float64)


def test_values_are_the_clips_own(tmp_path):
    gyro = vectors(GYRO, [0, 5, 10], [[0.1, -0.2, 0.3], [1e-7, 34.9, 0], [1 / 3, 0, 0]])
    accel = vectors(ACCELERATION, [0, 5, 10], [[0, -9.80665, 0], [1, 2, 3], [4, 5, 6]])
    with clip(tmp_path, gyro, accel) as made:
        header, columns, rows = log(made)
    assert columns == "t,gx,gy,gz,ax,ay,az"
    assert (rows[:, 0] * float(header["tscale"])).tolist() == [0, 0.005, 0.01]
    np.testing.assert_array_equal((rows[:, 1:4] * float(header["gscale"])).astype("f4"), gyro.data)
    np.testing.assert_allclose(
        rows[:, 4:] * float(header["ascale"]) * 9.80665, accel.data, rtol=1e-7
    )
    np.testing.assert_array_equal(rows[:, 4:].astype("f4"), accel.data)


def test_the_header_says_what_it_is_of(tmp_path):
    exposure = empty_values(PacketType.EXPOSURE, 3)
    exposure["rolling_shutter_skew_time"] = [0, 14_360_000, 14_360_000]
    shutter = Samples(PacketType.EXPOSURE, np.arange(3) * 33 * MS, exposure)
    with clip(tmp_path, ramp(GYRO, [0, 5]), shutter, model='a "rig", of sorts') as made:
        header, columns, _ = log(made)
    assert columns == "t,gx,gy,gz"
    assert header == {
        "version": "1.3",
        "id": "a  rig   of sorts",
        "orientation": "yxz",
        "vendor": "cammcorder",
        "videofilename": "walk.mp4",
        "timestamp": "1780315200",
        "frame_readout_time": "14.36",
        "frame_readout_direction": "0",
        "tscale": "0.000000001",
        "gscale": "1",
        "ascale": repr(1 / 9.80665),
        "mscale": "0.01",
    }


def test_the_header_is_found_in_the_first_500_bytes(tmp_path):
    with clip(tmp_path, ramp(GYRO, [0, 5]), model="m" * 400) as made:
        (document,) = FORMATS["gcsv"](Selection(made))
        text = b"".join(document.pieces(made.record_blocks()))
    assert text.index(b"t,gx,gy,gz") < 500


def test_other_rates_are_interpolated_and_held(tmp_path):
    gyro = ramp(GYRO, range(0, 100, 5))
    accel = ramp(ACCELERATION, range(0, 80, 4), slope=3)
    field = ramp(FIELD, range(10, 90, 20))
    with clip(tmp_path, gyro, accel, field) as made:
        _, columns, rows = log(made)
    assert columns == "t,gx,gy,gz,ax,ay,az,mx,my,mz"
    t_ms = rows[:, 0] / MS
    np.testing.assert_allclose(rows[:, 4], 3 * np.minimum(t_ms, 76), rtol=1e-6)
    np.testing.assert_allclose(rows[:, 7], np.clip(t_ms, 10, 70), rtol=1e-6)


def test_it_is_the_same_in_blocks(tmp_path):
    t_ms = np.arange(0, 60_000, 5)
    gyro, accel = ramp(GYRO, t_ms), ramp(ACCELERATION, t_ms)
    field = ramp(FIELD, np.arange(3, 45_000, 13))
    with clip(tmp_path, gyro, accel, field) as made:
        _, _, rows = log(made)
        assert len(rows) == len(t_ms)
        np.testing.assert_array_equal(rows[:, 4:7].astype("f4"), accel.data)
        inside = (t_ms >= 3) & (t_ms <= field.t_ns[-1] // MS)
        np.testing.assert_allclose(rows[inside, 7], t_ms[inside], rtol=1e-6)
        assert set(rows[t_ms > 45_000, 7]) == {np.float32(field.data[-1, 0])}


def test_there_is_a_row_at_time_zero(tmp_path):
    """Gyroflow counts from the first row."""
    late = ramp(GYRO, range(2500, 2600, 5))
    with clip(tmp_path, ramp(ACCELERATION, range(0, 2600, 5)), late) as made:
        _, _, rows = log(made)
    assert rows[:2, 0].tolist() == [0, 2500 * MS]
    np.testing.assert_array_equal(rows[0, 1:4], rows[1, 1:4])


def test_a_field_without_a_force_has_no_columns(tmp_path):
    with clip(tmp_path, ramp(GYRO, [0, 5]), ramp(FIELD, [0, 10])) as made:
        assert log(made)[1] == "t,gx,gy,gz"
        assert log(made, {GYRO})[1] == "t,gx,gy,gz"


def test_numbers_that_are_none_stay_where_they_are(tmp_path):
    accel = vectors(ACCELERATION, [0, 5, 10], [[1, 2, 3], [np.nan, 2, 3], [1, 2, 3]])
    with clip(tmp_path, ramp(GYRO, [0, 5, 10]), accel) as made:
        _, _, rows = log(made)
    np.testing.assert_array_equal(rows[:, 4:], accel.data)


def test_without_an_angular_rate_there_is_nothing(tmp_path):
    with (
        clip(tmp_path, ramp(ACCELERATION, [0, 5])) as made,
        pytest.raises(NothingToExtractError, match="no angular rate"),
    ):
        FORMATS["gcsv"](Selection(made))
