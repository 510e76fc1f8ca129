"""What is whole in a damaged recording is kept at its exact time, and what is lost is told."""

import errno
import json
import os
import struct
from collections import Counter

import av
import numpy as np
import pytest
from disk_log import PAGE, DiskLog, Insert, exactly_after
from hypothesis import given, settings
from hypothesis import strategies as st
from kills import kill_many
from takes import (
    CAMM,
    FILLER,
    KINDS,
    VIDEO,
    assert_sound,
    hasty,
    repaired,
    shoot,
    survive,
    survive_prefixes,
)

from camm import CammError, Packet, StreamFormat
from cammcorder.__main__ import main
from muxer import reader, repair
from muxer.fragments import Run, write_fragment
from muxer.movie import Handler
from muxer.recording import Recording
from muxer.recording_file import METADATA_HEADER, MovieDescription, RecordingFile, TrackSpec
from muxer.repair import Remedy
from muxer.repair.movie import read_movie, rebuild
from muxer.repair.scan import Hole

ROOM, SHORT, NO_ROOM = KINDS
FRAGMENTS = 5
MS = 1_000_000


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    """Of each kind a recording, and the file that it became."""
    found = {}
    for number, kind in enumerate(KINDS):
        folder = tmp_path_factory.mktemp(f"take{number}")
        found[kind] = shoot(folder, kind), (folder / "take.mp4").read_bytes()
    return found


@pytest.fixture(scope="module")
def take(takes):
    return takes[ROOM][0]


