"""Other values in the records of one type, and not another byte of the clip changed."""

import os
from datetime import UTC, datetime

import numpy as np
import pytest

from camm import PacketType, Samples
from muxer import reader
from muxer.errors import Mp4Error
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.rewriting import rewrite

LONG = {"fusion": {"filter": "one with a long name", "heading": "magnetic north"}, "other": 1}


def film(path, metadata=LONG, *, finish=True):
    t_ns = np.arange(1000) * 5_000_000
    random = np.random.default_rng(4)
    blocks = [
        Samples(kind, t_ns, random.normal(size=(1000, 3)))
        for kind in (PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.ACCELERATION)
    ]
    about = MovieDescription(datetime(2026, 6, 1, tzinfo=UTC), "cammcorder", "rig", metadata)
    recording = Recording(path, [], about, sources=["imu"], start_ns=0)
    recording.add_samples("imu", blocks, None)
    if finish:
        recording.finish(5_000_000_000, about)
    else:
        recording.advance(5_000_000_000)
        recording.close()
    return path


def at(t_ns):
    """Values that tell their times."""
    return np.stack([t_ns / 1e9, t_ns % 7, np.ones(len(t_ns))], axis=1)


def rewritten(path, out, metadata):
    with reader.open(path) as clip:
        return rewrite(clip, clip.camm_tracks[0], PacketType.ANGLE_AXIS, at, metadata, out)


def test_records_of_one_type_are_others_and_all_else_is_as_it_was(tmp_path):
    path, out = film(tmp_path / "old.mp4"), tmp_path / "new.mp4"
    rewritten(path, out, LONG)
    with reader.open(path) as old, reader.open(out) as new:
        np.testing.assert_array_equal(new.angle_axis.t_ns, old.angle_axis.t_ns)
        np.testing.assert_array_equal(new.angle_axis.data, at(old.angle_axis.t_ns).astype("f4"))
        np.testing.assert_array_equal(new.gyro.data, old.gyro.data)
        places = [place for _, place in old.camm_tracks[0].places(PacketType.ANGLE_AXIS)]
    differs = np.frombuffer(path.read_bytes(), "u1") != np.frombuffer(out.read_bytes(), "u1")
    value = np.concatenate(places)[:, None] + np.arange(4, 16)
    assert differs[value].any(axis=1).all()
    differs[value] = False
    assert not differs.any()


def test_metadata_take_the_place_of_the_old_ones_where_they_fit(tmp_path):
    path, out = film(tmp_path / "old.mp4"), tmp_path / "new.mp4"
    assert rewritten(path, out, {"fusion": {"filter": "x"}})
    with reader.open(out) as new:
        assert new.metadata == {"fusion": {"filter": "x"}}
    assert out.stat().st_size == path.stat().st_size
    assert not rewritten(path, out, {**LONG, "more": "than there is room for"})
    with reader.open(out) as new:
        assert new.metadata == LONG


def test_a_clip_may_be_rewritten_where_it_is_and_keeps_its_time(tmp_path):
    path = film(tmp_path / "old.mp4")
    os.utime(path, ns=(10**18, 10**18))
    rewritten(path, path, LONG)
    assert path.stat().st_mtime_ns == 10**18
    with reader.open(path) as new:
        np.testing.assert_array_equal(new.angle_axis.data[:, 2], 1)
    assert [found.name for found in tmp_path.iterdir()] == ["old.mp4"]


@pytest.mark.parametrize("deleted", [True, False])
def test_a_clip_that_has_gone_meanwhile_does_not_come_back(tmp_path, deleted):
    path = film(tmp_path / "old.mp4")

    def values(t_ns):
        path.unlink(missing_ok=True)
        if not deleted:
            path.write_bytes(b"another")
        return at(t_ns)

    with reader.open(path) as clip, pytest.raises(Mp4Error, match="gone or been replaced"):
        rewrite(clip, clip.camm_tracks[0], PacketType.ANGLE_AXIS, values, LONG, path)
    assert not (deleted and path.exists())
    assert deleted or path.read_bytes() == b"another"
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_left_of_one_that_failed(tmp_path):
    path, out = film(tmp_path / "old.mp4"), tmp_path / "new.mp4"
    before = path.read_bytes()

    def values(t_ns):
        raise KeyboardInterrupt

    with reader.open(path) as clip, pytest.raises(KeyboardInterrupt):
        rewrite(clip, clip.camm_tracks[0], PacketType.ANGLE_AXIS, values, LONG, path)
    assert path.read_bytes() == before
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


def test_a_recording_that_is_not_finished_is_refused(tmp_path):
    path, out = film(tmp_path / "old.mp4", finish=False), tmp_path / "new.mp4"
    with pytest.raises(Mp4Error, match="cammcorder repair"):
        rewritten(path, out, LONG)
    assert not out.exists()
