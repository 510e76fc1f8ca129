"""Films whose index is lost are rebuilt, sample by sample, at their exact places and times."""

import struct
from dataclasses import replace

import numpy as np
import pytest
from films import (
    DAMAGES,
    bare_payload,
    blank_in_the_middle,
    cut_inside,
    kept,
    mdat_of,
    packets,
    shoot_film,
    shoot_motion_film,
    surviving,
    without_moov,
)

from camm import UsageError
from muxer import reader
from muxer.boxes import box, children
from muxer.salvage import report
from muxer.salvage.reference import Reference
from muxer.salvage.rescue import is_healthy, rescue
from muxer.salvage.salvage import salvage
from muxer.salvage.shifted import mended
from muxer.salvage.write import write_in_place, write_new

LONG = (1 << 32) + 4096
BLANK = "blank_in_the_middle"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="module")
def film(folder):
    shoot_film(folder / "film.mp4", 1)
    return folder / "film.mp4"


@pytest.fixture(scope="module")
def other_film(folder):
    """Another one of the same camera."""
    shoot_film(folder / "other.mp4", 2, seconds=3.0)
    return folder / "other.mp4"


@pytest.fixture(scope="module")
def motion_film(folder):
    shoot_motion_film(folder / "motion.mp4", 1)
    return folder / "motion.mp4"


@pytest.fixture(scope="module")
def other_motion_film(folder):
    shoot_motion_film(folder / "other_motion.mp4", 2)
    return folder / "other_motion.mp4"


@pytest.fixture
def repaired(tmp_path):
    """Repair these bytes; the findings and the new file."""

    def run(data, reference=None):
        path, out = tmp_path / "damaged.mp4", tmp_path / "repaired.mp4"
        path.write_bytes(data)
        found = rescue(path, reference)
        write_new(found.rescued, out)
        assert path.read_bytes() == data
        return found.findings, out

    return run


def records(path):
    """(byte, size, time) of the motion records, as our reader has them."""
    with reader.open(path) as clip:
        (track,) = clip.camm_tracks
        table = track.table
        return table.offset.tolist(), table.size.tolist(), track.pts_ns.tolist()


def missing(before, after):
    """How many are not there; nothing else may be, nor in another order or at another time."""
    left = iter(before)
    assert all(row in left for row in after)
    return len(before) - len(after)


def front(data):
    return mdat_of(data)[1]


# A healthy file of the same camera


@pytest.mark.parametrize("damage", DAMAGES)
def test_all_that_survives_is_there_at_its_time(film, other_film, repaired, damage):
    whole = film.read_bytes()
    damaged = DAMAGES[damage](whole)
    findings, out = repaired(damaged, other_film)
    there = surviving(film, damaged, -front(whole) if damage == "bare_payload" else 0)
    recorded = {row[3] for stream in kept(film) for row in stream}
    # Of what touches the damage it cannot always be told whether it is whole.
    doubtful = damage in {BLANK, "cut_inside", "zeros_behind"}
    for before, after in zip(there, kept(out), strict=True):
        as_recorded = [row for row in after if row[3] in recorded]
        assert len(after) - len(as_recorded) <= doubtful
        assert missing(before, as_recorded) <= doubtful
    assert findings.complete == (damage not in {BLANK, "cut_inside", "zeros_behind"})


@pytest.mark.parametrize("damage", DAMAGES)
def test_motion_is_there_at_its_time(motion_film, other_motion_film, repaired, damage):
    whole = motion_film.read_bytes()
    damaged = DAMAGES[damage](whole)
    moved = -front(whole) if damage == "bare_payload" else 0
    _, out = repaired(damaged, other_motion_film)
    data = out.read_bytes()

    def contents(path, source, shift=0):
        rows = zip(*records(path), strict=True)
        return [(source[at + shift : at + shift + size], t) for at, size, t in rows]

    healthy = zip(contents(motion_film, whole), contents(motion_film, damaged, moved), strict=True)
    there = [row for row, left in healthy if row == left]
    assert missing(there, contents(out, data)) == 0


