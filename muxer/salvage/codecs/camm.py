"""Camera motion metadata: packets whose type tells their size (the CAMM specification)."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import numpy as np

from camm import PACKET_SIZES, PacketType
from muxer.salvage.codecs.scanner import Readable, Run, plain_run
from muxer.sample_table import Ints

_FIRST_READ, _LARGEST_READ = 1 << 12, 1 << 22

_ANGLE = rb"(?:\0{4}|.{3}[\x28-\x44\xa8-\xc4])"
"""A float that is 0 or of a size between 1e-14 and 1000: a rotation in radians."""

_SIZE = np.zeros(256, np.int64)
_SIZE[list(PACKET_SIZES)] = list(PACKET_SIZES.values())


class CammScanner:
    """Finds packets by their header: 16 bits that are zero and the type, both little-endian.

    `kinds` are the packet types that the reference has. A rotation (type 0) has a header of nothing
    but zeros, so that its values have to be likely, and not all zero.
    """

    wrap = 0

    def __init__(self, kinds: Collection[PacketType]) -> None:
        types = re.escape(bytes(sorted(kinds)))
        bodies = b"|".join(map(_body, sorted(kinds, reverse=True)))
        # The type is the only group, for `findall` to say the types of a run and nothing else. It
        # settles the body, so that what matched once need not be tried another way.
        packet = rb"\0\0([%b])\0(?:%b)" % (types, bodies)
        self.signature = re.compile(packet, re.DOTALL)
        self._packets = re.compile(b"(?:%b)*+" % packet, re.DOTALL)
        self._bits = 32 - math.log2(len(kinds))
        self._largest = max(PACKET_SIZES[kind] for kind in kinds)

    def run(self, media: Readable, at: int, most: int) -> Run | None:
        sizes: list[Ints] = []
        here, left, length = at, most, _FIRST_READ
        while left > 0:
            block = media.read(here, min(length, left * self._largest))
            packets = self._packets.match(block)
            if packets is None or not packets.end():
                break
            types = b"".join(self.signature.findall(block, 0, packets.end())[:left])
            sizes.append(_SIZE[np.frombuffer(types, np.uint8)])
            here += packets.end()
            length = min(length * 4, _LARGEST_READ)
            left -= len(types)
        found = np.concatenate(sizes) if sizes else ()
        return plain_run(at, found, self._bits * len(found))


def _body(kind: PacketType) -> bytes:
    """What follows the header of this type, which has just been passed."""
    size = PACKET_SIZES[kind] - 4
    header = rb"(?<=%b\0)" % re.escape(bytes([kind]))
    if kind == PacketType.ANGLE_AXIS:
        return header + rb"(?!\0{%d})%b{3}" % (size, _ANGLE)
    return header + rb".{%d}" % size
