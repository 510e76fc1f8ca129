"""Camera motion metadata is found packet by packet, wherever it lies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PACKET_SIZES, PacketType, empty_values, encode
from muxer.file_boxes import Memory
from muxer.salvage.codecs.camm import CammScanner

ALL = frozenset(PacketType)
GYRO, GPS, ANGLE = PacketType.GYRO, PacketType.GPS, PacketType.ANGLE_AXIS


def packet(kind, value=0.25):
    values = empty_values(kind, 1)
    for name in values.dtype.names or ():
        values[name] = value
    if values.dtype.names is None:
        values[:] = value
    return encode(kind, values).tobytes()


def runs(data, kinds=ALL, at=0, most=1 << 40):
    return CammScanner(kinds).run(Memory(data), at, most)


def test_packets_of_all_types_are_one_run():
    kinds = [kind for kind in (*PacketType, *reversed(PacketType)) for _ in range(3)]
    found = runs(b"?" * 5 + b"".join(map(packet, kinds)) + b"rest", at=5)
    assert found.start == 5
    assert found.size.tolist() == [PACKET_SIZES[kind] for kind in kinds]
    assert found.keyframe.all()


def test_a_run_longer_than_what_is_read_at_once_is_whole():
    count = 300_000
    found = runs((packet(GYRO) + packet(GPS)) * count)
    assert len(found) == 2 * count
    assert np.unique(found.size[::2]).tolist() == [PACKET_SIZES[GYRO]]


def test_no_more_than_asked_for():
    assert len(runs(packet(GYRO) * 10, most=4)) == 4
    assert len(runs(packet(GPS) * 10, most=1)) == 1


def test_a_packet_that_is_cut_is_none():
    assert len(runs(packet(GYRO) * 2 + packet(GPS)[:-1])) == 2
    assert runs(packet(GPS)[:-1]) is None


def test_types_that_the_reference_has_not_are_none():
    assert runs(packet(GPS), {GYRO}) is None


def test_zeros_are_no_rotation():
    assert runs(bytes(1000)) is None
    assert CammScanner(ALL).signature.search(bytes(1000)) is None
    assert len(runs(packet(ANGLE, 1e-9) + bytes(1000))) == 1


def test_zeros_before_other_data_are_no_rotation():
    assert runs(bytes(15) + b"\x40") is not None  # 2.0 rad about one axis
    assert runs(bytes(12) + b"\0\0\x1c\x27") is None


def test_rarer_packets_are_more_evidence():
    assert runs(packet(GYRO), {GYRO}).evidence == 32
    assert runs(packet(GYRO)).evidence == 29
    assert runs(packet(GYRO) * 5).evidence == 5 * 29


@pytest.mark.parametrize("kind", PacketType)
def test_a_packet_is_found_among_noise(kind):
    noise = np.random.default_rng(1).integers(1, 256, 5000, np.uint8).tobytes()
    place = CammScanner(ALL).signature.search(noise + packet(kind) + noise)
    assert place.start() == 5000


@given(st.binary(max_size=200), st.integers(0, 210), st.integers(0, 5))
def test_no_bytes_make_it_fail(data, at, most):
    found = runs(data, at=at, most=most)
    if found is not None:
        assert 0 < len(found) <= most
        assert found.end <= len(data)
