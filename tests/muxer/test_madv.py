"""The Mi Sphere's `madv` box, written here as its maker's SDK has it: no real clip is public."""

import struct

import numpy as np
import pytest

from camm import PacketType
from camm.frames import from_angle_axis, to_matrix
from muxer import reader
from muxer.check import check
from muxer.errors import Mp4Error

FRAMES = 12

# Upright, the SDK's T G P is no rotation; G has the file's numbers column by column.
T = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
P = np.array([[-1, 0, 0], [0, 0, -1], [0, 1, 0]])


def turn(axis, degrees):
    """The rotation about an axis, by Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def stored(rotation):
    """Nine numbers that make the SDK turn the panorama by `rotation`, in OpenGL's axes."""
    return (T.T @ rotation @ P.T).T


TURNS = [turn((0, 1, 0), 7 * n) for n in range(FRAMES)]


def tlyd(matrices, room=0):
    numbers = np.array(matrices, "<f4").tobytes()
    return numbers + bytes(max(0, room - len(numbers)))


@pytest.fixture
def clip_with(mp4, opened):
    """Opens a film of twelve frames whose `udta` is given."""

    def open_with(udta, *, frames=FRAMES, ctts=None):
        data = mp4.write(
            [b"picture"] * frames,
            [1001] * frames,
            handler=b"vide",
            entries=[b"avc1"],
            timescale=30_000,
            udta=mp4.box(b"udta", udta),
            replace={b"ctts": ctts} if ctts else None,
        )
        return opened(data)

    return open_with


def test_each_frame_has_its_orientation(mp4, clip_with):
    matrices = [stored(rotation) for rotation in TURNS]
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd(matrices, 36 * 1000))))
    np.testing.assert_array_equal(clip.madv.matrices, np.array(matrices, np.float32))
    assert clip.camm_tracks == []
    assert clip.motion is clip.madv
    assert clip.counts == {PacketType.ANGLE_AXIS: FRAMES}
    assert clip.angle_axis.t_ns.tolist() == [round(n * 1001e9 / 30_000) for n in range(FRAMES)]
    assert clip.angle_axis.t_ns.tolist() == sorted(clip.video.pts_ns.tolist())
    assert clip.faults == {}
    # A turn to the left about OpenGL's up is one by as much about CAMM's down, the other way.
    np.testing.assert_allclose(
        clip.angle_axis.data,
        [(0, -np.radians(7 * n), 0) for n in range(FRAMES)],
        atol=1e-6,
    )


@pytest.mark.parametrize(
    ("axis", "in_camm"), [((1, 0, 0), (1, 0, 0)), ((0, 1, 0), (0, -1, 0)), ((0, 0, 1), (0, 0, -1))]
)
def test_axes_are_turned_into_those_of_camm(mp4, clip_with, axis, in_camm):
    """OpenGL: X right, Y up, Z back; CAMM: X right, Y down, Z forward."""
    matrices = [stored(turn(axis, 30))] * FRAMES
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd(matrices))))
    np.testing.assert_allclose(
        clip.angle_axis.data[0], np.radians(30) * np.array(in_camm), atol=1e-6
    )


def test_an_upright_camera_is_not_turned(mp4, clip_with):
    """Both programs that are known to read it negate the first two rows, or as good as that."""
    upright = np.diag([-1, -1, 1])
    np.testing.assert_array_equal(stored(np.eye(3)), upright)
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd([upright] * FRAMES))))
    assert np.abs(clip.angle_axis.data).max() < 1e-6


@pytest.mark.parametrize("dummy", [0, 1, 3])
def test_frames_before_the_first_matrix_have_it_too(mp4, clip_with, dummy):
    matrices = [stored(rotation) for rotation in TURNS[dummy:]]
    fltr = mp4.box(b"fltr", struct.pack("<I", dummy))
    clip = clip_with(mp4.box(b"madv", fltr, mp4.box(b"tlyd", tlyd(matrices, 1000))))
    assert len(clip.madv.matrices) == FRAMES
    expected = np.array([matrices[0]] * dummy + matrices, np.float32)
    np.testing.assert_array_equal(clip.madv.matrices, expected)
    assert clip.counts == {PacketType.ANGLE_AXIS: FRAMES}
    assert clip.faults == {}


