"""Films of another maker with injected records, and converted clips, before all other readers."""

import json
import os
import re
from pathlib import Path

import av
import numpy as np
import pytest
from mapillary_tools.camm import camm_parser

from camm import FIELD_NAMES, PacketType
from camm.frames import from_angle_axis
from cammcorder.__main__ import main
from muxer import reader

if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
    import telemetry_parser
else:  # it has no wheels for the newest Pythons
    telemetry_parser = pytest.importorskip("telemetry_parser")

PIXEL = Path(__file__).parents[1] / "data" / "camm" / "mett_replaced_with_camm.mp4"
GYRO, ACCELERATION, GPS = (PacketType(n) for n in (2, 3, 6))
MICROSECOND = 1.01e-6
GPS_COLUMNS = FIELD_NAMES[GPS]


def call(*words):
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module", params=["gpx and gcsv", "csv", "jsonl", "mett", "nameless"])
def clip(request, walk, film, tmp_path_factory):
    """Clips that `inject` and `convert` have made, as we read them."""
    folder = tmp_path_factory.mktemp("injected")
    out = folder / "out.mp4"
    if request.param == "mett":
        data = PIXEL.read_bytes()
        at = data.index(b"camm\0\0\0\0")
        (folder / "mett.mp4").write_bytes(data[:at] + b"mett" + data[at + 4 :])
        call("convert", folder / "mett.mp4", "-o", out)
    elif request.param == "nameless":
        call("convert", remuxed(PIXEL, folder / "remuxed.mov"), "-o", out)
    else:
        with reader.open(walk.clip) as source:
            start = source.metadata["movie"]["zero_utc"]
        formats = request.param.replace(" and ", ",")
        call("extract", walk.clip, "--to", formats, "-o", folder)
        logs = [folder / "walk"]
        if request.param != "csv":
            logs = [folder / f"walk.{suffix}" for suffix in formats.split(",")]
        call("inject", *logs, film, "-o", out, "--start", start)
    with reader.open(out) as opened:
        yield opened


def remuxed(path, out):
    """As FFmpeg makes a MOV of it, without the name of its metadata."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return out


def rows(clip):
    """Fixes as rows of numbers."""
    return np.array([clip.gps.data[name] for name in GPS_COLUMNS], np.float64).T


def test_exiftool(clip, program):
    shown = json.loads(program("exiftool", "-ee3", "-G3", "-n", "-j", clip.path))[0]
    documents = {}
    for key, value in shown.items():
        if match := re.match(r"Doc(\d+):(.*)", key):
            documents.setdefault(int(match[1]), {})[match[2]] = value
    assert len(documents) == len(clip.records)
    for kind, tag in ((GYRO, "AngularVelocity"), (ACCELERATION, "Acceleration")):
        theirs = [document for document in documents.values() if tag in document]
        ours = clip.samples(kind)
        assert len(theirs) == len(ours)
        seconds = [document["SampleTime"] for document in theirs]
        np.testing.assert_allclose(seconds, ours.t_ns / 1e9, atol=MICROSECOND)
        values = [[float(v) for v in document[tag].split()] for document in theirs]
        np.testing.assert_array_equal(np.array(values, np.float32).reshape(-1, 3), ours.data)
    theirs = [document for document in documents.values() if "GPSLatitude" in document]
    seconds = [document["SampleTime"] for document in theirs]
    np.testing.assert_allclose(seconds, clip.gps.t_ns / 1e9, atol=MICROSECOND)
    for tag, name in (("GPSLatitude", "latitude"), ("GPSLongitude", "longitude")):
        assert [document[tag] for document in theirs] == clip.gps.data[name].tolist()


def test_ffprobe(clip, program):
    what = ("-select_streams", "d:0", "-show_packets", "-show_data", "-show_streams")
    shown = json.loads(program("ffprobe", "-v", "error", "-of", "json", *what, clip.path))
    assert shown["streams"][0]["codec_tag_string"] == "camm"
    records = clip.records
    timescale = clip.camm_tracks[0].timescale
    ticks = np.rint(records.t_ns * timescale / 1e9).astype(int)
    assert [packet["pts"] for packet in shown["packets"]] == ticks.tolist()
    for packet, at, size in zip(shown["packets"], records.place, records.size, strict=True):
        dump = "".join(line[10:50] for line in packet["data"].strip().splitlines())
        assert bytes.fromhex(dump.replace(" ", "")) == records.payload[at : at + size].tobytes()


def test_pictures_and_sound_decode_without_an_error(clip, program):
    assert program("ffmpeg", "-v", "error", "-xerror", "-i", clip.path, "-f", "null", "-") == ""


def test_mapillary_tools(clip):
    with Path(clip.path).open("rb") as file:
        info = camm_parser.extract_camm_info(file)
        points = [*(info.gps or []), *(info.mini_gps or [])]
        file.seek(0)
        motion = camm_parser.extract_camm_info(file, telemetry_only=True)
    fields = ["lat", "lon", "alt", *GPS_COLUMNS[:2], *GPS_COLUMNS[5:]]
    names = ["latitude", "longitude", "altitude", *GPS_COLUMNS[:2], *GPS_COLUMNS[5:]]
    theirs = np.array([[getattr(point, field) for field in fields] for point in points])
    columns = [GPS_COLUMNS.index(name) for name in names]
    np.testing.assert_array_equal(theirs.reshape(-1, len(names)), rows(clip)[:, columns])
    for kind, points in ((GYRO, motion.gyro), (ACCELERATION, motion.accl)):
        ours = clip.samples(kind)
        values = np.array([[p.x, p.y, p.z] for p in points or []]).reshape(-1, 3)
        np.testing.assert_array_equal(values, ours.data)
        times = [p.time for p in points or []]
        np.testing.assert_allclose(times, ours.t_ns / 1e9, atol=MICROSECOND)


def test_telemetry_parser(clip):
    parser = telemetry_parser.Parser(clip.path)
    assert parser.camera == "CAMM"
    (section,) = parser.telemetry()
    for kind, name in ((GYRO, "Gyroscope"), (ACCELERATION, "Accelerometer")):
        ours = clip.samples(kind)
        theirs = section.get(name, {"Data": []})["Data"]
        values = np.array([[d["x"], d["y"], d["z"]] for d in theirs], np.float32)
        np.testing.assert_array_equal(values.reshape(-1, 3), ours.data)
        np.testing.assert_allclose([d["t"] for d in theirs], ours.t_ns / 1e9, atol=MICROSECOND)
    theirs = section.get("Quaternion", {"Data": []})["Data"]
    expected = from_angle_axis(clip.angle_axis.data) * (1, 1, -1, -1)
    values = np.array([[d["v"][axis] for axis in "wxyz"] for d in theirs]).reshape(-1, 4)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    theirs = section.get("GPS", {"Data": []})["Data"]
    values = np.array([[d["lat"], d["lon"], d["altitude"]] for d in theirs]).reshape(-1, 3)
    np.testing.assert_array_equal(values, rows(clip)[:, [2, 3, 4]])


def test_mp4box(mp4box, clip):
    tracks, _ = mp4box(clip.path)
    (metadata,) = (track for track in tracks if track.codec == "camm")
    assert metadata.name == "CameraMetadataMotionHandler"
    records = clip.records
    ticks = np.rint(records.t_ns * metadata.timescale / 1e9).astype(int)
    assert [pts for pts, _, _ in metadata.samples] == ticks.tolist()
    ours = [
        records.payload[at : at + size].tobytes()
        for at, size in zip(records.place.tolist(), records.size.tolist(), strict=True)
    ]
    assert [data for _, _, data in metadata.samples] == ours
