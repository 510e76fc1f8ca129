"""Motion as others read it: MCAP by its own library, EuRoC's layout, subtitles by FFmpeg."""

import base64
import csv
import io
import json
from datetime import UTC, datetime

import av
import jsonschema_rs
import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from muxer import reader
from muxer.extract import FORMATS, NothingToExtractError, Selection
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

mcap_reader = pytest.importorskip("mcap.reader")

GYRO, ACCELERATION, FIELD = PacketType.GYRO, PacketType.ACCELERATION, PacketType.MAGNETIC_FIELD
CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
CREATED_NS = 1_780_315_200 * 1_000_000_000
GPS_TIME = 1464350418.0  # the same moment
MS = 1_000_000


def film(folder, *blocks, created=CREATED):
    about = MovieDescription(created, "cammcorder", "rig", {})
    recording = Recording(folder / "walk.mp4", [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    recording.finish(4500 * MS, about)
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


def written(clip, form, kinds=None):
    documents = FORMATS[form](Selection(clip, kinds))
    return {made.suffix: b"".join(made.pieces(clip.record_blocks())) for made in documents}


# MCAP


def messages(content):
    """(time, message) by topic; each message is held against the schema in the file."""
    found = {}
    validators = {}
    made = mcap_reader.make_reader(io.BytesIO(content), validate_crcs=True)
    for schema, channel, message in made.iter_messages():
        assert (schema.encoding, channel.message_encoding) == ("jsonschema", "json")
        said = json.loads(message.data, parse_constant=pytest.fail)
        if schema.id not in validators:
            validators[schema.id] = jsonschema_rs.validator_for(json.loads(schema.data))
        validators[schema.id].validate(said)
        found.setdefault((channel.topic, schema.name), []).append((message.log_time, said))
    summary = made.get_summary()
    assert summary.statistics.message_count == sum(map(len, found.values()))
    return found


def test_mcap_has_fixes_as_foxglove_shows_them(tmp_path):
    moving = {
        "velocity_east": [3, np.nan],
        "velocity_north": -4,
        "velocity_up": 0.5,
        "horizontal_accuracy": [2, np.nan],
        "vertical_accuracy": 3,
    }
    with film(tmp_path, fixes([0, 200], altitude=[432, np.nan], **moving)) as clip:
        ((key, (first, second)),) = messages(written(clip, "mcap")[".mcap"]).items()
    assert key == ("/gps", "foxglove.LocationFix")
    assert [round((t - CREATED_NS) / MS) for t, _ in (first, second)] == [0, 200]
    _, said = first
    assert said["timestamp"] == {"sec": 1_780_315_200, "nsec": 0}
    assert (said["latitude"], said["longitude"], said["altitude"]) == (47.5, 8.25, 432)
    assert said["position_covariance"] == [2, 0, 0, 0, 2, 0, 0, 0, 9]
    assert said["position_covariance_type"] == 2
    assert said["velocity"] == pytest.approx({"x": 3, "y": -4, "z": 0.5}, abs=2e-3)
    assert second[1]["position_covariance_type"] == 0
    assert second[1]["altitude"] == 0
    assert "velocity" not in second[1]


def test_mcap_has_the_pose_in_a_world_whose_z_is_up(tmp_path):
    """A level camera that looks north; then one that looks east, two metres up."""
    turned = vectors(PacketType.ANGLE_AXIS, [0, 5], [[1e-9, 0, 0], [0, np.pi / 2, 0]])
    moved = vectors(PacketType.POSITION, [3], [[1, -2, 3]])
    with film(tmp_path, turned, moved) as clip:
        found = messages(written(clip, "mcap")[".mcap"])
    poses = [said["pose"] for _, said in found[("/pose", "foxglove.PoseInFrame")]]

    def turn(vector, pose):
        """By the quaternion's matrix."""
        q = pose["orientation"]
        w, x, y, z = q["w"], q["x"], q["y"], q["z"]
        matrix = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        return np.array(matrix) @ vector

    for pose, forward in zip(poses, ([0, 1, 0], [1, 0, 0]), strict=True):  # east, north, up
        np.testing.assert_allclose(turn([0, 0, 1], pose), forward, atol=1e-6)
        np.testing.assert_allclose(turn([0, 1, 0], pose), [0, 0, -1], atol=1e-6)
    assert poses[0]["position"] == {"x": 0, "y": 0, "z": 0}
    assert poses[1]["position"] == pytest.approx({"x": 1, "y": 3, "z": 2})


def test_mcap_has_the_motion_and_the_field(tmp_path):
    gyro = vectors(GYRO, [0, 10, 20], [[0.1, 0.2, 0.3], [np.nan, 0, 0], [1, 2, 3]])
    accel = vectors(ACCELERATION, [0, 20], [[0, -9.75, 0], [2, -9.75, 0]])
    field = vectors(FIELD, [0], [[20, 40, -10]])
    with film(tmp_path, gyro, accel, field) as clip:
        found = messages(written(clip, "mcap")[".mcap"])
        alone = messages(written(clip, "mcap", {GYRO})[".mcap"])
    imu = found[("/imu", "sensor_msgs/msg/Imu")]
    assert [t - CREATED_NS for t, _ in imu] == [0, 20 * MS]  # JSON has no word for NaN
    assert imu[0][1]["angular_velocity"] == pytest.approx({"x": 0.1, "y": 0.2, "z": 0.3})
    assert imu[1][1]["linear_acceleration"] == {"x": 2, "y": -9.75, "z": 0}
    assert imu[0][1]["orientation_covariance"][0] == -1  # there is none
    ((_, said),) = found[("/magnetic_field", "sensor_msgs/msg/MagneticField")]
    assert said["magnetic_field"] == pytest.approx({"x": 20e-6, "y": 40e-6, "z": -10e-6})
    ((_, said), _) = alone[("/imu", "sensor_msgs/msg/Imu")]
    assert said["linear_acceleration_covariance"][0] == -1
    assert alone.keys() == {("/imu", "sensor_msgs/msg/Imu")}


def test_mcap_without_a_date_counts_from_the_first_frame(tmp_path):
    with film(tmp_path, vectors(GYRO, [0, 1500], np.ones((2, 3))), created=None) as clip:
        ((_, found),) = messages(written(clip, "mcap")[".mcap"]).items()
    assert [t for t, _ in found] == [0, 1500 * MS]
    assert found[1][1]["header"]["stamp"] == {"sec": 1, "nanosec": 500 * MS}


def test_the_film_in_mcap_can_be_decoded_picture_by_picture(walk):
    with reader.open(walk.clip) as clip:
        found = messages(written(clip, "mcap+video")[".video.mcap"])
        shown, dates = np.sort(clip.video.pts_ns), Selection(clip).utc
        expected = dates.at(shown).astype(np.int64)
        counts = clip.counts
    pictures = found[("/video", "foxglove.CompressedVideo")]
    assert [t for t, _ in pictures] == expected.tolist()
    decoder = av.CodecContext.create("h264", "r")
    decoded = 0
    for _, said in pictures:
        data = base64.b64decode(said["data"], validate=True)
        assert (said["format"], data[:3]) == ("h264", b"\0\0\0")  # a start code
        decoded += len(decoder.decode(av.Packet(data)))
    assert decoded + len(decoder.decode(None)) == 300
    assert len(found[("/pose", "foxglove.PoseInFrame")]) == counts[PacketType.ANGLE_AXIS]


def test_a_film_with_b_frames_stays_out_of_mcap(replay):
    with (
        reader.open(replay) as clip,
        pytest.raises(NothingToExtractError, match="has B-frames"),
    ):
        FORMATS["mcap+video"](Selection(clip))


def test_mcap_of_exposures_alone_is_nothing(tmp_path):
    exposure = Samples(
        PacketType.EXPOSURE, np.zeros(1, np.int64), empty_values(PacketType.EXPOSURE, 1)
    )
    with (
        film(tmp_path, exposure) as clip,
        pytest.raises(NothingToExtractError, match="nothing that MCAP has topics for"),
    ):
        FORMATS["mcap"](Selection(clip))


# EuRoC


def test_euroc_has_rates_and_forces_in_one_row(walk):
    with reader.open(walk.clip) as clip:
        made = written(clip, "euroc")
        gyro, accel, frames = clip.gyro, clip.acceleration, np.sort(clip.video.pts_ns)
    assert sorted(made) == [
        f".euroc/mav0/{sensor}/{name}"
        for sensor in ("cam0", "imu0")
        for name in ("data.csv", "sensor.yaml")
    ]
    header, *rows = csv.reader(io.StringIO(made[".euroc/mav0/imu0/data.csv"].decode()))
    assert header[0] == "#timestamp [ns]"
    assert [name.split(" ")[0] for name in header[1:]] == [
        f"{what}_RS_S_{axis}" for what in "wa" for axis in "xyz"
    ]
    assert [int(row[0]) for row in rows] == gyro.t_ns.tolist()
    values = np.array([row[1:] for row in rows], np.float64).astype(np.float32)
    np.testing.assert_array_equal(values, np.hstack([gyro.data, accel.data]))
    header, *rows = csv.reader(io.StringIO(made[".euroc/mav0/cam0/data.csv"].decode()))
    assert header == ["#timestamp [ns]", "filename"]
    assert rows == [[str(t_ns), f"{t_ns}.png"] for t_ns in frames.tolist()]


def test_euroc_says_what_the_sensors_are(walk):
    yaml = pytest.importorskip("yaml")
    with reader.open(walk.clip) as clip:
        made = written(clip, "euroc")
        size = [clip.video.width, clip.video.height]
    imu = yaml.safe_load(made[".euroc/mav0/imu0/sensor.yaml"])
    camera = yaml.safe_load(made[".euroc/mav0/cam0/sensor.yaml"])
    assert imu["sensor_type"] == "imu"
    assert imu["rate_hz"] == pytest.approx(227.7, abs=1)
    assert np.array(imu["T_BS"]["data"]).reshape(4, 4).tolist() == np.eye(4).tolist()
    assert (camera["resolution"], camera["rate_hz"]) == (size, pytest.approx(30, abs=0.1))


def test_forces_at_other_times_are_interpolated_for_euroc(tmp_path):
    gyro = vectors(GYRO, [0, 10, 20], np.ones((3, 3)))
    accel = vectors(ACCELERATION, [5, 15], [[0, 0, 0], [1, 2, 3]])
    with film(tmp_path, gyro, accel) as clip:
        rows = written(clip, "euroc")[".euroc/mav0/imu0/data.csv"].decode().splitlines()[1:]
    assert rows == ["0,1,1,1,0,0,0", "10000000,1,1,1,0.5,1,1.5", "20000000,1,1,1,1,2,3"]


@pytest.mark.parametrize("kind", [GYRO, ACCELERATION])
def test_euroc_needs_both(tmp_path, kind):
    with (
        film(tmp_path, vectors(kind, [0, 5], np.ones((2, 3)))) as clip,
        pytest.raises(NothingToExtractError, match="for the EuRoC layout"),
    ):
        FORMATS["euroc"](Selection(clip))


# Subtitles


def test_subtitles_are_a_cue_for_every_second(tmp_path):
    block = fixes([0, 1000, 2000], latitude=[47, 47.25, 47.5], velocity_east=1.25)
    turned = vectors(PacketType.ANGLE_AXIS, [0, 1000, 4400], [[0, np.pi / 2, 0]] * 3)
    with film(tmp_path, block, turned) as clip:
        (tmp_path / "walk.srt").write_bytes(written(clip, "srt")[".srt"])
    with av.open(str(tmp_path / "walk.srt")) as container:
        (stream,) = container.streams
        assert stream.codec_context.codec.canonical_name == "subrip"
        cues = [packet for packet in container.demux(stream) if packet.size]
        times = [
            (float(cue.pts * cue.time_base), float(cue.duration * cue.time_base)) for cue in cues
        ]
        texts = [bytes(cue).decode().splitlines() for cue in cues]
    assert times == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 0.5)]
    assert texts[1] == [
        "2026-06-01T12:00:01.000Z",
        "47.2500000 8.2500000 432.0 m 1.2 m/s",
        "heading 90 pitch 0 roll 0",
    ]
    assert texts[3] == ["2026-06-01T12:00:03.000Z"]


def test_subtitles_of_neither_place_nor_orientation_are_none(tmp_path):
    with (
        film(tmp_path, vectors(GYRO, [0, 5], np.ones((2, 3)))) as clip,
        pytest.raises(NothingToExtractError, match="for subtitles"),
    ):
        FORMATS["srt"](Selection(clip))
