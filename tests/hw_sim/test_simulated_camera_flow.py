"""What moves in the simulated pictures moves as the simulated gyroscope turns, line by line."""

import dataclasses

import numpy as np
import pytest
from flow import Picture, disagreement

from hw_sim.renderer import Renderer
from hw_sim.scenario import load_scenario
from hw_sim.trajectory import Trajectory

FRAME_S = 1 / 30
MOMENTS = (1.3, 7.7)


def filmed(name, at_s, **changes):
    """Two pictures that follow one another, their field of view and the true angular rate."""
    scenario = load_scenario(name)
    camera = dataclasses.replace(scenario.camera, width=640, height=480, **changes)
    trajectory = Trajectory(scenario.trajectory, scenario.place.gravity_m_s2, 5)
    renderer = Renderer(camera, trajectory, 11)
    exposure_s, line_s = camera.exposure_ns / 1e9, camera.line_time_ns / 1e9
    pictures = []
    for start_s in (at_s, at_s + FRAME_S):
        shapes = ((480, 640), (240, 320), (240, 320))
        luma, *chroma = (np.zeros(shape, np.uint8) for shape in shapes)
        renderer.draw(start_s, exposure_s, [luma, *chroma])
        pictures.append(Picture(luma, start_s + exposure_s / 2, line_s))
    return *pictures, camera.hfov_deg, lambda t_s: trajectory.pose(t_s).angular_rate


@pytest.mark.parametrize("at_s", MOMENTS)
@pytest.mark.parametrize("line_time_ns", [0, 60_000], ids=["global", "rolling"])
@pytest.mark.parametrize("name", ["walk", "bike", "drone"])
def test_the_flow_is_the_gyroscopes(name, line_time_ns, at_s):
    found = disagreement(*filmed(name, at_s, line_time_ns=line_time_ns))
    assert found.features > 150
    assert found.turn_deg < 0.01
    assert found.scatter_px < 0.1


@pytest.mark.parametrize("at_s", MOMENTS)
def test_it_is_too_where_a_long_exposure_smears_it(at_s):
    found = disagreement(*filmed("walk", at_s, exposure_ns=15_000_000))
    assert found.features > 150
    assert found.turn_deg < 0.01


def test_it_is_not_where_the_lines_are_taken_for_simultaneous_or_the_times_are_wrong():
    before, after, *rest = filmed("bike", 1.3, line_time_ns=60_000)
    one, other = (dataclasses.replace(picture, line_s=0.0) for picture in (before, after))
    assert disagreement(one, other, *rest).scatter_px > 0.2
    one, other = (
        dataclasses.replace(picture, first_line_s=picture.first_line_s + 0.01)
        for picture in (before, after)
    )
    assert disagreement(one, other, *rest).turn_deg > 0.03
