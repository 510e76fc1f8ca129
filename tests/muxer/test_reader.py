"""Reading the clips of others: a recorded one, and the habits of makers one by one."""

import json
import os
import struct
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest

from camm import PacketType, UsageError
from muxer import reader
from muxer.errors import Mp4Error, NoCammError

PIXEL = Path(__file__).parents[1] / "data" / "camm" / "mett_replaced_with_camm.mp4"
MS = 1_000_000


# A recorded clip


def test_a_recording_of_a_pixel_is_read_as_ffmpeg_reads_it():
    with av.open(str(PIXEL)) as container:
        (stream,) = container.streams.data
        theirs = [packet for packet in container.demux(stream) if packet.size]
        payload = [bytes(packet) for packet in theirs]
        pts_ns = [packet.pts * packet.time_base * 1_000_000_000 for packet in theirs]
    with reader.open(PIXEL) as clip:
        assert clip.counts == {PacketType.ANGLE_AXIS: 47}
        assert all(abs(a - b) < 1 for a, b in zip(clip.angle_axis.t_ns, pts_ns, strict=True))
        values = [struct.unpack("<4x3f", packet) for packet in payload]
        np.testing.assert_array_equal(clip.angle_axis.data, np.array(values, np.float32))
        assert clip.angle_axis.t_ns[0] == 0
        assert clip.angle_axis.t_ns[1] == pytest.approx(116.7 * MS, abs=0.1 * MS)
        assert clip.records.faults == {}
        assert (clip.moov_first, clip.fragmented) == (True, False)
        assert clip.created == datetime(2018, 3, 20, 21, 6, 29, tzinfo=UTC)


def test_the_tracks_of_a_pixel():
    with reader.open(PIXEL) as clip:
        camm, audio, video = clip.tracks
        assert (camm.codec, camm.handler.kind, camm.handler.name) == (
            "camm",
            b"meta",
            "MetadHandle",
        )
        assert (audio.codec, audio.sample_rate, audio.channels) == ("mp4a", 44_100, 2)
        assert clip.video is video
        assert clip.camm_tracks == [camm]
        with av.open(str(PIXEL)) as container:
            theirs = container.streams.video[0]
            assert (video.codec, video.width, video.height) == ("avc1", theirs.width, theirs.height)
            packets = [packet for packet in container.demux(theirs) if packet.size]
        assert video.table.size.tolist() == [packet.size for packet in packets]
        assert video.table.offset.tolist() == [packet.pos for packet in packets]
        assert video.table.dts.tolist() == [packet.dts for packet in packets]
        assert video.table.keyframe.tolist() == [packet.is_keyframe for packet in packets]


def test_a_film_of_ffmpegs_is_read_as_ffmpeg_reads_it(film):
    with av.open(str(film)) as container, reader.open(film) as clip:
        for stream, track in zip(container.streams, clip.tracks, strict=True):
            packets = [packet for packet in container.demux(stream) if packet.size]
            container.seek(0)
            pts_ns = [packet.pts * packet.time_base * 1_000_000_000 for packet in packets]
            assert track.pts_ns.tolist() == [pytest.approx(float(pts), abs=1) for pts in pts_ns]
            assert track.table.offset.tolist() == [packet.pos for packet in packets]
            assert track.table.keyframe.tolist() == [packet.is_keyframe for packet in packets]
        assert clip.duration_ns == pytest.approx(container.duration * 1000, abs=25 * MS)
        assert clip.counts == {}


@pytest.mark.parametrize(
    "flags",
    [
        "frag_keyframe+empty_moov",
        "frag_keyframe+empty_moov+default_base_moof",
        "frag_keyframe+empty_moov+omit_tfhd_offset",
        "frag_every_frame",
    ],
)
def test_fragments_of_ffmpegs_are_read_as_ffmpeg_reads_them(film, tmp_path, flags):
    path = tmp_path / "fragmented.mp4"
    with (
        av.open(str(film)) as source,
        av.open(str(path), "w", options={"movflags": flags}) as target,
    ):
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    with av.open(str(path)) as container, reader.open(path) as clip:
        assert clip.fragmented
        for stream, track in zip(container.streams, clip.tracks, strict=True):
            packets = [packet for packet in container.demux(stream) if packet.size]
            container.seek(0)
            assert len(packets) > 50
            assert track.table.offset.tolist() == [packet.pos for packet in packets]
            assert track.table.size.tolist() == [packet.size for packet in packets]
            assert track.table.keyframe.tolist() == [packet.is_keyframe for packet in packets]
            pts = [int(packet.pts * packet.time_base * 1_000_000_000) for packet in packets]
            np.testing.assert_allclose(track.pts_ns, pts, rtol=0, atol=1)


