"""Columns and blocks: the same records, however large the pieces in which tables are read."""

import json
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, Samples, UsageError
from muxer import reader, stored_table, track
from muxer.extract import FORMATS, Selection

MS = 1_000_000
SIZES = {0: 16, 1: 12, 2: 16, 3: 16, 4: 16, 5: 28, 6: 60, 7: 16}


def packet(kind, number):
    """A record whose first number says which it is."""
    values = struct.pack("<i", number) if kind == 1 else struct.pack("<f", number)
    if kind in (5, 6):
        values = struct.pack("<d", number)
    return struct.pack("<HH", 0, kind) + values.ljust(SIZES.get(kind, 12) - 4, b"\0")


@st.composite
def clips(draw):
    """(samples, durations, what the writer is asked for): every sample one packet of any type."""
    kinds = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 2, 2, 3, 9]), min_size=1))
    several = draw(st.booleans())
    samples = [packet(kind, number) for number, kind in enumerate(kinds)]
    if several:
        samples = [
            sample + packet(2, -1) * (number % 3 == 1) for number, sample in enumerate(samples)
        ]
    count = len(samples)
    durations = draw(st.lists(st.sampled_from([0, 5, 5, 5, 7000]), min_size=count, max_size=count))
    ways = {
        "per_chunk": draw(st.integers(1, count)),
        "co64": draw(st.booleans()),
        "gap": draw(st.sampled_from([0, 0, 1, 3, 5000])),
        "moov_first": draw(st.booleans()),
    }
    return samples, durations, ways


def rows(samples):
    """A block as plain numbers, to be compared."""
    return [samples.t_ns.tolist(), np.ascontiguousarray(samples.data).tobytes()]


@given(clips(), st.integers(1, 9), st.booleans(), st.sampled_from([40, 1 << 24]))
def test_pieces_of_any_size_give_the_same_records(
    mp4, tmp_path, drawn, piece, moov_in_memory, read_at_once
):
    samples, durations, ways = drawn
    data = mp4.write(samples, durations, timescale=1_000_000, **ways)
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    expected = mp4.samples(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_table, "PIECE", piece)
        patch.setattr(track, "_READ_AT_ONCE", read_at_once)
        if not moov_in_memory:
            patch.setattr(reader, "_MOOV_IN_MEMORY", 0)
        with reader.open(path) as clip:
            (camm,) = clip.camm_tracks
            table = camm.table
            assert table.dts.tolist() == [tick for tick, _ in expected]
            assert [
                data[at : at + size]
                for at, size in zip(table.offset.tolist(), table.size.tolist(), strict=True)
            ] == [content for _, content in expected]
            records = clip.records
            found = [
                (t_ns, records.payload[place : place + size].tobytes())
                for t_ns, place, size in zip(
                    records.t_ns.tolist(),
                    records.place.tolist(),
                    records.size.tolist(),
                    strict=True,
                )
            ]
            in_file = []
            for tick, content in expected:
                first = SIZES.get(content[2], len(content))
                in_file += [
                    (tick * 1000, part) for part in (content[:first], content[first:]) if part
                ]
            assert found == in_file
            assert clip.survey.faults == records.faults
            for kind in PacketType:
                mine = [(t, part) for t, part in in_file if part[2] == kind]
                column = clip.samples(kind)
                assert column.t_ns.tolist() == [t for t, _ in mine]
                assert clip.counts.get(kind, 0) == len(mine)
                blocks = Samples.concatenate(kind, clip.blocks(kind, seconds=0.01))
                assert rows(blocks) == rows(column)
            everything = list(clip.blocks(seconds=0.003))
            assert sum(map(len, everything)) == sum(clip.counts.values())
            for block in everything:
                assert len(block)
                assert int(block.t_ns.min()) // (3 * MS) == int(block.t_ns.max()) // (3 * MS)


def test_blocks_follow_one_another_in_time(mp4, opened):
    packets = [packet(2 + n % 2, n) for n in range(200)]
    clip = opened(mp4.write(packets, [5000] * 200))
    blocks = list(clip.blocks(seconds=0.1))
    assert [block.kind for block in blocks] == [PacketType.GYRO, PacketType.ACCELERATION] * 10
    assert [len(block) for block in blocks] == [10] * 20
    gyro = list(clip.blocks(PacketType.GYRO, seconds=0.1))
    assert [block.t_ns[0] for block in gyro] == [n * 100 * MS for n in range(10)]
    assert list(clip.blocks(PacketType.GPS)) == []


def test_a_time_that_steps_back_does_not_cut_a_block(mp4, opened):
    ctts = mp4.table(b"ctts", (1, 0), (1, 8000), (2, 0), layout=">2I")
    clip = opened(mp4.write([packet(2, n) for n in range(4)], [1000] * 4, replace={b"ctts": ctts}))
    assert clip.gyro.t_ns.tolist() == [0, 9 * MS, 2 * MS, 3 * MS]
    assert [len(block) for block in clip.blocks(seconds=0.005)] == [1, 3]


@pytest.mark.parametrize("seconds", [1e300, float("inf"), 3600])
def test_a_block_may_be_the_whole_clip(mp4, opened, seconds):
    clip = opened(mp4.write([packet(2, n) for n in range(50)], [5000] * 50))
    (block,) = clip.blocks(seconds=seconds)
    assert rows(block) == rows(clip.gyro)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_block_of_no_length_is_refused(mp4, opened, seconds):
    clip = opened(mp4.write([packet(2, n) for n in range(50)], [5000] * 50))
    with pytest.raises(UsageError, match="more than 0"):
        list(clip.blocks(seconds=seconds))


