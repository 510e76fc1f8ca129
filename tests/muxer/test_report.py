"""The page tells what is in a clip, draws it truly, and lets nothing of it act as HTML."""

import re
import struct
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from camm import PacketType, Samples, empty_values
from camm.frames import heading_pitch_roll
from muxer import reader
from muxer.recording import Recording
from muxer.recording_file import MovieDescription
from muxer.report import render
from muxer.report.series import POINTS, east_north, envelope, gaps
from muxer.report.summary import remarks, sources

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a browser would see: tags, the addresses they point to, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text, self.open = [], [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)
        self.addresses += [
            value for name, value in attributes if name in {"src", "href", "xlink:href"}
        ]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += f" {data}"


def film(folder, *, metadata, make="cammcorder", name="walk.mp4", kinds=tuple(PacketType)):
    """Two seconds of everything: 200 Hz with a hole, and a walk north-east at 5 Hz."""
    random = np.random.default_rng(7)
    t_ns = np.delete(np.arange(400) * 5_000_000, np.arange(100, 130))
    blocks = [
        Samples(kind, t_ns, random.normal(size=(len(t_ns), 3)))
        for kind in map(PacketType, (0, 2, 3, 7))
        if kind in kinds
    ]
    if PacketType.GPS in kinds:
        gps = empty_values(PacketType.GPS, 10)
        gps["gps_fix_type"] = 3
        gps["latitude"] = gps["longitude"] = 47 + np.arange(10) / 1e5
        gps["time_gps_epoch"] = 1464350418 + np.arange(10) / 5
        blocks.append(Samples(PacketType.GPS, np.arange(10) * 200_000_000, gps))
    about = MovieDescription(datetime(2026, 6, 1, tzinfo=UTC), make, "rig", metadata)
    recording = Recording(folder / name, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", blocks, None)
    recording.finish(2_000_000_000, about)
    return reader.open(folder / name)


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    metadata = {
        "sources": {"imu": {"delivered": 4242, "lost": 17, "chip": HOSTILE}},
        "late": {HOSTILE: 3},
    }
    folder = tmp_path_factory.mktemp("clip")
    with film(folder, metadata=metadata, make=HOSTILE, name="<b>&amp;.mp4") as clip:
        return render(clip)


def test_nothing_in_a_clip_acts_as_html(html):
    page = Page(html)
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert page.text.count(HOSTILE) == 3  # maker, device, late packet type
    assert "<b>&amp;.mp4" in page.text


def test_the_page_needs_nothing_from_elsewhere(html):
    page = Page(html)
    assert page.open == []
    assert all(address.startswith("#") for address in page.addresses)
    assert "link" not in page.tags
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_the_names_inside_the_figures_are_unique(html):
    names = re.findall(r'\bid="([^"]+)"', html)
    # One clip path or marker may be said twice where it is the same: a reference finds either.
    assert all(f'"#{name}"' in html or f"(#{name})" in html for name in names)
    assert "<metadata" not in html


def test_it_tells_the_verdict_the_rates_the_gaps_and_the_losses(html):
    text = " ".join(Page(html).text.split())
    assert "gyro has 1 gap of more than 0.1 s, the longest of 0.155 s" in text
    assert "gyro 370 184.96 Hz 1 155.0 ms 0.000 s 1.995 s" in text
    assert "4,242 17 0" in text
    assert "2.00 s" in text


def test_it_draws_every_sensor_in_colours_that_change_in_the_dark(html):
    page = Page(html)
    assert page.tags.count("svg") == 6
    for title in ("Track", "Orientation", "Angular rate", "Acceleration", "Magnetic field"):
        assert title in page.text
    assert "#0badc" not in html
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert set(re.findall(r"stroke: (#\w+)", drawn)) == set()


def test_a_clip_of_one_sensor_has_the_figures_of_that_sensor(tmp_path):
    with film(tmp_path, metadata={}, kinds={PacketType.GYRO}) as clip:
        page = Page(render(clip))
    assert page.tags.count("svg") == 2
    assert "What the recorder counted" not in page.text


def test_the_same_clip_gives_the_same_page(tmp_path):
    with film(tmp_path, metadata={}, kinds={PacketType.GYRO}) as clip:
        assert render(clip) == render(clip)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3e38])
def test_strange_numbers_do_not_stop_the_page(tmp_path, value):
    t_ns = np.arange(5) * 5_000_000
    about = MovieDescription(None, "", "", {})
    recording = Recording(tmp_path / "walk.mp4", [], about, sources=["all"], start_ns=0)
    usual = (0.5, 0.25, 0.125)
    blocks = [Samples(PacketType(kind), t_ns, np.tile(usual, (5, 1))) for kind in (0, 2, 3, 7)]
    recording.add_samples("all", blocks, None)
    recording.finish(1_000_000_000, about)
    strange = struct.pack("<3f", value, value, value)
    film = (tmp_path / "walk.mp4").read_bytes()
    assert film.count(struct.pack("<3f", *usual)) >= 16
    (tmp_path / "walk.mp4").write_bytes(film.replace(struct.pack("<3f", *usual), strange))
    with reader.open(tmp_path / "walk.mp4") as clip:
        assert Page(render(clip)).open == []


# What is drawn


@pytest.mark.parametrize("count", [0, 1, POINTS, POINTS + 1, 3 * POINTS + 7, 100_003])
def test_an_envelope_is_short_and_keeps_every_peak(count):
    random = np.random.default_rng(count)
    t_s, values = np.arange(count) / 200, random.normal(size=count)
    x, y = envelope(t_s, values)
    assert len(x) == len(y) <= min(count, POINTS + 2)
    assert (np.diff(x) > 0).all()
    if count:
        assert (y.min(), y.max()) == (values.min(), values.max())
        assert (x[0], x[-1]) == (t_s[0], t_s[-1])
        assert y[-1] == values[-1]


def test_a_gap_is_over_twice_the_usual_interval():
    np.testing.assert_array_equal(
        gaps(np.array([0, 1, 2, 3, 5, 7.5, 8.5])), [False, False, False, False, True, False]
    )
    assert not gaps(np.array([1.0, 1.0, 1.0])).any()
    assert not len(gaps(np.array([1.0])))


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
            "nonsense": 5,
        },
        "late": {"gps": 2},
    }
    (imu,) = sources(metadata)
    assert (imu.name, imu.device, imu.delivered, imu.lost) == ("imu", "ICM-20948", 2000, 3)
    assert (imu.failures, imu.error) == (1, "unplugged")
    assert imu.clock == "-120.0 ppm, to 0.04 ms"
    assert remarks(metadata) == ["2 gps records came too late to be written"]


def test_metadata_of_another_recorder_is_no_reason_to_fail():
    for strange in ({}, {"sources": 3}, {"sources": {"a": {"clock_fit": 7, "lost": "many"}}}):
        assert len(sources(strange)) <= 1
        assert remarks(strange | {"late": [], "fusion": "none"}) == []
