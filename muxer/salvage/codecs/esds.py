"""The decoder configuration of an MPEG-4 stream: descriptors in the `esds` of its sample entry."""

from __future__ import annotations

from muxer.errors import Mp4Error

_ES, _DECODER_CONFIG, _DECODER_SPECIFIC_INFO = 3, 4, 5


def decoder_configuration(entry: bytes) -> tuple[int, bytes]:
    """The object type of a sample entry's stream, and what its decoder has to be told.

    ISO/IEC 14496-1, 7.2.6. QuickTime puts the `esds` into a `wave`, and fields before that, so that
    it is looked for by its name. Mp4Error where there is none.
    """
    place = entry.find(b"esds")
    es, end = _descriptor(entry, place + 8, _ES) if place >= 0 else (0, 0)
    if not 0 < es <= end - 3:
        raise Mp4Error(f"the sample entry {entry[4:8]!r} has no decoder configuration in an 'esds'")
    flags = entry[es + 2]
    at = es + 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
    if flags & 0x40:  # a URL behind its length
        at += 1 + int.from_bytes(entry[at : at + 1])
    config, end = _descriptor(entry, at, _DECODER_CONFIG)
    body, end = _descriptor(entry, config + 13, _DECODER_SPECIFIC_INFO)
    return int.from_bytes(entry[config : config + 1]), entry[body:end]


def _descriptor(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the descriptor that begins at `at` begins and ends; Mp4Error if none."""
    if data[at : at + 1] != bytes([tag]):
        raise Mp4Error(f"expected descriptor {tag} in an 'esds', found {data[at : at + 1].hex()}")
    size = 0
    for place, octet in enumerate(data[at + 1 : at + 5]):
        size = size << 7 | octet & 0x7F
        if octet < 0x80:
            body = at + place + 2
            return body, min(body + size, len(data))
    raise Mp4Error("an 'esds' is cut inside the size of a descriptor")
