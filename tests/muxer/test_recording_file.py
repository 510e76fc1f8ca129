"""The file of a recording opens at every moment of its life."""

import errno
import json
import os
import struct
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from muxer import reader
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.recording_file import (
    METADATA_HEADER,
    VIDEO_HEADER,
    MovieDescription,
    RecordingFile,
    TrackSpec,
)

JPEG = struct.pack(
    ">I4s6xH16xHHIIIH32xHh", 86, b"jpeg", 1, 64, 48, 72 << 16, 72 << 16, 0, 1, 24, -1
)
CAMM = b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"
TRACKS = [
    TrackSpec(1, Handler(b"vide", "Video"), VIDEO_HEADER, 1000, JPEG, width=64, height=48),
    TrackSpec(2, Handler(b"meta", "Motion"), METADATA_HEADER, 1_000_000, CAMM),
]
BEFORE = MovieDescription(datetime(2026, 1, 1, tzinfo=UTC), "Maker", "Model", {"unfinished": True})
AFTER = MovieDescription(datetime(2026, 1, 2, tzinfo=UTC), "Maker", "Model", {"frames": 30})
PICTURES, RECORDS = 10, 100


def fragment(number):
    """Ten pictures and a hundred gyro records, which count on from fragment to fragment."""
    first = number * RECORDS
    values = [struct.pack("<HH3f", 0, 2, n, -n, 0.5) for n in range(first, first + RECORDS)]
    steady = np.arange(PICTURES)
    return [
        Run(
            1,
            b"".join(b"picture %03d" % (number * PICTURES + n) for n in range(PICTURES)),
            np.full(PICTURES, 11),
            (number * PICTURES + steady) * 50,
            np.zeros(PICTURES, np.int64),
            50,
            steady == 0,
        ),
        Run(
            2,
            b"".join(values),
            np.full(RECORDS, 16),
            (first + np.arange(RECORDS)) * 5000,
            np.zeros(RECORDS, np.int64),
            5000,
            np.ones(RECORDS, np.bool_),
        ),
    ]


def assert_whole(path, fragments, *, for_ffmpeg=True):
    """Everything that was appended is there, for our reader and for FFmpeg."""
    count = fragments * RECORDS
    with reader.open(path) as clip:
        assert clip.make == "Maker"
        assert len(clip.video.table) == fragments * PICTURES
        assert clip.gyro.data[:, 0].tolist() == list(range(count))
        assert clip.gyro.t_ns.tolist() == [n * 5_000_000 for n in range(count)]
        assert clip.records.faults == {}
    if not for_ffmpeg:
        return
    with av.open(str(path)) as container:
        video, camm = [], []
        for packet in container.demux():
            if packet.size:
                (video, camm)[packet.stream_index].append((packet.pts, bytes(packet)))
    assert video == [(n * 50, b"picture %03d" % n) for n in range(fragments * PICTURES)]
    assert [pts for pts, _ in camm] == [n * 5000 for n in range(count)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clip.mp4"


def test_the_file_opens_after_every_fragment(path):
    file = RecordingFile(path, TRACKS, BEFORE)
    with reader.open(path) as clip:
        assert [track.codec for track in clip.tracks] == ["jpeg", "camm"]
        assert len(clip.gyro) == 0
    for number in range(4):
        file.append(fragment(number))
        assert_whole(path, number + 1)
        with reader.open(path) as clip:
            assert clip.fragmented
            assert clip.metadata == {"unfinished": True}
    file.finalise(AFTER)
    assert_whole(path, 4)
    with reader.open(path) as clip:
        assert not clip.fragmented
        assert clip.metadata == {"frames": 30}
        assert clip.created == AFTER.created
        assert clip.duration_ns == 2_000_000_000


class Disk:
    """Writes down what happens to the file; `stop` ends the world before that operation."""

    def __init__(self, monkeypatch, path):
        self.log = []
        self.stop = None
        self._path = path
        real = {name: getattr(os, name) for name in ("pwrite", "fdatasync", "fsync", "ftruncate")}

        def pwrite(fd, data, at):
            self._step(("write", at, bytes(data), self._path.stat().st_size))
            return real["pwrite"](fd, data, at)

        def fdatasync(fd):
            self._step(("sync",))
            real["fdatasync"](fd)

        def fsync(fd):
            self._step(("sync folder", str(Path(f"/proc/self/fd/{fd}").readlink())))
            real["fsync"](fd)

        def insert_range(fd, offset, length):
            self._step(("insert", offset, length))
            data = self._path.read_bytes()
            self._path.write_bytes(data[:offset] + bytes(length) + data[offset:])

        def ftruncate(fd, size):
            self._step(("truncate", size))
            real["ftruncate"](fd, size)

        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "ftruncate", ftruncate)
        monkeypatch.setattr("muxer.moov_first.insert_range", insert_range)

    def _step(self, operation):
        if len(self.log) == self.stop:
            raise OSError(errno.EIO, "the power went away")
        self.log.append(operation)