@pytest.mark.parametrize("room", [36 * FRAMES, 36 * 65_083, 2_342_732, 36 * FRAMES + 20])
def test_room_of_any_size(mp4, clip_with, room):
    """It differs by firmware, and need not be a whole number of matrices."""
    matrices = [stored(rotation) for rotation in TURNS]
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd(matrices, room))))
    assert len(clip.madv.matrices) == FRAMES


def test_matrices_may_lie_beside_madv(mp4, clip_with):
    matrices = [stored(rotation) for rotation in TURNS]
    fltr = mp4.box(b"madv", mp4.box(b"fltr", struct.pack("<I", 2)))
    clip = clip_with(mp4.box(b"manu", b"Xiaomi") + fltr + mp4.box(b"tlyd", tlyd(matrices[2:])))
    assert len(clip.madv.matrices) == FRAMES
    assert clip.make == "Xiaomi"


def test_an_exported_clip(mp4, clip_with):
    """Nothing is missing at its start, whatever else there is."""
    gyra = mp4.box(b"GYRA", tlyd([stored(rotation) for rotation in TURNS]))
    fltr = mp4.box(b"fltr", struct.pack("<I", 5))
    clip = clip_with(mp4.box(b"madv", gyra, mp4.box(b"DISP", b"\3"), fltr))
    assert len(clip.madv.matrices) == FRAMES
    assert clip.madv.display_mode == 3


def test_frames_are_counted_as_they_are_shown(mp4, clip_with):
    """With B-frames they are stored in another order."""
    ctts = mp4.table(b"ctts", *([(1, 1001), (1, 3003), (2, 0)] * 3), layout=">2I")
    clip = clip_with(
        mp4.box(b"madv", mp4.box(b"tlyd", tlyd([stored(r) for r in TURNS]))), ctts=ctts
    )
    t_ns = clip.angle_axis.t_ns
    assert (np.diff(t_ns) > 0).all()
    assert t_ns.tolist() == sorted(clip.video.pts_ns.tolist()) != clip.video.pts_ns.tolist()


@pytest.mark.parametrize(
    ("matrices", "frames", "fault"),
    [
        (FRAMES - 2, FRAMES, {"frames without a matrix": 2}),
        (FRAMES, FRAMES - 2, {"matrices without a frame": 2}),
    ],
)
def test_frames_and_matrices_of_different_number(mp4, clip_with, matrices, frames, fault):
    numbers = tlyd([stored(rotation) for rotation in TURNS[:matrices]])
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", numbers)), frames=frames)
    assert len(clip.angle_axis) == min(matrices, frames)
    assert clip.faults == fault
    assert len(clip.madv.matrices) == matrices


def test_what_is_nearly_a_rotation_is_read_as_the_nearest(mp4, clip_with):
    rng = np.random.default_rng(1)
    rough = [stored(rotation) * 1.01 + rng.normal(0, 1e-3, (3, 3)) for rotation in TURNS]
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd(rough))))
    found = to_matrix(from_angle_axis(clip.angle_axis.data))
    flip = np.diag([1, -1, -1])
    np.testing.assert_allclose(found, [flip @ turned @ flip for turned in TURNS], atol=5e-3)
    assert clip.faults == {}


