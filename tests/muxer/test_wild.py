"""What is found in the wild: clips as other makers and tools write them, one habit a test."""

import re
import struct
import zlib
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from camm import PacketType
from muxer import reader
from muxer.errors import NoCammError

PIXEL = Path(__file__).parents[1] / "data" / "camm" / "mett_replaced_with_camm.mp4"
MS = 1_000_000

METT_OF_A_PIXEL = b"\0\0\0\x1bmettapplication/motion\0"
"""The sample entry that a Pixel's camera wrote before it was renamed: the MIME type right away."""


def stsd(mp4, *entries):
    return mp4.full(b"stsd", 0, 0, struct.pack(">I", len(entries)), *entries)


def entry(mp4, kind, content=b""):
    return mp4.box(kind, struct.pack(">6xH", 1), content)


# Which track it is


@pytest.mark.parametrize("handler", [b"meta", b"camm", b"url ", b"text", b"\0\0\0\0"])
def test_a_camm_sample_entry_counts_under_any_handler(mp4, gyro, opened, handler):
    clip = opened(mp4.write(gyro, [5000] * 10, handler=handler))
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.camm_tracks[0].recognised_by == "camm"
    assert clip.motion is clip.camm_tracks[0]


def test_a_mett_track_of_motion_is_one(mp4, gyro, opened):
    clip = opened(mp4.write(gyro, [5000] * 10, replace={b"stsd": stsd(mp4, METT_OF_A_PIXEL)}))
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    (track,) = clip.camm_tracks
    assert (track.codec, track.recognised_by) == ("mett", "mett")


def test_a_mett_track_of_motion_may_be_empty(mp4, opened):
    clip = opened(mp4.write([], [], replace={b"stsd": stsd(mp4, METT_OF_A_PIXEL)}))
    assert [track.recognised_by for track in clip.camm_tracks] == ["mett"]
    assert clip.counts == {}


def test_a_mett_track_of_another_kind_is_one_if_it_holds_records(mp4, gyro, opened):
    mime = entry(mp4, b"mett", b"\0application/whatever\0")
    clip = opened(mp4.write(gyro, [5000] * 10, replace={b"stsd": stsd(mp4, mime)}))
    assert [track.recognised_by for track in clip.camm_tracks] == ["records"]
    assert len(clip.gyro) == 10


@pytest.mark.parametrize(
    "sample",
    [
        b"text of some length",
        bytes(16),
        struct.pack("<HH3f", 0, 9, 1, 2, 3),
        struct.pack("<HH3f", 1, 2, 1, 2, 3),
        struct.pack("<HH2f", 0, 2, 1, 2),
        b"",
        b"abc",
    ],
    ids=["text", "zeros", "type 9", "reserved field", "cut short", "nothing", "three bytes"],
)
def test_a_mett_track_of_something_else_is_none(mp4, gyro, opened, sample):
    packets = [*gyro[:3], sample] if any(sample) else [sample] * 4
    clip = opened(mp4.write(packets, [5000] * 4, entries=[b"mett"]))
    assert clip.camm_tracks == []
    assert clip.motion is None
    with pytest.raises(NoCammError):
        reader.require_motion(clip)


def test_a_mett_track_whose_samples_cannot_be_read_is_none(mp4, gyro, opened):
    data = mp4.write(gyro, [5000] * 10, entries=[b"mett"])
    assert opened(data[:-160]).camm_tracks == []


def test_tracks_of_another_codec_are_searched_for_records_under_the_handler_camm_only(
    mp4, gyro, opened
):
    for handler, found in ((b"meta", 0), (b"camm", 1)):
        clip = opened(mp4.write(gyro, [5000] * 10, entries=[b"gpmd"], handler=handler))
        assert len(clip.camm_tracks) == found


