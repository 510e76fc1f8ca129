"""Pictures that are maps of a sphere: what is written says so, and what others write is read."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camm import Packet, PacketType, Samples, StreamFormat
from cammcorder.__main__ import main
from muxer import reader
from muxer.projection import Projection
from muxer.recording import Recording
from muxer.recording_file import MovieDescription

ZERO = 7_000_000_123_000
FRAME = 40_000_000
SPHERE = StreamFormat("video", "mjpeg", 90_000, width=64, height=32, projection="equirectangular")
OLD = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
ABOUT = MovieDescription(None, "Maker", "Model", {})
JPEG = b"\xff\xd8 a picture"


def record(path, stream=SPHERE, *, finish=True):
    recording = Recording(path, [stream], ABOUT)
    for n in range(50):
        t_ns = ZERO + n * FRAME
        recording.add_packets([Packet(0, JPEG, t_ns, t_ns, FRAME, n % 25 == 0)])
        rates = Samples(PacketType.GYRO, np.array([t_ns]), np.full((1, 3), n / 10))
        recording.add_samples("imu", [rates], t_ns + 1)
        recording.advance(t_ns)
    if finish:
        recording.finish(ZERO + 50 * FRAME, ABOUT)
    else:
        recording.close()
    return path


@pytest.fixture
def sphere(tmp_path):
    return record(tmp_path / "sphere.mp4")


def projection_of(path):
    with reader.open(path) as clip:
        return clip.video.projection


def entry_of(mp4, data):
    return mp4.inside(data, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")[8:]


def test_the_boxes_are_those_of_the_specifications(mp4, sphere):
    data = sphere.read_bytes()
    content = mp4.inside(entry_of(mp4, data), b"jpeg")[78:]
    assert mp4.kinds(content) == [b"st3d", b"sv3d"]
    assert mp4.inside(content, b"st3d") == bytes(5)
    sv3d = mp4.inside(content, b"sv3d")
    assert mp4.kinds(sv3d) == [b"svhd", b"proj"]
    assert mp4.inside(sv3d, b"svhd") == bytes(4) + b"cammcorder\0"
    assert mp4.boxes(mp4.inside(sv3d, b"proj")) == [
        (b"prhd", 0, bytes(16)),
        (b"equi", 24, bytes(20)),
    ]
    (text,) = [c for k, _, c in mp4.boxes(mp4.inside(data, b"moov", b"trak")) if k == b"uuid"]
    assert text.startswith(OLD)
    for element in (b"Spherical>true", b"Stitched>true", b"ProjectionType>equirectangular"):
        assert b"<GSpherical:" + element + b"</GSpherical:" in text


def test_they_stand_before_what_tells_of_pixels(mp4, tmp_path):
    wide = StreamFormat("video", "mjpeg", 1000, b"", 64, 64, (2, 1), projection="equirectangular")
    data = record(tmp_path / "wide.mp4", wide).read_bytes()
    assert mp4.kinds(mp4.inside(entry_of(mp4, data), b"jpeg")[78:]) == [b"st3d", b"sv3d", b"pasp"]


def test_an_ordinary_clip_says_nothing_of_spheres(tmp_path):
    flat = record(tmp_path / "flat.mp4", StreamFormat("video", "mjpeg", 1000, b"", 64, 32))
    assert projection_of(flat) is None
    assert b"sv3d" not in flat.read_bytes()
    assert OLD not in flat.read_bytes()


def test_our_own_is_read_back(sphere):
    assert projection_of(sphere) == Projection("equirectangular", source="cammcorder")


def test_an_unfinished_recording_has_it_and_keeps_it_when_it_is_finished(tmp_path):
    unfinished = record(tmp_path / "torn.mp4", finish=False)
    os.truncate(unfinished, unfinished.stat().st_size - 5)
    assert projection_of(unfinished).kind == "equirectangular"
    out = tmp_path / "repaired.mp4"
    assert main(["repair", str(unfinished), "-o", str(out)]) == 3  # something is lost
    assert projection_of(out) == Projection("equirectangular", source="cammcorder")
    assert OLD in out.read_bytes()


def test_it_survives_injection_and_conversion(mp4, sphere, tmp_path, capsys):
    log = tmp_path / "log"
    assert main(["extract", str(sphere), "--to", "csv", "-o", str(log)]) == 0
    injected, converted = tmp_path / "injected.mp4", tmp_path / "converted.mp4"
    command = ["inject", log / "sphere", sphere, "--replace", "-o", injected]
    assert main([str(word) for word in command]) == 0
    assert main(["convert", str(sphere), "-o", str(converted)]) == 0
    for path in (injected, converted):
        assert projection_of(path) == Projection("equirectangular", source="cammcorder")
        assert mp4.inside(path.read_bytes(), b"moov").count(OLD) == 1


def test_a_film_is_recorded_as_a_sphere_where_that_is_said(film, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    command = ["record", "--replay-video", film, "--speed", "max", "-o", out]
    assert main([*map(str, command), "--projection", "equirectangular"]) == 0
    assert projection_of(out).kind == "equirectangular"
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert ", equirectangular\n" in capsys.readouterr().out
    assert main(["info", str(out), "--json"]) == 0
    first, *others = json.loads(capsys.readouterr().out)["tracks"]
    assert first["projection"] == {
        "kind": "equirectangular",
        "stereo": "mono",
        "pose_deg": [0, 0, 0],
        "bounds": [0, 0, 0, 0],
        "source": "cammcorder",
    }
    assert [track["projection"] for track in others] == [None, None]


def test_a_projection_without_pictures_is_refused(tmp_path, walk, capsys):
    log = tmp_path / "log"
    assert main(["extract", str(walk.clip), "--to", "csv", "-o", str(log)]) == 0
    command = ["record", "--replay", str(log / "walk"), "-o", str(tmp_path / "o.mp4")]
    assert main([*command, "--projection", "equirectangular"]) == 2
    assert "add a camera or a film" in capsys.readouterr().err


# Of other makers


def sv3d(mp4, *projection, pose=(0, 0, 0), source=b"maker\0"):
    prhd = mp4.full(b"prhd", 0, 0, struct.pack(">3i", *(round(a * 65536) for a in pose)))
    svhd = mp4.full(b"svhd", 0, 0, source)
    return mp4.box(b"sv3d", svhd, mp4.box(b"proj", prhd, *projection))


def st3d(mp4, mode):
    return mp4.full(b"st3d", 0, 0, bytes([mode]))


def read(*boxes, uuids=()):
    return Projection.read(bytes(78) + b"".join(boxes), uuids)


@pytest.mark.parametrize(
    ("mode", "name"),
    [(0, "mono"), (1, "top-bottom"), (2, "left-right"), (3, "custom"), (4, "right-left")],
)
def test_the_two_eyes(mp4, mode, name):
    equi = mp4.full(b"equi", 0, 0, bytes(16))
    assert read(st3d(mp4, mode), sv3d(mp4, equi)).stereo == name
    flat = read(st3d(mp4, mode))
    assert flat == (Projection("rectilinear", name) if mode else None)


def test_a_stereo_mode_of_the_future_is_told_by_its_number(mp4):
    assert read(st3d(mp4, 9)) == Projection("rectilinear", "9")


def test_pose_and_bounds(mp4):
    half, quarter = 1 << 31, 1 << 30
    equi = mp4.full(b"equi", 0, 0, struct.pack(">4I", quarter, 0, half, quarter))
    found = read(sv3d(mp4, equi, pose=(-90.5, 45.25, 180)))
    assert found.pose_deg == (-90.5, 45.25, 180)
    assert found.bounds == (0.25, 0, 0.5, 0.25)
    assert found.source == "maker"


def test_other_projections_have_names(mp4):
    cubemap = mp4.full(b"cbmp", 0, 0, bytes(8))
    mesh = mp4.full(b"mshp", 0, 0, bytes(40))
    assert read(sv3d(mp4, cubemap)).kind == "cubemap"
    assert read(sv3d(mp4, mesh)).kind == "mesh"
    assert read(sv3d(mp4, mp4.full(b"fish", 0, 0))).kind == "fish"


ELEMENTS = b"""<?xml version="1.0"?>
<rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/">
  <GSpherical:Spherical>true</GSpherical:Spherical>
  <GSpherical:StitchingSoftware>
    a maker's
  </GSpherical:StitchingSoftware>
  <GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>
  <GSpherical:StereoMode>top-bottom</GSpherical:StereoMode>
  <GSpherical:InitialViewHeadingDegrees>90</GSpherical:InitialViewHeadingDegrees>
  <GSpherical:CroppedAreaImageWidthPixels>2000</GSpherical:CroppedAreaImageWidthPixels>
  <GSpherical:CroppedAreaImageHeightPixels>1500</GSpherical:CroppedAreaImageHeightPixels>
  <GSpherical:FullPanoWidthPixels>4000</GSpherical:FullPanoWidthPixels>
  <GSpherical:FullPanoHeightPixels>2000</GSpherical:FullPanoHeightPixels>
  <GSpherical:CroppedAreaLeftPixels>1000</GSpherical:CroppedAreaLeftPixels>
  <GSpherical:CroppedAreaTopPixels>0</GSpherical:CroppedAreaTopPixels>
