"""A clip of a 360 degree camera, before those who show spheres: finished, torn and repaired."""

import json
import os

import pytest

from cammcorder.__main__ import main


@pytest.fixture(scope="module", params=["recorded", "repaired", "injected"])
def sphere(request, film, walk, tmp_path_factory):
    """A film with B-frames and sound that was recorded as a sphere, and what became of it."""
    folder = tmp_path_factory.mktemp("sphere")
    recorded, out = folder / "recorded.mp4", folder / "out.mp4"

    def call(*words, code=0):
        assert main([str(word) for word in words]) == code

    film_it = ["record", "--replay-video", film, "--speed", "max"]
    call(*film_it, "--projection", "equirectangular", "-o", recorded)
    if request.param == "repaired":
        os.truncate(recorded, recorded.stat().st_size - 4096)
        call("repair", recorded, "-o", out, code=3)
    elif request.param == "injected":
        call("extract", walk.clip, "--to", "csv", "-o", folder)
        call("inject", folder / "walk", recorded, "--replace", "-o", out, "--offset", "0")
    else:
        return recorded
    return out


def test_ffprobe_knows_the_sphere(sphere, program):
    shown = program(
        *("ffprobe", "-v", "error", "-select_streams", "v", "-show_streams", "-of", "json"), sphere
    )
    (video,) = json.loads(shown)["streams"]
    found = {data["side_data_type"]: data for data in video["side_data_list"]}
    assert found["Spherical Mapping"]["projection"] == "equirectangular"
    assert [found["Spherical Mapping"][angle] for angle in ("yaw", "pitch", "roll")] == [0, 0, 0]
    assert found["Stereo 3D"]["type"] == "2D"


def test_exiftool_knows_both_kinds_of_boxes(sphere, program):
    (tags,) = json.loads(program("exiftool", "-ee", "-G1", "-j", sphere))
    assert tags["XMP-GSpherical:ProjectionType"] == "equirectangular"
    assert tags["XMP-GSpherical:Spherical"] is True
    assert tags["XMP-GSpherical:StitchingSoftware"] == "cammcorder"
    assert tags["Track1:Stereoscopic3D"] == "Monoscopic"
    assert [tags[f"Track1:Pose{angle}Degrees"] for angle in ("Yaw", "Pitch", "Roll")] == [0, 0, 0]


def test_mp4box_js_reads_all_of_it(sphere, mp4box):
    tracks, complaints = mp4box(sphere)
    assert complaints == {"BoxParser: Invalid box type: '©mak'"}  # as of every clip of ours
    assert tracks[0].codec.startswith("avc1")
    assert all(track.samples for track in tracks)


def test_mediainfo_sees_the_picture(sphere, program):
    shown = json.loads(program("mediainfo", "--Output=JSON", sphere))["media"]["track"]
    (video,) = [track for track in shown if track["@type"] == "Video"]
    assert (video["Width"], video["Height"]) == ("1920", "1080")
