"""The common language: CAMM packets, sample blocks, frames of reference, GPS time. numpy only.

Names come from the modules below when they are first asked for: whoever wants an error alone does
not wait for numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "CammError": "camm.errors",
    "UsageError": "camm.errors",
    "Packet": "camm.media",
    "StreamFormat": "camm.media",
    "Samples": "camm.samples",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has under that name
    if name not in __all__:
        raise AttributeError(f"module 'camm' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES.get(name, "camm.packets")), name)
    return value