# Places and times


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("moov_first", [True, False])
@pytest.mark.parametrize("co64", [True, False])
@pytest.mark.parametrize(("per_chunk", "gap"), [(1, 0), (1, 5000), (3, 7), (10, 0), (99, 0)])
@pytest.mark.parametrize("handler", [b"meta", b"camm"])
def test_a_clip_is_read_wherever_its_parts_lie(
    mp4, gyro, opened, version, moov_first, co64, per_chunk, gap, handler
):
    per_chunk = min(per_chunk, len(gyro))
    clip = opened(
        mp4.write(
            gyro,
            [5000] * 10,
            handler=handler,
            version=version,
            moov_first=moov_first,
            co64=co64,
            per_chunk=per_chunk,
            gap=gap,
        )
    )
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.gyro.t_ns.tolist() == [n * 5 * MS for n in range(10)]
    assert clip.records.faults == {}
    assert clip.moov_first == moov_first
    assert clip.created == datetime(2018, 1, 28, 16, 0, tzinfo=UTC)
    assert clip.duration_ns == 50 * MS
    (track,) = reader.require_camm(clip).camm_tracks
    assert (track.handler.kind, track.timescale, track.duration) == (handler, 1_000_000, 50_000)


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_sizes_of_few_bits(mp4, opened, bits, count, monkeypatch):
    """`stz2`, in which two sizes of four bits share a byte."""
    lengths = [12 + n % 4 for n in range(count)]
    samples = [bytes([n]) * length for n, length in enumerate(lengths)]
    digits = "".join(f"{length:0{bits // 4}x}" for length in lengths)
    table = bytes.fromhex(digits + "0" * (len(digits) % 2))
    stz2 = mp4.full(b"stz2", 0, 0, struct.pack(">II", bits, count), table)
    data = mp4.write(samples, [1000] * count, replace={b"stsz": stz2}, per_chunk=count)
    for piece in (1, 2, 3, 1 << 15):
        monkeypatch.setattr("muxer.stored_table.PIECE", piece)
        table = opened(data).tracks[0].table
        assert table.size.tolist() == lengths
        ends = np.cumsum(lengths)
        assert (table.offset - table.offset[0]).tolist() == [0, *ends[:-1].tolist()]


@pytest.mark.parametrize(
    ("bits", "count", "message"),
    [(12, 1, "sizes of 12 bits"), (0, 1, "sizes of 0 bits"), (4, 9, "9 rows|claims 5 rows")],
)
def test_sizes_of_few_bits_that_cannot_be_read(mp4, opened, bits, count, message):
    stz2 = mp4.full(b"stz2", 0, 0, struct.pack(">II", bits, count), bytes(4))
    with pytest.raises(Mp4Error, match=message):
        opened(mp4.write([b"x"], [1], replace={b"stsz": stz2}))


def test_an_hour_of_pcm_is_a_row_for_each_chunk(mp4, tmp_path):
    """172 million samples of four bytes, of which the file itself keeps four rows."""
    seconds, rate, frame = 3600, 48_000, 4
    chunks = [bytes(4)] * seconds  # what is in them is not read
    data = mp4.write(
        chunks,
        [1] * seconds,
        handler=b"soun",
        entries=[b"sowt"],
        timescale=rate,
        replace={
            b"stsz": mp4.full(b"stsz", 0, 0, struct.pack(">II", frame, seconds * rate - 7)),
            b"stsc": mp4.table(b"stsc", (1, rate, 1), layout=">3I"),
            b"stts": mp4.table(
                b"stts", (rate - 1, 1), (1, 501), (rate * 2, 1), (9, 3), layout=">2I"
            ),
        },
    )
    at = data.index(b"mdat") - 4
    path = tmp_path / "sparse.mp4"
    path.write_bytes(data[:at] + bytes(4) + data[at + 4 :])  # an mdat up to the end
    os.truncate(path, 1 << 30)
    with reader.open(path) as clip:
        tracemalloc.start()
        (track,) = clip.tracks
        table = track.table
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10 << 20
        assert track.count == seconds * rate - 7
        assert table.size.tolist() == [rate * frame] * (seconds - 1) + [(rate - 7) * frame]
        assert np.diff(table.dts)[:4].tolist() == [rate + 500, rate, rate, rate * 3]
        assert table.duration == (rate - 7) * 3
        assert table.keyframe.all()
        assert len(track.pts_ns) == seconds


