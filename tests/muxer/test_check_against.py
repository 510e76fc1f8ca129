"""A clip beside a log: what is missing, extra, changed, and what became of the times."""

import numpy as np
import pytest

from camm import PacketType, Samples, empty_values
from muxer.check.against import compare

PERIOD_NS = 5_000_000
GYRO = PacketType.GYRO


def motion(count=6000, seed=1, kind=GYRO):
    noise = np.random.default_rng(seed)
    t_ns = np.arange(count) * PERIOD_NS
    smooth = np.sin(t_ns[:, None] / 1e9 * (1.1, 1.7, 2.3)) + noise.normal(0, 0.2, (count, 3))
    return Samples(kind, t_ns, smooth.astype(np.float32))


def fixes(count=300, seed=2):
    noise = np.random.default_rng(seed)
    data = empty_values(PacketType.GPS, count)
    data["time_gps_epoch"] = 1464350418.0 + np.arange(count) / 10
    data["latitude"] = np.round(47 + np.cumsum(noise.normal(1e-6, 1e-7, count)), 7)
    data["longitude"] = np.round(8 + np.cumsum(noise.normal(0, 1e-6, count)), 7)
    data["velocity_up"] = np.nan
    return Samples(PacketType.GPS, np.arange(count) * 100_000_000, data)


def blocks(samples, size=2000):
    return iter([samples[n : n + size] for n in range(0, len(samples), size)])


def compared(mine, recorded):
    return compare(recorded.kind, blocks(mine), blocks(recorded, 1700))


def moved(samples, t_ns):
    return Samples(samples.kind, np.asarray(t_ns, np.int64), samples.data)


def without(samples, *rows):
    return samples[np.delete(np.arange(len(samples)), rows)]


@pytest.mark.parametrize("recorded", [motion(), fixes(), motion(3)])
def test_what_was_recorded_is_the_same(recorded):
    found = compared(recorded, recorded)
    assert found.same
    assert (found.recorded, found.matched) == (len(recorded), len(recorded))
    assert found.shift_s == found.drift_ppm == found.worst_ms == 0
    assert found.found_by == "values"


def test_a_constant_shift_of_any_size_is_no_difference():
    recorded = motion()
    for shift_ns in (-3_601_234_567_890, 7, 512_345_678):
        found = compared(moved(recorded, recorded.t_ns + shift_ns), recorded)
        assert found.same
        assert found.shift_s == pytest.approx(shift_ns / 1e9, abs=1e-9)
        assert found.worst_ms < 1e-6


def test_missing_and_extra_records_are_counted_and_placed():
    recorded = motion()
    found = compared(without(recorded, 1000, 1001, 4000), recorded)
    assert (found.missing, found.extra, found.changed) == (3, 0, 0)
    assert found.first_missing_s == pytest.approx(5.0)
    assert not found.same
    found = compared(recorded, without(recorded, 1000, 1001, 4000))
    assert (found.missing, found.extra, found.changed) == (0, 3, 0)
    assert found.first_extra_s == pytest.approx(5.0)


def test_what_was_recorded_before_and_after_the_clip_is_not_missing():
    recorded = motion()
    found = compared(recorded[1000:5000], recorded)
    assert found.same
    assert (found.matched, found.outside) == (4000, 2000)


def test_the_record_that_is_interpolated_at_time_zero_is_not_extra():
    recorded = moved(motion(), np.arange(6000) * PERIOD_NS + 2_000_000)
    mine = Samples.concatenate(GYRO, [Samples(GYRO, np.zeros(1, np.int64), recorded.data[:1] + 1)])
    assert compared(Samples.concatenate(GYRO, [mine, recorded]), recorded).same


def test_changed_values_are_counted_and_their_column_is_named():
    recorded = motion()
    data = recorded.data.copy()
    data[[70, 80], 1] += np.float32(0.5)
    found = compared(Samples(GYRO, recorded.t_ns, data), recorded)
    assert (found.missing, found.extra, found.changed) == (0, 0, 2)
    assert (found.largest_in, found.largest) == ("gyro_y", pytest.approx(0.5, rel=1e-5))
    assert found.first_changed_s == pytest.approx(0.35)


def test_a_latitude_that_is_a_centimetre_off_is_changed():
    recorded = fixes()
    data = recorded.data.copy()
    data["latitude"][9] += 1e-7
    found = compared(Samples(PacketType.GPS, recorded.t_ns, data), recorded)
    assert (found.changed, found.largest_in) == (1, "latitude")


def test_rounding_to_float32_and_by_a_text_is_no_change():
    recorded = motion()
    rounded = Samples(GYRO, recorded.t_ns, recorded.data.astype(np.float64) * (1 + 3e-8))
    assert compared(recorded, rounded).same


def test_a_clock_that_runs_away_is_followed_and_told():
    recorded = motion(60_000)
    found = compared(moved(recorded, recorded.t_ns * 0.99), recorded)
    assert (found.matched, found.missing) == (60_000, 0)
    assert found.drift_ppm == pytest.approx(-10_000, rel=0.01)


def test_a_clip_that_lost_time_by_truncation_is_followed():
    """A builder that rounds each step down to a whole millisecond: 4 in place of 4.444."""
    recorded = moved(motion(20_000), np.arange(20_000) * 4_444_444)
    found = compared(moved(recorded, np.arange(20_000) * 4_000_000), recorded)
    assert found.matched == 20_000
    assert found.drift_ppm == pytest.approx(-100_000, rel=0.01)


def test_jitter_is_told_beside_the_shift():
    recorded = motion()
    late = np.abs(np.random.default_rng(3).normal(0, 300_000, len(recorded))).astype(np.int64)
    found = compared(moved(recorded, recorded.t_ns + late), recorded)
    assert found.same
    assert found.jitter_ms == pytest.approx(0.18, abs=0.03)
    assert 0.5 < found.worst_ms < 2


def test_motion_that_was_worked_over_is_found_again_by_how_alike_it_is():
    recorded = motion()
    other = recorded.data * np.float32(1.02)
    found = compared(Samples(GYRO, recorded.t_ns + 777_000_000, other), recorded)
    assert found.found_by == "motion"
    assert found.shift_s == pytest.approx(0.777, abs=0.0005)
    assert found.matched == len(recorded)
    assert found.changed > 0.99 * len(recorded)


def test_another_motion_is_not_what_was_recorded():
    found = compared(motion(seed=5)[::2], motion(seed=6))
    assert found.found_by in {"times", "motion"}
    assert not found.same
    assert found.changed > 0.9 * found.matched


def test_a_type_that_is_not_in_the_clip_is_missing_as_a_whole():
    recorded = motion()
    found = compared(Samples.empty(GYRO), recorded)
    assert (found.recorded, found.matched, found.missing) == (6000, 0, 6000)
    assert found.shift_s is None
    assert not found.same


def test_records_in_another_order_are_the_same():
    recorded = motion()
    shuffled = recorded[np.random.default_rng(7).permutation(len(recorded))]
    assert compare(GYRO, iter([shuffled]), blocks(recorded)).same


def test_sizes_of_blocks_do_not_matter():
    recorded = without(motion(), 100, 3333, 3334)
    mine = without(motion(), 50, 3334, 5000)
    counts = {
        (found.matched, found.missing, found.extra)
        for size in (1, 13, 999, 6000)
        for found in [compare(GYRO, blocks(mine, 777), blocks(recorded, size))]
        if size > 1 or len(recorded) < 10_000
    }
    assert counts == {(5995, 2, 2)}
