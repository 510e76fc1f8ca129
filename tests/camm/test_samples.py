"""The sample block."""

import numpy as np
import pytest

from camm import PacketError, PacketType, Samples


def gyro(*times):
    return Samples(PacketType.GYRO, np.array(times, np.int64), np.outer(times, [1.0, 2.0, 3.0]))


def test_a_block_has_a_time_for_every_row():
    with pytest.raises(PacketError, match=r"\(2,\) rows need as many"):
        Samples(PacketType.GYRO, np.arange(3, dtype=np.int64), np.zeros((2, 3)))


def test_times_are_whole_nanoseconds():
    with pytest.raises(PacketError, match="int64"):
        Samples(PacketType.GYRO, np.arange(2.0), np.zeros((2, 3)))


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([False, True, True]), np.array([1, 2])])
def test_rows_of_a_block_are_a_block(rows):
    part = gyro(10, 20, 30)[rows]
    assert part.kind is PacketType.GYRO
    assert part.t_ns.tolist() == [20, 30]
    assert part.data[:, 2].tolist() == [60, 90]


@pytest.mark.parametrize("kind", PacketType)
def test_an_empty_block_has_no_rows_and_the_right_columns(kind):
    empty = Samples.empty(kind)
    assert len(empty) == 0
    assert Samples.concatenate(kind, []).data.dtype == empty.data.dtype
    assert Samples.concatenate(kind, [empty, empty]).data.shape == empty.data.shape


def test_blocks_are_joined_in_the_order_given():
    joined = Samples.concatenate(PacketType.GYRO, [gyro(3, 4), gyro(1)])
    assert joined.t_ns.tolist() == [3, 4, 1]
    assert joined.data[:, 0].tolist() == [3, 4, 1]


def test_a_block_cannot_be_changed_from_outside():
    with pytest.raises(AttributeError):
        gyro(1).kind = PacketType.ACCELERATION