@pytest.fixture
def disk(monkeypatch, path):
    return Disk(monkeypatch, path)


def record(path, fragments=3, about=AFTER):
    file = RecordingFile(path, TRACKS, BEFORE)
    for number in range(fragments):
        file.append(fragment(number))
    file.finalise(about)
    return file


LONG_STORY = replace(AFTER, metadata={"story": 4000 * "x"})
"""Makes a `moov` that needs room to be made for it."""


@pytest.fixture
def stubborn(monkeypatch):
    """A file system that cannot insert a range, such as FAT's."""

    def insert_range(fd, offset, length):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("muxer.moov_first.insert_range", insert_range)


def test_every_write_is_synced_and_the_placeholder_comes_last(path, disk, mp4):
    record(path, about=LONG_STORY)
    steps = [operation[0] for operation in disk.log]
    assert steps == [
        *("write", "sync", "sync folder"),  # ftyp, free, moov; and the name
        *("write", "sync") * 3,  # fragments
        *("write", "sync"),  # the whole moov
        *("write", "sync"),  # the placeholder
        *("write", "sync"),  # the journal
        *("insert", "sync folder"),  # room in front (an fsync, of the file)
        *("write", "sync"),  # the moov in it
        *("write", "sync"),  # the free box before it
        *("truncate", "sync"),  # the old moov
    ]
    assert disk.log[2] == ("sync folder", str(path.parent))
    writes = [operation for operation in disk.log if operation[0] == "write"]
    appends, (patch, journal, moov, flip) = writes[:5], writes[5:]
    end = 0
    for _, at, data, size in appends:
        assert at == size == end  # nothing is written but at the end
        end += len(data)
    assert mp4.kinds(appends[0][2]) == [b"ftyp", b"free", b"free", b"moov"]
    assert [mp4.kinds(data) for _, _, data, _ in appends[1:4]] == [[b"moof", b"mdat"]] * 3
    _, at, data, _ = appends[4]
    assert mp4.kinds(data) == [b"moov"]
    _, room, placeholder, _ = mp4.boxes(appends[0][2])
    assert room == (b"free", 28, bytes(4060))
    assert placeholder == (b"free", 4096, bytes(8))
    assert patch[1:3] == (4096, struct.pack(">I4sQ", 1, b"mdat", at - 4096))
    assert patch[1] // 512 == (patch[1] + 15) // 512  # one sector
    assert journal[1] == 36
    assert journal[1] + len(journal[2]) <= 512
    (insert,) = [operation for operation in disk.log if operation[0] == "insert"]
    assert insert[1:] == (4096, 4096)
    assert moov[1] == 512
    assert flip[1:3] == (28, struct.pack(">I", 512 - 28))


@pytest.mark.parametrize("stop", [*range(12, 15), *range(16, 22)])
def test_a_power_cut_while_the_moov_is_brought_to_the_front_costs_nothing(path, disk, stop):
    disk.stop = stop
    with pytest.raises(OSError, match="power"):
        record(path, about=LONG_STORY)
    steps = [operation[0] for operation in disk.log]
    # Between the insertion and the flip only we know where everything is.
    under_way = "insert" in steps and len(steps[steps.index("insert") :]) < 5
    assert_whole(path, 3, for_ffmpeg=not under_way)


def test_the_moov_stays_at_the_end_where_no_range_can_be_inserted(path, stubborn, mp4):
    file = RecordingFile(path, TRACKS, BEFORE)
    for number in range(3):
        file.append(fragment(number))
    assert file.finalise(LONG_STORY) is False
    assert_whole(path, 3)
    assert mp4.kinds(path.read_bytes()) == [b"ftyp", b"free", b"mdat", b"moov"]


def test_a_short_moov_fits_in_front_anywhere(path, stubborn, mp4):
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    assert file.finalise(AFTER) is True
    assert_whole(path, 1)
    assert mp4.kinds(path.read_bytes()) == [b"ftyp", b"free", b"moov", b"free", b"mdat"]


def test_the_file_system_of_this_host_is_asked_for_real(path, mp4):
    """Whether it can or not: the file is whole, and says where its moov is."""
    file = RecordingFile(path, TRACKS, BEFORE)
    for number in range(3):
        file.append(fragment(number))
    moved = file.finalise(LONG_STORY)
    assert_whole(path, 3)
    with reader.open(path) as clip:
        assert clip.moov_first is moved