def test_a_repaired_film_has_its_moov_in_front_and_the_media_once(film, other_film, repaired):
    damaged = without_moov(film.read_bytes())
    _, out = repaired(damaged, other_film)
    data = out.read_bytes()
    kinds = [found.kind for found in children(data)]
    assert kinds == [b"ftyp", b"free", b"moov", b"free", b"mdat"]
    assert len(data) < len(damaged) + (1 << 14)
    assert data.count(film.read_bytes()[front(damaged) : front(damaged) + 64]) == 1


def test_media_keep_their_place_within_a_block(film, other_film, repaired):
    """File systems share whole blocks."""
    _, out = repaired(without_moov(film.read_bytes()), other_film)
    moved = {
        after[3] - before[3]
        for stream, found in zip(packets(film), packets(out), strict=True)
        for before, after in zip(stream, found, strict=True)
    }
    assert len(moved) == 1
    assert moved.pop() % 4096 == 0


def test_where_and_when_the_healthy_film_was_taken_is_not_said_of_another(
    film, other_film, tmp_path, repaired
):
    whole = other_film.read_bytes()
    at = mdat_of(whole)[2]
    place = box(b"udta", box(b"\xa9xyz", b"+48.2+016.4/"), box(b"manu", b"Maker"))
    moov = box(b"moov", whole[at + 8 :], place, box(b"uuid", b"0123456789abcdef", b"a take"))
    taken = tmp_path / "taken.mp4"
    taken.write_bytes(whole[:at] + moov)
    data = repaired(without_moov(film.read_bytes()), taken)[1].read_bytes()
    assert b"Maker" in data
    assert b"+48.2" not in data
    assert b"a take" not in data


def test_damage_is_told_with_its_bytes_and_times(film, other_film, repaired):
    whole = film.read_bytes()
    findings, _ = repaired(blank_in_the_middle(whole), other_film)
    (gap,) = findings.gaps
    blank = front(whole) + (len(without_moov(whole)) - front(whole)) * 3 // 5
    assert gap.start < blank + 512
    assert gap.end >= blank + 4096
    video, sound = findings.tracks
    assert video.kept + video.lost == 100
    assert abs(sound.kept + sound.lost - 189) <= 1
    assert gap.from_ns < gap.until_ns
    assert [stretch.assumed != "" for stretch in video.stretches] == [False, True]
    assert 0 < video.smeared < 24
    report = findings.report()
    assert report["tracks"][0]["kept"] == video.kept
    assert report["tracks"][0]["last_s"] == pytest.approx(3.96)
    assert report["reference"] == str(other_film)


