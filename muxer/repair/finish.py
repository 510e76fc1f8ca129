"""Finishing a recording that has been examined: as a new file, or in its place.

A new file is written in the order of a finished one, `moov` first; its media are shared with the
old file where the file system can (btrfs, XFS), else copied inside the kernel. In place not a byte
of media is moved: what is missing is appended, and only then do a few bytes in single sectors turn
the file into a plain one, as the recorder does it. A power cut on the way leaves a file that can be
examined and finished again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from muxer.boxes import Piece, box
from muxer.disk import copy_watched, opened, write_all, write_pieces, written_whole
from muxer.errors import Mp4Error
from muxer.moov_first import HEAD, Build, bring_moov_first, complete_move, room_for
from muxer.movie import write_ftyp
from muxer.new_file import SPANNING_HEADER, NewFile, spanning_header, whole_ftyp
from muxer.pauses import NOT_KNOWN, divided
from muxer.repair.examination import Examination, Remedy
from muxer.repair.movie import rebuild
from muxer.sample_table import SampleTable


class NothingRecoveredError(Mp4Error):
    """A recording of which not one sample can be kept."""


def require_recovered(examination: Examination) -> Examination:
    """The examination, once it is known that there is something to keep; NothingRecoveredError."""
    if not examination.recovered:
        raise NothingRecoveredError(
            f"nothing can be recovered from {examination.path}: "
            + ("none of its samples is whole" if examination.moov else "no 'moov' is left in it")
        )
    return examination


def finish(
    examination: Examination, out: Path, watch: Callable[[int], None] = lambda copied: None
) -> None:
    """Write a plain MP4 of everything that is left; a file of that name is replaced.

    It has a hidden name until it is whole. `watch` is told how many bytes have been copied.
    NothingRecoveredError where there is nothing to write.
    """
    require_recovered(examination)
    with opened(examination.path, os.O_RDONLY) as source, written_whole(out) as target:
        _write(examination, source, target, watch)


def finish_in_place(examination: Examination) -> None:
    """Make a plain MP4 of the recording itself, which must not have changed since.

    NothingRecoveredError where there is nothing to keep, Mp4Error where the file has another
    layout than the recorder's (another program has been at it): take a new file then.
    """
    require_recovered(examination)
    with opened(examination.path, os.O_RDWR) as fd:
        if os.fstat(fd).st_size != examination.size:
            raise Mp4Error(f"{examination.path} has changed meanwhile: is it still being recorded?")
        match examination.remedy:
            case Remedy.NOTHING:
                pass
            case Remedy.CUT_TAIL:
                os.ftruncate(fd, examination.end)
                os.fdatasync(fd)
            case Remedy.COMPLETE_MOVE:
                _complete_move(fd, examination)
            case Remedy.FINALISE:
                os.ftruncate(fd, examination.end)
                _finalise(fd, examination, _built(examination, _tables(examination)))
            case Remedy.REBUILD:
                _rebuild(fd, examination)


def _write(
    examination: Examination, source: int, target: int, watch: Callable[[int], None]
) -> None:
    """The new file: what stands before the media, the media, and what is added behind them."""
    tables = _tables(examination)
    filled = [table for table in tables.values() if len(table)]
    first = min(int(table.offset.min()) for table in filled)
    end = max(int((table.offset + table.size).max()) for table in filled)
    added, tables = _added(examination, source, tables, end)
    build = _built(examination, tables)
    new = NewFile(_ftyp(source, examination), (first, end), build, len(added))
    write_all(target, added, new.write(partial(copy_watched, source, watch=watch), target))


def _complete_move(fd: int, examination: Examination) -> None:
    journal = examination.journal
    moov = _built(examination, _tables(examination))(0)
    if journal is None or room_for(moov) > journal.shift:
        _rebuild(fd, examination)
    else:
        complete_move(fd, len(_ftyp(fd, examination)), journal.moov_at, journal.shift, moov)


def _rebuild(fd: int, examination: Examination) -> None:
    """Append what is missing and a new `moov`, then finalise."""
    tables = _tables(examination)
    first = min(int(table.offset.min()) for table in tables.values() if len(table))
    if examination.body % HEAD or first < examination.body + SPANNING_HEADER:
        raise Mp4Error(
            f"{examination.path} has not the layout of a recording any more: "
            "repair it to a new file"
        )
    # Behind what a torn fragment claims: should the power go now, nothing of this is taken for its.
    at = max(examination.size, examination.claimed)
    added, tables = _added(examination, fd, tables, at)
    build = _built(examination, tables)
    moov_at = at + len(added)
    write_pieces(fd, [added, *build(0)], at)
    os.fdatasync(fd)
    _finalise(fd, replace(examination, moov_at=moov_at), build)


def _finalise(fd: int, examination: Examination, build: Build) -> None:
    """Make the `moov` at the end the one that counts, then bring it to the front if that can be."""
    body, moov_at, ftyp = examination.body, examination.moov_at, _ftyp(fd, examination)
    write_all(fd, spanning_header(moov_at - body), body)
    os.fdatasync(fd)
    head = ftyp + struct.pack(">I4s", body - len(ftyp), b"free")
    if os.pread(fd, len(head), 0) != head:
        write_all(fd, head, 0)
        os.fdatasync(fd)
    if examination.hole is not None:
        return  # one insertion has failed in this file: the next could tear what this one has torn
    if body == HEAD:
        bring_moov_first(fd, len(ftyp), moov_at, build)
    elif room_for(moov := build(0)) <= (shift := body - HEAD):
        complete_move(fd, len(ftyp), moov_at - shift, shift, moov)


def _ftyp(fd: int, examination: Examination) -> bytes:
    """The file's own `ftyp` box, or ours where it is damaged."""
    return whole_ftyp(fd) or write_ftyp(found.track.entry for found in examination.tracks)