def test_a_pause_that_no_table_can_hold_is_divided(path):
    """At a timescale of 10^9 four seconds are too long for 32 bits."""
    nothing = struct.pack("<HHii", 0, 1, 0, 0)
    tracks = [
        TrackSpec(1, Handler(b"meta", "Motion"), METADATA_HEADER, 10**9, CAMM, filler=nothing)
    ]
    file = RecordingFile(path, tracks, BEFORE)
    times = [0, 10**9, 11 * 10**9, 12 * 10**9]
    for number, at in enumerate(times):
        record = struct.pack("<HH3f", 0, 2, number, 0, 0)
        one = np.ones(1, np.bool_)
        size, offset = np.array([16]), np.zeros(1, np.int64)
        file.append([Run(1, record, size, np.array([at]), offset, 10**9, one)])
    file.finalise(AFTER)
    with reader.open(path) as clip:
        assert clip.gyro.t_ns.tolist() == times
        assert clip.gyro.data[:, 0].tolist() == [0, 1, 2, 3]
        assert clip.exposure.t_ns.tolist() == [10**9 + n * (2**31 - 1) for n in (1, 2, 3, 4)]
        assert clip.records.faults == {}
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    assert [packet.pts for packet in packets if packet.size == 16] == times


def test_pauses_within_a_fragment_are_divided_likewise(path):
    nothing = struct.pack("<HHii", 0, 1, 0, 0)
    motion = TrackSpec(1, Handler(b"meta", ""), METADATA_HEADER, 10**9, CAMM, filler=nothing)
    file = RecordingFile(path, [motion], BEFORE)
    times = np.array([0, 3 * 10**9, 4 * 10**9, 9 * 10**9])
    data = b"".join(struct.pack("<HH3f", 0, 2, n, 0, 0) for n in range(4))
    ones = np.ones(4, np.bool_)
    file.append([Run(1, data, np.full(4, 16), times, np.zeros(4, np.int64), 10**9, ones)])
    file.finalise(AFTER)
    with reader.open(path) as clip:
        assert clip.gyro.t_ns.tolist() == times.tolist()
        longest = 2**31 - 1
        assert clip.exposure.t_ns.tolist() == [
            longest,
            4 * 10**9 + longest,
            4 * 10**9 + 2 * longest,
        ]
        assert clip.duration_ns == 10 * 10**9


def test_a_file_keeps_few_bytes_of_each_record_while_it_is_recorded(path, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)
    count = 3000
    size = np.where(np.arange(count) % 300, 16, 60)
    none, ones = np.zeros(count, np.int64), np.ones(count, np.bool_)
    data = bytes(size.sum())
    file = RecordingFile(path, TRACKS, BEFORE)
    tracemalloc.start()
    for number in range(50):
        dts = number * 10**6 + np.arange(count) // 3 * 1000
        file.append([Run(2, data, size, dts, none, 1000, ones)])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    file.close()
    assert kept < 4 * 50 * count


@pytest.mark.parametrize("stop", range(3, 13))
def test_a_power_cut_between_two_operations_leaves_a_file_that_opens(path, disk, stop):
    """After each operation but the last, as if nothing more had been written."""
    disk.stop = stop
    with pytest.raises(OSError, match="power"):
        record(path)
    written = sum(operation[0] == "write" for operation in disk.log)
    assert_whole(path, min(written - 1, 3))


def test_a_power_cut_within_an_append_costs_what_was_not_written_of_it(path):
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    file.append(fragment(1))
    whole = path.stat().st_size
    file.append(fragment(2))
    file.close()
    data = path.read_bytes()
    torn = path.with_name("torn.mp4")
    for end in range(whole, len(data), 17):
        torn.write_bytes(data[:end])
        with reader.open(torn) as clip:
            # The records are the last thing in the fragment.
            count = 2 * RECORDS + max(0, end - (len(data) - RECORDS * 16)) // 16
            assert clip.gyro.data[:, 0].tolist() == list(range(count))


def test_a_power_cut_within_the_final_moov_costs_nothing(path, monkeypatch):
    monkeypatch.setattr("muxer.recording_file.bring_moov_first", lambda *_: False)
    file = RecordingFile(path, TRACKS, BEFORE)
    for number in range(2):
        file.append(fragment(number))
    whole = path.stat().st_size
    file.finalise(AFTER)
    data = path.read_bytes()
    torn = path.with_name("torn.mp4")
    start = data[:4096] + struct.pack(">I4s8x", 16, b"free") + data[4112:whole]
    for end in range(whole, len(data), 29):
        torn.write_bytes(start + data[whole:end])
        assert_whole(torn, 2)


def test_short_writes_are_carried_on(path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:1000], at))
    record(path)
    assert_whole(path, 3)


def test_what_was_there_is_never_overwritten(path):
    path.write_bytes(b"a film")
    with pytest.raises(FileExistsError):
        RecordingFile(path, TRACKS, BEFORE)
    assert path.read_bytes() == b"a film"


