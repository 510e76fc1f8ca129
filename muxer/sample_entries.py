"""Sample entries: what `stsd` says of a track's coding, for everything the recorder can write."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from camm import StreamFormat
from muxer.boxes import box, full_box
from muxer.errors import Mp4Error
from muxer.nal import avcc, hvcc, is_annex_b, length_prefixed

CAMM_ENTRY = box(b"camm", struct.pack(">6xH", 1))
"""The sample entry of camera motion metadata: no fields beyond a data reference."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How a codec is put into an MP4: its sample entry, and what becomes of its packets."""

    entry: bytes
    convert: Callable[[bytes], bytes]


def coding(format: StreamFormat) -> Coding:  # noqa: A002 - the field's word for it
    """The coding of a stream; Mp4Error for a codec that the recorder does not write."""
    try:
        build = _CODINGS[format.codec]
    except KeyError:
        known = ", ".join(_CODINGS)
        raise Mp4Error(f"{format.codec} cannot be recorded: expected one of {known}") from None
    return build(format)


def _unchanged(data: bytes) -> bytes:
    return data


def _picture_entry(kind: bytes, stream: StreamFormat, *boxes: bytes) -> bytes:
    """VisualSampleEntry (ISO/IEC 14496-12, 12.1.3)."""
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
    return _nal_coding(b"avc1", b"avcC", avcc, stream)


def _hevc(stream: StreamFormat) -> Coding:
    return _nal_coding(b"hvc1", b"hvcC", hvcc, stream)


def _nal_coding(
    entry: bytes, record: bytes, make: Callable[[bytes], bytes], stream: StreamFormat
) -> Coding:
    if not stream.extradata:
        raise Mp4Error(f"the {stream.codec} stream comes without its decoder configuration")
    annex_b = is_annex_b(stream.extradata)
    configuration = make(stream.extradata) if annex_b else stream.extradata
    return Coding(
        _picture_entry(entry, stream, box(record, configuration)),
        length_prefixed if annex_b else _unchanged,
    )


def _mpeg4_video(stream: StreamFormat) -> Coding:
    return Coding(_picture_entry(b"mp4v", stream, _esds(0x20, 0x11, stream.extradata)), _unchanged)


def _jpeg(stream: StreamFormat) -> Coding:
    return Coding(_picture_entry(b"jpeg", stream), _unchanged)


def _av1(stream: StreamFormat) -> Coding:
    if not stream.extradata.startswith(b"\x81"):  # marker and version of an av1C record
        raise Mp4Error("the av1 stream comes without an av1C record: take it from an MP4 or WebM")
    return Coding(_picture_entry(b"av01", stream, box(b"av1C", stream.extradata)), _unchanged)


def _aac(stream: StreamFormat) -> Coding:
    """AudioSampleEntry (ISO/IEC 14496-12, 12.2.3) with an MPEG-4 elementary stream descriptor."""
    if not stream.extradata:
        raise Mp4Error("the aac stream comes without its AudioSpecificConfig: is it ADTS?")
    # A rate over 65535 Hz does not fit 16.16; the decoder configuration has the true one.
    rate = stream.sample_rate if stream.sample_rate < 1 << 16 else 0
    return Coding(
        box(
            b"mp4a",
            struct.pack(">6xH8x", 1),
            struct.pack(">HH4xI", stream.channels, 16, rate << 16),
            _esds(0x40, 0x15, stream.extradata),
        ),
        _unchanged,
    )


def _esds(object_type: int, stream_type: int, configuration: bytes) -> bytes:
    """Descriptors of ISO/IEC 14496-1, 7.2.6: object type 0x40 is AAC, 0x20 MPEG-4 Visual."""
    specific = _descriptor(0x05, configuration) if configuration else b""
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
}
