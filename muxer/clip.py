"""A clip that has been opened: its tracks, and its metadata as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import PACKET_SIZES, PacketType, Samples, decode
from muxer.errors import Mp4Error
from muxer.movie import EditList, Handler
from muxer.sample_table import Ints, SampleTable
from muxer.source import ByteSource, read_samples

_SIZES = np.array([PACKET_SIZES[kind] for kind in PacketType])
_MOST_PACKETS = 10_000
"""Packets that are read of one sample, where the rule is one: a file that lies costs no hours."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One track of a clip.

    `codec`      four letters of its sample entry: "avc1", "mp4a", "camm"
    `entries`    the codes of all its sample entries; more than one is rare
    `timescale`  ticks a second; `table` counts in them
    `edits`      its edit list, durations in `movie_timescale`
    """

    number: int
    handler: Handler
    entries: tuple[str, ...]
    timescale: int
    duration: int
    table: SampleTable
    edits: EditList
    movie_timescale: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0

    @property
    def codec(self) -> str:
        """The first sample entry's code; empty where the track has none."""
        return self.entries[0] if self.entries else ""

    @property
    def pts_ns(self) -> Ints:
        """Presentation time of every sample, nanoseconds of the movie, in decoding order.

        Of an edit list the leading pause and the first cut are applied, which is what recorders
        write; samples that an edit would hide keep their place and are not left out.
        """
        edits = self.edits.edits
        pause = 0
        if edits and edits[0].media_time < 0:
            pause = edits[0].duration * 1_000_000_000 // max(self.movie_timescale, 1)
            if pause >= 1 << 62:
                raise Mp4Error(f"track {self.number} is said to begin after {pause / 1e9:.3g} s")
            edits = edits[1:]
        begin = edits[0].media_time if edits else 0
        return pause + _nanoseconds(self.table.dts + self.table.cts_offset - begin, self.timescale)

    @property
    def duration_ns(self) -> int:
        """From movie time zero to the end of the track's last sample."""
        if not len(self.table):
            return 0
        pts_ns = self.pts_ns
        last = int(_nanoseconds(np.array([self.table.duration]), self.timescale)[0])
        return int(pts_ns.max()) + last


