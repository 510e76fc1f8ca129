"""Short recordings whose every sample and every write is known, and the judge of their repair."""

from __future__ import annotations

import errno
import os
import random
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pytest
from disk_log import Cut, DiskLog, Operation, Sync, after, exactly_after

from camm import CammError, Packet, PacketType, Samples, StreamFormat
from muxer import reader, repair
from muxer.recording import Recording
from muxer.recording_file import MovieDescription, RecordingFile

MS = 1_000_000
START_NS, FRAMES, FRAME_MS = 10_000 * MS, 36, 100
DECODING_ORDER = (0, 3, 1, 2, 5, 4)
"""Of a group of pictures: the place at which each is shown."""

VIDEO, CAMM = 1, 2
FILLER = (0, struct.pack("<HHii", 0, 1, 0, 0))
"""A record of nothing at time zero, which may stand for records that are lost."""

KINDS = ("room is made in front", "the moov fits in front", "no room can be made")
STORY = {KINDS[0]: 6000, KINDS[1]: 0, KINDS[2]: 6000}
"""Bytes of metadata that make the final `moov` long, or leave it short."""

Rows = list[tuple[int, bytes]]


@dataclass
class Take:
    """A recording: what was asked of the disk, and the samples of each of its fragments.

    `fragments`  of each the samples by track, in order: (ticks from movie time zero, bytes)
    `begun`      how many operations the log had when the write of each fragment began
    """

    kind: str
    log: list[Operation]
    fragments: list[dict[int, Rows]] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)

    def synced(self, count: int) -> int:
        """How many fragments are on the disk once so many operations have been asked for."""
        return sum(Sync() in self.log[at:count] for at in self.begun)

    def rows(self, track: int, fragments: int | None = None) -> Rows:
        """The samples of a track in the first fragments, or in all."""
        return [row for fragment in self.fragments[:fragments] for row in fragment[track]]


def _samples_of(run, shift: int) -> Rows:
    data = np.split(np.frombuffer(run.data, np.uint8), np.cumsum(run.size)[:-1])
    pts = (run.dts + run.cts_offset - shift).tolist()
    return [(at, part.tobytes()) for at, part in zip(pts, data, strict=True)]


def shoot(folder: Path, kind: str, last: int = FRAMES) -> Take:
    """3.6 seconds with B-frames, inertial samples and a field; the file is folder/take.mp4."""
    path = folder / "take.mp4"
    path.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        disk = DiskLog(patch, path)
        if kind == KINDS[2]:
            patch.setattr("muxer.moov_first.insert_range", no_room)
        take = Take(kind, disk.log)
        append = RecordingFile.append

        def spied(self, runs):
            take.begun.append(len(disk.log))
            shift = {VIDEO: 2 * FRAME_MS, CAMM: 0}
            take.fragments.append({run.track: _samples_of(run, shift[run.track]) for run in runs})
            append(self, runs)

        patch.setattr(RecordingFile, "append", spied)
        before = MovieDescription(None, "Maker", "Model", {"unfinished": True, "rig": "bench"})
        after = {"rig": "bench", "story": "x" * STORY[kind]}
        formats = [StreamFormat("video", "mjpeg", 1000, width=64, height=48)]
        recording = Recording(path, formats, before)
        chance = np.random.default_rng(5)
        for n in range(last):
            _film(recording, n, chance, sensors=1 if kind == KINDS[1] else 3)
        end_ns = START_NS + last * FRAME_MS * MS
        recording.finish(end_ns, MovieDescription(None, "Maker", "Model", after))
    return take


def _film(recording: Recording, n: int, chance: np.random.Generator, *, sensors: int) -> None:
    at_ns = START_NS + n * FRAME_MS * MS
    group = len(DECODING_ORDER)
    shown = n // group * group + DECODING_ORDER[n % group]
    picture = chance.integers(1, 255, 900 + 40 * (n % 7), np.uint8).tobytes()
    pts_ns = START_NS + shown * FRAME_MS * MS
    dts_ns = at_ns - 2 * FRAME_MS * MS
    recording.add_packets(
        [Packet(0, picture, pts_ns, dts_ns, FRAME_MS * MS, keyframe=n % group == 0)]
    )
    t_ns = at_ns + np.arange(5) * 20 * MS
    blocks = [
        Samples(PacketType.GYRO, t_ns, chance.normal(size=(5, 3))),
        Samples(PacketType.ACCELERATION, t_ns, chance.normal(size=(5, 3))),
        Samples(PacketType.MAGNETIC_FIELD, t_ns[:1], chance.normal(size=(1, 3))),
    ]
    recording.add_samples("imu", blocks[:sensors], at_ns + FRAME_MS * MS)
    recording.advance(at_ns)


