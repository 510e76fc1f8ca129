"""Motion metadata in other forms as one CAMM track: every value and every time as it was."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from camm import PacketType
from muxer import reader
from muxer.check import check
from muxer.errors import Mp4Error, NoCammError
from muxer.remux import convert

PIXEL = Path(__file__).parents[1] / "data" / "camm" / "mett_replaced_with_camm.mp4"
ANGLE, GYRO, GPS = PacketType.ANGLE_AXIS, PacketType.GYRO, PacketType.GPS


def packets(track):
    """(ns, bytes) of all records of a track."""
    found = track.records
    return [
        (t_ns, found.payload[at : at + size].tobytes())
        for t_ns, at, size in zip(
            found.t_ns.tolist(), found.place.tolist(), found.size.tolist(), strict=True
        )
    ]


def played(path):
    """Presentation time and bytes of every packet that FFmpeg finds, by the kind of stream."""
    with av.open(str(path)) as container:
        return {
            kind: [
                (packet.pts, packet.dts, packet.is_keyframe, bytes(packet))
                for packet in container.demux(**{kind: 0})
                if packet.size
            ]
            for kind in ("video", "audio")
            if getattr(container.streams, kind)
        }


@pytest.fixture
def converted(tmp_path):
    """Converts bytes or a file; the new clip, opened, and the account of it."""
    clips = []

    def make(source, **options):
        if isinstance(source, bytes):
            path = tmp_path / "old.mp4"
            path.write_bytes(source)
            source = path
        out = tmp_path / "new.mp4"
        with reader.open(source) as clip:
            told = convert(clip, out, **options)
        clips.append(reader.open(out))
        return clips[-1], told

    yield make
    for clip in clips:
        clip.close()


def as_mett(data):
    """The Pixel's clip as it was before somebody renamed its sample entry."""
    at = data.index(b"camm\0\0\0\0")
    return data[:at] + b"mett" + data[at + 4 :]


def test_a_mett_track_becomes_camm_and_all_else_stays(converted, tmp_path):
    old = as_mett(PIXEL.read_bytes())
    clip, told = converted(old)
    with reader.open(PIXEL) as before:
        (track,) = clip.camm_tracks
        assert (track.codec, track.handler.kind, track.recognised_by) == ("camm", b"meta", "camm")
        assert packets(track) == packets(before.camm_tracks[0])
        assert clip.created == before.created
    assert (told.counts, told.timescale) == ({0: 47}, 90_000)
    assert told.sources == ["track 1 (mett)"]
    assert played(tmp_path / "new.mp4") == played(tmp_path / "old.mp4")


