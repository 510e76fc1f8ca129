"""The filter of positions on motions that are known exactly: where it is right, where silent."""

import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from camm.frames import conjugate, from_angle_axis, rotate
from fusion.calibration.accel import normal_gravity
from fusion.local_frame import LocalFrame
from fusion.position_filter import PositionFilter

BEGIN_NS = 7_000_000_000_000
PERIOD_NS = 5_000_000
RADIUS_M, TURN = 6.0, 0.5  # metres, rad/s
PLACE = 47.0, 8.0, 400.0
SEMI_MAJOR, SQUARE = 6_378_137.0, 6.694_379_990_14e-3


def where(t_ns):
    """East, down, north: round a circle, and up and down."""
    t = (t_ns - BEGIN_NS) / 1e9
    return np.stack(
        [RADIUS_M * np.sin(TURN * t), -0.4 * np.sin(2 * t), RADIUS_M * np.cos(TURN * t)], axis=1
    )


def speed(t_ns):
    t = (t_ns - BEGIN_NS) / 1e9
    along = RADIUS_M * TURN
    return np.stack([along * np.cos(TURN * t), -0.8 * np.cos(2 * t), -along * np.sin(TURN * t)], 1)


def turned(t_ns):
    """Type 0 of a camera that looks ahead and nods."""
    t = (t_ns - BEGIN_NS) / 1e9
    heading = np.pi / 2 + TURN * t
    vector = np.stack([0.2 * np.sin(3 * t), (heading + np.pi) % (2 * np.pi) - np.pi, 0 * t], axis=1)
    return Samples(PacketType.ANGLE_AXIS, t_ns, vector)


def felt(t_ns):
    """Specific force in camera axes."""
    t = (t_ns - BEGIN_NS) / 1e9
    pull = where(t_ns) * (-TURN * TURN, -4.0, -TURN * TURN)
    pull[:, 1] = 1.6 * np.sin(2 * t)
    pull[:, 1] -= normal_gravity()
    return rotate(conjugate(from_angle_axis(turned(t_ns).data)), pull)


def fixes(t_ns, *, offset=(0.0, 0.0, 0.0), place=PLACE):
    """Type 6 without any error."""
    east, down, north = (where(t_ns) + offset).T
    data = empty_values(PacketType.GPS, len(t_ns))
    latitude = np.radians(place[0])
    normal = SEMI_MAJOR / np.sqrt(1 - SQUARE * np.sin(latitude) ** 2)
    meridian = SEMI_MAJOR * (1 - SQUARE) / (1 - SQUARE * np.sin(latitude) ** 2) ** 1.5
    data["gps_fix_type"] = 3
    data["latitude"] = place[0] + np.degrees(north / (meridian + place[2]))
    longitude = place[1] + np.degrees(east / (normal + place[2]) / np.cos(latitude))
    data["longitude"] = (longitude + 180) % 360 - 180
    data["altitude"] = place[2] - down
    data["horizontal_accuracy"], data["vertical_accuracy"] = 1.0, 1.5
    v_east, v_down, v_north = speed(t_ns).T
    data["velocity_east"], data["velocity_north"], data["velocity_up"] = v_east, v_north, -v_down
    data["speed_accuracy"] = 0.1
    return Samples(PacketType.GPS, t_ns, data)


def samples_ns(seconds):
    return BEGIN_NS + np.arange(round(seconds * 200)) * PERIOD_NS


