"""A healthy file teaches its codecs, its times, and how its tracks are interleaved."""

import re
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from films import mdat_of, shoot_film, shoot_motion_film, without_moov

from camm import UsageError
from muxer.boxes import box, find
from muxer.errors import Mp4Error
from muxer.salvage.reference import Reference

FRAME_S = 1024 / 48_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("references")


@pytest.fixture(scope="module")
def film(folder):
    """With B-frames, and sound that begins with a frame of nothing."""
    shoot_film(folder / "film.mp4", 1)
    return folder / "film.mp4"


@pytest.fixture(scope="module")
def reference(film):
    return Reference.read(film)


def in_file_order(path):
    """(byte, stream, decoded at, until) of all packets, by FFmpeg."""
    with av.open(str(path)) as container:
        return sorted(
            (
                packet.pos,
                packet.stream.type,
                float(packet.dts * packet.time_base),
                float((packet.dts + packet.duration) * packet.time_base),
            )
            for packet in container.demux()
            if packet.size
        )


def lead_by_ffmpeg(path):
    """Of the sound whenever a picture follows it."""
    rows = in_file_order(path)
    lead = [
        sound[3] - picture[2]
        for sound, picture in pairwise(rows)
        if (sound[1], picture[1]) == ("audio", "video")
    ]
    return min(lead), max(lead)


def with_moov(film, moov):
    return without_moov(film) + moov


def test_tracks_are_known_by_their_codecs_and_rates(reference):
    video, sound = reference.tracks
    assert reference.video is video
    assert [(t.codec, t.kind) for t in (video, sound)] == [("avc1", b"vide"), ("mp4a", b"soun")]
    assert video.period_s == pytest.approx(1 / 25)
    assert sound.period_s == pytest.approx(FRAME_S)
    assert video.steady
    assert sound.steady
    assert (video.count, sound.count) == (100, 189)


def test_edit_lists_say_when_decoding_and_showing_begin(film, reference):
    video, sound = reference.tracks
    first = {kind: dts for _, kind, dts, _ in reversed(in_file_order(film))}
    assert video.start / video.timescale == pytest.approx(first["video"])
    assert sound.start / sound.timescale == pytest.approx(first["audio"])
    assert video.start == -2 * video.duration  # two B-frames
    assert video.shown == 0
    assert sound.start == sound.shown == -1024


def test_a_delay_before_the_first_picture_counts(folder):
    """FFmpeg gives a track that begins later an edit of nothing."""
    with av.open(str(folder / "late.mp4"), "w") as container:
        video = container.add_stream("mpeg4", 25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("aac", 48_000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate = 48_000
        packets = []
        for number in range(50):
            silence.pts = number * 1024
            packets += sound.encode(silence)
        for number in range(10):
            picture = av.VideoFrame(32, 32, "yuv420p")
            picture.pts, picture.time_base = number + 20, Fraction(1, 25)
            packets += video.encode(picture)
        packets += [*sound.encode(None), *video.encode(None)]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    video = Reference.read(folder / "late.mp4").video
    assert video.start / video.timescale == pytest.approx(0.8, abs=0.001)
    assert video.shown / video.timescale == pytest.approx(0.8, abs=0.001)


def test_the_lead_is_that_of_the_sound_over_the_picture_behind_it(film, reference):
    video, sound = reference.tracks
    assert reference.lead_s(sound) == pytest.approx(lead_by_ffmpeg(film), abs=1e-6)
    assert reference.lead_s(video) is None


def test_chunks_of_sound_that_hold_the_same_number_are_known(folder):
    shoot_film(folder / "chunked.mp4", 1, 12.0, {"chunk_duration": "500000"})
    reference = Reference.read(folder / "chunked.mp4")
    sound = reference.tracks[1]
    low, high = sound.per_chunk
    assert 0 < low <= high <= low + 2
    assert low - 1 <= 0.5 / FRAME_S <= high + 1
    lead = reference.lead_s(sound)
    assert lead == pytest.approx(lead_by_ffmpeg(folder / "chunked.mp4"), abs=1e-6)


def test_chunks_of_a_few_samples_are_no_pattern(reference):
    assert reference.tracks[1].per_chunk == (0, 0)


def test_samples_are_read_to_learn_from(film, reference):
    data = film.read_bytes()
    rows = [row for row in in_file_order(film) if row[1] == "audio"]
    sound = reference.tracks[1]
    assert len(sound.samples) == 189
    assert all(
        data[at : at + len(sample)] == sample
        for (at, *_), sample in zip(rows, sound.samples, strict=True)
    )
    assert sound.sizes.tolist() == [len(sample) for sample in sound.samples]


def test_chunks_know_their_bytes_and_times(film, reference):
    rows = in_file_order(film)
    chunks = sorted(
        (*row, track.kind) for track in reference.tracks for row in track.chunks.tolist()
    )
    places = {at: (decoded, kind) for at, kind, decoded, _ in rows}
    for begin, _, begins_s, _, kind in chunks:
        decoded, name = places[int(begin)]
        assert begins_s == pytest.approx(decoded)
        assert name == {b"vide": "video", b"soun": "audio"}[kind]
    ends = [int(end) for _, end, *_ in chunks]
    assert ends[:-1] == [int(begin) for begin, *_ in chunks[1:]]


def test_motion_is_a_track_like_others(folder):
    shoot_motion_film(folder / "motion.mp4", 1)
    reference = Reference.read(folder / "motion.mp4")
    (motion,) = [track for track in reference.tracks if track.codec == "camm"]
    assert not motion.steady
    assert {sample[2] for sample in motion.samples} == {2, 3, 7}
    assert motion.durations.sum() / motion.timescale == pytest.approx(
        len(motion.durations) / 225, rel=0.02
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without_moov, "no whole 'moov'"),
        (lambda film: film[: mdat_of(film)[2] + 40], "no whole 'moov'"),
        (lambda film: with_moov(film, box(b"moov", b"")), "mvhd"),
        (lambda film: with_moov(film, _without_tracks(film)), "no track with samples"),
    ],
    ids=["no moov", "cut moov", "empty moov", "no tracks"],
)
def test_a_file_that_is_not_healthy_is_refused_in_one_line(film, tmp_path, damage, says):
    path = tmp_path / "sick.mp4"
    path.write_bytes(damage(film.read_bytes()))
    with pytest.raises(Mp4Error, match=re.escape(says)) as refused:
        Reference.read(path)
    assert "\n" not in str(refused.value)


def _without_tracks(film):
    moov = film[mdat_of(film)[2] + 8 :]
    return box(b"moov", box(b"mvhd", find(moov, b"mvhd")))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError):
        Reference.read(tmp_path / "nowhere.mp4")


def test_a_track_without_samples_is_none(film, tmp_path):
    """As FFmpeg leaves a track to which nothing was written."""
    data = bytearray(film.read_bytes())
    at = data.rindex(b"stsz")
    data[at + 12 : at + 16] = bytes(4)
    for kind in (b"stts", b"stsc", b"stco"):
        place = data.rindex(kind)
        data[place + 8 : place + 12] = bytes(4)
    path = tmp_path / "silent.mp4"
    path.write_bytes(data)
    assert [track.codec for track in Reference.read(path).tracks] == ["avc1"]
