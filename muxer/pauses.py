"""Pauses that sample tables cannot say, divided by samples that say nothing."""

from __future__ import annotations

import numpy as np

from camm import PacketType, empty_values, encode
from muxer.sample_table import Ints, SampleTable

NOT_KNOWN = encode(PacketType.EXPOSURE, empty_values(PacketType.EXPOSURE, 1)).tobytes()
"""A record of camera motion that says nothing."""

_LONGEST = (1 << 31) - 1
"""Ticks from sample to sample; FFmpeg reads the 32 bits of a longer one as a negative number."""


def too_long(table: SampleTable) -> bool:
    """Whether there is such a pause behind any of the samples."""
    return bool(_fillers(table).any())


def divided(table: SampleTable, filler_at: int, filler_size: int) -> SampleTable:
    """The samples with as many fillers between them as it takes, all of them the one at a byte."""
    fillers = _fillers(table)
    before = np.flatnonzero(fillers)
    if not len(before):
        return table
    number = np.concatenate([np.arange(1, fillers[row] + 1) for row in before])
    place = np.repeat(before, fillers[before])
    dts = np.insert(table.dts, place + 1, table.dts[place] + number * _LONGEST)
    return SampleTable(
        np.insert(table.offset, place + 1, filler_at),
        np.insert(table.size, place + 1, filler_size),
        dts,
        np.insert(table.cts_offset, place + 1, 0),
        table.end - int(dts[-1]),
        np.insert(table.keyframe, place + 1, True),
    )


def _fillers(table: SampleTable) -> Ints:
    """How many are needed behind each sample."""
    return np.diff(table.dts, append=table.end) // _LONGEST
