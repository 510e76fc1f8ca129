"""Files that are damaged or made to do harm: they open, or they raise one of our errors.

Never anything else, and never for more memory than a small multiple of the file.
"""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camm import CammError, Packet, PacketType, Samples, StreamFormat
from muxer import reader
from muxer.errors import Mp4Error
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

repeatable = settings(max_examples=300)
MS = 1_000_000
WORDS = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]


def recording_bytes(path):
    """A small clip with video, audio that begins early, and metadata: (in fragments, finished)."""
    formats = [
        StreamFormat("video", "mjpeg", 90_000, width=64, height=48),
        StreamFormat("audio", "aac", 48_000, b"\x11\x90", sample_rate=48_000, channels=2),
    ]
    about = MovieDescription(None, "Maker", "Model", {"a": 1})
    recording = Recording(path, formats, about)
    for n in range(6):
        at = n * 200 * MS
        packets = [Packet(0, b"picture", at, at - 50 * MS, 200 * MS, n % 3 == 0)]
        packets += [Packet(1, b"sound", at - 10 * MS, at - 10 * MS, 20 * MS)]
        recording.add_packets(packets)
        t_ns = np.array([at, at + 100 * MS])
        for kind in (PacketType.GYRO, PacketType.ACCELERATION):
            recording.add_samples("imu", [Samples(kind, t_ns, np.ones((2, 3)))], at + 200 * MS)
        recording.advance(at)
    fragmented = path.read_bytes()
    recording.finish(1200 * MS, about)
    return fragmented, path.read_bytes()


def places(mp4, data, *dull):
    """Every byte but those inside top-level boxes of the dull kinds."""
    return [
        at
        for kind, start, content in mp4.boxes(data)
        for at in range(start, start + 16 + len(content) * (kind not in dull))
        if at < len(data) - 3
    ]


@pytest.fixture(scope="module")
def clips(tmp_path_factory, mp4):
    fragmented, finished = recording_bytes(tmp_path_factory.mktemp("seed") / "clip.mp4")
    packets = [mp4.record(2, n, 0, 0) for n in range(6)]
    several = mp4.write(
        [packets[0] + packets[1], packets[2] + bytes(4), *packets[3:]],
        [1000] * 5,
        edits=[(50, -1), (100, 10)],
        per_chunk=2,
        udta=mp4.box(b"udta", mp4.box(b"manu", b"M"), mp4.box(b"\xa9mod", b"\0\1\0\0M")),
        replace={b"ctts": mp4.table(b"ctts", (5, 7), layout=">2I")},
    )
    return {"fragmented": fragmented, "finished": finished, "of others": several}


NAMES = ["fragmented", "finished", "of others"]


@pytest.fixture
def probe(tmp_path):
    """Opens bytes and reads all there is; the error, if there is one of ours."""
    path = tmp_path / "hostile.mp4"

    def open_and_read(data):
        path.write_bytes(data)
        try:
            with reader.open(path) as clip:
                for track in clip.tracks:
                    assert len(track.pts_ns) == len(track.table)
                clip.duration_ns  # noqa: B018 - reading it is the deed
                counts = clip.counts
                for kind in PacketType:
                    samples = clip.samples(kind)
                    assert len(samples) == counts.get(kind, 0)
        except CammError as error:
            return error
        return None

    return open_and_read


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_that_is_whole_is_read(clips, probe, name):
    assert probe(clips[name]) is None


SOME = [13, pytest.param(1, marks=pytest.mark.proof)]
"""Of the places that are tried, each so-manieth: all of them are for the proofs."""


@pytest.mark.parametrize("every", SOME)
@pytest.mark.parametrize("name", NAMES)
def test_a_clip_cut_anywhere(mp4, clips, probe, name, every):
    """One in fragments opens wherever it is cut behind its moov."""
    data = clips[name]
    begin = data.index(b"moof") - 4 if name == "fragmented" else len(data)
    for end in places(mp4, data, b"free")[::every]:
        assert (probe(data[:end]) is None) == (end >= begin)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("every", SOME)
def test_words_of_a_clip_replaced_by_extreme_ones(mp4, clips, probe, name, word, every):
    """Of the boxes that are read, at every third byte."""
    data = clips[name]
    extreme = struct.pack(">I", word)
    for at in places(mp4, data, b"free", b"mdat")[:: 3 * every]:
        probe(data[:at] + extreme + data[at + 4 :])


@repeatable
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_any_bytes_of_a_clip_changed(clips, probe, name, changes):
    data = bytearray(clips[name])
    for at, value in changes:
        data[at % len(data)] = value
    probe(bytes(data))


@repeatable
@given(st.sampled_from(NAMES), st.integers(0, 1 << 16), st.integers(0, 1 << 16), st.binary())
def test_any_stretch_of_a_clip_replaced(clips, probe, name, start, length, noise):
    data = clips[name]
    start %= len(data)
    probe(data[:start] + noise + data[start + length % 64 :])


