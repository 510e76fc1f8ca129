"""The packets byte for byte, against what real cameras wrote."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from camm import (
    FIELD_NAMES,
    PACKET_SIZES,
    VALUE_DTYPES,
    PacketError,
    PacketType,
    decode,
    empty_values,
    encode,
    is_vector,
)

RECORDED = json.loads(
    (Path(__file__).parents[1] / "data" / "camm" / "camm_packets.json").read_text()
)
VECTORS = [0, 2, 3, 4, 7]


def values_of(kind, floats):
    if is_vector(kind):
        return np.array([floats])
    rows = empty_values(kind, 1)
    for name, value in zip(FIELD_NAMES[kind], floats, strict=True):
        rows[name] = value
    return rows


def test_packets_have_the_sizes_of_the_specification():
    assert [PACKET_SIZES[PacketType(n)] for n in range(8)] == [16, 12, 16, 16, 16, 28, 60, 16]


@pytest.mark.parametrize("packet", RECORDED, ids=lambda packet: packet["hex"][8:16])
def test_a_recorded_packet_is_written_byte_for_byte(packet):
    kind = PacketType(packet["type"])
    assert encode(kind, values_of(kind, packet["values"])).tobytes().hex() == packet["hex"]


@pytest.mark.parametrize("packet", RECORDED, ids=lambda packet: packet["hex"][8:16])
def test_a_recorded_packet_is_read_to_its_values(packet):
    kind = PacketType(packet["type"])
    raw = np.frombuffer(bytes.fromhex(packet["hex"]), np.uint8)[None]
    np.testing.assert_array_equal(
        decode(kind, raw), values_of(kind, packet["values"]).astype(VALUE_DTYPES[kind])
    )


def test_a_gps_packet_lies_in_the_file_as_the_specification_draws_it():
    values = (1234567890.25, 3, 52.5, 13.4, 34.5, 1.5, 2.5, -0.25, 8.75, 0.5, 0.125)
    expected = struct.pack("<HHdiddfffffff", 0, 6, *values)
    assert encode(PacketType.GPS, values_of(PacketType.GPS, values)).tobytes() == expected


def test_an_exposure_packet_lies_in_the_file_as_the_specification_draws_it():
    rows = values_of(PacketType.EXPOSURE, (8_000_000, 16_500_000))
    expected = struct.pack("<HHii", 0, 1, 8_000_000, 16_500_000)
    assert encode(PacketType.EXPOSURE, rows).tobytes() == expected


@pytest.mark.parametrize("number", VECTORS)
def test_the_header_says_the_type(number):
    packets = encode(PacketType(number), np.ones((3, 3)))
    assert packets.shape == (3, 16)
    assert {struct.unpack("<HH", bytes(row[:4])) for row in packets} == {(0, number)}


@given(st.sampled_from(VECTORS), hnp.arrays(np.float32, st.tuples(st.integers(0, 20), st.just(3))))
def test_vectors_survive_the_file(number, rows):
    kind = PacketType(number)
    np.testing.assert_array_equal(decode(kind, encode(kind, rows)), rows)


@given(st.data())
def test_records_survive_the_file(data):
    kind = data.draw(st.sampled_from([PacketType.EXPOSURE, PacketType.MIN_GPS, PacketType.GPS]))
    rows = data.draw(hnp.arrays(VALUE_DTYPES[kind], st.integers(0, 20)))
    back = decode(kind, encode(kind, rows))
    assert back.dtype == rows.dtype
    for name in FIELD_NAMES[kind]:
        np.testing.assert_array_equal(back[name], rows[name])


@given(st.sampled_from(PacketType), st.binary(max_size=64))
def test_bytes_of_another_size_are_no_packet(kind, raw):
    if len(raw) != PACKET_SIZES[kind]:
        with pytest.raises(PacketError, match="bytes each"):
            decode(kind, np.frombuffer(raw, np.uint8)[None])


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 4), (4, 3, 1)])
def test_a_vector_has_three_components(shape):
    with pytest.raises(PacketError, match=r"shape \(N, 3\)"):
        encode(PacketType.GYRO, np.zeros(shape))


def test_a_record_needs_the_fields_of_its_type():
    with pytest.raises(PacketError, match="takes the fields"):
        encode(PacketType.GPS, empty_values(PacketType.MIN_GPS, 2))
    with pytest.raises(PacketError, match="takes the fields"):
        encode(PacketType.MIN_GPS, np.zeros((2, 3)))


def test_packets_are_bytes_in_rows():
    packets = encode(PacketType.GYRO, np.ones((2, 3)))
    with pytest.raises(PacketError):
        decode(PacketType.GYRO, packets.ravel())
    with pytest.raises(PacketError):
        decode(PacketType.GYRO, packets.astype(np.int16))


def test_packets_cut_out_of_longer_rows_are_read_all_the_same():
    wide = np.zeros((5, 20), np.uint8)
    wide[:, 4:] = encode(PacketType.GYRO, np.arange(15).reshape(5, 3))
    np.testing.assert_array_equal(decode(PacketType.GYRO, wide[:, 4:]), np.arange(15).reshape(5, 3))


@pytest.mark.parametrize("kind", PacketType)
def test_a_type_is_known_by_its_label(kind):
    assert PacketType.from_label(kind.label) is kind


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(PacketError, match="angle_axis"):
        PacketType.from_label("compass")