@pytest.mark.parametrize("handler", [b"url ", b"meta", b"camm"])
def test_a_track_that_has_lost_its_sample_entry_is_recognised(mp4, gyro, opened, handler):
    clip = opened(mp4.write(gyro, [5000] * 10, handler=handler, entries=[]))
    (track,) = clip.camm_tracks
    assert (track.codec, track.entries, track.recognised_by) == ("", (), "records")
    assert clip.gyro.data[:, 0].tolist() == list(range(10))


def test_a_pixels_clip_that_ffmpeg_has_put_into_a_mov(tmp_path):
    """It writes no sample entry and the handler 'url ', and no other reader finds anything."""
    path = tmp_path / "remuxed.mov"
    with av.open(str(PIXEL)) as source, av.open(str(path), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    with reader.open(PIXEL) as before, reader.open(path) as clip:
        (track,) = clip.camm_tracks
        assert (track.entries, track.recognised_by) == ((), "records")
        assert track.handler.kind == b"url "
        np.testing.assert_array_equal(clip.angle_axis.t_ns, before.angle_axis.t_ns)
        np.testing.assert_array_equal(clip.angle_axis.data, before.angle_axis.data)
        assert clip.faults == {}


def test_letters_of_a_sample_entry_cannot_move_a_terminals_cursor(mp4, gyro, opened):
    clip = opened(mp4.write(gyro, [5000] * 10, entries=[b"\x1b[2J", b"\x9b31m"]))
    (track,) = clip.tracks
    assert track.entries == ("\\x1b[2J", "\\x9b31m")
    assert track.codec == "\\x1b[2J"
    with pytest.raises(NoCammError) as error:
        reader.require_camm(clip)
    assert str(error.value).isprintable()


# Several sample entries


@pytest.mark.parametrize("kinds", [(b"mett", b"camm"), (b"camm", b"mett")])
def test_of_several_sample_entries_only_camms_samples_are_records(mp4, gyro, opened, kinds):
    """Chunks say which entry their samples are of: here the even ones are text."""
    samples = [b"some text"] * 20
    samples[1::2] = gyro
    own = kinds.index(b"camm") + 1
    chunks = [(n + 1, 1, own if n % 2 else 3 - own) for n in range(20)]
    stsc = mp4.table(b"stsc", *chunks, layout=">3I")
    clip = opened(mp4.write(samples, [5000] * 20, entries=kinds, replace={b"stsc": stsc}))
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.gyro.t_ns.tolist() == [(2 * n + 1) * 5 * MS for n in range(10)]
    assert clip.faults == {}
    (track,) = clip.camm_tracks
    assert (track.entry, track.recognised_by, len(track.table)) == (own, "camm", 20)


def test_camm_goes_before_mett(mp4, opened):
    """Both have samples in one track: odd chunks are of the first entry, even ones of the other."""
    samples = [mp4.record(2 + n % 2, n, 0, 0) for n in range(10)]
    stsc = mp4.table(b"stsc", *[(n + 1, 1, 1 + n % 2) for n in range(10)], layout=">3I")
    both = stsd(mp4, METT_OF_A_PIXEL, entry(mp4, b"camm"))
    clip = opened(mp4.write(samples, [5000] * 10, replace={b"stsc": stsc, b"stsd": both}))
    assert clip.counts == {PacketType.ACCELERATION: 5}
    assert (clip.camm_tracks[0].recognised_by, clip.camm_tracks[0].entry) == ("camm", 2)
    first = mp4.table(b"stsc", (1, 1, 1), layout=">3I")
    clip = opened(mp4.write(samples, [5000] * 10, replace={b"stsc": first, b"stsd": both}))
    assert clip.counts == {PacketType.GYRO: 5, PacketType.ACCELERATION: 5}
    assert (clip.camm_tracks[0].recognised_by, clip.camm_tracks[0].entry) == ("mett", 1)


def test_a_sample_entry_that_no_sample_is_of(mp4, gyro, opened):
    """Records under the number of another entry are recognised; text is not read as records."""
    clip = opened(mp4.write(gyro, [5000] * 10, entries=[b"mett", b"camm"]))
    assert clip.camm_tracks[0].recognised_by == "records"
    assert len(clip.gyro) == 10
    clip = opened(mp4.write([b"some text"] * 10, [5000] * 10, entries=[b"mett", b"camm"]))
    assert clip.camm_tracks[0].recognised_by == "camm"
    assert clip.counts == clip.faults == {}


# Several tracks


def test_the_columns_are_those_of_the_first_track_that_has_any(mp4, gyro, opened):
    acceleration = [mp4.record(3, n, 0, 0) for n in range(4)]
    files = [
        mp4.write(samples, [5000] * len(samples), moov_first=False)
        for samples in ([], [b"\0\0"] * 3, gyro, acceleration)
    ]
    clip = opened(mp4.joined(*files))
    assert len(clip.camm_tracks) == 4
    assert clip.motion is clip.camm_tracks[2]
    assert clip.counts == {PacketType.GYRO: 10}
    assert clip.acceleration.t_ns.tolist() == []
    empty, short, _, last = clip.camm_tracks
    assert last.acceleration.data[:, 0].tolist() == [0, 1, 2, 3]
    assert last.counts == {PacketType.ACCELERATION: 4}
    assert empty.counts == short.counts == {}
    assert short.survey.faults == {"samples too short for a packet": 3}


def test_without_any_record_the_first_track_stands_for_all(mp4, opened):
    clip = opened(mp4.joined(*[mp4.write([], [], moov_first=False)] * 2))
    assert clip.motion is clip.camm_tracks[0]
    assert clip.counts == {}


# Times


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "times_ms"),
    [
        # the movie's unit is a millisecond, the track's a microsecond; samples are 10 ms apart
        pytest.param([(50, 0), (50, 50_000)], range(0, 100, 10), id="two edits, nothing between"),
        pytest.param(
            [(20, 0), (1000, -1), (80, 20_000)],
            [0, 10, *range(1020, 1100, 10)],
            id="a pause in the middle",
        ),
        pytest.param(
            [(20, 0), (50, 50_000)], [0, 10, 20, 30, 40, 20, 30, 40, 50, 60], id="cut out"
        ),
        pytest.param(
            [(50, 50_000), (50, 0)],
            [50, 60, 70, 80, 90, 0, 10, 20, 30, 40],
            id="halves exchanged",
        ),
        pytest.param([(98, 0)], range(0, 100, 10), id="2 ms short"),
        pytest.param([(0, 0)], range(0, 100, 10), id="no duration"),
        pytest.param([(0xFFFFFFFF, 0)], range(0, 100, 10), id="unknown duration"),
        pytest.param([(0xFFFFFFFF, -1), (100, 0)], range(0, 100, 10), id="unknown pause"),
        pytest.param([(100, 0), (100, 0)], range(0, 100, 10), id="shown twice"),
        pytest.param([(30, -1), (20, -1), (100, 0)], range(50, 150, 10), id="two pauses"),
        pytest.param([(100, 200_000)], range(-200, -100, 10), id="begins behind the last"),
        pytest.param(
            [(1000, -1), (40, 30_000), (30, 70_000)],
            [970, 980, 990, 1000, 1010, 1020, 1030, 1040, 1050, 1060],
            id="pause, cut, two edits",
        ),
    ],
)
def test_edit_lists_move_records_and_never_lose_one(mp4, gyro, opened, version, edits, times_ms):
    if not version:
        edits = [(duration, start) for duration, start in edits if duration < 1 << 32]
    clip = opened(mp4.write(gyro, [10_000] * 10, edits=edits, version=version))
    assert clip.gyro.t_ns.tolist() == [t * MS for t in times_ms]
    assert clip.gyro.data[:, 0].tolist() == list(range(10))