def _nanoseconds(ticks: Ints, timescale: int) -> Ints:
    seconds, rest = np.divmod(ticks, timescale)
    result: Ints = seconds * 1_000_000_000 + ((rest * 1_000_000_000 + timescale // 2) // timescale)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """All packets of a metadata track, in the order of the file.

    `kind`   int64[N], packet type; types that the specification does not know are kept here
    `t_ns`   int64[N], presentation time
    `place`  int64[N], where the packet begins in `payload`
    `faults` what was found besides: a reason and how many samples it holds for
    """

    kind: Ints
    t_ns: Ints
    place: Ints
    payload: npt.NDArray[np.uint8]
    faults: Mapping[str, int]


class Clip:
    """An opened clip. Attributes with the specification's names give its metadata as columns:

    `clip.gyro.t_ns` is int64[N] nanoseconds from the first video frame, `clip.gyro.data` float32
    (N, 3); likewise angle_axis, acceleration, position, magnetic_field, and with record arrays
    exposure, min_gps and gps. A packet type that is not in the clip reads as an empty block.

    Opened with `muxer.reader.open`; a context manager. Only tables are in memory until columns are
    asked for.
    """

    def __init__(
        self,
        source: ByteSource,
        tracks: list[Track],
        *,
        created: datetime | None,
        make: str,
        model: str,
        metadata: Mapping[str, Any],
        fragmented: bool,
        moov_first: bool,
    ) -> None:
        self._source = source
        self.path = source.name
        self.size = source.size
        self.tracks = tracks
        self.created = created
        self.make = make
        self.model = model
        self.metadata = metadata
        self.fragmented = fragmented
        self.moov_first = moov_first

    def close(self) -> None:
        """Close the file. Columns that were read stay."""
        self._source.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def video(self) -> Track | None:
        """The first video track."""
        return next((track for track in self.tracks if track.handler.kind == b"vide"), None)

    @property
    def camm_tracks(self) -> list[Track]:
        """The tracks of camera motion metadata, whatever their handler says."""
        return [track for track in self.tracks if "camm" in track.entries]

    @property
    def duration_ns(self) -> int:
        """From movie time zero to the end of the longest track."""
        return max((track.duration_ns for track in self.tracks), default=0)

    @cached_property
    def records(self) -> Records:
        """Every packet of the first metadata track, sorted out but not decoded."""
        tracks = self.camm_tracks
        if not tracks or not len(tracks[0].table):
            none = np.empty(0, np.int64)
            return Records(none, none, none, np.empty(0, np.uint8), {})
        track = tracks[0]
        payload, place = read_samples(self._source, track.table.offset, track.table.size)
        return _sort_out(payload, place, track.table.size, track.pts_ns)

    def samples(self, kind: PacketType) -> Samples:
        """All packets of one type, in the order of the file."""
        records = self.records
        mine = records.kind == kind
        place = records.place[mine]
        packets = records.payload[place[:, None] + np.arange(PACKET_SIZES[kind])]
        return Samples(kind, records.t_ns[mine], decode(kind, packets))

    @property
    def counts(self) -> dict[PacketType, int]:
        """How many packets of each type there are; types without any are left out."""
        found = Counter(self.records.kind.tolist())
        return {kind: found[kind] for kind in PacketType if found[kind]}

    angle_axis = cached_property(lambda self: self.samples(PacketType.ANGLE_AXIS))
    exposure = cached_property(lambda self: self.samples(PacketType.EXPOSURE))
    gyro = cached_property(lambda self: self.samples(PacketType.GYRO))
    acceleration = cached_property(lambda self: self.samples(PacketType.ACCELERATION))
    position = cached_property(lambda self: self.samples(PacketType.POSITION))
    min_gps = cached_property(lambda self: self.samples(PacketType.MIN_GPS))
    gps = cached_property(lambda self: self.samples(PacketType.GPS))
    magnetic_field = cached_property(lambda self: self.samples(PacketType.MAGNETIC_FIELD))


def _sort_out(payload: npt.NDArray[np.uint8], place: Ints, size: Ints, t_ns: Ints) -> Records:
    """Packets of all samples, the rule being one a sample.

    Some writers put several into one, so the walk goes in rounds: in each, every sample that has
    bytes left gives its next packet. With one packet a sample that is one round.
    """
    faults: Counter[str] = Counter()
    rounds: list[tuple[Ints, Ints, Ints]] = []
    number, left = np.arange(len(place)), size
    while len(number) and len(rounds) < _MOST_PACKETS:
        headed = left >= 4
        reserved, kind = _headers(payload, place[headed])
        if rounds:
            # Behind the first packet only what looks like one is one, the rest is padding. Zeros
            # look like a type 0 of no rotation, which no writer puts behind another packet.
            headed[headed] = (reserved == 0) & (kind > 0) & (kind < len(_SIZES))
            faults["padding behind the packet"] += int((~headed).sum())
            kind = kind[(reserved == 0) & (kind > 0) & (kind < len(_SIZES))]
        else:
            faults["samples too short for a packet"] += int((~headed).sum())
            faults["reserved field is not zero"] += int((reserved != 0).sum())
            faults["packets of an unknown type"] += int((kind >= len(_SIZES)).sum())
        number, place, left = number[headed], place[headed], left[headed]
        needed = np.where(kind < len(_SIZES), _SIZES[kind % len(_SIZES)], left)
        whole = needed <= left
        faults["packets cut short"] += int((~whole).sum())
        rounds.append((number[whole], kind[whole], place[whole]))
        if len(rounds) == 2:
            faults["samples with more than one packet"] += int(whole.sum())
        more = needed < left
        number, place, left = number[more], (place + needed)[more], (left - needed)[more]
    faults["samples with too many packets to read them all"] += len(number)
    numbers, kinds, places = (np.concatenate(column) for column in zip(*rounds, strict=True))
    order = np.argsort(numbers, kind="stable")
    return Records(
        kinds[order],
        t_ns[numbers[order]],
        places[order],
        payload,
        {reason: count for reason, count in faults.items() if count},
    )


def _headers(payload: npt.NDArray[np.uint8], place: Ints) -> tuple[Ints, Ints]:
    """The reserved field and the type of the packets at these places."""
    octets = payload[place[:, None] + np.arange(4)].astype(np.int64)
    return octets[:, 0] | octets[:, 1] << 8, octets[:, 2] | octets[:, 3] << 8
