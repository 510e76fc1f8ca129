"""MPEG-4 Visual: pictures behind start codes, which say where one begins and not where it ends.

Sources: ISO/IEC 14496-2, 6.2.1 (start codes), 6.2.3 (video object layer) and 6.2.5 (video object
plane).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muxer.bits import Bits
from muxer.errors import Mp4Error
from muxer.salvage.codecs.esds import decoder_configuration
from muxer.salvage.codecs.scanner import Readable, Run

_FIRST_READ, _LARGEST_READ = 1 << 14, 1 << 20
_LARGEST = 1 << 24
_EVIDENCE = 26.0
"""Bits of a start code, of which some fifty mean something."""
_INTRA, _BIDIRECTIONAL = 0, 2
_PICTURE = 0xB6
_HEADERS = frozenset({*range(0x30), 0xB0, 0xB2, 0xB3, 0xB5})
"""Codes of what may stand before a picture: sequence, objects, their layers, user data, group."""
_HEADERS_END = 1 << 12
"""Bytes within which a picture follows its headers."""
_CODE_SIZE, _FIELDS = 4, 16
_CODE = re.compile(rb"\0\0\x01(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Of a picture: its kind, its time within the second, and how far they are from its begin."""

    kind: int
    ticks: int
    away: int


class Mpeg4Scanner:
    """Finds pictures, with the headers before them.

    `entry` is the sample entry of the reference's track, whose `esds` says how finely time is told;
    Mp4Error where it does not. `samples` are some of the reference, from which the step from
    picture to picture is learned. A sample reaches to the start code of the next: what other tracks
    have between them is in it, and up to 16 MiB of what follows the last.
    """

    open_ended = True

    def __init__(self, entry: bytes, samples: Sequence[bytes]) -> None:
        second = self._second = max(_time_resolution(decoder_configuration(entry)[1]), 1)
        self._width = max((second - 1).bit_length(), 1)
        # Most codes are two a megabyte of sound: only those that begin samples are looked for.
        first = {_PICTURE, 0xB0, 0xB3, *(sample[3] for sample in samples if len(sample) > 3)}
        codes = b"".join(re.escape(bytes([code])) for code in sorted(first))
        self.signature = re.compile(rb"\0\0\x01[%b]" % codes)
        pictures = [self._fields(sample, 0) for sample in samples]
        ticks = np.array([picture.ticks for picture in pictures if picture], np.int64)
        steps = np.abs((np.diff(ticks) + second // 2) % second - second // 2)
        self._step = int(steps[steps > 0].min(initial=second))
        self.wrap = round(second / self._step)

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[int] = []
        pictures: list[_Fields] = []
        here, fields = at, self._fields(media.read(at, _HEADERS_END + _FIELDS), 0)
        while fields is not None and len(pictures) < most:
            pictures.append(fields)
            behind, fields = self._next(media, here + fields.away)
            sizes.append(behind - here)
            here = behind
        if not pictures:
            return None
        kind = np.array([picture.kind for picture in pictures])
        ticks = np.array([picture.ticks for picture in pictures])
        order = np.round(ticks / self._step).astype(np.int64) % self.wrap
        key = kind == _INTRA
        bits = _EVIDENCE * len(pictures)
        size = np.array(sizes, np.int64)
        return Run(at, size, key, order, np.zeros_like(key), kind != _BIDIRECTIONAL, bits)

    def _next(self, media: Readable, at: int) -> tuple[int, _Fields | None]:
        """Where the next picture begins from `at` on; None as its fields where none does."""
        length, limit = _FIRST_READ, min(at + _LARGEST, media.size)
        while at < limit:
            data = media.read(at, length + _HEADERS_END + _FIELDS)
            for code in self.signature.finditer(data, 0, length):
                fields = self._fields(data, code.start())
                if fields is not None:
                    return at + code.start(), fields
            at += length - _CODE_SIZE + 1
            length = min(4 * length, _LARGEST_READ)
        return limit, None

    def _fields(self, data: bytes, at: int) -> _Fields | None:
        """What a picture says of itself behind the headers that begin at `at`."""
        if not self.signature.match(data, at):
            return None
        for code in _CODE.finditer(data, at, at + _HEADERS_END):
            if code[1][0] == _PICTURE:
                break
            if code[1][0] not in _HEADERS:
                return None
        else:
            return None
        bits = Bits(data[code.end() : code.end() + _FIELDS])
        try:
            kind = bits.take(2)
            while bits.take(1):  # modulo_time_base: whole seconds
                pass
            marker, ticks, also = bits.take(1), bits.take(self._width), bits.take(1)
        except Mp4Error:
            return None
        likely = marker and also and ticks < self._second
        return _Fields(kind, ticks, code.end() - at) if likely else None


def _time_resolution(headers: bytes) -> int:
    """vop_time_increment_resolution of the video object layer in `headers`."""
    layer = re.search(rb"\0\0\x01[\x20-\x2f](.+)", headers, re.DOTALL)
    if layer is None:
        raise Mp4Error("the 'esds' of 'mp4v' has no video object layer, which says how time counts")
    bits = Bits(layer[1])
    bits.take(1 + 8)
    version = 1
    if bits.take(1):  # is_object_layer_identifier
        version = bits.take(4)
        bits.take(3)
    if bits.take(4) == 15:  # aspect_ratio_info
        bits.take(8 + 8)
    if bits.take(1):  # vol_control_parameters
        bits.take(2 + 1)
        if bits.take(1):  # vbv_parameters
            bits.take(79)
    if bits.take(2) == 3 and version != 1:  # video_object_layer_shape
        bits.take(4)
    bits.take(1)
    return bits.take(16)
