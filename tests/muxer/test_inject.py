"""Records of logs in a film that was made without them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, Samples, UsageError, empty_values
from muxer import reader
from muxer.errors import Mp4Error
from muxer.records import Records
from muxer.remux import inject
from muxer.remux.inject import clock
from muxer.remux.old_file import OldFile
from muxer.remux.order import InOrder
from muxer.remux.start import start_of

ANGLE, EXPOSURE, GYRO, ACCELERATION = (PacketType(n) for n in range(4))
GPS = PacketType.GPS
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = 1_000_000_000


@dataclass
class AnyLog:
    """A log as `inject` knows it."""

    blocks: Callable
    name: str = "drive.log"
    created: datetime | None = None
    by_utc: bool = False


def log_of(*samples, **about):
    return AnyLog(lambda kind: (s for s in samples if s.kind is kind), **about)


def gyro_at(*seconds):
    t_ns = np.array([round(s * 1e9) for s in seconds], np.int64)
    return Samples(GYRO, t_ns, np.column_stack([seconds, np.ones((len(seconds), 2))]))


def fixes_at(*seconds):
    fixes = empty_values(GPS, len(seconds))
    fixes["latitude"] = 47 + np.array(seconds) / 1e5
    fixes["gps_fix_type"] = 3
    return Samples(GPS, np.array([round(s * 1e9) for s in seconds], np.int64), fixes)


@pytest.fixture
def injected(tmp_path):
    """Injects logs into a file; the new clip, opened, and the account of it."""
    clips = []

    def make(path, logs, **options):
        out = tmp_path / "out.mp4"
        with reader.open(path) as clip:
            told = inject(clip, logs, out, **{"start": None, **options})
        clips.append(reader.open(out))
        return clips[-1], told

    yield make
    for clip in clips:
        clip.close()


def made_by_ffmpeg(path, film, **options):
    """The film again, in another layout of FFmpeg's."""
    with av.open(str(film)) as source, av.open(str(path), "w", options=options) as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return path


def played(path):
    with av.open(str(path)) as container:
        return [
            (packet.stream.type, packet.pts, packet.dts, packet.is_keyframe, bytes(packet))
            for stream in (*container.streams.video, *container.streams.audio)
            for packet in container.demux(stream)
            if packet.size or not container.seek(0)
        ]


# The film stays what it was


