"""Judging samples of which no checksum tells whether they are as they were written.

Storage fails in sectors, so a sector is what is trusted or not: one that is all zeros was never
written or was lost, and one with a broken record in it may have broken others that do not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from camm import PACKET_SIZES, PacketType
from muxer.repair.movie import MovieTrack
from muxer.sample_table import Ints, SampleTable
from muxer.source import ByteSource

_SECTOR = 512
_SIZES = np.array([PACKET_SIZES[kind] for kind in PacketType])


class Fault(IntEnum):
    """Why a sample is not kept."""

    NONE = 0
    CUT = 1
    BLANK = 2
    BROKEN = 3
    COVERED = 4
    NO_KEY_FRAME = 5

    @property
    def reason(self) -> str:
        """What to tell people."""
        return _REASONS[self]


_REASONS = {
    Fault.NONE: "whole",
    Fault.CUT: "the file ends before",
    Fault.BLANK: "zeros where it was",
    Fault.BROKEN: "damaged",
    Fault.COVERED: "something else is written over it",
    Fault.NO_KEY_FRAME: "no key frame is left before it",
}

Faults = npt.NDArray[np.uint8]


def judge(source: ByteSource, track: MovieTrack, table: SampleTable) -> Faults:
    """For every sample what is wrong with it, as a `Fault`."""
    faults = np.full(len(table), Fault.CUT, np.uint8)
    inside = table.offset + table.size <= source.size
    for rows in _neighbours(table, np.flatnonzero(inside)):
        faults[rows] = _judge_run(source, track, table.offset[rows], table.size[rows])
    return faults


def _neighbours(table: SampleTable, rows: Ints) -> Iterator[Ints]:
    """The rows in groups that lie side by side in the file."""
    offset = table.offset[rows]
    apart = offset[1:] != offset[:-1] + table.size[rows[:-1]]
    return (group for group in np.split(rows, np.flatnonzero(apart) + 1) if len(group))


def _judge_run(source: ByteSource, track: MovieTrack, offset: Ints, size: Ints) -> Faults:
    begin = int(offset[0]) // _SECTOR * _SECTOR
    end = -(-int(offset[-1] + size[-1]) // _SECTOR) * _SECTOR
    data = source.read(begin, end - begin)
    octets = np.zeros(end - begin, np.uint8)
    octets[: len(data)] = np.frombuffer(data, np.uint8)
    place = offset - begin
    first, last = place // _SECTOR, (place + np.maximum(size, 1) - 1) // _SECTOR
    sectors = (first, last)
    blank = _touches(octets.reshape(-1, _SECTOR).max(axis=1) == 0, *sectors)
    if track.codec == "camm":
        broken = ~_are_records(octets, place, size)
        spoilt = np.zeros(len(octets) // _SECTOR, np.bool_)
        spoilt[first[broken]] = spoilt[last[broken]] = True
        broken |= _touches(spoilt, *sectors)
    elif track.length_size:
        broken = np.array(
            [
                not _is_picture(data[at : at + length], track.length_size)
                for at, length in zip(place.tolist(), size.tolist(), strict=True)
            ]
        )
    else:
        broken = np.zeros(len(offset), np.bool_)
    return np.where(blank, Fault.BLANK, np.where(broken, Fault.BROKEN, Fault.NONE)).astype(np.uint8)


def _touches(marked: npt.NDArray[np.bool_], first: Ints, last: Ints) -> npt.NDArray[np.bool_]:
    """Which samples, from sector `first` to `last`, lie in a sector that is marked."""
    count = np.concatenate([[0], np.cumsum(marked)])
    touched: npt.NDArray[np.bool_] = count[last + 1] > count[first]
    return touched


def _are_records(octets: npt.NDArray[np.uint8], place: Ints, size: Ints) -> npt.NDArray[np.bool_]:
    """Which are CAMM packets: reserved zero, a known type, its size, no orientation of zeros."""
    good = size >= PACKET_SIZES[PacketType.EXPOSURE]
    headers = octets[place[:, None] + np.arange(4) * good[:, None]].astype(np.int64)
    kind = headers[:, 2] | headers[:, 3] << 8
    good &= (headers[:, 0] | headers[:, 1]) == 0
    good &= kind < len(_SIZES)
    good &= size == _SIZES[np.minimum(kind, len(_SIZES) - 1)]
    turned = good & (kind == PacketType.ANGLE_AXIS)
    at = place[turned]
    good[turned] = octets[at[:, None] + np.arange(4, 16)].any(axis=1)
    return good


def _is_picture(sample: bytes, length_size: int) -> bool:
    """Whether NAL units behind their lengths fill it exactly, none with what no unit may hold.

    Three zero bytes never stand in a unit, nor does a start code (ITU-T H.264 and H.265, 7.4.1).
    """
    at = 0
    while at < len(sample):
        begin = at + length_size
        at = begin + int.from_bytes(sample[at:begin])
        unit = sample[begin:at]
        if at == begin or at > len(sample) or unit[0] & 0x80:
            return False
        if b"\0\0\0" in unit or b"\0\0\1" in unit:
            return False
    return bool(sample)
