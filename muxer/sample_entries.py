"""Sample entries: what `stsd` says of a track's coding, for everything the recorder can write."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from camm import StreamFormat
from muxer.adts import audio_specific_config, is_adts, raw_frame
from muxer.av1 import av1_sample, av1c
from muxer.boxes import box, full_box
from muxer.errors import Mp4Error
from muxer.nal import (
    avcc,
    h264_parameter_sets,
    h265_parameter_sets,
    hvcc,
    is_annex_b,
    length_prefixed,
)
from muxer.pcm import reversed_24
from muxer.projection import EQUIRECTANGULAR_IN_ENTRY

CAMM_ENTRY = box(b"camm", struct.pack(">6xH", 1))
"""The sample entry of camera motion metadata: no fields beyond a data reference."""


Convert: TypeAlias = Callable[[bytes], bytes]


def _unchanged(data: bytes) -> bytes:
    return data


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stream is put into an MP4.

    `entry`      its sample entry, a whole box
    `timescale`  ticks a second of its track: the stream's own for pictures, the sample rate for
                 sound (FFmpeg takes the ticks that an edit list cuts off for samples)
    `convert`    what becomes of each packet
    """

    entry: bytes
    timescale: int
    convert: Convert = _unchanged


def require_known(codec: str) -> None:
    """Mp4Error for a codec that the recorder does not write."""
    if codec not in _CODINGS:
        known = ", ".join(_CODINGS)
        raise Mp4Error(f"{codec} cannot be recorded: expected one of {known}")


def coding(format: StreamFormat, first: bytes = b"") -> Coding:  # noqa: A002 - the field's word
    """The coding of a stream whose first packet, a key frame, is `first`.

    Video without extradata (from a pipe, from an encoder in the camera) has its decoder
    configuration in that packet, and so has AAC as it is broadcast. Mp4Error where it is missing,
    and for a codec that the recorder does not write.
    """
    require_known(format.codec)
    if format.kind == "audio" and not (format.sample_rate and format.channels):
        raise Mp4Error(f"the {format.codec} stream comes without its sample rate or its channels")
    if not format.extradata and (format.kind == "video" or is_adts(first)):
        format = replace(format, extradata=first)  # noqa: A001 - the field's word
    return _CODINGS[format.codec](format)


# Pictures


def _picture_entry(kind: bytes, stream: StreamFormat, *boxes: bytes) -> bytes:
    """VisualSampleEntry (ISO/IEC 14496-12, 12.1.3); `pasp` where pixels are not square.

    What tells of a sphere stands before `pasp` (Spherical Video V2 RFC).
    """
    if stream.projection == "equirectangular":
        boxes += (EQUIRECTANGULAR_IN_ENTRY,)
    horizontal, vertical = stream.pixel_aspect
    if horizontal != vertical:
        boxes += (box(b"pasp", struct.pack(">II", horizontal, vertical)),)
    return box(
        kind,
        struct.pack(">6xH16x", 1),
        struct.pack(">HHII4xH32xHh", stream.width, stream.height, 72 << 16, 72 << 16, 1, 24, -1),
        *boxes,
    )


def _h264(stream: StreamFormat) -> Coding:
    return _nal_coding(b"avc1", b"avcC", avcc, h264_parameter_sets, stream)


def _hevc(stream: StreamFormat) -> Coding:
    return _nal_coding(b"hvc1", b"hvcC", hvcc, h265_parameter_sets, stream)


def _nal_coding(
    entry: bytes,
    record: bytes,
    make: Callable[[bytes], bytes],
    parameter_sets: Callable[[bytes], list[bytes]],
    stream: StreamFormat,
) -> Coding:
    """ISO/IEC 14496-15, 5.4.2.1 and 8.4.1: all parameter sets are in the entry."""
    configuration = stream.extradata
    convert: Convert = _unchanged
    if is_annex_b(configuration):
        convert = partial(length_prefixed, without=frozenset(parameter_sets(configuration)))
        configuration = make(configuration)
    elif not configuration.startswith(b"\1"):  # the version of either record
        raise Mp4Error(f"the {stream.codec} stream comes without its decoder configuration")
    return Coding(
        _picture_entry(entry, stream, box(record, configuration)), stream.timescale, convert
    )


def _av1(stream: StreamFormat) -> Coding:
    """AV1 Codec ISO Media File Format Binding, 2.2: with the sequence header in an `av1C`."""
    configuration = stream.extradata
    if not configuration.startswith(b"\x81"):  # marker and version of an av1C; no unit begins so
        configuration = av1c(configuration)
    return Coding(
        _picture_entry(b"av01", stream, box(b"av1C", configuration)), stream.timescale, av1_sample
    )


def _mpeg4_video(stream: StreamFormat) -> Coding:
    """ISO/IEC 14496-14, 5.6.1: everything before the first picture is the configuration."""
    headers, *_ = re.split(
        rb"\x00\x00\x01[\xb3\xb6]", stream.extradata, maxsplit=1
    )  # group, picture
    if not re.search(rb"\x00\x00\x01[\x20-\x2f]", headers):
        raise Mp4Error("the mpeg4 stream comes without its video object layer")
    return Coding(_picture_entry(b"mp4v", stream, _esds(0x20, 0x11, headers)), stream.timescale)


def _jpeg(stream: StreamFormat) -> Coding:
    """QuickTime File Format, "Video sample description": a picture says everything of itself."""
    return Coding(_picture_entry(b"jpeg", stream), stream.timescale)


