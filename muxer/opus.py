"""What a decoder of Opus has to be told when it does not begin at the beginning."""

from __future__ import annotations

import struct

from muxer.boxes import Piece, full_box

_PRE_ROLL = 3840
"""80 ms in Opus' 48 kHz: what is decoded and thrown away before sound is right (RFC 7845, 4.6)."""


def roll_group(samples: int, duration: int) -> list[Piece]:
    """`sgpd` and `sbgp`: how many packets before each have to be decoded for it.

    `duration` is that of a packet, in 48 kHz. The first packets have not as many before them, and
    are in no group. Encapsulation of Opus in ISO Base Media File Format, 4.3.6.2; ISO/IEC 14496-12,
    8.9 and 10.1 (AudioRollRecoveryEntry).
    """
    distance = -(-_PRE_ROLL // max(duration, 1))
    first = min(distance, samples)
    runs = [(count, group) for count, group in ((first, 0), (samples - first, 1)) if count]
    rows = b"".join(struct.pack(">II", *run) for run in runs)
    return [
        full_box(b"sgpd", 1, 0, struct.pack(">4sIIh", b"roll", 2, 1, -distance)),
        full_box(b"sbgp", 0, 0, struct.pack(">4sI", b"roll", len(runs)), rows),
    ]
