"""The common language: CAMM packets, sample blocks, frames of reference, GPS time. numpy only."""

from camm.errors import CammError, UsageError
from camm.media import Packet, StreamFormat
from camm.packets import (
    FIELD_NAMES,
    PACKET_DTYPES,
    PACKET_SIZES,
    VALUE_DTYPES,
    PacketError,
    PacketType,
    decode,
    empty_values,
    encode,
    is_vector,
)
from camm.samples import Samples

__all__ = [
    "FIELD_NAMES",
    "PACKET_DTYPES",
    "PACKET_SIZES",
    "VALUE_DTYPES",
    "CammError",
    "Packet",
    "PacketError",
    "PacketType",
    "Samples",
    "StreamFormat",
    "UsageError",
    "decode",
    "empty_values",
    "encode",
    "is_vector",
]