def test_what_is_far_from_a_rotation_is_reported(mp4, clip_with):
    matrices = [stored(rotation) for rotation in TURNS]
    matrices[2] = matrices[2] * 2
    matrices[4] = np.full((3, 3), np.nan)
    matrices[5] = np.full((3, 3), np.inf)
    matrices[6] = np.full((3, 3), 3e38)
    matrices[7] = np.diag([1, 1, -1])  # a reflection: as near to a rotation as can be, and none
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd(matrices))))
    assert clip.faults == {"matrices that are no rotation": 5}
    assert np.isfinite(clip.angle_axis.data).all()
    assert (np.linalg.norm(clip.angle_axis.data, axis=1) <= np.pi + 1e-6).all()


def test_the_rotation_nearest_to_a_mirror_image(mp4, clip_with):
    """Of its axes the shortest is turned round."""
    mirror = stored(turn((0, 0, 1), 90) @ np.diag([1.0, 0.9, -0.8]))
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd([mirror] * FRAMES))))
    np.testing.assert_allclose(clip.angle_axis.data, [(0, 0, -np.pi / 2)] * FRAMES, atol=1e-6)
    assert clip.faults == {"matrices that are no rotation": FRAMES}


def test_the_camera_and_a_place(mp4, clip_with):
    caif = struct.pack(
        "<16s4s4s24s16s32s32s",
        b"20180816T101500",
        b"\1\0\0\0",
        b"\2\0\0\0",
        b"",
        b"MJXJ-01",
        b"1.9.20",
        b"0123456789",
    )
    exif = struct.pack("<6I", 48, 1, 30, 1, 3600, 100), struct.pack("<6I", 11, 1, 15, 1, 0, 1)
    gpsx = struct.pack(
        "<I2s24s2s24s2s24s512s2x",
        7,
        b"N",
        exif[0],
        b"W",
        exif[1],
        b"\1",
        struct.pack("<2I", 25, 2),
        b"",
    )
    assert (len(caif) + 8, len(gpsx) + 8) == (136, 604)
    clip = clip_with(mp4.box(b"madv", mp4.box(b"caif", caif), mp4.box(b"gpsx", gpsx)))
    camera = clip.madv.camera
    assert (camera.date, camera.device, camera.version, camera.serial_number) == (
        "20180816T101500",
        "MJXJ-01",
        "1.9.20",
        "0123456789",
    )
    assert (camera.resolution, camera.speed) == (b"\1\0\0\0", b"\2\0\0\0")
    place = clip.madv.place
    assert (place.ticks, place.latitude, place.longitude, place.altitude) == (
        7,
        pytest.approx(48.51),
        -11.25,
        -12.5,
    )
    assert clip.madv.matrices.shape == (0, 3, 3)
    assert clip.counts == {}


@pytest.mark.parametrize(
    ("field", "degrees"),
    [
        (b"48/1,30/1,3600/100", 48.51),
        (b"48.51", 48.51),
        (struct.pack("<6I", 48, 1, 3060, 100, 0, 1), 48.51),
        (struct.pack("<6I", 4851, 100, 0, 0, 0, 0), 48.51),
        (bytes(24), np.nan),
        (b"unknown", np.nan),
    ],
)
def test_a_coordinate_in_every_form_that_it_may_have(mp4, clip_with, field, degrees):
    gpsx = struct.pack("<I2s24s2s24s2s24s", 0, b"S", field, b"E", field, b"0", b"100/1")
    place = clip_with(mp4.box(b"madv", mp4.box(b"gpsx", gpsx))).madv.place
    assert place.latitude == pytest.approx(-degrees, nan_ok=True)
    assert place.longitude == pytest.approx(degrees, nan_ok=True)
    assert place.altitude == 100


def test_cuts_and_what_is_kept_as_it_is(mp4, clip_with):
    cuts = struct.pack("<I40I", 2, 1000, 50, 2000, 70, *[9] * 36)
    clip = clip_with(mp4.box(b"madv", mp4.box(b"cutl", cuts), mp4.box(b"lutz", b"table")))
    assert clip.madv.cuts.tolist() == [[1000, 50], [2000, 70]]
    assert clip.madv.boxes[b"lutz"] == b"table"
    assert clip.madv.boxes[b"cutl"] == cuts
    for wrong in (cuts[:-4], struct.pack("<I40I", 21, *[9] * 40), b""):
        clip = clip_with(mp4.box(b"madv", mp4.box(b"cutl", wrong)))
        assert clip.madv.cuts.tolist() == []