def fixes_ns(seconds, rate_hz=10):
    return BEGIN_NS + 103_000_000 + np.arange(round(seconds * rate_hz)) * (10**9 // rate_hz)


def followed(told, seconds, *, block=20, late=1, motion=None):
    """All positions of a filter that is given blocks, and fixes some blocks late."""
    position_filter, parts = PositionFilter(), []
    t_ns = samples_ns(seconds) if motion is None else motion
    blocks = np.split(t_ns, range(block, len(t_ns), block))
    for number, rows in enumerate([*blocks, *[t_ns[:0]] * late]):
        position_filter.add_force(rows, felt(rows))
        position_filter.add_orientation(turned(rows))
        until_ns = blocks[number - late][-1] if number >= late else 0
        ready = told.t_ns <= until_ns
        position_filter.add_fixes(told[ready])
        told = told[~ready]
        if (found := position_filter.take()) is not None:
            parts.append(found)
    return position_filter, Samples.concatenate(PacketType.POSITION, parts)


def off(position_filter, positions):
    """By how much they are wrong, m (N, 3)."""
    frame = position_filter.frames[-1]
    error = positions.data - where(positions.t_ns) + where(np.array([frame.monotonic_ns]))
    return np.abs(error)


@pytest.mark.parametrize("rate_hz", [10, 5, 1])
def test_between_exact_fixes_it_is_where_the_camera_is(rate_hz):
    told = fixes(fixes_ns(20, rate_hz))
    position_filter, found = followed(told, 20)
    settled = found.t_ns > BEGIN_NS + 3_000_000_000
    assert off(position_filter, found)[settled].max() < 0.02
    t_ns = samples_ns(20)
    between = t_ns[(t_ns > told.t_ns[0]) & (t_ns <= found.t_ns[-1])]
    assert found.t_ns[-1] > BEGIN_NS + 18_000_000_000
    np.testing.assert_array_equal(found.t_ns, between)


def test_it_moves_without_a_step():
    _, found = followed(fixes(fixes_ns(20)), 20)
    assert found.data.dtype == np.float32
    steps = np.linalg.norm(np.diff(found.data.astype(float), axis=0), axis=1) / (PERIOD_NS / 1e9)
    assert steps.max() < 1.05 * np.hypot(RADIUS_M * TURN, 0.8)


@pytest.mark.parametrize(("block", "late"), [(1, 1), (7, 40), (200, 0), (20, 10)])
def test_neither_blocks_nor_latency_make_a_difference(block, late):
    told = fixes(fixes_ns(5))
    _, usual = followed(told, 5)
    _, found = followed(told, 5, block=block, late=late)
    common = min(len(usual), len(found))
    np.testing.assert_array_equal(usual.t_ns[:common], found.t_ns[:common])
    np.testing.assert_allclose(usual.data[:common], found.data[:common], atol=1e-5)
    assert common > 900


def test_a_fix_that_jumps_is_not_believed():
    told = fixes(fixes_ns(10))
    told.data["latitude"][50] += 1e-3  # a hundred metres
    told.data["altitude"][60] += 50
    told.data["velocity_east"][70] += 9
    position_filter, found = followed(told, 10)
    assert position_filter.statistics.refused == 3
    assert position_filter.statistics.begun == 1
    settled = found.t_ns > BEGIN_NS + 3_000_000_000
    assert off(position_filter, found)[settled].max() < 0.03
    assert np.diff(found.t_ns).max() == PERIOD_NS


def test_a_jump_that_stays_is_believed_in_the_end_after_a_gap():
    here, there = fixes(fixes_ns(5)), fixes(fixes_ns(5) + 5_000_000_000, offset=(80.0, 0.0, 0.0))
    position_filter, found = followed(Samples.concatenate(here.kind, [here, there]), 10)
    assert position_filter.statistics.begun == 2
    gap = np.diff(found.t_ns).max()
    assert 1_200_000_000 < gap < 1_500_000_000
    assert (
        np.abs(
            found.data[-1]
            - found.data[0]
            - where(found.t_ns[[-1]])
            + where(found.t_ns[[0]])
            - (80, 0, 0)
        ).max()
        < 0.1
    )


@pytest.mark.parametrize("hole_s", [1.0, 1.5, 30.0])
def test_no_position_is_told_where_fixes_are_too_far_apart(hole_s):
    t_ns = fixes_ns(40)
    kept = (t_ns < BEGIN_NS + 5_000_000_000) | (t_ns > BEGIN_NS + 5e9 + hole_s * 1e9)
    position_filter, found = followed(fixes(t_ns[kept]), 40)
    gap = np.diff(found.t_ns).max()
    assert (gap == PERIOD_NS) == (hole_s <= 1.0)
    assert position_filter.statistics.begun == 1 + (hole_s > 1.0)
    assert off(position_filter, found)[found.t_ns > BEGIN_NS + 39_000_000_000].max() < 0.05


def test_nor_where_the_motion_sensor_was_silent():
    motion = samples_ns(10)
    motion = motion[(motion < BEGIN_NS + 4_000_000_000) | (motion > BEGIN_NS + 4_500_000_000)]
    position_filter, found = followed(fixes(fixes_ns(10)), 10, motion=motion)
    gaps = np.diff(found.t_ns)
    assert 500_000_000 < gaps.max() < 800_000_000
    assert off(position_filter, found)[-100:].max() < 0.05


def test_fixes_without_speed_and_accuracies_do():
    full = fixes(fixes_ns(30))
    plain = empty_values(PacketType.MIN_GPS, len(full))
    for name in ("latitude", "longitude", "altitude"):
        plain[name] = full.data[name]
    position_filter, found = followed(Samples(PacketType.MIN_GPS, full.t_ns, plain), 30)
    assert off(position_filter, found)[found.t_ns > BEGIN_NS + 20_000_000_000].max() < 0.3


def test_what_a_receiver_does_not_tell_is_done_without():
    told = fixes(fixes_ns(10))
    told.data["velocity_up"] = np.nan
    told.data["altitude"][:5] = np.nan
    told.data["horizontal_accuracy"][3] = 0
    told.data["speed_accuracy"][4] = np.nan
    position_filter, found = followed(told, 10)
    assert np.isfinite(found.data).all()
    assert off(position_filter, found)[-200:, [0, 2]].max() < 0.05


def test_a_fix_that_is_told_twice_or_before_there_is_motion_changes_nothing():
    told = fixes(fixes_ns(5))
    early = fixes(BEGIN_NS - np.array([900, 500, 100]) * 1_000_000)
    _, usual = followed(told, 5)
    twice = told[np.repeat(np.arange(len(told)), 2)]
    position_filter, found = followed(Samples.concatenate(told.kind, [early, twice]), 5)
    assert position_filter.statistics.begun == 1
    np.testing.assert_array_equal(usual.data, found.data)


def test_forces_that_are_none_are_left_out():
    position_filter = PositionFilter()
    t_ns = samples_ns(2)
    force = felt(t_ns)
    force[100:110] = np.nan
    position_filter.add_force(t_ns, force)
    position_filter.add_orientation(turned(t_ns))
    position_filter.add_fixes(fixes(fixes_ns(1.5)))
    found = position_filter.take()
    assert np.isfinite(found.data).all()
    assert not np.isin(t_ns[100:110], found.t_ns).any()


@pytest.mark.parametrize("place", [(0.0, 179.99999, -12.0), (-89.0, -180.0, 2800.0), (60, 0, 0)])
def test_it_works_everywhere_on_earth(place):
    position_filter, found = followed(fixes(fixes_ns(10), place=place), 10)
    assert off(position_filter, found)[-200:].max() < 0.05


@pytest.mark.parametrize("tells_height", [True, False])
def test_the_frame_moves_along_and_every_place_of_it_is_told(tells_height):
    """Northwards at a kilometre a second besides."""
    told = fixes(fixes_ns(45))
    seconds = (told.t_ns - BEGIN_NS) / 1e9
    degree_m = float(LocalFrame(0, *PLACE).place(PLACE[0] + 1, *PLACE[1:])[2])
    told.data["latitude"] += 1000 * seconds / degree_m
    told.data["velocity_north"] += 1000
    if not tells_height:
        told.data["altitude"][100:] = np.nan
    position_filter, found = followed(told, 45)
    first, second, third = position_filter.frames
    assert position_filter.statistics.begun == 1
    assert position_filter.statistics.refused == 0
    assert np.hypot(found.data[:, 0], found.data[:, 2]).max() < 20_200
    for before, after in ((first, second), (second, third)):
        moved = after.place(before.latitude, before.longitude, before.altitude)
        at = int(found.t_ns.searchsorted(after.monotonic_ns, side="right"))
        step = found.data[at] - moved - found.data[at - 1]
        # Each frame has the radii of its own latitude.
        assert abs(step[2] - 1000 * PERIOD_NS / 1e9) < 1.0
        assert np.abs(step[:2]).max() < 0.05
    assert second.monotonic_ns in told.t_ns


def test_up_to_when_all_is_told():
    position_filter = PositionFilter()
    second = 1_000_000_000
    assert position_filter.complete_until_ns(9 * second) == 9 * second - 1_200_000_000
    t_ns = samples_ns(1)
    position_filter.add_force(t_ns, felt(t_ns))
    position_filter.add_orientation(turned(t_ns))
    position_filter.add_fixes(fixes(fixes_ns(0.5)))
    last = position_filter.take().t_ns[-1]
    told_ns = position_filter.complete_until_ns(int(last) + 1)
    assert last < told_ns < last + PERIOD_NS
    assert position_filter.complete_until_ns(BEGIN_NS + 9 * second) == BEGIN_NS + 7_800_000_000
    # A fix that waits for the motion holds it back.
    waits = fixes(np.array([BEGIN_NS + 2 * second]))
    position_filter.add_fixes(waits)
    assert position_filter.take() is None
    held_ns = position_filter.complete_until_ns(BEGIN_NS + 9 * second)
    assert held_ns == BEGIN_NS + 800_000_000


def test_what_never_finds_its_counterpart_is_forgotten():
    position_filter = PositionFilter()
    for second in range(100):
        t_ns = samples_ns(1) + second * 1_000_000_000
        position_filter.add_force(t_ns, felt(t_ns))
        position_filter.add_fixes(fixes(fixes_ns(1) + second * 1_000_000_000))
    assert len(position_filter._force[0]) <= 2001
    assert len(position_filter._fixes) <= 100


def test_metres_are_those_of_the_ellipsoid():
    """Against arcs and radii of tables: a degree of latitude and of longitude at 47° north."""
    frame = LocalFrame(0, 47.0, 8.0, 0.0)
    east, down, north = frame.place(47.0, 8.01, 5.0)
    assert east == pytest.approx(760.57, abs=0.1)
    assert (down, north) == (-5.0, 0.0)
    assert frame.place(47.01, 8.0, 0.0)[2] == pytest.approx(1111.7, abs=0.1)