@repeatable
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\0\0\0\x10ftypisom\0\0\0\0", b"\0\0\0\0moov"])
)
def test_random_bytes(probe, data, head):
    probe(head + data)


def nested(mp4, kind, depth, inner=b""):
    return (
        b"".join(struct.pack(">I4s", 8 * n + len(inner), kind) for n in range(depth, 0, -1)) + inner
    )


@pytest.mark.parametrize("kind", [b"moov", b"trak", b"udta", b"mdia", b"moof"])
def test_boxes_in_boxes_without_end(mp4, clips, probe, kind):
    deep = nested(mp4, kind, 100_000)
    assert probe(deep) is not None
    probe(clips["finished"] + deep)
    probe(mp4.box(b"ftyp", b"isom\0\0\0\0") + mp4.box(b"moov", deep))


def peak(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_tracks_that_each_claim_the_whole_file_cost_no_memory(mp4, probe):
    """Samples of one byte each, in one chunk, a million times a track."""
    million = 1_000_000
    data = mp4.write(
        [b"x"],
        [1],
        replace={
            b"stsz": mp4.full(b"stsz", 0, 0, struct.pack(">II", 1, million)),
            b"stsc": mp4.table(b"stsc", (1, million, 1), layout=">3I"),
        },
        moov_first=False,
    )
    at = data.rindex(b"moov") - 4
    mvhd, trak = (mp4.boxes(mp4.inside(data, b"moov"))[n][2] for n in (0, 1))
    many = mp4.box(b"moov", mp4.box(b"mvhd", mvhd), mp4.box(b"trak", trak) * 100)
    hostile = data[:at] + mp4.box(b"free", bytes(million)) + many

    def refused():
        assert isinstance(probe(hostile), Mp4Error)

    assert peak(refused) < 100 * len(hostile)


@pytest.mark.parametrize("size", [0, 1])
def test_many_fragments_that_each_claim_the_whole_file_cost_no_memory(mp4, probe, size):
    """Runs without a row, of as many samples as one likes."""
    mvex = mp4.box(b"mvex", mp4.full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 1, size, 0)))
    run = mp4.full(b"trun", 0, 0, struct.pack(">I", 100_000))
    tfhd = mp4.full(b"tfhd", 0, 0x020000, struct.pack(">I", 1))
    moof = mp4.box(b"moof", mp4.box(b"traf", tfhd, run * 10))
    hostile = mp4.write([], [], extra=mvex) + moof * 30

    def left_out():
        assert probe(hostile) is None

    assert peak(left_out) < 100 * len(hostile)


def test_samples_that_lie_on_top_of_one_another_are_an_error(mp4, probe):
    """A thousand samples, each of the same hundred thousand bytes of records."""
    packets = mp4.record(2, 1, 2, 3) * 6000
    many = 1000
    hostile = mp4.write(
        [packets],
        [1],
        moov_first=False,
        replace={
            b"stsz": mp4.full(b"stsz", 0, 0, struct.pack(f">II{many}I", 0, many, *[96_000] * many)),
            b"stco": mp4.table(b"stco", *[32] * many),
            b"stsc": mp4.table(b"stsc", (1, 1, 1), layout=">3I"),
        },
    )

    def refused():
        assert "on top of one another" in str(probe(hostile))

    assert peak(refused) < 100 * len(hostile)


@pytest.mark.parametrize(
    "offset", [0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 63) - 20, 1 << 40]
)
def test_places_that_no_file_has(mp4, probe, offset):
    packets = [mp4.record(2, n, 0, 0) for n in range(4)]
    places = mp4.table(b"co64", offset, layout=">Q")
    replace = {b"stco": places, b"stsc": mp4.table(b"stsc", (1, 4, 1), layout=">3I")}
    error = probe(mp4.write(packets, [1] * 4, replace=replace))
    assert (error is None) == (offset == 0)


@pytest.mark.parametrize("duration", [1 << 62, (1 << 64) - 1])
@pytest.mark.parametrize("media_time", [-1, -(1 << 63), (1 << 63) - 1])
def test_edits_that_no_movie_has(mp4, probe, duration, media_time):
    packets = [mp4.record(2, n, 0, 0) for n in range(4)]
    row = struct.pack(">Qq", duration, media_time)
    data = mp4.write(packets, [1] * 4, edits=[(1, -1)])
    old = struct.pack(">Qq", 1, -1)
    assert data.count(old) == 1
    error = probe(data.replace(old, row))
    assert (error is None) == (media_time > 0)


def test_metadata_nested_without_end(mp4, clips, probe):
    user_type = bytes.fromhex("6f1c2f9e5d0b4a559c3a8b1d1b2e7c43")
    for text in (b"[" * 100_000, b'{"a":' * 100_000, b"1" * 100_000):
        assert probe(mp4.write([], [], extra=mp4.box(b"uuid", user_type, text))) is None