def test_a_clip_without_metadata_has_no_blocks(mp4, opened):
    clip = opened(mp4.write([b"x"], [1], entries=[b"avc1"]))
    assert list(clip.blocks()) == []
    assert clip.survey.extents == clip.counts == clip.faults == {}


def test_what_there_is_without_the_values(mp4, opened):
    """Times may run backwards, and types without a name count too."""
    packets = [packet(kind, 1) for kind in (2, 3, 2, 9)]
    ctts = mp4.table(b"ctts", (1, 9000), (3, 0), layout=">2I")
    clip = opened(mp4.write(packets, [1000] * 4, replace={b"ctts": ctts}))
    extents = clip.survey.extents
    assert {kind: (e.count, e.first_ns, e.last_ns) for kind, e in extents.items()} == {
        2: (2, 2 * MS, 9 * MS),
        3: (1, 1 * MS, 1 * MS),
        9: (1, 3 * MS, 3 * MS),
    }
    assert clip.counts == {PacketType.GYRO: 2, PacketType.ACCELERATION: 1}


def test_records_of_unknown_types_are_extracted_whole(mp4, opened):
    """Also where another sample holds several packets."""
    unknown = struct.pack("<HH", 0, 1000) + b"whatever"
    clip = opened(mp4.write([packet(2, 1) + packet(3, 1), unknown], [1000] * 2))
    assert clip.records.size.tolist() == [16, 16, 12]
    (document,) = FORMATS["jsonl"](Selection(clip))
    last = json.loads(b"".join(document.pieces(clip.record_blocks())).splitlines()[-1])
    assert (last["type"], last["hex"]) == (1000, unknown.hex())


# Memory


def long_clip(mp4, path, count, tables):
    """A clip of `count` records of zeros a millisecond apart, a thousand in each chunk.

    Its media is a hole in the file. `tables` has a row for every sample, or says it in one.
    """
    per_chunk = 1000
    chunks = count // per_chunk
    head = struct.pack(">I", count)
    if tables == "a row each":
        tremble = 1000 + np.resize(np.arange(-20, 21), count)
        stts = head + np.stack([np.ones(count), tremble], axis=1).astype(">u4").tobytes()
        stsz = struct.pack(">I", 0) + head + np.full(count, 16, ">u4").tobytes()
    else:
        stts = struct.pack(">3I", 1, count, 1000)
        stsz = struct.pack(">I", 16) + head
    replace = {
        b"stts": mp4.full(b"stts", 0, 0, stts),
        b"stsz": mp4.full(b"stsz", 0, 0, stsz),
        b"stsc": mp4.table(b"stsc", (1, per_chunk, 1), layout=">3I"),
        b"stco": mp4.full(b"co64", 0, 0, struct.pack(">I", chunks), bytes(8 * chunks)),
    }
    data = bytearray(mp4.write([], [], replace=replace)[:-8])
    at = data.index(b"co64") + 12
    first = len(data) + 16
    places = first + np.arange(chunks) * per_chunk * 16
    data[at : at + 8 * chunks] = places.astype(">u8").tobytes()
    with path.open("wb") as file:
        file.write(data + struct.pack(">I4sQ", 1, b"mdat", 16 + 16 * count))
        file.truncate(first + 16 * count)


def test_what_lies_between_samples_does_not_fill_memory(mp4, opened, monkeypatch):
    """It is read too where that is faster than to leave it out, but only so much at once."""
    monkeypatch.setattr(track, "_READ_AT_ONCE", 10_000)
    clip = opened(mp4.write([packet(2, n) for n in range(50)], [1000] * 50, gap=3000))
    lengths = [len(records.payload) for records in clip.record_blocks()]
    assert max(lengths) <= 10_000
    assert clip.gyro.data[:, 0].tolist() == list(range(50))


def walked(path):
    """Peak memory of going through all records."""
    tracemalloc.start()
    try:
        with reader.open(path) as clip:
            count = sum(len(block) for block in clip.blocks(seconds=60))
        return count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_clip(mp4, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "_MOOV_IN_MEMORY", 1 << 20)
    peaks = []
    for count in (200_000, 800_000):
        long_clip(mp4, tmp_path / "long.mp4", count, "a row each")
        walked_over, peak = walked(tmp_path / "long.mp4")
        assert walked_over == count
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0] < 20_000_000


TEN_HOURS = r"""
import re, sys
from pathlib import Path
from muxer import reader
with reader.open(sys.argv[1]) as clip:
    count = 0
    for block in clip.blocks(seconds=60):
        count += len(block)
        last = int(block.t_ns[-1])
peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]
print(count, last, peak)
"""


def test_ten_hours_at_a_kilohertz_are_read_in_little_memory(mp4, tmp_path):
    """In a process of its own: 36 million records, and never more than 60 MB of it resident."""
    count = 36_000_000
    path = tmp_path / "long.mp4"
    long_clip(mp4, path, count, "one row")
    assert path.stat().st_size > 16 * count
    here = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", TEN_HOURS, path],
        env={**os.environ, "PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
        check=True,
    )
    found, last_ns, kilobytes = map(int, done.stdout.split())
    assert (found, last_ns) == (count, (count - 1) * MS)
    assert kilobytes < 60_000
