"""Tracks as other programs read them: GPX by gpxpy and its schema's rules, GeoJSON, KML, NMEA."""

import io
import json
import math
import re
from datetime import UTC, date, datetime, time, timedelta
from xml.etree import ElementTree as ET

import gpxpy
import numpy as np
import pytest
from pynmeagps import NMEAReader

from camm import PacketType, Samples, empty_values
from muxer import reader
from muxer.extract import FORMATS, NothingToExtractError, Selection
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

CREATED = datetime(2026, 6, 1, 12, tzinfo=UTC)
GPS_TIME = 1464350418.0  # the same moment
TRACKS = ["geojson", "gpx", "kml", "nmea"]
GPX = "{http://www.topografix.com/GPX/1/1}"
GARMIN = "{http://www.garmin.com/xmlschemas/TrackPointExtension/v2}"
OWN = "{urn:cammcorder:gpx:1}"
KML = "{http://www.opengis.net/kml/2.2}"
GX = "{http://www.google.com/kml/ext/2.2}"


def film(folder, *blocks, created=CREATED, name="walk.mp4"):
    about = MovieDescription(created, "cammcorder", "rig", {})
    recording = Recording(folder / name, [], about, sources=["all"], start_ns=0)
    recording.add_samples("all", list(blocks), None)
    recording.finish(10_000_000_000, about)
    return reader.open(folder / name)


def fixes(count, **fields):
    data = empty_values(PacketType.GPS, count)
    data["time_gps_epoch"] = GPS_TIME + np.arange(count) / 5
    data["gps_fix_type"] = 3
    data["latitude"] = 47.5 + np.arange(count) / 1e6
    data["longitude"] = -8.25
    data["altitude"] = 432.1
    for field, values in fields.items():
        data[field] = values
    return Samples(PacketType.GPS, np.arange(count) * 200_000_000, data)


def places(count, **fields):
    """Records of type 5, which tell a place and nothing else."""
    data = empty_values(PacketType.MIN_GPS, count)
    data["latitude"], data["longitude"], data["altitude"] = 47.5, 8.25, 432.1
    for field, values in fields.items():
        data[field] = values
    return Samples(PacketType.MIN_GPS, np.arange(count) * 1_000_000_000, data)


MOVING = {
    "velocity_east": 3.0,
    "velocity_north": -4.0,
    "velocity_up": 0.25,
    "horizontal_accuracy": 1.5,
    "vertical_accuracy": 2.5,
    "speed_accuracy": 0.125,
}


def written(clip, form):
    (document,) = FORMATS[form](Selection(clip))
    assert document.suffix == f".{form}"
    return b"".join(document.pieces(clip.record_blocks())).decode()


def parsed(text):
    return ET.fromstring(text)  # noqa: S314 - it is our own


# GPX


# Of the schema's types, what a track can have: children in their order, and which attributes.
SEQUENCES = {
    "gpx": ["metadata", "wpt", "rte", "trk", "extensions"],
    "trk": ["name", "cmt", "desc", "src", "link", "number", "type", "extensions", "trkseg"],
    "trkseg": ["trkpt", "extensions"],
    "trkpt": [
        *("ele", "time", "magvar", "geoidheight", "name", "cmt", "desc", "src", "link", "sym"),
        *("type", "fix", "sat", "hdop", "vdop", "pdop", "ageofdgpsdata", "dgpsid", "extensions"),
    ],
}
MANY = {"trkpt", "trkseg", "trk", "wpt", "rte", "link"}
TEXTS = {
    "ele": r"[+-]?(\d+(\.\d*)?|\.\d+)",
    "time": r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?",
    "fix": "none|2d|3d|dgps|pps",
    "name": ".*",
}


def assert_valid(element):
    """By the rules of gpx.xsd, written down here anew."""
    name = element.tag.removeprefix(GPX)
    assert "{" not in name, name
    if name == "extensions":
        assert all(child.tag.startswith("{") and GPX not in child.tag for child in element)
        assert all(0 <= float(course.text) < 360 for course in element.iter(f"{GARMIN}course"))
        return
    if name in SEQUENCES:
        children = [child.tag.removeprefix(GPX) for child in element]
        order = [SEQUENCES[name].index(child) for child in children]
        assert order == sorted(order)
        assert all(children.count(child) == 1 for child in set(children) - MANY)
        assert not (element.text or "").strip()
    else:
        assert re.fullmatch(TEXTS[name], element.text or "")
    attributes = {"gpx": {"version", "creator"}, "trkpt": {"lat", "lon"}}.get(name, set())
    assert set(element.attrib) == attributes
    for attribute, most in (("lat", 90), ("lon", 180)):
        if attribute in attributes:
            text = element.attrib[attribute]
            assert re.fullmatch(TEXTS["ele"], text)  # xs:decimal has no exponents
            assert -most <= float(text) <= most
            assert float(text) < 180
    for child in element:
        assert_valid(child)


