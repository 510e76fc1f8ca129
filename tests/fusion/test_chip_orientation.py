"""Orientation that a chip has worked out, in the camera's axes."""

import numpy as np
import pytest

from camm.packets import PacketType
from fusion.chip_orientation import ChipOrientation

# The chip's x to the camera's right, y forward, z up.
MOUNT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
HALF = np.sqrt(0.5)


def times(count):
    return np.arange(count, dtype=np.int64) * 10_000_000


def test_level_and_facing_north_is_no_rotation_and_east_a_quarter_to_the_right():
    chip = ChipOrientation(MOUNT)
    north, east = [1.0, 0, 0, 0], [HALF, 0, 0, -HALF]
    chip.add(times(2), np.array([north, east]))
    block = chip.take()
    assert block.kind is PacketType.ANGLE_AXIS
    assert block.data[0] == pytest.approx([0, 0, 0], abs=1e-6)
    assert block.data[1] == pytest.approx([0, np.pi / 2, 0], abs=1e-6)


def test_headings_are_turned_to_true_north_from_then_on():
    chip = ChipOrientation(MOUNT)
    still = np.tile([1.0, 0, 0, 0], (1, 1))
    chip.add(times(1), still)
    chip.set_declination(np.radians(12))
    chip.add(times(2)[1:], still)
    assert np.degrees(chip.take().data[:, 1]) == pytest.approx([0, 12], abs=1e-4)


def test_what_is_no_rotation_is_left_out_and_counted():
    chip = ChipOrientation(MOUNT)
    rows = np.array([[1, 0, 0, 0], [np.nan, 0, 0, 0], [0, 0, 0, 0], [0.999, 0, 0, 0], [2, 0, 0, 0]])
    chip.add(times(5), rows.astype(float))
    block = chip.take()
    assert block.t_ns.tolist() == times(5)[[0, 3]].tolist()
    assert np.isfinite(block.data).all()
    statistics = chip.statistics
    assert (statistics.filter, statistics.fused, statistics.bad_orientation) == ("chip", 2, 3)


def test_nothing_waits():
    chip = ChipOrientation(MOUNT)
    assert chip.take() is chip.flush() is None
    chip.add(times(3), np.tile([1.0, 0, 0, 0], (3, 1)))
    assert len(chip.flush()) == 3
    assert chip.take() is None
    chip.add(times(1), np.full((1, 4), np.nan))
    assert chip.take() is None
