"""Clips are refined one after another in processes of their own, and none is ever harmed."""

import logging
import shutil
import subprocess
import sys
import threading

import pytest

from daemon.refiner import _NICE, Refiner, clear
from daemon.shelf import Shelf
from muxer import reader

WELL = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(b'better')"
ILL = "import sys; sys.exit('cammcorder: it has no gyro (type 2)')"
LONG = "import sys, time, pathlib; pathlib.Path(sys.argv[1] + '.begun').touch(); time.sleep(600)"


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"as it was")
    return path


def refined(script, *clips, keep_free=0):
    """Refine and wait for the end of it, but not by closing, which would cut it short."""
    refiner = Refiner(keep_free, (sys.executable, "-c", script))
    try:
        for clip in clips:
            refiner.refine(clip)
        refiner._waiting.put(None)
        refiner._thread.join()
    finally:
        refiner.close()


def test_clips_are_refined_in_turn(clip, tmp_path, caplog):
    other = tmp_path / "other.mp4"
    other.write_bytes(b"as it was")
    caplog.set_level(logging.INFO)
    refined(WELL, clip, other)
    assert clip.read_bytes() == other.read_bytes() == b"better"
    assert "clip.mp4: orientation worked out again" in caplog.text


def test_one_that_fails_is_told_and_the_next_is_done(clip, tmp_path, caplog):
    other = tmp_path / "other.mp4"
    refined(ILL, tmp_path / "gone.mp4", clip)
    assert "gone.mp4 stays as it was filmed: No such file" in caplog.text
    assert "clip.mp4 stays as it was filmed: cammcorder: it has no gyro" in caplog.text
    assert clip.read_bytes() == b"as it was"
    assert not other.exists()


@pytest.mark.parametrize("ours", ["-10", "0", "5"])
def test_it_is_as_nice_as_can_be_whatever_the_service_is(ours):
    """Where this is not root, -10 is 0 as well."""
    command = ["nice", "-n", ours, *_NICE, "nice"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "19\n"


def test_without_room_for_a_copy_nothing_is_begun(clip, caplog):
    caplog.set_level(logging.INFO)
    refined(WELL, clip, keep_free=1 << 60)
    assert "no room for a copy" in caplog.text
    assert clip.read_bytes() == b"as it was"


def test_without_nice_there_is_a_warning(clip, caplog):
    refiner = Refiner(0, ("no-such-command-at-all",))
    refiner.refine(clip)
    refiner._waiting.put(None)
    refiner._thread.join()
    refiner.close()
    assert "clip.mp4 stays as it was filmed" in caplog.text


def test_closing_ends_the_one_at_work_and_begins_no_other(clip, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(b"as it was")
    refiner = Refiner(0, (sys.executable, "-c", LONG))
    refiner.refine(clip)
    refiner.refine(other)
    begun = tmp_path / "clip.mp4.begun"
    waiting = threading.Event()
    while not begun.exists():
        waiting.wait(0.02)
    refiner.close()
    assert not (tmp_path / "other.mp4.begun").exists()
    assert clip.read_bytes() == b"as it was"


def test_what_is_left_of_copies_goes_and_nothing_else(clip, tmp_path):
    (tmp_path / ".clip.mp4.123.part").write_bytes(b"half")
    (tmp_path / ".hidden.mp4").write_bytes(b"x")
    clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden.mp4", "clip.mp4"]


def test_a_shelf_tells_of_each_clip_that_has_become_whole(tmp_path):
    told = []
    shelf = Shelf(tmp_path, "1f3a9c02", told.append)
    path = shelf.new(None, 412_000_000_000)
    path.write_bytes(b"a clip")
    assert told == []
    final = shelf.finish(path)
    assert told == [final]
    assert list(tmp_path.iterdir()) == [final]


def test_a_real_clip_is_refined_where_it_is(walk, tmp_path, caplog):
    path = tmp_path / "clip.mp4"
    shutil.copyfile(walk.clip, path)
    refiner = Refiner(0)
    refiner.refine(path)
    refiner._waiting.put(None)
    refiner._thread.join()
    refiner.close()
    with reader.open(path) as found, reader.open(walk.clip) as before:
        assert found.metadata["fusion"]["filter"] == "vqf-offline"
        assert before.metadata["fusion"]["filter"] == "vqf"
        assert found.metadata["sources"] == before.metadata["sources"]
    assert caplog.text == ""
