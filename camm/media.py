"""Encoded video and audio on their way from a camera to a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ProjectionKind: TypeAlias = Literal["rectilinear", "equirectangular"]
"""What a picture shows: what a lens sees, or the whole sphere, forward in its middle."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """What a decoder must know of a stream before its first packet.

    `codec`      FFmpeg's name: "h264", "hevc", "aac", ...
    `extradata`  the decoder configuration, as the encoder or the container gave it (an avcC record
                 or Annex B parameter sets for h264; an AudioSpecificConfig for aac); empty where
                 the codec needs none, and where the first key frame carries it
    `timescale`  ticks a second in which the packets' times are whole numbers
    """

    kind: Literal["video", "audio"]
    codec: str
    timescale: int
    extradata: bytes = b""
    width: int = 0
    height: int = 0
    pixel_aspect: tuple[int, int] = (1, 1)
    sample_rate: int = 0
    channels: int = 0
    projection: ProjectionKind = "rectilinear"


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture or audio frame.

    Times are CLOCK_MONOTONIC nanoseconds. A picture's `pts_ns` is the centre of its exposure: the
    middle of the interval in which any of its lines was exposed. `dts_ns` orders the packets for
    the decoder and differs from `pts_ns` only where there are B-frames.

    `exposure_start_ns`, `exposure_ns`, `skew_ns` describe the shutter where the camera tells (CAMM
    type 1): when the first line began to be exposed, for how long each line was, and how much later
    the last line began than the first. They are None where the camera does not tell.
    """

    stream: int
    data: bytes
    pts_ns: int
    dts_ns: int
    duration_ns: int
    keyframe: bool = True
    exposure_start_ns: int | None = None
    exposure_ns: int | None = None
    skew_ns: int | None = None
