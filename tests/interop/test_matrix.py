"""What goes into a recording comes out of every reader, whatever the rig delivers.

Each scene is recorded once and read by everybody; what they find is held against what was put in.
Values agree to the last bit, and so do times, but for readers that make floats of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from camm import Packet, PacketType, Samples, StreamFormat, empty_values
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ABOUT = MovieDescription(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "Maker", "Model", {})
ZERO = 86_400_000_123_457  # of the monotonic clock, when the first frame is shown
SECOND = 1_000_000_000

ANGLE_AXIS, EXPOSURE, GYRO, ACCELERATION, POSITION, MIN_GPS, GPS, MAGNETIC_FIELD = PacketType
CONTINUOUS = {ANGLE_AXIS, GYRO, ACCELERATION, MAGNETIC_FIELD}


@dataclass(frozen=True)
class Scene:
    """A recording: its streams, and its samples with times from the first frame."""

    seconds: int
    samples: tuple[Samples, ...]
    video: bool = True
    b_frames: int = 0
    audio: bool = False

    @property
    def expected(self) -> dict[PacketType, tuple[np.ndarray, np.ndarray]]:
        """Microseconds and rows of numbers of each type that a clip of it holds."""
        found = {}
        for block in self.samples:
            t_us, rows = (block.t_ns + 500) // 1000, table(block)
            # Held from time zero on, while the first fragment is not yet written.
            if block.kind in CONTINUOUS and 0 < t_us[0] < 1_000_000:
                t_us, rows = np.insert(t_us, 0, 0), np.insert(rows, 0, rows[0], axis=0)
            found[block.kind] = t_us, rows
        if all(t_us[0] > 0 for t_us, _ in found.values()):
            found[EXPOSURE] = np.array([0]), np.zeros((1, 2))
        return found

    @property
    def records(self) -> int:
        return sum(len(t_us) for t_us, _ in self.expected.values())


def table(samples: Samples) -> np.ndarray:
    """The samples' numbers as rows of float64, which holds all of them exactly."""
    if samples.data.dtype.names:
        return np.array([samples.data[name] for name in samples.data.dtype.names], np.float64).T
    return samples.data.astype(np.float64)


# What sensors deliver


def times(seconds: float, hz: float, *, start: float = 0.0, jitter: float = 0.1) -> np.ndarray:
    """Ticks of a clock that trembles by that part of its period; the first falls on `start`."""
    tremble = np.random.default_rng(int(hz)).uniform(-jitter, jitter, round((seconds - start) * hz))
    t_s = start + (np.arange(len(tremble)) + tremble) / hz
    t_s[0] = start
    return np.round(t_s * SECOND).astype(np.int64)


def vectors(kind: PacketType, t_ns: np.ndarray) -> Samples:
    """Any numbers; an orientation must be shorter than half a turn."""
    values = np.random.default_rng(kind).normal(size=(len(t_ns), 3))
    if kind is ANGLE_AXIS:
        values *= 2.5 / np.linalg.norm(values, axis=1, keepdims=True)
    return Samples(kind, t_ns, values.astype(np.float32))


def motion(t_ns: np.ndarray, *others: PacketType) -> tuple[Samples, ...]:
    return tuple(vectors(kind, t_ns) for kind in (GYRO, ACCELERATION, *others))


def fixes(kind: PacketType, t_ns: np.ndarray) -> Samples:
    """A drive through Berlin, in the steps in which receivers tell it."""
    rng = np.random.default_rng(kind)
    values = empty_values(kind, len(t_ns))
    values["latitude"] = np.round(52.5 + np.cumsum(rng.normal(0, 1e-5, len(t_ns))), 7)
    values["longitude"] = np.round(13.4 + np.cumsum(rng.normal(0, 1e-5, len(t_ns))), 7)
    values["altitude"] = rng.integers(30_000, 90_000, len(t_ns)) / 1000
    if kind is GPS:
        values["time_gps_epoch"] = 1_461_900_000 + np.round(t_ns / SECOND, 3)
        values["gps_fix_type"] = 3
        for name in values.dtype.names[5:]:
            values[name] = rng.normal(size=len(t_ns))
    return Samples(kind, t_ns, values)