# Sound


def _sound_entry(kind: bytes, stream: StreamFormat, bits: int, *boxes: bytes) -> bytes:
    """AudioSampleEntry (ISO/IEC 14496-12, 12.2.3).

    A rate over 65535 Hz does not fit its field and is left to the decoder configuration, or to the
    timescale.
    """
    rate = stream.sample_rate if stream.sample_rate < 1 << 16 else 0
    return box(
        kind,
        struct.pack(">6xH8x", 1),
        struct.pack(">HH4xI", stream.channels, bits, rate << 16),
        *boxes,
    )


def _aac(stream: StreamFormat) -> Coding:
    """ISO/IEC 14496-14, 5.6.1: MPEG-4 audio has its configuration in an `esds`.

    Priming is a matter of times: its packets lie before what they prime, and an edit hides them.
    """
    configuration = stream.extradata
    convert: Convert = _unchanged
    if is_adts(configuration):
        configuration, convert = audio_specific_config(configuration), raw_frame
    if not configuration:
        raise Mp4Error("the aac stream comes without its AudioSpecificConfig")
    entry = _sound_entry(b"mp4a", stream, 16, _esds(0x40, 0x15, configuration))
    return Coding(entry, stream.sample_rate, convert)


def _alac(stream: StreamFormat) -> Coding:
    """Apple Lossless, "Magic Cookie Description": the entry holds the cookie in a box like itself.

    FFmpeg's extradata is that box, 36 bytes for one or two channels.
    """
    cookie = stream.extradata
    if cookie[4:8] != b"alac" or len(cookie) < 36:
        raise Mp4Error("the alac stream comes without its magic cookie")
    bits = cookie[17]
    return Coding(_sound_entry(b"alac", stream, bits, cookie), stream.sample_rate)


def _opus(stream: StreamFormat) -> Coding:
    """Encapsulation of Opus in ISO Base Media File Format, 4.3.1 and 4.3.2.

    `dOps` says what the OpusHead of RFC 7845, 5.1, says, but big-endian. Whatever the rate of what
    was encoded, Opus counts in 48 kHz.
    """
    head = stream.extradata
    if not head.startswith(b"OpusHead") or len(head) < 19:
        raise Mp4Error("the opus stream comes without its OpusHead")
    channels, pre_skip, rate, gain, family = struct.unpack_from("<BHIhB", head, 9)
    mapping = head[19 : 21 + channels] if family else b""
    fields = struct.pack(">BBHIhB", 0, channels, pre_skip, rate, gain, family)
    counted = replace(stream, sample_rate=48_000, channels=channels)
    return Coding(_sound_entry(b"Opus", counted, 16, box(b"dOps", fields, mapping)), 48_000)


_PCM = {
    "pcm_s16le": (b"sowt", 16, _unchanged),
    "pcm_s16be": (b"twos", 16, _unchanged),
    "pcm_s24le": (b"in24", 24, reversed_24),
    "pcm_s24be": (b"in24", 24, _unchanged),
}

_LAYOUTS = {1: 100 << 16 | 1, 2: 101 << 16 | 2}
"""Mono and stereo as Core Audio counts channel layouts; of more channels nobody told us."""


def _pcm(stream: StreamFormat) -> Coding:
    """Uncompressed sound in the entries of QuickTime whose names alone say width and byte order.

    `sowt` has 16 bits, the low byte first, `twos` the high byte first; so has `in24` with its 24
    bits, and samples that come the other way round are turned. The channel layout is in a `chan`
    (QuickTime File Format, "Sound sample descriptions").

    The others are misread: little-endian `in24` by MediaInfo, which wants the flag for it where MP4
    has no place for it; `lpcm` by MediaInfo as three channels of 16 bits, since MP4 knows no
    version 2 of the entry; `ipcm` (ISO/IEC 23003-5) by FFmpeg 5.1, which passes over the box that
    says width and order. Each PCM frame is a sample (muxer.pcm), so that the timescale is the rate,
    also where that is over 65535 Hz.
    """
    kind, bits, convert = _PCM[stream.codec]
    layout = _LAYOUTS.get(stream.channels)
    chan = full_box(b"chan", 0, 0, struct.pack(">I8x", layout)) if layout else b""
    return Coding(_sound_entry(kind, stream, bits, chan), stream.sample_rate, convert)


def _esds(object_type: int, stream_type: int, configuration: bytes) -> bytes:
    """Descriptors of ISO/IEC 14496-1, 7.2.6: object type 0x40 is AAC, 0x20 MPEG-4 Visual."""
    specific = _descriptor(0x05, configuration)
    config = _descriptor(0x04, struct.pack(">BB11x", object_type, stream_type) + specific)
    return full_box(
        b"esds", 0, 0, _descriptor(0x03, struct.pack(">HB", 0, 0) + config + b"\x06\x01\x02")
    )


def _descriptor(tag: int, body: bytes) -> bytes:
    size = len(body)
    octets = [size >> shift & 0x7F | 0x80 for shift in (21, 14, 7)] + [size & 0x7F]
    return bytes([tag, *octets]) + body


_CODINGS: dict[str, Callable[[StreamFormat], Coding]] = {
    "h264": _h264,
    "hevc": _hevc,
    "av1": _av1,
    "mpeg4": _mpeg4_video,
    "mjpeg": _jpeg,
    "aac": _aac,
    "alac": _alac,
    "opus": _opus,
    **dict.fromkeys(_PCM, _pcm),
}
