"""telemetry-parser, which is how Gyroflow reads a .gcsv: the same as it reads in the clip."""

import os

import numpy as np
import pytest

from muxer import reader
from muxer.extract import FORMATS, Selection

if os.environ.get("CAMMCORDER_REQUIRE_READERS"):
    import telemetry_parser
else:  # it has no wheels for the newest Pythons
    telemetry_parser = pytest.importorskip("telemetry_parser")


@pytest.fixture(scope="module")
def log(walk, tmp_path_factory):
    path = tmp_path_factory.mktemp("gcsv") / "walk.gcsv"
    with reader.open(walk.clip) as clip:
        (document,) = FORMATS["gcsv"](Selection(clip))
        path.write_bytes(b"".join(document.pieces(clip.record_blocks())))
    return path


def test_it_knows_the_log_and_its_camera(log, walk):
    parser = telemetry_parser.Parser(str(log))
    assert (parser.camera, parser.model) == ("cammcorder", "simulated rig")
    (section,) = parser.telemetry()
    assert section["Default"]["Metadata"]["videofilename"] == walk.clip.name
    assert section["Gyroscope"]["Orientation"] == section["Accelerometer"]["Orientation"] == "yxz"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Gyroscope", "gyro"), ("Accelerometer", "acceleration"), ("Magnetometer", "magnetic_field")],
)
def test_values_and_times_are_the_clips(log, walk, name, kind):
    (section,) = telemetry_parser.Parser(str(log)).telemetry()
    data = section[name]["Data"]
    parsed = np.array([[d["x"], d["y"], d["z"]] for d in data], np.float32)
    with reader.open(walk.clip) as clip:
        samples, rates = getattr(clip, kind), clip.gyro
    np.testing.assert_allclose([d["t"] for d in data], rates.t_ns / 1e9, atol=1e-9)
    same = np.searchsorted(rates.t_ns, samples.t_ns)
    there = np.isin(samples.t_ns, rates.t_ns)
    assert there.sum() >= (2000 if kind != "magnetic_field" else 1)
    np.testing.assert_array_equal(parsed[same[there]], samples.data[there])


def test_gyroflow_is_given_the_same_motion_by_the_log_and_by_the_clip(log, walk):
    """Scales and orientation applied: deg/s and m/s^2 in its own axes, milliseconds."""
    by_log = telemetry_parser.Parser(str(log)).normalized_imu()
    by_clip = telemetry_parser.Parser(str(walk.clip)).normalized_imu()
    assert len(by_log) == len(by_clip) > 2000
    for name in ("timestamp_ms", "gyro", "accl"):
        ours, clips = ([sample[name] for sample in samples] for samples in (by_log, by_clip))
        np.testing.assert_allclose(ours, clips, rtol=2e-7, atol=1e-6)
