"""Writing a new file: the old one's media, and a track of records in place of others.

    ftyp | free | moov | what stood beside it | free | mdat: the old media, then the records

The file has a hidden name until it is whole, and so has the one beside it in which the records wait
for theirs: no part of either is left when something goes wrong, and neither is ever in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from muxer.boxes import Piece, require
from muxer.clip import Clip
from muxer.disk import copy_range, copy_watched, naming, write_all, written_whole
from muxer.movie import MovieHeader, mp4_time
from muxer.new_file import Copy, NewFile
from muxer.recording_file import metadata_box
from muxer.records import Records
from muxer.remux.old_file import OldFile, movie_header
from muxer.remux.track import MotionTrack
from muxer.source import ByteSource, LocalFile, open_source

Watch: TypeAlias = Callable[[str, int, int], None]
"""Is told now and then what is being done, how far, and how far it goes."""

_FETCHED_AT_ONCE = 1 << 23


@dataclass(frozen=True, slots=True)
class NewTrack:
    """The track of records that is wanted.

    `without`   numbers of the tracks whose place it takes
    `end_ns`    how long its last record lasts, at the least
    `held`      as for `MotionTrack`
    `created`   UTC of movie time zero, for a file that does not say
    `metadata`  what the new clip says of itself
    """

    timescale: int
    without: Collection[int]
    end_ns: int
    created: datetime | None
    metadata: Mapping[str, Any]
    held: bool = False


def remux(
    clip: Clip, records: Iterable[Records], new: NewTrack, out: Path, watch: Watch
) -> MotionTrack:
    """Write the clip again with these records, which come in order of time.

    A file of the name `out` is replaced. Mp4Error where the clip is cut, damaged or encrypted.
    """
    with (
        naming(out),
        closing(open_source(clip.path)) as source,
        tempfile.TemporaryFile(dir=out.parent) as spool,
    ):
        old = OldFile.read(source, clip, new.without)
        track = MotionTrack(spool.fileno(), new.timescale, held=new.held)
        for block in records:
            track.add(block)
            watch("reading", min(int(block.t_ns[-1]), new.end_ns), new.end_ns)
        track.end_at(new.end_ns)
        _write(clip, old, track, new, spool.fileno(), out, watch)
    return track


def _write(
    clip: Clip,
    old: OldFile,
    track: MotionTrack,
    new: NewTrack,
    spool: int,
    out: Path,
    watch: Watch,
) -> None:
    taken = {track.number for track in clip.tracks}
    number = next(number for number in count(1) if number not in taken)
    mvhd = require(old.moov, b"mvhd")
    timescale = MovieHeader.read(mvhd).timescale
    metadata = metadata_box(new.metadata)
    end = old.media[1]

    def build(shift: int) -> list[Piece]:
        trak, duration = track.trak(number, new.created, timescale, end + shift)
        header = movie_header(mvhd, mp4_time(new.created), duration, number)
        return old.moov_with(header, trak, metadata, shift)

    def told(copied: int) -> None:
        watch("writing", copied, end)

    file = NewFile(old.ftyp, old.media, build, track.size)
    with written_whole(out) as target:
        copy = _copier(old.source, told)
        at = file.write(copy, target)
        copy_range(spool, 0, target, at, track.size)
        copy(old.trailer, target, at + track.size, old.source.size - old.trailer)


def _copier(source: ByteSource, watch: Callable[[int], None]) -> Copy:
    """What copies from a source: inside the kernel where that can be, else block by block."""
    if isinstance(source, LocalFile):
        return partial(copy_watched, source.fileno(), watch=watch)

    def fetch(offset: int, target: int, at: int, length: int) -> None:
        for done in range(0, length, _FETCHED_AT_ONCE):
            block = source.read(offset + done, min(_FETCHED_AT_ONCE, length - done))
            write_all(target, block, at + done)
            watch(done + len(block))

    return fetch