def extensions(point):
    return {child.tag: child for child in point.extensions}


def test_a_gpx_track_is_valid_and_has_speed_course_and_accuracies(tmp_path):
    with film(tmp_path, fixes(3, **MOVING)) as clip:
        text = written(clip, "gpx")
    root = parsed(text)
    assert_valid(root)
    assert root.attrib == {"version": "1.1", "creator": "cammcorder"}
    (track,) = gpxpy.parse(text).tracks
    points = track.segments[0].points
    assert [point.time - CREATED for point in points] == [
        n * timedelta(seconds=0.2) for n in range(3)
    ]
    found = extensions(points[0])
    garmin = {child.tag: child.text for child in found[f"{GARMIN}TrackPointExtension"]}
    assert garmin == {f"{GARMIN}speed": "5.000", f"{GARMIN}course": "143.13"}
    assert list(garmin) == [f"{GARMIN}speed", f"{GARMIN}course"]  # its schema's order
    own = {tag.removeprefix(OWN): child.text for tag, child in found.items() if OWN in tag}
    assert own == {
        "horizontal_accuracy": "1.500",
        "vertical_accuracy": "2.500",
        "speed_accuracy": "0.125",
        "velocity_up": "0.250",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"latitude": 1e-7, "longitude": -1e-9, "altitude": 1e-5},
        {"altitude": np.nan, **dict.fromkeys(MOVING, np.nan)},
        {"altitude": np.inf, **dict.fromkeys(MOVING, np.inf)},
        {"longitude": 180.0, "latitude": -90.0},
        {"longitude": 179.9999999999},
        {"gps_fix_type": 7},
        {"velocity_north": 1.0, "velocity_east": -1e-6},
        {"time_gps_epoch": 0.5},
    ],
)
def test_no_fix_makes_gpx_invalid(tmp_path, fields):
    with film(tmp_path, fixes(2, **fields), created=None, name='a "<b>"&.mp4') as clip:
        text = written(clip, "gpx")
    assert_valid(parsed(text))
    assert len(gpxpy.parse(text).tracks[0].segments[0].points) == 2


def test_what_a_fix_does_not_tell_is_not_in_gpx(tmp_path):
    with film(tmp_path, places(1)) as clip:
        (point,) = gpxpy.parse(written(clip, "gpx")).tracks[0].segments[0].points
    assert (point.extensions, point.type_of_gpx_fix) == ([], None)
    with film(tmp_path, fixes(1), name="still.mp4") as clip:  # a speed of 0 has no course
        (point,) = gpxpy.parse(written(clip, "gpx")).tracks[0].segments[0].points
    (garmin, climb) = point.extensions
    assert [child.text for child in garmin] == ["0.000"]
    assert climb.tag == f"{OWN}velocity_up"


# GeoJSON


def test_geojson_is_a_line_and_a_point_for_each_fix(tmp_path):
    with film(tmp_path, fixes(3, altitude=[1.5, np.nan, 3], **MOVING)) as clip:
        found = json.loads(written(clip, "geojson"), parse_constant=pytest.fail)
    assert found["type"] == "FeatureCollection"
    line, *points = found["features"]
    assert {feature["type"] for feature in found["features"]} == {"Feature"}
    assert line["geometry"]["type"] == "LineString"
    assert line["geometry"]["coordinates"] == [
        [-8.25, 47.5, 1.5],
        [-8.25, 47.500001],
        [-8.25, 47.500002, 3],
    ]
    assert line["properties"]["name"] == "walk"
    assert line["properties"]["coordTimes"][2] == "2026-06-01T12:00:00.400Z"
    assert [point["geometry"]["coordinates"] for point in points] == line["geometry"]["coordinates"]
    assert points[1]["geometry"]["type"] == "Point"
    assert points[1]["properties"] == {
        "t_s": 0.2,
        "utc": "2026-06-01T12:00:00.200Z",
        "fix": 3,
        "speed": 5,
        "course": 143.13,
        "velocity_up": 0.25,
        "horizontal_accuracy": 1.5,
        "vertical_accuracy": 2.5,
        "speed_accuracy": 0.125,
    }


def test_a_line_does_not_go_around_the_earth_where_it_crosses_the_antimeridian(tmp_path):
    with film(tmp_path, fixes(5, longitude=[179.9, 179.99, -179.99, -179.9, 179.99])) as clip:
        features = json.loads(written(clip, "geojson"))["features"]
    lines = [f["geometry"]["coordinates"] for f in features if f["geometry"]["type"] != "Point"]
    assert [[place[0] for place in line] for line in lines] == [[179.9, 179.99], [-179.99, -179.9]]
    assert len(features) == 2 + 5