def shutters(seconds: int) -> Samples:
    t_ns = np.maximum(np.arange(seconds * 10) * SECOND // 10 - 7_000_000, 0)
    values = empty_values(EXPOSURE, len(t_ns))
    values["pixel_exposure_time"] = 10_000_000 + np.arange(len(t_ns))
    values["rolling_shutter_skew_time"] = 4_000_000
    return Samples(EXPOSURE, t_ns, values)


def without(samples: Samples, start: float, end: float) -> Samples:
    return samples[(samples.t_ns < start * SECOND) | (samples.t_ns >= end * SECOND)]


def gaps() -> tuple[Samples, ...]:
    gyro, acceleration = (without(block, 1.2, 2.9) for block in motion(times(5, 200)))
    field = without(vectors(MAGNETIC_FIELD, times(5, 50)), 2.5, 4.9)
    return gyro, acceleration, field, without(fixes(GPS, times(5, 10)), 0.5, 4.2)


SCENES: dict[str, Callable[[], Scene]] = {
    "everything": lambda: Scene(
        3,
        (
            *motion(times(3, 200), ANGLE_AXIS),
            vectors(MAGNETIC_FIELD, times(3, 100)),
            vectors(POSITION, times(3, 20)),
            shutters(3),
            fixes(GPS, times(3, 10, start=0.03)),
        ),
    ),
    "audio": lambda: Scene(3, motion(times(3, 100), ANGLE_AXIS), audio=True),
    "B-frames": lambda: Scene(
        3, (*motion(times(3, 100)), fixes(GPS, times(3, 5, start=0.1))), b_frames=2
    ),
    "audio and B-frames": lambda: Scene(
        3, (*motion(times(3, 100)), shutters(3)), b_frames=2, audio=True
    ),
    "gaps": lambda: Scene(5, gaps()),
    "late": lambda: Scene(
        3, (*motion(times(3, 200, start=0.117)), vectors(MAGNETIC_FIELD, times(3, 100, start=0.04)))
    ),
    "very late": lambda: Scene(
        3, (*motion(times(3, 200, start=1.7)), vectors(MAGNETIC_FIELD, times(3, 100, start=0.04)))
    ),
    "GPS alone": lambda: Scene(20, (fixes(GPS, times(20, 10, start=0.4)),)),
    "positions": lambda: Scene(
        4, (*motion(times(4, 100)), vectors(POSITION, times(4, 30)), fixes(MIN_GPS, times(4, 10)))
    ),
    "no video": lambda: Scene(
        3, (*motion(times(3, 200), ANGLE_AXIS), fixes(GPS, times(3, 10, start=0.1))), video=False
    ),
    "1 kHz": lambda: Scene(
        20, (*motion(times(20, 1000), ANGLE_AXIS), fixes(GPS, times(20, 10, start=0.1)))
    ),
    "an hour": lambda: Scene(
        3600, (*motion(times(3600, 10)), fixes(GPS, times(3600, 1, start=0.5)))
    ),
}
LARGE = {"1 kHz", "an hour"}

scene_of = cache(lambda name: SCENES[name]())
every_scene = pytest.mark.parametrize("name", SCENES)


# What a camera delivers: one group of ten pictures, again and again


def filmed(b_frames: int, seconds: int) -> tuple[StreamFormat, list[Packet]]:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 10), Fraction(10)
    encoder.options = {"bf": str(b_frames), "threads": "1", "x264-params": "keyint=10:scenecut=0"}
    encoder.flags |= 1 << 22  # parameter sets apart from the pictures, as MP4 has them
    pictures = []
    for n in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((72, 64), 20 * n, np.uint8), "yuv420p")
        frame.pts = n
        pictures.append(frame)
    group = [packet for frame in [*pictures, None] for packet in encoder.encode(frame)]
    stream = StreamFormat("video", "h264", 90_000, encoder.extradata, width=64, height=48)
    return stream, repeated(0, group, 10, SECOND // 10, seconds)


def heard(seconds: int) -> tuple[StreamFormat, list[Packet]]:
    encoder = av.AudioCodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "fltp"
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
    silence.sample_rate, silence.pts = 48_000, 0
    frame = encoder.encode(silence) or encoder.encode(None)[:1]
    frame[0].pts = frame[0].dts = 0
    stream = StreamFormat(
        "audio", "aac", 48_000, bytes(encoder.extradata), sample_rate=48_000, channels=1
    )
    period_ns = 1024 * SECOND // 48_000
    return stream, repeated(1, frame, 1, period_ns, seconds * SECOND // period_ns)


def repeated(
    stream: int, group: Iterable[av.Packet], length: int, period_ns: int, count: int
) -> list[Packet]:
    return [
        Packet(
            stream,
            bytes(packet),
            ZERO + (n * length + packet.pts) * period_ns,
            ZERO + (n * length + packet.dts) * period_ns,
            period_ns,
            packet.is_keyframe,
        )
        for n in range(count)
        for packet in group
    ]


def recording_of(scene: Scene, path: Path) -> Recording:
    """Everything has been delivered, and nothing is written yet."""
    streams = [filmed(scene.b_frames, scene.seconds)] if scene.video else []
    streams += [heard(scene.seconds)] if scene.audio else []
    recording = Recording(path, [stream for stream, _ in streams], ABOUT, start_ns=ZERO)
    for _, packets in streams:
        recording.add_packets(packets)
    blocks = [Samples(block.kind, block.t_ns + ZERO, block.data) for block in scene.samples]
    recording.add_samples("sensors", blocks, None)
    return recording


@pytest.fixture(scope="session")
def recorded(clips):
    """A scene's clip, the same for all workers of this test run: the first to come records it."""

    def clip(name: str) -> Path:
        path = clips / f"matrix {name}.mp4"
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                scene = scene_of(name)
                recording = recording_of(scene, path.with_suffix(".unfinished.mp4"))
                with pytest.MonkeyPatch.context() as patch:
                    # No power cut is tested here, and an hour has thousands of fragments.
                    patch.setattr(os, "fdatasync", lambda fd: None)
                    recording.finish(ZERO + scene.seconds * SECOND, ABOUT)
                recording.rename(path)
        return path

    return clip


# What readers find


class Found(NamedTuple):
    """One packet type: microseconds where the reader tells, and those columns that it tells."""

    t_us: np.ndarray | None
    rows: np.ndarray
    columns: list[int] | slice = slice(None)
    tolerance: float = 0.0


LAYOUTS: dict[int, str] = {
    ANGLE_AXIS: "<3f",
    EXPOSURE: "<2i",
    GYRO: "<3f",
    ACCELERATION: "<3f",
    POSITION: "<3f",
    MIN_GPS: "<3d",
    GPS: "<didd7f",
    MAGNETIC_FIELD: "<3f",
}


def unpacked(packets: Iterable[tuple[int, bytes]]) -> dict[PacketType, Found]:
    """What a reader finds that gives each packet as it is."""
    sorted_out: dict[PacketType, list] = {}
    for t_us, data in packets:
        reserved, kind = struct.unpack_from("<HH", data)
        assert reserved == 0
        values = struct.unpack_from(LAYOUTS[kind], data, 4)
        assert len(data) == 4 + struct.calcsize(LAYOUTS[kind])
        sorted_out.setdefault(PacketType(kind), []).append((t_us, values))
    return {
        kind: Found(np.array([t_us for t_us, _ in found]), np.array([row for _, row in found]))
        for kind, found in sorted_out.items()
    }


@pytest.fixture
def pyav():
    def read(path):
        with av.open(str(path)) as container:
            (stream,) = container.streams.data
            assert stream.time_base == Fraction(1, 1_000_000)
            return unpacked((p.pts, bytes(p)) for p in container.demux(stream) if p.size)

    return read


@pytest.fixture
def ffprobe(program):
    def read(path):
        what = ("-select_streams", "d:0", "-show_packets", "-show_data")
        shown = json.loads(program("ffprobe", "-v", "error", "-of", "json", *what, path))
        dumps = [
            "".join(line[10:50] for line in packet["data"].strip().splitlines())
            for packet in shown["packets"]
        ]
        return unpacked(
            (packet["pts"], bytes.fromhex(dump.replace(" ", "")))
            for packet, dump in zip(shown["packets"], dumps, strict=True)
        )

    return read


@pytest.fixture
def mp4box_js(mp4box):
    def read(path):
        tracks, _ = mp4box(path)
        (track,) = (track for track in tracks if track.codec == "camm")
        return unpacked((pts, data) for pts, _, data in track.samples)

    return read


@pytest.fixture
def telemetry_parser():
    if not os.environ.get("CAMMCORDER_REQUIRE_READERS"):  # no wheels for the newest Pythons
        pytest.importorskip("telemetry_parser")
    from telemetry_parser import Parser

    def read(path):
        parser = Parser(str(path))
        assert parser.camera == "CAMM"
        (section,) = parser.telemetry()
        data = {name: content["Data"] for name, content in section.items()}
        found = {}
        for kind, name, ticks in (
            (GYRO, "Gyroscope", 1e6),
            (ACCELERATION, "Accelerometer", 1e6),
            (MAGNETIC_FIELD, "Magnetometer", 1e6),
            (POSITION, "Position3D", 1e3),
        ):
            if samples := data.get(name):
                t_us = np.array([d["t"] * ticks for d in samples])
                found[kind] = Found(t_us, np.array([[d[axis] for axis in "xyz"] for d in samples]))
        if samples := data.get("Quaternion"):
            found[ANGLE_AXIS] = quaternions(samples)
        if samples := data.get("GPS"):
            places = np.array([[d["lat"], d["lon"], d["altitude"]] for d in samples])
            stamps = np.array([[d["unix_timestamp"]] for d in samples])
            if stamps[0] > 1e9:  # GPS time, and no other
                found[GPS] = Found(None, np.hstack([stamps, places]), [0, 2, 3, 4])
            else:
                found[MIN_GPS] = Found(stamps[:, 0] * 1e6, places)
        return found

    def quaternions(samples):
        """It turns camera and world upside down: y and z point the other way."""
        w, x, y, z = np.array([[d["v"][axis] for axis in "wxyz"] for d in samples]).T
        axis = np.array([x, -y, -z]).T
        length = np.linalg.norm(axis, axis=1)
        rows = axis * (2 * np.arctan2(length, w) / length)[:, None]
        return Found(np.array([d["t"] * 1e3 for d in samples]), rows, tolerance=1e-6)

    return read


@pytest.fixture
def mapillary_tools():
    from mapillary_tools.camm.camm_parser import extract_camm_info

    fields = (
        *("time_gps_epoch", "gps_fix_type", "lat", "lon", "alt", "horizontal_accuracy"),
        *("vertical_accuracy", "velocity_east", "velocity_north", "velocity_up", "speed_accuracy"),
    )

    def read(path):
        with path.open("rb") as file:
            places = extract_camm_info(file)
        with path.open("rb") as file:
            motion = extract_camm_info(file, telemetry_only=True)
        found = {}
        for kind, points in (
            (GYRO, motion.gyro),
            (ACCELERATION, motion.accl),
            (MAGNETIC_FIELD, motion.magn),
        ):
            if points:
                found[kind] = seen(points, "xyz")
        if points := [*(places.gps or []), *(places.mini_gps or [])]:
            full = hasattr(points[0], "time_gps_epoch")
            found[GPS if full else MIN_GPS] = seen(
                points, fields if full else ("lat", "lon", "alt")
            )
        return found

    def seen(points, names):
        t_us = np.array([point.time * 1e6 for point in points])
        return Found(t_us, np.array([[getattr(point, name) for name in names] for point in points]))

    return read


EXIFTOOL_TAGS = {
    GYRO: ["AngularVelocity"],
    ACCELERATION: ["Acceleration"],
    POSITION: ["Position"],
    MAGNETIC_FIELD: ["MagneticField"],
    EXPOSURE: ["PixelExposureTime", "RollingShutterSkewTime"],
    GPS: [
        *("GPSMeasureMode", "GPSLatitude", "GPSLongitude", "GPSAltitude"),
        *("GPSHorizontalAccuracy", "GPSVerticalAccuracy"),
        *("GPSVelocityEast", "GPSVelocityNorth", "GPSVelocityUp", "GPSSpeedAccuracy"),
    ],
    MIN_GPS: ["GPSLatitude", "GPSLongitude", "GPSAltitude"],
}


@pytest.fixture
def exiftool(program):
    def read(path):
        (shown,) = json.loads(program("exiftool", "-ee3", "-G3", "-n", "-j", path))
        documents: dict[int, dict] = {}
        for key, value in shown.items():
            if match := re.match(r"Doc(\d+):(.*)", key):
                documents.setdefault(int(match[1]), {})[match[2]] = value
        found: dict[PacketType, list] = {}
        for document in documents.values():
            kind = next((k for k, tags in EXIFTOOL_TAGS.items() if tags[0] in document), None)
            if kind is not None:
                numbers = [n for tag in EXIFTOOL_TAGS[kind] for n in str(document[tag]).split()]
                found.setdefault(kind, []).append([document["SampleTime"], *map(float, numbers)])
        return {kind: column(kind, np.array(rows)) for kind, rows in found.items()}

    def column(kind, rows):
        t_us, rows = rows[:, 0] * 1e6, rows[:, 1:]
        if kind is GPS:  # its GPS time is text, and late by the leap seconds
            rows[:, 3:] = rows[:, 3:].astype(np.float32)
            return Found(t_us, rows, list(range(1, 11)))
        if kind is EXPOSURE:  # seconds
            return Found(t_us, np.round(rows * 1e9))
        return Found(t_us, rows.astype(np.float32) if kind is not MIN_GPS else rows)

    return read


EVERY = frozenset(PacketType)
KNOWN = {
    "pyav": EVERY,
    "ffprobe": EVERY,
    "mp4box_js": EVERY,
    "telemetry_parser": EVERY - {EXPOSURE},
    "mapillary_tools": {GYRO, ACCELERATION, MIN_GPS, GPS, MAGNETIC_FIELD},
    "exiftool": EVERY - {ANGLE_AXIS},
}
"""Readers, and the packet types that each decodes."""

SLOW = {"exiftool", "ffprobe"}
"""Readers that take a few thousand records a second."""

PAIRS = [
    pytest.param(reader, name, marks=[pytest.mark.proof] if name == "an hour" else [])
    for reader in KNOWN
    for name in SCENES
    if reader not in SLOW or name not in LARGE
]


def assert_same(found: Found, t_us: np.ndarray, rows: np.ndarray, kind: PacketType) -> None:
    assert len(found.rows) == len(rows), kind
    if found.t_us is not None:
        rounding = 0 if found.t_us.dtype.kind == "i" else 1.01
        np.testing.assert_allclose(found.t_us, t_us, rtol=0, atol=rounding, err_msg=str(kind))
    tolerance = np.full(len(rows), found.tolerance)
    if kind is ANGLE_AXIS:  # the one at zero has been interpolated: to a quaternion and back
        tolerance[0] = 1e-6
    difference = np.abs(found.rows - rows[:, found.columns]).max(axis=1)
    assert (difference <= tolerance).all(), kind


@pytest.mark.parametrize(("reader", "name"), PAIRS)
def test_a_reader_finds_what_was_recorded(reader, name, recorded, request):
    expected = scene_of(name).expected
    found = request.getfixturevalue(reader)(recorded(name))
    assert found.keys() == expected.keys() & KNOWN[reader]
    for kind, columns in found.items():
        assert_same(columns, *expected[kind], kind)


@pytest.mark.parametrize("reader", ["pyav", "ffprobe", "mp4box_js"])
@pytest.mark.parametrize("name", ["everything", "audio and B-frames", "no video"])
def test_readers_of_fragments_find_what_a_recording_holds_that_was_cut_off(
    reader, name, tmp_path, request
):
    path = tmp_path / "cut.unfinished.mp4"
    scene = scene_of(name)
    recording = recording_of(scene, path)
    recording.end_video()
    recording.advance(ZERO + scene.seconds * SECOND)
    recording.close()
    found = request.getfixturevalue(reader)(path)
    assert found.keys() == scene.expected.keys()
    for kind, (t_us, rows) in scene.expected.items():
        columns = found[kind]
        written = len(columns.rows)
        assert written >= (t_us < (scene.seconds - 1.1) * 1e6).sum()
        if reader == "mp4box_js":  # it adds up durations, whatever the fragments say
            columns = columns._replace(t_us=None)
        if reader == "pyav":  # libavformat spreads records at zero over the first interval
            columns = columns._replace(t_us=np.where(t_us[:written] == 0, 0, columns.t_us))
        assert_same(columns, t_us[:written], rows[:written], kind)


@every_scene
def test_mediainfo_sees_every_track(name, recorded, program):
    scene = scene_of(name)
    _, *tracks = json.loads(program("mediainfo", "--Output=JSON", recorded(name)))["media"]["track"]
    kinds = ["Video"] * scene.video + ["Audio"] * scene.audio + ["Other"]
    assert [track["@type"] for track in tracks] == kinds
    assert int(tracks[-1]["FrameCount"]) == scene.records
    for track in tracks:
        assert float(track["Duration"]) == pytest.approx(scene.seconds, abs=0.1)


@pytest.mark.parametrize("name", [name for name in SCENES if name not in LARGE])
def test_ffmpeg_decodes_it_without_a_word(name, recorded, program):
    scene = scene_of(name)
    if scene.video or scene.audio:
        program("ffmpeg", "-v", "error", "-xerror", "-i", recorded(name), "-f", "null", "-")
