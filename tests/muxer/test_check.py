"""A sound clip passes every rule, and each rule finds the one fault it is there for."""

import struct
from datetime import UTC, datetime

import numpy as np
import pytest

from camm import UsageError
from muxer import reader
from muxer.boxes import box
from muxer.check import RULES, agreement, check
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.recording_file import (
    METADATA_HEADER,
    VIDEO_HEADER,
    MovieDescription,
    RecordingFile,
    TrackSpec,
)

CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
GPS_TIME = 1464350418.0  # 16948 days and 12 h since 1980-01-06, and 18 leap seconds
UNIX_TIME = 1780315200.0
CAMM = box(b"camm", struct.pack(">6xH", 1))


@pytest.fixture(autouse=True)
def moov_at_the_end(monkeypatch):
    """As on file systems that cannot make room for it in front."""
    monkeypatch.setattr("muxer.recording_file.bring_moov_first", lambda *_: False)


def vector(kind, x, y, z):
    return struct.pack("<HH3f", 0, kind, x, y, z)


def fix(
    time, kind=3, latitude=47.0, longitude=8.5, altitude=400.0, *, north=0.0, accuracies=(2, 3, 0.5)
):
    horizontal, vertical, speed = accuracies
    return struct.pack(
        *("<HHdidd7f", 0, 6, time, kind, latitude, longitude, altitude, horizontal, vertical),
        *(0, north, 0, speed),
    )


def exposure(exposed_ns, skew_ns):
    return struct.pack("<HHii", 0, 1, exposed_ns, skew_ns)


def walked(n, off=0.0, **changed):
    """The nth fix of a walk to the north, five a second, as a receiver would round it."""
    place = {"latitude": round(47 + n * 0.28 / 111_320 + off / 1000, 7), **changed}
    return fix(GPS_TIME + n / 5, north=1.4, **place)


def picture_entry(film):
    size = struct.pack(">HH", film.width, film.height)
    return box(film.codec, struct.pack(">6xH", 1), bytes(16), size, bytes(50))