def test_chunks_of_pcm_that_lack_samples_are_an_error(mp4, opened):
    short = {b"stsz": mp4.full(b"stsz", 0, 0, struct.pack(">II", 2, 5))}
    clip = opened(
        mp4.write([b"ab"] * 4, [1] * 4, handler=b"soun", entries=[b"twos"], replace=short)
    )
    with pytest.raises(Mp4Error, match="chunks of a track hold 4 samples, its sizes are 5"):
        clip.tracks[0].table  # noqa: B018 - reading it is the deed


@pytest.mark.parametrize("timescale", [1000, 30_000, 90_000, 1_000_000, 1_000_000_000])
def test_any_unit_of_time(mp4, gyro, opened, timescale):
    clip = opened(mp4.write(gyro, [timescale // 100] * 10, timescale=timescale))
    assert clip.gyro.t_ns.tolist() == [n * 10 * MS for n in range(10)]


def test_times_are_rounded_to_the_nearest_nanosecond(mp4, gyro, opened):
    clip = opened(mp4.write(gyro, [1001] * 10, timescale=30_000))
    exact = [n * 1001 * 10**9 / 30_000 for n in range(10)]
    assert all(abs(t - e) <= 0.5 for t, e in zip(clip.gyro.t_ns.tolist(), exact, strict=True))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize(
    ("edits", "begin_ms"),
    [
        ([], 0),
        ([(100, 0)], 0),
        ([(100, 20_000)], -20),
        ([(2000, -1), (100, 0)], 2000),
        ([(2000, -1), (100, 20_000)], 1980),
        ([(2000, -1)], 2000),
    ],
)
def test_an_edit_list_moves_a_track(mp4, gyro, opened, version, edits, begin_ms):
    """Its pause is in the movie's unit, its cut in the track's own."""
    clip = opened(mp4.write(gyro, [10_000] * 10, edits=edits, version=version))
    assert clip.gyro.t_ns.tolist() == [(begin_ms + n * 10) * MS for n in range(10)]
    assert clip.duration_ns == (begin_ms + 100) * MS


def test_other_boxes_do_not_disturb(mp4, gyro, opened):
    before = mp4.box(b"free", bytes(100)) + mp4.box(b"wide") + mp4.box(b"uuid", bytes(16), b"x")
    data = mp4.write(gyro, [5000] * 10, before=before, extra=mp4.box(b"free", b"x"))
    clip = opened(data + mp4.box(b"uuid", bytes(16)))
    assert len(clip.gyro) == 10


def test_a_large_mdat_with_a_64_bit_size(mp4, gyro, opened):
    data = mp4.write(gyro, [5000] * 10, moov_first=False)
    at = data.index(b"mdat") - 4
    (size,) = struct.unpack_from(">I", data, at)
    wide = struct.pack(">I4sQ", 1, b"mdat", size + 8)
    larger = data[:at] + wide + data[at + 8 :]
    stco = larger.index(b"stco") + 12
    offsets = [n + 8 for n in struct.unpack_from(">10I", larger, stco)]
    clip = opened(larger[:stco] + struct.pack(">10I", *offsets) + larger[stco + 40 :])
    assert clip.gyro.data[:, 0].tolist() == list(range(10))


def test_an_mdat_of_size_0_goes_to_the_end(mp4, gyro, opened):
    data = mp4.write(gyro, [5000] * 10)
    at = data.index(b"mdat") - 4
    assert len(opened(data[:at] + bytes(4) + data[at + 4 :]).gyro) == 10


def test_a_track_without_samples(mp4, opened):
    clip = opened(mp4.write([], []))
    assert len(clip.camm_tracks) == 1
    assert len(clip.records.kind) == 0
    assert clip.counts == {}
    assert clip.duration_ns == 0
    for kind in PacketType:
        samples = clip.samples(kind)
        assert (samples.kind, len(samples)) == (kind, 0)
    assert clip.gyro.data.shape == (0, 3)


def test_two_sample_entries(mp4, gyro, opened):
    clip = opened(mp4.write(gyro, [5000] * 10, entries=[b"mett", b"camm"]))
    (track,) = clip.camm_tracks
    assert (track.codec, track.entries) == ("mett", ("mett", "camm"))
    assert len(clip.gyro) == 10


# Records


def test_every_type_is_read_into_its_columns(mp4, opened):
    fields = {
        0: (0.1, 0.2, 0.3),
        1: (8_000_000, 15_000_000),
        2: (1.5, -2.5, 3.5),
        3: (0.0, -9.75, 0.25),
        4: (10.0, 20.0, 30.0),
        5: (48.1, 11.5, 520.25),
        6: (1.4e9, 3, 48.1, 11.5, 520.25, 1.5, 2.5, 0.25, 0.5, -0.25, 0.125),
        7: (20.0, 40.0, -5.0),
    }
    clip = opened(mp4.write([mp4.record(kind, *fields[kind]) for kind in fields], [1000] * 8))
    assert clip.counts == dict.fromkeys(PacketType, 1)
    columns = [
        clip.angle_axis,
        clip.exposure,
        clip.gyro,
        clip.acceleration,
        clip.position,
        clip.min_gps,
        clip.gps,
        clip.magnetic_field,
    ]
    for kind, samples in enumerate(columns):
        assert samples.kind == kind
        assert samples.t_ns.tolist() == [kind * MS]
        values = samples.data[0].tolist()
        assert tuple(values) == pytest.approx(fields[kind])


def test_several_records_in_one_sample_are_all_read(mp4, opened):
    """Some writers put all of a moment into one sample; they share its time."""
    several = [
        mp4.record(2, n, 0, 0) + mp4.record(3, n, 0, 0) + mp4.record(2, n + 0.5, 0, 0)
        for n in range(3)
    ]
    clip = opened(mp4.write([*several, mp4.record(2, 9, 0, 0)], [10_000] * 4))
    assert clip.gyro.data[:, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 9]
    assert clip.gyro.t_ns.tolist() == [0, 0, 10 * MS, 10 * MS, 20 * MS, 20 * MS, 30 * MS]
    assert clip.acceleration.data[:, 0].tolist() == [0, 1, 2]
    assert clip.records.kind.tolist() == [2, 3, 2, 2, 3, 2, 2, 3, 2, 2]
    assert clip.records.faults == {"samples with more than one packet": 3}


@pytest.mark.parametrize("padding", [1, 4, 5, 12, 100])
def test_zeros_behind_a_record_are_padding(mp4, gyro, opened, padding):
    clip = opened(mp4.write([packet + bytes(padding) for packet in gyro], [5000] * 10))
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
    assert clip.counts == {PacketType.GYRO: 10}
    assert clip.records.faults == {"padding behind the packet": 10}


def test_types_that_the_specification_does_not_know_are_kept_apart(mp4, gyro, opened):
    unknown = [struct.pack("<HH", 0, kind) + b"whatever" for kind in (8, 1000)]
    clip = opened(mp4.write([*gyro, *unknown], [5000] * 12))
    assert len(clip.gyro) == 10
    assert clip.records.kind.tolist() == [2] * 10 + [8, 1000]
    assert clip.counts == {PacketType.GYRO: 10}
    assert clip.records.faults == {"packets of an unknown type": 2}


def test_a_reserved_field_that_is_not_zero_is_noted(mp4, gyro, opened):
    odd = struct.pack("<HH3f", 7, 2, 42, 0, 0)
    clip = opened(mp4.write([*gyro, odd], [5000] * 11))
    assert clip.gyro.data[-1, 0] == 42
    assert clip.records.faults == {"reserved field is not zero": 1}


@pytest.mark.parametrize("length", [0, 1, 3, 4, 14, 15])
def test_a_short_last_record_is_left_out(mp4, gyro, opened, length):
    """Two bytes less, and other readers refuse the whole file."""
    clip = opened(mp4.write([*gyro[:-1], gyro[-1][:length]], [5000] * 10))
    assert clip.gyro.data[:, 0].tolist() == list(range(9))
    reason = "packets cut short" if length >= 4 else "samples too short for a packet"
    assert clip.records.faults == {reason: 1}


def test_a_sample_with_very_many_records_is_read_up_to_a_limit(mp4, opened):
    clip = opened(mp4.write([mp4.record(2, 1, 2, 3) * 10_001, mp4.record(2, 4, 5, 6)], [1, 1]))
    assert len(clip.gyro) == 10_001
    assert clip.records.faults == {
        "samples with more than one packet": 1,
        "samples with too many packets to read them all": 1,
    }


# What a clip says of itself


def test_maker_and_model(mp4, gyro, opened):
    plain = mp4.box(b"udta", mp4.box(b"manu", b"RICOH\0"), mp4.box(b"modl", b"THETA X"))
    clip = opened(mp4.write(gyro, [5000] * 10, udta=plain))
    assert (clip.make, clip.model) == ("RICOH", "THETA X")
    for make, model in ((b"\xa9mak", b"\xa9mod"), (b"@mak", b"@mod")):
        counted = mp4.box(
            b"udta",
            mp4.box(make, b"\0\6\x55\xc4Google"),
            mp4.box(model, b"\0\5\x55\xc4Pixel"),
            bytes(4),
        )
        clip = opened(mp4.write(gyro, [5000] * 10, udta=counted))
        assert (clip.make, clip.model) == ("Google", "Pixel")
    clip = opened(mp4.write(gyro, [5000] * 10))
    assert (clip.make, clip.model) == ("", "")


OURS = bytes.fromhex("6f1c2f9e5d0b4a559c3a8b1d1b2e7c43")


@pytest.mark.parametrize(
    ("content", "metadata"),
    [
        (OURS + b'{"a": [1, "\xc3\x9f"]}', {"a": [1, "ß"]}),
        (bytes(16) + b'{"a": 1}', {}),
        (OURS + b'{"a": ', {}),
        (OURS + b"[1]", {}),
        (OURS + b"\xff\xfe\xfd", {}),
        (OURS + b"[" * 200_000, {}),
        (OURS, {}),
    ],
)
def test_the_metadata_of_a_clip(mp4, gyro, opened, content, metadata):
    clip = opened(mp4.write(gyro, [5000] * 10, extra=mp4.box(b"uuid", content)))
    assert clip.metadata == metadata
    assert json.dumps(metadata)


# What is no clip


def test_a_file_without_metadata_opens_and_says_what_it_has(mp4, gyro, opened):
    clip = opened(mp4.write(gyro, [5000] * 10, entries=[b"mebx"]))
    assert clip.camm_tracks == []
    assert len(clip.gyro) == 0
    with pytest.raises(NoCammError, match="it has mebx"):
        reader.require_camm(clip)


@pytest.mark.parametrize("content", [b"", b"GIF89a" + bytes(50), bytes(100), b"\0\0\0\7ftyp"])
def test_a_file_that_is_no_mp4(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(Mp4Error, match="is no MP4 file"):
        reader.open(tmp_path / "x")


def test_a_file_without_its_moov_says_so(tmp_path, mp4, gyro):
    data = mp4.write(gyro, [5000] * 10, moov_first=False)
    (tmp_path / "x").write_bytes(data[:-1])
    with pytest.raises(Mp4Error, match="no whole 'moov' box"):
        reader.open(tmp_path / "x")


def test_what_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        reader.open(tmp_path / "x")
    with pytest.raises(UsageError, match="is no file"):
        reader.open(tmp_path)


def test_a_sample_behind_the_end_of_the_file_is_an_error(mp4, gyro, opened):
    data = mp4.write(gyro, [5000] * 10)
    clip = opened(data[:-1])
    assert len(clip.camm_tracks[0].table) == 10
    with pytest.raises(Mp4Error, match=f"the file has {len(data) - 1}"):
        clip.gyro  # noqa: B018 - reading it is the deed


def test_columns_that_were_read_stay_when_the_file_is_closed(mp4, gyro, opened):
    with opened(mp4.write(gyro, [5000] * 10)) as clip:
        assert len(clip.gyro) == 10
    assert clip.gyro.data[:, 0].tolist() == list(range(10))