LAYOUTS = {
    "moov at the end": ("film.mp4", {}),
    "moov first": ("film.mp4", {"movflags": "faststart"}),
    "QuickTime": ("film.mov", {}),
    "fragments": ("film.mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
    "an index of fragments": ("film.mp4", {"movflags": "dash+frag_keyframe"}),
    "an old moov inside": ("film.mp4", {"movflags": "frag_keyframe"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_and_sound_stay_in_every_layout(film, tmp_path, injected, layout):
    name, options = LAYOUTS[layout]
    path = made_by_ffmpeg(tmp_path / name, film, **options)
    clip, told = injected(path, {GYRO: log_of(gyro_at(*np.arange(0, 3, 0.005)))})
    assert played(tmp_path / "out.mp4") == played(path)
    assert [track.codec for track in clip.tracks] == ["avc1", "mp4a", "camm"]
    assert clip.moov_first
    assert not clip.fragmented
    assert 0 <= told.end_ns - clip.gyro.t_ns[-1] < 5_000_000
    with reader.open(path) as before:
        assert clip.video.pts_ns.tolist() == before.video.pts_ns.tolist()


def tree(mp4, data, path=b""):
    """Every box of a file with its path, whole; those that hold others by what they hold."""
    found = []
    for kind, _, content in mp4.boxes(data):
        if kind in {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts"}:
            found += tree(mp4, content, path + b"/" + kind)
        else:
            found.append((path + b"/" + kind, content))
    return found


def test_every_other_box_stays_as_it_was(mp4, film, tmp_path, injected):
    spherical = mp4.box(b"sv3d", mp4.full(b"svhd", 0, 0, b"them\0"))
    path = tmp_path / "old.mp4"
    path.write_bytes(grown(film.read_bytes(), spherical) + mp4.box(b"uuid", bytes(16), b"theirs"))
    injected(path, {GYRO: log_of(gyro_at(0, 1))})
    before, after = (tree(mp4, file.read_bytes()) for file in (path, tmp_path / "out.mp4"))
    ours = [box for box in after if box not in before]
    assert {kind for kind, _ in before} <= {kind for kind, _ in after}
    missing = {kind for kind, content in before if (kind, content) not in after}
    assert missing <= {
        b"/ftyp",
        b"/free",
        b"/mdat",
        b"/moov/mvhd",
        b"/moov/trak/mdia/minf/stbl/stco",
    }
    assert len([kind for kind, _ in ours if kind.endswith(b"stsd")]) == 1
    assert spherical in (tmp_path / "out.mp4").read_bytes()
    assert (b"/uuid", bytes(16) + b"theirs") in after


def grown(data, inner):
    """A film whose `moov` is its last box, with `inner` at the end of its first sample entry."""
    changed, at = bytearray(data), 0
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = changed.index(kind, at) - 4
        (size,) = struct.unpack_from(">I", changed, at)
        struct.pack_into(">I", changed, at, size + len(inner))
        end, at = at + size, at + 8
    return bytes(changed[:end]) + inner + bytes(changed[end:])


def test_what_stands_behind_the_last_box_stays_there(film, tmp_path, injected):
    path = tmp_path / "old.mp4"
    trailer = b"\xff" * 100 + b"a camera's own"
    path.write_bytes(film.read_bytes() + trailer)
    injected(path, {GYRO: log_of(gyro_at(0, 1))})
    assert (tmp_path / "out.mp4").read_bytes().endswith(trailer)
    assert played(tmp_path / "out.mp4") == played(film)


def test_media_may_reach_to_the_end_of_the_file(mp4, tmp_path, injected):
    data = mp4.write(
        [b"one", b"two"], [500, 500], handler=b"vide", entries=[b"jpeg"], timescale=1000
    )
    at = data.index(b"mdat") - 4
    path = tmp_path / "old.mp4"
    path.write_bytes(data[:at] + bytes(4) + data[at + 4 :])
    clip, _ = injected(path, {GYRO: log_of(gyro_at(0, 0.5))})
    assert [data for _, data in mp4.samples((tmp_path / "out.mp4").read_bytes(), b"jpeg")] == [
        b"one",
        b"two",
    ]
    assert clip.gyro.t_ns.tolist() == [0, 500_000_000]


def test_offsets_become_64_bit_where_they_must(mp4):
    stco = mp4.table(b"stco", 100, (1 << 32) - 10)
    moov = mp4.box(b"trak", mp4.box(b"mdia", mp4.box(b"minf", mp4.box(b"stbl", stco))))
    old = OldFile(None, b"", (100, 1 << 33), moov, (), 0)
    road = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    near, far = (
        mp4.inside(b"".join(old.moov_with(b"", [], b"", shift)), *road) for shift in (9, 10)
    )
    assert near == mp4.table(b"stco", 109, (1 << 32) - 1)
    assert far == mp4.table(b"co64", 110, 1 << 32, layout=">Q")


@pytest.mark.parametrize("cut", [1, 1000])
def test_a_film_that_is_cut_is_refused(film, tmp_path, injected, cut):
    path = made_by_ffmpeg(tmp_path / "film.mp4", film, movflags="faststart")
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(Mp4Error, match=r"is cut: .*repair"):
        injected(path, {GYRO: log_of(gyro_at(0, 1))})
    assert [found.name for found in tmp_path.iterdir()] == ["film.mp4"]


def test_a_film_with_damaged_fragments_is_refused(film, tmp_path, injected):
    path = made_by_ffmpeg(tmp_path / "film.mp4", film, movflags="frag_keyframe+empty_moov")
    data = bytearray(path.read_bytes())
    at = data.index(b"trun", data.index(b"moof", data.index(b"moof") + 4))
    struct.pack_into(">I", data, at + 8, 0x7FFFFFFF)  # samples
    path.write_bytes(data)
    with pytest.raises(Mp4Error, match=r"has damaged fragments: .*repair"):
        injected(path, {GYRO: log_of(gyro_at(0, 1))})


def test_fragments_of_several_sample_entries_are_refused(mp4, tmp_path, injected):
    mvex = mp4.box(b"mvex", mp4.full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0)))
    path = tmp_path / "old.mp4"
    path.write_bytes(mp4.write([b"x"], [1000], handler=b"vide", entries=[b"jpeg"] * 2, extra=mvex))
    with pytest.raises(Mp4Error, match="in fragments and has a track of several sample entries"):
        injected(path, {GYRO: log_of(gyro_at(0))})


def test_a_track_number_that_is_taken_is_not_used_again(mp4, tmp_path, injected):
    data = mp4.write([b"x"], [1000], handler=b"vide", entries=[b"jpeg"])
    at = data.index(b"tkhd") + 24
    path = tmp_path / "old.mp4"
    path.write_bytes(data[:at] + b"\xff" * 4 + data[at + 4 :])
    clip, _ = injected(path, {GYRO: log_of(gyro_at(0))})
    assert [track.number for track in clip.tracks] == [0xFFFFFFFF, 1]


def test_samples_outside_of_the_media_are_refused(mp4, tmp_path, injected):
    data = mp4.write([b"one"], [1000], handler=b"vide", entries=[b"jpeg"])
    at = data.index(b"stco") + 12
    path = tmp_path / "old.mp4"
    path.write_bytes(data[:at] + struct.pack(">I", 8) + data[at + 4 :])
    with pytest.raises(Mp4Error, match="samples lie at the bytes 8 to 8, the media at"):
        injected(path, {GYRO: log_of(gyro_at(0))})


def test_an_encrypted_film_is_refused(mp4, tmp_path, injected):
    path = tmp_path / "old.mp4"
    saio = mp4.full(b"saio", 0, 0, struct.pack(">II", 1, 0))
    media = mp4.write([b"one"], [1000], replace={b"saio": saio})
    path.write_bytes(media.replace(b"camm\0", b"encv\0"))
    with pytest.raises(Mp4Error, match="is encrypted"):
        injected(path, {GYRO: log_of(gyro_at(0))})


# What goes in


def test_records_begin_at_the_first_frame_and_end_with_the_film(film, injected):
    rates = gyro_at(*np.arange(-5, 10, 0.3))
    clip, told = injected(film, {GYRO: log_of(rates), GPS: log_of(fixes_at(-1, 0.5, 1.5, 7))})
    assert clip.gyro.t_ns[0] == 0
    # The one at zero is interpolated between those on both sides of it.
    np.testing.assert_allclose(clip.gyro.data[:, 0], clip.gyro.t_ns / 1e9, atol=1e-6)
    assert clip.gyro.t_ns[-1] <= told.end_ns
    assert clip.gps.t_ns.tolist() == [500_000_000, 1_500_000_000]
    (gyro, gps) = told.covers
    assert (gps.count, gps.first_ns, gps.earliest_ns, gps.latest_ns) == (
        2,
        500_000_000,
        -SECOND,
        7 * SECOND,
    )
    assert gyro.count == len(clip.gyro)


def test_a_log_in_many_blocks_goes_in_like_one(film, injected):
    seconds = np.arange(-2, 3, 0.01)
    whole, _ = injected(film, {GYRO: log_of(gyro_at(*seconds))})
    rates, times = whole.gyro.data, whole.gyro.t_ns
    parts = [gyro_at(*part) for part in np.array_split(seconds, 60)]
    clip, _ = injected(film, {GYRO: log_of(*parts)})
    assert clip.gyro.t_ns.tolist() == times.tolist()
    np.testing.assert_array_equal(clip.gyro.data, rates)


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        ([0.2, 0.3], [0, 0.2, 0.3]),  # held: it began with the film
        ([1.2, 1.3], [1.2, 1.3]),
        ([-3, 0.5], [0, 0.5]),  # what is three seconds old says nothing of the first frame
        ([-3, 1.5], [1.5]),
        ([0, 1], [0, 1]),
    ],
)
def test_what_there_is_at_the_first_frame(film, injected, seconds, times):
    clip, _ = injected(film, {GYRO: log_of(gyro_at(*seconds))})
    assert (clip.gyro.t_ns / 1e9).tolist() == times
    if seconds == [-3, 0.5]:
        assert clip.gyro.data[0, 0] == 0.5
    # Readers without edit lists take the first record for time zero.
    assert clip.records.t_ns[0] == 0
    assert (EXPOSURE in clip.counts) == (times[0] > 0)


def test_only_the_exposure_of_the_first_frame_is_moved_to_it(film, injected):
    times = np.array([-70, -40, -7, 26], np.int64) * 1_000_000
    values = empty_values(EXPOSURE, 4)
    values["pixel_exposure_time"] = [1, 2, 3, 4]
    clip, _ = injected(film, {EXPOSURE: log_of(Samples(EXPOSURE, times, values))})
    assert clip.exposure.t_ns.tolist() == [0, 26_000_000]
    assert clip.exposure.data["pixel_exposure_time"].tolist() == [3, 4]


def test_times_count_from_the_first_frame_wherever_that_is(mp4, tmp_path, injected):
    path = tmp_path / "late.mp4"
    path.write_bytes(
        mp4.write(
            [b"x"] * 10,
            [100] * 10,
            handler=b"vide",
            entries=[b"jpeg"],
            timescale=1000,
            edits=[(250, -1), (1000, 0)],
        )
    )
    clip, _ = injected(path, {GYRO: log_of(gyro_at(0, 0.1, 0.2))})
    assert clip.video.pts_ns[0] == 250_000_000
    assert clip.gyro.t_ns.tolist() == [0, 250_000_000, 350_000_000, 450_000_000]


def test_an_offset_moves_the_logs(film, injected):
    clip, _ = injected(film, {GPS: log_of(fixes_at(0.25, 1))}, offset_ns=-250_000_000)
    assert clip.gps.t_ns.tolist() == [0, 750_000_000]


def test_a_dated_log_is_placed_by_utc(film, injected):
    created = NOON + timedelta(seconds=0.4)
    dated = log_of(fixes_at(0, 1), created=created, by_utc=True)
    clip, _ = injected(film, {GPS: dated}, start=NOON)
    assert clip.gps.t_ns.tolist() == [400_000_000, 1_400_000_000]
    assert clip.created == NOON  # the film had no date of its own
    assert clip.metadata["injected"] == {
        "logs": {"gps": "drive.log"},
        "start": "2026-06-01T12:00:00+00:00",
        "offset_s": 0,
    }


def test_a_dated_log_needs_a_film_with_a_date(film, injected):
    with pytest.raises(UsageError, match=r"drive\.log is placed by its dates, and .* has none"):
        injected(film, {GPS: log_of(fixes_at(0), created=NOON, by_utc=True)})


def test_a_film_of_another_age_has_no_date(film, injected):
    dated = {GPS: log_of(fixes_at(0), created=NOON, by_utc=True)}
    with pytest.raises(UsageError, match=r"drive\.log begins in 2026 and .* in 9999: say when it"):
        injected(film, dated, start=NOON.replace(year=9999))


@pytest.mark.parametrize(
    ("hours", "advice"),
    [
        (2, "if one of the two clocks has local time, --offset -7200"),
        (-5.5, "if one of the two clocks has local time, --offset 19800"),
        (2.1, "do they belong together"),
        (300, "do they belong together"),
    ],
)
def test_a_log_of_another_time_is_refused(film, tmp_path, injected, hours, advice):
    created = NOON + timedelta(hours=hours)
    dated = log_of(fixes_at(0, 1), created=created, by_utc=True)
    with pytest.raises(UsageError, match=advice):
        injected(film, {GPS: dated}, start=NOON)
    assert list(tmp_path.iterdir()) == []


def test_it_is_enough_that_one_type_of_a_log_overlaps(film, injected):
    both = log_of(gyro_at(0, 1), fixes_at(10, 11))
    clip, told = injected(film, {GYRO: both, GPS: both})
    assert [cover.count for cover in told.covers] == [2, 0]
    assert set(clip.counts) == {GYRO}


def test_records_far_out_of_order_are_left_out_and_counted(film, injected):
    rates = [gyro_at(*np.arange(0, 1.9, 0.1)), gyro_at(0.05, 1.85)]
    clip, told = injected(film, {GYRO: log_of(*rates), GPS: log_of(fixes_at(0))})
    assert told.late == 0
    assert clip.gyro.t_ns[1] == 50_000_000
    far = Samples(GPS, np.array([0, 1_900_000_000, 100_000_000]), fixes_at(0, 0, 0).data)
    _, told = injected(film, {GPS: AnyLog(lambda _: iter([far[0:2], far[2:3]]))})
    assert told.late == 1


# A track that is there already


def test_a_second_track_is_refused(walk, injected, tmp_path):
    with pytest.raises(UsageError, match=r"has a CAMM track already \(angle_axis, .*--replace"):
        injected(walk.clip, {GYRO: log_of(gyro_at(0, 1))})
    assert list(tmp_path.iterdir()) == []


def test_a_track_is_replaced(walk, injected, tmp_path):
    clip, _ = injected(walk.clip, {GYRO: log_of(gyro_at(0, 1))}, over="replace")
    assert clip.counts == {GYRO: 2}
    assert len(clip.camm_tracks) == 1
    assert played(tmp_path / "out.mp4") == played(walk.clip)


def test_a_track_is_merged_with_what_it_has_of_other_types(walk, injected):
    clip, told = injected(walk.clip, {GYRO: log_of(gyro_at(0, 1))}, over="merge")
    assert clip.counts[GYRO] == 2
    with reader.open(walk.clip) as before:
        for kind in (ANGLE, ACCELERATION, GPS, EXPOSURE):
            assert clip.samples(kind).t_ns.tolist() == before.samples(kind).t_ns.tolist()
            np.testing.assert_array_equal(clip.samples(kind).data, before.samples(kind).data)
        assert clip.metadata["sources"] == before.metadata["sources"]
    assert [cover.kind for cover in told.covers] == [GYRO]


# Order


times = st.lists(st.integers(-(10**10), 10**10), max_size=40)


@given(st.lists(times, min_size=1, max_size=4), st.integers(1, 7))
def test_streams_come_out_in_order_whatever_their_blocks(streams, length):
    def blocks(kind, t_ns):
        for at in range(0, len(t_ns), length):
            part = np.array(t_ns[at : at + length], np.int64)
            yield Records.of(Samples(kind, part, np.column_stack([part] * 3)))

    kinds = [GYRO, ACCELERATION, ANGLE, PacketType.POSITION]
    streams = [sorted(t_ns) for t_ns in streams]
    order = InOrder([blocks(kind, t_ns) for kind, t_ns in zip(kinds, streams, strict=False)])
    found = Records.join(list(order))
    expected = sorted((t, kind) for kind, t_ns in zip(kinds, streams, strict=False) for t in t_ns)
    assert [*zip(found.t_ns.tolist(), found.kind.tolist(), strict=True)] == expected
    assert order.late == 0
    for kind in found.kinds:
        mine = found.samples(kind)
        np.testing.assert_array_equal(mine.data[:, 0], mine.t_ns.astype(np.float32))


# When a film begins


def apple(mp4, text, *, version=b""):
    name = b"com.apple.quicktime.creationdate"
    value = mp4.box(b"data", struct.pack(">II", 1, 0), text)
    keys = mp4.full(b"keys", 0, 0, struct.pack(">I", 1), mp4.box(b"mdta", name))
    ilst = mp4.box(b"ilst", mp4.box(b"\0\0\0\1", value))
    hdlr = mp4.full(b"hdlr", 0, 0, bytes(4) + b"mdta" + bytes(13))
    return mp4.box(b"meta", version, hdlr, keys, ilst)


@pytest.mark.parametrize("version", [b"", bytes(4)], ids=["QuickTime", "MP4"])
def test_apples_date_goes_before_the_movies(mp4, opened, version):
    extra = apple(mp4, b"2026-06-01T14:00:00+0200", version=version)
    start = start_of(opened(mp4.write([b"x"], [1000], handler=b"vide", extra=extra)))
    assert (start.utc, start.told_by) == (NOON, "com.apple.quicktime.creationdate")


@pytest.mark.parametrize("text", [b"yesterday", b"", b"\xff\xfe"])
def test_a_date_that_is_none_is_passed_over(mp4, opened, text):
    clip = opened(mp4.write([b"x"], [1000], handler=b"vide", extra=apple(mp4, text)))
    start = start_of(clip)
    assert (start.utc, start.told_by) == (clip.created, "its creation time")


def test_our_own_clips_know_it_to_the_microsecond(walk):
    with reader.open(walk.clip) as clip:
        start = start_of(clip)
        assert start.utc.isoformat(timespec="microseconds") == clip.metadata["movie"]["zero_utc"]
        assert abs(start.utc - clip.created) <= timedelta(seconds=0.5)


def test_a_film_without_any_date_has_none(film):
    with reader.open(film) as clip:
        assert start_of(clip) is None


def test_times_of_a_film_are_told_to_the_second():
    told = [clock(round(s * 1e9)) for s in (0, 59.6, 3599, 3600, -7203, -0.2)]
    assert told == ["00:00", "01:00", "59:59", "1:00:00", "-2:00:03", "00:00"]
