"""What is whole in a damaged recording is kept at its exact time, and what is lost is told."""

import json
import struct
from collections import Counter

import av
import numpy as np
import pytest
from disk_log import PAGE, Insert, exactly_after
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

from camm import CammError
from cammcorder.__main__ import main
from muxer import reader, repair
from muxer.repair import Remedy
from muxer.repair.movie import read_movie, rebuild

ROOM, SHORT, NO_ROOM = KINDS
FRAGMENTS = 5


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


@pytest.mark.parametrize("kind", KINDS[:2])
def test_finalising_that_was_interrupted_is_carried_on_to_the_same_byte(takes, path, kind):
    """Wherever it stopped, once the moov was written; but for the journal, which is history."""
    take, finished = takes[kind]
    after_moov = 2 + 2 * FRAGMENTS + 2
    for count in range(after_moov, len(take.log)):
        path.write_bytes(exactly_after(take.log, count))
        repaired(path, in_place=True)
        if repair.examine(path).remedy is Remedy.NOTHING and path.stat().st_size == len(finished):
            data = path.read_bytes()
            assert data[:28] + data[512:] == finished[:28] + finished[512:]
        assert_sound(path, take, FRAGMENTS)


def test_a_moov_is_rebuilt_as_it_was(takes, mp4):
    for _, finished in takes.values():
        moov = mp4.inside(finished, b"moov")
        movie = read_movie(moov, len(finished))
        tables = {number: track.table for number, track in movie.tracks.items()}
        assert rebuild(moov, tables, None) == mp4.box(b"moov", moov)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_move_that_stopped_at_any_block_loses_nothing(take, path, in_place):
    """File systems move extents from the end of a file to its front."""
    (insert,) = [n for n, operation in enumerate(take.log) if isinstance(operation, Insert)]
    data, length = exactly_after(take.log, insert), take.log[insert].length
    torn = 0
    for block in range(PAGE, len(data) + PAGE, PAGE):
        path.write_bytes(data[:block] + bytes(length) + data[block:])
        examination = repair.examine(path)
        assert examination.complete
        torn += len(examination.torn)
        assert_sound(repaired(path, in_place=in_place), take, FRAGMENTS)
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


def test_fragments_that_do_not_follow_are_of_another_recording(take, unfinished, examine, path):
    """Stale blocks behind the end: what stood there when they belonged to an older file."""
    moofs = places(unfinished, b"moof")
    stale = unfinished[moofs[1] : moofs[2]]
    examination = examine(unfinished + stale)
    assert examination.fragments == FRAGMENTS
    assert_sound(repaired(path, in_place=False), take, FRAGMENTS)


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


def test_what_cannot_be_repaired_is_one_line(call, unfinished, path, film):
    def failed(name, code, *words):
        found, out, err = call(name, "-o", "out.mp4")
        assert (found, out, len(err.splitlines())) == (code, "", 1)
        assert all(word in err for word in words)

    failed(film, 1, "no mark of cammcorder")
    first = places(unfinished, b"moov")[0]
    path.write_bytes(zeroed(unfinished, first, first + 400))
    failed(path, 1, "nothing can be recovered")
    path.write_bytes(b"")
    failed(path, 1, "no mark of cammcorder")
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