def _tables(examination: Examination) -> dict[int, SampleTable]:
    return {found.track.number: found.table for found in examination.tracks}


def _built(examination: Examination, tables: dict[int, SampleTable]) -> Build:
    """What makes the `moov` for media that lie so many bytes further on."""
    metadata = None
    if examination.remedy is Remedy.REBUILD:
        metadata = {**examination.metadata, "repaired": _told(examination)}
        metadata.pop("unfinished", None)

    def build(shift: int) -> list[Piece]:
        placed = {
            track: replace(table, offset=table.offset + shift) for track, table in tables.items()
        }
        return [rebuild(examination.moov, placed, metadata)]

    return build


def _told(examination: Examination) -> dict[str, object]:
    """What the repaired clip says of its repair."""
    return {
        "gaps": [gap.report() for gap in examination.gaps],
        "tracks": {
            str(found.track.number): {
                "kept": len(found.table),
                "lost": found.lost,
                "unverified": found.unverified,
                "ranges": [part.report() for part in found.stretches if part.reason],
            }
            for found in examination.tracks
        },
    }


def _added(
    examination: Examination, source: int, tables: dict[int, SampleTable], at: int
) -> tuple[bytes, dict[int, SampleTable]]:
    """What has to be added at byte `at`, in a box: torn samples put together, and fillers."""
    payload = bytearray()
    tables = dict(tables)
    place = at + 8
    for torn in examination.torn:
        table = tables[torn.track]
        offset = table.offset.copy()
        offset[torn.row] = place + len(payload)
        tables[torn.track] = replace(table, offset=offset)
        for start, end in torn.halves:
            payload += os.pread(source, end - start, start)
    for found in examination.tracks:
        number = found.track.number
        if found.track.codec == "camm":
            table = _filled(tables[number], place + len(payload))
            if len(table) > len(tables[number]):
                tables[number] = table
                payload += NOT_KNOWN
    return box(b"mdat", bytes(payload)) if payload else b"", tables


def _filled(table: SampleTable, filler: int) -> SampleTable:
    """The records, with one that says nothing at time zero and in pauses that no table can hold.

    Readers that know no edit lists take the first record for time zero.
    """
    if len(table) and table.dts[0] > 0:
        table = replace(
            table,
            offset=np.insert(table.offset, 0, filler),
            size=np.insert(table.size, 0, len(NOT_KNOWN)),
            dts=np.insert(table.dts, 0, 0),
            cts_offset=np.insert(table.cts_offset, 0, 0),
            keyframe=np.insert(table.keyframe, 0, True),
        )
    return divided(table, filler, len(NOT_KNOWN))
