"""What `calibrate` draws on the terminal."""

import numpy as np

from camm.allan import allan_deviation
from cammcorder.commands.calibrate_text import curves, sphere
from fusion.calibration.sphere import CENTRES, COLUMNS, ROWS, seen


def test_the_sphere_has_a_field_for_each_cell_with_the_top_first():
    upper = CENTRES[CENTRES[:, 2] > 0.5]
    lines = sphere(seen(upper, 1.0)).splitlines()
    assert len(lines) == ROWS + 1
    assert {len(line) for line in lines[:ROWS]} == {2 * COLUMNS}
    assert lines[0] == "█" * 2 * COLUMNS
    assert lines[ROWS - 1] == "·" * 2 * COLUMNS
    assert lines[-1] == "17 % of all directions"


def test_the_curves_fall_from_the_upper_left_for_white_noise():
    noise = np.random.default_rng(1).normal(size=(5000, 3)) * (1.0, 1.0, 10.0)
    lines = curves(allan_deviation(noise, 0.01), "unit").splitlines()
    assert lines[0] == "Allan deviation, unit"
    plot = [line[11:] for line in lines[1:-2]]
    first = {name: next(y for y, row in enumerate(plot) if name in row) for name in "Z*"}
    assert first["Z"] == 0
    assert first["*"] > 3, "X and Y lie together, a decade below Z"
    assert plot[0].index("Z") == 0
    assert "0.01 s" in lines[-1]
    assert lines[-1].endswith(f"{allan_deviation(noise, 0.01).tau_s[-1]:.2g} s")