def test_one_place_is_no_line(tmp_path):
    with film(tmp_path, places(1), created=None) as clip:
        (feature,) = json.loads(written(clip, "geojson"))["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [8.25, 47.5, 432.1]}
    assert feature["properties"]["utc"] is None
    assert feature["properties"]["fix"] is None


# KML


def test_kml_is_a_track_of_as_many_times_as_places(tmp_path):
    with film(tmp_path, fixes(3, altitude=[1.5, np.nan, 3], **MOVING), name="a<b>.mp4") as clip:
        root = parsed(written(clip, "kml"))
    assert root.tag == f"{KML}kml"
    track = root.find(f"{KML}Document/{KML}Placemark/{GX}Track")
    assert root.find(f"{KML}Document/{KML}name").text == "a<b>"
    tags = [child.tag for child in track]
    assert tags == [*[f"{KML}when"] * 3, *[f"{GX}coord"] * 3, f"{KML}ExtendedData"]
    assert [child.text for child in track.findall(f"{KML}when")][1] == "2026-06-01T12:00:00.200Z"
    coordinates = [child.text.split(" ") for child in track.findall(f"{GX}coord")]
    assert [list(map(float, place)) for place in coordinates] == [
        [-8.25, 47.5, 1.5],
        [-8.25, 47.500001, 0],
        [-8.25, 47.500002, 3],
    ]
    schema = root.find(f"{KML}Document/{KML}Schema")
    data = track.find(f"{KML}ExtendedData/{KML}SchemaData")
    assert data.attrib["schemaUrl"] == f"#{schema.attrib['id']}"
    arrays = {array.attrib["name"]: [value.text for value in array] for array in data}
    assert {field.attrib["name"] for field in schema} == set(arrays)
    assert arrays["speed"] == ["5.000"] * 3
    assert arrays["course"] == ["143.130"] * 3


# NMEA


def sentences(text):
    """Every line, checked by pynmeagps, checksum included."""
    stream = io.BytesIO(text.encode())
    return [parsed for _, parsed in NMEAReader(stream, validate=1, quitonerror=2)]


def test_nmea_says_what_is_in_the_clip(tmp_path):
    with film(tmp_path, fixes(2, latitude=[-47.5, 0.00000001], **MOVING)) as clip:
        text = written(clip, "nmea")
    assert text.count("\r\n") == text.count("\n") == 6
    rmc, gga, gst, *_ = found = sentences(text)
    assert [sentence.msgID for sentence in found] == ["RMC", "GGA", "GST"] * 2
    assert rmc.status == "A"
    assert rmc.date == date(2026, 6, 1)
    assert [sentence.time for sentence in found[2:4]] == [time(12), time(12, 0, 0, 200_000)]
    assert (rmc.lat, rmc.lon) == (gga.lat, gga.lon) == (-47.5, -8.25)
    assert rmc.spd == pytest.approx(5 / 1852 * 3600, abs=1e-3)
    assert rmc.cog == pytest.approx(143.13)
    assert gga.alt + float(gga.sep) == pytest.approx(432.1, abs=1e-3)
    assert gga.quality == 1
    assert math.hypot(gst.stdLat, gst.stdLong) == pytest.approx(1.5, abs=1e-3)
    assert gst.stdAlt == 2.5


@pytest.mark.parametrize("latitude", [0.1, 59.99999999999, -33.3333333333, 89.9999999999])
def test_angles_in_nmea_are_right_to_a_millimetre(tmp_path, latitude):
    with film(tmp_path, fixes(1, latitude=latitude, longitude=-latitude)) as clip:
        rmc, _ = sentences(written(clip, "nmea"))
    assert rmc.lat == pytest.approx(latitude, abs=1e-8)
    assert rmc.lon == pytest.approx(-latitude, abs=1e-8)


def test_nmea_leaves_out_what_is_not_known(tmp_path):
    with film(tmp_path, places(2, altitude=np.nan)) as clip:
        rmc, gga, *_ = sentences(written(clip, "nmea"))
    assert (rmc.spd, rmc.cog, gga.alt, gga.sep) == ("", "", "", "")
    assert rmc.time == time(12)


# All of them


@pytest.mark.parametrize("form", TRACKS)
def test_without_a_fix_there_is_no_track(tmp_path, form):
    with (
        film(tmp_path, fixes(2, gps_fix_type=0)) as clip,
        pytest.raises(NothingToExtractError, match="no GPS fix"),
    ):
        FORMATS[form](Selection(clip))


@pytest.mark.parametrize("form", ["kml", "nmea"])
def test_what_cannot_be_without_a_date_is_not_made_without_one(tmp_path, form):
    with (
        film(tmp_path, places(2), created=None) as clip,
        pytest.raises(NothingToExtractError, match="no date"),
    ):
        FORMATS[form](Selection(clip))
