import dataclasses

import av
import numpy as np
import pytest
from stamps import Stamp, luma, read_stamp

from camm import UsageError
from drivers.errors import DeviceError, EndOfSource
from hw_sim.camera import SimulatedCamera
from hw_sim.clock import VirtualClock
from hw_sim.faults import Faults
from hw_sim.panorama import SIZE, paint, texels
from hw_sim.renderer import Renderer
from hw_sim.scenario import Circle, Fault, TrajectoryParameters, load_scenario
from hw_sim.trajectory import Trajectory

WALK = load_scenario("walk")
TRAJECTORY = Trajectory(WALK.trajectory, WALK.place.gravity_m_s2)
MS = 1_000_000
START = SECOND = 1_000_000_000
SMALL = {"width": 256, "height": 48}


def filming(*faults, **changes):
    """A camera that is open, with other values of some keys, and its clock."""
    clock = VirtualClock(START, 0)
    parameters = dataclasses.replace(WALK.camera, **changes)
    camera = SimulatedCamera(clock, parameters, TRAJECTORY, START, 11, Faults(faults, START))
    camera.open()
    return clock, camera


@pytest.fixture
def camera():
    clock, camera = filming()
    yield clock, camera
    camera.close()


def drawn(start_s, exposure_s=0.0, **changes):
    """What a camera draws: luma and both chroma planes."""
    parameters = dataclasses.replace(WALK.camera, **changes)
    height, width = parameters.height, parameters.width
    halves = (height // 2, width // 2)
    planes = [np.zeros(shape, np.uint8) for shape in ((height, width), halves, halves)]
    Renderer(parameters, TRAJECTORY, 11).draw(start_s, exposure_s, planes)
    return planes


def test_frames_come_on_their_own_crystal_and_are_handed_over_after_read_out(camera):
    clock, camera = camera
    clock.sleep_until(START + 123_456_789)
    packets = []
    for _ in range(40):
        packets += camera.read()
        last = packets[-1]
        assert clock.now_ns() == last.exposure_start_ns + 4_000_000 + 359 * 40_000 + 5_000_000
    starts = np.array([packet.exposure_start_ns for packet in packets])
    assert starts[0] == START + 123_457_000
    assert np.diff(starts).mean() == pytest.approx(1e9 / 30 * (1 + 7e-6), abs=30)
    assert {packet.skew_ns for packet in packets} == {359 * 40_000}
    assert {packet.pts_ns - packet.exposure_start_ns for packet in packets} == {
        (4_000_000 + 359 * 40_000) // 2
    }
    assert [n for n, packet in enumerate(packets) if packet.keyframe] == [0, 30]
    np.testing.assert_array_equal(camera.truth()["frame_start_ns"], starts)


def decoded(camera, packets):
    """Luma of the pictures in some packets."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = camera.formats[0].extradata
    frames = [f for p in packets for f in decoder.decode(av.Packet(p.data))]
    return [luma(frame) for frame in (*frames, *decoder.decode(None))]


def test_the_packets_decode_to_what_was_drawn(camera):
    _, camera = camera
    (video,) = camera.formats
    assert (video.codec, video.width, video.height) == ("h264", 640, 360)
    seen = decoded(camera, camera.read())[0].astype(float)
    picture = drawn(0, 0.004)[0]
    assert np.abs(seen - picture)[48:].mean() < 4
    assert picture.std() > 20


def test_the_stamp_says_number_time_and_shutter(camera):
    clock, camera = camera
    clock.sleep_until(START + 5_000_000_000_000)  # more than 32 bits hold
    packets = [packet for _ in range(12) for packet in camera.read()]
    for number, (seen, packet) in enumerate(zip(decoded(camera, packets), packets, strict=True)):
        assert read_stamp(seen) == Stamp(number, packet.pts_ns, 4 * MS, 359 * 40_000)


@pytest.mark.parametrize("changes", [{"stamp": False}, {"width": 254}, {"height": 46}])
def test_a_picture_has_no_stamp_where_it_is_not_wanted_or_has_no_room(changes):
    _, camera = filming(**changes)
    seen = decoded(camera, camera.read())[0].astype(float)
    assert np.abs(seen - drawn(0, 0.004, **changes)[0]).mean() < 4


def test_the_same_seed_gives_the_same_bytes():
    def film():
        _, camera = filming(longest_exposure_ns=12 * MS)
        return [packet.data for _ in range(5) for packet in camera.read()]

    assert film() == film()


def test_the_exposure_sweeps_and_read_outs_keep_step():
    _, camera = filming(fps=10, longest_exposure_ns=12 * MS, width=64, height=36)
    packets = [camera.read()[0] for _ in range(81)]
    exposure = np.array([packet.exposure_ns for packet in packets])
    start = np.array([packet.exposure_start_ns for packet in packets])
    assert (exposure[0], exposure[20], exposure[40], exposure[60]) == (
        4 * MS,
        12 * MS,
        4 * MS,
        12 * MS,
    )
    np.testing.assert_allclose(np.abs(np.diff(exposure)), 0.4 * MS, atol=2000)
    np.testing.assert_allclose(np.diff(start + exposure), 0.1 * SECOND, atol=2000)
    centre = start + (exposure + 35 * 40_000) // 2
    np.testing.assert_array_equal([packet.pts_ns for packet in packets], centre)
    for name, values in (("exposure_ns", exposure), ("frame_start_ns", start)):
        np.testing.assert_array_equal(camera.truth()[name], values)


def test_a_global_shutter_has_no_skew():
    _, camera = filming(line_time_ns=0)
    (packet,) = camera.read()
    assert packet.skew_ns == 0
    assert packet.pts_ns == packet.exposure_start_ns + 2 * MS


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"longest_exposure_ns": 3 * MS}, r"exposed for 3,000,000 ns.*at least exposure_ns, 4,000"),
        ({"exposure_ns": 34 * MS}, r"34,000,000 ns.*at most a frame, 33,333,333"),
        ({"line_time_ns": 100_000}, "360 lines of 100,000 ns take longer than a frame"),
    ],
)
def test_a_shutter_that_no_sensor_has_is_refused(changes, complaint):
    with pytest.raises(UsageError, match=complaint):
        dataclasses.replace(WALK.camera, **changes)


def test_a_camera_that_went_away_can_be_opened_again_when_it_is_back():
    clock, camera = filming(Fault("unplug", 0.5, 1.0, "camera"), **SMALL)
    before = [camera.read()[0] for _ in range(15)]
    with pytest.raises(DeviceError, match="went away"):
        camera.read()
    assert clock.now_ns() == START + 500 * MS
    camera.close()
    clock.sleep_until(START + 1_499 * MS)
    with pytest.raises(DeviceError, match="went away"):
        camera.open()
    clock.sleep_until(START + 1_600 * MS)
    camera.open()
    after = [camera.read()[0] for _ in range(5)]
    assert after[0].keyframe
    assert after[0].exposure_start_ns == START + 1_600 * MS
    assert [read_stamp(seen).number for seen in decoded(camera, after)] == [0, 1, 2, 3, 4]
    times = [packet.pts_ns for packet in (*before, *after)]
    np.testing.assert_array_equal(camera.truth()["frame_centre_ns"], times)


def test_one_that_lost_its_plug_for_a_moment_must_be_opened_again():
    clock, camera = filming(Fault("unplug", 0.5, 0.1, "camera"), **SMALL)
    clock.sleep_until(START + SECOND)
    with pytest.raises(DeviceError, match="went away"):
        camera.read()
    camera.close()
    camera.open()
    assert len(camera.read()) == 1


def test_one_that_hangs_says_nothing_twice_a_second():
    clock, camera = filming(Fault("drop_frames", 0.5, 2.0), **SMALL)
    came, waited = [], 0
    while clock.now_ns() < START + 3 * SECOND:
        before_ns = clock.now_ns()
        packets = camera.read()
        came += packets
        waited += not packets
        assert clock.now_ns() - before_ns <= 500 * MS
    assert waited == 4
    assert camera.dropped == 60
    steps = np.diff([packet.pts_ns for packet in came])
    assert sorted(set(np.rint(steps * 30 / SECOND))) == [1, 61]
    for seen, packet in zip(decoded(camera, came), came, strict=True):
        stamp = read_stamp(seen)
        assert stamp.centre_ns == packet.pts_ns
        assert stamp.number == round((packet.exposure_start_ns - START) * 30 / SECOND)


def test_a_closed_camera_has_come_to_its_end(camera):
    _, camera = camera
    camera.close()
    camera.close()
    with pytest.raises(EndOfSource, match="closed"):
        camera.read()


def test_every_pixel_shows_its_direction_at_the_moment_of_its_line():
    seen, *_ = drawn(12.5, blur=False)
    painted = paint(11)[0].astype(float)
    focal = 320 / np.tan(np.radians(35))
    x, y = np.meshgrid((np.arange(640) - 319.5) / focal, (np.arange(360) - 179.5) / focal)
    rotation = TRAJECTORY.pose(12.5 + np.arange(360) * 40e-6).rotation
    world = np.einsum("rij,rcj->rci", rotation, np.stack([x, y, np.ones_like(x)], axis=-1))
    column, row = (way.astype(float) - 0.5 for way in texels(world))
    i, j = row.astype(int), column.astype(int)
    down, right = row - i, column - j
    exact = (1 - down) * ((1 - right) * painted[i, j] + right * painted[i, j + 1])
    exact += down * ((1 - right) * painted[i + 1, j] + right * painted[i + 1, j + 1])
    assert np.abs(exact - seen).mean() < 0.5
    assert np.abs(exact - seen).max() < 30  # a tenth of a pixel, where black meets white


def test_a_line_is_smeared_by_what_it_moves_while_it_is_exposed():
    moments = np.arange(0, 30, 0.1)
    rate = np.linalg.norm(TRAJECTORY.pose(moments).angular_rate, axis=1)
    quick, exposure_s = moments[rate.argmax()], 0.016
    picture = [np.zeros(shape, np.uint8) for shape in ((360, 640), (180, 320), (180, 320))]
    renderer = Renderer(dataclasses.replace(WALK.camera, blur=False), TRAJECTORY, 11)
    mean = np.zeros((360, 640))
    for share in (np.arange(24) + 0.5) / 24 * exposure_s:
        renderer.draw(quick + share, 0.0, picture)
        mean += picture[0] / 24
    blurred = drawn(quick, exposure_s)[0].astype(float)
    sharp = drawn(quick, exposure_s, blur=False)[0].astype(float)
    errors = [np.abs(picture - mean).mean() for picture in (blurred, sharp)]
    assert errors[0] < 0.6
    assert errors[1] > 2.0


def test_what_stands_still_is_not_smeared():
    standing = Trajectory(TrajectoryParameters(circle=Circle(0, 1, 0)), 9.8)
    renderer = Renderer(WALK.camera, standing, 11)
    pictures = np.zeros((2, 360, 640), np.uint8)
    for picture, exposure_s in zip(pictures, (0.0, 0.03), strict=True):
        renderer.draw(1.0, exposure_s, [picture, *np.empty((2, 180, 320), np.uint8)])
    np.testing.assert_array_equal(*pictures)


def test_up_is_sky_and_down_is_ground():
    grey, blue, _ = paint(11)
    column, row = texels(np.array([[0.0, -0.9, 0.1], [0.0, 0.9, 0.1], [0.0, 0.0, 0.0001]]))
    sky, ground = ((int(row[i]), int(column[i])) for i in (0, 1))
    assert blue[sky] > 135 > blue[ground]
    assert grey.shape == (SIZE, SIZE)
    assert np.isfinite(column).all()


@pytest.mark.parametrize(("letter", "azimuth"), [("N", 0), ("E", 90), ("S", 180), ("W", 270)])
def test_the_quarters_are_written_in_the_sky(letter, azimuth):
    """Dark dots, seven rows of five from 20 degrees down, each of 1.2 degrees."""
    across, up = np.meshgrid((np.arange(5) - 2) * 1.2, 19.4 - np.arange(7) * 1.2)
    east, elevation = np.radians(azimuth + across), np.radians(up)
    level = np.cos(elevation)
    world = np.stack([level * np.sin(east), -np.sin(elevation), level * np.cos(east)], axis=-1)
    column, row = (way.astype(int) for way in texels(world))
    seen = paint(11)[0][row, column] < 120
    expected = {
        "N": "#...#/##..#/##..#/#.#.#/#..##/#..##/#...#",
        "E": "#####/#..../#..../####./#..../#..../#####",
        "S": ".####/#..../#..../.###./....#/....#/####.",
        "W": "#...#/#...#/#...#/#.#.#/#.#.#/##.##/#...#",
    }[letter]
    assert "/".join("".join(".#"[dot] for dot in line) for line in seen.astype(int)) == expected
