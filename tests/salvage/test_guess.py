"""Without a healthy file: pictures that bring their parameter sets with them, and motion."""

import struct

import numpy as np
import pytest

from muxer.boxes import find
from muxer.errors import Mp4Error
from muxer.salvage.guess import guessed
from muxer.salvage.salvage import salvage
from muxer.source import LocalFile

GYRO, GPS, FIELD = 2, 6, 7
COUNT = 75


@pytest.fixture(scope="module")
def pictures(encode_pictures):
    """With their parameter sets before each key frame, behind lengths; as (bytes, shown, key)."""
    options = {"flags": "+bitexact", "g": "25", "bf": "0", "threads": "1"}
    packets, _ = encode_pictures("libx264", COUNT, **options)
    return [(_with_lengths(data), shown, key) for data, shown, key in packets]


@pytest.fixture(scope="module")
def pictures_of_h265(encode_pictures):
    tuned = "log-level=none:pools=1:frame-threads=1:bframes=0:keyint=25:repeat-headers=1"
    options = {"flags": "+bitexact", "x265-params": tuned}
    packets, _ = encode_pictures("libx265", COUNT, **options)
    return [(_with_lengths(data), shown, key) for data, shown, key in packets]


def _with_lengths(data):
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]
    return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)


def record(kind, *values):
    body = struct.pack(f"<{len(values)}f", *values)
    return struct.pack("<HH", 0, kind) + body


def fix(gps_s):
    return struct.pack("<HHd", 0, GPS, gps_s) + bytes(48)


def motion(number, seconds, rng):
    """Of the time of one picture: four turn rates, a field, and now and then a fix."""
    parts = [record(GYRO, *rng.normal(size=3)) for _ in range(4)]
    parts.append(record(FIELD, *rng.normal(size=3)))
    if number % 5 == 0:
        parts.append(fix(1_400_000_000 + seconds))
    return parts


def film(pictures, *, rate=25.0, with_motion=True):
    """As it lies in the media, and where the samples of the two tracks begin."""
    rng = np.random.default_rng(1)
    parts, kinds = [], []
    for number, (data, _, _) in enumerate(pictures):
        parts.append(data)
        kinds.append(0)
        if with_motion:
            records = motion(number, number / rate, rng)
            parts += records
            kinds += [1] * len(records)
    ends = np.cumsum([len(part) for part in parts])
    offset = ends - [len(part) for part in parts]
    return b"".join(parts), [offset[np.array(kinds) == n] for n in (0, 1)]


@pytest.fixture
def guess(tmp_path):
    def run(media):
        path = tmp_path / "damaged.mp4"
        path.write_bytes(media)
        with LocalFile(path) as source:
            reference, assumed = guessed(source)
        return reference, assumed, salvage(path, reference)

    return run


def test_all_pictures_and_records_are_found(pictures, guess):
    media, (shown, moved) = film(pictures)
    reference, _, found = guess(media)
    assert [track.codec for track in reference.tracks] == ["avc1", "camm"]
    video, records = found.tracks
    assert video.table.offset.tolist() == shown.tolist()
    assert records.table.offset.tolist() == moved.tolist()
    assert video.table.keyframe.tolist() == [key for _, _, key in pictures]
    assert not len(found.lost)


def test_the_stream_says_its_size_and_parameters(pictures, guess):
    media, _ = film(pictures)
    entry = guess(media)[0].video.entry
    assert struct.unpack_from(">HH", entry, 32) == (96, 64)
    avcc = find(entry[86:], b"avcC")
    sets = [avcc[8 : 8 + int.from_bytes(avcc[6:8])]]
    assert sets[0] in pictures[0][0]


def test_the_rate_is_what_the_stream_says(pictures, guess):
    media, _ = film(pictures)
    _, assumed, found = guess(media)
    video, records = (track.table.dts / track.reference.timescale for track in found.tracks)
    assert np.abs(video - np.arange(COUNT) / 25).max() < 0.001
    assert records[-1] == pytest.approx(COUNT / 25, abs=0.05)
    assert not any("pictures a second" in line for line in assumed)


def test_that_sound_is_left_out_is_said(pictures, guess):
    _, assumed, _ = guess(film(pictures)[0])
    assert any("sound" in line for line in assumed)


def test_pictures_alone_will_do(pictures, guess):
    media, (shown, _) = film(pictures, with_motion=False)
    reference, _, found = guess(media)
    assert [track.codec for track in reference.tracks] == ["avc1"]
    table = found.tracks[0].table
    assert table.offset.tolist() == shown.tolist()
    assert (np.diff(table.dts) * 25 == reference.video.timescale).all()


def test_motion_alone_will_do(guess):
    rng = np.random.default_rng(2)
    parts = [part for number in range(100) for part in motion(number, number / 25, rng)]
    reference, _, found = guess(b"".join(parts))
    assert [track.codec for track in reference.tracks] == ["camm"]
    assert len(found.tracks[0].table) == len(parts)


def test_h265_says_as_much(pictures_of_h265, guess):
    media, (shown, moved) = film(pictures_of_h265)
    reference, _, found = guess(media)
    assert [track.codec for track in reference.tracks] == ["hvc1", "camm"]
    assert found.tracks[0].table.offset.tolist() == shown.tolist()
    assert found.tracks[1].table.offset.tolist() == moved.tolist()


def test_damage_before_the_first_parameter_sets_is_passed(pictures, guess):
    media, (shown, _) = film(pictures)
    noise = np.random.default_rng(3).bytes(5_000)
    _, _, found = guess(noise + media)
    assert found.tracks[0].table.offset.tolist() == (shown + 5_000).tolist()


@pytest.mark.parametrize(
    "media",
    [b"", bytes(9_000), np.random.default_rng(4).bytes(200_000)],
    ids=["no", "zero", "noise"],
)
def test_what_says_nothing_of_itself_is_refused_in_one_line(tmp_path, media):
    path = tmp_path / "damaged.mp4"
    path.write_bytes(media)
    with LocalFile(path) as source, pytest.raises(Mp4Error, match="healthy file") as refused:
        guessed(source)
    assert "\n" not in str(refused.value)
