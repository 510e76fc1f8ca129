"""`cammcorder fuse`: the orientation of a clip, worked out again."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from camm import PacketType, Samples, empty_values, frames
from cammcorder.__main__ import main
from muxer import reader
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

GPS_TIME = 1464350418.0  # 2026-06-01 12:00:00 UTC
EVERY = 10_000_000  # ns: 100 Hz
DIP = np.radians(67)


def film(path, *, seconds=60, mag=True, gps=True, course_deg=None, kinds=None, metadata=None):
    """A camera that turns to and fro about 30 degrees of magnetic heading, level.

    Its declination would be some 3 degrees; its type 0 is nonsense.
    """
    t_ns = np.arange(seconds * 100) * EVERY
    s = t_ns / 1e9
    heading = np.radians(30 + 40 * np.sin(s))
    rate = np.radians(40) * np.cos(s)
    zero = np.zeros_like(s)
    down = np.full_like(s, 9.81)
    field = 48 * np.cos(DIP)
    columns = {
        PacketType.ANGLE_AXIS: [zero, zero, zero + 1],
        PacketType.GYRO: [zero, rate, zero],
        PacketType.ACCELERATION: [zero, -down, zero],
    }
    if mag:
        columns[PacketType.MAGNETIC_FIELD] = [
            -field * np.sin(heading),
            zero + 48 * np.sin(DIP),
            field * np.cos(heading),
        ]
    blocks = [Samples(kind, t_ns, np.stack(rows, axis=1)) for kind, rows in columns.items()]
    if gps:
        fixes = empty_values(PacketType.GPS, seconds)
        fixes["gps_fix_type"] = 3
        fixes["latitude"], fixes["longitude"] = 47.4, 8.5
        fixes["time_gps_epoch"] = GPS_TIME + np.arange(seconds)
        if course_deg is not None:
            fixes["velocity_east"] = 5 * np.sin(np.radians(course_deg))
            fixes["velocity_north"] = 5 * np.cos(np.radians(course_deg))
        blocks.append(Samples(PacketType.GPS, np.arange(seconds) * 10**9, fixes))
    if kinds is not None:
        blocks = [block for block in blocks if block.kind in kinds]
    counts = dict.fromkeys(("fused", "waiting", "gaps", "restarts", "bad_gyro", "bad_field"), 0)
    about = MovieDescription(
        datetime(2026, 6, 1, 12, tzinfo=UTC),
        "cammcorder",
        "rig",
        {"fusion": {"filter": "madgwick", "heading": "arbitrary", "declination_deg": 0, **counts}}
        if metadata is None
        else metadata,
    )
    recording = Recording(path, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(seconds * 10**9, about)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film(tmp_path_factory.mktemp("fuse") / "clip.mp4")


def headings(path):
    with reader.open(path) as found:
        heading, pitch, roll = frames.heading_pitch_roll(found.angle_axis.data)
        assert np.abs([pitch, roll]).max() < 0.3
        return found.angle_axis.t_ns / 1e9, heading, found.metadata.get("fusion", {})


def truth(s, about):
    return about + 40 * np.sin(s)


@pytest.mark.parametrize("name", ["vqf-offline", "vqf", "madgwick"])
def test_headings_come_out_from_true_north(clip, tmp_path, name, capsys):
    out = tmp_path / "out.mp4"
    assert main(["fuse", str(clip), "-o", str(out), "--filter", name]) == 0
    assert f"6,000 orientations by {name}, heading from true north" in capsys.readouterr().out
    s, heading, about = headings(out)
    assert about["filter"] == name
    assert about["heading"] == "true north"
    assert about["declination_deg"] == pytest.approx(3.4, abs=0.3)  # Zurich in 2026
    settled = s > (0 if name == "vqf-offline" else 20)
    wanted = truth(s, 30 + about["declination_deg"])
    off = (heading - wanted + 180) % 360 - 180
    assert np.abs(off[settled]).max() < (0.2 if name == "vqf-offline" else 1.5)


def test_nothing_but_orientations_and_the_account_of_them_changes(clip, tmp_path):
    out = tmp_path / "out.mp4"
    main(["fuse", str(clip), "-o", str(out)])
    before, after = (np.frombuffer(path.read_bytes(), "u1").copy() for path in (clip, out))
    with reader.open(clip) as opened:
        for _, place in opened.camm_tracks[0].places(PacketType.ANGLE_AXIS):
            after[place[:, None] + np.arange(16)] = before[place[:, None] + np.arange(16)]
    told = clip.read_bytes().index(b'{"fusion"')
    rows = np.flatnonzero(before != after)
    assert len(rows)
    assert rows.min() >= told
    assert rows.max() < told + len(b'{"fusion": {"bad_field": 0, "bad_gyro": 0, ') + 200


def test_without_a_magnetometer_headings_are_relative_to_nothing(tmp_path):
    path, out = film(tmp_path / "clip.mp4", mag=False), tmp_path / "out.mp4"
    assert main(["fuse", str(path), "-o", str(out)]) == 0
    s, heading, about = headings(out)
    assert about["heading"] == "arbitrary"
    off = (heading - truth(s, heading[0]) + 180) % 360 - 180
    assert np.abs(off).max() < 1


def test_or_to_the_course(tmp_path):
    path, out = film(tmp_path / "clip.mp4", mag=False, course_deg=120), tmp_path / "out.mp4"
    assert main(["fuse", str(path), "-o", str(out), "--align-course"]) == 0
    s, heading, about = headings(out)
    assert about["heading"] == "GPS course"
    assert np.abs(heading - truth(s, 120)).max() < 2


def test_a_rig_that_stands_has_no_course(tmp_path, capsys):
    path, out = film(tmp_path / "clip.mp4", mag=False), tmp_path / "out.mp4"
    assert main(["fuse", str(path), "-o", str(out), "--align-course"]) == 2
    assert "a course takes 5" in capsys.readouterr().err
    assert not out.exists()


def test_without_a_fix_it_is_magnetic_north(tmp_path):
    path, out = film(tmp_path / "clip.mp4", gps=False), tmp_path / "out.mp4"
    main(["fuse", str(path), "-o", str(out)])
    s, heading, about = headings(out)
    assert about["heading"] == "magnetic north"
    assert np.abs((heading - truth(s, 30) + 180) % 360 - 180).max() < 0.2


@pytest.mark.parametrize(("rate", "count"), [("imu", 6000), ("20", 1200)])
def test_there_may_be_as_many_as_one_likes(clip, tmp_path, rate, count):
    out = tmp_path / "out.mp4"
    assert main(["fuse", str(clip), "-o", str(out), "--rate", rate]) == 0
    s, heading, about = headings(out)
    assert len(s) == count
    off = (heading - truth(s, 30 + about["declination_deg"]) + 180) % 360 - 180
    assert np.abs(off).max() < 0.2
    with reader.open(clip) as old, reader.open(out) as new:
        for label in ("gyro", "acceleration", "magnetic_field", "gps"):
            np.testing.assert_array_equal(getattr(new, label).data, getattr(old, label).data)
            np.testing.assert_array_equal(getattr(new, label).t_ns, getattr(old, label).t_ns)


def test_one_for_each_frame_at_its_time(walk, tmp_path):
    out = tmp_path / "out.mp4"
    assert main(["fuse", str(walk.clip), "-o", str(out), "--rate", "frame"]) == 0
    with reader.open(out) as new, reader.open(walk.clip) as old:
        np.testing.assert_array_equal(new.angle_axis.t_ns, np.sort(old.video.pts_ns))
        np.testing.assert_array_equal(new.gyro.data, old.gyro.data)


def test_a_clip_without_orientation_gets_one(tmp_path):
    kinds = (PacketType.GYRO, PacketType.ACCELERATION)
    path, out = film(tmp_path / "clip.mp4", kinds=kinds), tmp_path / "out.mp4"
    assert main(["fuse", str(path), "-o", str(out)]) == 0
    s, _, about = headings(out)
    assert len(s) == 6000
    assert about["heading"] == "arbitrary"


def test_a_clip_that_says_nothing_of_itself_is_told_apart(tmp_path, capsys):
    path, out = film(tmp_path / "clip.mp4", metadata={}), tmp_path / "out.mp4"
    assert main(["fuse", str(path), "-o", str(out)]) == 0
    assert "no room to say so" in capsys.readouterr().out


def test_a_clip_may_be_its_own_output(clip, tmp_path):
    path = tmp_path / "own.mp4"
    shutil.copyfile(clip, path)
    assert main(["fuse", str(path), "-o", str(path)]) == 0
    _, _, about = headings(path)
    assert about["filter"] == "vqf-offline"


def test_another_file_is_not_replaced_unasked(clip, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    assert main(["fuse", str(clip), "-o", str(out)]) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", [PacketType.GYRO, PacketType.ACCELERATION])
def test_what_is_needed_is_said(tmp_path, capsys, kind):
    kinds = {PacketType.GYRO, PacketType.ACCELERATION, PacketType.ANGLE_AXIS} - {kind}
    path = film(tmp_path / "clip.mp4", kinds=kinds)
    assert main(["fuse", str(path), "-o", str(tmp_path / "out.mp4")]) != 0
    assert f"has no {kind.label} (type {kind.value})" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "0"], "--rate is imu, frame or a number"),
        (["--rate", "nan"], "--rate is imu, frame or a number"),
        (["--rate", "frame"], "has no film"),
        (["--filter", "kalman"], "there are: vqf, madgwick"),
    ],
)
def test_what_cannot_be_is_refused(clip, tmp_path, capsys, arguments, said):
    out = tmp_path / "out.mp4"
    assert main(["fuse", str(clip), "-o", str(out), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_the_clip_stays_one(tmp_path):
    path = film(tmp_path / "clip.mp4", seconds=5)
    before = path.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to("clip.mp4")
    assert main(["fuse", str(link), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert path.read_bytes() != before


def test_sigterm_in_the_middle_leaves_the_clip_as_it_was(tmp_path):
    path = film(tmp_path / "clip.mp4", seconds=5)
    before = path.read_bytes()
    # The signal comes while the copy is being written: the first orientations are asked for then.
    script = (
        "import os, signal, sys, fusion.acausal_fuser as a\n"
        "from cammcorder.__main__ import main\n"
        "a.AcausalFuser.flush = lambda self: os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.exit(main(['fuse', sys.argv[1], '-o', sys.argv[1]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 130, done.stderr
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["clip.mp4"]
