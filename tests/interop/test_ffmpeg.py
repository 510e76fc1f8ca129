"""FFmpeg's demuxer, as ffprobe and as PyAV: payloads and times, undecoded. And its decoders."""

import json

import av
import numpy as np
import pytest

from camm import PACKET_SIZES, PacketType
from muxer import source


def payloads(clip) -> tuple[list[bytes], np.ndarray]:
    """Our own reading: every record of the track and its time in microseconds."""
    track = clip.camm_tracks[0]
    with source.LocalFile(clip.path) as file:
        buffer, place = source.read_samples(file, track.table.offset, track.table.size)
    records = [
        buffer[at : at + size].tobytes()
        for at, size in zip(place.tolist(), track.table.size.tolist(), strict=True)
    ]
    return records, track.pts_ns // 1000


def test_ffprobe(clip, program):
    what = ("-select_streams", "d:0", "-show_packets", "-show_data", "-show_streams")
    shown = json.loads(program("ffprobe", "-v", "error", "-of", "json", *what, clip.path))
    stream = shown["streams"][0]
    assert (stream["codec_tag_string"], stream["time_base"]) == ("camm", "1/1000000")
    records, t_us = payloads(clip)
    assert [packet["pts"] for packet in shown["packets"]] == t_us.tolist()
    for packet, record in zip(shown["packets"], records, strict=True):
        dump = "".join(line[10:50] for line in packet["data"].strip().splitlines())
        assert bytes.fromhex(dump.replace(" ", "")) == record


def test_pyav(clip):
    records, t_us = payloads(clip)
    with av.open(clip.path) as container:
        packets = [
            (packet.pts, bytes(packet))
            for packet in container.demux(container.streams.data[0])
            if packet.size
        ]
    assert [pts for pts, _ in packets] == t_us.tolist()
    assert [data for _, data in packets] == records


def test_every_record_is_one_packet_of_the_size_that_its_type_has(clip):
    records, _ = payloads(clip)
    kinds = [PacketType(int.from_bytes(record[2:4], "little")) for record in records]
    assert [len(record) for record in records] == [PACKET_SIZES[kind] for kind in kinds]


def test_video_and_audio_decode_without_an_error(clip, program):
    assert program("ffmpeg", "-v", "error", "-xerror", "-i", clip.path, "-f", "null", "-") == ""


def test_all_frames_can_be_decoded(clip):
    with av.open(clip.path) as container:
        shown = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    assert len(shown) == len(clip.video.table)
    expected = np.sort(clip.video.pts_ns) / 1e9
    np.testing.assert_allclose(np.array(shown, float), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_film_that_is_passed_through_keeps_every_byte(kind, replay, film):
    def packets(path):
        with av.open(str(path)) as container:
            return [
                (packet.pts * packet.time_base, bytes(packet))
                for packet in container.demux(**{kind: 0})
                if packet.size
            ]

    assert packets(replay) == packets(film)
