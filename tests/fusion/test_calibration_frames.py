"""Camera against gyroscope: points that a turning camera with a rolling shutter would have seen."""

from dataclasses import replace

import numpy as np
import pytest

from camm.frames import from_angle_axis, mount_from_axes, multiply, to_matrix
from fusion.calibration.errors import CalibrationError
from fusion.calibration.following import Tracks
from fusion.calibration.frames_against_gyro import fit_frames

WIDTH, HEIGHT, FPS, SKEW_S = 640, 360, 30, 0.02
HFOV_DEG = 66.0
FOCAL = 0.5 / np.tan(np.radians(HFOV_DEG) / 2)
ALL_AXES = ((0.12, 0.9, 0.0), (0.25, 0.6, 1.0), (0.15, 0.75, 2.0))
"""Amplitude in radians, frequency in Hz and phase of nodding, looking round and tilting."""
TWIST = to_matrix(from_angle_axis(np.radians([2.0, -3.0, 1.5])))
MOUNT = TWIST @ mount_from_axes(x="right", y="forward", z="up")


def attitude(t_s, waves):
    """Quaternions from camera to world."""
    q = np.array([1.0, 0, 0, 0])
    for (size, hertz, phase), axis in zip(waves, np.eye(3), strict=True):
        angle = size * (np.sin(2 * np.pi * hertz * t_s + phase) + 0.3 * np.sin(9.1 * t_s + phase))
        q = multiply(q, from_angle_axis(angle[:, None] * axis))
    return to_matrix(q)


def gyroscope(seconds, waves, mount, offset_s=0.0, bias=0.0):
    """Times and rates in sensor axes, whose clock is `offset_s` ahead of the camera's."""
    step = 1e-4
    t_s = np.arange(-1, seconds + 1, 1 / 400)
    now, later = attitude(t_s - step, waves), attitude(t_s + step, waves)
    turn = np.swapaxes(now, 1, 2) @ later
    rate = np.stack([turn[:, 2, 1], turn[:, 0, 2], turn[:, 1, 0]], axis=1) / (2 * step)
    noise = np.random.default_rng(1).normal(0, np.radians(0.1), rate.shape)
    return np.rint((t_s + offset_s) * 1e9).astype(np.int64), rate @ mount + noise + bias


def followed(seconds, waves=ALL_AXES, points=60, noise_px=0.15, stray=0.0, skew_s=SKEW_S):
    """Tracks of points infinitely far away; a share of them is `stray` and moves by itself."""
    rng = np.random.default_rng(2)
    frames = np.arange(round(seconds * FPS)) / FPS
    pair = np.repeat(np.arange(len(frames) - 1), points)
    before = rng.uniform(-0.4, 0.4, (len(pair), 2)) * (1, HEIGHT / WIDTH)
    line = skew_s * WIDTH / HEIGHT
    before_s = frames[pair] + line * before[:, 1]
    rays = np.column_stack([before, np.full(len(pair), FOCAL)])
    world = np.einsum("nij,nj->ni", attitude(before_s, waves), rays)
    after_s, after = frames[pair + 1], before
    for _ in range(4):  # the line that a point is on decides when it is seen
        seen = np.einsum("nji,nj->ni", attitude(after_s, waves), world)
        after = FOCAL * seen[:, :2] / seen[:, 2:]
        after_s = frames[pair + 1] + line * after[:, 1]
    lost = rng.random(len(pair)) < stray
    after = np.where(lost[:, None], before + rng.uniform(-0.02, 0.02, before.shape), after)
    after = after + rng.normal(0, noise_px / WIDTH, after.shape)
    return Tracks(
        pair,
        np.rint(np.stack([frames[:-1], frames[1:]], axis=1) * 1e9).astype(np.int64),
        before,
        after,
        np.rint(before_s * 1e9).astype(np.int64),
        np.rint(after_s * 1e9).astype(np.int64),
        WIDTH,
    )


def angle_deg(one, other):
    return np.degrees(np.arccos(np.clip((np.trace(one @ other.T) - 1) / 2, -1, 1)))