@pytest.mark.parametrize("kind", [b"tlyd", b"fltr", b"GYRA", b"DISP", b"cutl", b"caif", b"gpsx"])
@pytest.mark.parametrize("content", [b"", b"\1", bytes(35), b"\xff" * 81])
def test_boxes_that_are_too_short_say_nothing(mp4, clip_with, kind, content):
    madv = clip_with(mp4.box(b"madv", mp4.box(kind, content))).madv
    assert madv.place is madv.camera is None
    assert madv.cuts.tolist() == []
    assert madv.matrices.shape[1:] == (3, 3)
    assert len(madv.angle_axis) == len(madv.matrices) <= 2


def test_a_count_of_missing_frames_that_no_clip_has(mp4, clip_with):
    fltr = mp4.box(b"fltr", b"\xff" * 4)
    with pytest.raises(Mp4Error, match="'fltr' claims 4294967295 frames"):
        clip_with(mp4.box(b"madv", fltr, mp4.box(b"tlyd", tlyd([stored(TURNS[0])]))))


def test_what_is_damaged_in_madv_costs_nothing_of_what_is_before_it(mp4, clip_with):
    matrices = mp4.box(b"tlyd", tlyd([stored(rotation) for rotation in TURNS]))
    clip = clip_with(mp4.box(b"madv", matrices, b"\0\0\0\4cutl"))
    assert clip.counts == {PacketType.ANGLE_AXIS: FRAMES}


def test_a_clip_without_video_keeps_its_matrices(mp4, tmp_path):
    path = tmp_path / "sound.mp4"
    madv = mp4.box(b"madv", mp4.box(b"tlyd", tlyd([stored(TURNS[1])])))
    path.write_bytes(
        mp4.write([], [], handler=b"soun", entries=[b"mp4a"], udta=mp4.box(b"udta", madv))
    )
    with reader.open(path) as clip:
        assert len(clip.madv.matrices) == 1
        assert clip.counts == {}
        assert clip.faults == {"matrices without a frame": 1}


def test_madv_alone_is_checked_and_reported_on(mp4, clip_with):
    clip = clip_with(mp4.box(b"madv", mp4.box(b"tlyd", tlyd([stored(t) for t in TURNS]))))
    errors = [found.rule for found in check(clip).findings if found.severity == "error"]
    assert errors == ["one_metadata_track"]
    page = pytest.importorskip("muxer.report").render(clip)
    assert "Where the camera points" in page
    assert "there is no track of motion metadata" in page


def test_a_track_of_records_goes_before_madv(mp4, tmp_path):
    path = tmp_path / "both.mp4"
    udta = mp4.box(b"udta", mp4.box(b"madv", mp4.box(b"tlyd", tlyd([stored(TURNS[1])]))))
    path.write_bytes(mp4.write([mp4.record(2, 1, 2, 3)], [1], udta=udta))
    with reader.open(path) as clip:
        assert clip.motion is clip.camm_tracks[0]
        assert clip.counts == {PacketType.GYRO: 1}
        assert len(clip.madv.matrices) == 1


def test_blocks_of_frames(mp4, clip_with):
    clip = clip_with(
        mp4.box(b"madv", mp4.box(b"tlyd", tlyd([stored(rotation) for rotation in TURNS])))
    )
    blocks = list(clip.blocks(seconds=0.1))
    assert [len(block) for block in blocks] == [3, 3, 3, 3]  # frames are 33 ms apart
    np.testing.assert_array_equal(
        np.concatenate([block.data for block in blocks]), clip.angle_axis.data
    )
