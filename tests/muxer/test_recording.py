"""A recording: which packets and samples end up where and when in the file, as PyAV reads it."""

import math
import struct
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camm import Packet, PacketType, Samples, StreamFormat, empty_values
from muxer.errors import Mp4Error
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

repeatable = settings(max_examples=40)

ABOUT = MovieDescription(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "Maker", "Model", {"a": 1})
VIDEO = StreamFormat("video", "mjpeg", 90_000, width=64, height=48)
ZERO = 7_000_000_123_457  # the presentation time of the first frame
MS = 1_000_000
SECOND = 1_000_000_000
LAYOUTS = {0: "<3f", 1: "<2i", 2: "<3f", 3: "<3f", 4: "<3f", 5: "<3d", 6: "<didd7f", 7: "<3f"}


def pictures(count, *, period=40 * MS, key=5, shutter=None, start=ZERO, data=b"picture"):
    """Pictures at a steady rate; `shutter` is (exposure, skew) of a camera that tells."""
    packets = []
    for n in range(count):
        pts = start + n * period
        told = {}
        if shutter is not None:
            exposure, skew = shutter
            begin = pts - (exposure + skew) // 2
            told = {"exposure_start_ns": begin, "exposure_ns": exposure, "skew_ns": skew}
        packets.append(Packet(0, b"%s %d" % (data, n), pts, pts, period, n % key == 0, **told))
    return packets


def vectors(kind, t_ns):
    """Samples that say when they were measured: seconds from ZERO, and the kind."""
    t_ns = np.asarray(t_ns, np.int64)
    seconds = (t_ns - ZERO) / SECOND
    return Samples(kind, t_ns, np.stack([seconds, -seconds, np.full(len(t_ns), kind)], axis=1))


def imu(t_ns):
    return [vectors(PacketType.GYRO, t_ns), vectors(PacketType.ACCELERATION, t_ns)]


def fixes(*t_ns):
    values = empty_values(PacketType.GPS, len(t_ns))
    values["gps_fix_type"] = 3
    values["time_gps_epoch"] = 1.4e9 + (np.array(t_ns) - ZERO) / SECOND
    return Samples(PacketType.GPS, np.array(t_ns, np.int64), values)


def every(period, start, end):
    return np.arange(start, end, period, np.int64)


@pytest.fixture(scope="module")
def records(mp4):
    """(microseconds, type, values) of every record of a finished file."""

    def read(path):
        found = []
        for at, data in mp4.samples(path.read_bytes()):
            reserved, kind = struct.unpack_from("<HH", data)
            assert reserved == 0
            found.append((at, kind, struct.unpack(LAYOUTS[kind], data[4:])))
        return found

    return read


def of_kind(found, kind):
    return [(at, values) for at, this, values in found if this == kind]


def frames(path, stream=0):
    with av.open(str(path)) as container:
        chosen = container.streams[stream]
        return [
            (packet.pts, packet.dts, packet.is_keyframe, bytes(packet))
            for packet in container.demux(chosen)
            if packet.size
        ]


def recorded(path, packets, blocks, end, *, formats=(VIDEO,), **options):
    """Everything is there before anything is written."""
    recording = Recording(path, formats, ABOUT, **options)
    recording.add_packets(packets)
    recording.add_samples("sensors", blocks, None)
    statistics = recording.finish(end, ABOUT)
    assert statistics == recording.statistics()
    return statistics


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clip.mp4"


# Movie time zero


def test_movie_time_zero_is_the_first_frame(records, path):
    recording = Recording(path, [VIDEO], ABOUT)
    assert recording.zero_ns is None
    recording.add_packets(pictures(10))
    assert recording.zero_ns == ZERO
    recording.add_samples("imu", imu(every(10 * MS, ZERO - 100 * MS, ZERO + 400 * MS)), None)
    recording.finish(ZERO + 400 * MS, ABOUT)
    assert [pts for pts, *_ in frames(path)] == [3600 * n for n in range(10)]
    assert records(path)[0][0] == 0


