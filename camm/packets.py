"""The eight packet types of Google's Camera Motion Metadata, as numpy record types.

Source: the Camera Motion Metadata specification,
https://developers.google.com/streetview/publish/camm-spec. A packet is
`uint16 reserved; uint16 type;` and the fields of its type, all little-endian, no padding. In a file
each packet is one sample of the `camm` track. Names, order and units below are the specification's.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from camm.errors import CammError


class PacketError(CammError, ValueError):
    """Bytes or arrays that are no CAMM packet of the type they claim to be."""


class PacketType(IntEnum):
    """The `type` field of a packet."""

    ANGLE_AXIS = 0
    """Orientation: rotation from camera to world as axis times angle, radians."""
    EXPOSURE = 1
    """Exposure time of a pixel and rolling shutter skew of a frame, nanoseconds."""
    GYRO = 2
    """Angular rate in camera axes, rad/s."""
    ACCELERATION = 3
    """Specific force in camera axes, m/s^2: a level camera at rest reads (0, -9.81, 0)."""
    POSITION = 4
    """Position of the camera in world axes, metres."""
    MIN_GPS = 5
    """Latitude and longitude in degrees, altitude in metres."""
    GPS = 6
    """A fix with its GPS time, accuracies and velocity."""
    MAGNETIC_FIELD = 7
    """Ambient magnetic field in camera axes, microtesla."""

    @property
    def label(self) -> str:
        """The name of the specification, which is also the attribute, column and file name."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> PacketType:
        """The type of a name such as "gyro"; PacketError for a name that is none."""
        try:
            return cls[label.upper()]
        except KeyError:
            known = ", ".join(kind.label for kind in cls)
            raise PacketError(f"no packet type is called {label!r}; there are: {known}") from None


_HEADER = [("reserved", "<u2"), ("type", "<u2")]

_FIELDS: dict[PacketType, list[Any]] = {
    PacketType.ANGLE_AXIS: [("angle_axis", "<f4", (3,))],
    PacketType.EXPOSURE: [("pixel_exposure_time", "<i4"), ("rolling_shutter_skew_time", "<i4")],
    PacketType.GYRO: [("gyro", "<f4", (3,))],
    PacketType.ACCELERATION: [("acceleration", "<f4", (3,))],
    PacketType.POSITION: [("position", "<f4", (3,))],
    PacketType.MIN_GPS: [("latitude", "<f8"), ("longitude", "<f8"), ("altitude", "<f8")],
    PacketType.GPS: [
        ("time_gps_epoch", "<f8"),
        ("gps_fix_type", "<i4"),
        ("latitude", "<f8"),
        ("longitude", "<f8"),
        ("altitude", "<f4"),
        ("horizontal_accuracy", "<f4"),
        ("vertical_accuracy", "<f4"),
        ("velocity_east", "<f4"),
        ("velocity_north", "<f4"),
        ("velocity_up", "<f4"),
        ("speed_accuracy", "<f4"),
    ],
    PacketType.MAGNETIC_FIELD: [("magnetic_field", "<f4", (3,))],
}

PACKET_DTYPES = {kind: np.dtype(_HEADER + fields) for kind, fields in _FIELDS.items()}
"""The whole packet, header included, as it lies in the file."""

PACKET_SIZES = {kind: dtype.itemsize for kind, dtype in PACKET_DTYPES.items()}
"""Bytes of a packet: 16, 12, 16, 16, 16, 28, 60, 16 for the types 0 to 7."""

VALUE_DTYPES = {
    kind: np.dtype("<f4") if len(fields[0]) == 3 else np.dtype(fields)
    for kind, fields in _FIELDS.items()
}
"""What `Samples.data` holds: float32 (N, 3) for the vectors, else a record array (N,)."""

FIELD_NAMES = {kind: tuple(field[0] for field in fields) for kind, fields in _FIELDS.items()}
"""The specification's names of a type's fields; a vector is one field of three numbers."""


def is_vector(kind: PacketType) -> bool:
    """Whether the type is one field of three floats."""
    return VALUE_DTYPES[kind].names is None


def empty_values(kind: PacketType, count: int = 0) -> npt.NDArray[Any]:
    """An array for `count` rows of the type, zeroed: what a driver or a reader fills in."""
    return np.zeros((count, 3) if is_vector(kind) else count, VALUE_DTYPES[kind])


def encode(kind: PacketType, data: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Packets of N rows as bytes, shape (N, size of the type).

    `data` is what `Samples.data` holds; vectors may come as any float type. PacketError where the
    shape or the fields are not the type's.
    """
    packets = np.zeros(len(data), PACKET_DTYPES[kind])
    packets["type"] = kind
    if is_vector(kind):
        if data.ndim != 2 or data.shape[1] != 3:
            raise PacketError(f"{kind.label} takes an array of shape (N, 3), found {data.shape}")
        packets[FIELD_NAMES[kind][0]] = data
    else:
        if data.dtype.names != FIELD_NAMES[kind]:
            raise PacketError(
                f"{kind.label} takes the fields {FIELD_NAMES[kind]}, found {data.dtype}"
            )
        for name in FIELD_NAMES[kind]:
            packets[name] = data[name]
    return packets.view(np.uint8).reshape(len(data), PACKET_SIZES[kind])


def decode(kind: PacketType, packets: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The values of N packets of one type given as bytes, shape (N, size of the type).

    The header is not looked at: the caller has sorted the packets by it. PacketError where the
    bytes cannot be packets of the type.
    """
    size = PACKET_SIZES[kind]
    if packets.dtype != np.uint8 or packets.ndim != 2 or packets.shape[1] != size:
        raise PacketError(
            f"{kind.label} packets have {size} bytes each, found {packets.dtype} {packets.shape}"
        )
    rows = np.ascontiguousarray(packets).view(PACKET_DTYPES[kind])[:, 0]
    if is_vector(kind):
        return np.ascontiguousarray(rows[FIELD_NAMES[kind][0]])
    values = empty_values(kind, len(rows))
    for name in FIELD_NAMES[kind]:
        values[name] = rows[name]
    return values
