"""The demo clip against the simulator's truth: times and orientation."""

from __future__ import annotations

import numpy as np
import pytest

from muxer import reader

MS = 1e6


@pytest.fixture(scope="module")
def clip(walk):
    with reader.open(walk.clip) as opened:
        yield opened


@pytest.fixture(scope="module")
def zero_ns(clip):
    return clip.metadata["movie"]["zero_monotonic_ns"]


def nearest(sorted_times: np.ndarray, t_ns: np.ndarray) -> np.ndarray:
    after = np.clip(np.searchsorted(sorted_times, t_ns), 1, len(sorted_times) - 1)
    return after - (t_ns - sorted_times[after - 1] < sorted_times[after] - t_ns)


@pytest.mark.parametrize(
    ("label", "truth_times"),
    [("gyro", "imu_t_ns"), ("acceleration", "imu_accel_t_ns"), ("magnetic_field", "mag_t_ns")],
)
def test_stamps_of_motion_sensors_are_right_to_a_fraction_of_a_millisecond(
    clip, walk, zero_ns, label, truth_times
):
    # The first record is interpolated at movie time zero, the others are samples.
    t_ns = getattr(clip, label).t_ns[1:] + zero_ns
    true = walk.truth[truth_times]
    which = nearest(true, t_ns)
    assert np.array_equal(np.diff(which), np.ones(len(which) - 1)), "each sample once, none missing"
    error_ms = (t_ns - true[which]) / MS
    assert np.abs(error_ms).max() < 1.0
    assert error_ms.std() < 0.1


def test_gps_fixes_are_stamped_with_their_epoch_and_not_with_their_arrival(clip, walk, zero_ns):
    which = nearest(walk.truth["gps_time"], clip.gps.data["time_gps_epoch"])
    assert np.array_equal(np.diff(which), np.ones(len(which) - 1))
    error_ms = (clip.gps.t_ns + zero_ns - walk.truth["gps_t_ns"][which]) / MS
    assert np.abs(error_ms).max() < 20


def test_fixes_say_what_the_receiver_said(clip, walk):
    which = nearest(walk.truth["gps_time"], clip.gps.data["time_gps_epoch"])
    for name, step in (("latitude", 1e-7), ("longitude", 1e-7), ("altitude", 1e-3)):
        said = walk.truth["reported_" + name.replace("altitude", "height")][which]
        np.testing.assert_allclose(clip.gps.data[name], said, atol=step)
    velocity = [clip.gps.data[f"velocity_{way}"] for way in ("east", "north", "up")]
    np.testing.assert_allclose(
        np.array(velocity).T, walk.truth["reported_velocity"][which], atol=1e-3
    )


def test_frames_and_shutter_times_are_exact(clip, walk, zero_ns):
    frames = len(clip.video.table)
    assert frames == 300
    np.testing.assert_allclose(
        clip.video.pts_ns + zero_ns, walk.truth["frame_centre_ns"][:frames], atol=1000
    )
    assert len(clip.exposure) == frames
    np.testing.assert_allclose(
        clip.exposure.t_ns[1:] + zero_ns, walk.truth["frame_start_ns"][1:frames], atol=1000
    )
    assert (clip.exposure.data["pixel_exposure_time"] == walk.truth["exposure_ns"][0]).all()
    assert (clip.exposure.data["rolling_shutter_skew_time"] == walk.truth["skew_ns"][0]).all()


def rotation(angle_axis: np.ndarray) -> np.ndarray:
    """Matrices of angle-axis vectors, by Rodrigues' formula."""
    angle = np.linalg.norm(angle_axis, axis=1)[:, None, None]
    x, y, z = (angle_axis / angle[:, :, 0]).T
    none = np.zeros_like(x)
    cross = np.array([[none, -z, y], [z, none, -x], [-y, x, none]]).transpose(2, 0, 1)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def test_orientation(clip, walk, zero_ns):
    """Inclination is how far down is off; heading what remains once down is right."""
    t_ns = clip.angle_axis.t_ns[1:] + zero_ns
    which = nearest(walk.truth["imu_t_ns"], t_ns)
    ours = rotation(clip.angle_axis.data[1:].astype(float))
    true = rotation(walk.truth["imu_angle_axis"][which])
    error = ours @ true.transpose(0, 2, 1)
    inclination = np.degrees(np.arccos(np.clip(error[:, 1, 1], -1, 1)))
    heading = np.degrees(
        np.arctan2(error[:, 0, 2] - error[:, 2, 0], error[:, 0, 0] + error[:, 2, 2])
    )
    assert np.sqrt(np.mean(inclination**2)) < 1.0
    assert np.sqrt(np.mean(heading**2)) < 5.0
    assert clip.metadata["fusion"]["heading"] == "true north"


def test_motion_is_given_in_the_axes_of_the_camera(clip, walk, zero_ns):
    for label, name, tolerance in (
        ("gyro", "imu_gyro", 0.02),
        ("acceleration", "imu_accel", 0.25),
    ):
        samples = getattr(clip, label)
        times = walk.truth["imu_t_ns" if label == "gyro" else "imu_accel_t_ns"]
        which = nearest(times, samples.t_ns[1:] + zero_ns)
        np.testing.assert_allclose(samples.data[1:], walk.truth[name][which], atol=tolerance)
    which = nearest(walk.truth["mag_t_ns"], clip.magnetic_field.t_ns[1:] + zero_ns)
    np.testing.assert_allclose(
        clip.magnetic_field.data[1:], walk.truth["mag_field"][which], atol=2.0
    )


def test_nothing_was_lost_and_the_clip_says_so(clip):
    sources = clip.metadata["sources"]
    assert set(sources) == {"imu", "mag", "gps", "camera"}
    assert all(source["lost"] == source["failures"] == 0 for source in sources.values())
    assert clip.metadata["late"] == {}
    assert clip.metadata["simulation"] == {"scenario": "walk", "seed": 20948}


def test_the_movie_starts_at_the_gps_time_of_its_first_frame(clip, walk, zero_ns):
    leap, gps_epoch = 18, 315_964_800
    gps_s = walk.truth["gps_time"][0] + (zero_ns - walk.truth["gps_t_ns"][0]) / 1e9
    assert abs(clip.created.timestamp() - (gps_s + gps_epoch - leap)) <= 1.0
