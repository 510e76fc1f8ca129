"""A sound clip passes every rule, and each rule finds the one fault it is there for."""

import struct
from datetime import UTC, datetime

import numpy as np
import pytest

from camm import StreamFormat
from muxer import reader
from muxer.boxes import box
from muxer.check import RULES, check
from muxer.fragments import Run
from muxer.movie import Handler
from muxer.recording_file import (
    METADATA_HEADER,
    VIDEO_HEADER,
    MovieDescription,
    RecordingFile,
    TrackSpec,
)
from muxer.sample_entries import coding

CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
GPS_TIME = 1464350418.0  # 16948 days and 12 h since 1980-01-06, and 18 leap seconds
UNIX_TIME = 1780315200.0
PICTURE = coding(StreamFormat("video", "mjpeg", 90000, width=64, height=48)).entry
CAMM = box(b"camm", struct.pack(">6xH", 1))


@pytest.fixture(autouse=True)
def moov_at_the_end(monkeypatch):
    """As on file systems that cannot make room for it in front."""
    monkeypatch.setattr("muxer.recording_file.bring_moov_first", lambda *_: False)


def vector(kind, x, y, z):
    return struct.pack("<HH3f", 0, kind, x, y, z)


def fix(time, kind=3, latitude=47.0, longitude=8.5, altitude=400.0):
    return struct.pack(
        "<HHdidd7f", 0, 6, time, kind, latitude, longitude, altitude, 2, 3, 0, 0, 0, 0.5
    )


def exposure(exposed_ns, skew_ns):
    return struct.pack("<HHii", 0, 1, exposed_ns, skew_ns)


class Film:
    """One second at 200 Hz as bytes, to be spoilt before it is written."""

    def __init__(self):
        self.gyro = [(n * 5000, vector(2, 0.1, 0.2, 0.3)) for n in range(200)]
        self.acceleration = [(n * 5000, vector(3, 0.1, -9.8, 0.3)) for n in range(200)]
        self.angle_axis = [(n * 5000, vector(0, 0.1, 3.1, 0.0)) for n in range(200)]
        self.gps = [(n * 200_000 + 7, fix(GPS_TIME + n / 5)) for n in range(5)]
        self.shutter = [
            (max(n * 100_000 - 6000, 0), exposure(8_000_000, 4_000_000)) for n in range(10)
        ]
        self.more = []
        self.handler = b"meta"
        self.ticks = 1_000_000
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
        shown = np.arange(10) * 9000
        pictures = Run(
            1,
            self.picture * 10,
            np.full(10, len(self.picture)),
            shown,
            np.zeros(10, np.int64),
            9000,
            np.ones(10, np.bool_),
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
            TrackSpec(1, Handler(b"vide", ""), VIDEO_HEADER, 90000, PICTURE, 0, 64, 48),
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
    film.gps = [(7, fix(GPS_TIME)), (5_500_000, fix(GPS_TIME + 5.5))]


def unix_times(film):
    film.gps = [(n * 200_000 + 7, fix(UNIX_TIME + n / 5)) for n in range(5)]


def unix_milliseconds(film):
    film.gps = [(n * 200_000 + 7, fix((UNIX_TIME + n / 5) * 1000)) for n in range(5)]


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
    "a hole in the GPS data": ("gps_without_gaps", "warning", gps_hole),
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


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_its_rule_and_by_no_other(fault, tmp_path):
    rule, severity, spoil = FAULTS[fault]
    film = Film()
    spoil(film)
    verdict = verdict_of(film, tmp_path)
    assert {(finding.rule, finding.severity) for finding in verdict.findings} == {(rule, severity)}
    assert verdict.sound == (severity == "warning")


def test_every_rule_has_a_fault_that_it_finds():
    elsewhere = {"no_edit_list", "starts_at_zero", "one_sample_entry"}
    assert {rule.__name__ for rule in RULES} == {rule for rule, _, _ in FAULTS.values()} | elsewhere


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