def test_gyro_and_accelerometer_begin_at_zero_and_go_together(records, path):
    t_ns = every(5 * MS, ZERO - 33 * MS, ZERO + 400 * MS)
    recorded(path, pictures(10), imu(t_ns), ZERO + 400 * MS)
    found = records(path)
    gyro, accel = of_kind(found, 2), of_kind(found, 3)
    assert [at for at, _ in gyro] == [at for at, _ in accel]
    assert [at for at, _ in gyro] == [0, *((t_ns[t_ns > ZERO] - ZERO) // 1000).tolist()]


@pytest.mark.parametrize("kind", [2, 3, 7])
def test_the_record_at_zero_lies_on_the_line_between_its_neighbours(records, path, kind):
    t_ns = np.array([ZERO - 5 * MS, ZERO + 5 * MS, ZERO + 15 * MS])
    data = np.array([[1.0, -8.0, 30.0], [3.0, -4.0, 30.0], [9.0, 9.0, 9.0]])
    recorded(path, pictures(3), [Samples(PacketType(kind), t_ns, data)], ZERO + 100 * MS)
    first = of_kind(records(path), kind)
    assert first[0] == (0, (2.0, -6.0, 30.0))
    assert first[1] == (5_000, (3.0, -4.0, 30.0))


def test_interpolation_keeps_its_digits_after_months_of_uptime(records, path):
    """In float64 the times of three months after boot are 1 ns apart, in float32 half a second."""
    late = 8_000_000 * SECOND + 1
    t_ns = np.array([late - 3, late + 1])
    blocks = [Samples(PacketType.GYRO, t_ns, np.array([[0.0, 0, 0], [4.0, 0, 0]]))]
    recorded(path, pictures(3, start=late), blocks, late + 100 * MS)
    assert of_kind(records(path), 2)[0][1][0] == 3.0


def test_orientation_at_zero_lies_on_the_shortest_turn(records, path):
    """Across pi, where the vector changes its sign: half way from 170 to 190 degrees is 180."""
    t_ns = np.array([ZERO - 10 * MS, ZERO + 10 * MS])
    data = np.radians([[0.0, 170.0, 0.0], [0.0, -170.0, 0.0]])
    recorded(path, pictures(3), [Samples(PacketType.ANGLE_AXIS, t_ns, data)], ZERO + 100 * MS)
    ((at, (x, y, z)), *_) = of_kind(records(path), 0)
    assert at == 0
    assert (x, z) == pytest.approx((0, 0), abs=1e-6)
    assert abs(y) == pytest.approx(math.pi, abs=1e-6)


def test_orientation_at_zero_turns_steadily(records, path):
    t_ns = np.array([ZERO - 10 * MS, ZERO + 30 * MS])
    data = np.radians([[40.0, 0.0, 0.0], [80.0, 0.0, 0.0]])
    recorded(path, pictures(3), [Samples(PacketType.ANGLE_AXIS, t_ns, data)], ZERO + 100 * MS)
    assert of_kind(records(path), 0)[0][1] == pytest.approx((math.radians(50), 0, 0), abs=1e-6)


def test_a_sample_that_falls_on_zero_is_the_record_at_zero(records, path):
    t_ns = every(10 * MS, ZERO - 20 * MS, ZERO + 100 * MS)
    recorded(path, pictures(3), imu(t_ns), ZERO + 100 * MS)
    gyro = of_kind(records(path), 2)
    assert [at for at, _ in gyro] == [n * 10_000 for n in range(10)]
    assert gyro[0][1] == (0.0, 0.0, 2.0)


def test_a_sensor_that_starts_late_is_held_back_to_zero(records, path):
    """What Android does: the first value, and a long first interval."""
    blocks = imu(every(10 * MS, ZERO + 117 * MS, ZERO + 200 * MS))
    recorded(path, pictures(5), blocks, ZERO + 200 * MS)
    for kind in (2, 3):
        first, second, *_ = of_kind(records(path), kind)
        assert (first[0], second[0]) == (0, 117_000)
        assert first[1] == second[1]


def test_a_sensor_that_falls_silent_before_zero_is_held(records, path):
    recorded(path, pictures(3), imu([ZERO - 20 * MS, ZERO - 10 * MS]), ZERO + 100 * MS)
    ((at, values),) = of_kind(records(path), 2)
    assert (at, values) == (0, pytest.approx((-0.01, 0.01, 2.0)))


def test_fixes_are_neither_interpolated_nor_repeated(records, path):
    blocks = [fixes(ZERO - 700 * MS, ZERO - 200 * MS, ZERO + 300 * MS), *imu([ZERO])]
    recorded(path, pictures(20), blocks, ZERO + 800 * MS)
    ((at, values),) = of_kind(records(path), 6)
    assert at == 300_000
    assert values[:2] == (1.4e9 + 0.3, 3)


@pytest.mark.parametrize("kind", [PacketType.MIN_GPS, PacketType.POSITION])
def test_places_before_zero_are_left_out(records, path, kind):
    t_ns = np.array([ZERO - 1, ZERO, ZERO + 10 * MS])
    blocks = [Samples(kind, t_ns, empty_values(kind, 3))]
    recorded(path, pictures(3), blocks, ZERO + 100 * MS)
    assert [at for at, _ in of_kind(records(path), kind)] == [0, 10_000]


def test_without_anything_at_zero_an_exposure_that_is_not_known_stands_there(records, path):
    recorded(path, pictures(10), [fixes(ZERO + 100 * MS)], ZERO + 400 * MS)
    first, second = records(path)
    assert first == (0, 1, (0, 0))
    assert (second[0], second[1]) == (100_000, 6)


def test_with_something_at_zero_no_placeholder_is_made_up(records, path):
    recorded(path, pictures(10), imu([ZERO + 1]), ZERO + 400 * MS)
    assert of_kind(records(path), 1) == []


def test_every_frame_lies_in_what_is_said_of_its_shutter(records, path):
    exposure, skew = 16 * MS + 1, 11 * MS
    recorded(path, pictures(50, shutter=(exposure, skew)), [], ZERO + 2 * SECOND)
    said = of_kind(records(path), 1)
    assert said[0][0] == 0  # the first began before the movie does
    assert [values for _, values in said] == [(exposure, skew)] * 50
    assert [at for at, _ in said[1:]] == [n * 40_000 - 13_500 for n in range(1, 50)]
    for (at, _), (pts, *_) in zip(said, frames(path), strict=True):
        assert at <= pts * 1e6 / 90_000 <= at + (exposure + skew) / 1000


# Order


ALL_BLOCKS = [
    *imu(every(5 * MS, ZERO - 51 * MS, ZERO + 1900 * MS)),
    vectors(PacketType.MAGNETIC_FIELD, every(10 * MS, ZERO - 51 * MS, ZERO + 1900 * MS)),
    vectors(PacketType.ANGLE_AXIS, every(5 * MS, ZERO - 51 * MS, ZERO + 1900 * MS)),
    fixes(*every(200 * MS, ZERO - 351 * MS, ZERO + 1900 * MS)),
]


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory):
    path = tmp_path_factory.mktemp("once") / "clip.mp4"
    recorded(path, pictures(45, shutter=(8 * MS, 5 * MS)), ALL_BLOCKS, ZERO + 1800 * MS)
    return path


@st.composite
def deliveries(draw):
    """The same samples, cut up and interleaved in any way that keeps each kind's own order."""
    pending = [[block] for block in ALL_BLOCKS]
    for parts in pending:
        (block,) = parts
        cuts = sorted(draw(st.sets(st.integers(1, len(block) - 1), max_size=6)))
        parts[:] = [
            block[start:end] for start, end in zip([0, *cuts], [*cuts, len(block)], strict=True)
        ]
    order = [n for n, parts in enumerate(pending) for _ in parts]
    return [pending[n].pop(0) for n in draw(st.permutations(order))]


@repeatable
@given(deliveries(), st.integers(0, 45))
def test_the_order_of_deliveries_leaves_no_trace(tmp_path_factory, in_one_go, blocks, at):
    path = tmp_path_factory.mktemp("cut") / "clip.mp4"
    packets = pictures(45, shutter=(8 * MS, 5 * MS))
    recording = Recording(path, [VIDEO], ABOUT)
    recording.add_packets(packets[:at])
    for block in blocks:
        recording.add_samples("sensors", [block], 0)
    recording.add_packets(packets[at:])
    recording.finish(ZERO + 1800 * MS, ABOUT)
    assert path.read_bytes() == in_one_go.read_bytes()
    path.unlink()


def test_ffmpeg_reads_the_same_records(in_one_go, mp4):
    ours = mp4.samples(in_one_go.read_bytes())
    with av.open(str(in_one_go)) as container:
        (stream,) = container.streams.data
        assert stream.time_base == Fraction(1, 1_000_000)
        theirs = [(packet.pts, bytes(packet)) for packet in container.demux(stream) if packet.size]
    assert [data for _, data in theirs] == [data for _, data in ours]
    # libavformat makes up times for packets without a duration, if a stream begins with such.
    at_zero = sum(at == 0 for at, _ in ours)
    assert at_zero == 5
    assert theirs[at_zero:] == ours[at_zero:]


def test_times_never_run_backwards_over_all_kinds(records, in_one_go):
    found = records(in_one_go)
    assert [(at, kind) for at, kind, _ in found] == sorted((at, kind) for at, kind, _ in found)
    counts = Counter(kind for _, kind, _ in found)
    assert counts == {0: 361, 1: 45, 2: 361, 3: 361, 6: 9, 7: 181}


# Fragments


def feed(recording, packets, *, sensors=(), step=20 * MS, until):
    """Sources deliver as time goes by: pictures at once, sensors 30 ms later; (time, fragments)."""
    written = []
    packets = list(packets)
    now = ZERO
    while now < until:
        while packets and packets[0].pts_ns <= now:
            recording.add_packets([packets.pop(0)])
        for source in sensors:
            recording.add_samples(
                source, [vectors(PacketType.GYRO, [now - 30 * MS])], now - 29 * MS
            )
        recording.advance(now)
        if recording.statistics().fragments > len(written):
            written.append(now - ZERO)
        now += step
    return written


def fragment_lengths(path, mp4):
    """Milliseconds of video in each fragment, and whether it begins with a key frame."""
    found = []
    data = path.read_bytes()
    for kind, _, content in mp4.boxes(data):
        if kind == b"moof":
            for traf, _, inner in mp4.boxes(content):
                if traf == b"traf" and mp4.inside(inner, b"tfhd")[4:8] == b"\0\0\0\1":
                    trun = mp4.inside(inner, b"trun")
                    rows = struct.iter_unpack(">IIIi", trun[12:])
                    ticks, _, flags, _ = zip(*rows, strict=True)
                    found.append((sum(ticks) / 90, not flags[0] & 0x10000))
    return found


@pytest.mark.parametrize(
    ("key", "lengths"),
    [
        (1, 520),  # every frame is one: the first after half a second
        (5, 600),  # every 200 ms
        (13, 520),
        (20, 800),
        (24, 960),
    ],
)
def test_a_fragment_ends_at_a_key_frame_between_half_a_second_and_one(path, mp4, key, lengths):
    recording = Recording(path, [VIDEO], ABOUT)
    feed(recording, pictures(150, key=key), until=ZERO + 6 * SECOND)
    found = fragment_lengths(path, mp4)
    assert len(found) > 4
    assert found == [(lengths, True)] * len(found)
    recording.close()


def test_without_key_frames_a_fragment_ends_after_a_second(path, mp4):
    recording = Recording(path, [VIDEO], ABOUT)
    feed(recording, pictures(150, key=1000), until=ZERO + 6 * SECOND)
    assert fragment_lengths(path, mp4) == [(1000, n == 0) for n in range(5)]
    recording.close()


def test_key_frames_too_far_apart_still_begin_fragments(path, mp4):
    recording = Recording(path, [VIDEO], ABOUT)
    feed(recording, pictures(150, key=40), until=ZERO + 6 * SECOND)
    assert fragment_lengths(path, mp4)[:5] == [
        (1000, True),
        (600, False),
        (1000, True),
        (600, False),
        (1000, True),
    ]
    recording.close()


def test_a_fragment_waits_for_every_source_that_lives(path):
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu", "gps"])
    written = feed(recording, pictures(100), sensors=["imu"], until=ZERO + 1500 * MS)
    assert written == []  # nothing was heard of the GPS, which was announced
    recording.add_samples("gps", [fixes(ZERO + 100 * MS)], ZERO + 600 * MS)
    recording.advance(ZERO + 1500 * MS)
    assert recording.statistics().fragments == 1
    recording.add_samples("gps", [], None)  # it ends, and is not waited for any more
    recording.advance(ZERO + 1500 * MS)
    assert recording.statistics().fragments == 2
    recording.close()


def test_a_source_that_is_behind_delays_a_fragment_by_that_much(path):
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu"])
    written = feed(recording, pictures(100), sensors=["imu"], until=ZERO + 2 * SECOND)
    assert written == [640 * MS, 1240 * MS, 1840 * MS]
    recording.close()


def test_a_source_that_hangs_is_given_two_seconds(path):
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu"])
    written = feed(recording, pictures(100), until=ZERO + 4 * SECOND)
    assert written == [2600 * MS, 3200 * MS, 3800 * MS]
    recording.close()


def test_a_camera_that_hangs_is_given_two_seconds(path):
    """What the sensors say goes on into the file, a second at a time."""
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu"])
    written = feed(recording, pictures(10), sensors=["imu"], until=ZERO + 5 * SECOND)
    assert written == [3 * SECOND, 4 * SECOND]
    recording.add_packets(pictures(3, start=ZERO + 5 * SECOND))
    statistics = recording.finish(ZERO + 5200 * MS, ABOUT)
    assert statistics.frames == 13
    assert not +Counter(statistics.late)
    assert [pts for pts, *_ in frames(path)][-4:] == [32400, 450_000, 453_600, 457_200]


def test_late_samples_are_counted_and_not_written(records, path):
    recording = Recording(path, [VIDEO], ABOUT)
    feed(recording, pictures(100), until=ZERO + 2 * SECOND)
    assert recording.statistics().fragments == 3
    t_ns = every(100 * MS, ZERO, ZERO + 3 * SECOND)
    recording.add_samples("imu", [vectors(PacketType.GYRO, t_ns), fixes(ZERO + 5)], None)
    statistics = recording.finish(ZERO + 3 * SECOND, ABOUT)
    assert statistics.late == {PacketType.GYRO: 18, PacketType.GPS: 1}
    assert statistics.written == {PacketType.EXPOSURE: 1, PacketType.GYRO: 12}
    found = records(path)
    assert [at for at, _ in of_kind(found, 2)] == [n * 100_000 for n in range(18, 30)]
    assert [at for at, *_ in found] == sorted(at for at, *_ in found)


def test_what_is_long_past_is_forgotten_before_the_first_frame(records, path):
    """The rig may stand warm for hours before it films."""
    recording = Recording(path, [VIDEO], ABOUT)
    for second in range(-3600, 0):
        t_ns = ZERO + second * SECOND + np.arange(0, SECOND, 10 * MS)
        recording.add_samples("imu", imu(t_ns), int(t_ns[-1]) + 1)
    kept = sum(len(block) for block in recording._assembly._samples)
    assert kept <= 2 * 1100  # eleven seconds of two sensors at 100 Hz
    recording.add_packets(pictures(5))
    statistics = recording.finish(ZERO + 200 * MS, ABOUT)
    assert of_kind(records(path), 2) == [(0, pytest.approx((-0.01, 0.01, 2.0)))]
    assert statistics.written == {PacketType.GYRO: 1, PacketType.ACCELERATION: 1}


# Ends


def test_a_recording_ends_where_it_is_told_to(records, path):
    packets = pictures(100, shutter=(8 * MS, 6 * MS))
    recorded(path, packets, imu(every(5 * MS, ZERO, ZERO + 4 * SECOND)), ZERO + 1500 * MS)
    found = records(path)
    assert len(frames(path)) == len(of_kind(found, 1)) == 38  # 0 to 1480 ms
    assert of_kind(found, 2)[-1][0] == 1_495_000
    assert found[-1][0] < 1_500_000


def test_a_video_that_ends_leaves_the_sensors_recording(records, path):
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu"])
    feed(recording, pictures(20), sensors=["imu"], until=ZERO + 800 * MS)
    recording.end_video()
    written = []
    for now in every(20 * MS, ZERO + 800 * MS, ZERO + 4 * SECOND):
        block = vectors(PacketType.GYRO, [now - 30 * MS])
        recording.add_samples("imu", [block], int(now) - 29 * MS)
        recording.advance(int(now))
        if recording.statistics().fragments > 1 + len(written):
            written.append(int(now) - ZERO)
    assert written == [1640 * MS, 2640 * MS, 3640 * MS]  # a second after 600 ms, and so on
    statistics = recording.finish(ZERO + 4 * SECOND, ABOUT)
    assert statistics.frames == 20
    assert not +Counter(statistics.late)
    assert of_kind(records(path), 2)[-1][0] == 3_950_000


def test_a_recording_without_video_begins_when_it_is_told_to(records, path):
    recording = Recording(path, [], ABOUT, sources=["imu"], start_ns=ZERO)
    assert recording.zero_ns == ZERO
    for now in every(20 * MS, ZERO, ZERO + 3 * SECOND):
        recording.add_samples("imu", imu([now - 30 * MS]), int(now) - 29 * MS)
        recording.advance(int(now))
    assert recording.statistics().fragments == 2
    recording.finish(ZERO + 3 * SECOND, ABOUT)
    gyro = of_kind(records(path), 2)
    assert [at for at, _ in gyro] == [0, *range(10_000, 2_960_000, 20_000)]
    assert [at for at, _ in of_kind(records(path), 3)] == [at for at, _ in gyro]


def test_a_sensor_that_starts_late_without_video_begins_at_zero_all_the_same(records, path):
    recording = Recording(path, [], ABOUT, start_ns=ZERO)
    for second in range(5):
        recording.advance(ZERO + second * SECOND)
    assert not path.exists()  # there is nothing to keep yet
    recording.add_samples("imu", imu(every(10 * MS, ZERO + 4500 * MS, ZERO + 5 * SECOND)), None)
    recording.finish(ZERO + 6 * SECOND, ABOUT)
    assert records(path)[0][0] == 0
    assert of_kind(records(path), 2)[-1][0] == 4_990_000


def test_nothing_is_no_recording(path):
    with pytest.raises(Mp4Error, match="no picture"):
        Recording(path, [VIDEO], ABOUT).finish(ZERO, ABOUT)
    with pytest.raises(Mp4Error, match="nothing was recorded"):
        Recording(path, [], ABOUT, start_ns=ZERO).finish(ZERO + SECOND, ABOUT)
    late = Recording(path, [VIDEO], ABOUT)
    late.add_packets(pictures(1))
    with pytest.raises(Mp4Error, match="no picture"):
        late.finish(ZERO - 1, ABOUT)
    assert not path.exists()


def test_an_end_in_the_middle_of_fragments_that_wait(records, path):
    recording = Recording(path, [VIDEO], ABOUT, sources=["imu"])
    recording.add_packets(pictures(100))  # many cuts, and nobody delivers
    recording.add_samples("imu", imu(every(5 * MS, ZERO, ZERO + 4 * SECOND)), ZERO)
    statistics = recording.finish(ZERO + 1300 * MS, ABOUT)
    assert statistics.fragments == 3
    assert len(frames(path)) == 33
    assert not +Counter(statistics.late)
    assert len(of_kind(records(path), 2)) == 260


# Video and audio


def film_packets(film):
    """The film's packets as a camera hands them out, and its formats."""
    with av.open(str(film)) as container:
        video, audio = container.streams
        formats = [
            StreamFormat(
                stream.type,
                stream.codec_context.codec.canonical_name,
                stream.time_base.denominator,
                bytes(stream.codec_context.extradata),
                **(
                    {"width": stream.width, "height": stream.height}
                    if stream.type == "video"
                    else {"sample_rate": stream.sample_rate, "channels": stream.channels}
                ),
            )
            for stream in (video, audio)
        ]

        def at(ticks, packet):
            return ZERO + round(ticks * packet.time_base * SECOND)

        packets = [
            Packet(
                packet.stream_index,
                bytes(packet),
                at(packet.pts, packet),
                at(packet.dts, packet),
                round(packet.duration * packet.time_base * SECOND),
                packet.is_keyframe,
            )
            for packet in container.demux()
            if packet.size
        ]
    return formats, packets


def test_b_frames_and_audio_come_through_to_the_tick(path, film, mp4):
    """Audio begins before the first frame and video is reordered: an edit list each says so."""
    formats, packets = film_packets(film)
    assert any(packet.pts_ns != packet.dts_ns for packet in packets if packet.stream == 0)
    assert min(packet.pts_ns for packet in packets if packet.stream == 1) < ZERO
    recording = Recording(path, formats, ABOUT)
    for packet in packets:
        recording.add_packets([packet])
        recording.advance(packet.dts_ns)
    assert mp4.kinds(path.read_bytes()).count(b"moof") == 2
    recording.add_samples("imu", imu(every(10 * MS, ZERO + 1900 * MS, ZERO + 2 * SECOND)), None)
    fragmented = path.read_bytes()
    recording.finish(ZERO + 10 * SECOND, ABOUT)
    for stream in (0, 1):
        assert frames(path, stream) == frames(film, stream)
    (path.parent / "fragmented.mp4").write_bytes(fragmented)
    for stream in (0, 1):
        theirs = frames(film, stream)
        ours = frames(path.parent / "fragmented.mp4", stream)
        assert 20 < len(ours) < len(theirs)
        assert ours == theirs[: len(ours)]
    with av.open(str(path)) as ours, av.open(str(film)) as theirs:
        for mine, other in zip(ours.decode(video=0), theirs.decode(video=0), strict=True):
            np.testing.assert_array_equal(mine.to_ndarray(), other.to_ndarray())


def test_audio_that_begins_late_keeps_its_place(path, film):
    formats, packets = film_packets(film)
    late = [p for p in packets if p.stream == 0 or p.dts_ns > ZERO + 1500 * MS]
    recording = Recording(path, formats, ABOUT)
    for packet in late:
        recording.add_packets([packet])
        recording.advance(packet.dts_ns)
    recording.finish(ZERO + 10 * SECOND, ABOUT)
    theirs = [frame for frame in frames(film, 1) if frame[0] > 72_000]
    ours = frames(path, 1)
    assert [data for *_, data in ours] == [data for *_, data in theirs]
    # The pause before is said in microseconds, which is finer than a tick of the audio.
    assert [pts for pts, *_ in ours] == [pytest.approx(pts, abs=1) for pts, *_ in theirs]
    assert frames(path, 0) == frames(film, 0)


def test_audio_that_never_comes_does_no_harm(path, film):
    formats, packets = film_packets(film)
    recorded(path, [p for p in packets if p.stream == 0], [], ZERO + 9 * SECOND, formats=formats)
    assert frames(path, 0) == frames(film, 0)
    assert frames(path, 1) == []


def test_of_several_sounds_one_is_to_be_played(path, mp4):
    sound = StreamFormat("audio", "pcm_s16le", 48_000, sample_rate=48_000, channels=1)

    def groups(*formats):
        path.unlink(missing_ok=True)
        heard = [Packet(n, bytes(960), ZERO, ZERO, 10 * MS) for n in range(1, len(formats))]
        recorded(path, [*pictures(5), *heard], [], ZERO + SECOND, formats=formats)
        return [
            struct.unpack_from(">H", mp4.inside(content, b"tkhd"), 46)[0]
            for kind, _, content in mp4.boxes(mp4.inside(path.read_bytes(), b"moov"))
            if kind == b"trak"
        ]

    assert groups(VIDEO, sound) == [0, 0, 0]
    assert groups(VIDEO, sound, sound) == [0, 1, 1, 0]


def test_times_are_rounded_each_by_itself_and_do_not_drift(records, path):
    """Of an hour at 59.94 frames a second and 208.33 Hz, every so many."""
    shown = [ZERO + round(n * Fraction(1001, 60_000) * SECOND) for n in range(0, 216_000, 977)]
    packets = [Packet(0, b"x", t_ns, t_ns, 0) for t_ns in shown]
    t_ns = [ZERO + round(n * Fraction(48, 10_000) * SECOND) + n % 3 for n in range(0, 750_000, 35)]
    block = vectors(PacketType.GYRO, t_ns)
    recorded(path, packets, [block], ZERO + 3604 * SECOND)
    found = [at for at, *_ in records(path)]
    errors = [at - Fraction(t - ZERO, 1000) for at, t in zip(found, t_ns, strict=True)]
    assert max(map(abs, errors)) <= Fraction(1, 2)
    exact = [Fraction((t - ZERO) * 90_000, SECOND) for t in shown]
    pts = [pts for pts, *_ in frames(path)]
    errors = [ours - theirs for ours, theirs in zip(pts, exact, strict=True)]
    assert max(map(abs, errors)) <= Fraction(1, 2)


# The profile that all readers accept


def test_the_finished_file_is_what_every_reader_accepts(records, path, mp4):
    metadata = {"name": "Straße", "n": [1, 2]}
    about = MovieDescription(
        datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "Maker", "Modell ß", metadata
    )
    recording = Recording(path, [VIDEO], about)
    recording.add_packets(pictures(60, shutter=(8 * MS, 5 * MS)))
    recording.add_samples("sensors", ALL_BLOCKS, None)
    recording.finish(ZERO + 2 * SECOND, about)
    data = path.read_bytes()
    # The `moov` is in front where the file system can make room for it.
    assert mp4.kinds(data) in (
        [b"ftyp", b"free", b"moov", b"free", b"mdat"],
        [b"ftyp", b"free", b"mdat", b"moov"],
    )
    moov = mp4.inside(data, b"moov")
    assert mp4.kinds(moov) == [b"mvhd", b"trak", b"trak", b"udta", b"uuid"]
    created = int(about.created.timestamp()) + 2_082_844_800
    mvhd = struct.unpack_from(">BxxxQQIQ", mp4.inside(moov, b"mvhd"))
    assert mvhd == (1, created, created, 1_000_000, 2_000_000)

    trak = mp4.boxes(moov)[2][2]
    assert mp4.kinds(trak) == [b"tkhd", b"mdia"]  # no edit list
    tkhd = mp4.inside(trak, b"tkhd")
    assert struct.unpack_from(">BxxBQQI4xQ", tkhd) == (1, 7, created, created, 2, 2_000_000)
    mdia = mp4.inside(trak, b"mdia")
    mdhd = mp4.inside(mdia, b"mdhd")
    assert struct.unpack_from(">BxxxQQIQ", mdhd) == (1, created, created, 1_000_000, 2_000_000)
    hdlr = mp4.inside(mdia, b"hdlr")
    assert hdlr == bytes(8) + b"meta" + bytes(12) + b"CameraMetadataMotionHandler\0"
    minf = mp4.inside(mdia, b"minf")
    assert mp4.kinds(minf) == [b"nmhd", b"dinf", b"stbl"]
    assert mp4.inside(minf, b"nmhd") == bytes(4)
    assert (
        mp4.inside(minf, b"dinf", b"dref")
        == struct.pack(">IIII", 0, 1, 12, 0x75726C20) + b"\0\0\0\1"
    )
    stbl = mp4.inside(minf, b"stbl")
    assert mp4.kinds(stbl)[0] == b"stsd"
    assert mp4.inside(stbl, b"stsd") == b"\0\0\0\0\0\0\0\1\0\0\0\x10camm\0\0\0\0\0\0\0\1"
    assert b"ctts" not in mp4.kinds(stbl)
    assert b"stss" not in mp4.kinds(stbl)

    found = records(path)
    _, _, count, *sizes = struct.unpack(f">III{len(found)}I", mp4.inside(stbl, b"stsz"))
    assert count == len(found)
    assert sizes == [(16, 12, 16, 16, 16, 28, 60, 16)[kind] for _, kind, _ in found]

    udta = {kind: content for kind, _, content in mp4.boxes(mp4.inside(moov, b"udta"))}
    text = "Modell ß".encode()
    assert udta == {
        b"manu": b"Maker",
        b"modl": text,
        b"\xa9mak": b"\0\5\x55\xc4Maker",
        b"\xa9mod": b"\0\x09\x55\xc4" + text,
    }
    user_type, json_text = mp4.inside(moov, b"uuid")[:16], mp4.inside(moov, b"uuid")[16:]
    assert user_type.hex() == "6f1c2f9e5d0b4a559c3a8b1d1b2e7c43"
    assert json_text.decode() == '{"n": [1, 2], "name": "Straße"}'

    video = mp4.inside(moov, b"trak")
    assert mp4.inside(video, b"mdia", b"hdlr")[8:12] == b"vide"
    width, height = struct.unpack(">II", mp4.inside(video, b"tkhd")[-8:])
    assert (width / 65536, height / 65536) == (64, 48)


def test_the_file_says_nothing_of_a_maker_that_is_not_known(path, mp4):
    recording = Recording(path, [VIDEO], MovieDescription(None, "", "", {}))
    recording.add_packets(pictures(3))
    recording.finish(ZERO + SECOND, MovieDescription(None, "", "", {}))
    moov = mp4.inside(path.read_bytes(), b"moov")
    assert mp4.inside(moov, b"udta") == b""
    assert struct.unpack_from(">QQ", mp4.inside(moov, b"mvhd"), 4) == (0, 0)
