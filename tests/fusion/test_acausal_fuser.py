"""Orientation worked out afterwards: stretch by stretch, it is that of the whole."""

from itertools import pairwise

import numpy as np
import pytest

from camm import Samples, frames
from fusion.acausal_fuser import AcausalFuser
from fusion.fuser import OrientationFuser

T = 10_000_000  # 100 Hz
BOOT = 3_600 * 10**9
SECONDS = 240
STRETCHES = {"stretch_ns": 60 * 10**9, "overlap_ns": 40 * 10**9}


class Wander:
    """A sensor turned about all axes, never at rest, with noise and a gyro bias."""

    def __init__(self):
        random = np.random.default_rng(9)
        self.t_ns = BOOT + np.arange(SECONDS * 100, dtype=np.int64) * T
        s = np.arange(SECONDS * 100) / 100
        self.gyro = np.stack([0.8 * np.sin(0.9 * s), 0.6 * np.cos(0.7 * s), 0.9 * np.sin(s)], 1)
        self.truth = np.empty((len(s), 4))
        q = np.array([1.0, 0, 0, 0])
        mean = np.concatenate([self.gyro[:1], (self.gyro[1:] + self.gyro[:-1]) / 2])
        for row, turn in enumerate(frames.from_angle_axis(mean / 100)):
            q = self.truth[row] = frames.multiply(q, turn)
        down = frames.conjugate(self.truth)
        self.accel = frames.rotate(down, [0, 0, 9.81]) + random.normal(0, 0.3, (len(s), 3))
        self.mag = frames.rotate(down, [0, 20, -40]) + random.normal(0, 0.3, (len(s), 3))
        self.gyro += np.array([0.002, -0.004, 0.003])  # 0.3 deg/s

    def degrees_off(self, samples):
        found = frames.from_angle_axis(samples.data)
        wanted = frames.multiply(frames.CAMM_FROM_ENU, self.truth)
        rows = (samples.t_ns - BOOT) // T
        turn = frames.multiply(found, frames.conjugate(wanted[rows]))
        return np.degrees(np.linalg.norm(frames.to_angle_axis(turn), axis=1))


@pytest.fixture(scope="module")
def wander():
    return Wander()


def fused(fuser, wander, *, mag=True, kept=None, block=1000):
    rows = np.arange(len(wander.t_ns)) if kept is None else kept
    parts, longest = [], 0
    for first, last in pairwise([*range(0, len(rows), block), len(rows)]):
        own = rows[first:last]
        if mag:
            fuser.add_mag(wander.t_ns[own], wander.mag[own])
        fuser.add_imu(wander.t_ns[own], wander.gyro[own], wander.accel[own], T)
        parts.append(fuser.take())
        longest = max(longest, len(parts[-1] or ()))
    parts.append(fuser.flush())
    there = [part for part in parts if part is not None]
    return Samples.concatenate(there[0].kind, there), longest


def test_it_is_nearer_to_the_truth_than_a_filter_that_knows_no_future(wander):
    afterwards, _ = fused(AcausalFuser(np.eye(3)), wander)
    online, _ = fused(OrientationFuser("vqf", np.eye(3)), wander)
    np.testing.assert_array_equal(afterwards.t_ns, wander.t_ns)
    errors = wander.degrees_off(afterwards)
    assert np.sqrt(np.mean(errors**2)) < 0.2
    assert errors.max() < 0.6  # from the first sample on
    assert np.mean(wander.degrees_off(online) ** 2) > 4 * np.mean(errors**2)


@pytest.mark.parametrize("mag", [True, False])
def test_stretches_come_together_without_a_step(wander, mag):
    whole, _ = fused(AcausalFuser(np.eye(3)), wander, mag=mag)
    tested = AcausalFuser(np.eye(3), **STRETCHES)
    parts, longest = fused(tested, wander, mag=mag)
    np.testing.assert_array_equal(parts.t_ns, wander.t_ns)
    assert longest <= 6000  # a stretch at a time, not the whole at the end
    q = frames.from_angle_axis(parts.data)
    turn = frames.multiply(frames.conjugate(q[:-1]), q[1:])
    true = frames.multiply(frames.conjugate(wander.truth[:-1]), wander.truth[1:])
    step = frames.to_angle_axis(frames.multiply(frames.conjugate(turn), true))
    assert np.degrees(np.linalg.norm(step, axis=1)).max() < 0.005
    apart = frames.multiply(q, frames.conjugate(frames.from_angle_axis(whole.data)))
    assert np.degrees(np.linalg.norm(frames.to_angle_axis(apart), axis=1)).max() < 1
    assert tested.statistics.fused == len(wander.t_ns)
    assert tested.statistics.filter == "vqf-offline"


def test_a_gap_where_stretches_meet_gives_no_sample_twice(wander):
    seconds = (wander.t_ns - BOOT) / 1e9
    kept = np.flatnonzero((seconds < 45) | (seconds > 75))
    found, _ = fused(AcausalFuser(np.eye(3), **STRETCHES), wander, kept=kept)
    np.testing.assert_array_equal(found.t_ns, wander.t_ns[kept])
    assert wander.degrees_off(found).max() < 2


def test_declination_turns_it_to_true_north(wander):
    tested = AcausalFuser(np.eye(3))
    tested.set_declination(np.radians(7))
    turned, _ = fused(tested, wander)
    assert wander.degrees_off(turned) == pytest.approx(np.full(len(turned), 7), abs=0.4)


def test_of_nothing_comes_nothing():
    tested = AcausalFuser(np.eye(3))
    nothing = np.empty(0, np.int64), np.empty((0, 3))
    tested.add_imu(*nothing, np.empty((0, 3)), T)
    tested.add_mag(*nothing)
    assert tested.take() is tested.flush() is None
    assert tested.statistics.fused == 0


def test_samples_that_are_all_broken_give_none(wander):
    tested = AcausalFuser(np.eye(3), gyro_limit=1e-9)
    tested.add_imu(wander.t_ns[:100], wander.gyro[:100], wander.accel[:100], T)
    assert tested.flush() is None