@pytest.mark.parametrize("hfov_deg", [None, HFOV_DEG])
@pytest.mark.parametrize("offset_s", [-0.213, 0.0, 0.0371])
def test_offset_mount_and_width_are_found_together(offset_s, hfov_deg):
    fit = fit_frames(followed(6), *gyroscope(6, ALL_AXES, MOUNT, offset_s), hfov_deg)
    assert fit.offset_s == pytest.approx(offset_s, abs=3e-4)
    assert angle_deg(fit.mount, MOUNT) < 0.1
    assert fit.hfov_deg == pytest.approx(HFOV_DEG, abs=0.3)
    assert fit.residual_px == pytest.approx(0.18, abs=0.05)
    fit.require_offset()
    fit.require_mount()


def test_the_errors_are_what_the_uncertainty_says():
    offsets, turns = [], []
    for noise_px in (0.2, 0.4, 0.8):
        fit = fit_frames(followed(4, noise_px=noise_px), *gyroscope(4, ALL_AXES, MOUNT))
        offsets.append(abs(fit.offset_s) / fit.offset_sigma_s)
        turns.append(np.radians(angle_deg(fit.mount, MOUNT)) / fit.mount_sigma)
    assert 0.05 < np.mean(offsets) < 3
    assert 0.05 < np.mean(turns) < 4


def test_a_bias_of_the_gyroscope_and_points_that_move_by_themselves_do_no_harm():
    t_ns, gyro = gyroscope(6, ALL_AXES, MOUNT, 0.05, bias=np.radians([3.0, -4.0, 2.0]))
    fit = fit_frames(followed(6, stray=0.25), t_ns, gyro)
    assert fit.offset_s == pytest.approx(0.05, abs=1e-3)
    assert angle_deg(fit.mount, MOUNT) < 0.5


def test_a_rolling_shutter_that_is_not_told_would_be_an_error():
    tracks = followed(6)
    centre = tracks.frame_ns[tracks.pair]
    naive = Tracks(
        tracks.pair, tracks.frame_ns, tracks.before, tracks.after, *centre.T, tracks.width
    )
    told = fit_frames(tracks, *gyroscope(6, ALL_AXES, MOUNT))
    untold = fit_frames(naive, *gyroscope(6, ALL_AXES, MOUNT))
    assert told.residual_px < 0.7 * untold.residual_px


def test_turns_about_one_axis_tell_the_offset_and_no_mount():
    waves = ((0.0, 1.0, 0.0), (0.25, 0.6, 1.0), (0.0, 1.0, 0.0))
    fit = fit_frames(followed(6, waves), *gyroscope(6, waves, MOUNT, 0.02))
    fit.require_offset()
    assert fit.offset_s == pytest.approx(0.02, abs=1e-3)
    with pytest.raises(CalibrationError, match="about one axis alone"):
        fit.require_mount()


STILL = ((0.0005, 1.0, 0.0), (0.0005, 0.6, 1.0), (0.0005, 0.7, 0.0))
OTHER = ((0.2, 0.31, 1.0), (0.1, 1.2, 0.3), (0.2, 0.5, 0.9))


@pytest.mark.parametrize(
    ("tracks", "words"),
    [
        (followed(6, points=5), "0 of 179 pairs of frames have 12 points"),
        (followed(6, STILL), "hardly turned"),
        (followed(6, OTHER), "not tell of the same motion"),
        (followed(6, noise_px=2.5), r"points are [23]\.\d pixels beside"),
    ],
    ids=["texture", "still", "other", "scattered"],
)
def test_what_does_not_suffice_is_refused(tracks, words):
    with pytest.raises(CalibrationError, match=words):
        fit_frames(tracks, *gyroscope(6, ALL_AXES, MOUNT))


def test_pictures_without_a_gyroscope_beside_them_are_refused():
    t_ns, gyro = gyroscope(6, ALL_AXES, MOUNT)
    with pytest.raises(CalibrationError, match="only 0 pairs of frames were filmed while"):
        fit_frames(followed(6), t_ns + 60_000_000_000, gyro)


def test_what_is_known_too_poorly_is_refused():
    fit = fit_frames(followed(3), *gyroscope(3, ALL_AXES, MOUNT))
    with pytest.raises(CalibrationError, match=r"the offset is known to 3\.0 ms only"):
        replace(fit, offset_sigma_s=0.003).require_offset()
    with pytest.raises(CalibrationError, match=r"the mount is known to 0\.6° only"):
        replace(fit, mount_sigma=np.radians(0.6)).require_mount()