def test_the_final_name_is_given_at_once_and_synced(path, disk):
    file = record(path)
    final = path.with_name("final.mp4")
    del disk.log[:]
    file.rename(final)
    assert disk.log == [("sync folder", str(path.parent))]
    assert file.path == final
    assert not path.exists()
    assert_whole(final, 3)


def test_closing_twice_does_no_harm(path):
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    file.close()
    file.close()
    assert_whole(path, 1)


def test_no_descriptor_is_left_behind_where_the_disk_is_full(path, monkeypatch):
    def full(fd, data, at):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        RecordingFile(path, TRACKS, BEFORE)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_metadata_is_json_that_every_language_reads(path, mp4):
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    file.finalise(MovieDescription(None, "", "", {"b": "ß", "a": [1.5, None]}))
    content = mp4.inside(path.read_bytes(), b"moov", b"uuid")
    assert content[16:] == '{"a": [1.5, null], "b": "ß"}'.encode()
    assert json.loads(content[16:]) == {"a": [1.5, None], "b": "ß"}


def test_tracks_that_begin_elsewhere_are_moved_by_an_edit_list(path, mp4):
    """A shift in ticks is taken back; a track that begins late waits in an empty edit."""
    ones = np.ones(2, np.bool_)
    none = np.zeros(2, np.int64)
    tracks = [
        TrackSpec(1, Handler(b"vide", ""), VIDEO_HEADER, 1000, JPEG, shift=80),
        TrackSpec(2, Handler(b"soun", ""), b"", 44_100, CAMM, shift=0),
    ]
    file = RecordingFile(path, tracks, BEFORE)
    reordered = np.array([80, 160])
    file.append(
        [
            Run(1, b"abcd", np.full(2, 2), np.array([0, 40]), reordered, 40, ones),
            Run(2, b"efgh", np.full(2, 2), np.array([1024, 2048]), none, 1024, ones),
        ]
    )
    fragmented = path.read_bytes()
    file.finalise(AFTER)
    first, second = (
        content
        for kind, _, content in mp4.boxes(mp4.inside(path.read_bytes(), b"moov"))
        if kind == b"trak"
    )
    # 80 ms of shift; shown from 0 to 160 ms, in microseconds.
    assert mp4.inside(first, b"edts", b"elst") == struct.pack(
        ">IIQqI", 1 << 24, 1, 160_000, 80, 1 << 16
    )
    # 1024 ticks of pause, rounded up, and all of the rest.
    assert mp4.inside(second, b"edts", b"elst") == struct.pack(
        ">IIQqIQqI", 1 << 24, 2, 23_220, -1, 1 << 16, 46_440, 0, 1 << 16
    )
    while_recording = mp4.inside(fragmented, b"moov", b"trak", b"edts", b"elst")
    assert while_recording == struct.pack(">IIQqI", 1 << 24, 1, 0, 80, 1 << 16)
    with reader.open(path) as clip:
        assert clip.tracks[0].pts_ns.tolist() == [0, 120_000_000]
        assert clip.tracks[1].pts_ns.tolist() == [23_220_000, 46_439_955]


def test_a_copy_brings_the_moov_to_the_front_where_nothing_else_can(path, stubborn, mp4):
    file = RecordingFile(path, TRACKS, BEFORE)
    for number in range(3):
        file.append(fragment(number))
    assert file.finalise(LONG_STORY, copy=True) is True
    assert_whole(path, 3)
    assert mp4.kinds(path.read_bytes()) == [b"ftyp", b"free", b"moov", b"free", b"mdat"]
    assert list(path.parent.iterdir()) == [path]


def test_a_copy_that_fails_leaves_the_finished_file(path, stubborn, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("muxer.moov_first.copy_range", full)
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    file.append(fragment(1))
    with pytest.raises(OSError, match="No space"):
        file.finalise(LONG_STORY, copy=True)
    assert_whole(path, 2)
    assert list(path.parent.iterdir()) == [path]


def test_bytes_are_copied_by_hand_where_the_kernel_does_not(tmp_path, monkeypatch):
    from muxer.disk import copy_range

    def refused(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused)
    data = np.random.default_rng(1).bytes(3_000_000)
    (tmp_path / "from").write_bytes(data)
    with (tmp_path / "from").open("rb") as source, (tmp_path / "to").open("w+b") as target:
        copy_range(source.fileno(), 1000, target.fileno(), 50, len(data) - 1000)
    assert (tmp_path / "to").read_bytes() == bytes(50) + data[1000:]


def test_numbers_that_json_cannot_say_are_null(path):
    file = RecordingFile(path, TRACKS, BEFORE)
    file.append(fragment(0))
    strange = {"sigma": float("inf"), "rows": [1.5, float("nan")], "name": ("a", {"b": 1})}
    file.finalise(replace(AFTER, metadata=strange))
    with reader.open(path) as clip:
        assert clip.metadata == {"sigma": None, "rows": [1.5, None], "name": ["a", {"b": 1}]}
