"""Which camera is meant by a name: what `[camera] device` and `record --camera` say.

`picamera2`, `picamera2:1`    a camera of the Raspberry Pi through picamera2; its number
`rpicam-vid`, `rpicam-vid:1`  the same through rpicam-vid
`/dev/video0`                 a V4L2 device, most of them on USB
`rtsp://HOST/PATH`            a stream, by any protocol of FFmpeg's
anything else                 a film, that is played as if it were being filmed now

A class `Picamera`, `RpicamVid`, `V4l2Camera` or `StreamCamera` takes (options, clock) and is a
`drivers.camera.Camera`; nothing of it is imported before it is asked for.
"""

from __future__ import annotations

import re
from enum import StrEnum

from camm.errors import UsageError
from drivers.camera import Camera, CameraOptions
from drivers.clock import Clock


class CameraKind(StrEnum):
    """What reads it."""

    PICAMERA2 = "picamera2"
    RPICAM_VID = "rpicam-vid"
    V4L2 = "V4L2"
    STREAM = "stream"
    FILM = "film"


def kind_of(device: str) -> CameraKind:
    """What reads a device of that name. UsageError for a number that is none."""
    program, colon, number = device.partition(":")
    if program in (CameraKind.PICAMERA2, CameraKind.RPICAM_VID):
        if colon and not number.isdecimal():
            raise UsageError(f"a camera is called {program} or {program}:1, found {device!r}")
        return CameraKind(program)
    if device.startswith("/dev/"):
        return CameraKind.V4L2
    return CameraKind.STREAM if _URL.match(device) else CameraKind.FILM


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def find_camera(options: CameraOptions, clock: Clock) -> Camera:
    """The camera that is meant, not opened yet."""
    match kind_of(options.device):
        case CameraKind.PICAMERA2:
            from drivers.picamera import Picamera

            return Picamera(options, clock)
        case CameraKind.RPICAM_VID:
            from drivers.rpicam_vid import RpicamVid

            return RpicamVid(options, clock)
        case CameraKind.V4L2:
            from drivers.v4l2_camera import V4l2Camera

            return V4l2Camera(options, clock)
        case CameraKind.STREAM:
            from drivers.camera_stream import StreamCamera

            return StreamCamera(options, clock)
        case CameraKind.FILM:
            from drivers.camera_file import FileCamera

            return FileCamera(options.device, clock)
