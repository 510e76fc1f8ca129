"""`cammcorder repair` with a healthy film beside the damaged one, as it is used."""

import hashlib
import json
import random

import pytest
from disk_log import DiskLog, Write, after
from films import (
    bare_payload,
    blank_in_the_middle,
    cut_inside,
    kept,
    mdat_of,
    shoot_film,
    shoot_motion_film,
    without_moov,
)
from takes import KINDS, shoot

from cammcorder.__main__ import main
from muxer.boxes import box

COMPLETE, NOTHING_RECOVERED, REQUEST, PARTIAL = 0, 1, 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    shoot_film(folder / "film.mp4", 1)
    shoot_film(folder / "healthy.mp4", 2, seconds=3.0)
    shoot_film(folder / "sound.m4a", 3, seconds=1.0, pictures=False)
    return folder


@pytest.fixture
def film(folder):
    return folder / "film.mp4"


@pytest.fixture
def healthy(folder):
    return folder / "healthy.mp4"


@pytest.fixture
def damaged(film, tmp_path):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(without_moov(film.read_bytes()))
    return path


@pytest.fixture
def repair(capsys):
    """Run it: exit code, what it said, what it complained of."""

    def run(*arguments):
        code = main(["repair", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def digest(path):
    return hashlib.blake2b(path.read_bytes()).hexdigest()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_film_without_its_index_is_rebuilt_beside_it(film, damaged, healthy, repair):
    before = digest(damaged), digest(healthy)
    code, said, complaint = repair(damaged, "--reference", healthy)
    assert (code, complaint) == (COMPLETE, "")
    assert said.splitlines()[-1] == str(damaged.with_name("damaged.repaired.mp4"))
    assert "100 kept, 0.000 s to 3.960 s" in said
    assert "assumed: frame rates" in said
    assert kept(damaged.with_name("damaged.repaired.mp4")) == kept(film)
    assert (digest(damaged), digest(healthy)) == before
    assert names(damaged.parent) == ["damaged.mp4", "damaged.repaired.mp4"]


def test_what_is_lost_is_told_and_the_exit_code_says_partly(film, healthy, tmp_path, repair):
    path, report = tmp_path / "damaged.mp4", tmp_path / "report.json"
    path.write_bytes(blank_in_the_middle(film.read_bytes()))
    code, said, _ = repair(path, "--reference", healthy, "--report", report)
    assert code == PARTIAL
    assert "  lost: " in said
    told = json.loads(report.read_text())
    assert told["recovered"] is True
    assert told["complete"] is False
    assert told["reference"] == str(healthy)
    assert told["gaps"][0]["reason"]
    assert [track["codec"] for track in told["tracks"]] == ["avc1", "mp4a"]
    assert told["tracks"][0]["stretches"][0]["kept"] is True
    assert told["unable"] == {}


def test_a_dry_run_writes_nothing(damaged, healthy, repair):
    before = digest(damaged)
    for options in ((), ("--in-place",)):
        code, said, _ = repair(damaged, "--reference", healthy, "--dry-run", *options)
        assert code == COMPLETE
        assert "100 kept" in said
        assert names(damaged.parent) == ["damaged.mp4"]
        assert digest(damaged) == before
    assert "append a moov at byte" in said


def test_a_healthy_film_is_left_alone(film, healthy, folder, repair):
    before = names(folder)
    for options in ((), ("--reference", healthy), ("--in-place",)):
        code, said, _ = repair(film, *options)
        assert code == COMPLETE
        assert "nothing to repair" in said
    assert names(folder) == before


def test_films_named_the_wrong_way_round_are_told_apart(film, damaged, healthy, repair):
    code, said, _ = repair(healthy, "--reference", damaged)
    assert code == COMPLETE
    assert "the other way round" in said.splitlines()[0]
    assert kept(damaged.with_name("damaged.repaired.mp4")) == kept(film)


def test_in_place_they_have_to_be_named_right(damaged, healthy, repair):
    before = digest(damaged), digest(healthy)
    code, _, complaint = repair(healthy, "--reference", damaged, "--in-place")
    assert code == REQUEST
    assert "name the damaged one first" in complaint
    assert (digest(damaged), digest(healthy)) == before


def test_without_an_index_a_reference_is_asked_for(damaged, repair):
    code, said, complaint = repair(damaged)
    assert (code, said) == (REQUEST, "")
    assert "--reference HEALTHY" in complaint
    assert complaint.count("\n") == 1


def test_a_reference_has_to_be_healthy_itself(damaged, tmp_path, repair):
    other = tmp_path / "other.mp4"
    other.write_bytes(damaged.read_bytes())
    code, _, complaint = repair(damaged, "--reference", other)
    assert code == REQUEST
    assert "name another one" in complaint
    assert repair(damaged, "--reference", tmp_path / "none.mp4")[0] == REQUEST


def test_a_reference_of_another_kind_is_one_clear_line(folder, healthy, tmp_path, repair):
    path, report = tmp_path / "sound.m4a", tmp_path / "report.json"
    path.write_bytes(without_moov((folder / "sound.m4a").read_bytes()))
    code, _, complaint = repair(path, "--reference", healthy, "--report", report)
    assert code == NOTHING_RECOVERED
    assert "no samples like those of" in complaint
    assert complaint.count("\n") == 1
    assert names(tmp_path) == ["report.json", "sound.m4a"]


def test_neither_film_is_ever_written_over(damaged, healthy, repair):
    before = digest(damaged), digest(healthy)
    for option, path in (("-o", damaged), ("-o", healthy), ("--report", healthy)):
        code, _, complaint = repair(damaged, "--reference", healthy, option, path, "--force")
        assert code == REQUEST
        assert "name another" in complaint
    assert (digest(damaged), digest(healthy)) == before


def test_nothing_is_replaced_without_force(damaged, healthy, tmp_path, repair):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"mine")
    assert repair(damaged, "--reference", healthy, "-o", out)[0] == REQUEST
    assert out.read_bytes() == b"mine"
    assert repair(damaged, "--reference", healthy, "-o", out, "--force")[0] == COMPLETE
    assert out.read_bytes() != b"mine"


def test_our_own_recordings_need_no_reference(healthy, tmp_path, repair):
    shoot(tmp_path, KINDS[1])
    path = tmp_path / "take.mp4"
    path.write_bytes(path.read_bytes()[:30_000])
    code, said, _ = repair(path, "--reference", healthy)
    assert code == PARTIAL
    assert "build a new moov for the samples that are left" in said


def test_of_our_own_a_reference_finds_what_no_moov_describes_any_more(tmp_path, repair):
    for name, seed in (("film", 1), ("other", 2)):
        shoot_motion_film(tmp_path / f"{name}.mp4", seed)
    healthy, path = tmp_path / "other.recorded.mp4", tmp_path / "film.recorded.mp4"
    data = bytearray(path.read_bytes())
    while (at := data.find(b"moov")) >= 0:
        size = int.from_bytes(data[at - 4 : at])
        data[at - 4 : at - 4 + size] = bytes(size)
    path.write_bytes(data)
    assert repair(path)[0] == NOTHING_RECOVERED
    code, _, _ = repair(path, "--reference", healthy)
    assert code == PARTIAL
    there = kept(path.with_name("film.recorded.repaired.mp4"))[0]
    assert [row[3] for row in there] == [row[3] for row in kept(tmp_path / "film.mp4")[0]]


# In place


def test_in_place_it_says_what_it_will_do_and_does_it(film, damaged, healthy, repair):
    code, said, _ = repair(damaged, "--reference", healthy, "--in-place")
    assert code == COMPLETE
    assert f"append a moov at byte {len(without_moov(film.read_bytes())):,}" in said
    assert kept(damaged) == kept(film)
    assert names(damaged.parent) == ["damaged.mp4"]


def test_in_place_without_room_for_a_header_asks_for_a_new_file(film, healthy, tmp_path, repair):
    path = tmp_path / "bare.mp4"
    path.write_bytes(bare_payload(film.read_bytes()))
    before = digest(path)
    code, _, complaint = repair(path, "--reference", healthy, "--in-place")
    assert code == REQUEST
    assert "repair it to a new file" in complaint
    assert digest(path) == before


@pytest.mark.parametrize("damage", ["cut", "across two sectors", "moved"])
def test_a_power_cut_during_it_leaves_a_film_that_can_be_repaired(
    folder, healthy, tmp_path, monkeypatch, repair, damage
):
    """However the writes since the last sync have reached the disk."""
    if damage == "cut":
        start = cut_inside((folder / "film.mp4").read_bytes())
    elif damage == "across two sectors":
        whole = without_moov((folder / "film.mp4").read_bytes())
        at = mdat_of(whole)[0]
        start = whole[:at] + box(b"free", bytes(510 - at - 8)) + bytes(4) + whole[at + 4 :]
    else:  # a moov in front that is whole and wrong
        shoot_film(tmp_path / "fast.mp4", 1, options={"movflags": "+faststart"})
        whole = (tmp_path / "fast.mp4").read_bytes()
        at = mdat_of(whole)[0]
        start = whole[:at] + box(b"free", bytes(500)) + whole[at:]
    path = tmp_path / "film.mp4"
    path.write_bytes(start)
    with monkeypatch.context() as patch:
        disk = DiskLog(patch, path)
        code, _, _ = repair(path, "--reference", healthy, "--in-place")
    assert code in {COMPLETE, PARTIAL}
    there = kept(path)
    writes = [operation for operation in disk.log if isinstance(operation, Write)]
    assert writes[0].at == len(start)
    assert all(len(write.data) <= 8 for write in writes[1:])
    chance = random.Random(3)  # noqa: S311 - no secret
    for count in range(len(disk.log) + 1):
        for _ in range(4):
            path.write_bytes(after(disk.log, count, chance, start).data)
            repair(path, "--reference", healthy, "--in-place")
            pictures, sound = kept(path)
            assert pictures == there[0]
            # Before half of a moov the last packet of sound cannot be told from what is none.
            assert sound[: len(there[1]) - 1] == there[1][:-1]
            assert abs(len(sound) - len(there[1])) <= 1
