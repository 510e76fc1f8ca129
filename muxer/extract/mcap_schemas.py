"""JSON schemas of the messages in an MCAP file, with the names by which readers know them.

Source: https://docs.foxglove.dev/docs/sdk/schemas (LocationFix, PoseInFrame, CompressedVideo) and
https://docs.ros.org/en/api/sensor_msgs (Imu, MagneticField).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_Schema = dict[str, Any]


def _object(title: str, fields: Mapping[str, _Schema]) -> _Schema:
    return {
        "title": title,
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
    }


def _time(fraction: str) -> _Schema:
    whole = {"type": "integer", "minimum": 0}
    return _object("time", {"sec": whole, fraction: {**whole, "maximum": 999_999_999}})


_TEXT: _Schema = {"type": "string"}
_NUMBER: _Schema = {"type": "number"}
_NINE: _Schema = {"type": "array", "items": _NUMBER, "minItems": 9, "maxItems": 9}
_VECTOR = dict.fromkeys("xyz", _NUMBER)
_TURN = dict.fromkeys("xyzw", _NUMBER)
_STAMPED = {"timestamp": _time("nsec"), "frame_id": _TEXT}
_HEADER = _object("std_msgs/msg/Header", {"stamp": _time("nanosec"), "frame_id": _TEXT})
_ROS_VECTOR = _object("geometry_msgs/msg/Vector3", _VECTOR)

_LOCATION = _object(
    "foxglove.LocationFix",
    {
        **_STAMPED,
        "latitude": _NUMBER,
        "longitude": _NUMBER,
        "altitude": _NUMBER,
        "position_covariance": _NINE,
        "position_covariance_type": {"type": "integer", "minimum": 0, "maximum": 3},
    },
)
_LOCATION["properties"]["velocity"] = _object("foxglove.Vector3", _VECTOR)

SCHEMAS: Mapping[str, _Schema] = MappingProxyType(
    {
        "/gps": _LOCATION,
        "/pose": _object(
            "foxglove.PoseInFrame",
            {
                **_STAMPED,
                "pose": _object(
                    "foxglove.Pose",
                    {
                        "position": _object("foxglove.Vector3", _VECTOR),
                        "orientation": _object("foxglove.Quaternion", _TURN),
                    },
                ),
            },
        ),
        "/imu": _object(
            "sensor_msgs/msg/Imu",
            {
                "header": _HEADER,
                "orientation": _object("geometry_msgs/msg/Quaternion", _TURN),
                "orientation_covariance": _NINE,
                "angular_velocity": _ROS_VECTOR,
                "angular_velocity_covariance": _NINE,
                "linear_acceleration": _ROS_VECTOR,
                "linear_acceleration_covariance": _NINE,
            },
        ),
        "/magnetic_field": _object(
            "sensor_msgs/msg/MagneticField",
            {
                "header": _HEADER,
                "magnetic_field": _ROS_VECTOR,
                "magnetic_field_covariance": _NINE,
            },
        ),
        "/video": _object(
            "foxglove.CompressedVideo",
            {**_STAMPED, "data": {**_TEXT, "contentEncoding": "base64"}, "format": _TEXT},
        ),
    }
)
"""By topic. The title is the schema's name."""
