"""Movie fragments: the form a file has while it is being recorded (ISO/IEC 14496-12, 8.8)."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from muxer.boxes import Box, box, children, find, full_box, nested, require, version_and_flags
from muxer.errors import Mp4Error
from muxer.sample_table import Ints, SampleTable

CHECKSUM_UUID = uuid.UUID("0a3d7c5e-91f2-4c0b-8f6d-2f1e5b7a9c44")
"""User type of the `uuid` box at the end of our `moof`: a CRC-32 of what lies before and behind."""

_DEFAULT_BASE_IS_MOOF = 0x020000
_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS = 0x100, 0x200, 0x400, 0x800
_SYNC_SAMPLE, _OTHER_SAMPLE = 0x02000000, 0x01010000
_MOOF_SIZE, _TRAF_SIZE, _ROW_SIZE = 52, 64, 16
"""Bytes of a `moof` as it is written here without its `traf`s, of one without rows, of a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples of one track that one fragment adds, in decoding order; times in its ticks.

    `duration` is that of the last sample: up to where the fragment ends.
    """

    track: int
    data: bytes
    size: Ints
    dts: Ints
    cts_offset: Ints
    duration: int
    keyframe: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def table(self, at: int) -> SampleTable:
        """The samples as they lie in the file when the run's data begin at byte `at`."""
        offset = at + np.cumsum(self.size) - self.size
        return SampleTable(
            offset, self.size, self.dts, self.cts_offset, self.duration, self.keyframe
        )


def write_fragment(number: int, runs: Sequence[Run], at: int) -> tuple[bytes, list[SampleTable]]:
    """`moof` and `mdat` of the runs for byte `at` of the file, and where their samples then lie.

    The last box in the `moof` is a checksum over all of it and the data, by which a repair knows
    what a power cut has left whole.
    """
    at_data = _MOOF_SIZE + sum(_TRAF_SIZE + _ROW_SIZE * len(run.size) for run in runs) + 8
    starts = list(accumulate((len(run.data) for run in runs), initial=at_data))
    if starts[-2] >= 1 << 31:  # `trun` counts up to there, and signed
        raise Mp4Error("one fragment holds more than 2 GiB: cut it sooner")
    moof = _moof(number, runs, starts)[:-4]
    check = zlib.crc32(moof)
    for run in runs:
        check = zlib.crc32(run.data, check)
    mdat = nested(b"mdat", [run.data for run in runs])
    tables = [run.table(at + start) for run, start in zip(runs, starts, strict=False)]
    return b"".join([moof, struct.pack(">I", check), *mdat]), tables


def is_intact(moof: bytes, data: bytes) -> bool | None:
    """Whether a `moof` (the whole box) and the content of its `mdat` are as they were written.

    None where the `moof` carries no checksum of ours.
    """
    if moof[-20:-4] != CHECKSUM_UUID.bytes:
        return None
    return zlib.crc32(data, zlib.crc32(moof[:-4])) == int.from_bytes(moof[-4:])


def _moof(number: int, runs: Sequence[Run], starts: Sequence[int]) -> bytes:
    trafs = map(_traf, runs, starts)
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", number))
    return box(b"moof", header, *trafs, box(b"uuid", CHECKSUM_UUID.bytes, bytes(4)))


def _traf(run: Run, start: int) -> bytes:
    rows = np.empty((len(run.size), 4), ">u4")
    rows[:, 0] = np.diff(run.dts, append=run.dts[-1] + run.duration)
    rows[:, 1] = run.size
    rows[:, 2] = np.where(run.keyframe, _SYNC_SAMPLE, _OTHER_SAMPLE)
    rows[:, 3] = run.cts_offset  # wraps below zero to two's complement, as the box wants it
    return box(
        b"traf",
        full_box(b"tfhd", 0, _DEFAULT_BASE_IS_MOOF, struct.pack(">I", run.track)),
        full_box(b"tfdt", 1, 0, struct.pack(">Q", run.dts[0])),
        full_box(
            b"trun",
            1,  # composition offsets are signed
            0x1 | _TRUN_DURATION | _TRUN_SIZE | _TRUN_FLAGS | _TRUN_CTS,
            struct.pack(">Ii", len(rows), start),
            rows.tobytes(),
        ),
    )


@dataclass(frozen=True, slots=True)
class TrackDefaults:
    """`trex`: what a fragment means where it says nothing."""

    duration: int
    size: int
    flags: int


def write_mvex(tracks: Sequence[int]) -> bytes:
    """The `mvex` box which says that fragments follow."""
    return box(
        b"mvex",
        *(full_box(b"trex", 0, 0, struct.pack(">5I", track, 1, 0, 0, 0)) for track in tracks),
    )


def read_mvex(moov: bytes) -> dict[int, TrackDefaults]:
    """The defaults of each track; empty where the movie has no fragments."""
    defaults = {}
    mvex = find(moov, b"mvex") or b""
    for child in children(mvex):
        if child.kind == b"trex" and child.end - child.body >= 24:
            track, _, duration, size, flags = struct.unpack_from(">5I", mvex, child.body + 4)
            defaults[track] = TrackDefaults(duration, size, flags)
    return defaults