def no_room(fd: int, offset: int, length: int) -> None:
    """A file system that cannot insert a range, such as FAT's."""
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@contextmanager
def hasty() -> Iterator[None]:
    """Nobody waits for the disk: what is judged is what was asked of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: None)
        patch.setattr(os, "fsync", lambda fd: None)
        yield


def assert_sound(path: Path, take: Take, fragments: int) -> None:
    """Everything of the first fragments is there, exact; and nothing that was never written."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(0) if packet.size]
        # FFmpeg's index, not its packets: those lend time to records that are due at once.
        records = list(container.streams[CAMM - 1].index_entries)
        found = {
            VIDEO: [(packet.pts, bytes(packet)) for packet in packets],
            CAMM: [(at.timestamp, data[at.pos : at.pos + at.size]) for at in records],
        }
    for track, rows in found.items():
        there, all_of_it = Counter(rows), Counter(take.rows(track))
        missing = Counter(take.rows(track, fragments)) - there
        strange = there - all_of_it
        if track == CAMM:
            strange.pop(FILLER, None)
        assert not missing, (track, sorted((at, len(row)) for at, row in missing))
        assert not strange, (track, sorted((at, len(row)) for at, row in strange))
    times = [at for at, _ in found[CAMM]]
    assert times == sorted(times)
    with reader.open(path) as clip:
        assert [len(track.table) for track in clip.tracks] == [len(rows) for rows in found.values()]
        assert clip.records.faults == {}
        assert clip.make == "Maker"
        assert clip.metadata["rig"] == "bench"
        assert "unfinished" not in clip.metadata
        assert not clip.fragmented


def repaired(path: Path, *, in_place: bool) -> Path:
    """The file that repair makes of one; the file itself where there is nothing to repair."""
    examination = repair.examine(path)
    if examination.remedy is repair.Remedy.NOTHING:
        return path
    if in_place:
        repair.finish_in_place(examination)
        return path
    out = path.with_name("out.mp4")
    repair.finish(examination, out)
    return out


def opens_with(path: Path, take: Take, fragments: int) -> bool:
    """Whether our reader finds all of the first fragments in a file as it is."""
    data = path.read_bytes()
    try:
        with reader.open(path) as clip:
            tracks = {track.number: track for track in clip.tracks}
            clip.counts  # noqa: B018 - reading it is the deed
    except CammError:
        return False
    for number in (VIDEO, CAMM):
        table, pts_ns = tracks[number].table, tracks[number].pts_ns
        ticks = (pts_ns * tracks[number].timescale + 500_000_000) // 1_000_000_000
        found = Counter(
            (at, data[offset : offset + size])
            for at, offset, size in zip(
                ticks.tolist(), table.offset.tolist(), table.size.tolist(), strict=True
            )
        )
        if Counter(take.rows(number, fragments)) - found:
            return False
    return True


def survive(take: Take, path: Path, states: int, seed: int) -> Counter[str]:
    """Cut the power so many times, and again during some of the repairs; what was tried."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    tried: Counter[str] = Counter()
    pending = [n for n in range(1, len(take.log) + 1) if not isinstance(take.log[n - 1], Sync)]
    with hasty():
        while sum(tried.values()) < states:
            count = chance.choice(pending)
            cut = after(take.log, count, chance)
            _survive_one(take, path, cut, take.synced(count), chance, tried)
    return tried


def survive_prefixes(take: Take, path: Path) -> int:
    """Stop after every operation."""
    chance = random.Random(0)  # noqa: S311 - no secret
    with hasty():
        for count in range(len(take.log) + 1):
            cut = Cut(exactly_after(take.log, count), between=False)
            _survive_one(take, path, cut, take.synced(count), chance, Counter())
    return len(take.log) + 1


def _survive_one(
    take: Take,
    path: Path,
    cut: Cut,
    synced: int,
    chance: random.Random,
    tried: Counter[str],
) -> None:
    path.write_bytes(cut.data)
    opens = opens_with(path, take, synced)
    # Needs no repair to be read, but where extents were being moved.
    assert opens or cut.between or not synced
    in_place = chance.random() < 0.5
    tried["in place" if in_place else "to a new file"] += 1
    with pytest.MonkeyPatch.context() as patch:
        disk = DiskLog(patch, path)
        if take.kind == KINDS[2]:
            patch.setattr("muxer.moov_first.insert_range", no_room)
        try:
            result = repaired(path, in_place=in_place)
        except CammError:
            assert synced == 0
            return
        assert_sound(result, take, synced)
        again = repair.examine(result)
        assert (again.remedy, again.complete) == (repair.Remedy.NOTHING, True)
        if not in_place:
            assert path.read_bytes() == cut.data
        elif disk.log:
            tried["cut again during the repair"] += 1
            once_more = after(disk.log, chance.randint(1, len(disk.log)), chance, cut.data)
            path.write_bytes(once_more.data)
            assert not opens or once_more.between or opens_with(path, take, synced)
            assert_sound(repaired(path, in_place=True), take, synced)