def test_a_track_that_ffmpegs_mov_has_made_nameless_is_one_again(converted, tmp_path):
    path = tmp_path / "remuxed.mov"
    with av.open(str(PIXEL)) as source, av.open(str(path), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    clip, told = converted(path)
    (track,) = clip.camm_tracks
    with reader.open(PIXEL) as before:
        assert packets(track) == packets(before.camm_tracks[0])
    assert (track.entries, track.handler.kind) == (("camm",), b"meta")
    assert told.sources == ["track 1 (no name)"]
    assert played(tmp_path / "new.mp4") == played(path)


def test_the_new_track_is_what_every_reader_wants(converted):
    clip, _ = converted(as_mett(PIXEL.read_bytes()))
    assert not [found for found in check(clip).findings if found.severity == "error"]
    (track,) = clip.camm_tracks
    assert clip.moov_first
    assert (track.edits.edits, track.table.cts_offset.any()) == ((), False)
    assert track.handler.name == "CameraMetadataMotionHandler"
    assert track.table.dts[0] == 0


def test_several_tracks_become_one_in_order_of_time(mp4, gyro, converted):
    fixes = [mp4.record(6, 1e9 + n, 3, 47, 8, 400, *[1] * 6) for n in range(3)]
    odd = mp4.write(fixes, [17_000] * 3, timescale=1_000_000)
    clip, told = converted(mp4.joined(mp4.write(gyro, [5] * 10, timescale=1000), odd))
    (track,) = clip.camm_tracks
    assert told.counts == {2: 10, 6: 3}
    assert told.sources == ["track 1 (camm)", "track 2 (camm)"]
    t_ns = [t_ns for t_ns, _ in packets(track)]
    assert t_ns == sorted(t_ns)
    assert clip.gyro.t_ns.tolist() == [n * 5_000_000 for n in range(10)]
    assert clip.gps.t_ns.tolist() == [0, 17_000_000, 34_000_000]
    assert clip.gps.data["time_gps_epoch"].tolist() == [1e9, 1e9 + 1, 1e9 + 2]


def test_samples_of_several_packets_become_one_each(mp4, converted):
    both = mp4.record(2, 1, 2, 3) + mp4.record(3, 0, -9.81, 0) + bytes(4)
    clip, told = converted(mp4.write([both] * 3, [1000] * 3))
    assert told.counts == {2: 3, 3: 3}
    assert "samples with more than one packet" in told.faults
    assert [len(data) for _, data in packets(clip.camm_tracks[0])] == [16] * 6
    assert clip.faults == {}


def test_records_of_types_without_a_name_stay(mp4, converted):
    strange = struct.pack("<HH", 0, 1000) + b"whatever it is"
    clip, told = converted(mp4.write([mp4.record(2, 1, 2, 3), strange], [10, 10]))
    assert told.counts == {2: 1, 1000: 1}
    assert [data for _, data in packets(clip.camm_tracks[0])][1] == strange


@pytest.mark.parametrize(
    ("timescale", "movie", "edits"),
    [
        (30_000, 1000, None),
        (90_000, 600, [(7, -1), (1000, 0)]),
        (1_000_000_000, 1000, None),
        (48_000, 44_100, [(441, -1), (10_000, 3)]),
        (999_983, 999_979, [(11, -1), (10_000_000, 0)]),
    ],
)
def test_times_are_the_same_to_the_nanosecond(
    mp4, gyro, opened, converted, timescale, movie, edits
):
    step = timescale // 200 + 1
    data = mp4.write(gyro, [step] * 10, timescale=timescale, movie_timescale=movie, edits=edits)
    before = opened(data).gyro
    clip, _ = converted(data)
    # The reader rounds where an edit begins down, and each time to the nearest.
    assert np.abs(clip.gyro.t_ns - before.t_ns).max() <= 1


def test_a_late_first_record_gets_one_before_it_that_says_nothing(mp4, gyro, converted):
    data = mp4.write(gyro, [5000] * 10, edits=[(2000, -1), (50, 0)])
    clip, told = converted(data)
    assert told.counts == {2: 10}
    assert clip.gyro.t_ns[0] == 2_000_000_000
    assert clip.exposure.t_ns.tolist() == [0]
    assert clip.exposure.data["pixel_exposure_time"].tolist() == [0]


def test_a_pause_that_no_table_can_say_is_divided(mp4, gyro, converted):
    hour = 3_000_000_000  # ticks
    clip, _ = converted(mp4.write(gyro[:2], [hour, 1]))
    assert clip.gyro.t_ns.tolist() == [0, 3_000_000_000_000]
    assert clip.exposure.t_ns.tolist() == [((1 << 31) - 1) * 1000]


@pytest.mark.parametrize("edits", [[(1 << 40, -1), (50, 0)], [(50, 1 << 50)]])
def test_times_that_no_film_has_are_refused(mp4, gyro, converted, edits):
    with pytest.raises(Mp4Error, match="expected those of a film"):
        converted(mp4.write(gyro, [5000] * 10, edits=edits))


def test_a_mi_spheres_orientations_become_records(mp4, converted, tmp_path):
    turned = struct.pack("<9f", 0, 0, 1, 0, 1, 0, -1, 0, 0)
    udta = mp4.box(b"udta", mp4.box(b"madv", mp4.box(b"tlyd", turned * 12)))
    film = mp4.write(
        [b"picture"] * 12,
        [1001] * 12,
        handler=b"vide",
        entries=[b"avc1"],
        timescale=30_000,
        udta=udta,
    )
    clip, told = converted(film)
    with reader.open(tmp_path / "old.mp4") as before:
        np.testing.assert_array_equal(clip.angle_axis.data, before.angle_axis.data)
        np.testing.assert_array_equal(clip.angle_axis.t_ns, before.angle_axis.t_ns)
        assert clip.madv.boxes == before.madv.boxes
    assert told.sources == ["madv"]
    assert [track.codec for track in clip.tracks] == ["avc1", "camm"]


def test_vr180_has_orientations_alone(mp4, converted):
    records = [
        mp4.record(2, 1, 2, 3),
        mp4.record(0, 0.1, 0, 0),
        mp4.record(3, 0, -9.81, 0),
        mp4.record(0, 0.2, 0, 0),
    ]
    clip, told = converted(mp4.write(records, [10_000] * 4), to="vr180")
    # Such players know no edit list either: the first orientation is held from time zero on.
    assert clip.angle_axis.t_ns.tolist() == [0, 10_000_000, 30_000_000]
    np.testing.assert_allclose(clip.angle_axis.data[:, 0], [0.1, 0.1, 0.2])
    assert set(clip.counts) == {ANGLE}
    assert told.counts == {0: 2}


def test_vr180_needs_orientations(mp4, gyro, tmp_path, converted):
    with pytest.raises(Mp4Error, match=r"has no orientations \(type 0\) to convert"):
        converted(mp4.write(gyro, [5000] * 10), to="vr180")
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]


def test_a_clip_without_motion_has_nothing_to_convert(film, tmp_path):
    with reader.open(film) as clip, pytest.raises(NoCammError):
        convert(clip, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_track_has_nothing_either(mp4, converted):
    with pytest.raises(Mp4Error, match="has no records to convert"):
        converted(mp4.write([], []))


def test_what_a_clip_says_of_itself_stays_and_tells_of_the_conversion(walk, converted):
    clip, _ = converted(walk.clip)
    with reader.open(walk.clip) as before:
        assert clip.metadata == {
            **before.metadata,
            "converted": {"to": "camm", "from": ["track 2 (camm)"]},
        }
        assert packets(clip.camm_tracks[0]) == packets(before.camm_tracks[0])
        assert (clip.make, clip.model) == (before.make, before.model)
