import dataclasses

import av
import numpy as np
import pytest

from drivers.errors import EndOfSource
from hw_sim.camera import Renderer, SimulatedCamera
from hw_sim.clock import VirtualClock
from hw_sim.panorama import SIZE, paint, texels
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Trajectory

WALK = load_scenario("walk")
TRAJECTORY = Trajectory(WALK.trajectory, WALK.place.gravity_m_s2)
START = 1_000_000_000


@pytest.fixture
def camera():
    clock = VirtualClock(START, 0)
    camera = SimulatedCamera(clock, WALK.camera, TRAJECTORY, START, 11)
    camera.open()
    return clock, camera


def planes():
    return [np.zeros(shape, np.uint8) for shape in ((360, 640), (180, 320), (180, 320))]


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


def test_the_packets_decode_to_what_was_drawn(camera):
    _, camera = camera
    (video,) = camera.formats
    assert (video.codec, video.width, video.height) == ("h264", 640, 360)
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = video.extradata
    pictures = []
    for _ in range(3):
        for packet in camera.read():
            pictures += decoder.decode(av.Packet(packet.data))
    pictures += decoder.decode(None)
    drawn = planes()
    Renderer(WALK.camera, TRAJECTORY, 11).draw(0.002, drawn)
    seen = pictures[0].to_ndarray(format="yuv420p")[:360].astype(float)
    assert np.abs(seen - drawn[0]).mean() < 6
    assert drawn[0].std() > 20


def test_the_same_seed_gives_the_same_bytes():
    def film():
        camera = SimulatedCamera(VirtualClock(START, 0), WALK.camera, TRAJECTORY, START, 11)
        camera.open()
        return [packet.data for _ in range(5) for packet in camera.read()]

    assert film() == film()


def test_a_closed_camera_has_come_to_its_end(camera):
    _, camera = camera
    camera.close()
    camera.close()
    with pytest.raises(EndOfSource, match="closed"):
        camera.read()


def test_every_pixel_shows_its_direction_at_the_moment_of_its_line():
    drawn = planes()
    Renderer(WALK.camera, TRAJECTORY, 11).draw(12.5, drawn)
    luma = paint(11)[0]
    focal = 320 / np.tan(np.radians(35))
    x, y = np.meshgrid((np.arange(640) - 319.5) / focal, (np.arange(360) - 179.5) / focal)
    rotation = TRAJECTORY.pose(12.5 + np.arange(360) * 40e-6).rotation
    world = np.einsum("rij,rcj->rci", rotation, np.stack([x, y, np.ones_like(x)], axis=-1))
    column, row = texels(world)
    exact = luma[row.astype(int), column.astype(int)]
    assert (exact != drawn[0]).mean() < 0.12  # a texel's edge falls between two pixels
    assert np.abs(exact.astype(int) - drawn[0]).mean() < 0.5


def test_up_is_sky_and_down_is_ground():
    luma, blue, _ = paint(3)
    column, row = texels(np.array([[0.0, -0.9, 0.1], [0.0, 0.9, 0.1], [0.0, 0.0, 0.0001]]))
    sky, ground = ((int(row[i]), int(column[i])) for i in (0, 1))
    assert blue[sky] > 135 > blue[ground]
    assert luma.shape == (SIZE, SIZE)
    assert np.isfinite(column).all()


def test_the_optical_flow_is_the_gyroscopes():
    quick = dataclasses.replace(WALK.camera, line_time_ns=0)
    renderer = Renderer(quick, TRAJECTORY, 11)
    focal = 320 / np.tan(np.radians(35))
    for t in np.arange(0.5, 20, 1.1):
        before, after = planes(), planes()
        renderer.draw(t - 0.05, before)
        renderer.draw(t + 0.05, after)
        window = (slice(130, 230), slice(220, 420))
        shift = _shift(before[0].astype(float), after[0].astype(float), window)
        rate = TRAJECTORY.pose(np.linspace(t - 0.05, t + 0.05, 101)).angular_rate.mean(axis=0)
        # The scene goes left when the camera turns right (about Y, down), and down with pitch up.
        expected = np.array([rate[0], -rate[1]]) * focal * 0.1
        np.testing.assert_allclose(shift, expected, atol=2.0)


def _shift(before, after, window):
    """Rows and columns by which the window moved: the best of all whole shifts."""
    patch = before[window]
    rows, columns = window
    best = min(
        (
            np.abs(
                after[
                    rows.start + dr : rows.stop + dr : 3, columns.start + dc : columns.stop + dc : 3
                ]
                - patch[::3, ::3]
            ).mean(),
            dr,
            dc,
        )
        for dr in range(-30, 31)
        for dc in range(-90, 91)
    )
    return best[1:]
