"""A clip with known errors beside its truth: each of them is measured as large as it is."""

from datetime import UTC, datetime

import numpy as np
import pytest

from camm import PacketType, Samples, UsageError, empty_values
from muxer import reader
from muxer.check.truth import measure
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ZERO_NS = 5_000_000_000
COUNT = 400
DEGREE = np.pi / 180


def true_motion():
    t_ns = ZERO_NS - 100_000_000 + np.arange(COUNT) * 5_000_000
    fixes = ZERO_NS + np.arange(10) * 200_000_000
    return {
        "imu_t_ns": t_ns,
        "imu_accel_t_ns": t_ns + 1_000_000,
        "imu_angle_axis": np.tile((0.0, 1.0, 0.0), (COUNT, 1)),
        "mag_t_ns": np.empty(0, np.int64),
        "gps_t_ns": fixes,
        "gps_time": 1464350418.0 + np.arange(10) / 5,
        "latitude": np.full(10, 47.0),
        "longitude": np.full(10, 8.0),
        "height": np.full(10, 400.0),
        "frame_start_ns": ZERO_NS + np.arange(20) * 100_000_000 - 6_000_000,
        "frame_centre_ns": ZERO_NS + np.arange(20) * 100_000_000,
        "exposure_ns": np.full(20, 8_000_000),
        "skew_ns": np.full(20, 4_000_000),
    }


def clip_with(path, *, turned=(0.0, 1.0, 0.0), late_ns=0, off=(0.0, 0.0, 0.0), **metadata):
    """Two seconds whose every error is what the arguments say."""
    t_ns = 2_000_000 + np.arange(300) * 5_000_000
    east, north, up = off
    fixes = empty_values(PacketType.GPS, 9)
    fixes["gps_fix_type"] = 3
    fixes["time_gps_epoch"] = 1464350418.0 + np.arange(1, 10) / 5
    fixes["latitude"] = 47 + north / 111_320
    fixes["longitude"] = 8 + east / 111_320 / np.cos(47 * DEGREE)
    fixes["altitude"] = 400 + up
    shutter = empty_values(PacketType.EXPOSURE, 19)
    shutter["pixel_exposure_time"], shutter["rolling_shutter_skew_time"] = 8_500_000, 4_000_000
    of_frames = np.arange(1, 20) * 100_000_000 - 6_000_000 + late_ns
    blocks = [
        Samples(PacketType.ANGLE_AXIS, t_ns, np.tile(turned, (300, 1))),
        Samples(PacketType.GYRO, t_ns - 2_000_000 + late_ns, np.ones((300, 3))),
        Samples(PacketType.ACCELERATION, t_ns - 1_000_000 + late_ns, np.ones((300, 3))),
        Samples(PacketType.GPS, np.arange(1, 10) * 200_000_000 + late_ns, fixes),
        Samples(PacketType.EXPOSURE, of_frames, shutter),
    ]
    metadata.setdefault("movie", {"zero_monotonic_ns": ZERO_NS})
    about = MovieDescription(datetime(2026, 6, 1, 12, tzinfo=UTC), "maker", "model", metadata)
    recording = Recording(path, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(2_000_000_000, about)
    return path


def measured(path, truth=None):
    with reader.open(path) as clip:
        return {found.what: found for found in measure(clip, truth or true_motion())}


def test_a_clip_that_is_true_has_no_errors(tmp_path):
    found = measured(clip_with(tmp_path / "true.mp4"))
    for what, each in found.items():
        expected = 0.5 if what == "exposure" else 0
        assert each.worst == pytest.approx(expected, abs=1e-4), what
    assert list(found) == [
        "orientation, total",
        "orientation, heading",
        "orientation, inclination",
        "time of gyro",
        "time of acceleration",
        "time of gps",
        "position, horizontal",
        "position, vertical",
        "time of exposure",
        "exposure",
        "rolling shutter skew",
    ]


def test_a_heading_that_is_off_is_no_inclination(tmp_path):
    found = measured(clip_with(tmp_path / "off.mp4", turned=(0, 1 + 3 * DEGREE, 0)))
    assert found["orientation, heading"].mean == pytest.approx(3, abs=1e-4)
    assert found["orientation, total"].rms == pytest.approx(3, abs=1e-4)
    assert found["orientation, inclination"].worst == pytest.approx(0, abs=1e-4)


def test_an_inclination_that_is_off_is_no_heading(tmp_path):
    """Two degrees about the world's north, after the true turn about the vertical."""
    axis, angle = np.array([0.0, 0.0, 1.0]), 2 * DEGREE
    w = np.cos(angle / 2) * np.cos(0.5)
    v = np.array([-np.sin(angle / 2) * np.sin(0.5), np.cos(angle / 2) * np.sin(0.5), 0])
    v = v + axis * np.sin(angle / 2) * np.cos(0.5)
    turned = v / np.linalg.norm(v) * 2 * np.arctan2(np.linalg.norm(v), w)
    found = measured(clip_with(tmp_path / "off.mp4", turned=turned))
    assert found["orientation, inclination"].rms == pytest.approx(2, abs=1e-3)
    assert found["orientation, heading"].worst == pytest.approx(0, abs=1e-3)


def test_without_a_magnetometer_the_mean_heading_is_nobodys_error(tmp_path):
    path = clip_with(
        tmp_path / "free.mp4", turned=(0, 2.5, 0), fusion={"heading": "arbitrary", "filter": "vqf"}
    )
    found = measured(path)
    assert found["orientation, heading aligned"].worst == pytest.approx(0, abs=1e-4)
    assert found["orientation, total, heading aligned"].worst == pytest.approx(0, abs=1e-4)


def test_times_that_are_late_are_late_by_so_much(tmp_path):
    found = measured(clip_with(tmp_path / "late.mp4", late_ns=1_500_000))
    for what in ("time of gyro", "time of acceleration", "time of gps", "time of exposure"):
        assert found[what].mean == pytest.approx(1.5, abs=1e-6), what


def test_places_are_off_by_metres(tmp_path):
    found = measured(clip_with(tmp_path / "off.mp4", off=(3.0, 4.0, -2.0)))
    assert found["position, horizontal"].rms == pytest.approx(5, rel=1e-3)
    assert found["position, vertical"].mean == pytest.approx(-2, abs=1e-3)


def test_a_clip_that_does_not_tell_its_time_zero_cannot_be_measured(tmp_path):
    path = clip_with(tmp_path / "other.mp4", movie={})
    with reader.open(path) as clip, pytest.raises(UsageError, match="when its time zero was"):
        measure(clip, true_motion())


def test_a_truth_that_lacks_an_array_is_refused(tmp_path):
    truth = true_motion()
    del truth["frame_start_ns"]
    path = clip_with(tmp_path / "clip.mp4")
    with reader.open(path) as clip, pytest.raises(UsageError, match="frame_start_ns"):
        measure(clip, truth)


@pytest.mark.parametrize("made", [None, {"scenario": "walk", "seed": 7}])
def test_the_truth_of_another_simulation_is_refused(made, tmp_path):
    truth = true_motion() | {"scenario": np.array("walk"), "seed": np.array(8)}
    path = clip_with(tmp_path / "clip.mp4", **({"simulation": made} if made else {}))
    with reader.open(path) as clip, pytest.raises(UsageError, match="is of the simulation"):
        measure(clip, truth)
