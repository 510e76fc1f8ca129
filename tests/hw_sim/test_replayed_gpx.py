"""GPX of many programs as fixes of type 6."""

from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import PacketType, Samples, UsageError
from camm.gps_time import gps_from_utc
from hw_sim.replay.gpx import read_gpx

GPS = PacketType.GPS
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
UNKNOWN = ("vertical_accuracy", "velocity_up", "speed_accuracy")


def gpx(*points, version="1.1", head=""):
    inside = "".join(points)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<gpx version="{version}" creator="x" '
        f'xmlns="http://www.topografix.com/GPX/{version.replace(".", "/")}" xmlns:a="urn:a">'
        f"<trk><trkseg>{inside}</trkseg></trk></gpx>"
    )


def point(inside="", time="2026-06-01T12:00:00Z", lat="47", lon="8"):
    when = f"<time>{time}</time>" if time else ""
    return f'<trkpt lat="{lat}" lon="{lon}">{when}{inside}</trkpt>'


@pytest.fixture
def read(tmp_path):
    """The fixes of a text, and the log that they are in."""

    def read(text):
        path = tmp_path / "walk.gpx"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        log = read_gpx(path)
        return Samples.concatenate(GPS, log.blocks(GPS)), log

    return read


def test_a_point_is_a_fix_with_its_gps_time(read):
    first = point("<ele>440.5</ele><fix>3d</fix>", lat="47.123456789", lon="-8.5")
    second = point(time="2026-06-01T12:00:01.25Z")
    fixes, log = read(gpx(first, second))
    assert (log.kinds, log.created, log.by_utc) == ({GPS}, NOON, True)
    assert fixes.t_ns.tolist() == [0, 1_250_000_000]
    data = fixes.data
    assert data["time_gps_epoch"].tolist() == [gps_from_utc(NOON), gps_from_utc(NOON) + 1.25]
    assert (data["latitude"][0], data["longitude"][0], data["altitude"][0]) == (
        47.123456789,
        -8.5,
        440.5,
    )
    assert data["gps_fix_type"].tolist() == [3, 2]  # without a height there are two dimensions
    assert np.isnan(data["altitude"][1])


def test_what_a_point_does_not_tell_is_not_known(read):
    fixes, _ = read(gpx(point()))
    names = (*UNKNOWN, "horizontal_accuracy", "velocity_east", "velocity_north")
    assert all(np.isnan(fixes.data[name]).all() for name in names)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<hdop>1.2</hdop>", {"horizontal_accuracy": 6}),
        ("<hdop>1</hdop><extensions><a:accuracy>3.5</a:accuracy></extensions>",
         {"horizontal_accuracy": 3.5}),
        ("<ele>400</ele><geoidheight>47.5</geoidheight>", {"altitude": 447.5}),
        ("<speed>10</speed><course>90</course>", {"velocity_east": 10, "velocity_north": 0}),
        ("<extensions><a:TrackPointExtension><a:speed>2</a:speed><a:course>180</a:course>"
         "</a:TrackPointExtension></extensions>", {"velocity_east": 0, "velocity_north": -2}),
        ("<speed>0</speed>", {"velocity_east": 0, "velocity_north": 0}),
        ("<speed>3</speed>", {"velocity_east": np.nan, "velocity_north": np.nan}),
        ("<fix>2d</fix><ele>4</ele>", {"gps_fix_type": 2, "altitude": 4}),
        ("<fix>dgps</fix>", {"gps_fix_type": 3}),
        ("<ele>high</ele><hdop>inf</hdop>", {"altitude": np.nan, "horizontal_accuracy": np.nan}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_what_a_point_tells(read, inside, expected, version):
    fixes, _ = read(gpx(point(inside), version=version))
    for name, value in expected.items():
        np.testing.assert_allclose(fixes.data[name][0], value, atol=1e-6)


@pytest.mark.parametrize(
    "left_out",
    [
        *(point(time=""), point(time="noon"), point("<fix>none</fix>")),
        *(point(time="0001-01-01T00:00:00+01:00"), point(time="9999-06-01T12:00:00Z")),
        *(point(lat="91"), point(lon="181"), point(lat="nan"), point(lat="")),
        '<trkpt lon="8"><time>2026-06-01T12:00:00Z</time></trkpt>',
    ],
)
def test_points_without_a_time_or_a_place_are_left_out(read, left_out):
    fixes, _ = read(gpx(left_out, point(time="2026-06-01T12:00:07Z")))
    assert len(fixes) == 1
    with pytest.raises(UsageError, match="has no track points with a time"):
        read(gpx(left_out))


@pytest.mark.parametrize("time", ["2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00"])
def test_times_are_utc_or_name_their_zone(read, time):
    _, log = read(gpx(point(time=time)))
    assert log.created == NOON


def test_points_come_in_order_of_time(read):
    late, early = (point(time=f"2026-06-01T12:00:0{n}Z", lat=str(n)) for n in (5, 1))
    fixes, _ = read(gpx(late, early))
    assert fixes.t_ns.tolist() == [0, 4_000_000_000]
    assert fixes.data["latitude"].tolist() == [1, 5]


def test_a_log_that_was_cut_gives_what_is_before_the_cut(read):
    text = gpx(*(point(time=f"2026-06-01T12:00:0{n}Z") for n in range(9)))
    fixes, _ = read(text[: text.index("12:00:07")])
    assert len(fixes) == 7


def bomb():
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' if n else '<!ENTITY e0 "0123456789">'
        for n in range(10)
    )
    return gpx(point("<ele>&e9;</ele>"), head=f"<!DOCTYPE gpx [{entities}]>")


@pytest.mark.parametrize(
    "text", ["<gpx>", "<gpx><trk></gpx>", "<gpx>\0</gpx>", gpx(point("<a:b>&x;</a:b>")), bomb()]
)
def test_what_is_no_gpx_is_refused_in_one_line(read, text):
    with pytest.raises(UsageError, match=r"no GPX that can be read|no track points") as refused:
        read(text)
    assert "\n" not in str(refused.value)


@given(st.data())
def test_made_up_bytes_raise_nothing_else(tmp_path, data):
    text = gpx(point("<ele>1</ele>"), point()).encode()
    at = data.draw(st.integers(0, len(text)))
    made = text[:at] + data.draw(st.binary(max_size=8)) + text[at + data.draw(st.integers(0, 9)) :]
    path = tmp_path / "made.gpx"
    path.write_bytes(made)
    with suppress(UsageError):
        assert len(Samples.concatenate(GPS, read_gpx(path).blocks(GPS))) <= 2