class Film:
    """Some seconds at 200 Hz as bytes, to be spoilt before they are written."""

    def __init__(self, seconds=1, width=64, height=48):
        noise = np.random.default_rng(1).integers(-9, 10, seconds * 200) / 1e4
        hasty = enumerate(noise.tolist())
        self.gyro, self.acceleration, self.angle_axis = [], [], []
        for n, off in hasty:
            self.gyro.append((n * 5000, vector(2, 0.1 + off, 0.2, 0.3)))
            self.acceleration.append((n * 5000, vector(3, 0.1 + off, -9.8, 0.3)))
            self.angle_axis.append((n * 5000, vector(0, 0.1 + off, 3.1, 0.0)))
        self.gps = [(n * 200_000 + 7, walked(n, noise[n])) for n in range(seconds * 5)]
        self.shutter = [
            (max(n * 100_000 - 6000, 0), exposure(8_000_000, 4_000_000))
            for n in range(seconds * 10)
        ]
        self.more = []
        self.handler = b"meta"
        self.ticks = 1_000_000
        self.shown = np.arange(seconds * 10) * 9000
        self.width, self.height, self.codec = width, height, b"jpeg"
        self.picture = b"\xff\xd8\xff\xd9"
        self.more_tracks = []
        self.about = MovieDescription(CREATED, "cammcorder", "rig", {})
        self.finished = True
        self.tail = 0

    def write(self, path):
        records = sorted(
            self.gyro + self.acceleration + self.angle_axis + self.gps + self.shutter,
            key=lambda record: record[0],
        )
        records += self.more
        count = len(self.shown)
        pictures = Run(
            1,
            self.picture * count,
            np.full(count, len(self.picture)),
            self.shown,
            np.zeros(count, np.int64),
            9000,
            np.ones(count, np.bool_),
        )
        times = np.array([t_us * self.ticks // 1_000_000 for t_us, _ in records], np.int64)
        # A time that runs backwards can only be said by a composition offset.
        dts = np.maximum.accumulate(times) if len(times) else times
        metadata = Run(
            2,
            b"".join(packet for _, packet in records),
            np.array([len(packet) for _, packet in records], np.int64),
            dts,
            times - dts,
            1,
            np.ones(len(records), np.bool_),
        )
        specs = [
            TrackSpec(
                *(1, Handler(b"vide", ""), VIDEO_HEADER, 90000, picture_entry(self)),
                *(0, self.width, self.height),
            ),
            TrackSpec(2, Handler(self.handler, ""), METADATA_HEADER, self.ticks, CAMM),
            *self.more_tracks,
        ]
        file = RecordingFile(path, specs, self.about)
        file.append([pictures, metadata] if records else [pictures])
        if self.finished:
            file.finalise(self.about)
        file.close()
        if self.tail:
            with path.open("r+b") as end:
                end.seek(0, 2)
                end.write(struct.pack(">I4s", self.tail, b"free"))
                end.truncate(end.tell() + self.tail - 8)
        return path


def verdict_of(film, folder):
    with reader.open(film.write(folder / "walk.mp4")) as clip:
        return check(clip)


def test_a_sound_clip_has_no_faults(tmp_path):
    verdict = verdict_of(Film(), tmp_path)
    assert verdict.findings == ()
    assert verdict.sound
    assert verdict.headline == "walk.mp4: sound, 615 records of 5 types; no faults"


def without_metadata(film):
    film.gyro = film.acceleration = film.angle_axis = film.gps = film.shutter = []


def spoilt(film, name, row, packet):
    records = getattr(film, name)
    records[row] = (records[row][0], packet)


def delayed(film, name, by_us):
    setattr(film, name, [(t_us + by_us, packet) for t_us, packet in getattr(film, name)])


def text_track(film):
    film.more_tracks.append(
        TrackSpec(3, Handler(b"meta", ""), METADATA_HEADER, 1000, box(b"mett", bytes(8)))
    )


def second_camm_track(film):
    film.more_tracks.append(TrackSpec(3, Handler(b"meta", ""), METADATA_HEADER, 1_000_000, CAMM))


def in_the_middle(film):
    film.picture = bytes(500_000)
    film.tail = 5 << 20


def anonymous(film):
    film.about = MovieDescription(CREATED, "", "", {})


def undated(film):
    film.about = MovieDescription(None, "cammcorder", "rig", {})


def in_g(film):
    film.acceleration = [(t_us, vector(3, 0, -1, 0)) for t_us, _ in film.acceleration]


def shaken(film):
    film.acceleration = [(t_us, vector(3, 0, -12, 0)) for t_us, _ in film.acceleration]


def hole(film, name, first, last):
    del getattr(film, name)[first:last]


def imu_hole(film):
    hole(film, "gyro", 50, 80)
    hole(film, "acceleration", 50, 80)


def gps_hole(film):
    hole(film, "gps", 6, 35)


def unix_times(film):
    film.gps = [(n * 200_000 + 7, fix(UNIX_TIME + n / 5)) for n in range(5)]


def unix_milliseconds(film):
    film.gps = [(n * 200_000 + 7, fix((UNIX_TIME + n / 5) * 1000)) for n in range(5)]


def early_frames(film):
    film.shown = film.shown[1:] - 360  # 4 ms of the 12
    film.shown[0] = 9000 - 360
    film.shutter = film.shutter[1:]


def replaced(film, name, change):
    setattr(film, name, [(t_us, change(n)) for n, (t_us, _) in enumerate(getattr(film, name))])


def field(film, strength):
    noise = np.random.default_rng(2).normal(0, 0.01, len(film.gyro))
    film.more = []
    film.shutter += [
        (t_us, vector(7, strength * (1 + off), 0, 0))
        for (t_us, _), off in zip(film.gyro, noise, strict=True)
    ]


def held_fixes(film):
    """A fix a second, written five times."""
    noise = np.random.default_rng(3).normal(0, 1e-6, len(film.gps))
    seconds = [n - n % 5 for n in range(len(film.gps))]
    latitudes = [round(47 + n * 0.28 / 111_320 + noise[n], 7) for n in seconds]
    replaced(film, "gps", lambda n: fix(GPS_TIME + n / 5, latitude=latitudes[n], north=1.4))


def drawn_fixes(film):
    """A fix a second, and four drawn in between."""
    noise = np.random.default_rng(3).normal(0, 1e-6, len(film.gps) // 5 + 2)
    at = np.arange(len(film.gps)) / 5
    latitudes = 47 + np.interp(at, np.arange(len(noise)), np.cumsum(1.26e-5 + noise))
    replaced(film, "gps", lambda n: fix(GPS_TIME + n / 5, latitude=latitudes[n], north=1.4))


def fix_changed(film, row, **changed):
    spoilt(film, "gps", row, walked(row, **changed))


MIN_GPS = struct.pack("<HHddd", 0, 5, 47.0, 8.5, 400.0)

FAULTS = {
    "fragments": ("plain_file", "error", lambda f: setattr(f, "finished", False)),
    "another 'meta' track": ("one_metadata_track", "error", text_track),
    "two camm tracks": ("one_metadata_track", "error", second_camm_track),
    "the handler 'camm'": ("metadata_handler", "error", lambda f: setattr(f, "handler", b"camm")),
    "a coarse timescale": ("fine_timescale", "error", lambda f: setattr(f, "ticks", 200)),
    "a middling timescale": ("fine_timescale", "warning", lambda f: setattr(f, "ticks", 200_000)),
    "moov in the middle": ("entry_within_reach", "error", in_the_middle),
    "no date": ("date_and_camera", "warning", undated),
    "no maker": ("date_and_camera", "warning", anonymous),
    "no records": ("some_records", "error", without_metadata),
    "a short packet": (
        "well_formed_records",
        "error",
        lambda f: spoilt(f, "angle_axis", 9, vector(0, 1, 1, 1)[:14]),
    ),
    "padding": (
        "well_formed_records",
        "error",
        lambda f: spoilt(f, "angle_axis", 9, vector(0, 1, 1, 1) + bytes(2)),
    ),
    "two packets in one sample": (
        "well_formed_records",
        "error",
        lambda f: spoilt(f, "angle_axis", 9, vector(0, 1, 1, 1) + vector(7, 1, 1, 1)),
    ),
    "a reserved field of one": (
        "well_formed_records",
        "error",
        lambda f: spoilt(f, "angle_axis", 9, struct.pack("<HH3f", 1, 0, 1, 1, 1)),
    ),
    "an unknown type": (
        "well_formed_records",
        "error",
        lambda f: f.more.append((990_000 + 5000, struct.pack("<HH3f", 0, 8, 1, 1, 1))),
    ),
    "a step back in time": (
        "ordered_in_time",
        "error",
        lambda f: f.more.append((500_000, vector(7, 1, 1, 1))),
    ),
    "a missing acceleration": ("paired_imu", "error", lambda f: hole(f, "acceleration", 9, 10)),
    "accelerations of other times": ("paired_imu", "error", lambda f: delayed(f, "gyro", 3)),
    "a frame outside its exposure": (
        "exposure_holds_frame",
        "error",
        lambda f: spoilt(f, "shutter", 4, exposure(3_000_000, 1_000_000)),
    ),
    "a hole in the inertial data": ("imu_without_gaps", "warning", imu_hole),
    "not a number": (
        "finite_vectors",
        "error",
        lambda f: spoilt(f, "gyro", 9, vector(2, 0, float("nan"), 0)),
    ),
    "a signalling NaN": (
        "finite_vectors",
        "error",
        lambda f: spoilt(f, "acceleration", 9, vector(3, 0, 0, 0)[:12] + b"\x01\x00\xa0\x7f"),
    ),
    "no rotation": (
        "orientation_never_zero",
        "error",
        lambda f: spoilt(f, "angle_axis", 9, vector(0, 0, 0, 0)),
    ),
    "more than a half turn": (
        "orientation_within_half_turn",
        "warning",
        lambda f: spoilt(f, "angle_axis", 9, vector(0, 0, 3.2, 0)),
    ),
    "gravity of one": ("gravity_in_si_units", "error", in_g),
    "a runner's gravity": ("gravity_in_si_units", "warning", shaken),
    "no fix": ("gps_with_fix", "error", lambda f: spoilt(f, "gps", 2, fix(GPS_TIME + 0.4, 0))),
    "beyond the pole": (
        "gps_on_earth",
        "error",
        lambda f: spoilt(f, "gps", 2, fix(GPS_TIME + 0.4, latitude=90.5)),
    ),
    "an altitude of NaN": (
        "gps_on_earth",
        "error",
        lambda f: spoilt(f, "gps", 2, fix(GPS_TIME + 0.4, altitude=float("nan"))),
    ),
    "null island": (
        "gps_not_null_island",
        "error",
        lambda f: spoilt(f, "gps", 2, fix(GPS_TIME + 0.4, latitude=0.0, longitude=0.0)),
    ),
    "two types of GPS": (
        "gps_of_one_type",
        "error",
        lambda f: f.more.append((995_000, MIN_GPS)),
    ),
    "a fix twice": ("gps_not_repeated", "error", lambda f: spoilt(f, "gps", 2, f.gps[1][1])),
    "Unix time": ("gps_time_is_gps", "error", unix_times),
    "Unix milliseconds": ("gps_time_is_gps", "error", unix_milliseconds),
}


LONG_FAULTS = {
    "a hole in the GPS data": ("gps_without_gaps", "warning", gps_hole),
    "two samples of one moment": (
        "times_of_their_own",
        "warning",
        lambda f: f.angle_axis.insert(9, (40_000, vector(0, 0.1, 3.1, 0.01))),
    ),
    "orientations that begin late": (
        "covers_the_film",
        "warning",
        lambda f: hole(f, "angle_axis", 0, 300),
    ),
    "orientations that end early": (
        "covers_the_film",
        "warning",
        lambda f: hole(f, "angle_axis", -300, None),
    ),
    "samples behind the film": (
        "within_the_film",
        "warning",
        lambda f: f.more.append((9_500_000, vector(4, 1, 1, 1))),
    ),
    "frames at the begin of their exposure": ("frame_at_centre", "warning", early_frames),
    "a negative exposure": (
        "exposure_plausible",
        "error",
        lambda f: spoilt(f, "shutter", 0, exposure(-8_000_000, 20_000_000)),
    ),
    "exposures in picoseconds": (
        "exposure_plausible",
        "warning",
        lambda f: spoilt(f, "shutter", 79, exposure(800_000_000, 4_000_000)),
    ),
    "every other exposure": (
        "exposure_of_every_frame",
        "warning",
        lambda f: setattr(f, "shutter", [(t, p) for n, (t, p) in enumerate(f.shutter) if n < 60]),
    ),
    "degrees a second": (
        "gyro_in_si_units",
        "error",
        lambda f: replaced(f, "gyro", lambda n: vector(2, 20 + n / 100, 5, 5)),
    ),
    "an angular rate that nobody measures": (
        "gyro_in_si_units",
        "warning",
        lambda f: spoilt(f, "gyro", 900, vector(2, 0, 150, 0)),
    ),
    "gauss": ("field_of_the_earth", "warning", lambda f: field(f, 0.47)),
    "a sensor that hangs": (
        "sensors_alive",
        "warning",
        lambda f: replaced(f, "gyro", lambda n: vector(2, 0.1 + max(n, 800) / 1e3, 0, 0)),
    ),
    "a fix of four dimensions": (
        "gps_fix_type_known",
        "warning",
        lambda f: fix_changed(f, 9, kind=4),
    ),
    "fixes written again": ("gps_not_repeated", "warning", held_fixes),
    "fixes drawn in": ("gps_not_interpolated", "warning", drawn_fixes),
    "a receiver's clock that runs away": (
        "gps_keeps_pace",
        "warning",
        lambda f: replaced(f, "gps", lambda n: fix(GPS_TIME + n / 4, north=1.4)),
    ),
    "no accuracies": (
        "gps_accuracies_present",
        "warning",
        lambda f: replaced(f, "gps", lambda n: walked(n, accuracies=(0, 0, 0))),
    ),
    "a fix that jumps": (
        "gps_moves_smoothly",
        "warning",
        lambda f: fix_changed(f, 20, latitude=47.001),
    ),
}


@pytest.mark.parametrize("fault", LONG_FAULTS)
def test_a_fault_of_a_longer_clip_is_found_by_its_rule_and_by_no_other(fault, tmp_path):
    rule, severity, spoil = LONG_FAULTS[fault]
    film = Film(8)
    spoil(film)
    verdict = verdict_of(film, tmp_path)
    assert {(finding.rule, finding.severity) for finding in verdict.findings} == {(rule, severity)}


def test_a_longer_clip_with_a_field_of_the_earth_has_no_faults(tmp_path):
    film = Film(8)
    field(film, 47.0)
    assert verdict_of(film, tmp_path).findings == ()


def test_a_walk_over_the_date_line_has_no_faults(tmp_path):
    film = Film(4)
    longitudes = (np.arange(20) * 5e-6 + 359.99995) % 360 - 180
    longitudes += np.random.default_rng(3).normal(0, 1e-7, 20)
    replaced(
        film, "gps", lambda n: walked(n, longitude=round((longitudes[n] + 180) % 360 - 180, 7))
    )
    assert verdict_of(film, tmp_path).findings == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_rule_and_by_no_other(fault, tmp_path):
    rule, severity, spoil = FAULTS[fault]
    film = Film()
    spoil(film)
    verdict = verdict_of(film, tmp_path)
    assert {(finding.rule, finding.severity) for finding in verdict.findings} == {(rule, severity)}
    assert verdict.sound == (severity == "warning")


def panorama():
    """Eight seconds that Street View would take."""
    film = Film(8, 3840, 1920)
    film.codec = b"avc1"
    return film


def without(film, *names):
    for name in names:
        setattr(film, name, [])


def shifted_fixes(film, by_s):
    film.gps = [(t_us + by_s * 1_000_000, packet) for t_us, packet in film.gps]


def jittery(film):
    late = np.random.default_rng(5).integers(0, 1000, len(film.gyro)).tolist()
    for name in ("gyro", "acceleration"):
        records = getattr(film, name)
        setattr(film, name, [(t + off, p) for (t, p), off in zip(records, late, strict=True)])
    film.angle_axis = []
    film.gyro[0], film.acceleration[0] = (0, film.gyro[0][1]), (0, film.acceleration[0][1])


def slow(film, *names):
    for name in names:
        setattr(film, name, getattr(film, name)[::4])


def slow_frames(film):
    film.shown, film.shutter = film.shown[::5], []


def standing(film):
    replaced(film, "gps", lambda n: fix(GPS_TIME + n / 5, latitude=47 + n % 3 / 1e7))


def wild_fixes(film):
    replaced(film, "gps", lambda n: walked(n, latitude=47 + n % 2 / 1000))


def in_the_future(film):
    film.about = MovieDescription(datetime(2036, 6, 1, 12, tzinfo=UTC), "cammcorder", "rig", {})


STREET_VIEW = {
    "one fix": ("insufficient_gps", "error", lambda f: hole(f, "gps", 1, None)),
    "no fix": ("insufficient_gps", "error", lambda f: without(f, "gps")),
    "a fix every four seconds": (
        "insufficient_gps",
        "warning",
        lambda f: setattr(f, "gps", f.gps[::20] + f.gps[-1:]),
    ),
    "fixes of another time": ("no_overlap_gps", "error", lambda f: shifted_fixes(f, 60)),
    "null island": ("invalid_gps", "error", lambda f: replaced(f, "gps", null_island)),
    "a tunnel": ("gps_data_gap", "error", gps_hole),
    "no fix at first": ("gps_data_gap", "error", lambda f: hole(f, "gps", 0, 28)),
    "wild fixes": ("jumpy_gps", "error", wild_fixes),
    "dead sensors": (
        "invalid_imu",
        "error",
        lambda f: replaced(f, "gyro", lambda n: vector(2, 0, 0, 0)),
    ),
    "not a number": (
        "invalid_imu",
        "error",
        lambda f: spoilt(f, "gyro", 9, vector(2, 0, float("nan"), 0)),
    ),
    "no angular rate": ("insufficient_imu", "error", lambda f: without(f, "gyro")),
    "50 Hz": ("insufficient_imu", "warning", lambda f: slow(f, "gyro", "acceleration")),
    "polls": ("imu_jitter", "warning", jittery),
    "a lost burst": ("imu_data_gap", "error", imu_hole),
    "half a track": (
        "insufficient_overlap_time_series",
        "warning",
        lambda f: hole(f, "gps", 25, None),
    ),
    "a quarter of a track": (
        "insufficient_overlap_time_series",
        "error",
        lambda f: (hole(f, "gyro", 0, 1000), hole(f, "acceleration", 0, 1000)),
    ),
    "two frames a second": ("insufficient_video_frames", "warning", slow_frames),
    "HD": ("low_resolution", "error", lambda f: resized(f, 1920, 960)),
    "a flat picture": ("invalid_video_dimensions", "error", lambda f: resized(f, 3840, 2160)),
    "pictures": ("invalid_video_format", "warning", lambda f: setattr(f, "codec", b"jpeg")),
    "a clock ten years ahead": ("invalid_capture_time", "error", in_the_future),
    "fixes ten years ahead": (
        "invalid_capture_time",
        "error",
        lambda f: replaced(f, "gps", lambda n: fix(GPS_TIME + 3e8 + n / 5, latitude=47 + n / 9e4)),
    ),
    "standing": ("insufficient_movement", "warning", standing),
    "no maker": ("maker_and_model", "error", anonymous),
}


def null_island(n):
    return fix(GPS_TIME + n / 5, latitude=0.0, longitude=0.0)


def resized(film, width, height):
    film.width, film.height = width, height


def street_view_of(film, folder):
    with reader.open(film.write(folder / "walk.mp4")) as clip:
        return check(clip, "street-view", now=datetime(2026, 6, 2, tzinfo=UTC))


def test_street_view_has_nothing_against_a_panorama_of_a_walk(tmp_path):
    assert street_view_of(panorama(), tmp_path).findings == ()


@pytest.mark.parametrize("fault", STREET_VIEW)
def test_a_reason_to_be_refused_is_told_by_its_name(fault, tmp_path):
    rule, severity, spoil = STREET_VIEW[fault]
    film = panorama()
    spoil(film)
    refused = {
        (finding.rule, finding.severity)
        for finding in street_view_of(film, tmp_path).findings
        if finding.rule in {name for name, *_ in STREET_VIEW.values()}
    }
    assert (rule, severity) in refused
    assert refused <= {(rule, severity), *COMES_WITH.get(fault, ())}


COMES_WITH = {
    "a fix every four seconds": [("gps_data_gap", "error")],
    "fixes of another time": [
        ("gps_data_gap", "error"),
        ("insufficient_overlap_time_series", "error"),
    ],
    "null island": [("insufficient_gps", "error")],
    "no fix at first": [
        ("insufficient_overlap_time_series", "error"),
        ("insufficient_movement", "warning"),
    ],
    "one fix": [("gps_data_gap", "error"), ("insufficient_overlap_time_series", "error")],
}


def test_frames_that_lie_outside_the_file_are_a_corrupt_video(tmp_path):
    film = panorama()
    film.picture = bytes(1000)
    path = film.write(tmp_path / "walk.mp4")
    whole = path.read_bytes()
    # The first chunk is of pictures; its offset is the first of the first 'stco'.
    at = whole.index(b"stco", whole.rindex(b"moov")) + 12
    with path.open("r+b") as file:
        file.seek(at)
        file.write(struct.pack(">I", len(whole) - 1500))
    with reader.open(path) as clip:
        assert "corrupt_video" in {found.rule for found in check(clip, "street-view").findings}


def test_a_header_that_leaves_the_duration_open_is_found(tmp_path):
    path = Film().write(tmp_path / "walk.mp4")
    film = bytearray(path.read_bytes())
    at = film.rindex(b"mdhd")  # of version 1: flags, two times of 8 bytes, timescale, duration
    film[at + 28 : at + 36] = bytes(8)
    path.write_bytes(film)
    with reader.open(path) as clip:
        assert [finding.rule for finding in check(clip).findings] == ["true_duration"]


def test_every_rule_has_a_fault_that_it_finds():
    alone = {"no_edit_list", "starts_at_zero", "one_sample_entry", "true_duration", "corrupt_video"}
    together = {rule.name for rule in agreement.RULES}  # test_check_agreement.py
    tables = (*FAULTS.values(), *LONG_FAULTS.values(), *STREET_VIEW.values())
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in tables} | alone | together


def test_rules_have_names_of_their_own_and_say_what_to_do():
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.says and rule.remedy for rule in RULES)


def test_there_is_no_other_profile(tmp_path):
    with (
        reader.open(Film().write(tmp_path / "walk.mp4")) as clip,
        pytest.raises(UsageError, match="no profile is called 'mapillary'; there are: readers"),
    ):
        check(clip, "mapillary")


def test_metadata_that_begins_late_needs_an_edit_list_and_is_faulty_for_both(tmp_path):
    film = Film()
    film.shutter = []
    for name in ("gyro", "acceleration", "angle_axis"):
        delayed(film, name, 4)
    findings = verdict_of(film, tmp_path).findings
    assert [finding.rule for finding in findings] == ["no_edit_list", "starts_at_zero"]
    assert findings[1].t_s == pytest.approx(4e-6)


def test_the_structure_of_every_metadata_track_is_checked_and_the_records_of_one(tmp_path):
    film = Film()
    film.more_tracks.append(TrackSpec(3, Handler(b"camm", ""), METADATA_HEADER, 500, CAMM))
    told = {finding.rule: finding.message for finding in verdict_of(film, tmp_path).findings}
    assert told.keys() == {"one_metadata_track", "metadata_handler", "fine_timescale"}
    assert "those of metadata track 2 were checked" in told["one_metadata_track"]
    assert told["metadata_handler"].startswith("metadata track 3 has the handler 'camm'")
    assert told["fine_timescale"].startswith("metadata track 3 counts 500 ticks")


def test_two_sample_entries_are_found(tmp_path):
    path = Film().write(tmp_path / "walk.mp4")
    film = bytearray(path.read_bytes())
    # The entry is cut into two of eight bytes, the second of them named by what were its fields.
    at = film.rindex(CAMM)
    film[at : at + 16] = box(b"camm") + box(b"mett")
    path.write_bytes(film)
    with reader.open(path) as clip:
        assert [finding.rule for finding in check(clip).findings] == ["one_sample_entry"]


def test_a_finding_says_when_it_was_first(tmp_path):
    film = Film()
    spoilt(film, "gyro", 9, vector(2, 0, float("inf"), 0))
    spoilt(film, "gyro", 19, vector(2, 0, float("inf"), 0))
    (finding,) = verdict_of(film, tmp_path).findings
    assert finding.t_s == pytest.approx(0.045)
    assert finding.message.startswith("2 records of gyro")


def test_the_headline_counts_errors_and_warnings(tmp_path):
    film = Film()
    undated(film)
    spoilt(film, "angle_axis", 9, vector(0, 0, 0, 0))
    headline = verdict_of(film, tmp_path).headline
    assert headline == "walk.mp4: faulty, 615 records of 5 types; 1 error, 1 warning"


def test_exposures_of_zero_are_unknown_and_no_fault(tmp_path):
    film = Film()
    film.shutter = [(t_us, exposure(0, 0)) for t_us, _ in film.shutter]
    assert verdict_of(film, tmp_path).findings == ()


def test_unix_time_is_told_by_the_date_of_the_clip_only(tmp_path):
    film = Film()
    unix_times(film)
    film.about = MovieDescription(datetime(2016, 6, 1, tzinfo=UTC), "cammcorder", "rig", {})
    assert verdict_of(film, tmp_path).findings == ()
