"""The fuser as a recording uses it: two streams in bursts, one stream of orientations out."""

from dataclasses import FrozenInstanceError
from itertools import pairwise
from math import cos, pi, radians, sin

import numpy as np
import pytest

from camm import PacketType, UsageError, frames
from fusion.fuser import OrientationFuser

T = 5_000_000  # 200 Hz
BOOT = 86_400 * 365 * 10**9 + 123_456_789
MOUNT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
DIP = radians(67)
REACH = 150_000_000


def camera_at(s):
    """World from camera at `s` seconds: a walk through the street, never at rest, never level."""
    heading = radians(200) + 0.9 * sin(0.7 * s) + 0.3 * sin(2.9 * s)
    pitch = radians(-8) + 0.35 * sin(1.1 * s + 1)
    roll = radians(4) + 0.25 * sin(1.7 * s + 2)
    about_y = [[cos(heading), 0, sin(heading)], [0, 1, 0], [-sin(heading), 0, cos(heading)]]
    about_x = [[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]]
    about_z = [[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


class Walk:
    """What perfect sensors on that camera read, and where it truly pointed."""

    def __init__(self, seconds, mag_every=4, mag_offset_ns=1_700_000):
        count = int(seconds * 1e9) // T
        self.t = np.arange(count, dtype=np.int64) * T
        self.truth = np.array([camera_at(s) for s in self.t / 1e9])
        self.accel = self.truth.transpose(0, 2, 1) @ [0, -9.81, 0] @ MOUNT
        self.gyro = np.array([self.rate(s) for s in self.t / 1e9]) @ MOUNT
        self.mag_t = self.t[::mag_every] + mag_offset_ns
        field = [0, 48 * sin(DIP), 48 * cos(DIP)]
        self.mag = np.array([camera_at(s).T @ field for s in self.mag_t / 1e9]) @ MOUNT
        self.t += BOOT
        self.mag_t += BOOT

    @staticmethod
    def rate(s, h=1e-4):
        """Angular rate in camera axes: the central difference of the rotation itself."""
        small = camera_at(s - h).T @ camera_at(s + h)
        skew = (small - small.T) / (4 * h)
        return skew[2, 1], skew[0, 2], skew[1, 0]

    def error_degrees(self, samples):
        """Of every orientation, against the truth at its time."""
        rows = (samples.t_ns - BOOT) // T
        got = frames.to_matrix(frames.from_angle_axis(samples.data))
        chord = np.linalg.norm(got - self.truth[rows], axis=(1, 2))
        return np.degrees(2 * np.arcsin(np.minimum(chord / np.sqrt(8), 1)))


@pytest.fixture(scope="module")
def walk():
    return Walk(40)


def fuse(fuser, walk, blocks, *, imu=None, mag=None):
    """Hand over the walk in blocks cut by time, take after each, and join what came out."""
    imu = np.arange(len(walk.t)) if imu is None else imu
    mag = np.arange(len(walk.mag_t)) if mag is None else mag
    out = []
    for start, stop in pairwise(blocks):
        rows = mag[(walk.mag_t[mag] >= start) & (walk.mag_t[mag] < stop)]
        if len(rows):
            fuser.add_mag(walk.mag_t[rows], walk.mag[rows])
        rows = imu[(walk.t[imu] >= start) & (walk.t[imu] < stop)]
        if len(rows):
            fuser.add_imu(walk.t[rows], walk.gyro[rows], walk.accel[rows], T)
        out.append(fuser.take())
    out.append(fuser.flush())
    return joined(out)


def joined(blocks):
    blocks = [block for block in blocks if block is not None]
    return type(blocks[0]).concatenate(PacketType.ANGLE_AXIS, blocks)


def every(step_ns, walk):
    return np.arange(walk.t[0], walk.t[-1] + 2 * step_ns, step_ns)


def fuser(name="vqf", **options):
    return OrientationFuser(name, MOUNT, **options)


def test_a_walk_is_followed_to_a_hundredth_of_a_degree(walk):
    tested = fuser()
    out = fuse(tested, walk, every(20_000_000, walk))
    np.testing.assert_array_equal(out.t_ns, walk.t)
    assert out.kind is PacketType.ANGLE_AXIS
    assert out.data.dtype == np.float32
    error = walk.error_degrees(out)
    assert np.sqrt(np.mean(error[2000:] ** 2)) < 0.01


def test_madgwick_follows_it_too(walk):
    out = fuse(fuser("madgwick"), walk, every(20_000_000, walk))
    assert np.sqrt(np.mean(walk.error_degrees(out)[2000:] ** 2)) < 0.5


def test_declination_turns_the_world_to_true_north(walk):
    tested = fuser()
    plain = fuse(fuser(), walk, every(20_000_000, walk))
    tested.set_declination(radians(5.17))
    turned = fuse(tested, walk, every(20_000_000, walk))
    back = frames.multiply(
        frames.from_angle_axis([0, -radians(5.17), 0]), frames.from_angle_axis(turned.data)
    )
    same = np.abs((back * frames.from_angle_axis(plain.data)).sum(axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-12)


def test_how_the_bursts_fall_makes_no_difference_to_a_single_bit(walk):
    rng = np.random.default_rng(11)
    whole = fuse(fuser(), walk, np.array([walk.t[0], walk.t[-1] + T]))
    for _ in range(3):
        cuts = walk.t[0] + np.sort(rng.choice(walk.t[-1] - walk.t[0], 300))
        cuts = np.concatenate([[walk.t[0]], cuts, [walk.t[-1] + T]])
        parts = fuse(fuser(), walk, cuts)
        np.testing.assert_array_equal(parts.t_ns, whole.t_ns)
        np.testing.assert_array_equal(parts.data, whole.data)


def test_a_sample_waits_for_the_magnetic_one_behind_it(walk):
    tested = fuser()
    tested.add_mag(walk.mag_t[:2], walk.mag[:2])  # at 1.7 ms and 21.7 ms
    tested.add_imu(walk.t[:10], walk.gyro[:10], walk.accel[:10], T)  # 0 to 45 ms
    assert (tested.take().t_ns - BOOT).tolist() == [0, T, 2 * T, 3 * T, 4 * T]
    assert tested.statistics.waiting == 5
    assert tested.take() is None
    tested.add_mag(walk.mag_t[2:4], walk.mag[2:4])
    assert (tested.take().t_ns - BOOT).tolist() == [5 * T, 6 * T, 7 * T, 8 * T, 9 * T]
    assert tested.statistics.without_field == 1  # the one before the first magnetic sample


def test_nothing_waits_where_there_is_no_magnetometer(walk):
    tested = fuser()
    tested.add_imu(walk.t[:10], walk.gyro[:10], walk.accel[:10], T)
    assert len(tested.take()) == 10
    assert tested.statistics.without_field == 10
    assert tested.flush() is None


def test_a_magnetometer_that_falls_silent_is_waited_for_no_longer_than_its_reach(walk):
    tested = fuser(mag_reach_ns=REACH)
    tested.add_mag(walk.mag_t[:1], walk.mag[:1])
    tested.add_imu(walk.t[:31], walk.gyro[:31], walk.accel[:31], T)  # to 150 ms
    assert len(tested.take()) == 1
    tested.add_imu(walk.t[31:32], walk.gyro[31:32], walk.accel[31:32], T)
    assert len(tested.take()) == 31


@pytest.mark.parametrize("block_ns", [20_000_000, 10**11])
def test_a_drop_out_of_the_magnetometer_is_bridged_by_the_gyro(walk, block_ns):
    silent = (walk.mag_t > BOOT + 15 * 10**9) & (walk.mag_t < BOOT + 25 * 10**9)
    tested = fuser()
    out = fuse(tested, walk, every(block_ns, walk), mag=np.flatnonzero(~silent))
    np.testing.assert_array_equal(out.t_ns, walk.t)
    assert tested.statistics.without_field == pytest.approx(2000, abs=10)
    assert walk.error_degrees(out)[2000:].max() < 0.03


def test_a_magnetometer_that_samples_with_the_gyro_is_paired_with_every_sample(walk):
    tested = fuser()
    field = np.tile([0.0, 18, -44], (40, 1))
    for start in range(0, 40, 4):
        rows = slice(start, start + 4)
        tested.add_mag(walk.t[rows], field[rows])
        tested.add_imu(walk.t[rows], walk.gyro[rows], walk.accel[rows], T)
        assert len(tested.take()) == 4
    assert tested.statistics.without_field == 1  # nothing lies before the first


def test_lost_samples_cost_next_to_nothing(walk):
    rng = np.random.default_rng(3)
    kept = np.flatnonzero(rng.random(len(walk.t)) > 0.05)
    tested = fuser()
    out = fuse(tested, walk, every(20_000_000, walk), imu=kept)
    np.testing.assert_array_equal(out.t_ns, walk.t[kept])
    assert tested.statistics.gaps == np.count_nonzero(np.diff(kept) > 1)
    assert tested.statistics.restarts == 0
    assert np.sqrt(np.mean(walk.error_degrees(out)[2000:] ** 2)) < 0.01


def test_a_chip_whose_clock_is_off_turns_no_faster_for_it(walk):
    tested = fuser()
    wrong = round(T * 1.03)  # what the data sheet says; the stamps know better
    tested.add_mag(walk.mag_t, walk.mag)
    tested.add_imu(walk.t, walk.gyro, walk.accel, wrong)
    error = walk.error_degrees(joined([tested.take(), tested.flush()]))
    assert np.sqrt(np.mean(error[2000:] ** 2)) < 0.02


@pytest.mark.parametrize("name", ["vqf", "madgwick"])
@pytest.mark.parametrize("block_ns", [20_000_000, 10**11])
def test_after_a_long_gap_the_filter_starts_again(walk, name, block_ns, caplog):
    kept = np.flatnonzero((walk.t < BOOT + 10 * 10**9) | (walk.t > BOOT + 13 * 10**9))
    tested = fuser(name)
    out = fuse(tested, walk, every(block_ns, walk), imu=kept)
    assert tested.statistics.restarts == 1
    assert tested.statistics.gaps == 0
    assert "no motion samples for 3.0 s" in caplog.text
    first_after = int(np.searchsorted(out.t_ns, BOOT + 13 * 10**9))
    assert walk.error_degrees(out)[first_after : first_after + 200].max() < 3


def test_broken_and_saturated_rows_are_kept_out_and_counted(walk):
    gyro, accel, mag = walk.gyro.copy(), walk.accel.copy(), walk.mag.copy()
    gyro[3000, 1] = np.nan
    gyro[3010, 0] = -np.inf
    gyro[3020] = [0, 0, radians(2000)]
    accel[3030, 2] = np.nan
    accel[3040, 0] = -78.5
    mag[700, 1] = np.nan
    mag[710, 1] = np.inf
    mag[720, 0] = 1200
    tested = fuser(gyro_limit=radians(2000), accel_limit=78.4, mag_limit=1200)
    tested.add_mag(walk.mag_t, mag)
    tested.add_imu(walk.t, gyro, accel, T)
    out = joined([tested.take(), tested.flush()])
    assert np.isfinite(out.data).all()
    np.testing.assert_array_equal(out.t_ns, np.delete(walk.t, [3000, 3010, 3020]))
    found = tested.statistics
    assert (found.bad_gyro, found.without_force, found.bad_field) == (3, 2, 3)
    assert found.gaps == 3
    assert found.fused == len(walk.t) - 3
    assert walk.error_degrees(out)[2000:].max() < 0.2


def test_time_never_runs_backwards(walk):
    tested = fuser()
    order = np.array([0, 1, 3, 2, 3, 4])
    tested.add_imu(walk.t[order], walk.gyro[order], walk.accel[order], T)
    tested.add_imu(walk.t[4:6], walk.gyro[4:6], walk.accel[4:6], T)
    tested.add_mag(walk.mag_t[[1, 0]], walk.mag[[1, 0]])
    out = tested.flush()
    assert ((out.t_ns - BOOT) // T).tolist() == [0, 1, 3, 4, 5]
    assert tested.statistics.out_of_order == 4


def test_a_level_camera_that_faces_magnetic_north_writes_no_zero():
    tested = fuser()
    rows = 400
    t = np.arange(rows, dtype=np.int64) * T
    tested.add_mag(t, np.tile([0.0, 18, -44], (rows, 1)))
    tested.add_imu(t, np.zeros((rows, 3)), np.tile([0, 0, 9.81], (rows, 1)), T)
    out = tested.flush()
    length = np.linalg.norm(out.data.astype(float), axis=1)
    assert (length > 0).all()
    assert (length < 1e-6).all()


def test_orientations_are_canonical(walk):
    out = fuse(fuser(), walk, every(20_000_000, walk))
    length = np.linalg.norm(out.data.astype(np.float64), axis=1)
    assert length.max() <= pi + 1e-6
    assert length.max() > 3.1  # the walk does look south


def test_a_rate_belongs_to_a_fuser(walk):
    tested = fuser()
    tested.add_imu(walk.t[:4], walk.gyro[:4], walk.accel[:4], T)
    tested.add_imu(walk.t[4:8], walk.gyro[4:8], walk.accel[4:8], round(T * 1.02))
    with pytest.raises(UsageError, match="another rate"):
        tested.add_imu(walk.t[8:9], walk.gyro[8:9], walk.accel[8:9], T // 5)


def test_empty_blocks_are_nothing():
    tested = fuser()
    nothing = np.empty(0, np.int64), np.empty((0, 3))
    tested.add_imu(*nothing, np.empty((0, 3)), T)
    tested.add_mag(*nothing)
    assert tested.take() is None
    assert tested.flush() is None


def test_statistics_say_which_filter_works_and_cannot_be_changed(walk):
    tested = fuser()
    assert tested.statistics.filter == ""
    tested.add_imu(walk.t[:4], walk.gyro[:4], walk.accel[:4], T)
    assert tested.statistics.filter == "vqf"
    with pytest.raises(FrozenInstanceError):
        tested.statistics.fused = 1


def test_a_wrong_filter_or_mount_is_refused_at_once():
    with pytest.raises(UsageError, match="vqf, madgwick"):
        OrientationFuser("kalman", MOUNT)
    with pytest.raises(UsageError, match="mirror"):
        OrientationFuser("vqf", np.diag([1.0, 1.0, -1.0]))