@pytest.mark.parametrize("duration", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("version", [0, 1])
def test_durations_of_headers_count_for_nothing(mp4, gyro, opened, version, duration):
    """THETA V says 0, mapillary_tools all ones."""
    data = mp4.write(gyro, [5000] * 10, version=version, edits=[(duration, 0)])
    width, layout = (8, ">Q") if version else (4, ">I")
    for kind, at in ((b"mvhd", 16 if not version else 24), (b"mdhd", 16 if not version else 24)):
        place = data.index(kind) + 4 + at
        data = data[:place] + struct.pack(layout, duration) + data[place + width :]
    place = data.index(b"tkhd") + 4 + (20 if not version else 28)
    data = data[:place] + struct.pack(layout, duration) + data[place + width :]
    clip = opened(data)
    assert clip.camm_tracks[0].duration == duration
    assert clip.duration_ns == 50 * MS
    assert clip.gyro.t_ns.tolist() == [n * 5 * MS for n in range(10)]


def test_one_time_too_few(mp4, gyro, opened):
    """THETA's habit: the last duration holds on."""
    stts = mp4.table(b"stts", (9, 5000), layout=">2I")
    clip = opened(mp4.write(gyro, [5000] * 10, replace={b"stts": stts}))
    assert clip.gyro.t_ns.tolist() == [n * 5 * MS for n in range(10)]
    assert clip.duration_ns == 50 * MS


def test_runs_of_no_length(mp4, gyro, opened):
    stts = mp4.table(b"stts", (0, 77), (4, 5000), (0, 99), (6, 5000), layout=">2I")
    clip = opened(mp4.write(gyro, [5000] * 10, replace={b"stts": stts}))
    assert clip.gyro.t_ns.tolist() == [n * 5 * MS for n in range(10)]
    stts = mp4.table(b"stts", (0, 77), (2, 5000), layout=">2I")
    clip = opened(mp4.write(gyro[:2], [5000] * 2, replace={b"stts": stts}))
    assert clip.gyro.t_ns.tolist() == [0, 5 * MS]


def test_times_that_stand_still(mp4, opened):
    """THETA's gyro and acceleration share a time."""
    packets = [mp4.record(2 + n % 2, n, 0, 0) for n in range(10)]
    clip = opened(mp4.write(packets, [0, 5019] * 5))
    assert clip.gyro.t_ns.tolist() == clip.acceleration.t_ns.tolist()
    assert clip.gyro.t_ns.tolist() == [n * 5_019_000 for n in range(5)]


# Fragments


def fragmented(mp4, moofs, *, samples=(), durations=(), replace=None, entry=1):
    """A file of an initial part and fragments: `moofs` are functions of where they begin."""
    trex = mp4.full(b"trex", 0, 0, struct.pack(">5I", 1, entry, 5000, 16, 0))
    mvex = mp4.box(b"mvex", trex)
    data = mp4.write(list(samples), list(durations), extra=mvex, replace=replace)
    for moof in moofs:
        data += moof(len(data))
    return data


def moof(mp4, runs, *, tfhd=(), tfhd_flags=0x020000, tfdt=None):
    """A fragment and its media, the data of each run behind that of the one before.

    `runs` are (packets, flags, columns): what of its rows a run says itself. Where it says no
    offset, it follows the run before.
    """

    def build(at):
        def boxes(data_at):
            parts = [mp4.full(b"tfhd", 0, tfhd_flags, struct.pack(">I", 1), *tfhd_fields(at))]
            if tfdt is not None:
                parts.append(mp4.full(b"tfdt", 1, 0, struct.pack(">Q", tfdt)))
            where = data_at
            for packets, flags, columns in runs:
                offset = struct.pack(">i", where) if flags & 1 else b""
                parts.append(
                    mp4.full(b"trun", 0, flags, struct.pack(">I", len(packets)), offset, columns)
                )
                where += sum(map(len, packets))
            return mp4.box(b"moof", mp4.full(b"mfhd", 0, 0, b"\0\0\0\1"), mp4.box(b"traf", *parts))

        def tfhd_fields(at):
            return [field(at) if callable(field) else field for field in tfhd]

        size = len(boxes(0))
        media = b"".join(b"".join(packets) for packets, _, _ in runs)
        return boxes(size + 8) + mp4.box(b"mdat", media)

    return build


def words(*values):
    return struct.pack(f">{len(values)}I", *values)


def sizes(packets):
    return words(*map(len, packets))


def halves(gyro):
    return gyro[:4], gyro[4:]


FRAGMENTS = {
    "defaults of the movie": lambda mp4, a, b: [
        moof(mp4, [(a, 0x1, b"")], tfdt=0),
        moof(mp4, [(b, 0x1, b"")], tfdt=20_000),
    ],
    "no time of its own": lambda mp4, a, b: [
        moof(mp4, [(a, 0x1, b"")]),
        moof(mp4, [(b, 0x1, b"")]),
    ],
    "defaults of the fragment": lambda mp4, a, b: [
        moof(
            mp4,
            [(part, 0x1, b"")],
            tfhd=(words(1, 5000, 16, 0),),
            tfhd_flags=0x02003A,
        )
        for part in (a, b)
    ],
    "all in the rows": lambda mp4, a, b: [
        moof(mp4, [(part, 0x0F01, b"".join(words(5000, 16, 0, 0) for _ in part))])
        for part in (a, b)
    ],
    "several runs": lambda mp4, a, b: [
        moof(mp4, [(a, 0x1, b""), (b, 0x1, b"")]),
    ],
    "runs that follow one another": lambda mp4, a, b: [
        moof(mp4, [(a, 0x1, b""), (b, 0x0, b"")]),
    ],
    "a base in bytes of the file": lambda mp4, a, b: [
        moof(
            mp4,
            [(part, 0x1, b"")],
            tfhd=(lambda at: struct.pack(">Q", at),),
            tfhd_flags=0x1,
        )
        for part in (a, b)
    ],
    "no base": lambda mp4, a, b: [moof(mp4, [(part, 0x1, b"")], tfhd_flags=0) for part in (a, b)],
    "first flags": lambda mp4, a, b: [
        moof(mp4, [(part, 0x5, words(0x01010000))], tfdt=at) for part, at in ((a, 0), (b, 20_000))
    ],
}


@pytest.mark.parametrize("form", FRAGMENTS)
@pytest.mark.parametrize("begun", [False, True], ids=["all in fragments", "begun in the moov"])
def test_fragments_of_every_form(mp4, gyro, opened, form, begun):
    fragments = FRAGMENTS[form](mp4, *halves(gyro))
    before = [mp4.record(3, n, 0, 0) for n in range(3)] if begun else []
    clip = opened(fragmented(mp4, fragments, samples=before, durations=[2000] * len(before)))
    assert clip.fragmented
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    own = form in ("defaults of the movie", "first flags")
    start_ms = 0 if own or not begun else 6
    assert clip.gyro.t_ns.tolist() == [(start_ms + n * 5) * MS for n in range(10)]
    assert clip.camm_tracks[0].count == len(clip.camm_tracks[0].table) == 10 + len(before)
    assert len(clip.acceleration) == len(before)
    assert clip.faults == {}
    assert clip.duration_ns == (start_ms + 50) * MS
    assert [len(block) for block in clip.blocks(PacketType.GYRO)] == [10]


def test_a_fragment_says_of_which_sample_entry_its_samples_are(mp4, gyro, opened):
    """The second of three is of the camm entry, the others of a mett of something else."""
    two = {b"stsd": stsd(mp4, entry(mp4, b"mett", b"\0text/plain\0"), entry(mp4, b"camm"))}
    other = [b"no record"] * 3
    fragments = [
        moof(mp4, [(part, 0x201, sizes(part))], tfhd=(words(number),), tfhd_flags=0x020002)
        for part, number in ((other, 1), (gyro, 2), (other, 1))
    ]
    clip = opened(fragmented(mp4, fragments, replace=two))
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.gyro.t_ns.tolist() == [(15 + n * 5) * MS for n in range(10)]
    assert (clip.camm_tracks[0].entry, clip.camm_tracks[0].recognised_by) == (2, "camm")
    assert clip.faults == {}


@pytest.mark.parametrize(("default", "told_by"), [(2, "camm"), (1, "records")])
def test_a_fragment_that_does_not_say_it_goes_by_the_movies_default(
    mp4, gyro, opened, default, told_by
):
    two = {b"stsd": stsd(mp4, entry(mp4, b"mp4s"), entry(mp4, b"camm"))}
    fragments = FRAGMENTS["no time of its own"](mp4, *halves(gyro))
    clip = opened(fragmented(mp4, fragments, replace=two, entry=default))
    assert len(clip.gyro) == 10
    assert clip.camm_tracks[0].recognised_by == told_by


TAILS = {
    "zeros": bytes(5000),
    "noise": bytes(range(8, 256)) * 10,
    "half a header": b"\0\0",
    "a moof cut short": b"\0\0\4\0moof" + bytes(100),
    "a moof of noise": b"\0\0\1\0moof" + bytes(range(1, 249)),
    "an mdat cut short": b"\0\1\0\0mdat" + bytes(100),
}


@pytest.mark.parametrize("tail", TAILS)
def test_a_damaged_tail_costs_nothing_of_what_is_before_it(mp4, gyro, opened, tail):
    data = fragmented(mp4, FRAGMENTS["no time of its own"](mp4, *halves(gyro)))
    clip = opened(data + TAILS[tail])
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    end = len(data) + len(TAILS[tail])
    damaged = {f"damaged fragment, bytes {len(data)} to {end}": 1}
    assert clip.faults == (damaged if tail == "a moof of noise" else {})


def test_a_last_fragment_that_is_cut_keeps_what_is_there(mp4, gyro, opened):
    data = fragmented(mp4, FRAGMENTS["no time of its own"](mp4, *halves(gyro)))
    clip = opened(data[:-20])
    assert clip.gyro.data[:, 0].tolist() == list(range(8))


CHECKSUM = bytes.fromhex("0a3d7c5e91f24c0b8f6d2f1e5b7a9c44")


def with_checksum(mp4, build):
    """A fragment as our recorder writes it: with the CRC-32 of all before it and of its data."""

    def summed(at):
        (_, _, content), (_, _, media) = mp4.boxes(build(at))
        runs = content.index(b"trun") + 4
        (offset,) = struct.unpack_from(">i", content, runs + 8)
        content = content[: runs + 8] + struct.pack(">i", offset + 28) + content[runs + 12 :]
        whole = mp4.box(b"moof", content, mp4.box(b"uuid", CHECKSUM, bytes(4)))
        check = zlib.crc32(media, zlib.crc32(whole[:-4]))
        return whole[:-4] + struct.pack(">I", check) + mp4.box(b"mdat", media)

    return summed


def test_a_last_fragment_that_is_not_as_it_was_written_is_left_out(mp4, gyro, opened):
    """A power cut can leave zeros where data was to be, and zeros look like records."""
    fragments = [with_checksum(mp4, moof(mp4, [(part, 0x1, b"")])) for part in halves(gyro)]
    data = fragmented(mp4, fragments)
    assert len(opened(data).gyro) == 10
    clip = opened(data[:-50] + bytes(50))
    assert clip.gyro.data[:, 0].tolist() == list(range(4))
    assert clip.faults == {f"damaged fragment, bytes {data.rindex(b'moof') - 4} to {len(data)}": 1}


DAMAGES = {
    "a moof of noise": (8, bytes(range(8, 80))),
    "a size that is too small": (0, words(7)),
    "a header of zeros": (0, bytes(8)),
    "a kind that is none": (4, b"mo\0f"),
    "a sector of zeros": (0, bytes(120)),
}
"""What happens to the second of three fragments: bytes that are put at a place of it."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_fragment_costs_no_other(mp4, gyro, opened, damage):
    parts = gyro[:4], gyro[4:6], gyro[6:]
    times = (0, 20_000, 30_000)
    fragments = [
        moof(mp4, [(part, 0x1, b"")], tfdt=tick) for part, tick in zip(parts, times, strict=True)
    ]
    data = fragmented(mp4, fragments)
    assert opened(data).faults == {}
    _, second, third = (n.start() - 4 for n in re.finditer(b"moof", data))
    at, content = DAMAGES[damage]
    at += second
    clip = opened(data[:at] + content + data[at + len(content) :])
    assert clip.gyro.data[:, 0].tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
    assert clip.gyro.t_ns.tolist() == [n * 5 * MS for n in (0, 1, 2, 3, 6, 7, 8, 9)]
    assert clip.faults == {f"damaged fragment, bytes {second} to {third}": 1}


@pytest.mark.parametrize("size", [0, 300, 1 << 30])
def test_a_fragment_that_claims_to_be_longer_is_read_up_to_the_next(mp4, gyro, opened, size):
    parts = gyro[:4], gyro[4:6], gyro[6:]
    data = fragmented(mp4, [moof(mp4, [(part, 0x1, b"")]) for part in parts])
    at = [n.start() - 4 for n in re.finditer(b"moof", data)][1]
    clip = opened(data[:at] + words(size) + data[at + 4 :])
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.faults == {}


def test_of_very_many_damaged_fragments_the_first_are_named(mp4, gyro, opened):
    noise = [lambda _: TAILS["a moof of noise"]] * 12
    good = FRAGMENTS["no time of its own"](mp4, *halves(gyro))
    clip = opened(fragmented(mp4, [*noise, *good]))
    assert len(clip.gyro) == 10
    assert len(clip.faults) == 9
    assert clip.faults["damaged fragments behind that"] == 4


def test_a_fragment_of_ours_with_samples_outside_of_its_data_is_left_out(mp4, gyro, opened):
    """One bit of a size, and all that is behind it would be read at the wrong place."""
    parts = gyro[:4], gyro[4:6], gyro[6:]
    fragments = [
        with_checksum(mp4, moof(mp4, [(part, 0x201, sizes(part))], tfdt=0)) for part in parts
    ]
    data = fragmented(mp4, fragments)
    assert len(opened(data).gyro) == 10
    at = [n.start() for n in re.finditer(b"trun", data)][1] + 16
    clip = opened(data[:at] + words(16 ^ 64) + data[at + 4 :])
    assert clip.gyro.data[:, 0].tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
    assert [*clip.faults.values()] == [1]


# What a clip says of itself


@pytest.mark.parametrize("after", [b"\0\0\0\x40name", b"\0\0\0\4xxxx", b"\1\2\3"])
def test_what_is_damaged_behind_maker_and_model_does_not_disturb(mp4, gyro, opened, after):
    udta = mp4.box(b"udta", mp4.box(b"manu", b"RICOH"), mp4.box(b"modl", b"THETA X"), after)
    clip = opened(mp4.write(gyro, [5000] * 10, udta=udta))
    assert (clip.make, clip.model, len(clip.gyro)) == ("RICOH", "THETA X", 10)


# GPS time

GPS_S = 1_464_350_418.0  # 16948 days and 12 h since 1980-01-06, and 18 leap seconds
UNIX_S = 1_780_315_200.0
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def gps_clip(mp4, opened, times, created=NOON):
    packets = [mp4.record(6, t, 3, 48.1, 11.5, 520, 1, 1, 0, 0, 0, 0) for t in times]
    data = mp4.write(packets, [1_000_000] * len(packets), version=1)
    at = data.index(b"mvhd") + 8
    seconds = (
        0 if created is None else int((created - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds())
    )
    return opened(data[:at] + struct.pack(">Q", seconds) + data[at + 8 :])


@pytest.mark.parametrize(
    ("times", "created", "epoch"),
    [
        ([GPS_S, GPS_S + 1], NOON, "GPS seconds"),
        ([GPS_S, GPS_S + 1], None, "GPS seconds"),
        ([UNIX_S, UNIX_S + 1], NOON, "Unix seconds"),
        ([UNIX_S * 1000, UNIX_S * 1000 + 1000], NOON, "Unix milliseconds"),
        ([UNIX_S * 1000, UNIX_S * 1000 + 1000], None, "Unix milliseconds"),
        ([0, 0, 0, GPS_S, GPS_S + 1], NOON, "GPS seconds"),
        ([0, 0, 0, UNIX_S, UNIX_S + 1], NOON, "Unix seconds"),
        ([UNIX_S * 1000, GPS_S, GPS_S + 1], NOON, "GPS seconds"),
    ],
)
def test_gps_time_of_any_epoch_becomes_gps_time_and_utc(mp4, opened, times, created, epoch):
    clip = gps_clip(mp4, opened, times, created)
    assert clip.gps_epoch.value == epoch
    assert clip.gps_time_s[-2:].tolist() == [GPS_S, GPS_S + 1]
    noon = np.datetime64("2026-06-01T12:00:00", "ns")
    assert clip.gps_utc.dtype == "datetime64[ns]"
    assert clip.gps_utc[-2:].tolist() == [noon.astype(int), noon.astype(int) + 10**9]
    assert np.isnan(clip.gps_time_s[:-2]).all()
    assert np.isnat(clip.gps_utc[:-2]).all()
    assert clip.leap_seconds_known
    assert clip.gps.data["time_gps_epoch"].tolist() == times


@pytest.mark.parametrize("times", [[0.6, 0.04, 0.2], [np.nan], [-1e300, 1e300], [np.inf], []])
def test_gps_time_that_is_none(mp4, opened, times):
    """Labpano writes the fraction of a second."""
    clip = gps_clip(mp4, opened, times)
    assert clip.gps_epoch.value == "no date"
    assert np.isnan(clip.gps_time_s).all()
    assert np.isnat(clip.gps_utc).all()
    assert len(clip.gps_utc) == len(clip.gps_time_s) == len(times)
    assert clip.leap_seconds_known


def test_a_fraction_of_a_second_is_kept_as_far_as_the_file_has_it(mp4, opened):
    times = [GPS_S + 0.25, GPS_S + 0.1]
    for offset, created in ((0, NOON), (UNIX_S - GPS_S, NOON)):
        clip = gps_clip(mp4, opened, [t + offset for t in times], created)
        left = clip.gps_utc - np.datetime64("2026-06-01T12:00:00", "ns")
        assert left.astype(int).tolist() == pytest.approx([250_000_000, 100_000_000], abs=250)
        assert clip.gps_time_s.tolist() == pytest.approx(times, abs=3e-7)


def test_a_clip_over_a_leap_second(mp4, opened):
    """The one at the end of 2016: GPS time goes on, UTC says 23:59:59 or 00:00:00 twice."""
    midnight_gps = 1_167_264_018  # 2017-01-01 00:00:00 UTC
    times = [midnight_gps - 2.0, midnight_gps, midnight_gps + 1]
    clip = gps_clip(mp4, opened, times, datetime(2017, 1, 1, tzinfo=UTC))
    assert [str(t)[:19] for t in clip.gps_utc] == [
        "2016-12-31T23:59:59",
        "2017-01-01T00:00:00",
        "2017-01-01T00:00:01",
    ]
    unix = [1_483_228_799.0, 1_483_228_800, 1_483_228_801]
    clip = gps_clip(mp4, opened, unix, datetime(2017, 1, 1, tzinfo=UTC))
    assert clip.gps_time_s.tolist() == times


def test_dates_behind_the_table_of_leap_seconds_are_said_to_be(mp4, opened):
    year = 365 * 86_400
    clip = gps_clip(mp4, opened, [GPS_S, GPS_S + 2 * year], None)
    assert not clip.leap_seconds_known
