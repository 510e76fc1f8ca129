"""How long a sensor takes from one row to the next: what the skew of a rolling shutter is made of.

libcamera does not tell it on a Raspberry Pi (its SensorRollingShutterSkew is never set there), but
the sensor's V4L2 subdevice does: a row lasts (width + HBLANK) / PIXEL_RATE, with the width of the
mode that is read out (Linux, Documentation/userspace-api/media/drivers/camera-sensor.rst).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

NODES = Path("/sys/class/video4linux")
DEVICES = Path("/dev")

# linux/v4l2-subdev.h, v4l2-controls.h, videodev2.h. Of a media bus format only the first two of its
# numbers are of interest; of a control its value, which is the last.
_FORMAT = struct.Struct("=II II 3I14H8I")
_CONTROL = struct.Struct("=IIIq")
_CONTROLS = struct.Struct("@IIIiIP")
_ACTIVE = 1  # V4L2_SUBDEV_FORMAT_ACTIVE
_HBLANK, _PIXEL_RATE = 0x009E0902, 0x009F0902

# Pixels a row and pixels a second, of Linux' imx219.c, imx477.c, imx708.c and ov5647.c. Newer ones
# read the IMX219's binned modes at another rate: this is for where the sensor cannot be asked.
_TABLE: dict[tuple[str, int, int], tuple[int, float]] = {
    ("imx219", 3280, 2464): (3448, 182.4e6),
    ("imx219", 1920, 1080): (3448, 182.4e6),
    ("imx219", 1640, 1232): (3448, 182.4e6),
    ("imx477", 4056, 3040): (0x5DC0, 840e6),
    ("imx477", 2028, 1520): (0x31C4, 840e6),
    ("imx477", 2028, 1080): (0x31C4, 840e6),
    ("imx708", 4608, 2592): (0x3D20, 595.2e6),
    ("imx708", 2304, 1296): (0x1E90, 585.6e6),
    ("imx708", 1536, 864): (0x1460, 566.4e6),
    ("ov5647", 2592, 1944): (2844, 87.5e6),
    ("ov5647", 1920, 1080): (2416, 81.67e6),
    ("ov5647", 1296, 972): (1896, 81.67e6),
}
_GLOBAL_SHUTTERS = frozenset({"imx296", "ov2311", "ov7251", "ov9281"})


@dataclass(frozen=True, slots=True)
class SensorMode:
    """What a sensor is set to: how many pixels it reads out, and how long each row takes."""

    width: int
    height: int
    line_ns: float


@dataclass(frozen=True, slots=True)
class ReadOut:
    """How a picture leaves the sensor.

    `size`      width and height of the sensor's mode, None where nobody tells
    `line_ns`   from one row to the next; 0 with a global shutter, None where nobody tells it or
                how many rows there are
    `known_by`  who told: "sensor", "table", "configuration", "global shutter" or "nobody"
    """

    size: tuple[int, int] | None
    line_ns: float | None
    known_by: str

    def describe(self) -> dict[str, Any]:
        """For the clip."""
        centre = "centre of" if self.line_ns is not None else "centre of the first row's"
        return {
            "time": f"{centre} exposure, by the kernel's stamp of the frame's start",
            "sensor_mode": None if self.size is None else list(self.size),
            "line_time": self.known_by,
            "line_time_ns": self.line_ns,
        }


AskSensor: TypeAlias = Callable[[str], SensorMode | None]


def sensor_mode(
    camera_id: str,
    nodes: Path = NODES,
    devices: Path = DEVICES,
    ioctl: Callable[[int, int, bytearray], Any] = fcntl.ioctl,
) -> SensorMode | None:
    """What the sensor of a camera is set to now; None where it cannot be asked.

    `camera_id` is libcamera's, the sensor's path in the device tree
    ("/base/soc/i2c0mux/i2c@1/imx219@10"). Right once the camera has been started: libcamera
    may stretch the rows before that.
    """
    for node in sorted(nodes.glob("v4l-subdev*")):
        if os.path.realpath(node / "device/of_node").endswith(camera_id):
            try:
                return _ask(devices / node.name, ioctl)
            except OSError:  # no permission, or a kernel without these controls
                return None
    return None


def _ask(device: Path, ioctl: Callable[[int, int, bytearray], Any]) -> SensorMode:
    with device.open("rb", buffering=0) as subdevice:
        answer = bytearray(_FORMAT.pack(_ACTIVE, 0, *[0] * 27))
        ioctl(subdevice.fileno(), _iowr(4, _FORMAT), answer)  # VIDIOC_SUBDEV_G_FMT of pad 0
        width, height = _FORMAT.unpack(answer)[2:4]
        controls = ctypes.create_string_buffer(
            _CONTROL.pack(_HBLANK, 0, 0, 0) + _CONTROL.pack(_PIXEL_RATE, 0, 0, 0), 2 * _CONTROL.size
        )
        asked = _CONTROLS.pack(0, 2, 0, 0, 0, ctypes.addressof(controls))
        ioctl(subdevice.fileno(), _iowr(71, _CONTROLS), bytearray(asked))  # VIDIOC_G_EXT_CTRLS
    (*_, blank), (*_, rate) = _CONTROL.iter_unpack(controls.raw)
    return SensorMode(width, height, 1e9 * (width + blank) / rate)


def _iowr(number: int, argument: struct.Struct) -> int:
    """_IOWR('V', number, argument) of asm-generic/ioctl.h, which all of ours follow."""
    return 3 << 30 | argument.size << 16 | ord("V") << 8 | number


def read_out(
    model: str, size: tuple[int, int] | None, asked: SensorMode | None, configured_ns: float | None
) -> ReadOut:
    """What is known of a sensor's read-out, by the best who tells.

    `model`          libcamera's: "imx708_wide"
    `size`           of its mode, as far as the camera's software tells
    `asked`          what the sensor said for itself
    `configured_ns`  what the user says, which counts before the others; a global shutter has none
    """
    if asked is not None:
        size = (asked.width, asked.height)
    sensor = model.partition("_")[0]
    if sensor in _GLOBAL_SHUTTERS:
        return ReadOut(size, 0.0, "global shutter")
    if size is None:
        return ReadOut(None, None, "nobody")
    if configured_ns is not None:
        return ReadOut(size, configured_ns, "configuration")
    if asked is not None:
        return ReadOut(size, asked.line_ns, "sensor")
    if known := _TABLE.get((sensor, *size)):
        return ReadOut(size, 1e9 * known[0] / known[1], "table")
    return ReadOut(size, None, "nobody")