def count_samples(moof: bytes) -> int:
    """How many samples a fragment claims to have, before any memory is spent on them."""
    count = 0
    for traf in children(moof):
        if traf.kind == b"traf":
            content = traf.content(moof)
            runs = (child for child in children(content) if child.kind == b"trun")
            count += sum(int.from_bytes(content[run.body + 4 : run.body + 8]) for run in runs)
    return count


def read_fragment(
    moof: bytes, at: int, defaults: dict[int, TrackDefaults], ends: dict[int, int], file_size: int
) -> dict[int, SampleTable]:
    """The samples that a `moof` (its content; the box begins at byte `at`) adds to each track.

    `ends` says where each track's time stands, for fragments without a `tfdt`. Samples that lie
    behind the end of the file were never written and are left out.
    """
    tables: dict[int, SampleTable] = {}
    follow = at
    for traf in children(moof):
        if traf.kind == b"traf":
            track, table = _read_traf(traf.content(moof), at, follow, defaults, ends, tables)
            if len(table):
                follow = int(table.offset[-1] + table.size[-1])
            whole = table.offset + table.size <= file_size
            if not whole.all():
                table = table.head(int(np.argmin(whole)))
            tables[track] = SampleTable.join([tables[track], table] if track in tables else [table])
    return tables


def _read_traf(
    traf: bytes,
    at: int,
    follow: int,
    defaults: dict[int, TrackDefaults],
    ends: dict[int, int],
    before: dict[int, SampleTable],
) -> tuple[int, SampleTable]:
    """The track and its samples; `follow` is where the data of the `traf` before ended."""
    tfhd = require(traf, b"tfhd")
    _, flags = version_and_flags(tfhd)
    present = [bool(flags & bit) for bit in (0x1, 0x2, 0x8, 0x10, 0x20)]
    layout = ">4xI" + "".join(
        code if here else "" for code, here in zip("QIIII", present, strict=True)
    )
    if len(tfhd) < struct.calcsize(layout):
        raise Mp4Error(f"box 'tfhd' is too short: {len(tfhd)} bytes")
    track, *values = struct.unpack_from(layout, tfhd)
    fields = iter(values)
    base, _, duration, size, sample_flags = (next(fields) if here else None for here in present)
    default = defaults.get(track, TrackDefaults(0, 0, 0))
    default = TrackDefaults(
        default.duration if duration is None else duration,
        default.size if size is None else size,
        default.flags if sample_flags is None else sample_flags,
    )
    table = before.get(track, SampleTable.empty())
    time = table.end if len(table) else ends.get(track, 0)
    tfdt = find(traf, b"tfdt")
    if tfdt is not None and len(tfdt) >= (12 if tfdt[0] else 8):
        (time,) = struct.unpack_from(">Q" if tfdt[0] else ">I", tfdt, 4)
    if base is None:
        base = at if flags & _DEFAULT_BASE_IS_MOOF else follow
    if max(base, time) >= 1 << 62:
        raise Mp4Error(f"a fragment of track {track} begins at byte {base}, at tick {time}")
    where = base
    runs = []
    for child in children(traf):
        if child.kind == b"trun":
            run = _read_trun(traf, child, default, time, base, where)
            runs.append(run)
            if len(run):
                time, where = run.end, int(run.offset[-1] + run.size[-1])
    return track, SampleTable.join(runs)


def _read_trun(
    traf: bytes, trun: Box, default: TrackDefaults, time: int, base: int, follow: int
) -> SampleTable:
    content = trun.content(traf)
    _, flags = version_and_flags(content)
    optional = [bool(flags & bit) for bit in (0x1, 0x4)]
    layout = ">4xI" + "".join(
        code if here else "" for code, here in zip("iI", optional, strict=True)
    )
    header = struct.calcsize(layout)
    columns = [bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800)]
    if len(content) < header:
        raise Mp4Error(f"box 'trun' is too short: {len(content)} bytes")
    count, *values = struct.unpack_from(layout, content)
    width = sum(columns)
    if count * width * 4 > len(content) - header:
        raise Mp4Error(f"box 'trun' claims {count} samples in {len(content)} bytes")
    rows = np.frombuffer(content, ">u4", count * width, header).astype(np.int64)
    rows = rows.reshape(count, width)
    places = np.cumsum(columns) - 1
    defaults = (default.duration, default.size, default.flags, 0)
    duration, size, sample_flags, cts = (
        rows[:, place] if here else np.full(count, value)
        for here, place, value in zip(columns, places, defaults, strict=True)
    )
    fields = iter(values)
    offset, first_flags = (next(fields) if here else None for here in optional)
    if first_flags is not None and count:
        sample_flags = sample_flags.copy()
        sample_flags[0] = first_flags
    cts = cts.astype(np.uint32).view(np.int32).astype(np.int64)  # signed whatever the version
    start = follow if offset is None else base + offset
    return SampleTable(
        start + np.cumsum(size) - size,
        size,
        time + np.cumsum(duration) - duration,
        cts,
        int(duration[-1]) if count else 0,
        sample_flags & 0x10000 == 0,
    )