def test_zeros_inside_of_a_picture_that_is_kept_are_told(film, other_film, repaired):
    whole = without_moov(film.read_bytes())
    key = max(packets(film)[0], key=lambda packet: len(packet[4]))
    at = -(-(key[3] + 1000) // 512) * 512
    assert at + 1024 < key[3] + len(key[4])
    findings, out = repaired(whole[:at] + bytes(512) + whole[at + 512 :], other_film)
    video, sound = findings.tracks
    assert (video.kept, video.blank, sound.blank) == (100, 1, 0)
    assert not findings.complete
    assert missing(kept(film)[1], kept(out)[1]) == 0


def test_tracks_that_nothing_recognises_are_told(film, other_film, tmp_path):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(without_moov(film.read_bytes()))
    found = salvage(path, Reference.read(other_film))
    findings = report.carved(
        replace(found, unable={3: "no two samples are alike"}),
        "rebuild",
        np.empty((0, 2), np.int64),
    )
    assert findings.recovered
    assert not findings.complete
    assert findings.report()["unable"] == {"3": "no two samples are alike"}


def test_a_reference_of_another_kind_brings_nothing(film, motion_film, folder, tmp_path):
    shoot_film(folder / "sound.m4a", 1, pictures=False)
    (tmp_path / "damaged.mp4").write_bytes(without_moov((folder / "sound.m4a").read_bytes()))
    found = rescue(tmp_path / "damaged.mp4", motion_film)
    assert found.rescued is None
    assert "no samples like those of" in found.failure


# Its own moov


def test_a_healthy_film_is_left_alone(film, other_film, motion_film):
    for path in (film, motion_film):
        assert is_healthy(path)
        found = rescue(path, other_film)
        assert found.rescued is None
        assert found.findings.remedy == "nothing to repair"
        assert found.findings.complete


@pytest.mark.parametrize("by", [1000, -8])
def test_media_that_were_moved_are_found_by_the_tables(film, repaired, by):
    """An editor has put something before the media, or taken it away; the tables stayed."""
    whole = film.read_bytes()
    at, _, _ = mdat_of(whole)
    assert whole[at - 8 : at] == box(b"free")
    before = box(b"free", bytes(by - 8)) if by > 0 else b""
    damaged = whole[: at + min(by, 0)] + before + whole[at:]
    findings, out = repaired(damaged)
    assert findings.complete
    assert f"{by:+,} bytes" in findings.remedy
    assert kept(out) == kept(film)


def test_a_film_that_is_cut_behind_its_moov_keeps_its_exact_times(folder, repaired):
    fast = folder / "fast.mp4"
    shoot_film(fast, 1, options={"movflags": "+faststart"})
    whole = fast.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    damaged = cut_inside(whole)
    findings, out = repaired(damaged)
    assert kept(out) == surviving(fast, damaged)
    assert not findings.complete
    assert [found.kept + found.lost for found in findings.tracks] == [100, 189]


def test_another_makers_fragments_are_left_alone_or_brought_to_an_end(folder, repaired):
    path = folder / "fragments.mp4"
    shoot_film(path, 1, options={"movflags": "+frag_keyframe+empty_moov"})
    assert rescue(path, None).rescued is None
    whole = path.read_bytes()
    damaged = whole[: len(whole) * 7 // 10]
    findings, out = repaired(damaged)
    assert "fragments are damaged" in findings.remedy
    assert b"moof" not in [found.kind for found in children(out.read_bytes())]
    there = surviving(path, damaged)
    assert [len(stream) > 50 for stream in there] == [True, True]
    assert [missing(*both) for both in zip(there, kept(out), strict=True)] == [0, 0]


def test_a_moov_that_no_box_leads_to_is_found(film, repaired):
    whole = film.read_bytes()
    at, _, _ = mdat_of(whole)
    findings, out = repaired(whole[:at] + struct.pack(">I", 3000) + whole[at + 4 :])
    assert findings.complete
    assert kept(out) == kept(film)


def test_a_sample_description_that_was_emptied_is_restored(motion_film, repaired):
    """As FFmpeg leaves motion tracks when it copies them to a MOV."""
    whole = motion_film.read_bytes()
    stsd = struct.pack(">I4sII", 32, b"stsd", 0, 1) + struct.pack(">I4s6xH", 16, b"camm", 1)
    empty = struct.pack(">I4sII", 16, b"stsd", 0, 0) + struct.pack(">I4s8x", 16, b"free")
    assert whole.count(stsd) == 1
    findings, out = repaired(whole.replace(stsd, empty))
    assert findings.complete
    assert "sample description" in findings.remedy
    assert records(out)[1:] == records(motion_film)[1:]
    assert kept(out)[0] == kept(motion_film)[0]
    with reader.open(out) as clip:
        assert clip.camm_tracks[0].recognised_by == "camm"
        assert clip.camm_tracks[0].handler.kind == b"meta"


def test_a_sample_description_of_which_nothing_tells_is_no_reason_to_write(film, tmp_path):
    whole = film.read_bytes()
    at = whole.index(b"mp4a") - 4
    size = int.from_bytes(whole[at : at + 4])
    path = tmp_path / "emptied.mp4"
    hidden = struct.pack(">I4s", size, b"free") + bytes(size - 8)
    stsd = struct.pack(">I4s", 16, b"stsd") + bytes(8)
    path.write_bytes(whole[: at - 16] + stsd + hidden + whole[at + size :])
    found = rescue(path, None)
    assert found.rescued is None
    assert not found.findings.complete
    assert list(found.findings.unable) == [2]


def test_tables_that_fit_nothing_are_not_believed(film, other_film, tmp_path, repaired):
    """A moov of another film."""
    wrong = (
        without_moov(film.read_bytes())
        + other_film.read_bytes()[mdat_of(other_film.read_bytes())[2] :]
    )
    findings, out = repaired(wrong, other_film)
    assert findings.reference == str(other_film)
    assert kept(out)[0] == kept(film)[0]


def test_pictures_are_found_by_a_wrong_moov_alone(film, other_film, repaired):
    wrong = (
        without_moov(film.read_bytes())
        + other_film.read_bytes()[mdat_of(other_film.read_bytes())[2] :]
    )
    _, out = repaired(wrong)
    assert [row[3] for row in kept(out)[0]] == [row[3] for row in kept(film)[0]]


# In place


@pytest.mark.parametrize("damage", ["without_moov", "size_zero", "size_wrong", "cut_inside", BLANK])
def test_in_place_as_to_a_new_file(film, other_film, repaired, tmp_path, damage):
    damaged = DAMAGES[damage](film.read_bytes())
    _, out = repaired(damaged, other_film)
    path = tmp_path / "in_place.mp4"
    path.write_bytes(damaged)
    write_in_place(rescue(path, other_film).rescued)
    assert kept(path) == kept(out)
    assert is_healthy(path)


def test_in_place_a_wrong_moov_in_front_counts_no_more(folder, tmp_path):
    fast = folder / "front.mp4"
    shoot_film(fast, 1, options={"movflags": "+faststart"})
    whole = fast.read_bytes()
    at = mdat_of(whole)[0]
    path = tmp_path / "damaged.mp4"
    path.write_bytes(whole[:at] + box(b"free", bytes(500)) + whole[at:])
    write_in_place(rescue(path, None).rescued)
    assert kept(path) == kept(fast)
    assert [found.kind for found in children(path.read_bytes())].count(b"moov") == 1


def test_media_without_a_header_cannot_be_repaired_in_place(film, other_film, tmp_path):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(bare_payload(film.read_bytes()))
    before = path.read_bytes()
    found = rescue(path, other_film)
    with pytest.raises(UsageError, match="new file"):
        write_in_place(found.rescued)
    assert path.read_bytes() == before


@pytest.mark.parametrize("room", [b"", struct.pack(">I4s", 8, b"wide"), box(b"free", bytes(40))])
def test_more_than_4_gib_in_place_needs_room_for_a_longer_header(film, other_film, tmp_path, room):
    """A film with a long hole behind its media: nobody has to write it."""
    whole = film.read_bytes()
    _, body, end = mdat_of(whole)
    ftyp = whole[: whole.index(b"free") - 4]
    path = tmp_path / "long.mp4"
    path.write_bytes(ftyp + room + bytes(4) + b"mdat" + whole[body:end])
    found = rescue(path, other_film)
    with path.open("r+b") as file:
        file.truncate(LONG)
    longer = replace(found.rescued, size=LONG)
    if not room:
        with pytest.raises(UsageError, match="header of 32 bits"):
            write_in_place(longer)
        return
    write_in_place(longer)
    assert kept(path) == kept(film)


def test_offsets_over_4_gib_are_64_bit_ones():
    stco = struct.pack(">I4sIII", 20, b"stco", 0, 1, 5000)
    moov = box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", box(b"minf", box(b"stbl", stco))))
    assert b"co64" in mended(moov, 1 << 32, {})
    assert b"stco" in mended(moov, 1 << 31, {})
    assert np.frombuffer(mended(moov, 1 << 32, {})[-8:], ">u8") == (1 << 32) + 5000
