"""A copy of a clip in which one type of record says something else, where it stood before.

All other bytes are those of the clip, but for its own metadata.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camm import PacketType, encode
from muxer import file_boxes
from muxer.boxes import Box
from muxer.clip import Clip
from muxer.disk import copy_range, write_all, written_whole
from muxer.errors import Mp4Error
from muxer.reader import top_level
from muxer.recording_file import METADATA_UUID, metadata_box
from muxer.sample_table import Ints
from muxer.source import LocalFile
from muxer.track import CammTrack

_NEAR = 1 << 16
"""Bytes between records up to which they are read and written again with them."""


def rewrite(
    clip: Clip,
    track: CammTrack,
    kind: PacketType,
    values: Callable[[Ints], npt.NDArray[Any]],
    metadata: Mapping[str, Any],
    out: Path,
) -> bool:
    """Write the clip to `out` with other values in the records of one type.

    `values` is asked for those of some times, int64[N] nanoseconds of the movie, in the order of
    the file. True where the clip's metadata are now these; False where there was no room for them.
    A file of the name `out`, which may be the clip's own, is replaced once all is on the disk; it
    keeps the clip's time of writing. Mp4Error where records share samples with others, and for
    a clip that is still in fragments.
    """
    if clip.fragmented:
        raise Mp4Error(
            f"{clip.path} is in fragments, which would no longer be what they are sealed as: "
            "`cammcorder repair` makes a plain MP4 of it"
        )
    own = out.exists() and out.samefile(clip.path)
    with LocalFile(clip.path) as source, written_whole(out) as target:
        copy_range(source.fileno(), 0, target, 0, source.size)
        count = 0
        for t_ns, place in track.places(kind):
            _write_packets(target, place, encode(kind, values(t_ns)))
            count += len(place)
        if count != clip.counts.get(kind, 0):
            raise Mp4Error(
                f"{clip.path}: records share samples with others: `cammcorder convert` gives each "
                "one of its own"
            )
        told = _write_metadata(source, target, metadata)
        before = os.fstat(source.fileno())
        os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        if own and not (out.exists() and os.path.samestat(before, out.stat())):
            raise Mp4Error(f"{clip.path} has gone or been replaced meanwhile: it is left as it is")
    return told


def _write_packets(target: int, place: Ints, packets: npt.NDArray[np.uint8]) -> None:
    """Write rows of bytes to their places in the file, those that lie near together at once."""
    if not len(place):
        return
    size = packets.shape[1]
    order = np.argsort(place, kind="stable")
    place, packets = place[order], packets[order]
    edges = [0, *(np.flatnonzero(np.diff(place) > _NEAR) + 1).tolist(), len(place)]
    for first, last in pairwise(edges):
        at = int(place[first])
        stretch = bytearray(os.pread(target, int(place[last - 1]) + size - at, at))
        octets = np.frombuffer(stretch, np.uint8)
        octets[(place[first:last] - at)[:, None] + np.arange(size)] = packets[first:last]
        write_all(target, stretch, at)


def _write_metadata(source: LocalFile, target: int, metadata: Mapping[str, Any]) -> bool:
    """Put them where the clip's own are, filled up with spaces, if they are no longer."""
    found = _metadata_box(source)
    if found is None:
        return False
    text = metadata_box(metadata)[found.body - found.start :]
    if len(text) > found.end - found.body:
        return False
    write_all(target, text.ljust(found.end - found.body), found.body)
    return True


def _metadata_box(source: LocalFile) -> Box | None:
    for moov in top_level(source):
        if moov.kind == b"moov":
            for box in file_boxes.children(source, moov.body, moov.end):
                if box.kind == b"uuid" and source.read(box.body, 16) == METADATA_UUID.bytes:
                    return box
            return None
    return None
