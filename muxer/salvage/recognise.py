"""From the sample entry of a track to what recognises its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from camm import PacketType
from muxer.boxes import find
from muxer.errors import Mp4Error
from muxer.pcm import frame_size
from muxer.salvage.codecs.amr import AmrScanner
from muxer.salvage.codecs.av1 import Av1Scanner
from muxer.salvage.codecs.camm import CammScanner
from muxer.salvage.codecs.esds import decoder_configuration
from muxer.salvage.codecs.gpmd import GpmdScanner
from muxer.salvage.codecs.h264 import h264_scanner
from muxer.salvage.codecs.h265 import h265_scanner
from muxer.salvage.codecs.jpeg import JpegScanner
from muxer.salvage.codecs.mp4v import Mpeg4Scanner
from muxer.salvage.codecs.pcm import PcmFiller
from muxer.salvage.codecs.prores import ProResScanner
from muxer.salvage.codecs.scanner import Filler, Scanner
from muxer.salvage.codecs.unknown import learn
from muxer.salvage.reference import ReferenceTrack

_PICTURE_HEADER = 86
_PRORES = frozenset({"apcn", "apch", "apcs", "apco", "ap4h", "ap4x"})


class Described(Protocol):
    """A sample entry, a whole box, and some of the samples that it is for."""

    @property
    def entry(self) -> bytes: ...

    @property
    def samples(self) -> Sequence[bytes]: ...


@dataclass(frozen=True, slots=True)
class Specimen:
    """As a track of the reference, of whatever file."""

    entry: bytes
    samples: Sequence[bytes]


def codec(track: Described) -> Scanner | Filler:  # noqa: PLR0911 - a table of codecs
    """What recognises the samples of a track like this. Mp4Error where nothing can."""
    entry, samples = track.entry, track.samples
    match entry[4:8].decode("latin-1"):
        case "avc1" | "avc3":
            return h264_scanner(_box(entry, b"avcC"), samples)
        case "hvc1" | "hev1":
            return h265_scanner(_box(entry, b"hvcC"), samples)
        case "av01":
            return Av1Scanner(_box(entry, b"av1C"), samples)
        case "mp4v":
            return Mpeg4Scanner(entry, samples)
        case "jpeg" | "mjpa":
            return JpegScanner(samples)
        case "camm":
            return CammScanner(_packet_types(samples))
        case "gpmd":
            return GpmdScanner(samples)
        case "samr" | "sawb":
            return AmrScanner(entry, samples)
        case "mp4a" | "alac":
            from muxer.salvage.codecs.elements import ElementFiller  # PyAV is slow to import

            return ElementFiller(entry, samples)
        case "Opus":
            from muxer.salvage.codecs.opus import OpusFiller

            return OpusFiller(samples)
        case kind if kind in _PRORES:
            return ProResScanner()
    if frame_size(entry):
        return PcmFiller(entry)
    return learn(samples)


def _packet_types(samples: Sequence[bytes]) -> frozenset[PacketType]:
    """Those that occur; all where nothing is known of any."""
    known = {int(kind) for kind in PacketType}
    found = {sample[2] for sample in samples if len(sample) > 3 and sample[2] in known}
    return frozenset(map(PacketType, found or known))


def configuration(track: ReferenceTrack) -> bytes:
    """What a decoder has to know: tracks for which it is the same cannot be told apart by bytes.

    Bit rates are no part of it.
    """
    entry = track.entry
    if track.codec == "mp4a":
        return entry[4:8] + decoder_configuration(entry)[1]
    return entry.split(b"btrt")[0][4:]


def _box(entry: bytes, kind: bytes) -> bytes:
    found = find(entry[_PICTURE_HEADER:], kind)
    if found is None:
        raise Mp4Error(f"the sample entry has no {kind.decode()!r} box")
    return found
