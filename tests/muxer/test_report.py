"""The report tells what is in a clip, keeps its values, and lets nothing of it act as HTML."""

import base64
import json
import re
import struct
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("jinja2")

from camm import PacketType, Samples, empty_values
from camm.frames import heading_pitch_roll
from muxer import reader
from muxer.motion import Extent
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.report import render
from muxer.report.arrays import Arrays
from muxer.report.exposures import Sync
from muxer.report.intervals import Intervals
from muxer.report.places import Places, east_north
from muxer.report.pose import Pose
from muxer.report.rest import Rest
from muxer.report.series import ROWS, Series
from muxer.report.summary import remarks, sources

HOSTILE = "</script><script>alert(1)</script>"
MS = 1_000_000
TYPES = {"f4": np.float32, "f8": np.float64, "i2": np.int16}


class Page(HTMLParser):
    """What a browser would see: tags, the addresses they point to, the text, the data."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text, self.open, self.policy = [], [], "", [], ""
        self.scripts, self.sliders = [], []
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in {"meta", "br", "link", "img", "input"}:
            self.open.append(tag)
        told = dict(attributes)
        self.addresses += [told[name] for name in ("src", "href", "xlink:href") if name in told]
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"]
        if told.get("role") == "slider":
            self.sliders.append(told["aria-label"])
        assert not [name for name in told if name == "style" or name.startswith("on")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text += f" {data}"

    @property
    def data(self):
        return json.loads(self.scripts[0])


def decoded(data, number):
    """An array of the page."""
    kind, text = data["arrays"][number].split(":")
    return np.frombuffer(base64.b64decode(text), TYPES[kind])


def film(folder, *, metadata, make="cammcorder", name="walk.mp4", kinds=tuple(PacketType)):
    """Two seconds of everything: 200 Hz with a hole, and a walk north-east at 5 Hz."""
    random = np.random.default_rng(7)
    t_ns = np.delete(np.arange(400) * 5 * MS, np.arange(100, 130))
    blocks = [
        Samples(kind, t_ns, random.normal(size=(len(t_ns), 3)))
        for kind in map(PacketType, (0, 2, 3, 7))
        if kind in kinds
    ]
    if PacketType.GPS in kinds:
        gps = empty_values(PacketType.GPS, 10)
        gps["gps_fix_type"] = 3
        gps["latitude"] = gps["longitude"] = 47 + np.arange(10) / 1e5
        gps["velocity_north"] = 5
        gps["time_gps_epoch"] = 1464350418 + np.arange(10) / 5
        blocks.append(Samples(PacketType.GPS, np.arange(10) * 200 * MS, gps))
    if PacketType.MIN_GPS in kinds and PacketType.GPS not in kinds:
        places = empty_values(PacketType.MIN_GPS, 10)
        places["latitude"] = 47 + np.arange(10) / 1e5
        blocks.append(Samples(PacketType.MIN_GPS, np.arange(10) * 200 * MS, places))
    about = MovieDescription(datetime(2026, 6, 1, tzinfo=UTC), make, "rig", metadata)
    recording = Recording(folder / name, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(2_000 * MS, about)
    return reader.open(folder / name)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    metadata = {
        "sources": {"imu": {"delivered": 4242, "lost": 17, "chip": HOSTILE}},
        "late": {HOSTILE: 3},
        "fusion": {"filter": HOSTILE},
    }
    folder = tmp_path_factory.mktemp("clip")
    with film(folder, metadata=metadata, make=HOSTILE, name="<b>&amp;'\".mp4") as clip:
        return render(clip)


def test_nothing_in_a_clip_acts_as_html(html):
    page = Page(html)
    assert page.tags.count("script") == 2
    assert "b" not in page.tags
    assert page.text.count(HOSTILE) == 4  # maker, device, late packet type, filter
    assert "<b>&amp;'\".mp4" in page.text
    assert HOSTILE not in html


def test_the_page_needs_nothing_from_elsewhere(html):
    page = Page(html)
    assert page.open == []
    assert page.addresses == []
    assert "link" not in page.tags
    assert "@import" not in html
    assert "url(" not in html
    assert page.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in page.policy
    assert "http" not in page.policy


def test_its_script_is_what_lies_in_the_folder(html):
    """Readable, comments included, and nothing of modules is left that a script cannot have."""
    script = Page(html).scripts[1]
    assert "// Wheel, drag, pinch and keys on a plot." in script
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)


def test_it_tells_the_verdict_the_rates_the_gaps_and_the_losses(html):
    text = Page(html).text
    assert "gyro has 1 gap of more than 0.1 s, the longest of 0.155 s" in text
    assert "gyro 370 184.96 Hz 5.000 ms 0.000 ms 1 155.0 ms 0.000 s 1.995 s" in text
    assert "gyro 155.0 ms 30 0.495 s" in text
    assert "4,242 17 0" in text
    assert "2.00 s" in text


def test_it_holds_the_values_of_the_clip(tmp_path):
    with film(tmp_path, metadata={}, kinds={PacketType.GYRO}) as clip:
        page = Page(render(clip))
        data = page.data
        rate, intervals = data["plots"]
        for axis, line in enumerate(rate["lines"]):
            assert (decoded(data, line["values"]) == clip.gyro.data[:, axis]).all()
            np.testing.assert_allclose(decoded(data, line["t"]), clip.gyro.t_ns / 1e9)
            assert line["gap"] == pytest.approx(0.01)
        np.testing.assert_allclose(
            decoded(data, intervals["lines"][0]["values"]), np.diff(clip.gyro.t_ns) / 1e6
        )
    assert data["pose"] is None
    assert data["places"] is None
    assert data["noise"] == []
    assert "nothing" not in page.text
    assert "No sensor was at rest" in page.text


def test_times_that_types_share_are_there_once(html):
    data = Page(html).data
    assert len(set(data["arrays"])) == len(data["arrays"])
    times = {line["t"] for plot in data["plots"][1:5] for line in plot["lines"]}
    assert len(times) == 1


@pytest.mark.parametrize(
    ("kinds", "titles"),
    [
        ({PacketType.GYRO}, ["Angular rate", "Intervals"]),
        ({PacketType.GPS}, ["Speed", "Altitude", "Intervals"]),
        ({PacketType.MIN_GPS}, ["Speed", "Altitude", "Intervals"]),
        ({PacketType.ANGLE_AXIS}, ["Heading", "Pitch and roll", "Intervals"]),
    ],
    ids=str,
)
def test_a_clip_of_one_sensor_has_the_plots_of_that_sensor(tmp_path, kinds, titles):
    with film(tmp_path, metadata={}, kinds=kinds) as clip:
        page = Page(render(clip))
    assert page.sliders == [f"{title} over time" for title in titles]
    assert page.open == []
    assert "Sources" not in page.text


def test_the_same_clip_gives_the_same_page(tmp_path):
    with film(tmp_path, metadata={}, kinds={PacketType.GYRO}) as clip:
        assert render(clip) == render(clip)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3e38])
def test_strange_numbers_do_not_stop_the_page(tmp_path, value):
    t_ns = np.arange(5) * 5 * MS
    about = MovieDescription(None, "", "", {})
    recording = Recording(tmp_path / "walk.mp4", [], about, sources=["all"], start_ns=0)
    usual = (0.5, 0.25, 0.125)
    blocks = [Samples(PacketType(kind), t_ns, np.tile(usual, (5, 1))) for kind in (0, 2, 3, 7)]
    recording.add_samples("all", blocks, None)
    recording.finish(1_000 * MS, about)
    strange = struct.pack("<3f", value, value, value)
    film = (tmp_path / "walk.mp4").read_bytes()
    assert film.count(struct.pack("<3f", *usual)) >= 16
    (tmp_path / "walk.mp4").write_bytes(film.replace(struct.pack("<3f", *usual), strange))
    with reader.open(tmp_path / "walk.mp4") as clip:
        page = Page(render(clip))
    assert page.open == []
    assert "Recorded not told" in page.text


def test_a_mi_sphere_clip_without_a_track_is_reported(mp4, opened):
    """Its orientations stand at the times of frames, of which this file has none."""
    matrix = struct.pack("<9f", 1, 0, 0, 0, 1, 0, 0, 0, 1)
    udta = mp4.box(b"udta", mp4.box(b"madv", mp4.box(b"tlyd", matrix, bytes(36))))
    clip = opened(mp4.write([b"text"], [1], handler=b"text", entries=(b"tx3g",), udta=udta))
    page = Page(render(clip))
    assert "a Mi Sphere's own boxes" in page.text
    assert page.sliders == []


def test_of_several_tracks_it_says_which_it_shows(mp4, opened, gyro):
    data = mp4.write(gyro, [5000] * 10)
    moov = mp4.inside(data, b"moov")
    trak = next(mp4.box(kind, content) for kind, _, content in mp4.boxes(moov) if kind == b"trak")
    clip = opened(mp4.write(gyro, [5000] * 10, moov_first=False, extra=trak))
    assert len(clip.camm_tracks) == 2
    assert "track 1 (camm); 1 more such track not shown" in Page(render(clip)).text


def test_what_is_no_unicode_is_no_reason_to_fail(tmp_path, replay):
    film(tmp_path, metadata={"writer": {"name": "half ABCDEF"}}, name="a\udcff.mp4").close()
    data = (tmp_path / "a\udcff.mp4").read_bytes()
    (tmp_path / "a\udcff.mp4").write_bytes(data.replace(b"half ABCDEF", rb"half \ud800"))
    with reader.open(tmp_path / "a\udcff.mp4") as clip:
        page = Page(render(clip))
    assert "half ?" in page.text
    (tmp_path / "b\udcff.mp4").write_bytes(replay.read_bytes())
    with reader.open(tmp_path / "b\udcff.mp4") as clip:
        assert Page(render(clip, tmp_path / "page.html")).addresses == ["./b%FF.mp4"]


# The film


def test_a_clip_beside_the_page_is_linked_by_its_name(tmp_path, replay):
    name = 'a "film" <100%> #1?.mp4'
    (tmp_path / name).write_bytes(replay.read_bytes())
    with reader.open(tmp_path / name) as clip:
        beside = Page(render(clip, tmp_path / "page.html"))
        elsewhere = Page(render(clip, tmp_path.parent / "page.html"))
        nowhere = Page(render(clip))
    assert beside.addresses == ["./a%20%22film%22%20%3C100%25%3E%20%231%3F.mp4"]
    assert elsewhere.addresses == nowhere.addresses == []
    assert "video" in elsewhere.tags


def test_a_clip_without_pictures_has_no_player(html):
    page = Page(html)
    assert "video" not in page.tags
    assert "Which way the camera looks" in page.text


# What is kept of a clip


def series_of(t_ns, values, pieces=7):
    series = Series(Extent(len(t_ns), int(t_ns.min()), int(t_ns.max())), values.shape[1])
    for part in np.array_split(np.arange(len(t_ns)), pieces):
        series.add(t_ns[part], values[part])
    return series


def lines_of(series, line=0, gap_s=None):
    arrays = Arrays()
    document = series.document(line, arrays, gap_s)
    opened = {"arrays": arrays.texts}
    return {
        key: decoded(opened, value) if key in {"t", "values", "low", "high"} else value
        for key, value in document.items()
    }


@pytest.mark.parametrize("count", [1, 2, ROWS])
def test_few_samples_are_kept_as_they_are(count):
    values = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    t_ns = np.arange(count) * MS
    line = lines_of(series_of(t_ns, values), 1)
    assert (line["values"] == values[:, 1]).all()
    assert (line["t"] == t_ns / 1e9).all()


@pytest.mark.parametrize("count", [ROWS + 1, 5 * ROWS + 7])
def test_of_many_every_peak_is_kept_where_it_was(count):
    values = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    peak = count // 3
    values[peak] = 99
    t_ns = np.arange(count) * MS
    line = lines_of(series_of(t_ns, values), 1)
    assert len(line["low"]) == len(line["high"]) == ROWS
    assert np.nanmin(line["low"]) == values[:, 1].min()
    at = int((peak * 1e-3 - line["first"]) / line["step"])
    assert line["high"][at] == 99
    inside = (t_ns / 1e9 >= line["first"] + 50 * line["step"]) & (
        t_ns / 1e9 < line["first"] + 51 * line["step"] - 1e-12
    )
    assert line["low"][50] == values[inside, 1].min()


def test_where_nothing_was_measured_there_is_nothing():
    t_ns = np.arange(10 * ROWS) * MS
    t_ns[5 * ROWS :] += 10 * ROWS * MS
    line = lines_of(series_of(t_ns, np.ones((len(t_ns), 1))))
    middle = slice(ROWS // 3 + 2, ROWS * 2 // 3 - 2)
    assert np.isnan(line["low"][middle]).all()
    assert (line["low"][: ROWS // 4] == 1).all()


def test_times_that_step_back_are_put_in_order():
    t_ns = np.array([0, 3, 2, 1]) * MS
    line = lines_of(series_of(t_ns, np.array([[0.0], [3], [2], [1]]), 1))
    assert line["values"].tolist() == [0, 1, 2, 3]
    many = np.arange(2 * ROWS) * MS
    line = lines_of(series_of(many[::-1], np.arange(2.0 * ROWS)[::-1, None]))
    assert (np.diff(line["high"]) > 0).all()


def test_figures_are_those_of_all_finite_samples():
    values = np.random.default_rng(3).normal(1e6, 1e-2, size=(5 * ROWS, 1))
    values[7] = np.nan
    values[9] = np.inf
    (figures,) = series_of(np.arange(len(values)) * MS, values).figures
    finite = values[np.isfinite(values)]
    assert figures.lowest == finite.min()
    assert figures.mean == pytest.approx(finite.mean())
    assert figures.highest == finite.max()
    assert figures.deviation == pytest.approx(finite.std(), rel=1e-6)
    (nothing,) = series_of(np.arange(3) * MS, np.full((3, 1), np.nan)).figures
    assert np.isnan([nothing.lowest, nothing.mean, nothing.highest, nothing.deviation]).all()


def intervals_of(t_ns, pieces=3):
    intervals = Intervals(Extent(len(t_ns), int(t_ns.min()), int(t_ns.max())))
    for part in np.array_split(t_ns, pieces):
        intervals.add(part)
    return intervals


def test_rate_jitter_and_gaps_are_those_of_the_times():
    random = np.random.default_rng(5)
    steps = random.normal(5 * MS, 20_000, size=1000).astype(np.int64)
    steps[[100, 300]] = [50 * MS, 11 * MS]
    t_ns = np.concatenate([[0], np.cumsum(steps)])
    found = intervals_of(t_ns)
    assert found.rate_hz == pytest.approx(1e12 / t_ns[-1])
    assert found.usual_s == pytest.approx(5e-3, rel=2e-3)
    assert found.jitter_s == pytest.approx(np.delete(steps, [100, 300]).std() / 1e9, rel=1e-3)
    assert [(gap.t_s, gap.seconds, gap.missing) for gap in found.gaps] == [
        (t_ns[100] / 1e9, 0.05, 9),
        (t_ns[300] / 1e9, 0.011, 1),
    ]
    assert found.longest_s == 0.05
    edges, counts = found.histogram
    assert sum(counts) == 1000
    assert edges[0] <= steps.min() / 1e6
    assert edges[-1] >= 50
    assert len(counts) <= 41


@pytest.mark.parametrize("t_ns", [[5], [5, 5, 5]])
def test_of_records_at_one_time_there_is_no_rate(t_ns):
    found = intervals_of(np.array(t_ns), 1)
    assert (found.rate_hz, found.usual_s, found.jitter_s, found.gaps) == (None, None, None, [])


def test_an_interval_of_just_twice_the_usual_is_no_gap():
    steps = np.full(99, 5 * MS)
    steps[50] = 10 * MS
    assert intervals_of(np.cumsum(steps)).gaps == []
    steps[50] += 1
    assert len(intervals_of(np.cumsum(steps)).gaps) == 1


def test_of_very_many_gaps_it_says_that_there_are_more():
    steps = np.tile([MS, MS, MS, 9 * MS], 1500)
    found = intervals_of(np.cumsum(steps))
    assert found.gaps_left_out
    assert len(found.gaps) == 1000


def rest_of(kind, data, rate_hz=100):
    t_ns = np.arange(len(data)) * (1_000 * MS // rate_hz)
    rest = Rest(kind)
    for part in np.array_split(np.arange(len(data)), 17):
        rest.add(Samples(kind, t_ns[part], data[part]))
    return rest.noise


def test_noise_is_that_of_the_longest_rest():
    random = np.random.default_rng(8)
    data = random.normal(0, 0.001, size=(10_000, 3))
    data[:2000] += np.sin(np.arange(2000) / 20)[:, None]  # moves
    data[3500:3700] += 0.5 * random.normal(size=(200, 1))  # is shaken
    noise = rest_of(PacketType.GYRO, data)
    assert 37 <= noise.first_s <= 38
    assert noise.last_s == 99.99
    # White noise of s at f has the density s / sqrt(f).
    np.testing.assert_allclose(noise.allan.random_walk, np.degrees(1e-4), rtol=0.1)


def test_where_it_always_moves_there_is_no_noise_to_tell():
    data = np.sin(np.arange(5000) / 20)[:, None] * np.ones(3)
    assert rest_of(PacketType.GYRO, data) is None
    assert rest_of(PacketType.ACCELERATION, 10 * data) is None
    assert rest_of(PacketType.GYRO, np.full((5000, 3), 0.5)) is None  # it turns steadily
    assert rest_of(PacketType.GYRO, np.full((5000, 3), np.nan)) is None
    assert rest_of(PacketType.GYRO, np.zeros((5000, 3))) is None  # a sensor that does not work
    still = np.random.default_rng(1).normal(0, 0.001, size=(900, 3))
    assert rest_of(PacketType.GYRO, still) is None  # nine seconds


def exposures(t_ns, exposure_ns, skew_ns):
    values = empty_values(PacketType.EXPOSURE, len(t_ns))
    values["pixel_exposure_time"], values["rolling_shutter_skew_time"] = exposure_ns, skew_ns
    return Samples(PacketType.EXPOSURE, np.array(t_ns, np.int64), values)


def test_frames_are_compared_with_the_centre_of_their_exposure():
    frames = np.arange(5, dtype=np.int64) * 40 * MS
    starts = frames - 6 * MS + [0, 0, 0, 1 * MS, 0]  # half of 4 + 8 ms
    sync = Sync.of(exposures(np.maximum(starts, 0), 4 * MS, 8 * MS), frames)
    assert sync.t_ns.tolist() == frames[1:].tolist()  # that of the first begins before the clip
    np.testing.assert_allclose(sync.offset_ms, [0, 0, -1, 0])
    assert sync.unknown == 1
    assert Sync.of(exposures([0, 40 * MS], 0, 0), frames) is None
    assert Sync.of(exposures([40 * MS], 4 * MS, 0), frames[:0]) is None
    assert Sync.of(exposures([40 * MS], 4 * MS, 0), frames[:1]).offset_ms.tolist() == [-42]


def test_the_pose_of_a_long_clip_is_known_to_a_few_samples():
    count = 300_000
    t_ns = np.arange(count, dtype=np.int64) * MS
    turn = t_ns / 1e9 * 0.2  # radians to the right
    vectors = np.stack([np.zeros(count), (turn + np.pi) % (2 * np.pi) - np.pi, np.zeros(count)], 1)
    pose = Pose(Extent(count, 0, int(t_ns[-1])))
    for part in np.array_split(np.arange(count), 11):
        pose.add(Samples(PacketType.ANGLE_AXIS, t_ns[part], vectors[part].astype(np.float32)))
    arrays = Arrays()
    document = pose.document(arrays)
    headings = decoded({"arrays": arrays.texts}, document["values"][0]) / 100
    at = (np.arange(len(headings)) + 0.5) * document["step"]
    off = (headings - np.degrees(at * 0.2) + 180) % 360 - 180
    assert np.abs(off).max() < 0.1
    heading, pitch, _ = pose.series.figures
    assert heading.highest == pytest.approx(np.degrees(turn[-1]), abs=0.1)  # on over north
    assert pitch.deviation < 1e-3


@pytest.mark.parametrize(
    ("angle_axis", "expected"),
    [
        ((1e-9, 0, 0), (0, 0, 0)),
        ((0, np.pi / 2, 0), (90, 0, 0)),
        ((0, -np.pi / 2, 0), (270, 0, 0)),
        ((np.radians(30), 0, 0), (0, 30, 0)),
        ((0, 0, np.radians(20)), (0, 0, 20)),
        ((0.66454, 1.42511, -0.13705), (90, 30, 20)),
    ],
)
def test_heading_pitch_and_roll_are_those_of_known_poses(angle_axis, expected):
    found = heading_pitch_roll(np.array([angle_axis], np.float32))
    np.testing.assert_allclose(np.concatenate(found), expected, atol=0.002)


def test_east_and_north_are_metres():
    east, north = east_north(np.array([60.0, 60.0, 60.001]), np.array([179.9999, -179.9999, 180]))
    np.testing.assert_allclose(north, [0, 0, 111.195], atol=0.01)
    np.testing.assert_allclose(east, [0, 11.1195, 5.55975], atol=0.001)


def test_where_the_receiver_tells_no_speed_it_comes_of_places():
    places = empty_values(PacketType.MIN_GPS, 3)
    places["latitude"] = [47, 47.00001, 47.00003]
    found = Places.of([Samples(PacketType.MIN_GPS, np.arange(3) * 1_000 * MS, places)])
    assert found.by_places
    np.testing.assert_allclose(found.speed, [np.nan, 1.112, 2.224], atol=0.001)
    assert found.length_m == pytest.approx(3.336, abs=0.001)
    assert Places.of([]) is None


def test_sources_are_shown_with_what_they_lost():
    metadata = {
        "sources": {
            "imu": {
                "chip": "ICM-20948",
                "delivered": 2000,
                "lost": 3,
                "failures": 1,
                "error": "unplugged",
                "clock_fit": {"period_error_ppm": -120.04, "sigma_ns": 4e4},
            },
            "mag": {
                "clock_fit": {
                    "period_error_ppm": 1.0,
                    "sigma_ns": 4e4,
                    "accepted": 97,
                    "refused": 3,
                }
            },
            "nonsense": 5,
        },
        "late": {"gps": 2},
    }
    imu, mag = sources(metadata)
    assert (imu.name, imu.device, imu.delivered, imu.lost) == ("imu", "ICM-20948", 2000, 3)
    assert (imu.failures, imu.error) == (1, "unplugged")
    assert imu.clock == "-120.0 ppm, to 0.04 ms"
    assert mag.clock == "+1.0 ppm, to 0.04 ms; 3 of 100 refused"
    assert remarks(metadata) == ["2 gps records came too late to be written"]


def test_metadata_of_another_recorder_is_no_reason_to_fail():
    for strange in ({}, {"sources": 3}, {"sources": {"a": {"clock_fit": 7, "lost": "many"}}}):
        assert len(sources(strange)) <= 1
        assert remarks(strange | {"late": [], "fusion": "none"}) == []
