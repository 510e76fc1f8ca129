"""ExifTool: decodes types 1 to 7, and no type 0."""

import json
import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from camm import PacketType

TAGS = {
    PacketType.GYRO: "AngularVelocity",
    PacketType.ACCELERATION: "Acceleration",
    PacketType.MAGNETIC_FIELD: "MagneticField",
}
GPS_TAGS = {
    1: "GPSMeasureMode",
    2: "GPSLatitude",
    3: "GPSLongitude",
    4: "GPSAltitude",
    5: "GPSHorizontalAccuracy",
    6: "GPSVerticalAccuracy",
    7: "GPSVelocityEast",
    8: "GPSVelocityNorth",
    9: "GPSVelocityUp",
    10: "GPSSpeedAccuracy",
}
MICROSECOND = 1.01e-6  # and what is left of a decimal that was rounded to six places


@pytest.fixture(scope="module")
def documents(clip, program):
    """What ExifTool says of each sample of the metadata track, in the order of the file."""
    found: dict[int, dict] = {}
    for key, value in json.loads(program("exiftool", "-ee3", "-G3", "-n", "-j", clip.path))[
        0
    ].items():
        if match := re.match(r"Doc(\d+):(.*)", key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [found[number] for number in sorted(found)]


def test_it_finds_every_record(documents, clip):
    assert len(documents) == len(clip.records.kind)


@pytest.mark.parametrize("kind", TAGS)
def test_vectors(documents, ours, kind):
    theirs = [document for document in documents if TAGS[kind] in document]
    t_s, values = ours(kind)
    assert len(theirs) == len(t_s)
    if len(t_s):
        np.testing.assert_allclose([d["SampleTime"] for d in theirs], t_s, atol=MICROSECOND)
        parsed = [[float(v) for v in d[TAGS[kind]].split()] for d in theirs]
        np.testing.assert_array_equal(np.array(parsed, np.float32), values)


def test_exposure(documents, ours):
    theirs = [document for document in documents if "PixelExposureTime" in document]
    t_s, values = ours(PacketType.EXPOSURE)
    np.testing.assert_allclose([d["SampleTime"] for d in theirs], t_s, atol=MICROSECOND)
    parsed = [[d["PixelExposureTime"], d["RollingShutterSkewTime"]] for d in theirs]
    np.testing.assert_allclose(np.array(parsed) * 1e9, values, atol=0.5)


def test_gps(documents, ours):
    theirs = [document for document in documents if "GPSLatitude" in document]
    t_s, values = ours(PacketType.GPS)
    assert len(theirs) == len(t_s) > 50
    np.testing.assert_allclose([d["SampleTime"] for d in theirs], t_s, atol=MICROSECOND)
    for column, tag in GPS_TAGS.items():
        parsed = np.array([document[tag] for document in theirs])
        if column in {2, 3}:  # doubles
            np.testing.assert_array_equal(parsed, values[:, column])
        else:
            np.testing.assert_array_equal(parsed.astype(np.float32), values[:, column])


def test_gps_time_is_counted_from_the_gps_epoch(documents, clip):
    """ExifTool shows GPS time as if it were UTC: 18 leap seconds late, and not years off."""
    first = next(document for document in documents if "GPSDateTime" in document)
    text = first["GPSDateTime"].split(".")[0].rstrip("Z")
    shown = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    since = timedelta(seconds=float(clip.gps.data["time_gps_epoch"][0]))
    assert abs(shown - (datetime(1980, 1, 6, tzinfo=UTC) + since)) < timedelta(seconds=1.1)


def test_it_warns_of_nothing_but_the_type_that_it_does_not_know(documents, program, clip):
    warnings = {d["Warning"] for d in documents if "Warning" in d}
    assert warnings <= {"Unknown camm record type 0"}


def test_maker_and_model(program, clip):
    shown = json.loads(program("exiftool", "-j", "-Make", "-Model", "-CreateDate", clip.path))[0]
    assert (shown["Make"], shown["Model"]) == (clip.make, clip.model)
    assert shown["CreateDate"] == f"{clip.created:%Y:%m:%d %H:%M:%S}"