@pytest.fixture(scope="module")
def unfinished(take):
    """The recording with all of its fragments and without an end."""
    return exactly_after(take.log, 2 + 2 * FRAGMENTS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clip.unfinished.mp4"


@pytest.fixture
def examine(path):
    """Examine these bytes."""

    def run(data):
        path.write_bytes(data)
        return repair.examine(path)

    return run


def places(data, kind):
    """Where boxes of this kind begin in a recording of ours."""
    found, at = [], data.find(kind)
    while at >= 0:
        found.append(at - 4)
        at = data.find(kind, at + 1)
    return found


def zeroed(data, start, end):
    return data[:start] + bytes(end - start) + data[end:]


def kept(path, track):
    """(ticks from movie time zero, bytes) of the samples that are left, as FFmpeg has them."""
    data = path.read_bytes()
    with av.open(str(path)) as container:
        if track == VIDEO:
            return [(packet.pts, bytes(packet)) for packet in container.demux(0) if packet.size]
        index = container.streams[track - 1].index_entries
        return [(at.timestamp, data[at.pos : at.pos + at.size]) for at in index]


def lost(take, path, track):
    """What is not left of what was recorded; nothing else may be there."""
    there, recorded = Counter(kept(path, track)), Counter(take.rows(track))
    strange = there - recorded
    strange.pop(FILLER, None)
    assert not strange
    return sorted((recorded - there).elements())


# What interrupts a recording


@pytest.mark.parametrize("kind", KINDS)
def test_a_power_cut_costs_nothing_that_was_synced(takes, tmp_path, kind):
    """The same for thousands of states: make proof."""
    take, _ = takes[kind]
    assert survive_prefixes(take, tmp_path / "state.mp4") == len(take.log) + 1
    survive(take, tmp_path / "state.mp4", 50, seed=11)


def test_a_kill_costs_no_fragment_that_was_written(walk, tmp_path):
    assert kill_many(tmp_path, walk.clip, 3, seed=7, speed="10", longest_s=0.5).kills >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_recording_is_left_alone(takes, examine, kind):
    examination = examine(takes[kind][1])
    assert examination.remedy is Remedy.NOTHING
    assert examination.complete
    assert examination.fragments == examination.intact == FRAGMENTS
    assert [len(found.table) for found in examination.tracks] == [
        len(takes[kind][0].rows(track)) for track in (VIDEO, CAMM)
    ]


def test_an_unfinished_recording_becomes_what_its_end_would_have_made_of_it(
    take, unfinished, examine, path, mp4
):
    examination = examine(unfinished)
    assert (examination.remedy, examination.complete) == (Remedy.REBUILD, True)
    out = path.with_name("out.mp4")
    repair.finish(examination, out)
    assert_sound(out, take, FRAGMENTS)
    assert path.read_bytes() == unfinished
    assert mp4.kinds(out.read_bytes()) == [b"ftyp", b"free", b"moov", b"free", b"mdat"]
    assert [at for at, _ in mp4.samples(out.read_bytes())] == [at for at, _ in take.rows(CAMM)]
    with reader.open(out) as clip:
        assert clip.metadata == {
            "rig": "bench",
            "repaired": {
                "gaps": [],
                "tracks": {
                    "1": {"kept": 36, "lost": 0, "unverified": 0, "ranges": []},
                    "2": {"kept": 396, "lost": 0, "unverified": 0, "ranges": []},
                },
            },
        }


@pytest.mark.parametrize(
    ("kind", "remedies"),
    [
        (ROOM, [Remedy.FINALISE] + [Remedy.COMPLETE_MOVE] * 4 + [Remedy.CUT_TAIL] * 2),
        (SHORT, [Remedy.FINALISE, Remedy.CUT_TAIL, Remedy.CUT_TAIL]),
    ],
)
def test_finalising_that_was_interrupted_is_carried_on_to_the_same_byte(
    takes, path, monkeypatch, kind, remedies
):
    """Wherever it stopped once the moov was on the disk, unless the file was plain already."""
    take, finished = takes[kind]
    DiskLog(monkeypatch, path)
    found = []
    for count in range(2 + 2 * FRAGMENTS + 2, len(take.log)):
        path.write_bytes(exactly_after(take.log, count))
        examination = repair.examine(path)
        assert examination.complete
        if examination.remedy is not Remedy.NOTHING:
            found.append(examination.remedy)
            repair.finish_in_place(examination)
            assert path.read_bytes() == finished
    assert found == remedies


def test_a_moov_is_rebuilt_as_it_was(takes, mp4):
    for _, finished in takes.values():
        moov = mp4.inside(finished, b"moov")
        movie = read_movie(moov, len(finished))
        tables = {number: track.table for number, track in movie.tracks.items()}
        assert rebuild(moov, tables, None) == mp4.box(b"moov", moov)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_move_that_stopped_at_any_block_loses_nothing(take, path, monkeypatch, in_place):
    """File systems move extents from the end of a file to its front."""
    (insert,) = [n for n, operation in enumerate(take.log) if isinstance(operation, Insert)]
    data, length = exactly_after(take.log, insert), take.log[insert].length
    torn = 0
    disk = DiskLog(monkeypatch, path)
    for block in range(PAGE, len(data) + PAGE, PAGE):
        path.write_bytes(data[:block] + bytes(length) + data[block:])
        examination = repair.examine(path)
        assert examination.complete
        torn += len(examination.torn)
        del disk.log[:]
        assert_sound(repaired(path, in_place=in_place), take, FRAGMENTS)
        if PAGE < block < places(data, b"moov")[-1]:
            # No second insertion into a file that one has torn.
            assert not any(isinstance(operation, Insert) for operation in disk.log)
    assert torn > 5  # pictures that lay across the block


# What damages it


def test_only_what_a_lost_page_held_is_lost(take, unfinished, examine, path):
    first, last = 6 * PAGE, 7 * PAGE
    examination = examine(zeroed(unfinished, first, last))
    assert not examination.complete
    out = repaired(path, in_place=False)
    at, expected = {}, {VIDEO: [], CAMM: []}
    for track in (VIDEO, CAMM):
        for row in take.rows(track):
            begin = unfinished.index(row[1], at.get(track, 0))
            at[track] = begin
            if begin < last and begin + len(row[1]) > first:
                expected[track].append(row)
    assert expected[VIDEO]
    for track in (VIDEO, CAMM):
        assert lost(take, out, track) == sorted(expected[track])
    (stretch,) = [part for part in examination.tracks[0].stretches if part.reason]
    assert (stretch.samples, stretch.reason) == (len(expected[VIDEO]), "zeros where it was")
    assert stretch.start < last
    assert stretch.end > first


def test_what_is_lost_is_lost_from_a_finished_clip_too(takes, examine, path):
    take, finished = takes[ROOM]
    start = finished.index(take.rows(VIDEO)[20][1])
    page = -(-start // PAGE) * PAGE
    examination = examine(zeroed(finished, page, page + 600))
    assert examination.remedy is Remedy.REBUILD
    in_a_file = repaired(path, in_place=False)
    assert 1 <= len(lost(take, in_a_file, VIDEO)) <= 2
    assert_same(in_a_file, repaired(path, in_place=True))


def test_a_clip_repaired_in_place_needs_no_repair_though_damage_is_left_in_it(takes, path):
    take, finished = takes[NO_ROOM]
    start = finished.index(take.rows(VIDEO)[20][1])
    path.write_bytes(zeroed(finished, start, start + 1024))
    assert repair.examine(repaired(path, in_place=True)).remedy is Remedy.NOTHING
    assert (0, 1) < (len(lost(take, path, VIDEO)), 1) < (3, 1)


def test_a_final_moov_that_contradicts_the_fragments_is_not_believed(takes, examine, path):
    """One byte after the other of its tables is spoilt; nothing is lost by it."""
    take, finished = takes[NO_ROOM]
    begin = places(finished, b"moov")[-1]
    tables = [places(finished, kind) for kind in (b"stts", b"ctts", b"stss", b"stsz", b"stco")]
    for at in [at for found in tables for at in found if at > begin]:
        (size,) = struct.unpack_from(">I", finished, at)
        for place in (at + 9, at + 17, at + size // 2, at + size - 1):
            hurt = bytearray(finished)
            hurt[place] ^= 0x41
            examination = examine(bytes(hurt))
            assert examination.complete
            assert_sound(repaired(path, in_place=False), take, FRAGMENTS)


def test_a_final_moov_that_lacks_samples_is_not_believed(takes, examine, mp4):
    _, finished = takes[NO_ROOM]
    begin = places(finished, b"moov")[-1]
    moov = finished[begin + 8 :]
    tables = {n: t.table.head(10) for n, t in read_movie(moov, len(finished)).tracks.items()}
    examination = examine(finished[:begin] + rebuild(moov, tables, None))
    assert examination.complete
    assert [len(found.table) for found in examination.tracks] == [36, 396]


def test_what_others_have_appended_is_no_damage(takes, examine, mp4):
    """ExifTool, for one, writes a box at the end."""
    for _, finished in takes.values():
        examination = examine(finished + mp4.box(b"uuid", b"x" * 40))
        assert examination.remedy is Remedy.NOTHING


def test_samples_that_something_else_is_written_over_are_lost(unfinished, examine):
    """Bytes are gone from the middle of the file: what follows has come nearer."""
    fourth = places(unfinished, b"moof")[3]
    examination = examine(unfinished[: fourth - 3000] + unfinished[fourth:])
    moved = fourth - 3000
    for found in examination.tracks:
        ends = found.table.offset + found.table.size
        assert not ((found.table.offset < moved) & (ends > moved)).any()
    reasons = [part.reason for found in examination.tracks for part in found.stretches]
    assert "something else is written over it" in reasons


def assert_same(one, other):
    for track in (VIDEO, CAMM):
        assert kept(one, track) == kept(other, track)


def test_noise_among_records_spoils_their_sectors(take, unfinished, examine, path):
    """A broken record shows; the one beside it in the same sector may not."""
    start = unfinished.index(take.rows(CAMM)[0][1], places(unfinished, b"moof")[0] + 3000)
    begin = -(-start // 512) * 512
    noise = np.random.default_rng(3).bytes(100)
    examine(unfinished[: begin + 200] + noise + unfinished[begin + 300 :])
    gone = lost(take, repaired(path, in_place=False), CAMM)
    assert 512 // 16 - 1 <= len(gone) <= 512 // 16 + 2


@pytest.mark.parametrize("at", [4, 60, 200, 700])
def test_a_fragment_without_its_moof_leaves_a_gap_and_nothing_moves(
    take, unfinished, examine, path, at
):
    begin = places(unfinished, b"moof")[2]
    examination = examine(zeroed(unfinished, begin + at, begin + at + 16))
    assert (examination.fragments, examination.intact) == (4, 4)
    (gap,) = examination.gaps
    assert (gap.start, gap.end) == (begin, places(unfinished, b"moof")[3])
    assert "1 fragment" in gap.reason
    assert (gap.from_ns, gap.until_ns) == (1_700_000_000, 2_200_000_000)
    out = repaired(path, in_place=False)
    for track in (VIDEO, CAMM):
        assert lost(take, out, track) == sorted(take.fragments[2][track])


def test_a_final_moov_knows_samples_whose_moof_is_gone(takes, examine):
    _, finished = takes[NO_ROOM]
    for begin in places(finished, b"moof"):
        examination = examine(zeroed(finished, begin, begin + 100))
        assert (examination.remedy, examination.complete) == (Remedy.NOTHING, True)


def test_without_its_beginning_a_clip_begins_later(take, unfinished, examine, path):
    """Its records keep their times for readers that know no edit lists: one of nothing is at 0."""
    begin = places(unfinished, b"moof")[0]
    examination = examine(zeroed(unfinished, begin, begin + 512))
    assert examination.gaps[0].from_ns is None
    out = repaired(path, in_place=False)
    for track in (VIDEO, CAMM):
        assert lost(take, out, track) == sorted(take.fragments[0][track])
    assert kept(out, CAMM)[0] == FILLER
    with reader.open(out) as clip:
        assert clip.video.table.keyframe[0]
        assert clip.video.pts_ns.min() == 1_200_000_000
        assert clip.camm_tracks[0].edits.edits == ()


def test_pictures_that_no_decoder_could_begin_with_are_left_out(take, unfinished, examine, path):
    first = unfinished.index(take.rows(VIDEO)[0][1])
    examination = examine(zeroed(unfinished, first, first + 1024))
    reasons = [part.reason for part in examination.tracks[0].stretches if part.reason]
    assert "no key frame is left before it" in reasons
    with reader.open(repaired(path, in_place=False)) as clip:
        assert clip.video.table.keyframe[0]
        assert clip.video.pts_ns.min() == 600_000_000


def test_pictures_behind_a_lost_one_are_kept_and_told(take, unfinished, examine):
    second = unfinished.index(take.rows(VIDEO)[13][1])  # behind a key frame, four more follow
    examination = examine(zeroed(unfinished, second, second + 1024))
    video = examination.tracks[0]
    assert video.smeared == 6 - 1 - video.lost
    assert video.unverified == 6 - video.lost


def test_the_final_moov_serves_where_the_first_one_is_damaged(takes, examine, path):
    take, _ = takes[ROOM]
    appended = exactly_after(take.log, 2 + 2 * FRAGMENTS + 2)
    first = places(appended, b"moov")[0]
    for start, end in ((first, first + 100), (first + 300, first + 512), (0, 2 * PAGE)):
        assert examine(zeroed(appended, start, end)).complete or end == 2 * PAGE
        for in_place in (False, True):
            path.write_bytes(zeroed(appended, start, end))
            assert not lost(take, repaired(path, in_place=in_place), CAMM) or end == 2 * PAGE


def test_without_any_moov_nothing_is_recovered(unfinished, examine, path):
    first = places(unfinished, b"moov")[0]
    examination = examine(zeroed(unfinished, first, first + 400))
    assert not examination.recovered
    with pytest.raises(repair.NothingRecoveredError, match="no 'moov' is left"):
        repair.finish(examination, path.with_name("out.mp4"))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_damaged_metadata_are_those_of_the_first_moov(takes, examine, path):
    take, finished = takes[NO_ROOM]
    story = finished.rindex(b'"story"')
    examination = examine(zeroed(finished, story, story + 50))
    assert examination.complete
    with reader.open(repaired(path, in_place=False)) as clip:
        assert clip.metadata["rig"] == "bench"
    assert_sound(path.with_name("out.mp4"), take, FRAGMENTS)


def test_a_lost_tail_is_told(take, unfinished, examine):
    moofs = places(unfinished, b"moof")
    torn = examine(unfinished[: moofs[-1] + 50])
    assert torn.fragments == FRAGMENTS - 1
    assert [gap.reason for gap in torn.gaps] == ["a fragment that was not written to its end"]
    blank = examine(zeroed(unfinished, moofs[-1], len(unfinished)) + bytes(1 << 24))
    assert [gap.reason for gap in blank.gaps] == ["zeros at the end"]
    assert examine(unfinished[: moofs[-1]]).complete


@pytest.mark.parametrize(("number", "ticks"), [(2, 9_000_000), (9, 1_000_000)])
def test_fragments_that_do_not_follow_are_of_another_recording(
    take, unfinished, examine, path, number, ticks
):
    """Stale blocks behind the end: what stood there when they belonged to an older file."""
    none, one = np.zeros(1, np.int64), np.ones(1, np.bool_)
    run = Run(CAMM, FILLER[1], np.array([12]), np.array([ticks]), none, 1, one)
    stale, _ = write_fragment(number, [run], len(unfinished))
    examination = examine(unfinished + stale)
    assert examination.fragments == FRAGMENTS
    assert_sound(repaired(path, in_place=False), take, FRAGMENTS)


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("damage", [b"\0\0\0\xff\0\0\0\0", b"\x7f" * 8])
def test_a_fragment_whose_times_are_damaged_harms_no_other(
    take, unfinished, examine, path, at, damage
):
    """Its checksum fails, but for its times it looks whole."""
    begin = places(unfinished, b"moof")[at]
    tfdt = unfinished.index(b"tfdt", begin) + 8
    examination = examine(unfinished[:tfdt] + damage + unfinished[tfdt + 8 :])
    assert (examination.fragments, examination.intact) == (FRAGMENTS - 1, FRAGMENTS - 1)
    out = repaired(path, in_place=False)
    for track in (VIDEO, CAMM):
        assert lost(take, out, track) == sorted(take.fragments[at][track])


def test_a_fragment_that_claims_more_than_a_box_can_hold_is_none(unfinished, examine):
    begin = places(unfinished, b"moof")[1]
    row = unfinished.index(b"trun", begin) + 16
    examination = examine(unfinished[: row + 4] + b"\x7f\xff\xff\xff" * 4 + unfinished[row + 20 :])
    assert examination.fragments == FRAGMENTS - 1


def test_what_was_inserted_moves_what_lies_behind_it():
    assert Hole(4096, 8192).place(np.array([4095, 4096])).tolist() == [4095, 8192]


damages = st.lists(
    st.tuples(
        st.sampled_from(["zeros", "noise", "cut", "grown"]),
        st.integers(0, 1 << 30),
        st.sampled_from([1, 512, 4096, 20_000]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150)
@given(damages, st.sampled_from(["unfinished", *KINDS]), st.booleans())
def test_any_damage_is_repaired_or_refused(takes, unfinished, tmp_path_factory, hurt, what, place):
    """Sound afterwards; and where storage fails as it does, by sectors, nothing strange is kept."""
    take = takes[ROOM if what == "unfinished" else what][0]
    data = bytearray(unfinished if what == "unfinished" else takes[what][1])
    noise = np.random.default_rng(1)
    for kind, where, length in hurt:
        at = where % len(data) // 512 * 512
        end = min(at + length, len(data))
        match kind:
            case "zeros":
                data[at:end] = bytes(end - at)
            case "noise":
                data[at:end] = noise.bytes(end - at)
            case "cut":
                del data[max(at, 512) :]
            case "grown":
                data += bytes(length)
    path = tmp_path_factory.mktemp("hurt") / "clip.mp4"
    path.write_bytes(data)
    try:
        with hasty():
            examination = repair.examine(path)
            out = repaired(path, in_place=place)
    except CammError:
        return
    again = repair.examine(out)
    assert (again.remedy, again.complete) == (Remedy.NOTHING, True)
    assert [len(found.table) for found in again.tracks if found.track.number == VIDEO] == [
        len(found.table) for found in examination.tracks if found.track.number == VIDEO
    ]
    if all(kind != "noise" and (kind != "zeros" or length >= 512) for kind, _, length in hurt):
        for track in (VIDEO, CAMM):
            lost(take, out, track)


def test_nothing_is_left_behind_where_the_disk_is_full(unfinished, examine, path, monkeypatch):
    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    examination = examine(unfinished)
    out = path.with_name("out.mp4")
    out.write_bytes(b"an older clip")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        repair.finish(examination, out)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name, "out.mp4"]
    assert out.read_bytes() == b"an older clip"


# Codecs


@pytest.fixture(scope="module")
def walk_unfinished(walk):
    """The demo clip as it was before it was finalised."""
    data = walk.clip.read_bytes()
    body = data.index(b"moov", data.index(b"mdat")) - 4 - 16
    (size,) = struct.unpack_from(">Q", data, body + 8)
    head = data[:28] + struct.pack(">I4s", 4068, b"free") + bytes(4060)
    return head + struct.pack(">I4s8x", 16, b"free") + data[body + 16 : body + size]


def test_pictures_of_nal_units_are_judged_by_their_chain(walk_unfinished, examine, path):
    whole = examine(walk_unfinished)
    assert whole.complete
    table = whole.tracks[0].table
    assert whole.tracks[0].track.codec == "avc1"
    place, size = int(table.offset[100]), int(table.size[100])
    for start, damage in (
        (place, b"\0\0\xff\xff"),  # a length that is not its unit's
        (place + size // 2, bytes(3)),  # zeros that no unit holds
        (place + 4, b"\xff"),  # a bit that is never set
    ):
        hurt = walk_unfinished[:start] + damage + walk_unfinished[start + len(damage) :]
        examination = examine(hurt)
        assert [found.lost for found in examination.tracks] == [1, 0]
        (stretch,) = [part for part in examination.tracks[0].stretches if part.reason]
        assert (stretch.start, stretch.end) == (place, place + size)
        with reader.open(repaired(path, in_place=False)) as clip:
            left = clip.video.table
            assert len(left) == len(table) - 1
            assert (np.delete(table.dts, 100) == left.dts).all()
    # What is left can be decoded.
    with av.open(str(path.with_name("out.mp4"))) as container:
        assert sum(1 for _ in container.decode(video=0)) >= len(table) - 31


def test_uncompressed_sound_is_told_frame_by_frame(path, mp4):
    """A packet of it is one row of a fragment, and a sample for each of its frames in the end."""
    formats = [
        StreamFormat("video", "mjpeg", 1000, width=64, height=48),
        StreamFormat("audio", "pcm_s16le", 48_000, sample_rate=48_000, channels=2),
    ]
    about = MovieDescription(None, "Maker", "Model", {"a": 1})
    recording = Recording(path, formats, about)
    for n in range(16):
        at = n * 200 * MS
        sound = struct.pack("<9600h", *range(n, n + 9600))[: 1600 * 4]
        recording.add_packets([Packet(0, b"picture", at, at, 200 * MS, keyframe=True)])
        recording.add_packets(
            [Packet(1, sound, at + k, at + k, 33_333_333, keyframe=True) for k in (0, 33_333_333)]
        )
        recording.advance(at)
    unfinished = path.read_bytes()
    recording.finish(3200 * MS, about)
    assert repair.examine(path).remedy is Remedy.NOTHING
    finished = mp4.samples(path.read_bytes(), b"sowt")
    path.write_bytes(unfinished)
    left = mp4.samples(repaired(path, in_place=False).read_bytes(), b"sowt")
    assert {len(frame) for _, frame in left} == {4}
    assert len(left) > 30_000
    assert left[:-1] == finished[: len(left) - 1]


def test_a_pause_that_no_table_can_hold_is_divided(path):
    """At a timescale of 10^9 four seconds are too long for 32 bits."""
    entry = b"\0\0\0\x10camm\0\0\0\0\0\0\0\1"
    tracks = [TrackSpec(1, Handler(b"meta", "Motion"), METADATA_HEADER, 10**9, entry)]
    file = RecordingFile(path, tracks, MovieDescription(None, "Maker", "Model", {"a": 1}))
    times = [10**9, 2 * 10**9, 12 * 10**9]
    for number, at in enumerate(times):
        gyro = struct.pack("<HH3f", 0, 2, number, 0, 0)
        one, none = np.ones(1, np.bool_), np.zeros(1, np.int64)
        file.append([Run(1, gyro, np.array([16]), np.array([at]), none, 10**9, one)])
    file.close()
    for in_place in (False, True):
        with reader.open(repaired(path, in_place=in_place)) as clip:
            assert clip.gyro.t_ns.tolist() == times
            fillers = [2 * 10**9 + n * (2**31 - 1) for n in (1, 2, 3, 4)]
            assert clip.exposure.t_ns.tolist() == [0, *fillers]
            assert clip.records.faults == {}


# The command


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Exit code, output and error lines of `cammcorder repair`."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["repair", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_command_writes_a_clip_beside_the_damaged_one(call, take, unfinished, path):
    path.write_bytes(unfinished)
    code, out, err = call(path)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(path.with_name("clip.repaired.mp4"))
    assert_sound(path.with_name("clip.repaired.mp4"), take, FRAGMENTS)
    assert path.read_bytes() == unfinished
    code, out, err = call(path)
    assert code == 2
    assert "clip.repaired.mp4 exists" in err
    assert call(path, "--force")[0] == 0


def test_nothing_is_done_to_a_sound_clip(call, takes, path):
    path.write_bytes(takes[ROOM][1])
    for options in ([], ["--in-place"], ["-o", "out.mp4"]):
        code, out, err = call(path, *options)
        assert (code, err) == (0, "")
        assert "nothing to repair" in out
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == takes[ROOM][1]


def test_a_dry_run_tells_and_writes_nothing(call, unfinished, path):
    hurt = zeroed(unfinished, 6 * PAGE, 7 * PAGE)
    path.write_bytes(hurt)
    for options in ([], ["--in-place"], ["-o", "out.mp4"]):
        code, out, err = call(path, "--dry-run", *options)
        assert (code, err) == (3, "")
        assert "zeros where it was" in out
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == hurt


def test_a_report_says_what_was_lost_and_why(call, unfinished, path):
    path.write_bytes(zeroed(unfinished, 6 * PAGE, 7 * PAGE))
    code, _, _ = call(path, "-o", "out.mp4", "--report", "report.json")
    assert code == 3
    report = json.loads(path.with_name("report.json").read_text())
    assert (report["recovered"], report["complete"]) == (True, False)
    video, camm = report["tracks"]
    assert [video["codec"], camm["codec"]] == ["jpeg", "camm"]
    assert video["kept"] + video["lost"] == 36
    assert sum(part["samples"] for part in video["stretches"]) == 36
    (part,) = [part for part in video["stretches"] if not part["kept"]]
    assert part["bytes"][0] < 7 * PAGE
    assert part["bytes"][1] > 6 * PAGE
    with reader.open(path.with_name("out.mp4")) as clip:
        told = clip.metadata["repaired"]["tracks"]["1"]
    assert (told["lost"], told["ranges"]) == (video["lost"], [part])
    assert call(path, "-o", "other.mp4", "--report", "report.json")[0] == 2


def test_in_place_says_what_it_will_do_and_does_it(call, take, unfinished, path):
    path.write_bytes(unfinished)
    code, out, _ = call(path, "--in-place")
    assert code == 0
    assert "build a new moov" in out
    assert_sound(path, take, FRAGMENTS)
    assert "nothing to repair" in call(path)[1]


def test_what_cannot_be_repaired_is_one_line(call, unfinished, path):
    def failed(name, code, *words):
        found, out, err = call(name, "-o", "out.mp4")
        assert (found, out, len(err.splitlines())) == (code, "", 1)
        assert all(word in err for word in words)

    first = places(unfinished, b"moov")[0]
    path.write_bytes(zeroed(unfinished, first, first + 400))
    failed(path, 1, "nothing can be recovered")
    path.write_bytes(b"")
    failed(path, 2, "--reference")
    failed(path.with_name("none.mp4"), 2, "there is no file")
    failed(path.parent, 2, "expected an MP4")
    assert call(path, "-o", path, "--force")[0] == 2
    assert not path.with_name("out.mp4").exists()


def test_a_file_that_is_still_written_is_not_repaired_in_place(unfinished, examine, path):
    examination = examine(unfinished)
    path.write_bytes(unfinished + b"more")
    with pytest.raises(CammError, match="still being recorded"):
        repair.finish_in_place(examination)
    assert path.read_bytes() == unfinished + b"more"
