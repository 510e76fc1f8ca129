"""A film's packets as decoders take them from a stream: with start codes and parameter sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from muxer.clip import Clip
from muxer.errors import Mp4Error
from muxer.extract.document import NothingToExtractError

_FORMATS = {
    "h264": ("h264", "h264_mp4toannexb"),
    "hevc": ("h265", "hevc_mp4toannexb"),
    "av1": ("av1", ""),
    "vp9": ("vp9", ""),
}
"""Foxglove's names of the codecs that it knows, and FFmpeg's filters that bring them about."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One coded picture, and when it is shown: nanoseconds from the first video frame."""

    t_ns: int
    format: str
    data: bytes


def require_film(clip: Clip) -> None:
    """NothingToExtractError where the clip has no film, or one that no stream can be made of."""
    video = clip.video
    if video is None:
        raise NothingToExtractError(f"{clip.path} has no film for MCAP")
    if (np.diff(video.pts_ns) < 0).any():
        raise NothingToExtractError(
            f"{clip.path} has B-frames, which CompressedVideo cannot have: take --to mcap"
        )


def pictures(clip: Clip) -> Iterator[Picture]:
    """All pictures of the film; Mp4Error where FFmpeg cannot read them."""
    import av

    try:
        with av.open(clip.path) as container:
            stream = container.streams.video[0]
            name = stream.codec_context.name
            codec = stream.codec_context.codec.canonical_name
            if codec not in _FORMATS:
                raise NothingToExtractError(
                    f"{clip.path}: a film of {name} has no place in MCAP, expected one of "
                    f"{', '.join(_FORMATS)}"
                )
            form, filter_name = _FORMATS[codec]
            annex_b = av.BitStreamFilterContext(filter_name, stream) if filter_name else None
            for packet in container.demux(stream):
                if packet.dts is None:
                    continue
                t_ns = round((packet.pts or 0) * (stream.time_base or Fraction(1)) * 1_000_000_000)
                filtered = annex_b.filter(packet) if annex_b is not None else [packet]
                yield Picture(t_ns, form, b"".join(map(bytes, filtered)))
    except av.FFmpegError as error:
        raise Mp4Error(f"{clip.path}: the film cannot be read: {error.strerror}") from None