</rdf:SphericalVideo>"""


def test_the_older_text():
    found = read(uuids=[b"another uuid....", OLD + ELEMENTS])
    assert found == Projection(
        "equirectangular",
        "top-bottom",
        bounds=(0, 0.25, 0.25, 0.25),
        source="a maker's",
    )


def test_the_older_text_in_attributes():
    text = b'<rdf:Description GSpherical:Spherical="True" GSpherical:ProjectionType = "cubemap"/>'
    assert read(uuids=[OLD + text]) == Projection("cubemap")


@pytest.mark.parametrize("text", [b"", b"<GSpherical:Spherical>false</", b"\xff\xfe" * 40])
def test_a_text_that_tells_of_no_sphere(text):
    assert read(uuids=[OLD + text]) is None


def test_the_newer_boxes_hold_where_both_are_there(mp4):
    cubemap = mp4.full(b"cbmp", 0, 0, bytes(8))
    assert read(sv3d(mp4, cubemap), uuids=[OLD + ELEMENTS]).kind == "cubemap"


def test_a_cut_box_leaves_the_older_text(mp4):
    whole = sv3d(mp4, mp4.full(b"equi", 0, 0, bytes(16)))
    assert read(whole[:-30], uuids=[OLD + ELEMENTS]).source == "a maker's"
    assert read(mp4.box(b"sv3d"), uuids=[OLD + ELEMENTS]).source == "a maker's"


@pytest.mark.parametrize("pixels", [b"0", b"-5", b"many", b"99999999999"])
def test_impossible_crops_are_none(pixels):
    text = ELEMENTS.replace(b">4000<", b">" + pixels + b"<").replace(
        b">2000</GSpherical:Cr", b">1<"
    )
    left, right = read(uuids=[OLD + text]).bounds[2:]
    assert 0 <= left <= 1
    assert 0 <= right <= 1


@given(st.binary(max_size=200), st.lists(st.binary(max_size=80), max_size=3))
def test_whatever_is_in_them_nothing_breaks(entry, texts):
    whole = struct.pack(">I4s", len(entry) + 8, b"sv3d") + entry
    read(entry, uuids=[OLD + text for text in texts])
    read(whole)
    Projection.read(entry, texts)
