"""Recorded logs filmed again: what goes through a chip, what stays as it is, what is refused."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from camm import CammError, PacketType, Samples, UsageError, empty_values
from daemon.replay import replay_rig
from daemon.session import RecordingSession
from muxer import reader
from muxer.extract import FORMATS, Selection
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

GYRO, ACCELERATION, FIELD = PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD
DATA = Path(__file__).parents[1] / "data"
PIXEL = DATA / "camm/mett_replaced_with_camm.mp4"
RECEIVER = DATA / "gps/ublox-neo-m8p.log"
CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
MS = 1_000_000


def film(tmp_path, *logs, video=None, exact=False, name="again.mp4"):
    """The result of the recording, and the clip."""
    with replay_rig(list(logs), video, None, exact=exact) as rig:
        result = RecordingSession(rig, tmp_path / name, version="test").record()
    return result, reader.open(tmp_path / name)


def clip(folder, *blocks, name="walk.mp4", end_ms=60_000):
    """A clip of these blocks and of no film."""
    about = MovieDescription(CREATED, "cammcorder", "rig", {})
    recording = Recording(folder / name, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    recording.finish(end_ms * MS, about)
    return folder / name


def vectors(kind, t_ns, seed=1, size=1.0):
    data = np.random.default_rng(seed).uniform(-size, size, (len(t_ns), 3)).astype(np.float32)
    if kind is ACCELERATION:
        data[:, 1] -= 9.8
    return Samples(kind, np.asarray(t_ns, np.int64), data)


def motion(t_ns, **options):
    return vectors(GYRO, t_ns, 1, **options), vectors(ACCELERATION, t_ns, 2)


def even(rate_hz=200, seconds=3.0):
    return np.rint(np.arange(round(rate_hz * seconds)) * 1e6 / rate_hz).astype(np.int64) * 1000


def fixes(count):
    data = empty_values(PacketType.GPS, count)
    data["time_gps_epoch"] = 1464350418.0 + np.arange(count)  # when the clip was made
    data["gps_fix_type"], data["latitude"], data["longitude"] = 3, 47.5, 8.25
    return Samples(PacketType.GPS, np.arange(count) * 1000 * MS, data)


def assert_same(found, wanted, kinds=PacketType):
    """The same records at the same times."""
    for kind in kinds:
        ours, theirs = found.samples(kind), wanted.samples(kind)
        np.testing.assert_array_equal(ours.t_ns, theirs.t_ns, kind.label)
        np.testing.assert_array_equal(ours.data, theirs.data, kind.label)


def extracted(clip_path, folder, name):
    """What `extract` makes of a clip, beside it under its own stem."""
    folder.mkdir()
    with reader.open(clip_path) as opened:
        for document in FORMATS[name](Selection(opened)):
            content = b"".join(document.pieces(opened.record_blocks()))
            (folder / f"walk{document.suffix}").write_bytes(content)
    return folder


# As it is


def test_a_clip_as_it_is_comes_out_the_same(walk, tmp_path):
    result, again = film(tmp_path, walk.clip, exact=True)
    with again, reader.open(walk.clip) as before:
        assert_same(again, before)
        assert again.created == before.created
        np.testing.assert_array_equal(again.video.pts_ns, before.video.pts_ns)
    assert result.metadata["replay"] == {
        "log": "walk.mp4",
        "video": "walk.mp4",
        "imu": "blocks",
        "because": "asked for",
    }
    assert "fusion" not in result.metadata


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_what_extract_has_made_of_a_clip_comes_out_as_the_clip(walk, tmp_path, name):
    folder = extracted(walk.clip, tmp_path / name, name)
    log = folder / "walk.jsonl" if name == "jsonl" else folder
    _, again = film(tmp_path, log, video=walk.clip, exact=True)
    with again, reader.open(walk.clip) as before:
        assert_same(again, before)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_are_named_by_folder_by_stem_or_one_by_one(tmp_path, form):
    source = clip(tmp_path, *motion(even()), fixes(3))
    folder = extracted(source, tmp_path / form, form)
    tables = sorted(folder.iterdir())
    (folder / "notes.csv").write_text("other,columns\n")
    (folder / f"walk.frames.{form}").write_text("frame,t_s\n")
    with reader.open(source) as before:
        for number, logs in enumerate([[folder], [folder / "walk"], tables]):
            _, again = film(tmp_path, *logs, exact=True, name=f"{number}.mp4")
            with again:
                assert_same(again, before)
        _, again = film(tmp_path, folder / f"walk.gps.{form}", name="gps.mp4")
        with again:
            assert again.counts.keys() == {PacketType.GPS}
            assert_same(again, before, [PacketType.GPS])


def test_a_clip_of_another_maker_keeps_its_records_and_their_times(tmp_path):
    _, again = film(tmp_path, PIXEL, exact=True)
    with again, reader.open(PIXEL) as before:
        shown_ns = before.video.pts_ns.min()
        for kind in before.counts:
            ours, theirs = again.samples(kind), before.samples(kind)
            inside = theirs.t_ns >= shown_ns
            np.testing.assert_array_equal(ours.data[-inside.sum() :], theirs.data[inside])
            gaps = ours.t_ns[-inside.sum() :] - (theirs.t_ns[inside] - shown_ns)
            assert np.abs(gaps).max() <= 1000  # a tick


def test_gyroflows_log_comes_out_of_extract_and_goes_in_again(tmp_path):
    t_ns = even()
    source = clip(tmp_path, *motion(t_ns), vectors(FIELD, t_ns, 3, size=50.0))
    log = extracted(source, tmp_path / "gcsv", "gcsv") / "walk.gcsv"
    _, again = film(tmp_path, log, exact=True)
    with again, reader.open(source) as before:
        assert_same(again, before)
        assert again.created == CREATED


# Through the registers of a chip


def test_motion_goes_through_the_registers_of_a_chip_that_can_have_measured_it(walk, tmp_path):
    result, again = film(tmp_path, walk.clip)
    with again, reader.open(walk.clip) as before:
        assert_same(again, before, [PacketType.GPS, FIELD, PacketType.EXPOSURE])
        assert len(again.gyro) == len(before.gyro)
        late_ns = again.gyro.t_ns - before.gyro.t_ns
        assert np.abs(late_ns).max() < 300_000
        np.testing.assert_array_equal(again.gyro.t_ns, again.acceleration.t_ns)
        turned = np.degrees(np.abs(again.gyro.data[1:] - before.gyro.data[1:]))
        pushed = np.abs(again.acceleration.data[1:] - before.acceleration.data[1:]) / 9.80665
        assert turned.max() < 0.6 * 250 / 32768
        assert pushed.max() < 0.6 * 2 / 32768
        assert (turned > 0).any()
        assert len(again.angle_axis) == len(again.gyro)
    assert result.metadata["replay"]["imu"] == "registers of ICM-20948"
    assert "because" not in result.metadata["replay"]
    imu = result.metadata["sources"]["imu"]
    assert (imu["chip"], imu["rate_hz"], imu["gyro_range_dps"]) == ("ICM-20948", 225.0, 250.0)
    assert (imu["lost"], imu["failures"]) == (0, 0)
    assert result.metadata["fusion"]["heading"] == "true north"


@pytest.mark.parametrize(
    ("rate_hz", "size", "chip"),
    [
        (200, 1.0, "ICM-42688-P"),
        (1000, 30.0, "ICM-42688-P"),
        (416, 1.0, "LSM6DSOX"),
        (227.7, 1.0, "ICM-20948"),
        (400, 1.0, "BMI160"),
        (250, 1.0, "MPU-6500"),
    ],
)
def test_the_chip_is_one_that_has_the_rate_and_the_range(tmp_path, rate_hz, size, chip):
    source = clip(tmp_path, *motion(even(rate_hz), size=size))
    result, again = film(tmp_path, source)
    assert result.metadata["replay"]["imu"] == f"registers of {chip}"
    with again, reader.open(source) as before:
        most = len(before.gyro) - 1  # the first falls a little before time zero or behind it
        assert 0 <= len(again.gyro) - len(before.gyro) <= 1
        step = result.metadata["sources"]["imu"]["gyro_range_dps"] / 32768
        turned = np.degrees(np.abs(again.gyro.data[-most:] - before.gyro.data[-most:]))
        assert turned.max() < 0.6 * step


def unfit(t_ns, *, gyro=None, accel_ns=None):
    rates, forces = motion(t_ns)
    if gyro is not None:
        rates.data[7, 1] = gyro
    return rates, forces if accel_ns is None else vectors(ACCELERATION, accel_ns, 2)


GAP = np.concatenate([even(), even() + 3500 * MS])


@pytest.mark.parametrize(
    ("blocks", "because"),
    [
        (unfit(GAP), "505.000 ms without a sample at 2.995 s, usually 5.000 ms"),
        (unfit(even(700)), "no chip for 700.0 Hz"),
        (unfit(even(4000, 0.5)), "no chip for 4000.0 Hz"),
        (unfit(even(), gyro=40.0), "2292 deg/s"),
        (unfit(even(), gyro=np.nan), "values that are no numbers"),
        (unfit(even(), accel_ns=even(100)), "of different moments"),
        (unfit(even(200, 0.05)), "only 10 samples"),
        (unfit(np.repeat(even(100, 1.0), 2)), "not evenly sampled"),
        (unfit(np.zeros(30, np.int64)), "not evenly sampled"),
    ],
)
def test_what_no_chip_can_have_measured_is_handed_over_as_it_is(tmp_path, blocks, because, caplog):
    caplog.set_level(logging.ERROR)
    source = clip(tmp_path, *blocks)
    result, again = film(tmp_path, source)
    assert result.metadata["replay"]["imu"] == "blocks"
    assert because in result.metadata["replay"]["because"]
    with again, reader.open(source) as before:
        if "numbers" not in because:
            assert_same(again, before, [GYRO, ACCELERATION])
        np.testing.assert_array_equal(again.acceleration.t_ns, before.acceleration.t_ns)
        # Of moments that have both an orientation is made all the same.
        assert (len(again.angle_axis) > 0) == ("moments" not in because)


def test_north_is_found_by_the_first_fix_that_tells_a_place(tmp_path):
    told = fixes(5)
    told.data["gps_fix_type"][0] = 0
    told.data["latitude"][1] = np.nan
    told.data["latitude"][2] = told.data["longitude"][2] = 0
    told.data["time_gps_epoch"] *= 1e6  # as if of no epoch
    field = vectors(FIELD, even(50), 3, size=40.0)
    result, _ = film(tmp_path, clip(tmp_path, *motion(even(200, 6)), field, told))
    fusion = result.metadata["fusion"]
    assert fusion["heading"] == "true north"
    assert fusion["declination_deg"] == pytest.approx(3.4, abs=0.5)  # Switzerland
    assert result.metadata["movie"]["utc_from"] == "host clock"
    assert result.metadata["movie"]["zero_utc"].startswith("2026-06-01T12:00:00")


def test_an_orientation_that_was_recorded_is_not_made_again_beside_blocks(tmp_path):
    turned = vectors(PacketType.ANGLE_AXIS, GAP, 5)
    source = clip(tmp_path, *motion(GAP), turned)
    result, again = film(tmp_path, source)
    with again, reader.open(source) as before:
        assert_same(again, before)
    assert "fusion" not in result.metadata


# Whatever is in a log


def test_a_log_without_motion(tmp_path):
    source = clip(tmp_path, fixes(4), vectors(FIELD, even(50), 3))
    result, again = film(tmp_path, source)
    with again, reader.open(source) as before:
        assert_same(again, before)
    assert result.metadata["replay"] == {"log": "walk.mp4"}
    assert result.metadata["movie"]["utc_from"] == "gps"


def test_several_logs_fill_one_clip(tmp_path):
    first = clip(tmp_path, *motion(even(200, 20)), name="motion.mp4")
    result, again = film(tmp_path, first, RECEIVER, video=DATA / "video/sample-5s.mp4")
    with again:
        assert len(again.gyro) == 4000
        assert len(again.gps) > 50
        assert again.video.width > 0
    assert result.metadata["replay"]["log"] == "motion.mp4, ublox-neo-m8p.log"
    assert result.metadata["sources"].keys() == {"imu", "gps", "camera"}


def test_records_out_of_order_are_put_in_order(tmp_path):
    rows = [f"{t / 1000:.9f},{t},0,0\n" for t in (0, 20, 10, 30, 50, 40)]
    log = tmp_path / "walk.gyro.csv"
    log.write_text("t_s,gyro_x,gyro_y,gyro_z\n" + "".join(rows))
    _, again = film(tmp_path, log)
    with again:
        assert again.gyro.data[:, 0].tolist() == [0, 10, 20, 30, 40, 50]


def test_a_record_that_comes_far_too_late_is_counted(tmp_path):
    rows = [f"{t:.9f},{t},0,0\n" for t in (*range(60), 1, *range(60, 70))]
    log = tmp_path / "walk.magnetic_field.csv"
    names = ",".join(f"magnetic_field_{axis}" for axis in "xyz")
    log.write_text(f"t_s,{names}\n{''.join(rows)}")
    tables = pytest.MonkeyPatch()
    with tables.context() as patch:
        patch.setattr("hw_sim.replay.tables._BLOCK_BYTES", 64)
        result, again = film(tmp_path, log)
    with again:
        assert len(again.magnetic_field) == 70
    assert result.metadata["sources"]["log"]["lost"] == 1


def test_five_minutes_without_a_record_are_five_minutes(tmp_path):
    source = clip(tmp_path, vectors(FIELD, [0, 300_000 * MS]), end_ms=301_000)
    _, again = film(tmp_path, source)
    with again, reader.open(source) as before:
        assert_same(again, before)


# Refusals


def test_what_two_logs_hold_is_asked_back(tmp_path):
    one = clip(tmp_path, *motion(even()), fixes(2), name="one.mp4")
    two = clip(tmp_path, vectors(GYRO, even()), name="two.mp4")
    with pytest.raises(UsageError, match=r"one\.mp4 and .*two\.mp4 both hold gyro: give one"):
        replay_rig([one, two], None, None)
    with pytest.raises(UsageError, match=r"m8p\.log and .*one\.mp4 both say where it was"):
        replay_rig([one, RECEIVER], None, None)
    with pytest.raises(UsageError, match="are both of a receiver"):
        replay_rig([RECEIVER, RECEIVER], None, None)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("none.csv", None, "there is no log"),
        ("x.parquet", b"PAR1....", "x.parquet is no whole table in Parquet"),
        ("x.gyro.csv", b"t_s,gyro_x,gyro_y,gyro_z\n", "holds no records"),
        ("x.jsonl", b'{"t_s": 0, "type": 99, "name": "unknown", "hex": ""}\n', "holds no records"),
        ("x.gcsv", b"GYROFLOW IMU LOG\nversion,1.3\n", "no line of columns"),
        ("x.log", b"", "is empty"),
        ("film.mp4", (DATA / "video/sample-5s.mp4").read_bytes(), "no camera motion metadata"),
        ("cut.mp4", PIXEL.read_bytes()[:600], "moov"),
    ],
)
def test_a_log_that_is_none_is_refused_in_a_line(tmp_path, name, data, words):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CammError) as refused:
        replay_rig([path], None, None)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no tables of `extract --to csv`"):
        replay_rig([tmp_path], None, None)
