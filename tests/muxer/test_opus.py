"""Opus says how far before a packet its decoder has to begin."""

import struct

import av
import numpy as np
import pytest

from camm import Packet, StreamFormat
from muxer.opus import roll_group
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.repair.movie import read_movie, rebuild

SECOND = 1_000_000_000
ABOUT = MovieDescription(None, "", "", {})


@pytest.mark.parametrize(("duration", "packets"), [(960, 4), (120, 32), (2880, 2), (5760, 1)])
def test_as_many_packets_as_make_up_80_ms(duration, packets, mp4):
    boxes = mp4.boxes(b"".join(roll_group(100, duration)))
    assert [(kind, content) for kind, _, content in boxes] == [
        (b"sgpd", struct.pack(">I4sIIh", 1 << 24, b"roll", 2, 1, -packets)),
        (b"sbgp", struct.pack(">I4sI4I", 0, b"roll", 2, packets, 0, 100 - packets, 1)),
    ]


def test_a_track_too_short_to_be_entered_later_has_no_group(mp4):
    _, (kind, _, content) = mp4.boxes(b"".join(roll_group(3, 960)))
    assert (kind, content) == (b"sbgp", struct.pack(">I4sI2I", 0, b"roll", 1, 3, 0))


@pytest.fixture
def film(tmp_path):
    """A second of Opus in an MP4 by FFmpeg, which writes the groups, too."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        for n in range(50):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 48_000, n * 960
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def stbl(mp4, path):
    traks = [
        c for kind, _, c in mp4.boxes(mp4.inside(path.read_bytes(), b"moov")) if kind == b"trak"
    ]
    (found,) = (mp4.inside(trak, b"mdia", b"minf", b"stbl") for trak in traks if b"soun" in trak)
    return {kind: content for kind, _, content in mp4.boxes(found)}


def test_a_finished_clip_says_so_as_ffmpeg_does_and_a_repair_keeps_it(film, tmp_path, mp4):
    with av.open(str(film)) as container:
        (stream,) = container.streams
        head = bytes(stream.codec_context.extradata)
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    path = tmp_path / "clip.mp4"
    sound = StreamFormat("audio", "opus", 48_000, head, sample_rate=48_000, channels=1)
    picture = StreamFormat("video", "mjpeg", 90_000, width=64, height=48)
    recording = Recording(path, [picture, sound], ABOUT)
    recording.add_packets([Packet(0, b"picture", 0, 0, SECOND)])
    recording.add_packets(
        [
            Packet(1, data, n * SECOND // 50, n * SECOND // 50, SECOND // 50)
            for n, data in enumerate(packets)
        ]
    )
    recording.advance(5 * SECOND)
    assert b"sgpd" not in stbl(mp4, path)
    recording.finish(5 * SECOND, ABOUT)
    ours, theirs = stbl(mp4, path), stbl(mp4, film)
    assert ours[b"sgpd"] == theirs[b"sgpd"]
    assert ours[b"sbgp"] == theirs[b"sbgp"]
    moov = mp4.inside(path.read_bytes(), b"moov")
    tracks = read_movie(moov, path.stat().st_size).tracks
    tables = {number: track.table for number, track in tracks.items()}
    assert rebuild(moov, tables, None) == mp4.box(b"moov", moov)
