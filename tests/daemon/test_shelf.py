"""Clips in a folder: names, protection, room, and what a power cut has left."""

import os
from datetime import UTC, datetime, timedelta

import av
import pytest

from camm import Packet, StreamFormat, UsageError
from daemon.shelf import Shelf
from muxer.assembly import Piece
from muxer.clip_writer import ClipWriter
from muxer.recording_file import MovieDescription

BOOT = "1f3a9c02"
UTC_0 = datetime(2026, 11, 20, 15, 28, 3, 200_000, tzinfo=UTC)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "clips", BOOT)


def put(shelf, name, size=1000, age=0.0):
    path = shelf.folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_a_clip_is_called_after_its_utc_or_its_boot(shelf):
    assert shelf.new(UTC_0, 0).name == "2026-11-20T15-28-03Z.unfinished.mp4"
    almost = UTC_0 - timedelta(milliseconds=201)
    assert shelf.new(almost, 0).name == "2026-11-20T15-28-03Z.unfinished.mp4"
    assert shelf.new(None, 412_900_000_000).name == "boot-1f3a9c02-000412s.unfinished.mp4"


def test_no_name_is_given_twice(shelf):
    names = []
    for _ in range(3):
        path = shelf.new(UTC_0, 0)
        path.touch()
        names.append(path.name)
    final = [shelf.finished(shelf.folder / name) for name in names]
    assert [path.name for path in final] == [
        "2026-11-20T15-28-03Z.mp4",
        "2026-11-20T15-28-03Z-2.mp4",
        "2026-11-20T15-28-03Z-3.mp4",
    ]
    put(shelf, final[0].name)
    assert shelf.finished(shelf.folder / names[0]).name == "2026-11-20T15-28-03Z-2.mp4"
    assert shelf.new(UTC_0, 0).name == "2026-11-20T15-28-03Z-4.unfinished.mp4"


def test_clips_are_dated_when_the_time_is_known(shelf):
    put(shelf, "boot-1f3a9c02-000412s.mp4", age=60)
    put(shelf, "boot-1f3a9c02-000412s.mp4.protected", 0)
    put(shelf, "boot-1f3a9c02-000412s-2.mp4")
    put(shelf, "boot-deadbeef-000412s.mp4")
    put(shelf, "boot-1f3a9c02-000500s.unfinished.mp4")
    renamed = shelf.date(lambda t_ns: UTC_0 + timedelta(microseconds=t_ns // 1000))
    assert renamed == {
        "boot-1f3a9c02-000412s.mp4": "2026-11-20T15-34-55Z.mp4",
        "boot-1f3a9c02-000412s-2.mp4": "2026-11-20T15-34-55Z-2.mp4",
    }
    dated = shelf.find(renamed["boot-1f3a9c02-000412s.mp4"])
    assert dated.protected
    assert not shelf.find(renamed["boot-1f3a9c02-000412s-2.mp4"]).protected
    assert shelf.find("boot-deadbeef-000412s").size == 1000  # of another boot: nobody knows when
    assert shelf.find("boot-1f3a9c02-000500s.unfinished.mp4").unfinished


def test_room_is_made_of_the_oldest_that_may_go(shelf, monkeypatch):
    for number in range(6):
        put(shelf, f"{number}.mp4", age=60 - number)
    put(shelf, "0.unfinished.mp4", age=99)
    shelf.protect("1", protected=True)

    def free():
        return 10_000 - sum(path.stat().st_size for path in shelf.folder.glob("*.mp4"))

    monkeypatch.setattr(shelf, "free", free)
    assert [clip.name for clip in shelf.make_room(3_000)] == []
    assert [clip.name for clip in shelf.make_room(5_500)] == ["0.mp4", "2.mp4", "3.mp4"]
    assert [clip.name for clip in shelf.make_room(99_999)] == ["4.mp4", "5.mp4"]
    assert {clip.name for clip in shelf.clips()} == {"1.mp4", "0.unfinished.mp4"}


def test_what_is_protected_or_in_the_making_is_not_deleted(shelf):
    put(shelf, "a.mp4")
    put(shelf, "b.unfinished.mp4")
    assert shelf.protect("a", protected=True).protected
    assert shelf.protect("a", protected=True).protected
    with pytest.raises(UsageError, match=r"a\.mp4 is protected: take"):
        shelf.delete("a")
    with pytest.raises(UsageError, match="not finished"):
        shelf.delete("b.unfinished")
    assert not shelf.protect("a", protected=False).protected
    assert not shelf.protect("a", protected=False).protected
    shelf.delete("a.mp4")
    assert [clip.name for clip in shelf.clips()] == ["b.unfinished.mp4"]


@pytest.mark.parametrize("name", ["../a.mp4", "/etc/passwd", "", ".", "..", "a.mp4/", "a\0.mp4"])
def test_no_name_leads_out_of_the_folder(shelf, name):
    put(shelf, "a.mp4")
    (shelf.folder.parent / "a.mp4").touch()
    for act in (shelf.find, shelf.delete, lambda n: shelf.protect(n, protected=True)):
        with pytest.raises(UsageError, match=r"no clip is called .*; the newest is a\.mp4"):
            act(name)


def cut_off(path, seconds, torn=b""):
    """A recording that nobody finished."""
    about = MovieDescription(None, "Maker", "Model", {"unfinished": True})
    clip = ClipWriter(path, [StreamFormat("video", "mjpeg", 1000, width=16, height=16)], about, 0)
    for second in range(seconds):
        begin = second * 10**9
        pictures = [
            Packet(0, b"\xff\xd8 picture", begin + n * 10**8, begin + n * 10**8, 10**8)
            for n in range(10)
        ]
        clip.write(Piece(begin, begin + 10**9, [pictures], []))
    clip.close()
    with path.open("ab") as file:
        file.write(torn)


def test_what_a_power_cut_has_left_is_finished(shelf):
    cut_off(shelf.new(UTC_0, 0), 3)
    cut_off(shelf.folder / "torn.unfinished.mp4", 2, b"\0\0\1\0moof" + bytes(40))
    alien = put(shelf, "alien.unfinished.mp4")
    put(shelf, "done.mp4")
    told = []
    recovered = {r.path.name: r for r in shelf.recover(told.append)}
    assert sorted(told) == sorted(recovered)
    assert recovered["2026-11-20T15-28-03Z.unfinished.mp4"].clip == "2026-11-20T15-28-03Z.mp4"
    assert recovered["2026-11-20T15-28-03Z.unfinished.mp4"].complete
    assert recovered["torn.unfinished.mp4"].clip == "torn.mp4"
    assert recovered["torn.unfinished.mp4"].told == "2 of 2 fragments"
    assert recovered["alien.unfinished.mp4"].clip is None
    assert "no mark of cammcorder" in recovered["alien.unfinished.mp4"].told
    assert alien.read_bytes() == bytes(1000)
    with av.open(str(shelf.folder / "2026-11-20T15-28-03Z.mp4")) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 30
    assert [r.path.name for r in shelf.recover()] == ["alien.unfinished.mp4"]
